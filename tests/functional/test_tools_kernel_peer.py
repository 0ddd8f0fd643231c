"""Bitcoin Core's engine as a peer: a node pulls its chain by REST, and it takes a node's chain."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from misocoin.consensus.tree import HeaderNode
from misocoin.http.client import HttpClient
from misocoin.params import regtest
from misocoin.primitives.block import Block, block_from_bytes
from misocoin.primitives.transaction import TxOut
from tests.builders import KEY_SCRIPT, grow, make_block, signed_spend, spend
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import Daemon, wait_until
from tests.functional.framework.kernel import SCRIPTS, kernel_python
from tests.functional.framework.network import height, tip, wait_for_tip
from tests.functional.framework.registries import Registries, ToolProcess, run

pytestmark = pytest.mark.tools

PARAMS = regtest()
GENESIS = HeaderNode(PARAMS.genesis.header, None)


class KernelPeer:
    """Core's engine behind Core's REST paths."""

    def __init__(self, python: Path, folder: Path) -> None:
        command = [python, SCRIPTS / "kernel_peer.py", "serve", folder / "chain"]
        self._process = ToolProcess(folder / "kernel_peer.log", command)
        wait_until(lambda: "listening on" in self._process.log, "the engine serves")
        self.address = self._process.log.split()[-1]
        self._client = HttpClient()

    def feed(self, blocks: Sequence[Block]) -> None:
        """Hand it blocks that it has to take."""
        for block in blocks:
            answer = self._client.post(f"http://{self.address}/feed", block.serialize(), {})
            assert json.loads(answer.body)["reason"] is None

    def get(self, path: str) -> tuple[int, bytes]:
        answer = self._client.get(f"http://{self.address}{path}")
        return answer.status, answer.body

    @property
    def tip(self) -> str:
        return json.loads(self.get("/rest/chaininfo.json")[1])["bestblockhash"]

    def close(self) -> None:
        self._client.close()
        self._process.close()


@pytest.fixture
def peer(registries: Registries, tmp_path: Path) -> Iterator[KernelPeer]:
    peer = KernelPeer(kernel_python(registries), tmp_path)
    yield peer
    peer.close()


def node_at(blocks: Sequence[Block], start: HeaderNode = GENESIS) -> HeaderNode:
    for block in blocks:
        start = HeaderNode(block.header, start)
    return start


def chain_with_payments() -> list[Block]:
    """120 blocks, payments of two kinds in the last ones."""
    blocks = grow(GENESIS, PARAMS, 110)
    for block in blocks[:10]:
        point = block.transactions[0].outpoint(0)
        first = spend([point], [TxOut(10**9, KEY_SCRIPT), 10**9])
        coins = {first.outpoint(0): TxOut(10**9, KEY_SCRIPT)}
        blocks.append(make_block(node_at(blocks), PARAMS, [first, signed_spend(coins, [1])]))
    return blocks


def test_a_node_follows_it_through_reorganisations(
    peer: KernelPeer, make_daemon: MakeDaemon
) -> None:
    blocks = chain_with_payments()
    peer.feed(blocks)
    node = make_daemon(f"-nodes={peer.address}").start()
    wait_for_tip([node], blocks[-1].header.hash_hex)
    assert height(node) == 120
    more = grow(node_at(blocks), PARAMS, 3)
    peer.feed(more)
    wait_for_tip([node], more[-1].header.hash_hex)
    # A branch from eight blocks below takes over, with its payments undone.
    other = grow(node_at(blocks[:115]), PARAMS, 9, tag=b"other")
    peer.feed(other[:-1])  # as much work as the first branch: that one stays
    assert peer.tip == tip(node) == more[-1].header.hash_hex
    peer.feed(other[-1:])
    assert peer.tip == other[-1].header.hash_hex
    wait_for_tip([node], peer.tip)
    assert node.rpc.verify_chain()
    (seen,) = node.rpc.get_peers()
    assert (seen["address"], seen["score"]) == (peer.address, 0)
    assert node.rpc.gettxoutsetinfo()["txouts"] > 100


def test_what_it_stores_is_what_went_in(
    peer: KernelPeer, make_daemon: MakeDaemon, registries: Registries
) -> None:
    """And a second node takes the same from ours."""
    blocks = chain_with_payments()
    peer.feed(blocks)
    one = make_daemon(f"-nodes={peer.address}").start()
    two = make_daemon(f"-nodes=127.0.0.1:{one.port}").start()
    wait_for_tip([one, two], blocks[-1].header.hash_hex)
    for block in Random(1).sample(blocks, 10):
        text = block.header.hash_hex
        status, raw = peer.get(f"/rest/block/{text}.bin")
        assert (status, raw) == (200, block.serialize())
        assert two.rpc.getblock(text, 0) == raw.hex()
        assert block_from_bytes(raw) == block


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/rest/block/" + "0" * 64 + ".bin", 404),
        ("/rest/block/none.bin", 400),
        ("/rest/block/" + "0" * 64 + ".xml", 400),
        ("/rest/block/{tip}", 404),
        ("/rest/headers/2001/{tip}.bin", 400),
        ("/rest/headers/0/{tip}.bin", 400),
        ("/rest/headers/{tip}.bin?count=2", 200),
        ("/rest/headers/2/{tip}.hex", 200),
        ("/rest/headers/2/" + "0" * 64 + ".bin", 200),
        ("/rest/headers/2/none.bin", 400),
        ("/rest/blockhashbyheight/5.bin", 200),
        ("/rest/blockhashbyheight/5.hex", 200),
        ("/rest/blockhashbyheight/5.json", 200),
        ("/rest/blockhashbyheight/6.bin", 404),
        ("/rest/blockhashbyheight/-1.bin", 400),
        ("/rest/block/{tip}.hex", 200),
        ("/peer/hello", 404),
        ("/nothing", 404),
    ],
)
def test_both_answer_rest_alike(
    lasting_pair: tuple[KernelPeer, Daemon], path: str, status: int
) -> None:
    peer, node = lasting_pair
    asked = path.format(tip=peer.tip)
    theirs = peer.get(asked)
    assert theirs[0] == status
    if path.startswith("/rest/"):
        client = HttpClient()
        ours = client.get(f"{node.url}{asked}")
        client.close()
        assert ours.status == status
        if status == 200 and not path.endswith("json"):
            assert ours.body == theirs[1]


@pytest.fixture(scope="module")
def lasting_pair(
    registries: Registries, tmp_path_factory: pytest.TempPathFactory, lasting_daemon: Daemon
) -> Iterator[tuple[KernelPeer, Daemon]]:
    """A node with five blocks, and the engine with the same."""
    peer = KernelPeer(kernel_python(registries), tmp_path_factory.mktemp("peer"))
    lasting_daemon.rpc.generate(5)
    hashes = [lasting_daemon.rpc.getblockhash(at) for at in range(1, 6)]
    raws = [bytes.fromhex(lasting_daemon.rpc.getblock(each, 0)) for each in hashes]
    peer.feed([block_from_bytes(raw) for raw in raws])
    yield peer, lasting_daemon
    peer.close()


@pytest.fixture
def check(registries: Registries, tmp_path: Path) -> Callable[[Daemon], Any]:
    """Have the engine check a node's chain, as a user would."""
    python = kernel_python(registries)
    folder = tmp_path / "checked"

    def run_check(node: Daemon) -> Any:
        program = SCRIPTS / "kernel_peer.py"
        return run([python, program, "check", folder, f"127.0.0.1:{node.port}"])

    return run_check


