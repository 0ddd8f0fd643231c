import pytest

from misocoin.consensus.deployments import script_flags_at
from misocoin.params import bitcoin, miso, regtest

# The bits as Core numbers them.
P2SH, DERSIG, NULLDUMMY = 1 << 0, 1 << 2, 1 << 4
CLTV, CSV, WITNESS, TAPROOT = 1 << 9, 1 << 10, 1 << 11, 1 << 17
ALWAYS = P2SH | WITNESS | TAPROOT
ALL = ALWAYS | DERSIG | CLTV | CSV | NULLDUMMY


@pytest.mark.parametrize(
    ("height", "flags"),
    [
        (1, ALWAYS),
        (227_931, ALWAYS),
        (363_724, ALWAYS),
        (363_725, ALWAYS | DERSIG),
        (388_380, ALWAYS | DERSIG),
        (388_381, ALWAYS | DERSIG | CLTV),
        (419_327, ALWAYS | DERSIG | CLTV),
        (419_328, ALWAYS | DERSIG | CLTV | CSV),
        (481_823, ALWAYS | DERSIG | CLTV | CSV),
        (481_824, ALL),
        (709_632, ALL),
    ],
)
def test_bitcoins_flags_by_height(height, flags):
    assert script_flags_at(height, bytes(32), bitcoin()) == flags


def test_the_two_blocks_of_history_that_break_later_rules():
    before_p2sh = bytes.fromhex("00000000000002dc756eebf4f49723ed8d30cc28a5f108eb94b1ba88ac4f9c22")[
        ::-1
    ]
    before_taproot = bytes.fromhex(
        "0000000000000000000f14c35b2d841e986ab5441de8c585d5ffe55ea1e395ad"
    )[::-1]
    assert script_flags_at(170_060, before_p2sh, bitcoin()) == 0
    assert script_flags_at(692_261, before_taproot, bitcoin()) == ALL & ~TAPROOT


def test_a_young_network_has_all_rules_from_its_first_block():
    assert script_flags_at(1, bytes(32), miso()) == ALL
    assert script_flags_at(1, bytes(32), regtest()) == ALL
