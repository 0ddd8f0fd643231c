"""A real `bitcoind -rest` in `-nodes`: our node checks its chain, follows it, and blames nobody."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from tests.functional.conftest import MakeBitcoind, MakeDaemon
from tests.functional.framework.bitcoind import Bitcoind
from tests.functional.framework.daemon import Daemon, wait_until
from tests.functional.framework.network import address, height, link, tip, wait_for_tip

pytestmark = pytest.mark.tools

KINDS = ("legacy", "p2sh-segwit", "bech32", "bech32m")
ANYBODY, ANYBODY_ELSE = "raw(51)#8lvh9jxk", "raw(52)#qu92mhx7"
"""Blocks that no wallet looks at are made in no time."""


def grow(bitcoind: Bitcoind, count: int = 1, descriptor: str = ANYBODY) -> str:
    """Make blocks; the last one's hash."""
    for at in range(0, count, 500):
        hashes = bitcoind.call("generatetodescriptor", min(count - at, 500), descriptor)
    return hashes[-1]


def pay_all_kinds(bitcoind: Bitcoind, blocks: int) -> None:
    """Have its wallet pay to and spend from every kind of output, for some blocks."""
    random = Random(1)
    bitcoind.call("createwallet", "w")
    own = {kind: bitcoind.call("getnewaddress", "", kind) for kind in KINDS}
    for kind in KINDS:
        bitcoind.call("generatetoaddress", 4, own[kind])
    grow(bitcoind, 100)
    for number in range(blocks):
        outputs = {
            bitcoind.call("getnewaddress", "", kind): round(random.uniform(0.01, 1), 8)
            for kind in KINDS * 3
        }
        bitcoind.call("sendmany", "", outputs)
        bitcoind.call("sendtoaddress", own[random.choice(KINDS)], round(random.uniform(3, 9), 8))
        bitcoind.call("generatetoaddress", 1, own[KINDS[number % 4]])


def node_of(bitcoind: Bitcoind) -> str:
    return f"-nodes={bitcoind.address}"


def follow(node: Daemon, bitcoind: Bitcoind) -> None:
    """Wait until the node is at its tip."""
    wait_for_tip([node], bitcoind.call("getbestblockhash"))


def seen(node: Daemon, bitcoind: Bitcoind) -> dict[str, Any]:
    """The node's link with it, with nothing held against it."""
    (peer,) = [each for each in node.rpc.get_peers() if each["address"] == bitcoind.address]
    assert peer["score"] == 0
    assert not node.rpc.listbanned()
    return peer


def is_linked(node: Daemon, bitcoind: Bitcoind) -> bool:
    return bitcoind.address in [peer["address"] for peer in node.rpc.get_peers()]


def check_same(node: Daemon, bitcoind: Bitcoind) -> None:
    """Both have the same coins."""
    for kind in ("hash_serialized_3", "muhash", "none"):
        ours, theirs = node.rpc.gettxoutsetinfo(kind), bitcoind.call("gettxoutsetinfo", kind)
        for told in (ours, theirs):
            del told["disk_size"]
        assert ours == theirs


@pytest.fixture
def bitcoind(make_bitcoind: MakeBitcoind) -> Bitcoind:
    """One with 110 blocks."""
    made = make_bitcoind().start()
    grow(made, 110)
    return made


@contextmanager
def frozen(bitcoind: Bitcoind) -> Iterator[None]:
    """As if the machine hung."""
    bitcoind.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        bitcoind.signal(signal.SIGCONT)


def test_a_first_sync_of_thousands_of_blocks_with_every_kind_of_payment(
    make_bitcoind: MakeBitcoind, make_daemon: MakeDaemon
) -> None:
    bitcoind = make_bitcoind().start()
    pay_all_kinds(bitcoind, 8)
    bitcoind.call("unloadwallet", "w")
    grow(bitcoind, 4500)  # more than two answers of headers
    bitcoind.call("loadwallet", "w")
    node = make_daemon(node_of(bitcoind)).start()
    follow(node, bitcoind)
    check_same(node, bitcoind)
    peer = seen(node, bitcoind)
    assert (peer["agent"], peer["height"]) == ("Core's REST", height(node))
    assert re.search(r"linked with \S+ \(Core's REST\)", node.log.text)
    assert re.search(r"synced 46\d\d blocks in ", node.log.text)
    assert "WARNING" not in node.log.text
    # A second node gets it from ours, which relays what bitcoind has.
    other = make_daemon(f"-nodes={address(node)}", "-gossip=0").start()
    follow(other, bitcoind)
    # Payments and blocks are seen on both.
    payment = bitcoind.call("sendtoaddress", node.rpc.getnewaddress(), 1.5)
    wait_until(lambda: other.rpc.getrawmempool() == [payment], "the payment is seen")
    assert str(node.rpc.getbalances()["mine"]["untrusted_pending"]) == "1.50000000"
    bitcoind.call("generatetoaddress", 1, bitcoind.call("getnewaddress"))
    follow(node, bitcoind)
    follow(other, bitcoind)
    assert str(node.rpc.getbalances()["mine"]["trusted"]) == "1.50000000"
    check_same(other, bitcoind)
    assert node.rpc.verify_chain()


