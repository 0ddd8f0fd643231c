"""The command `mine`: mine for a node, from any machine.

    misocoin mine -node=localhost:4000 -address=miso1…

The node, a Misocoin node or a bitcoind, gives templates (`getblocktemplate`) and takes blocks
(`submitblock`). A Misocoin node wants no password for that; for a bitcoind give -user and
-password, or -cookie.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from misocoin.cli.command import Command, UsageError, run_group
from misocoin.cli.logs import set_up_logging
from misocoin.cli.signals import stop_signals
from misocoin.core_options import place_from_text
from misocoin.errors import AddressError, ConfigError
from misocoin.http.client import Bounds
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.mining.remote import RemoteMiner, RemoteOptions
from misocoin.option_table import DEFAULT_PORT, ENGINES
from misocoin.options import Kind, Option, choice_of, flag_from_text, integer_between
from misocoin.params import NETWORK_NAMES, Params, params_by_name
from misocoin.pow.engines import missing_native_notice, select_engine
from misocoin.pow.slices import MAX_THREADS
from misocoin.script.address import script_from_address

POLL_BOUNDS = Bounds(read_seconds=600, total_seconds=610)
"""How long a node may keep silent while there is no other work."""

GROUP = "Mining"

OPTIONS = (
    Option(
        "node",
        GROUP,
        "The node to mine for.",
        place_from_text,
        place_from_text(f"localhost:{DEFAULT_PORT}"),
        placeholder="host:port",
        default_text=f"localhost:{DEFAULT_PORT}",
    ),
    Option("address", GROUP, "Whom the blocks pay.", placeholder="address"),
    Option(
        "threads", GROUP, "Threads that search.", integer_between(1, MAX_THREADS), 1,
        placeholder="n",
    ),  # fmt: skip
    Option(
        "engine",
        GROUP,
        f"Search for nonces: {', '.join(ENGINES[1:])}, or auto, the fastest of them here.",
        choice_of(*ENGINES),
        "auto",
        placeholder="name",
    ),
    Option(
        "blocks",
        GROUP,
        "Stop after so many blocks; 0 is without end.",
        integer_between(0, 10**9),
        0,
        placeholder="n",
    ),
    Option("tag", GROUP, "Text to put into the coinbase.", str, "misocoin", placeholder="text"),
    Option("user", GROUP, "Name for the node, with -password.", placeholder="name"),
    Option("password", GROUP, "Password for the node.", placeholder="password", secret=True),
    Option(
        "cookie", GROUP, "The node's cookie file, instead of name and password.", Path,
        placeholder="file",
    ),
    Option("logjson", GROUP, "Print one JSON object a line.", flag_from_text, False, Kind.FLAG),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Mine until stopped; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    command = Command("mine", "Mine for a node, from any machine.", _mine, OPTIONS)
    return run_group("misocoin", (command,), ("mine", *words))


def script_and_network(address: str) -> tuple[bytes, Params]:
    """The script that an address stands for, and its network; raises AddressError."""
    complaints: list[AddressError] = []
    for params in map(params_by_name, NETWORK_NAMES):
        try:
            return script_from_address(address, params), params
        except AddressError as error:
            # The chain that the prefix names comes first: its complaint is of use.
            is_meant = address.strip().lower().startswith(f"{params.address.hrp}1")
            complaints.insert(0 if is_meant else len(complaints), error)
    raise complaints[0]


class RpcNode:
    """A node that is called by JSON-RPC."""

    def __init__(self, url: str, credentials: tuple[str, str] | None, cookie: Path | None) -> None:
        self._url = url
        self._credentials = credentials
        self._cookie = cookie
        self._client = self._connect()

    def _connect(self) -> JsonRpcClient:
        credentials = self._credentials
        if self._cookie is not None:
            try:
                name, _, password = self._cookie.read_text("ascii").partition(":")
                credentials = (name, password)
            except (OSError, UnicodeDecodeError):
                credentials = None  # its node is not there; it leaves another one when it is back
        return JsonRpcClient(self._url, credentials, bounds=POLL_BOUNDS)

    def get_template(self, request: dict[str, Any]) -> object:
        """Call `getblocktemplate`."""
        return self._client.call("getblocktemplate", request)

    def submit(self, block_hex: str, work_id: str) -> object:
        """Call `submitblock`."""
        more = [{"workid": work_id}] if work_id else []
        return self._client.call("submitblock", block_hex, *more)

    def renew(self) -> None:
        """Connect anew."""
        self._client = self._connect()


def _mine(values: Mapping[str, Any], _words: tuple[str, ...]) -> int:
    if values["address"] is None:
        raise UsageError("whom shall the blocks pay? write -address=<address>")
    if (values["user"] is None) != (values["password"] is None):
        raise ConfigError("-user and -password go together")
    script, params = script_and_network(values["address"])
    place = values["node"]
    host = f"[{place.host}]" if ":" in place.host else place.host
    credentials = None if values["user"] is None else (values["user"], values["password"])
    node = RpcNode(
        f"http://{host}:{DEFAULT_PORT if place.port is None else place.port}/",
        credentials,
        values["cookie"],
    )
    set_up_logging("info", values["logjson"])
    notice = missing_native_notice()
    if notice is not None:
        print(notice, file=sys.stderr)
    options = RemoteOptions(
        params, script, values["threads"], values["tag"].encode(), values["blocks"]
    )
    miner = RemoteMiner(node, select_engine(values["engine"]), options)
    with stop_signals(miner.stop):
        miner.run()
    blocks = "1 block" if miner.accepted == 1 else f"{miner.accepted} blocks"
    print(f"{blocks} mined, {miner.refused} refused")
    return 0
