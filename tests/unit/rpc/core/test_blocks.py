"""Core's methods that read blocks."""

from tests.unit.rpc.core.conftest import CoreNode

GENESIS = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"


def test_both_dialects_answer_by_their_names(core: CoreNode) -> None:
    best = core.getbestblockhash()
    assert best == core.getblockhash(core.getblockcount())
    assert core.getblock(best) == core.getblock(blockhash=best, verbosity=1)
    assert core.getblock(best) == core.get_block(110)
    assert core.getblockhash(0) == GENESIS


def test_a_height_beyond_the_tip(core: CoreNode) -> None:
    assert core.error("getblockhash", 111) == (-8, "Block height out of range")
    assert core.error("getblockhash", -1) == (-8, "Block height out of range")


def test_an_unknown_block(core: CoreNode) -> None:
    assert core.error("getblock", "00" * 32) == (-5, "Block not found")
    assert core.error("getblock", "00") == (
        -8,
        "blockhash must be of length 64 (not 2, for '00')",
    )
