"""Bitcoin Core's programs for transactions and headers on a node: bitcoin-tx and bitcoin-util."""

import json
from decimal import Decimal
from typing import Any

import pytest

from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.wif import wif_from_key
from misocoin.primitives.block import Block, BlockHeader, header_from_bytes
from misocoin.primitives.transaction import TxOut, transaction_from_bytes
from tests.builders import KEY, KEY_SCRIPT, make_coinbase, merkle_root, with_commitment
from tests.functional.framework.bitcoind import bitcoind_program
from tests.functional.framework.daemon import Daemon
from tests.functional.framework.registries import Registries, run
from tests.functional.framework.rich_chain import PAY

pytestmark = pytest.mark.tools

OTHER = PrivateKey(bytes(31) + b"\x0b")
KEYS = json.dumps([wif_from_key(key, 239) for key in (KEY, OTHER)])
PUBLIC, SECOND = KEY.public_key.hex(), OTHER.public_key.hex()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Any:
    node = Daemon(tmp_path_factory.mktemp("tx") / "node").start()
    node.rpc.generatetoaddress(110, PAY)
    yield node
    node.close()


class BitcoinTx:
    """bitcoin-tx, by its own words."""

    def __init__(self, registries: Registries) -> None:
        self._program = bitcoind_program(registries, "bitcoin-tx")

    def __call__(self, *words: str) -> str:
        done = run([self._program, "-regtest", *words])
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def sign(self, raw: str, *spent: dict[str, Any]) -> str:
        """Sign all inputs, whose outputs are these."""
        prevtxs = json.dumps(spent)
        return self(raw, f"set=privatekeys:{KEYS}", f"set=prevtxs:{prevtxs}", "sign=ALL")


@pytest.fixture
def tx(registries: Registries) -> BitcoinTx:
    return BitcoinTx(registries)


def spent(rpc: Any, txid: str, index: int, **more: str) -> dict[str, Any]:
    """An output as bitcoin-tx wants to be told of it."""
    output = rpc.gettxout(txid, index)
    script = output["scriptPubKey"]["hex"]
    return {
        "txid": txid, "vout": index, "scriptPubKey": script, "amount": str(output["value"]), **more,
    }  # fmt: skip


def check_decoding(rpc: Any, tx: BitcoinTx, raw: str) -> dict[str, Any]:
    """See that both read a transaction alike."""
    ours, theirs = rpc.decoderawtransaction(raw), json.loads(tx("-json", raw), parse_float=Decimal)
    assert theirs.pop("hex") == raw
    for output in (*ours["vout"], *theirs["vout"]):
        output["scriptPubKey"].pop("desc", None)
    assert ours == theirs
    return ours


def test_what_it_makes_is_taken_and_spent(node: Daemon, tx: BitcoinTx) -> None:
    rpc = node.rpc
    coinbase = rpc.getblock(rpc.getblockhash(1))["tx"][0]
    plain = tx(
        "-create", "nversion=2", f"in={coinbase}:0:4294967293", "locktime=100",
        f"outaddr=10:{PAY}", f"outpubkey=5:{PUBLIC}", f"outpubkey=5:{PUBLIC}:W",
        f"outpubkey=5:{PUBLIC}:WS", f"outmultisig=5:1:2:{PUBLIC}:{SECOND}",
        f"outmultisig=5:2:2:{PUBLIC}:{SECOND}:S", f"outmultisig=5:2:2:{PUBLIC}:{SECOND}:W",
        "outscript=4.9:0x51:WS", "outdata=6d69736f",
    )  # fmt: skip
    check_decoding(rpc, tx, plain)
    signed = tx.sign(plain, spent(rpc, coinbase, 0))
    decoded = check_decoding(rpc, tx, signed)
    assert [each["scriptPubKey"]["type"] for each in decoded["vout"]] == [
        "witness_v0_keyhash", "pubkey", "witness_v0_keyhash", "scripthash", "multisig",
        "scripthash", "witness_v0_scripthash", "scripthash", "nulldata",
    ]  # fmt: skip
    (accepted,) = rpc.testmempoolaccept([signed], 0)
    assert accepted["allowed"], accepted
    txid = rpc.sendrawtransaction(signed, 0)
    assert txid == tx("-txid", signed)
    rpc.generatetoaddress(1, PAY)

    two_of_two = rpc.createmultisig(2, [PUBLIC, SECOND])["redeemScript"]
    scripts = {3: KEY_SCRIPT.hex(), 5: two_of_two, 6: two_of_two}
    for index in range(7):
        again = tx("-create", f"in={txid}:{index}", f"outaddr=4.9:{PAY}")
        more = {"redeemScript": scripts[index]} if index in scripts else {}
        again = tx.sign(again, spent(rpc, txid, index, **more))
        check_decoding(rpc, tx, again)
        (accepted,) = rpc.testmempoolaccept([again], 0)
        assert accepted["allowed"], (index, accepted)
        rpc.sendrawtransaction(again, 0)
    rpc.generatetoaddress(1, PAY)
    assert rpc.getrawmempool() == []


def test_a_transaction_that_our_node_made_is_changed_by_it(node: Daemon, tx: BitcoinTx) -> None:
    rpc = node.rpc
    coinbase = rpc.getblock(rpc.getblockhash(2))["tx"][0]
    raw = rpc.createrawtransaction([{"txid": coinbase, "vout": 0}], [{"data": "00"}, {PAY: 2}])
    changed = tx(raw, "delout=0", f"outaddr=47:{PAY}", "replaceable=0", "locktime=7")
    decoded = check_decoding(rpc, tx, changed)
    assert [each["value"] for each in decoded["vout"]] == [2, 47]
    assert (decoded["locktime"], decoded["vin"][0]["sequence"]) == (7, 0xFFFFFFFD)
    assert rpc.sendrawtransaction(tx.sign(changed, spent(rpc, coinbase, 0)), 0)


def test_a_header_that_its_miner_ground(node: Daemon, registries: Registries) -> None:
    """A block of our template, mined by a miner that we did not write."""
    rpc = node.rpc
    program = bitcoind_program(registries, "bitcoin-util")
    coinbase = rpc.getblock(rpc.getblockhash(3))["tx"][0]
    rpc.sendrawtransaction(
        rpc.signrawtransactionwithkey(
            rpc.createrawtransaction([{"txid": coinbase, "vout": 0}], [{PAY: "49.9999"}]),
            json.loads(KEYS),
        )["hex"]
    )
    template = rpc.getblocktemplate({"rules": ["segwit"]})
    waiting = [
        transaction_from_bytes(bytes.fromhex(each["data"])) for each in template["transactions"]
    ]
    assert waiting
    made = make_coinbase(template["height"], [TxOut(template["coinbasevalue"], KEY_SCRIPT)])
    transactions = (with_commitment(made, waiting), *waiting)
    header = BlockHeader.build(
        template["version"],
        bytes.fromhex(template["previousblockhash"])[::-1],
        merkle_root(transactions),
        template["curtime"],
        int(template["bits"], 16),
        0,
    )
    done = run([program, "-regtest", "grind", header.serialize().hex()])
    assert done.returncode == 0, done.stderr
    block = Block(header_from_bytes(bytes.fromhex(done.stdout.strip())), transactions)
    assert rpc.submitblock(block.serialize().hex()) is None
    assert rpc.getbestblockhash() == block.header.hash_hex
    assert rpc.getrawmempool() == []
