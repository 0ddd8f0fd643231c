"""The light wallet's commands killed at any moment: no key and no payment is lost."""

import random
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from misocoin.cli.wallet_common import LIGHT_FILE
from tests.functional.conftest import MakeDaemon, MakeWallet
from tests.functional.framework.daemon import DEADLINE, Daemon
from tests.functional.framework.network import address, height
from tests.functional.framework.pair import STRANGER, mine, miso
from tests.functional.framework.wallet import LyingNode, WalletCommands


@contextmanager
def syncing(wallet: WalletCommands, where: str) -> Iterator[object]:
    process, log = wallet.start("sync", where)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def _kill_while_paying(
    nodes: tuple[Daemon, Daemon], wallet: WalletCommands, rounds: int, seed: int
) -> None:
    """Kill payments and syncs at any moment: what was acknowledged is mined in the end."""
    one, two = nodes
    dice = random.Random(seed)
    where = f"-nodes={address(one)},{address(two)}"
    own = wallet.address("payer")
    mine(nodes, rounds + 1, own)
    mine(nodes, 100)
    wallet.run("sync", "-once", where)
    acknowledged = []
    for turn in range(rounds):
        with syncing(wallet, where):
            process, log = wallet.start("send", "payer", f"{turn + 1}", STRANGER, where)
            # From before it has read its keys to after it has told all nodes.
            with suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(0.1, 2.0))
            process.kill()
            process.wait()
            log.close()
            if "written down" in log.text:
                acknowledged.append(turn + 1)
        one.rpc.generate(1, STRANGER)
    wallet.run("sync", "-once", where)
    mine(nodes, 1)
    wallet.run("sync", "-once", where)
    history = wallet.run("history")
    sent = [row for row in history.splitlines() if "to bcrt1" in row]
    assert all("conf." in row for row in sent), history
    assert len(sent) >= len(acknowledged)
    paid = {round(-float(row.split()[2]) - 0.0005) for row in sent}
    assert paid >= set(acknowledged)
    assert len(paid) == len(sent), "no payment was made twice"


@pytest.mark.long
def test_many_kills_while_paying(nodes, make_wallet) -> None:
    _kill_while_paying(nodes, make_wallet(), 60, 2)


