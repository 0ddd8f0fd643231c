"""Data in the chain itself."""

from collections.abc import Iterator

import pytest

from misocoin.primitives.transaction import Transaction, TxOut
from tests.unit.rpc.core.conftest import CoreNode

STRANGER = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry"


@pytest.fixture
def funded(core: CoreNode) -> Iterator[CoreNode]:
    """The node with money in its wallet."""
    if not float(core.get_balance()):
        core.generate(3, core.get_new_address())
        core.generate(100, STRANGER)
    yield core
    core.generate(1, STRANGER)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Hello", "Hello"),
        ("müßig ✓".encode(), "müßig ✓"),
        (b"\x01", None),
        (b"\xff\xfe", None),
        (b"a\x1b[2J", None),
        ("\N{REPLACEMENT CHARACTER}".encode(), None),
        (b"x" * 75, "x" * 75),
        (b"y" * 80, "y" * 80),
    ],
)
def test_what_is_put_is_got(funded: CoreNode, data: bytes, text: str | None) -> None:
    put = funded.put_data(data.hex())
    place = f"{put['txid']}:{put['n']}"
    got = funded.get_data(place)
    assert got == {
        "data": data.hex(), **({"text": text} if text else {}), **put, "confirmations": 0,
    }  # fmt: skip
    (block_hash,) = funded.generate(1, STRANGER)
    mined = funded.get_data(put["txid"])
    assert (mined["data"], mined["n"], mined["confirmations"]) == (data.hex(), put["n"], 1)
    assert mined["block_hash"] == block_hash
    assert mined["height"] == funded.getblockcount()
    assert mined["time"] == funded.getblockheader(block_hash)["time"]


def test_a_payment_that_stores_data_costs_its_fee_alone(funded: CoreNode) -> None:
    put = funded.put_data("00" * 32, 0.0001, "a root")
    output = funded.getrawtransaction(put["txid"], True)["vout"][put["n"]]
    assert float(output["value"]) == 0
    assert output["scriptPubKey"]["hex"] == "6a20" + "00" * 32
    (entry,) = funded.list_transactions(1)
    assert entry["note"] == "a root"
    assert -0.0001 < float(entry["amount"]) < 0


def test_what_cannot_be_put(funded: CoreNode) -> None:
    for data in ("", "00" * 81):
        code, message = funded.error("put_data", data)
        assert (code, "1 to 80 bytes" in message) == (-8, True)
    assert funded.error("put_data", "xyz")[0] == -8
    assert funded.getrawmempool() == []


def test_what_is_not_there(funded: CoreNode) -> None:
    put = funded.put_data("aa")
    txid, other = put["txid"], 1 - put["n"]
    assert funded.error("get_data", f"{txid}:{other}") == (-5, f"Output {other} stores no data")
    assert funded.error("get_data", f"{txid}:7") == (-5, "Output 7 stores no data")
    paid = funded.send_misocoin(STRANGER, 1)
    assert funded.error("get_data", paid) == (-5, "The transaction stores no data")
    assert funded.error("get_data", "11" * 32)[0] == -5
    for place in ("", "11", f"{txid}:", f"{txid}:-1", f"{txid}:1:2", f"{txid}:٣", "zz" * 32):
        assert funded.error("get_data", place)[0] == -8


def test_several_pushes_are_one(funded: CoreNode) -> None:
    """Others store data in their own ways."""
    output = TxOut(0, bytes.fromhex("6a02aabb0001cc"))
    raw = Transaction.build(2, (), [output], 0).serialize().hex()
    whole = funded.fundrawtransaction(raw)["hex"]
    txid = funded.sendrawtransaction(funded.signrawtransactionwithwallet(whole)["hex"])
    assert funded.get_data(txid)["data"] == "aabbcc"
