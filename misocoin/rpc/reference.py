"""The page `docs/rpc.md`, made of the declarations."""

from collections.abc import Iterable

from misocoin.rpc.core.absent import ABSENT, DIFFERENCES
from misocoin.rpc.declare import Access, Category, Dialect, Method
from misocoin.rpc.help import signature_of

_HEAD = """\
# Methods

One port answers JSON-RPC 1.0, 1.1 and 2.0 on `POST /` and `/jsonrpc`, with two sets of names over
the same functions: Misocoin's own, and Bitcoin Core's for tools made for it. Parameters go by place
or by name, in batches, too; `help NAME` explains one with its arguments and its result. What is
marked ● needs the cookie or the password (`-rpcuser`, `-rpcpassword`, `-rpcauth`); the rest is open
to whoever reaches the port.

This page is made by `make docs` from the declarations of the methods.
"""

_CORE = """\
Results have Core's fields, errors its codes and its words. Amounts are numbers with eight decimals.
"""

_DIFFERENCES = """\
## Where answers differ from Core's

"""

_ABSENT = """\
## What Core has and this node has not

| Core's method | Why, or what instead |
|---|---|
"""


def reference(methods: Iterable[Method]) -> str:
    """The page for these methods, in Markdown."""
    known = sorted(methods, key=lambda each: each.name)
    parts = [_HEAD]
    for dialect in Dialect:
        parts.append(f"\n## {dialect.value}\n")
        if dialect is Dialect.CORE:
            parts.append("\n" + _CORE)
        for category in Category:
            members = [m for m in known if m.dialect is dialect and m.category is category]
            if members:
                parts.append(f"\n### {category.value}\n\n| Call | |\n|---|---|\n")
                parts += map(_row, members)
    differences = [f"- {each}\n" for each in DIFFERENCES]
    absent = [f"| `{name}` | {why} |\n" for name, why in ABSENT.items()]
    return "".join([*parts, "\n", _DIFFERENCES, *differences, "\n", _ABSENT, *absent])


def _row(shown: Method) -> str:
    mark = " ●" if shown.access is Access.AUTH else ""
    summary = shown.summary.splitlines()[0].replace("|", "\\|")
    return f"| `{signature_of(shown)}`{mark} | {summary} |\n"
