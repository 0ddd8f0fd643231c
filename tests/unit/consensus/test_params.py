"""The constants of consensus in literal numbers, so that a change is noticed."""

import dataclasses

import pytest

from misocoin.consensus import block_rules, connect, tx_rules
from misocoin.errors import ConfigError
from misocoin.params import NETWORK_NAMES, Retarget, bitcoin, miso, params_by_name, regtest

COIN = 100_000_000


def _hash(display_hex):
    return bytes.fromhex(display_hex)[::-1]


def test_rules_that_are_the_same_everywhere():
    assert tx_rules.MAX_BLOCK_WEIGHT == 4_000_000
    assert tx_rules.WITNESS_SCALE_FACTOR == 4
    assert tx_rules.MAX_BLOCK_SIGOPS_COST == 80_000
    assert tx_rules.LOCKTIME_THRESHOLD == 500_000_000
    assert tx_rules.SEQUENCE_LOCKTIME_DISABLE_FLAG == 0x80000000
    assert tx_rules.SEQUENCE_LOCKTIME_TYPE_FLAG == 0x00400000
    assert tx_rules.SEQUENCE_LOCKTIME_MASK == 0x0000FFFF
    assert tx_rules.SEQUENCE_LOCKTIME_GRANULARITY == 9
    assert block_rules.MEDIAN_TIME_SPAN == 11
    assert block_rules.WITNESS_COMMITMENT_HEADER.hex() == "6a24aa21a9ed"
    assert block_rules.WITNESS_COMMITMENT_SIZE == 38
    assert connect.BIP34_IMPLIES_BIP30_LIMIT == 1_983_702


@pytest.mark.parametrize(
    ("params", "block_hash", "merkle_root"),
    [
        pytest.param(
            miso(),
            "00000d6244fb8c6b16f3d1d3dbef2ac52507a21d5f308d19c1c20a58031bb785",
            "42c3e62954952441a5d24e51723410ae4dd1bddb7109b282c3304cb7cd3780ec",
            id="miso",
        ),
        pytest.param(
            regtest(),
            "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
            "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
            id="regtest",
        ),
        pytest.param(
            bitcoin(),
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
            id="bitcoin",
        ),
    ],
)
def test_genesis(params, block_hash, merkle_root):
    genesis = params.genesis
    assert genesis.header.hash_hex == block_hash
    assert genesis.header.merkle_root[::-1].hex() == merkle_root
    assert genesis.transactions[0].txid_hex == merkle_root
    assert genesis.header.prev_hash == bytes(32)


def test_the_genesis_of_miso_says_who_is_good():
    header, (coinbase,) = miso().genesis
    assert header[3:6] == (1512254915, 0x1E0FFFFF, 1050933)
    assert coinbase.vin[0].script_sig == b"\x12Miso is a good boy"
    assert coinbase.vout == ((15 * COIN, b"\x6a"),)
    assert int.from_bytes(header.hash, "little") <= miso().pow_limit


def test_miso():
    params = miso()
    assert params.name == "miso"
    assert params.magic.hex() == "d14d6973"
    assert params.retarget is Retarget.EVERY_BLOCK
    assert params.pow_limit == 0x0FFFFF << 216
    assert params.target_spacing == 30
    assert params.half_life == 1800
    assert params.max_future == 600
    assert params.max_step_back == 600
    assert params.initial_subsidy == 1_500_000_000
    assert params.halving_interval == 4_200_000
    assert params.max_money == 12_600_000_000_000_000
    assert params.coinbase_maturity == 100
    assert params.default_port == 4000
    assert dataclasses.astuple(params.activation) == (1, 1, 1, 1, 1)
    assert params.address.hrp == "miso"
    assert dict(params.script_exceptions) == {}
    assert params.bip30_exceptions == frozenset()


def test_regtest():
    params = regtest()
    assert params.magic.hex() == "fabfb5da"
    assert params.retarget is Retarget.NEVER
    assert params.pow_limit == 2**255 - 1
    assert params.max_future == 7200
    assert params.max_step_back is None
    assert params.initial_subsidy == 5_000_000_000
    assert params.halving_interval == 150
    assert params.max_money == 2_100_000_000_000_000
    assert params.coinbase_maturity == 100
    assert dataclasses.astuple(params.activation) == (1, 1, 1, 1, 0)
    assert dataclasses.astuple(params.address)[:4] == ("bcrt", 111, 196, 239)
    assert params.genesis.header[3:6] == (1296688602, 0x207FFFFF, 2)


def test_bitcoin():
    params = bitcoin()
    assert params.magic.hex() == "f9beb4d9"
    assert params.retarget is Retarget.EVERY_INTERVAL
    assert params.pow_limit == 2**224 - 1
    assert (params.target_spacing, params.retarget_interval) == (600, 2016)
    assert params.max_future == 7200
    assert params.max_step_back is None
    assert params.initial_subsidy == 5_000_000_000
    assert params.halving_interval == 210_000
    assert params.max_money == 2_100_000_000_000_000
    assert params.coinbase_maturity == 100
    assert dataclasses.astuple(params.activation) == (227931, 388381, 363725, 419328, 481824)
    assert dataclasses.astuple(params.address)[:4] == ("bc", 0, 5, 128)
    assert params.genesis.header[3:6] == (1231006505, 0x1D00FFFF, 2083236893)
    assert params.bip34_hash == _hash(
        "000000000000024b89b42a942fe0d9fea3bb44ab7bd1b19115dd6a759c0808b8"
    )
    assert params.minimum_chain_work == 0x63C4EBD298DB40AF57541800
    assert (miso().minimum_chain_work, regtest().minimum_chain_work) == (0, 0)
    assert params.bip30_exceptions == {
        (91842, _hash("00000000000a4d0a398161ffc163c503763b1f4360639393e0e4c8e300e0caec")),
        (91880, _hash("00000000000743f190a18c5577a3c2d2a1f610ae9601ac046a38084ccb7cd721")),
    }
    assert dict(params.script_exceptions) == {
        _hash("00000000000002dc756eebf4f49723ed8d30cc28a5f108eb94b1ba88ac4f9c22"): frozenset(),
        _hash("0000000000000000000f14c35b2d841e986ab5441de8c585d5ffe55ea1e395ad"): frozenset(
            {"P2SH", "WITNESS"}
        ),
    }


def test_networks_by_name():
    assert NETWORK_NAMES == ("miso", "regtest", "bitcoin")
    for name in NETWORK_NAMES:
        assert params_by_name(name).name == name
        assert params_by_name(name) is params_by_name(name)
    with pytest.raises(ConfigError, match="no chain 'main': choose miso, regtest, bitcoin"):
        params_by_name("main")


def test_no_two_networks_share_what_tells_them_apart():
    networks = [params_by_name(name) for name in NETWORK_NAMES]
    for tell in (lambda p: p.magic, lambda p: p.genesis.hash, lambda p: p.address.hrp):
        assert len({tell(params) for params in networks}) == len(networks)


def test_params_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        miso().max_money = 0
    with pytest.raises(TypeError):
        bitcoin().script_exceptions[b""] = frozenset()
