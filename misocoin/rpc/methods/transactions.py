"""Methods that show, make, sign and send transactions."""

from collections.abc import Callable
from typing import Annotated

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.wif import key_from_wif
from misocoin.errors import AmountError, NotFoundError
from misocoin.http.errors import RpcError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import (
    SEQUENCE_FINAL,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    outpoint,
    transaction_from_bytes,
)
from misocoin.rpc.declare import Category, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import TX_FIELDS, hash_hex, tx_json
from misocoin.rpc.json import Json
from misocoin.rpc.params import AMOUNT, ARRAY, ARRAY_OR_OBJECT, HASH, HEX, INTEGER, STRING
from misocoin.rpc.schema import hexadecimal, number, obj, optional, timestamp
from misocoin.script.address import script_from_address
from misocoin.script.sighash import TxDigests
from misocoin.script.signing import KeyRing, sign_input
from misocoin.script.templates import nulldata_script
from misocoin.units import Sats, sats_from_json

DEFAULT_MAX_FEERATE = Sats(10_000_000)
"""Base units per 1,000 virtual bytes, as in Core: who forgets the change pays it as a fee."""

FindOwn = Callable[[bytes], tuple[Transaction, bytes | None] | None]
"""From a txid to the wallet's transaction and the hash of its block, if it is the wallet's."""


