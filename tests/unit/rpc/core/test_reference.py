"""The page of all methods."""

from pathlib import Path

from misocoin.rpc.core.absent import ABSENT
from misocoin.rpc.reference import reference
from tests.unit.rpc.core.conftest import CoreNode

ROOT = Path(__file__).resolve().parents[4]


def test_every_method_has_a_row(core: CoreNode) -> None:
    page = reference(core.registry.methods.values())
    for name in core.registry.methods:
        assert f"| [`{name}" in page
        assert f"\n### {name}\n\n```text\n{name}" in page
    assert "| [`getblock blockhash ( verbosity )`](#getblock) | Show a block. |" in page
    assert "[`invalidateblock blockhash`](#invalidateblock) ● |" in page
    assert "| -5 | invalid address or key |" in page


def test_the_page_is_up_to_date(core: CoreNode) -> None:
    page = ROOT / "docs" / "rpc.md"
    made = reference(core.registry.methods.values())
    assert page.read_text(encoding="utf-8") == made, "`make docs` writes docs/rpc.md anew"


def test_what_is_said_to_be_absent_is(core: CoreNode) -> None:
    assert not ABSENT.keys() & core.registry.methods.keys()
