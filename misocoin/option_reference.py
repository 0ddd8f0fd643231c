"""The page `docs/options.md`: what the daemon does with each option of Bitcoin Core's."""

from collections.abc import Iterable, Iterator

from misocoin.core_options import GROUP, MISSING_CHAINS, NOTIFY_GROUP
from misocoin.core_unused import IDLE, IDLE_GROUP, REFUSED, REFUSED_GROUP
from misocoin.option_table import Program, options_of
from misocoin.options import Kind, Option

SHARED = frozenset(
    {
        "blockfilterindex", "blockmaxweight", "chain", "conf", "datadir", "dbcache", "discover",
        "externalip", "help", "loadblock", "loglevel", "maxmempool", "mempoolexpiry",
        "minimumchainwork", "minrelaytxfee", "par", "port", "rpcpassword", "rpcuser", "txindex",
        "txospenderindex", "version",
    }
)  # fmt: skip
"""Options of our own that Core has by the same name, for the same thing."""

_HEAD = """\
# Options of bitcoind

A script that starts bitcoind starts `misocoind`. Every option that Bitcoin Core has is taken in one
of three ways: it does what it says; or it has nothing to do here, and a line at the start says so;
or it is refused with a reason, because who gives it would count on it. `-noname` switches off,
`-h`, `-?` and `-help-debug` are `-help`, and `includeconf=` in a file reads another.

This page is made by `make docs` from the table of options.

A `bitcoin.conf` in the data folder is read as bitcoind reads it: unknown lines are passed over, of
several values the first counts, `#` starts a comment anywhere, and `addnode`, `bind`, `connect`,
`port`, `rpcbind`, `rpcport`, `wallet` and `walletdir` hold on regtest only under `[regtest]`.

With `-regtest` and a `-datadir`, what scripts look for also lies where bitcoind has it: the cookie
in `regtest/.cookie`, the process's number in `regtest/bitcoind.pid`, and `regtest/debug.log` links
to the messages.

Other than bitcoind, `misocoind` makes a `-datadir` that is missing, asks for both of `-rpcuser` and
`-rpcpassword`, refuses a number where another word stands, keeps the cookie beside a password, and
writes to the console or to a file, not to both. The exit code is 1 for whatever cannot be used, as
bitcoind's. Users of `-rpcwhitelist` may not use the pages, and whoever gives no password may still
make the open calls.
"""


def reference() -> str:
    """The page, in Markdown."""
    options = [
        each
        for each in options_of(Program.DAEMON)
        if each.name in SHARED or each.group in (GROUP, NOTIFY_GROUP)
        if each.name not in MISSING_CHAINS
    ]
    return "\n".join(
        [
            _HEAD,
            *_table("What does what it says", ((_written(each), each.help) for each in options)),
            *_table(IDLE_GROUP, ((f"-{name}", why) for name, why in IDLE)),
            *_table(REFUSED_GROUP, _refused()),
        ]
    )


def _refused() -> Iterator[tuple[str, str]]:
    for name, why in REFUSED:
        yield f"-{name}", f"{why[0].upper()}{why[1:]}."
    for option in options_of(Program.DAEMON):
        if option.name in MISSING_CHAINS and option.group == GROUP:
            yield f"-{option.name}", option.help


def _written(option: Option) -> str:
    return (
        f"-{option.name}" if option.kind is Kind.FLAG else f"-{option.name}=<{option.placeholder}>"
    )


def _table(heading: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f"## {heading}", "", "| | |", "|---|---|"]
    for name, text in sorted(rows):
        written = name.replace("|", "\\|")
        lines.append(f"| `{written}` | {text} |")
    return [*lines, ""]