def test_it_is_followed_through_reorganisations(
    bitcoind: Bitcoind, make_daemon: MakeDaemon
) -> None:
    node = make_daemon(node_of(bitcoind)).start()
    follow(node, bitcoind)
    first = tip(node)
    fork = bitcoind.call("getblockhash", 101)
    bitcoind.call("invalidateblock", fork)
    grow(bitcoind, 10, ANYBODY_ELSE)  # to the same height: as much work
    other = bitcoind.call("getbestblockhash")
    wait_until(lambda: other in chain_tips(node), "the other branch is seen")
    assert tip(node) == first  # it came first
    grow(bitcoind, 1)
    follow(node, bitcoind)
    check_same(node, bitcoind)
    # The first branch again, with more work by one block.
    bitcoind.call("reconsiderblock", fork)
    bitcoind.call("invalidateblock", bitcoind.call("getblockhash", 101))
    assert bitcoind.call("getbestblockhash") == first
    grow(bitcoind, 2)
    follow(node, bitcoind)
    check_same(node, bitcoind)
    assert seen(node, bitcoind)["height"] == 112
    assert node.rpc.verify_chain()


def chain_tips(node: Daemon) -> list[str]:
    return [each["hash"] for each in node.rpc.getchaintips()]


def test_one_that_goes_and_comes_back(bitcoind: Bitcoind, make_daemon: MakeDaemon) -> None:
    node = make_daemon(node_of(bitcoind)).start()
    follow(node, bitcoind)
    bitcoind.stop()
    wait_until(lambda: not is_linked(node, bitcoind), "the link ends")
    bitcoind.start()
    grow(bitcoind, 20)
    follow(node, bitcoind)
    bitcoind.signal(signal.SIGKILL)
    wait_until(lambda: not is_linked(node, bitcoind), "the link ends")
    bitcoind.start()  # it may have lost its last blocks
    grow(bitcoind, 25)
    follow(node, bitcoind)
    with frozen(bitcoind):
        wait_until(lambda: not is_linked(node, bitcoind), "the link ends")
    grow(bitcoind, 2)
    follow(node, bitcoind)
    seen(node, bitcoind)


def test_one_that_stalls_in_the_middle_is_passed_over(
    make_bitcoind: MakeBitcoind, make_daemon: MakeDaemon
) -> None:
    one, two = make_bitcoind().start(), make_bitcoind().start()
    grow(one, 3000)
    for at in range(1, 3001):
        two.call("submitblock", one.call("getblock", one.call("getblockhash", at), 0))
    node = make_daemon(f"-nodes={one.address},{two.address}").start()
    wait_until(lambda: height(node) > 300, "it is under way")
    with frozen(one):
        follow(node, two)
    wait_until(lambda: is_linked(node, one), "it is back")
    assert not node.rpc.listbanned()


def test_one_without_rest_and_one_of_another_chain(
    make_bitcoind: MakeBitcoind, make_daemon: MakeDaemon
) -> None:
    bare = make_bitcoind("-rest=0").start()
    others = [make_bitcoind(chain=chain).start() for chain in ("main", "testnet4", "signet")]
    node = make_daemon(node_of(bare)).start()
    for other in others:
        node.rpc.addnode(other.address, "add")
    node.log.wait_for(rf"no link with {bare.address}: .*a bitcoind needs -rest")
    for other in others:
        found = rf"warning: no link with {other.address}: another chain \({other.chain}\)$"
        node.log.wait_for(found)
    assert not node.rpc.listbanned()
    grow(bare, 5)
    bare.stop()
    bare.options = ()
    bare.start()
    follow(node, bare)
    seen(node, bare)


def test_one_that_is_still_starting_is_waited_for(
    make_bitcoind: MakeBitcoind, make_daemon: MakeDaemon
) -> None:
    bitcoind = make_bitcoind().start()
    grow(bitcoind, 3000)
    best = bitcoind.call("getbestblockhash")
    bitcoind.stop()
    bitcoind.options = ("-checkblocks=0", "-checklevel=4")  # it answers 503 until that is done
    node = make_daemon(node_of(bitcoind)).start()
    node.log.wait_for("no link with .*: Connection refused")
    bitcoind.launch()
    wait_for_tip([node], best)
    seen(node, bitcoind)


