"""Following a node's headers: every rule for headers is checked, and the most work wins.

A branch that parts from ours is first read through to see its work, and a long one read again to
be kept; so one that is long and worth little costs neither memory nor disk.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from misocoin.errors import ValidationError
from misocoin.primitives.block import BlockHeader
from misocoin.wallet.light.errors import NodeFailed, NodeLied
from misocoin.wallet.light.ports import NodePort
from misocoin.wallet.light.store import LightStore

COUNT = 2000
"""Headers to ask for at once: as many as a node gives."""

MAX_KEPT = 10_000
"""Headers of a branch that are kept in memory, so that it need not be read a second time."""

MAX_BRANCH = 5_000_000
"""Headers of one node that are read in one go at most."""


class NodeTip(NamedTuple):
    """Where a node's best chain ends, as far as it holds by the rules."""

    height: int
    hash: bytes
    work: int
    """Expected hashes from genesis to there."""


class Followed(NamedTuple):
    """What came of following a node."""

    tip: NodeTip
    fork: int | None
    """The last height of our old chain that stayed, where the node's replaced a part of it."""


def follow(node: NodePort, store: LightStore, now: int) -> Followed:
    """Read a node's headers and keep its chain if it has more work than ours.

    `now` is unix time. Raises NodeFailed; NodeLied where a header breaks a rule, of which nothing
    is kept, but of those before it what extends our chain.
    """
    start, first = _last_common(node, store)
    height = store.height
    branch = _Branch(node, store, start, first)
    if start == height:
        for batch in branch.checked(now):
            with store.write():
                _append(store, batch)
        return Followed(branch.end, None)
    kept: list[Sequence[BlockHeader]] | None = []
    for batch in branch.checked(now):
        if kept is not None:
            kept.append(batch)
            if sum(map(len, kept)) > MAX_KEPT:
                kept = None
    ours = store.work_at(height)
    if branch.end.work <= ours:
        return Followed(branch.end, None)
    with store.write():
        store.cut_headers(start)
        for batch in branch.checked(now) if kept is None else kept:
            _append(store, batch)
        if branch.end.work <= ours:
            raise NodeFailed(f"{node.name} went to another chain meanwhile")
    return Followed(branch.end, start)


def _append(store: LightStore, batch: Sequence[BlockHeader]) -> None:
    height = store.height
    store.append_headers(batch, height + 1, store.work_at(height))


def _last_common(node: NodePort, store: LightStore) -> tuple[int, Sequence[BlockHeader]]:
    """The height up to which the node has our chain, and the headers that it told beyond it."""
    height = store.height
    back, step = 0, 1
    while True:
        start = max(height - back, 0)
        headers = _ask(node, store, start)
        if headers:
            break
        if start == 0:
            raise NodeFailed(f"{node.name} is a node of another chain")
        back, step = back + step, step * 2
    while True:
        common = 0
        for common, header in enumerate(headers):
            if store.hash_at(start + common) != header.hash:
                return start + common - 1, headers[common:]
        start += common
        if len(headers) < COUNT or start == height:
            return start, ()
        headers = _ask(node, store, start)


def _ask(node: NodePort, store: LightStore, height: int) -> Sequence[BlockHeader]:
    """The node's headers from the block on that we have at `height`, that one included."""
    known = store.hash_at(height)
    if known is None:
        raise NodeFailed("the chain has become shorter meanwhile")
    return ask_headers(node, known)


def ask_headers(node: NodePort, block_hash: bytes) -> Sequence[BlockHeader]:
    """The node's headers from a block on; raises NodeLied where they begin with another."""
    headers = node.headers(block_hash, COUNT)
    if len(headers) > COUNT or (headers and headers[0].hash != block_hash):
        raise NodeLied(f"{node.name} answered with other headers than it was asked for")
    return headers


class _Branch:
    """The headers of a node behind the block at `start`, of which `first` are known already."""

    def __init__(
        self, node: NodePort, store: LightStore, start: int, first: Sequence[BlockHeader]
    ) -> None:
        self._node = node
        self._store = store
        self._start = start
        self._first = first
        self.end: NodeTip
        """The end of what was checked."""

    def checked(self, now: int) -> Iterator[Sequence[BlockHeader]]:
        """Go through the branch, batch by batch, from its start.

        A header of the future ends it. Raises NodeFailed, and NodeLied at one that breaks a rule.
        """
        window = self._store.window(self._start)
        self.end = NodeTip(window.height, window.tip.hash, window.work)
        for batch in self._batches(window.tip.hash):
            good = []
            reason = ""
            for header in batch:
                try:
                    window.extend(header, now)
                except ValidationError as error:
                    reason = error.reason
                    break
                good.append(header)
            self.end = NodeTip(window.height, window.tip.hash, window.work)
            if good:
                yield good
            if reason == "time-too-new":
                return
            if reason:
                raise NodeLied(
                    f"{self._node.name} sent a header of height {window.height + 1} that breaks "
                    f"a rule: {reason}"
                )

    def _batches(self, last: bytes) -> Iterator[Sequence[BlockHeader]]:
        count = 0
        batch = self._first
        if not batch:
            batch = ask_headers(self._node, last)[1:]
        while batch:
            yield batch
            last = batch[-1].hash
            count += len(batch)
            if count > MAX_BRANCH:
                raise NodeFailed(f"{self._node.name} has more headers than are read in one go")
            batch = ask_headers(self._node, last)[1:]
