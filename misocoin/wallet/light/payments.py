"""The journal of payments: what becomes of each follows from the proven transactions and the clock.

A payment is written down before it is sent, and sent to every node at every sync until it is
proven to be mined, lost its coins to another proven transaction, or is too old.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from misocoin.primitives.transaction import OutPoint, Transaction, transaction_from_bytes
from misocoin.wallet.light.store import JournalEntry, ProvenTx

EXPIRY_SECONDS = 14 * 24 * 3600
"""How long a payment is sent again: as long as nodes keep one in their mempool by default."""


class PaymentState(Enum):
    """What became of a payment."""

    WAITING = "waiting"
    """Not mined yet; it is sent at every sync."""
    MINED = "mined"
    """Proven to be in a block."""
    CONFLICTED = "conflicted"
    """A coin of it was spent by another transaction, which is proven; its other coins are free."""
    REPLACED = "replaced"
    """Another was made in its place with a higher fee; should this one be mined, it counts."""
    EXPIRED = "expired"
    """Not sent any more, its coins are free; should it be mined after all, it counts."""


class Judged(NamedTuple):
    """A payment and what became of it."""

    entry: JournalEntry
    tx: Transaction
    state: PaymentState
    detail: str
    """The transaction that took its coins or its place; else what stands in the journal."""


def judge(journal: Iterable[JournalEntry], proven: Sequence[ProvenTx], now: int) -> list[Judged]:
    """What has become of each payment, in the journal's order; `now` is unix time."""
    mined = {each.txid for each in proven if each.height is not None}
    spenders = _spenders(proven)
    lost: dict[bytes, str] = {}
    judged = []
    for entry in journal:
        tx = transaction_from_bytes(entry.data)
        rival = _rival(tx, spenders, lost)
        state, detail = PaymentState.WAITING, entry.detail
        if entry.txid in mined:
            state, detail = PaymentState.MINED, ""
        elif entry.state == PaymentState.REPLACED.value:
            state = PaymentState.REPLACED
        elif rival:
            state, detail = PaymentState.CONFLICTED, rival
        elif now >= entry.expires:
            state, detail = PaymentState.EXPIRED, ""
        if state not in (PaymentState.MINED, PaymentState.WAITING):
            lost[entry.txid] = f"{tx.txid_hex}, which was not mined"
        judged.append(Judged(entry, tx, state, detail))
    return judged


def _spenders(proven: Sequence[ProvenTx]) -> dict[OutPoint, bytes]:
    return {
        txin.prevout: each.txid
        for each in proven
        if each.height is not None
        for txin in transaction_from_bytes(each.data).vin
    }


def _rival(tx: Transaction, spenders: Mapping[OutPoint, bytes], lost: Mapping[bytes, str]) -> str:
    """What keeps a payment from being mined for good; empty if nothing does."""
    for txin in tx.vin:
        other = spenders.get(txin.prevout)
        if other is not None and other != tx.txid:
            return f"its coin was spent by {other[::-1].hex()}"
        if txin.prevout[:32] in lost:
            return f"it spends the change of {lost[txin.prevout[:32]]}"
    return ""
