"""One chain twice: in our chain state and in Bitcoin Core's engine, which must never differ."""

import time
from collections.abc import Sequence
from pathlib import Path

from misocoin.chain.state import ChainState
from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ParseError, ValidationError
from misocoin.params import Params
from misocoin.primitives.block import Block, BlockHeader, block_from_bytes
from misocoin.primitives.transaction import OutPoint, Transaction
from misocoin.store.store import Store
from tests.builders import ANYONE, make_block, open_chain
from tests.functional.framework.kernel import Kernel

SCRIPTS = "block-script-verify-flag-failed"
"""The reason where a block's scripts fail."""


class Both:
    """Hands the same to both and fails where they disagree: verdict, reason, best block."""

    def __init__(self, kernel: Kernel, folder: Path, params: Params) -> None:
        self.params = params
        self._store = Store(None, params.genesis.hash)
        self.chain: ChainState = open_chain(params, self._store, now=lambda: int(time.time()))
        self._kernel = kernel
        kernel.open(folder, params.name)

    @property
    def tip(self) -> HeaderNode:
        """The best block of both."""
        return self.chain.tip

    def _ours(self, raw: bytes) -> str | None:
        try:
            self.chain.submit_block(block_from_bytes(raw), raw)
        except ParseError:
            return "unreadable"
        except ValidationError as error:
            return error.reason.split(" ")[0]  # Core logs a script's failure by its name alone
        return None

    def submit(self, block: Block | bytes) -> str | None:
        """Why both refuse a block; None if neither does."""
        (reason,) = self.submit_all([block])
        return reason

    def submit_all(self, blocks: Sequence[Block | bytes]) -> list[str | None]:
        """The same of many, one after the other."""
        raws = [block.serialize() if isinstance(block, Block) else block for block in blocks]
        reasons = []
        for raw, theirs in zip(raws, self._kernel.process(*raws), strict=True):
            ours = self._ours(raw)
            found = ours, self.tip.height, self.tip.hash
            expected = theirs.reason, theirs.height, theirs.tip
            if SCRIPTS in (ours, theirs.reason) and ours is not None is not theirs.reason:
                # It breaks two rules: which shows first depends on threads, in Core as well.
                found, expected = found[1:], expected[1:]
            assert found == expected, f"ours {found}, Core's {expected}: {raw.hex()[:2000]}"
            reasons.append(ours)
        return reasons

    def submit_header(self, header: BlockHeader) -> bool:
        """Whether both take a header."""
        try:
            self.chain.accept_headers([header])
            ours = True
        except ValidationError:
            ours = False
        assert self._kernel.process_header(header.serialize()) is ours, header
        return ours

    def make_block(self, transactions: Sequence[Transaction] = (), **options: object) -> Block:
        """A block on the best one."""
        return make_block(self.tip, self.params, transactions, **options)

    def grow(self, transactions: Sequence[Transaction] = (), **options: object) -> Block:
        """A block on the best one that both take."""
        block = self.make_block(transactions, **options)
        assert self.submit(block) is None
        return block

    def free_coins(self) -> dict[OutPoint, Coin]:
        """Coins of ANYONE that the next block may spend, the oldest first."""
        self.chain.flush()
        found = [
            (coin.height, point, coin)
            for point, coin in self.chain.iterate_coins()
            if coin.script_pubkey == ANYONE
            and not (coin.is_coinbase and self.tip.height + 1 - coin.height < 100)
        ]
        return {point: coin for _, point, coin in sorted(found)}

    def read_back(self, node: HeaderNode) -> bytes:
        """A block out of the engine's storage."""
        return self._kernel.read_block(node.hash)

    def close(self) -> None:
        """Let go of our half."""
        self._store.close()
