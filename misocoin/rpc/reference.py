"""The page `docs/rpc.md`, made of the declarations."""

from collections.abc import Iterable

from misocoin.rpc.core.absent import ABSENT, DIFFERENCES
from misocoin.rpc.declare import Access, Category, Dialect, Method
from misocoin.rpc.errors import COMMON, RpcCode, words_from_code
from misocoin.rpc.help import help_of, signature_of

_HEAD = """\
# Methods

One port answers JSON-RPC 1.0, 1.1 and 2.0 on `POST /` and `/jsonrpc`, with two sets of names over
the same functions: Misocoin's own, and Bitcoin Core's for tools made for it. Parameters go by place
or by name, in batches, too; `help NAME` explains one with its arguments and its result. What is
marked ● needs the cookie or the password (`-rpcuser`, `-rpcpassword`, `-rpcauth`); the rest is open
to whoever reaches the port. Calls to `/wallet/NAME` mean the wallet of that name.

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


_ERRORS = """\
## Errors

An error has a code and a message. Answers to calls of JSON-RPC 1.x come with HTTP status 404 for an
unknown method, 400 for a request that is none, and 500 for all others; 2.0 and batches with 200.
Below, each method names the codes that are its own; beside those any call may end in {common}: a
wrong number of arguments, an argument of a wrong type or an unknown name, a node still starting.

| Code | |
|---|---|
"""

_DETAILS = """\
## Every method
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
    common = ", ".join([f"{code:d}" for code in COMMON])
    errors = [f"| {code:d} | {words_from_code(code)} |\n" for code in sorted(RpcCode, reverse=True)]
    parts += [
        "\n",
        _DIFFERENCES,
        *differences,
        "\n",
        _ABSENT,
        *absent,
        "\n",
        _ERRORS.format(common=common),
        *errors,
    ]
    return "".join([*parts, "\n", _DETAILS, *map(_details, known)])


def _row(shown: Method) -> str:
    mark = " ●" if shown.access is Access.AUTH else ""
    summary = shown.summary.splitlines()[0].replace("|", "\\|")
    return f"| [`{signature_of(shown)}`](#{shown.name}){mark} | {summary} |\n"


def _details(shown: Method) -> str:
    return f"\n### {shown.name}\n\n```text\n{help_of(shown)}\n```\n"
