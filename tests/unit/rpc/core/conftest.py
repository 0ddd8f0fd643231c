"""A regtest node in memory whose results are all held to their declared forms."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from misocoin.config import Config
from misocoin.crypto.keys import PrivateKey
from misocoin.http.errors import RpcError
from misocoin.node import Node
from misocoin.rpc.errors import COMMON, rpc_error_from_exception
from misocoin.rpc.json import bytes_from_json

MINER = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
"""Pays to the HASH160 of the private key 1."""

MINER_WIF = "cMahea7zqjxrtgAbB7LSGbcQUr1uX1ojuat9jZodMN87JcbXMTcA"
"""Its key, in WIF."""


KEYS = [PrivateKey(bytes(31) + bytes((number,))) for number in (2, 3)]
"""Of nobody's wallet."""


class Progress:
    """Shows nothing."""

    def update(self, count: int, done: float, total: float) -> None:
        pass

    def close(self) -> None:
        pass


class CoreNode:
    """Calls methods as a client would: `core.getblockhash(0)`; results have gone through JSON."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.registry = node.registry(check_results=True)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*params: Any, **named: Any) -> Any:
            given: Any = {"args": list(params), **named} if named else list(params)
            try:
                result = self.registry.call(name, given)
            except AssertionError:
                raise
            except Exception as error:
                raise rpc_error_from_exception(error) from error
            return orjson.loads(bytes_from_json(result))

        return call

    def error(self, name: str, *params: Any, **named: Any) -> tuple[int, str]:
        """Code and first line of the error that a call ends in, which its help has to name."""
        with pytest.raises(RpcError) as caught:
            getattr(self, name)(*params, **named)
        code, message = caught.value.code, caught.value.message.splitlines()[0]
        assert code in (*self.registry.methods[name].errors, *COMMON), f"{name}: {code} {message}"
        return code, message


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoreNode]:
    """A node with 110 blocks that pay MINER; the tests of a module share it."""
    with core_node(tmp_path_factory.mktemp("core")) as made:
        yield made


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoreNode]:
    """A node whose wallet has five mature rewards; the tests leave it money."""
    with core_node(tmp_path_factory.mktemp("wallet")) as made:
        made.generatetoaddress(5, made.getnewaddress("mined"))
        made.generatetoaddress(101, MINER)
        yield made


@pytest.fixture
def settled(wallet: CoreNode) -> Iterator[None]:
    """For `usefixtures`: every test finds an empty mempool and no locked coin."""
    yield
    wallet.lockunspent(True)
    wallet.generatetoaddress(1, MINER)


@contextmanager
def core_node(folder: Path) -> Iterator[CoreNode]:
    """Such a node; its cookie lies in `folder`, nothing else does."""
    config = Config(
        chain="regtest",
        port=0,
        gossip=False,
        txindex=True,
        txospenderindex=True,
        cookie_file=folder / ".cookie",
    )
    node = Node(config, lambda _label, _unit: Progress())
    node.start()
    try:
        made = CoreNode(node)
        made.generate(110, MINER)
        yield made
    finally:
        node.stop()


class Coins:
    """Hands out mature coinbases, each once."""

    def __init__(self, core: CoreNode) -> None:
        self.core = core
        self._next = 1

    def take(self) -> dict[str, Any]:
        txid = self.core.getblock(self.core.getblockhash(self._next))["tx"][0]
        self._next += 1
        return {"txid": txid, "vout": 0}


@pytest.fixture(scope="module")
def coins(core: CoreNode) -> Coins:
    core.generatetoaddress(20, MINER)
    return Coins(core)


def pay(core: CoreNode, vin: dict[str, Any], amount: float, to: str = MINER) -> str:
    """A signed payment of one input to one output."""
    raw = core.createrawtransaction([vin], [{to: amount}])
    signed = core.signrawtransactionwithkey(raw, [MINER_WIF])
    assert signed["complete"], signed
    return str(signed["hex"])


def first_output(core: CoreNode, raw: str) -> dict[str, Any]:
    return {"txid": core.decoderawtransaction(raw)["txid"], "vout": 0}
