"""Bitcoin Core's validation engine, asked by lines of JSON: a call a line in, an answer a line out.

Needs py-bitcoinkernel. A call is `["name", argument, ...]`; bytes travel as hex in wire order.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pbk
from pbk.script import PrecomputedTransactionData

CHAINS = {"regtest": pbk.ChainType.REGTEST, "bitcoin": pbk.ChainType.MAINNET}


class Verdict(NamedTuple):
    """What the engine said of a block."""

    reason: str | None
    """Core's reject string where it is refused, now or together with what it builds on."""
    is_new: bool
    """Whether it was stored."""


class Engine:
    """A chain that Core's engine keeps in a folder.

    That a block is refused the library tells, why is only in its log.
    """

    def __init__(self, folder: Path, chain: str = "regtest", threads: int = 1) -> None:
        self._refused: dict[bytes, str] = {}  # in the call under way: hash -> reason
        pbk.set_log_level_category(pbk.LogCategory.ALL, pbk.LogLevel.DEBUG)
        pbk.enable_log_category(pbk.LogCategory.VALIDATION)
        self._log = pbk.LoggingConnection(self._read_log)
        # Without somebody who listens to verdicts none are logged.
        listener = pbk.ValidationInterfaceCallbacks(block_checked=lambda *_: None)
        options = pbk.ChainstateManagerOptions(
            pbk.make_context(CHAINS[chain], listener), str(folder), str(folder / "blocks")
        )
        options.set_worker_threads_num(threads)
        self._manager = pbk.ChainstateManager(options)
        self._chain = self._manager.get_active_chain()

    def _read_log(self, line: str) -> None:
        told = re.search(r"BlockChecked: block hash=(\w+) state=([^\s,]+)", line)
        if told and told[2] != "Valid":
            self._refused[bytes.fromhex(told[1])[::-1]] = told[2]

    def process(self, raw: bytes) -> Verdict:
        """Hand it a block."""
        try:
            block = pbk.Block(raw)
        except RuntimeError:
            return Verdict("unreadable", False)
        if bytes(block) != raw:  # the library passes over bytes behind the block
            return Verdict("unreadable", False)
        self._refused, is_new = {}, False
        with suppress(pbk.ProcessBlockException):
            is_new = self._manager.process_block(block)
        block_hash = bytes(block.block_hash)
        reasons = [why for each, why in self._refused.items() if self._is_below(each, block_hash)]
        return Verdict(reasons[0] if reasons else None, is_new)

    def _is_below(self, below: bytes, block_hash: bytes) -> bool:
        """Whether a block is this one, or one that it builds on."""
        lower, upper = self.entry(below), self.entry(block_hash)
        if below == block_hash or lower is None or upper is None:
            return below == block_hash
        return lower.height < upper.height and upper.get_ancestor(lower.height) == lower

    def process_header(self, raw: bytes) -> bool:
        """Hand it a header; whether it is valid."""
        try:
            state = self._manager.process_block_header(pbk.BlockHeader(raw))
        except pbk.ProcessBlockHeaderException:
            return False
        return state.validation_mode is pbk.ValidationMode.VALID

    @property
    def height(self) -> int:
        """Of its best block."""
        return self._chain.height

    @property
    def best_header_height(self) -> int:
        """Of the best header, whose block may be missing."""
        return self._manager.best_entry.height

    def hash_at(self, height: int) -> bytes:
        """The hash of the active chain's block there, in wire order."""
        return bytes(self._chain.block_tree_entries[height].block_hash)

    def entry(self, block_hash: bytes) -> pbk.BlockTreeEntry | None:
        """What it knows of a block."""
        with suppress(KeyError):
            return self._manager.block_tree_entries[pbk.BlockHash(block_hash)]
        return None

    def active_headers(self, block_hash: bytes, count: int) -> list[bytes]:
        """Up to `count` headers of the active chain from this block on; none if it is not in it."""
        entry = self.entry(block_hash)
        if entry is None or entry not in self._chain.block_tree_entries:
            return []
        last = min(entry.height + count - 1, self.height)
        entries = self._chain.block_tree_entries
        return [bytes(entries[height].block_header) for height in range(entry.height, last + 1)]

    def read(self, block_hash: bytes) -> bytes | None:
        """A block out of its storage."""
        entry = self.entry(block_hash)
        if entry is not None:
            with suppress(RuntimeError):
                return bytes(self._manager.blocks[entry])
        return None

    def tip(self) -> tuple[int, str]:
        """Height and hash of its best block."""
        return self.height, self.hash_at(self.height).hex()


def verify(
    raw: str, spent: Sequence[tuple[int, str]], index: int, flags: Sequence[int]
) -> list[bool]:
    """Whether an input may spend its output, under each of these flags.

    The transaction must be readable, and `index` one of its inputs: the library asserts it.
    """
    tx = pbk.Transaction(bytes.fromhex(raw))
    outputs = [
        pbk.TransactionOutput(pbk.ScriptPubkey(bytes.fromhex(script)), amount)
        for amount, script in spent
    ]
    script, amount = pbk.ScriptPubkey(bytes.fromhex(spent[index][1])), spent[index][0]
    precomputed = PrecomputedTransactionData(tx, outputs)
    return [bool(script.verify(amount, tx, precomputed, index, each)) for each in flags]


def read_transaction(raw: str) -> tuple[str, str] | None:
    """Id and bytes of a transaction as the engine understands it; None if it does not."""
    try:
        tx = pbk.Transaction(bytes.fromhex(raw))
    except RuntimeError:
        return None
    return bytes(tx.txid).hex(), bytes(tx).hex()


def answer_calls() -> None:
    """Answer until the other side is done."""
    engine: Engine | None = None
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the library prints is no answer

    def open_chain(folder: str, chain: str) -> None:
        nonlocal engine
        engine = None  # the old one's folder is free again
        engine = Engine(Path(folder), chain)

    def process(blocks: Sequence[str]) -> list[tuple[Verdict, tuple[int, str]]]:
        return [(engine.process(bytes.fromhex(block)), engine.tip()) for block in blocks]

    calls: dict[str, Callable[..., Any]] = {
        "open": open_chain,
        "process": process,
        "header": lambda header: engine.process_header(bytes.fromhex(header)),
        "verify": lambda cases: [verify(*case) for case in cases],
        "read transactions": lambda raws: [read_transaction(raw) for raw in raws],
        "read block": lambda block_hash: (engine.read(bytes.fromhex(block_hash)) or b"").hex(),
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(calls[name](*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    answer_calls()
