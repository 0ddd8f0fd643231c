"""A whole chain in memory, for whoever needs one without ChainState: coins in a dict, undo as
copies of it. Blocks are checked by the real rules, scripts and all.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from misocoin.consensus.block_rules import (
    check_block,
    check_block_context,
)
from misocoin.consensus.coins import Coin
from misocoin.consensus.connect import connect_block, undone_coins
from misocoin.consensus.tree import HeaderNode, header_context
from misocoin.crypto.hashes import sha256
from misocoin.params import Params, regtest
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import (
    SEQUENCE_FINAL,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
)
from misocoin.script.inputs import verify_input
from misocoin.script.sighash import TxDigests
from tests.builders import SPACING, make_block

ANYONE = b"\x51"
"""OP_TRUE."""

ANYONE_SCRIPT = b"\x00\x20" + sha256(ANYONE)
"""P2WSH of OP_TRUE: standard, and spendable without a key."""

ANYONE_WITNESS = (ANYONE,)


class _CheckScripts:
    def add(self, tx: Transaction, coins: list[Coin], flags: int) -> None:
        digests = TxDigests(tx, coins)
        for index in range(len(tx.vin)):
            assert verify_input(digests, index, flags) is None


class _Link(NamedTuple):
    block: Block
    spent: tuple[tuple[Coin, ...], ...]


class FakeChain:
    """A chain that grows by `mine` and shrinks by `disconnect`; never reorganises by itself."""

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or regtest()
        self.tip = HeaderNode(self.params.genesis.header, None)
        self.coins: dict[OutPoint, Coin] = {}
        self._links: list[_Link] = []

    @property
    def now(self) -> int:
        """A time that suits the tip's."""
        return self.tip.header.time + SPACING

    # -- what the mempool asks ----------------------------------------------------------------

    def get_coins(self, points: Collection[OutPoint]) -> dict[OutPoint, Coin]:
        return {point: self.coins[point] for point in points if point in self.coins}

    def median_time_past_at(self, height: int) -> int:
        return self.tip.ancestor(height).median_time_past

    # -- what tests do to it ------------------------------------------------------------------

    def mine(
        self,
        transactions: Sequence[Transaction] = (),
        *,
        count: int = 1,
        time: int | None = None,
        fees: int = 0,
        script: bytes = ANYONE_SCRIPT,
    ) -> list[Block]:
        """Mine and connect `count` blocks, the transactions in the first."""
        blocks = []
        for turn in range(count):
            block = self.make_block(
                transactions if turn == 0 else (), time=time, fees=fees, script=script
            )
            self.connect(block)
            blocks.append(block)
        return blocks

    def make_block(
        self,
        transactions: Sequence[Transaction] = (),
        *,
        time: int | None = None,
        fees: int = 0,
        script: bytes = ANYONE_SCRIPT,
    ) -> Block:
        """A block on the tip, paying `fees` and the subsidy to `script`."""
        return make_block(self.tip, self.params, transactions, fees=fees, script=script, time=time)

    def connect(self, block: Block) -> None:
        """Check a block by all rules and make it the tip; raises ValidationError."""
        node = self.check(block)
        result = connect_block(block, node, self.coins.get, _CheckScripts(), self.params)
        for point in result.consumed:
            del self.coins[point]
        self.coins.update(result.created)
        self._links.append(_Link(block, result.spent))
        self.tip = node

    def check(self, block: Block) -> HeaderNode:
        """Check sanity and context of a block on the tip; raises ValidationError."""
        check_block(block, self.params)
        assert block.header.prev_hash == self.tip.hash
        context = header_context(self.tip, self.params)
        assert block.header.bits == context.bits
        assert block.header.time > context.median_time_past
        check_block_context(block, context.height, context.median_time_past, self.params)
        return HeaderNode(block.header, self.tip)

    def disconnect(self) -> Block:
        """Take the tip off and return its block."""
        block, spent = self._links.pop()
        removed, restored = undone_coins(block, spent)
        for point in removed:
            self.coins.pop(point, None)
        self.coins.update(restored)
        assert self.tip.parent is not None
        self.tip = self.tip.parent
        return block

    def spendable(self) -> list[OutPoint]:
        """The coins that anyone may spend in the next block, oldest first."""
        height = self.tip.height + 1
        return [
            point
            for point, coin in self.coins.items()
            if coin.script_pubkey == ANYONE_SCRIPT
            and not (coin.is_coinbase and height - coin.height < self.params.coinbase_maturity)
        ]


def spend(
    points: Iterable[OutPoint],
    outputs: Iterable[int | TxOut],
    *,
    sequence: int = SEQUENCE_FINAL,
    locktime: int = 0,
    version: int = 2,
) -> Transaction:
    """Spend coins of ANYONE_SCRIPT; an output that is a number pays that much to it again."""
    return Transaction.build(
        version,
        [TxIn(point, b"", sequence, ANYONE_WITNESS) for point in points],
        [TxOut(output, ANYONE_SCRIPT) if isinstance(output, int) else output for output in outputs],
        locktime,
    )
