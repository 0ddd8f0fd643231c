"""Headers of a branch whose work does not suffice yet: counted, not kept.

A peer whose headers start far below our tip first has to show that its branch has enough work.
Until then a batch of 2,000 headers is checked (proof of work, links, difficulty) and forgotten but
for the hash of its last header, which commits to all of them. When the work suffices, the same
headers are asked for again, and a batch goes into the tree only if it holds the hash noted for it.
Core's presync (since 24.0) does the same with one bit for some 600 headers and a buffer; whole
batches make 32 bytes for 2,000 headers, and nothing enters on trust.
"""

from collections.abc import Sequence

from misocoin.consensus.difficulty import (
    calculate_next_bits,
    is_proof_of_work,
    work_from_bits,
)
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ValidationError
from misocoin.params import Params, Retarget
from misocoin.primitives.block import BlockHeader


class Presync:
    """One peer's branch on the way to enough work."""

    def __init__(self, fork: HeaderNode, params: Params, needed: int, most: int) -> None:
        """Begin where the branch leaves the tree, at `fork`.

        It must reach the work `needed` within `most` batches.
        """
        self.fork = fork
        self._params = params
        self._needed = needed
        self._most = most
        self.work = fork.chain_work
        """Of the branch so far."""
        self.last_hash = fork.hash
        """The header that the next batch must build on."""
        self.is_enough = False
        """Whether the work suffices, so that the headers may be fetched again."""
        self._height = fork.height
        self._bits = fork.header.bits
        self._time = fork.header.time
        self._before = fork.ancestor(max(fork.height - 1, 0)).header.time
        interval = fork.height - fork.height % params.retarget_interval
        self._interval_time = fork.ancestor(interval).header.time
        self._commitments: list[bytes] = []
        self._checked = 0

    @property
    def height(self) -> int:
        """Of the last header counted."""
        return self._height

    @property
    def size(self) -> int:
        """Batches noted."""
        return len(self._commitments)

    def feed(self, headers: Sequence[BlockHeader]) -> bool:
        """Count a batch; True when the work suffices. Raises ValidationError for a broken rule."""
        if self.size >= self._most:
            raise ValidationError("too-little-work", "the branch never reaches enough work")
        for header in headers:
            self._count(header)
        self._commitments.append(self.last_hash)
        self.is_enough = self.work >= self._needed
        return self.is_enough

    def _count(self, header: BlockHeader) -> None:
        if header.prev_hash != self.last_hash:
            raise ValidationError("prev-blk-not-found", "the headers are not in a row")
        if not is_proof_of_work(header.hash, header.bits, self._params):
            raise ValidationError("high-hash", "proof of work failed")
        params = self._params
        by_interval = params.retarget is Retarget.EVERY_INTERVAL
        reference = self._interval_time if by_interval else self._before
        due = calculate_next_bits(self._height, self._bits, self._time, reference, params)
        if header.bits != due:
            raise ValidationError("bad-diffbits", "incorrect proof of work")
        self.work += work_from_bits(header.bits)
        self.last_hash = header.hash
        self._height += 1
        self._bits = header.bits
        self._before, self._time = self._time, header.time
        if self._height % params.retarget_interval == 0:
            self._interval_time = header.time

    def confirm(self, headers: Sequence[BlockHeader]) -> tuple[BlockHeader, ...] | None:
        """The part of a batch, fetched again, that was counted before; None if it is another.

        The hashes must have been computed from the headers, as parsing does.
        """
        wanted = self._commitments[self._checked]
        for count, header in enumerate(headers, 1):
            if header.hash == wanted:
                self._checked += 1
                return tuple(headers[:count])
        return None

    @property
    def is_done(self) -> bool:
        """Whether all that was counted has been fetched again."""
        return self._checked >= len(self._commitments)
