"""What the network needs of the node, and how it reads the chain."""

from contextlib import AbstractContextManager
from typing import Protocol

from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.primitives.transaction import Transaction
from misocoin.store.records import BlockStatus


class TransactionTaker(Protocol):
    """Takes transactions into the mempool."""

    def submit(self, tx: Transaction) -> object:
        """Take one in; raises ValidationError."""


class Silence(Protocol):
    """Keeps somebody quiet for a while."""

    def __call__(self) -> AbstractContextManager[None]:
        """Inside the context nothing is said."""


class ProgressPort(Protocol):
    """Shows how far a long job has come."""

    def update(self, count: int, done: float, total: float) -> None:
        """`count` units are done, at `done` of `total`."""

    def close(self) -> None:
        """The job has ended."""


class ChainReader:
    """The chain as the machine and the responder read it; takes no lock."""

    def __init__(self, chain: ChainState) -> None:
        self._chain = chain

    @property
    def tip(self) -> HeaderNode:
        """The active chain's last block."""
        return self._chain.tip

    @property
    def best_header(self) -> HeaderNode:
        """The header with the most work not known to be invalid."""
        return self._chain.best_header

    def get(self, block_hash: bytes) -> HeaderNode | None:
        """The node of a known header."""
        return self._chain.tree.get(block_hash)

    def has_body(self, node: HeaderNode) -> bool:
        """Whether the block is stored."""
        return bool(self._chain.status(node) & BlockStatus.DATA)

    def is_failed(self, node: HeaderNode) -> bool:
        """Whether the block or one under it is known to be invalid."""
        return bool(self._chain.status(node) & BlockStatus.FAILED)

    def is_refused(self, node: HeaderNode) -> bool:
        """Whether this node's owner said to treat the block, or one under it, as invalid."""
        return bool(self._chain.status(node) & BlockStatus.REFUSED)

    def get_block_bytes(self, node: HeaderNode) -> bytes:
        """The block as on the wire; raises NotFoundError where it is not stored."""
        return self._chain.get_block_bytes(node)