@pytest.mark.long
def test_a_kill_while_syncing_loses_nothing(lasting_nodes, make_wallet) -> None:
    one, _ = lasting_nodes
    wallet = make_wallet()
    own = wallet.address("mine")
    before = height(one)
    for _ in range(10):
        one.rpc.generate(1, own)
        one.rpc.generate(30, STRANGER)
    where = f"-nodes={address(one)}"
    dice = random.Random(3)
    for _ in range(3):
        process, log = wallet.start("sync", "-once", where)
        with suppress(subprocess.TimeoutExpired):
            process.wait(dice.uniform(0.2, 0.8))
        process.kill()
        process.wait()
        log.close()
    assert f"At block {before + 310}" in wallet.run("sync", "-once", where)
    subsidies = [50 / 2 ** ((before + 1 + 31 * n) // 150) for n in range(10)]
    assert wallet.balances()["mine"][0] == miso(sum(subsidies))


# -- at each step -----------------------------------------------------------------------------


def kill_when_asked(wallet: WalletCommands, node: Daemon, path: str, *words: str) -> str:
    """Kill a command when it asks a node for `path`, which does not answer; what it had printed."""
    asked, over = threading.Event(), threading.Event()

    def answers(heard: str) -> bool:
        if not heard.startswith(path) or (path == "/" and heard != path):
            return True
        asked.set()
        over.wait(DEADLINE)
        return False

    proxy = LyingNode(node, {}, answers)
    process, log = wallet.start(*words, f"-nodes={proxy.address}")
    try:
        assert asked.wait(DEADLINE), log.text
    finally:
        process.kill()
        process.wait()
        over.set()
        log.close()
        proxy.close()
    return log.text


def test_a_kill_at_each_step_loses_nothing(
    lasting_nodes: tuple[Daemon, Daemon], make_wallet: MakeWallet
) -> None:
    one, two = lasting_nodes
    wallet = make_wallet()
    own = wallet.address("payer")
    where = f"-nodes={address(one)}"
    one.rpc.generatetoaddress(101, one.rpc.getnewaddress())
    for turn, kind in enumerate(("headers", "blockfilterheaders", "blockfilters", "block"), 1):
        one.rpc.sendtoaddress(own, 0.01)
        mine((one, two), 1)
        kill_when_asked(wallet, one, f"/rest/{kind}/", "sync", "-once")
        wallet.run("sync", "-once", where)
        assert wallet.balances()["payer"] == (miso(turn * 0.01), "-")
    said = kill_when_asked(wallet, one, "/", "send", "payer", "0.015", STRANGER, "-feerate=0.0001")
    assert "is signed and written down" in said
    txid = said.split("Payment ")[1].split()[0]
    assert txid not in one.rpc.getrawmempool()
    assert f"waiting  {txid}" in wallet.run("history")
    kill_when_asked(wallet, one, "/", "sync", "-once")  # as it hands the payment in again
    assert f"Payment {txid} is with {address(one)}" in wallet.run("sync", "-once", where)
    assert txid in one.rpc.getrawmempool()
    mine((one, two), 1)
    assert f"Payment {txid} was mined" in wallet.run("sync", "-once", where)


def test_a_payment_made_without_a_node_is_sent_until_its_end(
    make_daemon: MakeDaemon, make_wallet: MakeWallet
) -> None:
    """Mined, lost to another payment or expired: each is told."""
    node = make_daemon("-gossip=0").start()
    where = f"-nodes={address(node)}"
    rob, thief = make_wallet(), make_wallet()
    names = ("mined", "lost", "late")
    for name in names:
        node.rpc.generate(1, rob.address(name))
    node.rpc.generate(100, STRANGER)
    secret = rob.folder.parent / "lost.pem"
    rob.run("export", "lost", f"-out={secret}")
    thief.run("import", "thine", str(secret))
    for wallet in (rob, thief):
        wallet.run("sync", "-once", where)
    node.stop()

    def pay(name: str) -> str:
        said = rob.run("send", name, "40", STRANGER, where, "-feerate=0.00001")
        assert "No node has it yet" in said
        return said.split("Payment ")[1].split()[0]

    mined, lost, late = (pay(name) for name in names)
    said = rob.run("sync", "-once", where, fails=True)
    assert all(f"Payment {txid} waits for a node" in said for txid in (mined, lost, late))
    with closing(sqlite3.connect(rob.folder / LIGHT_FILE)) as database:
        query = "UPDATE payments SET expires = time WHERE txid = ?"  # its time is over
        database.execute(query, (bytes.fromhex(late)[::-1],))
        database.commit()

    node.start()
    said = thief.run("send", "thine", "-all", STRANGER, where, "-feerate=0.001")
    rival = said.split("Payment ")[1].split()[0]
    said = rob.run("sync", "-once", where)
    assert f"Payment {mined} is with {address(node)}" in said
    assert f"Payment {lost} is refused by {address(node)}: " in said
    assert f"Payment {late} has expired: it is not sent any more, its coins are free" in said
    assert set(node.rpc.getrawmempool()) == {mined, rival}
    node.rpc.generate(1, STRANGER)
    said = rob.run("sync", "-once", where)
    assert f"Payment {mined} was mined" in said
    assert f"Payment {lost} will not be mined: its coin was spent by {rival}" in said
    history = rob.run("history")
    assert f"conflicted  {lost}" in history
    assert f"undone  {late}" in history or f"expired  {late}" in history
    held = rob.balances()
    assert held["lost"] == (miso(0), "-")
    assert held["late"] == (miso(50), "-")
    assert held["mined"][0].startswith("9.99")
