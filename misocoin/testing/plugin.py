"""pytest's plugin: Misocoin nodes on regtest as fixtures (see `docs/developers.md`).

It is loaded by every pytest that finds the package installed, so it imports next to nothing until
a fixture is asked for.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from misocoin.testing.regtest import RegtestNode

MakeNode = Callable[..., "RegtestNode"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini("misocoin_options", "options of every Misocoin node", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers", "misocoin(*options): options of this test's Misocoin node, such as -txindex"
    )


def _making(config: pytest.Config, folders: pytest.TempPathFactory) -> Iterator[MakeNode]:
    from misocoin.testing.regtest import RegtestNode

    made: list[RegtestNode] = []

    def make(*options: str, **settings: Any) -> RegtestNode:
        folder = folders.mktemp("misocoin") / "node"
        node = RegtestNode(folder, *config.getini("misocoin_options"), *options, **settings)
        made.append(node)
        return node.start()

    yield make
    for node in made:
        node.close()


@pytest.fixture
def make_misocoin_node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeNode]:
    """Start as many nodes as a test wants: `make_misocoin_node("-txindex")`."""
    yield from _making(request.config, tmp_path_factory)


@pytest.fixture
def misocoin_node(request: pytest.FixtureRequest, make_misocoin_node: MakeNode) -> "RegtestNode":
    """A fresh node on regtest; `@pytest.mark.misocoin("-txindex")` gives it options."""
    marker = request.node.get_closest_marker("misocoin")
    return make_misocoin_node(*(() if marker is None else marker.args))


@pytest.fixture(scope="session")
def misocoin_session_node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["RegtestNode"]:
    """One node for all tests of the run."""
    for make in _making(request.config, tmp_path_factory):
        yield make()