def test_a_pruned_one_is_of_use_to_who_has_the_old_blocks(
    make_bitcoind: MakeBitcoind, make_daemon: MakeDaemon
) -> None:
    bitcoind = make_bitcoind("-prune=1", "-fastprune", "-txindex=0").start()
    grow(bitcoind, 1000)
    old = make_daemon(node_of(bitcoind)).start()
    follow(old, bitcoind)
    assert bitcoind.call("pruneblockchain", 600) > 300
    grow(bitcoind, 5)
    follow(old, bitcoind)
    fresh = make_daemon(node_of(bitcoind)).start()
    fresh.log.wait_for("it has pruned a block that is missing here")
    fresh.rpc.addnode(address(old), "add")
    follow(fresh, bitcoind)
    grow(bitcoind, 1)
    follow(fresh, bitcoind)
    assert not fresh.rpc.listbanned()


def test_the_most_work_of_two_is_followed_and_told_on(
    make_bitcoind: MakeBitcoind, make_daemon: MakeDaemon
) -> None:
    one, two = make_bitcoind().start(), make_bitcoind().start()
    grow(one, 30)
    grow(two, 40, ANYBODY_ELSE)
    left, right = make_daemon(node_of(one)), make_daemon(node_of(two))
    left.start()
    right.start()
    follow(left, one)
    follow(right, two)
    link(left, right)
    follow(left, two)
    grow(one, 11)  # now it has more
    follow(left, one)
    follow(right, one)
    for node, bitcoind, other in ((left, one, two), (right, two, one)):
        seen(node, bitcoind)
        assert not is_linked(node, other)  # its address is its owner's affair
    grow(two, 2)
    follow(left, two)
    left.rpc.generate(1)
    wait_for_tip([right], tip(left))


def test_what_our_owner_alone_refuses_is_not_held_against_it(
    bitcoind: Bitcoind, make_daemon: MakeDaemon
) -> None:
    node = make_daemon(node_of(bitcoind)).start()
    follow(node, bitcoind)
    bad = node.rpc.getblockhash(100)
    node.rpc.invalidateblock(bad)
    for _ in range(3):
        before = received(node, bitcoind, "headers")
        grow(bitcoind, 1)
        wait_until(lambda was=before: received(node, bitcoind, "headers") > was, "it looks")
        assert seen(node, bitcoind)["height"] == 99  # where we part
    assert received(node, bitcoind, "block") < 111 * 300  # none is fetched again
    node.rpc.reconsiderblock(bad)
    follow(node, bitcoind)
    seen(node, bitcoind)


def received(node: Daemon, bitcoind: Bitcoind, kind: str) -> int:
    """Bytes of that kind that it has sent us."""
    (peer,) = [each for each in node.rpc.getpeerinfo() if each["addr"] == bitcoind.address]
    return peer["bytesrecv_per_msg"].get(kind, 0)


def test_a_clock_that_is_wrong_bans_nobody(bitcoind: Bitcoind, make_daemon: MakeDaemon) -> None:
    """Ours, or its: blocks of the future are taken when their time has come."""
    node = make_daemon(node_of(bitcoind)).start()
    follow(node, bitcoind)
    now = bitcoind.call("getblockheader", grow(bitcoind, 1))["time"]
    bitcoind.call("setmocktime", now + 10_000)
    for _ in range(12):
        before = received(node, bitcoind, "headers")
        grow(bitcoind, 1)
        wait_until(lambda was=before: received(node, bitcoind, "headers") > was, "it looks")
    node.log.wait_for("its headers are from the future")
    assert is_linked(node, bitcoind)
    assert not node.rpc.listbanned()
    node.rpc.setmocktime(now + 10_000)
    grow(bitcoind, 1)
    follow(node, bitcoind)


def test_payments_replaced_and_in_rows(bitcoind: Bitcoind, make_daemon: MakeDaemon) -> None:
    bitcoind.call("createwallet", "w")
    bitcoind.call("generatetoaddress", 3, bitcoind.call("getnewaddress"))
    grow(bitcoind, 100)
    node = make_daemon(node_of(bitcoind)).start()
    follow(node, bitcoind)

    def same_pool() -> None:
        wait_until(
            lambda: sorted(node.rpc.getrawmempool()) == sorted(bitcoind.call("getrawmempool")),
            "both have the same transactions",
        )

    for _ in range(10):  # each spends the change of the one before
        bitcoind.call("sendtoaddress", bitcoind.call("getnewaddress"), 40)
    same_pool()
    paid = bitcoind.call("sendtoaddress", node.rpc.getnewaddress(), 2)
    same_pool()
    bitcoind.call("bumpfee", paid)
    same_pool()
    bitcoind.call("generatetoaddress", 1, bitcoind.call("getnewaddress"))
    follow(node, bitcoind)
    same_pool()
    assert not node.rpc.getrawmempool()
    seen(node, bitcoind)
