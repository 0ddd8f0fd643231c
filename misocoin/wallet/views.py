"""What the wallet shows of its history and its coins."""

from typing import NamedTuple

from misocoin.wallet.ledger import OwnCoin, WalletTx


class HistoryEntry(NamedTuple):
    """A transaction as the wallet's owner sees it."""

    entry: WalletTx
    received: int
    """Base units paid to the wallet, change included."""
    spent: int
    """Base units of the wallet's coins spent."""
    confirmations: int
    """0 while in no block."""


class Unspent(NamedTuple):
    """A coin as the wallet's owner sees it."""

    coin: OwnCoin
    confirmations: int
    """0 while in no block."""
    is_spendable: bool
    """Whether a payment of now may spend it: trusted, mature and not locked."""
    is_locked: bool = False
    """Whether its owner holds it back."""
