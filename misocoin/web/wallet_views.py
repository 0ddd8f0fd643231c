"""What the wallet's pages show, as plain values."""

from collections.abc import Mapping
from typing import Final

from misocoin.chain.state import ChainState
from misocoin.errors import NotFoundError
from misocoin.wallet.telling import TxKind, story_of
from misocoin.wallet.views import HistoryEntry
from misocoin.wallet.wallet import Wallet
from misocoin.web.explorer import View

ENTRIES_PER_PAGE: Final = 25
"""Transactions on one page of the history."""

_LATEST = 8
_MOST_PAYEES = 20


class WalletViews:
    """Looks into the wallet."""

    def __init__(self, chain: ChainState, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet

    def overview(self) -> View:
        """What the wallet holds, and what happened last."""
        balance = self._wallet.balance()
        return {
            **self.lock_state(),
            "height": self._chain.height,
            "now": self._chain.now(),
            "available_sats": balance.available,
            "pending_sats": balance.pending,
            "immature_sats": balance.immature,
            "maturity": self._chain.params.coinbase_maturity,
            "transactions": self._wallet.transaction_count,
            "entries": self._entries(_LATEST, 0),
        }

    def lock_state(self) -> View:
        """Whether a passphrase guards the keys, and is needed now."""
        keeper = self._wallet.keeper
        return {
            "is_encrypted": keeper.is_encrypted,
            "is_locked": keeper.is_locked,
            "unlocked_seconds": int(keeper.seconds_left),
        }

    def history(self, page: int) -> View:
        """A page of the transactions, the latest first. Raises NotFoundError."""
        count = self._wallet.transaction_count
        pages = max(1, -(-count // ENTRIES_PER_PAGE))
        if not 1 <= page <= pages:
            raise NotFoundError(f"the last page is {pages}")
        return {
            "now": self._chain.now(),
            "transactions": count,
            "page": page,
            "pages": pages,
            "entries": self._entries(ENTRIES_PER_PAGE, (page - 1) * ENTRIES_PER_PAGE),
        }

    def addresses(self) -> list[View]:
        """The wallet's own addresses, the latest first, with what they hold."""
        labels = self._wallet.labels
        held = self._wallet.balances_by_address()
        own = self._wallet.addresses()
        return [
            {"address": each, "label": labels.get(each, ""), "balance_sats": held.get(each, 0)}
            for each in reversed(own)
        ]

    def names(self) -> View:
        """What addresses of others are called."""
        own = set(self._wallet.addresses())
        named = sorted(self._wallet.labels.items(), key=lambda item: item[1].casefold())
        return {
            "names": [
                {"address": address, "label": label}
                for address, label in named
                if address not in own
            ]
        }

    def _entries(self, count: int, skip: int) -> list[View]:
        labels = self._wallet.labels
        found = self._wallet.history(count, skip)
        return [self._entry(each, labels) for each in reversed(found)]

    def _entry(self, item: HistoryEntry, labels: Mapping[str, str]) -> View:
        entry, tx = item.entry, item.entry.tx
        kind, own, others = story_of(
            tx, spends_own=bool(item.spent), owner=self._wallet, params=self._chain.params
        )
        parties = others if kind is TxKind.SENT else own
        return {
            "txid": tx.txid_hex,
            "kind": kind.value,
            "amount_sats": item.received - item.spent,
            "state": entry.state.value,
            "confirmations": item.confirmations,
            "height": entry.height if entry.height >= 0 else None,
            "time": entry.time,
            "note": self._wallet.note_of(tx.txid),
            "parties": [
                {"address": each, "label": labels.get(each, "")} for each in parties[:_MOST_PAYEES]
            ],
        }
