"""Methods that show, make, sign and send transactions."""

from typing import Annotated

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.wif import key_from_wif
from misocoin.errors import NotFoundError, RejectCode, ValidationError
from misocoin.http.errors import RpcError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import (
    OutPoint,
    Transaction,
)
from misocoin.rpc.building import unsigned_from_json
from misocoin.rpc.declare import Category, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.finder import TransactionFinder
from misocoin.rpc.forms import TX_FIELDS, hash_hex, tx_json
from misocoin.rpc.json import Json
from misocoin.rpc.params import (
    AMOUNT,
    ARRAY,
    ARRAY_OR_OBJECT,
    BOOLEAN,
    HASH,
    INTEGER,
    LONG,
    STRING,
    TRANSACTION,
    UNSIGNED,
    invalid,
)
from misocoin.rpc.schema import hexadecimal, number, obj, optional, timestamp
from misocoin.script.address import script_from_address
from misocoin.script.script import is_unspendable
from misocoin.script.sighash import TxDigests
from misocoin.script.signing import KeyRing, sign_input
from misocoin.script.templates import has_valid_operations
from misocoin.units import Sats

DEFAULT_MAX_FEERATE = Sats(10_000_000)
"""Base units per 1,000 virtual bytes, as in Core: who forgets the change pays it as a fee."""


class TransactionMethods:
    """Transactions, confirmed or not."""

    def __init__(self, chain: ChainState, pool: TransactionPool, finder: TransactionFinder) -> None:
        self._chain = chain
        self._pool = pool
        self._finder = finder

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
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def get_tx(
        self, txid: Annotated[bytes, HASH, "the transaction's id"], is_trusted: bool = False
    ) -> Json:
        """Show a transaction of the mempool or of the chain.

        Found are those of the mempool, those of which an output is unspent, with `-txindex` all,
        and with the cookie or the password the wallet's.
        """
        # Strangers would learn what is the wallet's.
        found = self._finder.find(txid, with_own=is_trusted)
        if found is None:
            hint = "" if self._chain.options.txindex else "; -txindex finds every one of the chain"
            raise NotFoundError(f"No such mempool or blockchain transaction{hint}")
        form = tx_json(found.tx, self._chain.params)
        node = found.node
        form["confirmations"] = 0
        if node is not None:
            form["confirmations"] = self._chain.tip.height - node.height + 1
            form["block_hash"] = node.header.hash_hex
            form["height"] = node.height
            form["time"] = node.header.time
        return form

    @method(
        Category.TRANSACTIONS,
        result=hexadecimal("the transaction's bytes, without signatures"),
        examples=('\'[{"txid":"…","vout":0}]\' \'{"miso1…":1.5}\'',),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
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
        locktime: Annotated[int, LONG, "first height or unix time of its block"] = 0,
        replaceable: Annotated[bool, BOOLEAN, "ask to be replaceable (BIP125)"] = False,
        version: Annotated[int, UNSIGNED, "the transaction's version"] = 2,
    ) -> Json:
        """Make a transaction of inputs and outputs, unsigned.

        What the inputs hold beyond the outputs is the fee: there is no change but what you add.
        """
        params = self._chain.params
        return (
            unsigned_from_json(
                vins,
                vouts,
                locktime,
                version,
                lambda address: script_from_address(address, params),
                params.max_money,
                replaceable=replaceable,
            )
            .serialize()
            .hex()
        )

    @method(
        Category.TRANSACTIONS,
        result=hexadecimal("the transaction with the input signed"),
        errors=(
            RpcCode.WALLET_ERROR,
            RpcCode.INVALID_ADDRESS_OR_KEY,
            RpcCode.INVALID_PARAMETER,
            RpcCode.DESERIALIZATION_ERROR,
        ),
    )
    def sign_raw_tx(
        self,
        tx: Annotated[Transaction, TRANSACTION, "the transaction's bytes"],
        index: Annotated[int, INTEGER, "which input to sign, from 0 on"],
        priv_key: Annotated[str, STRING, "the private key: 64 hex digits or WIF"],
    ) -> Json:
        """Sign one input of a transaction with a private key.

        What it spends is looked up among the unspent coins and in the mempool.
        """
        params = self._chain.params
        if not 0 <= index < len(tx.vin):
            raise invalid(f"index must be 0 to {len(tx.vin) - 1}")
        if len(priv_key) == 64:
            key = PrivateKey.from_hex(priv_key)
        else:
            key = key_from_wif(priv_key, params.address.wif)
        points = [txin.prevout for txin in tx.vin]
        with self._chain.lock:
            found = self._pool.mempool.get_coins(points)
        missing = [point for point in points if point not in found]
        if missing:
            raise NotFoundError(f"input not found or already spent: {_place(missing[0])}")
        digests = TxDigests(tx, [found[point] for point in points])
        signed = list(tx.vin)
        signed[index] = sign_input(digests, index, KeyRing.build([key]))
        whole = Transaction.build(tx.version, signed, tx.vout, tx.locktime)
        return whole.serialize().hex()

    @method(
        Category.TRANSACTIONS,
        result=hexadecimal("the transaction's id"),
        errors=(
            RpcCode.DESERIALIZATION_ERROR,
            RpcCode.VERIFY_ERROR,
            RpcCode.VERIFY_REJECTED,
            RpcCode.VERIFY_ALREADY_IN_CHAIN,
        ),
    )
    def send_raw_tx(
        self,
        tx: Annotated[Transaction, TRANSACTION, "the signed transaction's bytes"],
        max_fee_rate: Annotated[
            Sats, AMOUNT, "coins per 1,000 virtual bytes that it may pay at most; 0 for any"
        ] = DEFAULT_MAX_FEERATE,
        max_burn: Annotated[
            Sats | None, AMOUNT, "coins that one unspendable output may hold; any if left out"
        ] = None,
    ) -> Json:
        """Hand in a transaction.

        When this returns it is in the mempool and on disk. Breaking a rule is error -25 or -26
        with Bitcoin Core's reject string. One that is there already may be handed in again.
        """
        if max_burn is not None:
            check_burn(tx, max_burn)
        with self._chain.lock:
            if self._pool.mempool.get(tx.txid) is None:
                self._submit(tx, FeeRate(max_fee_rate) if max_fee_rate else None)
        return hash_hex(tx.txid)

    def _submit(self, tx: Transaction, max_feerate: FeeRate | None) -> None:
        try:
            self._pool.submit(tx, max_feerate)
        except ValidationError as error:
            # As in Core: of what a block holds that is all to be said, a coinbase included.
            if self._chain.get_coins([tx.outpoint(index) for index in range(len(tx.vout))]):
                raise ValidationError("txn-already-known", "", RejectCode.DUPLICATE) from error
            raise


def check_burn(tx: Transaction, limit: int) -> None:
    """Check that no output that nobody can spend holds more than `limit`; raises RpcError."""
    for value, script in tx.vout:
        if value > limit and (is_unspendable(script) or not has_valid_operations(script)):
            raise RpcError(
                RpcCode.VERIFY_ERROR,
                "Unspendable output exceeds maximum configured by user (maxburnamount)",
            )


def _place(point: OutPoint) -> str:
    return f"{hash_hex(point[:32])}:{int.from_bytes(point[32:], 'little')}"
