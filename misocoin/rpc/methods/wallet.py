"""Methods of the wallet; all of them want the cookie or the password."""

from typing import Annotated

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.errors import NotFoundError
from misocoin.http.errors import RpcError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import outpoint_index, transaction_from_bytes
from misocoin.rpc.declare import Access, Category, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import AMOUNT, HEX, INTEGER, STRING
from misocoin.rpc.schema import (
    array,
    coins,
    hexadecimal,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.script.address import address_from_script, script_from_address
from misocoin.script.signing import sign_transaction
from misocoin.units import Sats
from misocoin.wallet.wallet import HistoryEntry, Wallet

MAX_LISTED = 10_000
"""Transactions in one answer."""


class WalletMethods:
    """Addresses, balance, payments."""

    def __init__(self, chain: ChainState, pool: TransactionPool, wallet: Wallet) -> None:
        self._chain = chain
        self._pool = pool
        self._wallet = wallet

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "",
            available=coins("can be spent now"),
            pending=coins("paid to it, in no block yet"),
            immature=coins("mined less than 100 blocks ago"),
        ),
    )
    def get_balances(self) -> Json:
        """Tell what the wallet holds, by how soon it can be spent."""
        balance = self._wallet.balance()
        return {
            "available": amount(balance.available),
            "pending": amount(balance.pending),
            "immature": amount(balance.immature),
        }

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=coins("what can be spent now, or what the address holds"),
    )
    def get_balance(
        self,
        address: Annotated[str | None, STRING, "any address; the whole wallet if left out"] = None,
    ) -> Json:
        """Tell what the wallet can spend now, or what the chain holds for an address.

        For an address all confirmed coins count, those too young to be spent included. See
        get_balances for what is pending or immature in the wallet.
        """
        if address is None:
            return amount(self._wallet.balance().available)
        script = script_from_address(address, self._chain.params)
        return amount(sum(coin.value for coin in self._chain.coins_of(script).values()))

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=hexadecimal("the payment's transaction id"),
        examples=("miso1q… 1.5",),
    )
    def send_misocoin(
        self,
        to_address: Annotated[str, STRING, "whom to pay: an address, or 40 hex digits"],
        amount: Annotated[Sats, AMOUNT, "how many coins"],
        fee_rate: Annotated[
            Sats | None, AMOUNT, "coins per 1,000 virtual bytes; by the mempool if left out"
        ] = None,
    ) -> Json:
        """Pay an address from the wallet.

        When this returns the payment is signed, in the mempool and on disk.
        """
        rate = self._fee_rate() if fee_rate is None else FeeRate(fee_rate)
        payment = self._wallet.send(to_address, amount, rate, self._pool.submit)
        return hash_hex(payment.tx.txid)

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=hexadecimal("the transaction, all its inputs signed"),
    )
    def sign_raw_tx_with_wallet(self, tx: Annotated[bytes, HEX, "the transaction's bytes"]) -> Json:
        """Sign every input of a transaction with the wallet's keys.

        What it spends is looked up among the unspent coins and in the mempool. An error tells of
        an input that is unknown, spent, or not the wallet's.
        """
        parsed = transaction_from_bytes(tx)
        points = [txin.prevout for txin in parsed.vin]
        with self._chain.lock:
            found = self._pool.mempool.get_coins(points)
            missing = [point for point in points if point not in found]
            if missing:
                place = f"{hash_hex(missing[0][:32])}:{outpoint_index(missing[0])}"
                raise NotFoundError(f"input not found or already spent: {place}")
            spent = [found[point] for point in points]
            return sign_transaction(parsed, spent, self._wallet.keys).serialize().hex()

    def _fee_rate(self) -> FeeRate:
        with self._chain.lock:
            return self._pool.fee_rate()

    @method(Category.WALLET, access=Access.AUTH, result=text("an address"))
    def get_new_address(self) -> Json:
        """Make a new key and tell its address."""
        return self._wallet.new_address()

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "the first one is mined to and gets the change",
            obj("", address=text("an address"), balance=coins("what the chain holds for it")),
        ),
    )
    def list_addresses(self) -> Json:
        """List the wallet's addresses with what they hold."""
        held = self._wallet.balances_by_address()
        return [{"address": name, "balance": amount(sats)} for name, sats in held.items()]

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "latest last",
            obj(
                "",
                txid=hexadecimal("the transaction"),
                kind=text("mined, received, sent or moved (within the wallet)"),
                amount=coins("what the wallet gained, or lost where negative"),
                to=optional(array("whom it pays beside the wallet", text("an address"))),
                state=text("confirmed, in mempool or dropped"),
                confirmations=number("blocks from its own to the tip"),
                height=optional(number("its block's height")),
                time=timestamp("when it was first seen or mined"),
            ),
        ),
    )
    def list_transactions(
        self,
        count: Annotated[int, INTEGER, "at most so many"] = 10,
        skip: Annotated[int, INTEGER, "pass over so many of the latest"] = 0,
    ) -> Json:
        """List the wallet's latest transactions."""
        if not 0 <= count <= MAX_LISTED or skip < 0:
            raise RpcError(
                RpcCode.INVALID_PARAMETER, f"count must be 0 to {MAX_LISTED}, skip 0 or more"
            )
        return [self._entry(entry) for entry in self._wallet.history(count, skip)]

    def _entry(self, item: HistoryEntry) -> Json:
        entry, tx = item.entry, item.entry.tx
        others = [
            address_from_script(txout.script_pubkey, self._chain.params) or "unknown script"
            for txout in tx.vout
            if not self._wallet.is_mine(txout.script_pubkey)
        ]
        if tx.is_coinbase:
            kind = "mined"
        elif not item.spent:
            kind = "received"
        else:
            kind = "sent" if others else "moved"
        form: dict[str, Json] = {
            "txid": hash_hex(tx.txid),
            "kind": kind,
            "amount": amount(item.received - item.spent),
            "state": entry.state.value,
            "confirmations": item.confirmations,
            "time": entry.time,
        }
        if kind == "sent":
            form["to"] = others
        if entry.height >= 0:
            form["height"] = entry.height
        return form
