"""What the light client asks of the keys and of a node; both are handed in.

A node is asked for whole ranges and whole blocks only, so that it learns of no address. What it
answers is parsed and otherwise unchecked: whoever asks checks it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from misocoin.policy.feerate import FeeRate
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import Transaction, TxOut


class Watched(NamedTuple):
    """An output script that is the wallet's."""

    name: str
    """Of the key, account or address, as its owner calls it."""
    birth: int = 0
    """Unix time before which nobody can have paid to it; 0 where that is unknown."""


class KeysPort(Protocol):
    """The scripts to look for."""

    @property
    def watched(self) -> Mapping[bytes, Watched]:
        """Every output script that is the wallet's: change and each account's lookahead, too."""

    def note_used(self, scripts: Collection[bytes]) -> None:
        """Proven payments to these scripts were found.

        Accounts extend their lookahead behind the last one used; `watched` may hold more then.
        """


class BlockFilter(NamedTuple):
    """A filter as a node sends it."""

    block_hash: bytes
    """Wire order."""
    data: bytes
    """As BIP158 encodes it."""


class NodePort(Protocol):
    """A node. Every method raises NodeFailed where no usable answer came, NotServed for a no."""

    @property
    def name(self) -> str:
        """How it is called in front of people: its address."""

    def headers(self, block_hash: bytes, count: int) -> Sequence[BlockHeader]:
        """At most `count` headers of its best chain, this block's first; none for a stranger."""

    def filter_headers(self, block_hash: bytes, count: int) -> Sequence[bytes]:
        """At most `count` headers of filters (BIP157), this block's first."""

    def filters(self, block_hash: bytes, count: int) -> Sequence[BlockFilter]:
        """At most `count` filters, this block's first; none only where the block is unknown."""

    def block(self, block_hash: bytes) -> Block:
        """A block."""

    def spent_outputs(self, block_hash: bytes) -> Sequence[Sequence[TxOut]]:
        """What each transaction of a block spends, by its inputs; nothing for the first."""

    def mempool(self, count: int) -> Sequence[Transaction]:
        """At most `count` transactions that wait for a block."""

    def fee_rate(self, target: int) -> FeeRate | None:
        """What it estimates for being mined within `target` blocks; None where it cannot."""

    def submit(self, tx: Transaction) -> None:
        """Hand in a transaction; one that is there already is fine. Raises Refused."""
