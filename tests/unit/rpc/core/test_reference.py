"""The page of all methods."""

from misocoin.rpc.core.absent import ABSENT
from misocoin.rpc.reference import reference
from tests.unit.rpc.core.conftest import CoreNode


def test_every_method_has_a_row(core: CoreNode) -> None:
    page = reference(core.registry.methods.values())
    for name in core.registry.methods:
        assert f"| `{name}" in page
    assert "| `getblock blockhash ( verbosity )` | Show a block. |" in page
    assert "`invalidateblock blockhash` ● |" in page


def test_what_is_said_to_be_absent_is(core: CoreNode) -> None:
    assert not ABSENT.keys() & core.registry.methods.keys()
