"""The state of one script's evaluation, and the limits it is held to."""

from enum import Enum
from typing import TYPE_CHECKING

from misocoin.script import flags as verify_flags
from misocoin.script.numbers import number_from_bytes

if TYPE_CHECKING:
    from misocoin.script.checker import SignatureChecker

MAX_ELEMENT_SIZE = 520
"""Bytes of an element on the stack."""

MAX_STACK_SIZE = 1000
"""Elements of the stack and the alternative stack together."""

MAX_OPERATIONS = 201
"""Operations other than pushes in a script, before tapscript; a multisig's keys count too."""

NO_CODESEPARATOR = 0xFFFFFFFF
"""Where the last CODESEPARATOR is said to be while none was run (BIP342)."""

TRUE = b"\x01"
FALSE = b""


class SigVersion(Enum):
    """By which rules a script runs and what its signatures sign."""

    BASE = "legacy"
    WITNESS_V0 = "segwit v0"
    TAPSCRIPT = "tapscript"


class Machine:
    """One script at work: stacks, conditions, counters.

    Operations change it and raise ScriptFailure where the script fails.
    """

    __slots__ = (
        "altstack",
        "annex_hash",
        "budget",
        "checker",
        "code_start",
        "codeseparator_position",
        "depth",
        "first_false",
        "flags",
        "leaf_hash",
        "op_count",
        "op_index",
        "position",
        "require_minimal",
        "script",
        "stack",
        "version",
    )

    def __init__(
        self,
        stack: list[bytes],
        script: bytes,
        flags: int,
        checker: "SignatureChecker",
        version: SigVersion = SigVersion.BASE,
    ) -> None:
        self.stack = stack
        self.script = script
        self.flags = flags
        self.checker = checker
        self.version = version
        self.altstack: list[bytes] = []
        self.require_minimal = flags & verify_flags.MINIMALDATA != 0
        self.position = 0
        """Offset behind the operation that runs."""
        self.op_index = 0
        """How many operations stand before the one that runs."""
        self.op_count = 0
        """What counts against MAX_OPERATIONS so far."""
        self.depth = 0
        """Conditionals that are open."""
        self.first_false = -1
        """The outermost open conditional that is false; -1: everything is executed."""
        self.code_start = 0
        """Offset behind the last CODESEPARATOR that was run."""
        self.codeseparator_position = NO_CODESEPARATOR
        """Operations before that CODESEPARATOR."""
        self.leaf_hash = b""
        """Tapscript: the hash of the leaf that runs."""
        self.annex_hash: bytes | None = None
        """Tapscript: the hash of the annex, if there is one."""
        self.budget = 0
        """Tapscript: validation weight left for signature checks."""

    def number(self, index: int, max_size: int = 4) -> int:
        """The stack's element at `index` as a number; raises ScriptFailure if it is none."""
        return number_from_bytes(self.stack[index], max_size, require_minimal=self.require_minimal)

    def open_conditional(self, *, value: bool) -> None:
        """Enter an IF whose condition is `value`."""
        if self.first_false < 0 and not value:
            self.first_false = self.depth
        self.depth += 1

    def toggle_conditional(self) -> None:
        """Take the other side of the innermost conditional."""
        innermost = self.depth - 1
        if self.first_false < 0:
            self.first_false = innermost
        elif self.first_false == innermost:
            self.first_false = -1

    def close_conditional(self) -> None:
        """Leave the innermost conditional."""
        self.depth -= 1
        if self.first_false == self.depth:
            self.first_false = -1
