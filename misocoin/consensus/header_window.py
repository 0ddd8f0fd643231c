"""The end of a branch of headers, with as much of it as the rules for the next one ask for.

For whoever follows a chain by its headers alone and keeps them elsewhere: memory does not grow
with the chain. `misocoin.consensus.tree` is for those who need every branch at hand.
"""

from collections import deque
from collections.abc import Iterable

from misocoin.consensus.block_rules import (
    MEDIAN_TIME_SPAN,
    HeaderContext,
    check_header,
    check_header_context,
)
from misocoin.consensus.difficulty import calculate_next_bits, reference_height, work_from_bits
from misocoin.errors import ValidationError
from misocoin.params import Params, Retarget
from misocoin.primitives.block import BlockHeader


def window_size(params: Params) -> int:
    """How many of a branch's last headers the rules look back on."""
    if params.retarget is Retarget.EVERY_INTERVAL:
        return max(MEDIAN_TIME_SPAN, params.retarget_interval)
    return MEDIAN_TIME_SPAN


class HeaderWindow:
    """A branch that ends at `height` with `work` in all.

    `last` are its last headers, the newest at the end: `window_size(params)` of them, or all.
    """

    def __init__(self, params: Params, last: Iterable[BlockHeader], height: int, work: int) -> None:
        self._params = params
        self._times: deque[int] = deque(maxlen=window_size(params))
        for header in last:
            self._times.append(header.time)
            self._tip = header
        self.height = height
        self.work = work
        """Expected hashes from genesis up to and including the last header."""
        self._bits = -1  # those whose work is known
        self._step = 0

    @property
    def tip(self) -> BlockHeader:
        """The last header."""
        return self._tip

    def extend(self, header: BlockHeader, now: int) -> None:
        """Check a header by all rules for headers and take it as the new end.

        `now` is network time in seconds. Raises ValidationError; then nothing has changed.
        """
        tip, params, times = self._tip, self._params, self._times
        if header.prev_hash != tip.hash:
            raise ValidationError("prev-blk-not-found", header.prev_hash[::-1].hex())
        check_header(header, params)
        reference = reference_height(self.height, params) - self.height - 1
        bits = calculate_next_bits(self.height, tip.bits, tip.time, times[reference], params)
        recent = sorted([times[-1 - back] for back in range(min(len(times), MEDIAN_TIME_SPAN))])
        context = HeaderContext(self.height + 1, bits, recent[len(recent) // 2], tip.time)
        check_header_context(header, context, now, params)
        if header.bits != self._bits:
            self._bits, self._step = header.bits, work_from_bits(header.bits)
        times.append(header.time)
        self._tip = header
        self.height += 1
        self.work += self._step
