"""The light wallet as its owner sees it: balances, history, coins to spend, payments.

All of it follows from what the store holds when it is asked, and from the scripts that the keys
watch; nothing is kept here.
"""

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from misocoin.errors import WalletError
from misocoin.params import Params
from misocoin.primitives.transaction import OutPoint, Transaction, transaction_from_bytes
from misocoin.wallet.ledger import (
    UNCONFIRMED,
    Balance,
    Ledger,
    OwnCoin,
    TxState,
    WalletTx,
    is_mature,
)
from misocoin.wallet.light.payments import EXPIRY_SECONDS, Judged, PaymentState, judge
from misocoin.wallet.light.ports import KeysPort
from misocoin.wallet.light.search import is_proven, searched_heights
from misocoin.wallet.light.store import JournalEntry, LightStore, ProvenTx


class ScriptBalance(NamedTuple):
    """Base units that one output script holds."""

    confirmed: int
    """Proven to be there, in blocks."""
    pending: int
    """What the wallet's own payments on their way will change of it; may be negative."""


class HistoryItem(NamedTuple):
    """A transaction of the wallet."""

    entry: WalletTx
    received: int
    """Base units paid to the wallet, change included."""
    spent: int
    """Base units of the wallet's coins spent."""
    confirmations: int
    """0 while in no block."""
    payment: Judged | None
    """What the journal says, for payments of our own."""


class LightWallet:
    """What `store` knows, seen with the scripts of `keys`."""

    def __init__(self, params: Params, store: LightStore, keys: KeysPort) -> None:
        self._params = params
        self._store = store
        self._keys = keys

    @property
    def height(self) -> int:
        """Of the best chain that is known."""
        return self._store.height

    @property
    def searched(self) -> int:
        """Through which height all scripts were searched for: balances are as of there."""
        return min(self.searched_by_name.values(), default=self.height)

    @property
    def searched_by_name(self) -> dict[str, int]:
        """Through which height the scripts of each name were searched for."""
        heights = searched_heights(self._store, self._keys)
        found: dict[str, int] = {}
        for script, watched in self._keys.watched.items():
            found[watched.name] = min(found.get(watched.name, self.height), heights[script])
        return found

    def unproven(self) -> list[ProvenTx]:
        """Transactions whose proof does not hold against the headers any more; none, ever."""
        return [
            each
            for each in self._store.transactions()
            if each.height is not None and not is_proven(each, self._store)
        ]

    def payments(self, now: int) -> list[Judged]:
        """The journal, and what became of each payment by unix time `now`."""
        return judge(self._store.payments(), self._store.transactions(), now)

    # -- money --------------------------------------------------------------------------------

    def _ledger(self, now: int) -> Ledger:
        """Proven transactions as confirmed, own payments on their way as in a mempool."""
        ledger = Ledger(self._keys.watched.__contains__)
        proven = self._store.transactions()
        for each in proven:
            tx = transaction_from_bytes(each.data)
            if each.height is None:
                ledger.note(tx, TxState.DROPPED, each.time)
            else:
                block_hash = self._store.hash_at(each.height)
                ledger.note(tx, TxState.CONFIRMED, each.time, each.height, block_hash)
        for payment in judge(self._store.payments(), proven, now):
            if payment.state is not PaymentState.MINED:
                waits = payment.state is PaymentState.WAITING
                state = TxState.POOLED if waits else TxState.DROPPED
                ledger.note(payment.tx, state, payment.entry.time)
        return ledger

    def balance(self, now: int, of: Container[bytes] | None = None) -> Balance:
        """What can be spent now, what is pending, and what is too young; `of` these scripts."""
        available = pending = immature = 0
        for coin in self._coins(now, of):
            if not coin.is_trusted:
                pending += coin.value
            elif self._is_mature(coin):
                available += coin.value
            else:
                immature += coin.value
        return Balance(available, pending, immature)

    def coins(self, now: int, of: Container[bytes] | None = None) -> list[OwnCoin]:
        """The coins that can be spent now: proven ones, and change of own payments."""
        return [coin for coin in self._coins(now, of) if coin.is_trusted and self._is_mature(coin)]

    def _coins(self, now: int, of: Container[bytes] | None) -> Iterator[OwnCoin]:
        return (
            coin for coin in self._ledger(now).coins() if of is None or coin.script_pubkey in of
        )

    def _is_mature(self, coin: OwnCoin) -> bool:
        return is_mature(coin, self.height, self._params.coinbase_maturity)

    def balances(self, now: int) -> dict[bytes, ScriptBalance]:
        """What each watched script holds that holds anything, and what is about to change."""
        ledger = self._ledger(now)
        confirmed: dict[bytes, int] = {}
        pending: dict[bytes, int] = {}
        for entry in ledger:
            if entry.state is TxState.DROPPED:
                continue
            effects = ledger.effects(entry.txid)
            spent = [own for own in map(ledger.own_output, effects.spends) if own is not None]
            if not all(_is_in_force(ledger, own.point) for own in spent):
                continue  # it spends what a reorg has taken away for now
            held = confirmed if entry.state is TxState.CONFIRMED else pending
            for output in effects.outputs:
                held[output.script_pubkey] = held.get(output.script_pubkey, 0) + output.value
            for output in spent:
                held[output.script_pubkey] = held.get(output.script_pubkey, 0) - output.value
        held_by = {
            script: ScriptBalance(confirmed.get(script, 0), pending.get(script, 0))
            for script in confirmed.keys() | pending.keys()
        }
        return {script: balance for script, balance in held_by.items() if any(balance)}

    def history(self, now: int) -> list[HistoryItem]:
        """All transactions, those in blocks first, in their order."""
        ledger = self._ledger(now)
        payments = {each.entry.txid: each for each in self.payments(now)}
        return [
            HistoryItem(
                entry,
                *ledger.amounts(entry.txid),
                0 if entry.height == UNCONFIRMED else self.height + 1 - entry.height,
                payments.get(entry.txid),
            )
            for entry in ledger
        ]

    # -- paying -------------------------------------------------------------------------------

    def journalise(
        self,
        tx: Transaction,
        now: int,
        note: str = "",
        expires_in: int = EXPIRY_SECONDS,
        instead_of: bytes | None = None,
    ) -> None:
        """Write a signed payment down; it is sent from then on, whatever happens.

        `instead_of` is the id of one that waits and is not sent any more then. Raises WalletError
        where another payment has taken its coins since they were chosen.
        """
        with self._store.write():
            taken = self._taken(now, instead_of)
            if any(txin.prevout in taken for txin in tx.vin):
                raise WalletError(
                    "another payment has just taken the same coins; nothing was sent, try again"
                )
            entry = JournalEntry(
                tx.txid,
                tx.serialize(),
                now,
                now + expires_in,
                note,
                PaymentState.WAITING.value,
                "",
            )
            self._store.add_payment(entry)
            if instead_of is not None:
                state, by = PaymentState.REPLACED.value, f"by {tx.txid_hex}"
                self._store.set_payment_state(instead_of, state, by)

    def _taken(self, now: int, but: bytes | None) -> set[OutPoint]:
        payments: Sequence[Judged] = self.payments(now)
        return {
            txin.prevout
            for payment in payments
            if payment.state in (PaymentState.WAITING, PaymentState.MINED)
            and payment.entry.txid != but
            for txin in payment.tx.vin
        }


def _is_in_force(ledger: Ledger, point: OutPoint) -> bool:
    """Whether the transaction that made an own output is in a block or on its way to one."""
    origin = ledger.get(point[:32])
    return origin is not None and origin.state is not TxState.DROPPED
