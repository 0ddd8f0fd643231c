"""Real daemons that vanish, were cut off, or mine against each other."""

import time

import pytest

from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import Daemon, wait_until
from tests.functional.framework.network import (
    address,
    height,
    link,
    tip,
    unlink,
    wait_for_agreement,
    wait_for_tip,
)

QUIET = ("-par=1", "-gossip=0")


def test_two_sides_of_a_partition_join(make_daemon: MakeDaemon) -> None:
    """50 blocks apart, then one chain again, and no payment is lost."""
    a, b, c, d = nodes = [make_daemon(*QUIET).start() for _ in range(4)]
    link(a, b)
    link(c, d)
    link(b, c)
    c.rpc.generate(1)
    wait_for_agreement(nodes)
    a.rpc.generate(101)
    wait_for_agreement(nodes)

    unlink(b, c)
    # The losing side confirms a payment that the winning side never hears of, and has one waiting.
    payee = b.rpc.get_new_address()
    mined = c.rpc.send_misocoin(payee, 2)
    c.rpc.generate(50)
    wait_for_agreement([c, d])
    assert mined not in c.rpc.get_mempool()
    waiting = a.rpc.send_misocoin(payee, 3)
    a.rpc.generate(50)
    a.rpc.generate(1)
    wait_for_agreement([a, b])
    best = tip(a)
    assert height(c) == height(a) - 1

    link(b, c)
    wait_for_tip(nodes, best)
    c.log.wait_for("reorg: 50 blocks back")
    for node in nodes:
        wait_until(lambda node=node: mined in node.rpc.get_mempool(), "the payment waits again")
    a.rpc.generate(1)
    wait_for_agreement(nodes)
    assert d.rpc.get_mempool() == []
    for txid in (mined, waiting):
        assert b.rpc.get_tx(txid)["confirmations"] > 0
    assert b.rpc.get_balance() == 5


def test_a_node_killed_while_it_syncs_goes_on(make_daemon: MakeDaemon) -> None:
    source = make_daemon(*QUIET).start()
    source.rpc.generate(1000)
    late = make_daemon(*QUIET, f"-nodes=localhost:{source.port}")
    heights = [0]
    for _ in range(3):
        late.start()
        heights.append(int(late.log.wait_for(r"at height (\d+)")[1]))
        assert heights[-1] >= heights[-2]
        wait_until(lambda: height(late) > heights[-1] + 100 or height(late) == 1000, "it gets on")
        late.kill()
    assert heights[-1] > 0
    late.start()
    wait_for_tip([late], tip(source))
    assert late.rpc.verify_chain()
    assert source.rpc.list_banned() == []  # whoever dies in the middle of a message is not to blame


def test_a_node_that_was_off_catches_up(make_daemon: MakeDaemon) -> None:
    one = make_daemon(*QUIET).start()
    two = make_daemon(*QUIET, f"-nodes=localhost:{one.port}").start()
    one.rpc.generate(10)
    wait_for_tip([two], tip(one))
    two.stop()
    one.rpc.generate(200)
    begun = time.monotonic()
    two.start()
    wait_for_tip([two], tip(one))
    assert height(two) == 210
    assert time.monotonic() - begun < 60


def test_three_miners_of_different_power_converge(make_daemon: MakeDaemon) -> None:
    """Each mines its own share; the chain holds blocks of all, and all agree on it."""
    nodes = [make_daemon(*QUIET).start() for _ in range(3)]
    for one, other in ((0, 1), (1, 2), (2, 0)):
        link(nodes[one], nodes[other])
    payees = [node.rpc.get_new_address() for node in nodes]
    for turn in range(6):
        for node, payee, share in zip(nodes, payees, (1, 2, 4), strict=True):
            node.rpc.generate(share, payee)
        if turn % 2:
            wait_for_agreement(nodes)
    (block,) = nodes[0].rpc.generate(1, payees[0])
    wait_for_tip(nodes, block)
    top = height(nodes[0])
    # In each turn the strongest alone adds four; the chain is at least what it makes.
    assert top >= 4 * 6
    miners = {
        nodes[1].rpc.get_block(at, 2)["tx"][0]["vout"][0]["scriptPubKey"]["address"]
        for at in range(1, top + 1)
    }
    assert payees[2] in miners
    assert miners <= set(payees)


@pytest.mark.long
def test_three_miners_on_miso_converge(make_daemon: MakeDaemon) -> None:
    """The background miners of chain miso, with 1, 1 and 2 threads, at its real difficulty."""
    nodes: list[Daemon] = []
    for threads in (1, 1, 2):
        known = [f"-nodes={address(node)}" for node in nodes]
        nodes.append(make_daemon("-mine=1", f"-threads={threads}", *known, chain="miso").start())
    wait_until(lambda: min(map(height, nodes)) >= 30, "thirty blocks", 600)
    for node in nodes:
        node.rpc.set_mining(False)
    wait_for_agreement(nodes)
