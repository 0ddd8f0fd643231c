"""Methods that store small data in the chain itself, and find it there."""

from typing import Annotated

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.errors import NotFoundError
from misocoin.policy.feerate import FeeRate
from misocoin.policy.settings import RelayPolicy
from misocoin.primitives.transaction import TxOut
from misocoin.rpc.declare import Access, Category, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.finder import TransactionFinder
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json
from misocoin.rpc.params import AMOUNT, HASH, HEX, STRING, invalid
from misocoin.rpc.schema import hexadecimal, number, obj, optional, text, timestamp
from misocoin.script.script import MAX_SCRIPT_SIZE, operations
from misocoin.script.templates import ScriptKind, nulldata_script, template_from_script
from misocoin.units import Sats
from misocoin.wallet.wallet import Wallet

_PUSH_SIZE = 3
"""Bytes of the script around data of 76 to 255 bytes: OP_RETURN, OP_PUSHDATA1, length."""


class DataMethods:
    """Outputs that store data."""

    def __init__(
        self, chain: ChainState, pool: TransactionPool, finder: TransactionFinder, wallet: Wallet
    ) -> None:
        self._chain = chain
        self._pool = pool
        self._finder = finder
        self._wallet = wallet

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "where it is found from now on",
            txid=hexadecimal("the payment's transaction id"),
            n=number("the output that stores it"),
        ),
        examples=("48656c6c6f",),
        errors=(
            RpcCode.WALLET_ERROR,
            RpcCode.INSUFFICIENT_FUNDS,
            RpcCode.INVALID_PARAMETER,
            RpcCode.WALLET_UNLOCK_NEEDED,
        ),
    )
    def put_data(
        self,
        data: Annotated[bytes, HEX, "what to store, 1 to 80 bytes: for all to see, and for good"],
        fee_rate: Annotated[
            Sats | None, AMOUNT, "coins per 1,000 virtual bytes; by the mempool if left out"
        ] = None,
        note: Annotated[str, STRING, "for your own records"] = "",
    ) -> Json:
        """Store small data in the chain, in an output that holds no coins.

        When this returns the payment, which costs its fee, is signed, in the mempool and on disk.
        """
        most = _most_bytes(self._pool.mempool.rules.policy)
        if not 0 < len(data) <= most:
            raise invalid(f"data must have 1 to {most} bytes, and has {len(data)}")
        with self._chain.lock:
            rate = self._pool.fee_rate() if fee_rate is None else FeeRate(fee_rate)
        output = TxOut(0, nulldata_script(data))
        payment = self._wallet.pay([output], rate, self._pool.submit, note=note)
        return {"txid": hash_hex(payment.tx.txid), "n": payment.tx.vout.index(output)}

    @method(
        Category.TRANSACTIONS,
        result=obj(
            "",
            data=hexadecimal("what is stored"),
            text=optional(text("the same, where it is text in UTF-8 that can be printed")),
            txid=hexadecimal("the transaction that stores it"),
            n=number("the output that stores it"),
            confirmations=number("blocks from its own to the tip; 0 while it waits"),
            block_hash=optional(hexadecimal("its block")),
            height=optional(number("its block's height")),
            time=optional(timestamp("its block's time")),
        ),
        examples=("<txid>:1",),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def get_data(
        self,
        place: Annotated[
            str, STRING, "txid:n; without n the transaction's first output that stores data"
        ],
        is_trusted: bool = False,
    ) -> Json:
        """Show what an output stores. Transactions are found as by get_tx."""
        txid_hex, colon, number = place.partition(":")
        is_number = number.isdecimal() and number.isascii() and len(number) <= 9
        if len(txid_hex) != 64 or (colon and not is_number):
            raise invalid(
                f"place must be a transaction's id of 64 hex digits, or id:n (not '{place[:80]}')"
            )
        txid = HASH.parse(txid_hex, "place")
        found = self._finder.find(txid, with_own=is_trusted)
        if found is None:
            hint = "" if self._chain.options.txindex else "; -txindex finds every one of the chain"
            raise NotFoundError(f"No such mempool or blockchain transaction{hint}")
        stored = {n: out for n, out in enumerate(found.tx.vout) if _stores_data(out)}
        n = int(number) if colon else min(stored, default=-1)
        if n not in stored:
            raise NotFoundError(f"{f'Output {n}' if colon else 'The transaction'} stores no data")
        data = _data_of(stored[n].script_pubkey)
        form: dict[str, Json] = {"data": data.hex()}
        shown = data.decode("utf-8", "replace")
        if shown.isprintable() and "\N{REPLACEMENT CHARACTER}" not in shown:
            form["text"] = shown
        form |= {"txid": txid_hex.lower(), "n": n, "confirmations": 0}
        node = found.node
        if node is not None:
            form["confirmations"] = self._chain.tip.height - node.height + 1
            form["block_hash"] = node.header.hash_hex
            form["height"] = node.height
            form["time"] = node.header.time
        return form


def _most_bytes(policy: RelayPolicy) -> int:
    limit = policy.max_data_carrier if policy.require_standard else MAX_SCRIPT_SIZE
    return limit - _PUSH_SIZE


def _stores_data(output: TxOut) -> bool:
    return template_from_script(output.script_pubkey).kind is ScriptKind.NULLDATA


def _data_of(script: bytes) -> bytes:
    """All that is pushed behind OP_RETURN, one after the other."""
    return b"".join(data or b"" for _, data in operations(script[1:]))
