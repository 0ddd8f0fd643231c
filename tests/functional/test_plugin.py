"""The fixtures that other people's tests get, in a pytest of their own."""

from importlib.metadata import entry_points

import pytest

pytest_plugins = ("pytester",)

EXAMPLE = """
import time
from decimal import Decimal

import pytest
from misocoin.http.errors import RpcError


def test_a_payment(misocoin_node):
    misocoin_node.fund()
    address = misocoin_node.rpc.get_new_address()
    txid = misocoin_node.rpc.send_misocoin(address, "1.5")
    assert misocoin_node.rpc.getrawmempool() == [txid]
    misocoin_node.mine()
    assert misocoin_node.rpc.getblockcount() == 102
    assert misocoin_node.rpc.get_tx(txid)["confirmations"] == 1
    with pytest.raises(RpcError):
        misocoin_node.rpc.getblockhash(500)


def test_every_test_has_a_fresh_node(misocoin_node):
    assert misocoin_node.rpc.getblockcount() == 0


@pytest.mark.misocoin("-txindex", "-maxpeers=0")
def test_options(misocoin_node):
    assert "-txindex" in misocoin_node.options


def test_two_nodes_agree(make_misocoin_node):
    one, other = make_misocoin_node(), make_misocoin_node()
    one.mine(3)
    other.connect(one)
    assert other.rpc.getblockcount() == 3


@pytest.mark.parametrize("number", [1, 2])
def test_one_node_for_the_run(misocoin_session_node, number):
    misocoin_session_node.mine()
    assert misocoin_session_node.rpc.getblockcount() == number
"""


@pytest.fixture
def options() -> list[str]:
    """What makes pytest find the plugin where the package is not installed anew since it came."""
    installed = {each.name for each in entry_points(group="pytest11")}
    return [] if "misocoin" in installed else ["-p", "misocoin.testing.plugin"]


def test_the_example_holds(pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makepyfile(EXAMPLE)
    pytester.makeini("[pytest]\nmisocoin_options = -dbcache=16\naddopts = --strict-markers")
    pytester.runpytest_subprocess("-q", *options).assert_outcomes(passed=6)


def test_nothing_is_imported_before_a_fixture_is_asked_for(
    pytester: pytest.Pytester, options: list[str]
) -> None:
    pytester.makepyfile(
        "import sys\n\ndef test_it():\n    assert 'misocoin.testing.daemon' not in sys.modules\n"
        "    assert 'requests' not in sys.modules\n"
    )
    pytester.runpytest_subprocess("-q", *options).assert_outcomes(passed=1)
