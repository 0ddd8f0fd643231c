"""Bitcoin Core's validation engine, libbitcoinkernel, in a process of its own.

It is an early release of a library that aborts where it is used wrongly: that must end a test
with a message, not the run.
"""

import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script import flags as verify_flags
from tests.functional.framework.daemon import DEADLINE
from tests.functional.framework.registries import Registries

REQUIREMENT = "py-bitcoinkernel==0.1.0a5"

SCRIPTS = Path(__file__).parents[1] / "tool_scripts"

_BITS = [bit for bit in verify_flags.FLAGS_BY_NAME.values() if bit & verify_flags.MANDATORY]

FLAGS = tuple(
    flags
    for chosen in range(1 << len(_BITS))
    for flags in [sum(bit for number, bit in enumerate(_BITS) if chosen >> number & 1)]
    if flags & verify_flags.P2SH or not flags & verify_flags.WITNESS
)
"""All combinations of the soft forks' rules that the engine takes: WITNESS wants P2SH."""


class KernelDied(Exception):
    """The engine's process ended in the middle of a call."""


class Verdict(NamedTuple):
    """What the engine made of a block."""

    reason: str | None
    is_new: bool
    height: int
    """Of its best block afterwards."""
    tip: bytes
    """That block's hash, wire order."""


class Kernel:
    """The engine, and at most one chain in it."""

    def __init__(self, python: Path, log: Path) -> None:
        self._log = log
        with log.open("w") as file:
            self._process = subprocess.Popen(
                [python, SCRIPTS / "bitcoin_kernel.py"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True,
            )  # fmt: skip

    def _call(self, name: str, *arguments: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            code = self._process.wait(DEADLINE)
            raise KernelDied(f"exit code {code} in {name}: {self._log.read_text()}") from None

    def open(self, folder: Path, chain: str = "regtest") -> None:
        """Have it keep a chain in this folder."""
        self._call("open", str(folder), chain)

    def process(self, *blocks: bytes) -> list[Verdict]:
        """Hand it blocks, one after the other."""
        return [
            Verdict(*verdict, height, bytes.fromhex(tip))
            for verdict, (height, tip) in self._call("process", [block.hex() for block in blocks])
        ]

    def process_header(self, header: bytes) -> bool:
        """Hand it a header; whether it is valid."""
        return self._call("header", header.hex())

    def read_block(self, block_hash: bytes) -> bytes:
        """A block out of its storage."""
        return bytes.fromhex(self._call("read block", block_hash.hex()))

    def verify(
        self, cases: Iterable[tuple[Transaction, Sequence[TxOut], int, Sequence[int]]]
    ) -> list[list[bool]]:
        """Whether inputs may spend what they spend: transaction, coins, index, many flags."""
        return self._call(
            "verify",
            [
                (
                    tx.serialize().hex(),
                    [(value, script.hex()) for value, script in spent],
                    index,
                    list(flags),
                )
                for tx, spent, index, flags in cases
            ],
        )

    def read_transactions(self, raws: Iterable[bytes]) -> list[tuple[bytes, bytes] | None]:
        """Ids and bytes of transactions as it understands them; None for those it does not."""
        read = self._call("read transactions", [raw.hex() for raw in raws])
        return [each and (bytes.fromhex(each[0]), bytes.fromhex(each[1])) for each in read]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def kernel_python(registries: Registries) -> Path:
    """An interpreter that has the engine, or the test is skipped."""
    return registries.python(REQUIREMENT) / "python"
