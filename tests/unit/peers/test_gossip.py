"""When a node that a user named is dialled again."""

from random import Random

import pytest

from misocoin.peers.events import (
    AddNode,
    Connected,
    Dial,
    DialFailed,
    Disconnect,
    Disconnected,
    Event,
    Link,
    PeerId,
    SetActive,
    Tick,
)
from misocoin.peers.hello import Hello
from misocoin.peers.machine import Machine
from misocoin.peers.messages import Address
from tests.simulation.chain import FakeChain

THERE = Address("127.0.0.1", 4001)


class Alone:
    """A machine that knows one named node; its time is set by hand."""

    def __init__(self) -> None:
        self.chain = FakeChain()
        self.machine = Machine(self.chain.params, self.chain, Random(1), dials=False)
        self.now = 0.0
        assert self.dials_at(AddNode(THERE))

    def dials_at(self, event: Event) -> bool:
        """Whether the named node is dialled upon an event."""
        actions = self.machine.handle(event, self.now, 1_700_000_000)
        return Dial(THERE, True) in actions

    def seconds_to_dial(self) -> float:
        """How long until it is dialled again."""
        begun = self.now
        while not self.dials_at(Tick()):
            self.now += 0.05
            assert self.now < begun + 100
        return self.now - begun


@pytest.fixture
def alone() -> Alone:
    return Alone()


@pytest.mark.parametrize("is_double", [False, True])
def test_pauses_grow_from_a_second_to_a_minute(alone: Alone, is_double: bool) -> None:
    """Also where the other end says that there is a link already: it may not know of its end."""
    pauses = []
    for _ in range(9):
        assert not alone.dials_at(DialFailed(THERE, "no", is_double=is_double))
        pauses.append(alone.seconds_to_dial())
    assert 0.7 <= pauses[0] <= 1.1
    assert pauses[3] > 5
    assert 44 <= pauses[8] <= 60.1


@pytest.mark.parametrize("is_outbound", [True, False])
def test_a_link_that_ends_is_made_anew_soon(alone: Alone, is_outbound: bool) -> None:
    for _ in range(9):
        alone.dials_at(DialFailed(THERE, "no", is_double=True))
        alone.seconds_to_dial()
    genesis = alone.chain.params.genesis.hash
    hello = Hello(genesis, genesis, 0, 0, 0, 5)
    link = Link(PeerId(1), is_outbound, "127.0.0.1", THERE, hello, is_outbound)
    alone.dials_at(DialFailed(THERE, "no", is_double=True))
    alone.dials_at(Connected(link))
    alone.now += 100
    assert not alone.dials_at(Disconnected(PeerId(1), "closed"))
    assert alone.seconds_to_dial() <= 1.1


def test_while_links_are_switched_off_there_are_none(alone: Alone) -> None:
    genesis = alone.chain.params.genesis.hash
    hello = Hello(genesis, genesis, 0, 0, 0, 5)
    link = Link(PeerId(1), True, "127.0.0.1", THERE, hello, True)
    alone.dials_at(Connected(link))
    ended = alone.machine.handle(SetActive(False), alone.now, 1_700_000_000)
    assert [each.peer for each in ended if isinstance(each, Disconnect)] == [PeerId(1)]
    alone.dials_at(Disconnected(PeerId(1), "closed"))
    assert alone.machine.refusal(link) == "no links are wanted now"
    for _ in range(100):
        alone.now += 1
        assert not alone.dials_at(Tick())
    assert alone.dials_at(SetActive(True))
    assert alone.machine.refusal(link) is None
