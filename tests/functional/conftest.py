"""Daemons for tests, none of which outlives its test, and a PostgreSQL server for all of them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from misocoin.cli.wallet import main
from misocoin.params import Params
from tests.functional.framework.answers import Twins
from tests.functional.framework.bitcoind import Bitcoind, bitcoind_program
from tests.functional.framework.both import Both
from tests.functional.framework.daemon import Daemon, clean_environment, reserved_port
from tests.functional.framework.kernel import Kernel, kernel_python
from tests.functional.framework.pair import linked_pair
from tests.functional.framework.postgres import PostgresServer, find_postgres
from tests.functional.framework.purse import Purse, Run
from tests.functional.framework.registries import Registries
from tests.functional.framework.wallet import WalletCommands

MakeDaemon = Callable[..., Daemon]
MakeBitcoind = Callable[..., Bitcoind]
MakeBoth = Callable[[Params], Both]
MakeTwins = Callable[..., Twins]
StartMiner = Callable[..., subprocess.Popen[str]]
MakeWallet = Callable[[], WalletCommands]
Node = Daemon | Bitcoind
ReservePort = Callable[[], int]


@pytest.fixture
def reserve_port() -> Iterator[ReservePort]:
    """Ports on which nobody listens but whom the test tells to: `port = reserve_port()`."""
    with ExitStack() as held:
        yield lambda: held.enter_context(reserved_port())


@pytest.fixture
def make_daemon(tmp_path: Path) -> Iterator[MakeDaemon]:
    """Make daemons that are not started yet: `make_daemon("-txindex", chain="regtest")`."""
    made: list[Daemon] = []

    def make(*options: str, **settings: Any) -> Daemon:
        daemon = Daemon(tmp_path / f"node{len(made)}", *options, **settings)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.close()


@pytest.fixture
def daemon(make_daemon: MakeDaemon) -> Daemon:
    """A regtest daemon that answers calls."""
    return make_daemon().start()


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[StartMiner]:
    """Start `misocoin mine`; it does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "misocoin", "mine", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean_environment(tmp_path),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def purse(daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Purse:
    """A wallet folder beside the daemon."""
    purse = Purse(tmp_path / "keys", daemon)
    monkeypatch.setenv("MISOCOIN_WALLETDIR", str(purse.path))
    monkeypatch.setenv("MISOCOIN_CHAIN", "regtest")
    monkeypatch.setenv("MISOCOIN_NODES", purse.node)
    return purse


@pytest.fixture
def run(purse: Purse, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a wallet command over that folder, in this process."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def lasting_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A regtest daemon for all tests of a module that leave it as it is."""
    daemon = Daemon(tmp_path_factory.mktemp("lasting") / "node").start()
    yield daemon
    daemon.stop()


@pytest.fixture
def make_wallet(tmp_path: Path) -> MakeWallet:
    """Make folders of keys, and commands over them as processes."""
    made: list[WalletCommands] = []

    def make() -> WalletCommands:
        made.append(WalletCommands(tmp_path / f"wallet{len(made)}"))
        return made[-1]

    return make


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Daemon, Daemon]]:
    """Two daemons for one test."""
    with linked_pair(tmp_path) as pair:
        yield pair


@pytest.fixture(scope="module")
def lasting_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Daemon]]:
    """Two daemons for tests that do not mind what blocks there are already."""
    with linked_pair(tmp_path_factory.mktemp("lasting")) as pair:
        yield pair


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server; the test is skipped where none can be started."""
    programs, why_not = find_postgres()
    if programs is None:
        pytest.skip(why_not)
    server = PostgresServer(programs)
    try:
        try:
            server.create()
            server.start()
        except (subprocess.SubprocessError, OSError, AssertionError) as error:
            pytest.skip(f"PostgreSQL does not start here: {error}")
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The address of a database that is empty and this test's own: `postgresql://…`."""
    return postgres_server.new_database()


@pytest.fixture(scope="session")
def registries(tmp_path_factory: pytest.TempPathFactory) -> Registries:
    """Programs from registries, kept in the folder that `TOOLS_CACHE` names, or for this run."""
    kept = os.environ.get("TOOLS_CACHE")
    return Registries(Path(kept).absolute() if kept else tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="module")
def make_bitcoind(
    registries: Registries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeBitcoind]:
    """Make a real bitcoind, not started yet: `make_bitcoind("-blockfilterindex")`."""
    made: list[Bitcoind] = []
    program = bitcoind_program(registries)

    def make(*options: str, **settings: Any) -> Bitcoind:
        folder = tmp_path_factory.mktemp("bitcoind") / "data"
        made.append(Bitcoind(program, folder, *options, **settings))
        return made[-1]

    yield make
    for bitcoind in made:
        bitcoind.close()


@pytest.fixture(scope="module")
def make_twins(
    make_bitcoind: MakeBitcoind, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeTwins]:
    """Make our daemon and a real bitcoind beside it, with the same options; both are started.

    `theirs` are options that the bitcoind alone gets.
    """
    with ExitStack() as held:

        def make(*options: str, theirs: Sequence[str] = ()) -> Twins:
            folder = tmp_path_factory.mktemp("twin") / "node"
            ours = Daemon(folder, "-rest", "-txindex", "-fallbackfee=0.0002", *options)
            held.callback(ours.close)
            bitcoind = make_bitcoind("-corepolicy", *theirs, *options).start()
            twins = Twins(ours.start(), bitcoind)
            held.callback(twins.close)
            return twins

        yield make


@pytest.fixture(params=["ours", "bitcoind"])
def any_node(request: pytest.FixtureRequest) -> Node:
    """A node for programs that others wrote: ours, and a real bitcoind, where all must go as well.

    Both have a wallet and all transactions at hand; for tests of marker `tools`.
    """
    if request.param == "ours":
        make_daemon: MakeDaemon = request.getfixturevalue("make_daemon")
        return make_daemon("-txindex").start()
    make_bitcoind: MakeBitcoind = request.getfixturevalue("make_bitcoind")
    node = make_bitcoind("-corepolicy", "-addresstype=bech32").start()
    node.call("createwallet", "")
    return node


@pytest.fixture(scope="module")
def kernel(registries: Registries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """Bitcoin Core's validation engine; the test is skipped where it cannot be had."""
    kernel = Kernel(kernel_python(registries), tmp_path_factory.mktemp("kernel") / "log")
    yield kernel
    kernel.close()


@pytest.fixture(scope="module")
def make_both(
    registries: Registries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeBoth]:
    """Make a chain of a network's both in our chain state and in that engine."""
    made: list[tuple[Kernel, Both]] = []

    def make(params: Params) -> Both:
        folder = tmp_path_factory.mktemp("both")
        kernel = Kernel(kernel_python(registries), folder / "log")
        made.append((kernel, Both(kernel, folder / "chain", params)))
        return made[-1][1]

    yield make
    for kernel, both in made:
        both.close()
        kernel.close()
