"""Every ZeroMQ message that a real bitcoind sends of the same events, and ours, frame by frame."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from misocoin.consensus.coins import Coin
from misocoin.primitives.transaction import OutPoint, Transaction, TxOut
from tests.builders import KEY_SCRIPT, signed_spend
from tests.functional.conftest import MakeBitcoind
from tests.functional.framework.answers import Twins
from tests.functional.framework.daemon import DEADLINE, Daemon, wait_until
from tests.functional.framework.differences import ignored
from tests.functional.framework.rich_chain import PAY, block_on, coins_from, coins_of, submit

pytestmark = pytest.mark.tools

zmq = pytest.importorskip("zmq")

TOPICS = ("hashblock", "hashtx", "rawblock", "rawtx", "sequence")
START = 1_700_000_000

Frames = list[tuple[str, str, int]]
"""Messages: topic, body in hex, the topic's own count."""


class Listener:
    """Subscribed to all topics of one node."""

    def __init__(self, context: Any, address: str) -> None:
        self._socket = context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.setsockopt(zmq.RCVTIMEO, int(DEADLINE * 1000))
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.connect(address)

    def is_reached(self) -> bool:
        """Whether anything has come."""
        return bool(self._socket.poll(200))

    def until(self, last: set[tuple[str, str]]) -> Frames:
        """All messages until these have come."""
        heard: Frames = []
        missing = set(last)
        while missing:
            topic, body, count = self._socket.recv_multipart()
            heard.append((topic.decode(), body.hex(), int.from_bytes(count, "little")))
            missing.discard(heard[-1][:2])
        return heard


def messages_of(block_hash: str, twins: Twins) -> set[tuple[str, str]]:
    """What is sent of a block that becomes the tip, a message of each topic."""
    raw = twins.theirs.call("getblock", block_hash, 0)
    last = twins.theirs.call("getblock", block_hash, 2)["tx"][-1]
    return {
        ("hashblock", block_hash),
        ("rawblock", raw),
        ("sequence", block_hash + b"C".hex()),
        ("hashtx", last["txid"]),
        ("rawtx", last["hex"]),
    }


class Subscribed:
    """Both nodes on one chain, and somebody who listens to each."""

    def __init__(self, twins: Twins, ours: Listener, theirs: Listener) -> None:
        self.twins = twins
        self._ours = ours
        self._theirs = theirs

    def check(self, marker: str) -> Frames:
        """What both have sent up to this block; fails where it differs."""
        last = messages_of(marker, self.twins)
        ours, theirs = self._ours.until(last), self._theirs.until(last)
        for topic in TOPICS:
            one, other = ([each for each in heard if each[0] == topic] for heard in (ours, theirs))
            assert one == other, topic
        assert ours == theirs
        return ours


@pytest.fixture(scope="module")
def subscribed(
    make_bitcoind: MakeBitcoind, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subscribed]:
    with ExitStack() as held:
        folder = tmp_path_factory.mktemp("zmq")
        context = zmq.Context()
        held.callback(context.destroy, linger=0)
        addresses = [f"ipc://{folder}/{name}" for name in ("ours", "theirs")]

        def options(address: str) -> list[str]:
            return [f"-zmqpub{topic}={address}" for topic in TOPICS]

        ours = Daemon(folder / "node", "-rest", *options(addresses[0]))
        held.callback(ours.close)
        theirs = make_bitcoind("-corepolicy", *options(addresses[1])).start()
        twins = Twins(ours.start(), theirs)
        held.callback(twins.close)
        twins.set_time(START)
        # On a new chain theirs tells of the first block, too: both begin to count anew behind it.
        twins.grow(105, PAY)
        ours.stop()
        theirs.stop()
        ours.start()
        theirs.start()
        twins.set_time(START)
        listeners = [Listener(context, address) for address in addresses]

        def is_reached() -> bool:
            twins.grow(1, PAY)
            return all([each.is_reached() for each in listeners])

        wait_until(is_reached, "both are subscribed to")
        subscribed = Subscribed(twins, *listeners)
        (marker,) = twins.grow(1, PAY)
        for each in listeners:
            each.until(messages_of(marker, twins))
        yield subscribed


def first_coin(twins: Twins, height: int) -> dict[OutPoint, Coin]:
    """What the coinbase of a block pays."""
    coins = coins_of(twins, twins.theirs.call("getblockhash", height))
    return dict(list(coins.items())[:1])


def pay(coins: dict[OutPoint, Coin], fee: int) -> Transaction:
    value = sum(coin.value for coin in coins.values())
    return signed_spend(coins, [TxOut(value - fee, KEY_SCRIPT)])


def send(twins: Twins, *transactions: Transaction) -> None:
    for tx in transactions:
        twins.send(tx.serialize().hex())


def test_blocks(subscribed: Subscribed) -> None:
    twins = subscribed.twins
    subscribed.check(twins.grow(20, PAY)[-1])


def test_a_replacement_takes_its_descendants_along(subscribed: Subscribed) -> None:
    twins = subscribed.twins
    coins = first_coin(twins, 1)
    low, high = pay(coins, 1_000), pay(coins, 100_000)
    send(twins, low, pay(coins_from(low), 2_000), high)
    subscribed.check(twins.grow(1, PAY)[0])


def test_a_block_that_is_taken_off_by_hand(subscribed: Subscribed) -> None:
    twins = subscribed.twins
    send(twins, pay(first_coin(twins, 2), 1_000))
    (lost,) = twins.grow(1, PAY)
    twins.both("invalidateblock", lost)
    twins.set_time(START + 5_000)
    subscribed.check(twins.grow(1, PAY)[0])


def test_a_block_that_conflicts_with_the_mempool(subscribed: Subscribed) -> None:
    twins = subscribed.twins
    coins = first_coin(twins, 3)
    waiting = pay(coins, 1_000)
    send(twins, waiting, pay(coins_from(waiting), 2_000))
    block = block_on(twins, twins.theirs.call("getbestblockhash"), [pay(coins, 3_000)])
    twins.set_time(block.header.time)
    subscribed.check(submit(twins, block))


def test_a_reorganisation(subscribed: Subscribed) -> None:
    """Of what was mined one comes back to the mempool, one is mined again, one is in conflict."""
    twins = subscribed.twins
    back, again, gone = (pay(first_coin(twins, height), 1_000) for height in (4, 5, 6))
    instead = pay(first_coin(twins, 6), 7_000)
    parent = twins.theirs.call("getbestblockhash")
    twins.set_time(twins.theirs.call("getblockheader", parent)["time"] + 10_000)
    send(twins, back, again, gone)
    twins.grow(2, PAY)
    for number, mined in enumerate(((), (again,), (instead,))):
        block = block_on(twins, parent, mined, tag=b"branch %d" % number)
        parent = submit(twins, block)
    twins.check_tip()
    subscribed.check(parent)


def test_blocks_that_come_at_once(subscribed: Subscribed) -> None:
    twins = subscribed.twins
    first, *_, last = twins.grow(4, PAY)
    subscribed.check(last)
    twins.both("invalidateblock", first)
    twins.both("reconsiderblock", first)
    subscribed.check(last)


def test_what_is_published(subscribed: Subscribed) -> None:
    but = {"$[*].address": ignored("each its own")}
    subscribed.twins.same("getzmqnotifications", but=but)
