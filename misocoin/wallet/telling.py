"""A transaction of the wallet's in its owner's words: what it was, and who is paid."""

from enum import Enum
from typing import NamedTuple, Protocol

from misocoin.params import Params
from misocoin.primitives.transaction import Transaction
from misocoin.script.address import address_from_script


class TxKind(Enum):
    """What a transaction is to the wallet's owner."""

    MINED = "mined"
    RECEIVED = "received"
    SENT = "sent"
    MOVED = "moved"
    """From the wallet to itself."""


class OwnerPort(Protocol):
    """Knows which scripts are the wallet's."""

    def is_mine(self, script: bytes) -> bool:
        """Whether an output script is the wallet's."""

    def is_change(self, script: bytes) -> bool:
        """Whether it is one of those for change."""


class TxStory(NamedTuple):
    """What there is to tell."""

    kind: TxKind
    own: tuple[str, ...]
    """Addresses of the wallet that it pays, change left out."""
    others: tuple[str, ...]
    """Addresses beside the wallet that it pays; `unknown script` for what has none."""


def story_of(tx: Transaction, *, spends_own: bool, owner: OwnerPort, params: Params) -> TxStory:
    """Tell of a transaction; `spends_own` says that it spends coins of the wallet's."""
    own, others = [], []
    for txout in tx.vout:
        script = txout.script_pubkey
        address = address_from_script(script, params) or "unknown script"
        if not owner.is_mine(script):
            others.append(address)
        elif not owner.is_change(script):
            own.append(address)
    if tx.is_coinbase:
        kind = TxKind.MINED
    elif not spends_own:
        kind = TxKind.RECEIVED
    else:
        kind = TxKind.SENT if others else TxKind.MOVED
    return TxStory(kind, tuple(own), tuple(others))
