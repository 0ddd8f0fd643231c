"""Methods of the wallet; all of them want the cookie or the password."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.http.errors import RpcError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import TxOut
from misocoin.rpc.declare import Access, Category, method
from misocoin.rpc.errors import PAYING, RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import AMOUNT, HASH, INTEGER, OBJECT, STRING
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    hexadecimal,
    mapping,
    nullable,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.script.address import address_from_script, script_from_address
from misocoin.units import Sats, sats_from_json
from misocoin.wallet.addresses import AddressType, address_type_from_text
from misocoin.wallet.telling import TxKind, story_of
from misocoin.wallet.views import HistoryEntry
from misocoin.wallet.wallet import Wallet

MAX_LISTED = 10_000
"""Transactions in one answer."""

MAX_RECIPIENTS = 2_000
"""Of one payment; more do not fit into a transaction that is relayed."""

_FEE_RATE = "coins per 1,000 virtual bytes; by the mempool if left out"
_NOTE = "for your own records"


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
        errors=PAYING,
    )
    def send_misocoin(
        self,
        to_address: Annotated[str, STRING, "whom to pay: an address, 40 hex digits or a label"],
        amount: Annotated[Sats, AMOUNT, "how many coins"],
        fee_rate: Annotated[Sats | None, AMOUNT, _FEE_RATE] = None,
        note: Annotated[str, STRING, _NOTE] = "",
    ) -> Json:
        """Pay an address from the wallet.

        When this returns the payment is signed, in the mempool and on disk.
        """
        outputs = [TxOut(amount, self._wallet.script_of(to_address))]
        return self._pay(outputs, fee_rate, None, note)

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=hexadecimal("the payment's transaction id"),
        examples=("""'{"miso1q…": 1.5, "miso1p…": 2}'""",),
        errors=(*PAYING, RpcCode.INVALID_PARAMETER),
    )
    def send_many(
        self,
        amounts: Annotated[
            dict[str, Json], OBJECT, "address or label -> how many coins, for each recipient"
        ],
        fee_rate: Annotated[Sats | None, AMOUNT, _FEE_RATE] = None,
        note: Annotated[str, STRING, _NOTE] = "",
    ) -> Json:
        """Pay several addresses at once."""
        if not 0 < len(amounts) <= MAX_RECIPIENTS:
            raise RpcError(RpcCode.INVALID_PARAMETER, f"name 1 to {MAX_RECIPIENTS} recipients")
        outputs = [
            TxOut(sats_from_json(value), self._wallet.script_of(name))
            for name, value in amounts.items()
        ]
        return self._pay(outputs, fee_rate, None, note)

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=hexadecimal("the payment's transaction id"),
        examples=("miso1q…",),
        errors=PAYING,
    )
    def send_all(
        self,
        to_address: Annotated[str, STRING, "who gets all: an address, 40 hex digits or a label"],
        fee_rate: Annotated[Sats | None, AMOUNT, _FEE_RATE] = None,
        note: Annotated[str, STRING, _NOTE] = "",
    ) -> Json:
        """Send every coin that can be spent and is worth its fee to one address."""
        return self._pay([], fee_rate, self._wallet.script_of(to_address), note)

    def _pay(
        self, outputs: Sequence[TxOut], fee_rate: Sats | None, sink: bytes | None, note: str
    ) -> Json:
        rate = self._fee_rate() if fee_rate is None else FeeRate(fee_rate)
        payment = self._wallet.pay(outputs, rate, self._pool.submit, sink=sink, note=note)
        return hash_hex(payment.tx.txid)

    def _fee_rate(self) -> FeeRate:
        with self._chain.lock:
            return self._pool.fee_rate()

    @method(
        Category.WALLET,
        access=Access.AUTH,
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def abandon_transaction(
        self, txid: Annotated[bytes, HASH, "a payment that waits to be sent again"]
    ) -> Json:
        """Give a payment up that is in no block and no mempool, so that its coins are free."""
        self._wallet.abandon(txid)
        return None

    # -- addresses ----------------------------------------------------------------------------

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("an address"),
        examples=("tea bech32m",),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def get_new_address(
        self,
        label: Annotated[str, STRING, "what to call it"] = "",
        address_type: Annotated[
            str | None, STRING, "bech32, bech32m, p2sh-segwit or legacy; bech32 if left out"
        ] = None,
    ) -> Json:
        """Tell an address that was not used before."""
        return self._wallet.new_address(label, _type_of(address_type))

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "the first one is mined to; addresses for change come last, while they hold something",
            obj(
                "",
                address=text("an address"),
                balance=coins("what the chain holds for it"),
                label=optional(text("what it is called")),
            ),
        ),
    )
    def list_addresses(self) -> Json:
        """List the wallet's addresses with what they hold."""
        held, labels = self._wallet.balances_by_address(), self._wallet.labels
        forms: list[Json] = []
        for address, sats in held.items():
            form: dict[str, Json] = {"address": address, "balance": amount(sats)}
            if address in labels:
                form["label"] = labels[address]
            forms.append(form)
        return forms

    @method(
        Category.WALLET,
        access=Access.AUTH,
        examples=("miso1q… tea",),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY),
    )
    def set_label(
        self,
        address: Annotated[str, STRING, "any address, of the wallet or not"],
        label: Annotated[str, STRING, "what to call it; nothing takes the name away"] = "",
    ) -> Json:
        """Call an address something. Payments can be made to a label that one address has."""
        self._wallet.set_label(address, label)
        return None

    @method(
        Category.WALLET, access=Access.AUTH, result=mapping("by address", text("what it is called"))
    )
    def list_labels(self) -> Json:
        """List what addresses are called."""
        return dict(self._wallet.labels)

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "",
            obj(
                "",
                txid=hexadecimal("the transaction that holds it"),
                vout=number("its place there"),
                address=nullable(text("where it lies")),
                label=optional(text("what that is called")),
                amount=coins("what it holds"),
                confirmations=number("blocks from its own to the tip"),
                is_mined=boolean("whether it was mined"),
                is_spendable=boolean("whether a payment can spend it now"),
                is_locked=optional(boolean("true where its owner holds it back")),
            ),
        ),
    )
    def list_unspent(
        self,
        min_confirmations: Annotated[int, INTEGER, "leave out what has fewer"] = 0,
    ) -> Json:
        """List the wallet's coins, those too young or not confirmed included."""
        labels = self._wallet.labels
        forms: list[Json] = []
        for coin, confirmations, is_spendable, is_locked in self._wallet.unspent():
            if confirmations < min_confirmations:
                continue
            address = address_from_script(coin.script_pubkey, self._chain.params)
            form: dict[str, Json] = {
                "txid": hash_hex(coin.point[:32]),
                "vout": int.from_bytes(coin.point[32:], "little"),
                "address": address,
                "amount": amount(coin.value),
                "confirmations": confirmations,
                "is_mined": coin.is_coinbase,
                "is_spendable": is_spendable,
            }
            if is_locked:
                form["is_locked"] = True
            if address in labels:
                form["label"] = labels[address]
            forms.append(form)
        return forms

    # -- history ------------------------------------------------------------------------------

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "by time, latest last",
            obj(
                "",
                txid=hexadecimal("the transaction"),
                kind=text("mined, received, sent or moved (within the wallet)"),
                amount=coins("what the wallet gained, or lost where negative"),
                to=optional(array("whom it pays beside the wallet", text("an address"))),
                at=optional(array("which addresses of the wallet it pays", text("an address"))),
                labels=optional(array("what these addresses are called", text("a label"))),
                note=optional(text("what you noted on it")),
                state=text(
                    "confirmed, in mempool, waiting (sent again until it is mined) or dropped"
                ),
                confirmations=number("blocks from its own to the tip"),
                height=optional(number("its block's height")),
                time=timestamp("when it was first seen or mined"),
            ),
        ),
        errors=(RpcCode.INVALID_PARAMETER,),
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
        labels = self._wallet.labels
        return [self._entry(entry, labels) for entry in self._wallet.history(count, skip)]

    @method(
        Category.WALLET,
        access=Access.AUTH,
        examples=("<txid> 'for tea'",),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def set_note(
        self,
        txid: Annotated[bytes, HASH, "a transaction of the wallet's"],
        note: Annotated[str, STRING, _NOTE] = "",
    ) -> Json:
        """Note something on a transaction; nothing takes the note away."""
        self._wallet.set_note(txid, note)
        return None

    def _entry(self, item: HistoryEntry, labels: Mapping[str, str]) -> Json:
        entry, tx = item.entry, item.entry.tx
        kind, own, others = story_of(
            tx, spends_own=bool(item.spent), owner=self._wallet, params=self._chain.params
        )
        form: dict[str, Json] = {
            "txid": hash_hex(tx.txid),
            "kind": kind.value,
            "amount": amount(item.received - item.spent),
            "state": entry.state.value,
            "confirmations": item.confirmations,
            "time": entry.time,
        }
        if kind is TxKind.SENT:
            form["to"] = list(others)
        elif own:
            form["at"] = list(own)
        named = [labels[address] for address in (*own, *others) if address in labels]
        if named:
            form["labels"] = list(named)
        note = self._wallet.note_of(tx.txid)
        if note:
            form["note"] = note
        if entry.height >= 0:
            form["height"] = entry.height
        return form


def _type_of(name: str | None) -> AddressType | None:
    try:
        return None if name is None else address_type_from_text(name)
    except ValueError as error:
        raise RpcError(RpcCode.INVALID_PARAMETER, f"address_type: {error}") from None
