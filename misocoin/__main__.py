"""Every command of the package: `misocoin <command> [options]`, or `python -m misocoin …`."""

import gc
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType, ModuleType

from misocoin.cli.output import run_printing
from misocoin.spelling import suggestion
from misocoin.version import VERSION

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "daemon": ("misocoin.cli.daemon", "run a node"),
        "cli": ("misocoin.cli.client", "call a node's methods"),
        "mine": ("misocoin.cli.mine", "mine for a node, from any machine"),
        "wallet": ("misocoin.cli.wallet", "keep keys and pay, trusting no node"),
        "notarize": ("misocoin.cli.notarize", "prove by a payment that files were there"),
        "verify": ("misocoin.cli.verify", "check a file and its proof, against headers alone"),
        "hashcash": ("misocoin.cli.hashcash", "gates that take proof of work, and stamps"),
        "bench": ("misocoin.cli.bench", "measure the search for proof of work"),
        "work": ("misocoin.cli.work", "serve proof of work, mine for a service, ask one"),
        "market": ("misocoin.cli.market", "trade computing power: serve a market"),
    }
)
"""Name -> module with a `main(arguments) -> exit code`, and what the command does."""


HELP = frozenset({"-h", "-help", "--help", "help"})
VERSIONS = frozenset({"-version", "--version", "version"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; only its own modules are imported."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return run_printing("misocoin", lambda: _main(words))


def _main(words: list[str]) -> int:
    if words[:1] and words[0] in VERSIONS:
        print(f"Misocoin version {VERSION}")
        return 0
    is_help = bool(words) and words[0] in HELP
    if is_help:
        # `help wallet send` is `wallet send -help`.
        words = [*words[1:], "-help"] if words[1:] else []
    if words and words[0] in COMMANDS:
        return _run(words[0], words[1:])
    if words:
        hint = suggestion(words[0], COMMANDS, "misocoin help lists them")
        print(f"misocoin: no command {words[0][:40]!r}{hint}", file=sys.stderr)
        return 2
    print(_overview(), file=sys.stdout if is_help else sys.stderr)
    return 0 if is_help else 2


def _overview() -> str:
    lines = [f"  {name:12}{what}" for name, (_, what) in COMMANDS.items()]
    ends = ["", "misocoin help <command> explains one."]
    return "\n".join(["Usage: misocoin <command> [options]", "", *lines, *ends])


def _run(name: str, words: Sequence[str]) -> int:
    try:
        code: int = _imported(COMMANDS[name][0]).main(words)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "misocoin":
            raise
        print(
            f"misocoin: the package {error.name} is not installed here: `make run` makes .venv "
            "with all that is needed, or type pip install -r requirements.txt",
            file=sys.stderr,
        )
        return 1
    return code


def _imported(name: str) -> ModuleType:
    """A module; what an import makes stays, so to look for cycles in it is a waste of the start."""
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        if is_collecting:
            gc.enable()


if __name__ == "__main__":
    sys.exit(main())