class TransactionMethods:
    """Transactions, confirmed or not."""

    def __init__(self, chain: ChainState, pool: TransactionPool, find_own: FindOwn) -> None:
        self._chain = chain
        self._pool = pool
        self._find_own = find_own

    @method(
        Category.TRANSACTIONS,
        result=obj(
            "the transaction",
            **TX_FIELDS,
            confirmations=number("blocks from its own to the tip; 0 while it waits"),
            block_hash=optional(hexadecimal("its block")),
            height=optional(number("its block's height")),
            time=optional(timestamp("its block's time")),
        ),
    )
    def get_tx(self, txid: Annotated[bytes, HASH, "the transaction's id"]) -> Json:
        """Show a transaction of the mempool or of the chain.

        Found are those of the mempool and of the wallet, those of which an output is unspent,
        and with `-txindex` all.
        """
        tx, block_hash = self._find(txid)
        form = tx_json(tx, self._chain.params)
        form["confirmations"] = 0
        if block_hash is not None:
            node = self._chain.find(block_hash)
            form["confirmations"] = self._chain.tip.height - node.height + 1
            form["block_hash"] = hash_hex(block_hash)
            form["height"] = node.height
            form["time"] = node.header.time
        return form

    def _find(self, txid: bytes) -> tuple[Transaction, bytes | None]:
        chain = self._chain
        with chain.lock:
            waiting = self._pool.mempool.get(txid)
            if waiting is not None:
                return waiting.tx, None
            own = self._find_own(txid)
            if own is not None:
                return own
            node = chain.find_transaction_block(txid)
        if node is not None:
            for tx in chain.get_block(node).transactions:
                if tx.txid == txid:
                    return tx, node.hash
        hint = "" if chain.options.txindex else "; -txindex finds every one of the chain"
        raise NotFoundError(f"No such mempool or blockchain transaction{hint}")

    @method(
        Category.TRANSACTIONS,
        result=hexadecimal("the transaction's bytes, without signatures"),
        examples=('\'[{"txid":"…","vout":0}]\' \'{"miso1…":1.5}\'',),
    )
    def create_raw_tx(
        self,
        vins: Annotated[
            list[Json], ARRAY, 'what to spend: objects {"txid", "vout", "sequence" (optional)}'
        ],
        vouts: Annotated[
            list[Json] | dict[str, Json],
            ARRAY_OR_OBJECT,
            'what to pay: {"address": amount, ...}, or an array of such; {"data": hex} stores data',
        ],
        locktime: Annotated[int, INTEGER, "first height or unix time of its block"] = 0,
    ) -> Json:
        """Make a transaction of inputs and outputs, unsigned.

        What the inputs hold beyond the outputs is the fee: there is no change but what you add.
        """
        if not 0 <= locktime <= 0xFFFFFFFF:
            raise _invalid("locktime is out of range")
        default = SEQUENCE_FINAL - 1 if locktime else SEQUENCE_FINAL
        inputs = [self._input(vin, default) for vin in vins]
        pairs = list(vouts.items()) if isinstance(vouts, dict) else _pairs(vouts)
        outputs = [self._output(name, value) for name, value in pairs]
        return Transaction.build(2, inputs, outputs, locktime).serialize().hex()

    def _input(self, vin: Json, default_sequence: int) -> TxIn:
        if not isinstance(vin, dict):
            raise _invalid('an input is an object {"txid": ..., "vout": ...}')
        txid = HASH.parse(_text(vin.get("txid"), "txid"), "txid")
        index = vin.get("vout")
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index <= 0xFFFFFFFF:
            raise _invalid("vout must be a number of an output, from 0 on")
        sequence = vin.get("sequence", default_sequence)
        if type(sequence) is not int or not 0 <= sequence <= 0xFFFFFFFF:
            raise _invalid("sequence is out of range")
        return TxIn(outpoint(txid, index), sequence=sequence)

    def _output(self, name: str, value: Json) -> TxOut:
        if name == "data":
            data = HEX.parse(_text(value, "data"), "data")
            return TxOut(0, nulldata_script(data))
        script = script_from_address(name, self._chain.params)
        sats = sats_from_json(value)
        if sats > self._chain.params.max_money:
            raise AmountError(f"{name}: more than there can ever be")
        return TxOut(sats, script)

    @method(Category.TRANSACTIONS, result=hexadecimal("the transaction with the input signed"))
    def sign_raw_tx(
        self,
        tx: Annotated[bytes, HEX, "the transaction's bytes"],
        index: Annotated[int, INTEGER, "which input to sign, from 0 on"],
        priv_key: Annotated[str, STRING, "the private key: 64 hex digits or WIF"],
    ) -> Json:
        """Sign one input of a transaction with a private key.

        What it spends is looked up among the unspent coins and in the mempool.
        """
        params = self._chain.params
        parsed = transaction_from_bytes(tx)
        if not 0 <= index < len(parsed.vin):
            raise _invalid(f"index must be 0 to {len(parsed.vin) - 1}")
        if len(priv_key) == 64:
            key = PrivateKey.from_hex(priv_key)
        else:
            key = key_from_wif(priv_key, params.address.wif)
        points = [txin.prevout for txin in parsed.vin]
        with self._chain.lock:
            found = self._pool.mempool.get_coins(points)
        missing = [point for point in points if point not in found]
        if missing:
            raise NotFoundError(f"input not found or already spent: {_place(missing[0])}")
        digests = TxDigests(parsed, [found[point] for point in points])
        signed = list(parsed.vin)
        signed[index] = sign_input(digests, index, KeyRing.build([key]))
        whole = Transaction.build(parsed.version, signed, parsed.vout, parsed.locktime)
        return whole.serialize().hex()

    @method(Category.TRANSACTIONS, result=hexadecimal("the transaction's id"))
    def send_raw_tx(
        self,
        tx: Annotated[bytes, HEX, "the signed transaction's bytes"],
        max_fee_rate: Annotated[
            Sats, AMOUNT, "coins per 1,000 virtual bytes that it may pay at most; 0 for any"
        ] = DEFAULT_MAX_FEERATE,
    ) -> Json:
        """Hand in a transaction.

        When this returns it is in the mempool and on disk. Breaking a rule is error -25 or -26
        with Bitcoin Core's reject string.
        """
        limit = FeeRate(max_fee_rate) if max_fee_rate else None
        entry = self._pool.submit(transaction_from_bytes(tx), limit)
        return hash_hex(entry.txid)


def _invalid(message: str) -> RpcError:
    return RpcError(RpcCode.INVALID_PARAMETER, message)


def _text(value: Json, name: str) -> str:
    if not isinstance(value, str):
        raise _invalid(f"{name} must be a string")
    return value


def _pairs(vouts: list[Json]) -> list[tuple[str, Json]]:
    pairs: list[tuple[str, Json]] = []
    for vout in vouts:
        if not isinstance(vout, dict) or len(vout) != 1:
            raise _invalid('an output is an object of one pair {"address": amount}')
        pairs += vout.items()
    return pairs


def _place(point: OutPoint) -> str:
    return f"{hash_hex(point[:32])}:{int.from_bytes(point[32:], 'little')}"