def test_it_validates_what_a_node_mined(
    make_daemon: MakeDaemon, check: Callable[[Daemon], Any]
) -> None:
    node = make_daemon("-txindex").start()
    rpc = node.rpc
    rpc.generate(101)
    for kind in ("legacy", "p2sh-segwit", "bech32", "bech32m"):
        rpc.sendtoaddress(rpc.getnewaddress("", kind), 2)
    rpc.generate(1)
    rpc.sendtoaddress(rpc.getnewaddress(), 30)  # spends coins of all four kinds
    rpc.generate(1)
    told = check(node)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("103 new blocks are valid; both have best block")
    assert tip(node) in told.stdout
    # The node's chain is another now: a branch of it wins in the engine, too.
    rpc.invalidateblock(rpc.getblockhash(100))
    rpc.generate(6)
    told = check(node)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("6 new blocks are valid")
    assert f"{tip(node)} at height 105" in told.stdout
    assert check(node).stdout.startswith("0 new blocks are valid")


def test_it_says_whose_chain_it_does_not_know(
    make_daemon: MakeDaemon, check: Callable[[Daemon], Any]
) -> None:
    node = make_daemon("-mine=0", chain="miso").start()
    told = check(node)
    assert told.returncode == 1
    assert "is on another chain" in told.stderr
    node.stop()
    told = check(node)
    assert told.returncode == 1
    assert "refused" in told.stderr
    assert "Traceback" not in told.stderr
