"""Nodes in memory for light wallets, honest and otherwise, and keys that watch a few scripts."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from misocoin.chain.state import ChainState
from misocoin.errors import NotFoundError
from misocoin.params import Params
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.wallet.light.errors import NodeFailed, NotServed, Refused
from misocoin.wallet.light.ports import BlockFilter, Watched
from tests.builders import make_block, memory_chain


class FakeKeys:
    """Watches these scripts; more come as they are used, from `lookahead` on."""

    def __init__(self, scripts: Iterable[bytes], lookahead: Sequence[bytes] = ()) -> None:
        self.watched: dict[bytes, Watched] = {s: Watched(f"key{n}") for n, s in enumerate(scripts)}
        self._lookahead = list(lookahead)
        self.used: set[bytes] = set()

    def note_used(self, scripts: Collection[bytes]) -> None:
        for _ in set(scripts) - self.used:
            if self._lookahead:
                self.watched[self._lookahead.pop(0)] = Watched("later")
        self.used.update(scripts)


class FakeNode:
    """A node over a chain in memory. `questions` is all that it ever learned.

    `lies` replace methods: `FakeNode(chain, block=lambda node, *given: ...)`; what a lie is called
    with begins with the honest node.
    """

    def __init__(
        self, chain: ChainState, name: str = "honest:1", **lies: Callable[..., Any]
    ) -> None:
        self.chain = chain
        self.name = name
        self.questions: list[tuple[Any, ...]] = []
        self.pool: list[Transaction] = []
        self.honest = self
        if lies:
            self.honest = FakeNode(chain, name)
            for method, lie in lies.items():
                setattr(self, method, self._lying(method, lie))

    def _lying(self, method: str, lie: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            self.questions.append((method, *given))
            return lie(self.honest, *given)

        return call

    def _nodes(self, block_hash: bytes, count: int) -> list[Any]:
        node = self.chain.tree.get(block_hash)
        if node is None or not self.chain.is_active(node):
            return []
        last = min(self.chain.height, node.height + count - 1)
        return [self.chain.at_height(height) for height in range(node.height, last + 1)]

    def headers(self, block_hash: bytes, count: int) -> Sequence[BlockHeader]:
        self.questions.append(("headers", block_hash, count))
        return tuple(node.header for node in self._nodes(block_hash, count))

    def filter_headers(self, block_hash: bytes, count: int) -> Sequence[bytes]:
        self.questions.append(("filter_headers", block_hash, count))
        assert self.chain.filters is not None
        return [f.header for f in self.chain.filters.get_many(self._nodes(block_hash, count))]

    def filters(self, block_hash: bytes, count: int) -> Sequence[BlockFilter]:
        self.questions.append(("filters", block_hash, count))
        assert self.chain.filters is not None
        nodes = self._nodes(block_hash, count)
        found = self.chain.filters.get_many(nodes)
        return [BlockFilter(n.hash, f.data) for n, f in zip(nodes, found, strict=True)]

    def block(self, block_hash: bytes) -> Block:
        self.questions.append(("block", block_hash))
        try:
            return self.chain.get_block(self.chain.find(block_hash))
        except NotFoundError as error:
            raise NotServed(str(error)) from error

    def spent_outputs(self, block_hash: bytes) -> Sequence[Sequence[TxOut]]:
        self.questions.append(("spent_outputs", block_hash))
        undo = self.chain.get_undo(self.chain.find(block_hash))
        return [(), *[[TxOut(c.value, c.script_pubkey) for c in coins] for coins in undo]]

    def mempool(self, count: int) -> Sequence[Transaction]:
        self.questions.append(("mempool", count))
        return self.pool[:count]

    def fee_rate(self, target: int) -> int | None:
        return None

    def submit(self, tx: Transaction) -> None:
        self.questions.append(("submit", tx))
        if tx not in self.pool:
            self.pool.append(tx)

    # -- what tests do to it ------------------------------------------------------------------

    def mine(self, count: int = 1, **how: Any) -> list[Block]:
        """Put blocks on the chain; the first has what waits in the pool, unless told otherwise.

        `how` goes to `make_block`; what fees or transactions it says is for the first block.
        """
        first = {"transactions": self.pool, **how}
        later = {key: how[key] for key in how if key not in ("transactions", "fees")}
        blocks = []
        for turn in range(count):
            given = later if turn else first
            block = make_block(self.chain.tip, self.chain.params, **given)
            self.chain.submit_block(block)
            blocks.append(block)
        self.pool = []
        return blocks


def fails(*_given: Any) -> Any:
    raise NodeFailed("it took too long to answer")


def refuses(*_given: Any) -> Any:
    raise NotServed("it says no")


def rejects(*_given: Any) -> Any:
    raise Refused("min relay fee not met")


@contextmanager
def chains(params: Params, count: int) -> Iterator[list[ChainState]]:
    """Some chains in memory."""
    if count == 0:
        yield []
        return
    with memory_chain(params) as first, chains(params, count - 1) as others:
        yield [first, *others]


def copy(source: ChainState, target: ChainState, through: int | None = None) -> None:
    """Give `target` the blocks of `source`."""
    last = source.height if through is None else through
    for height in range(1, last + 1):
        target.submit_block(source.get_block(source.at_height(height)))


def watched_names(watched: Mapping[bytes, Watched]) -> set[str]:
    return {each.name for each in watched.values()}
