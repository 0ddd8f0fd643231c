"""A network in memory: nodes, links with latency, losses, partitions; one random schedule a run.

What a shell does with sockets and threads is done here with a heap of times. A link delivers each
direction in order; it may break at any time, and then what was on its way is lost and the two ends
learn of it at different times, as with HTTP.
"""

import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from typing import NamedTuple, Protocol

from misocoin.errors import MisocoinError, RejectCode, ValidationError
from misocoin.params import Params
from misocoin.peers.events import (
    Action,
    AddNode,
    Answered,
    BlockChecked,
    CheckBlock,
    CheckHeaders,
    CheckTransaction,
    Connected,
    Dial,
    DialFailed,
    Disconnect,
    Disconnected,
    Event,
    Failed,
    Garbage,
    HeadersChecked,
    Link,
    PeerId,
    Received,
    Remark,
    Send,
    Tick,
    TipMoved,
    TransactionAdded,
    TransactionChecked,
)
from misocoin.peers.hello import Hello
from misocoin.peers.limits import PeerLimits
from misocoin.peers.machine import Machine
from misocoin.peers.messages import Address, Message, Request
from misocoin.peers.serving import Responder
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction
from tests.simulation.chain import FakeChain, make_block

EPOCH = 1_700_000_000

LIMITS = PeerLimits(
    headers_seconds=4,
    block_seconds=3,
    stall_seconds=1,
    retry_seconds=0.5,
    retry_most=4,
    transaction_seconds=2,
)


class Broken(NamedTuple):
    """An answer that is no messages."""

    why: str


Answers = list[Message] | Broken | None
"""What is said to a request; None is silence."""


class End(Protocol):
    """One that takes part: an honest node or a liar."""

    index: int
    address: Address

    def hello(self) -> Hello: ...

    def accept(self, link: Link, wire: "Wire") -> str | None: ...

    def linked(self, link: Link, wire: "Wire") -> None: ...

    def deliver(self, peer: PeerId, message: Message) -> None: ...

    def answer(self, peer: PeerId, request: Request) -> Answers: ...

    def event(self, event: Event) -> None: ...


class Wire:
    """A link between two ends."""

    def __init__(self, dialler: End, listener: End, ids: tuple[PeerId, PeerId]) -> None:
        self.dialler, self.listener = dialler, listener
        self.ids = ids
        self.is_up = True
        self.clear_at = [0.0, 0.0]

    def other(self, end: End) -> tuple[End, PeerId]:
        if end is self.dialler:
            return self.listener, self.ids[1]
        return self.dialler, self.ids[0]

    def own_id(self, end: End) -> PeerId:
        return self.ids[0] if end is self.dialler else self.ids[1]


class Network:
    """Time, and who is linked with whom."""

    def __init__(self, random: Random, latency: float = 0.1, loss: float = 0.0) -> None:
        self.random = random
        self.now = 0.0
        self.latency = latency
        self.loss = loss
        """Chance that a message breaks its link."""
        self.ends: dict[tuple[str, int], End] = {}
        self.wires: list[Wire] = []
        self.groups: dict[int, int] = {}
        """Which side of a partition an end is on."""
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._ids = count(1)
        self.delivered = 0
        self.rest_at = 0.0
        """When those who are hostile stop."""
        self.work = 0.01
        """Seconds that the check of a block takes."""

    def at(self, delay: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + delay, next(self._order), call))

    def run_until(self, time: float) -> None:
        while self._heap and self._heap[0][0] <= time:
            self.now, _, call = heapq.heappop(self._heap)
            call()
        self.now = time

    def delay(self) -> float:
        return self.latency * self.random.uniform(0.2, 1.8)

    def add(self, end: End) -> None:
        self.ends[end.address[:2]] = end

    def can_reach(self, one: End, other: End) -> bool:
        return self.groups.get(one.index, 0) == self.groups.get(other.index, 0)

    def partition(self, groups: dict[int, int]) -> None:
        self.groups = groups
        for wire in list(self.wires):
            if not self.can_reach(wire.dialler, wire.listener):
                self.cut(wire)

    def cut(self, wire: Wire) -> None:
        """A link breaks; the ends notice after a while."""
        if not wire.is_up:
            return
        wire.is_up = False
        self.wires.remove(wire)
        for end in (wire.dialler, wire.listener):
            gone = Disconnected(wire.own_id(end), "line")
            self.at(self.delay() * 3, lambda end=end, gone=gone: end.event(gone))

    def freeze(self, seconds: float) -> None:
        """Nothing arrives for a while, then all of it at once: cables pulled and put back."""
        for wire in self.wires:
            wire.clear_at = [max(at, self.now + seconds) for at in wire.clear_at]

    def dial(self, dialler: End, address: Address, is_manual: bool) -> None:
        def arrive() -> None:
            listener = self.ends.get(address[:2])
            if listener is None or not self.can_reach(dialler, listener):
                self.at(self.delay(), lambda: dialler.event(DialFailed(address, "no answer")))
                return
            ids = (PeerId(next(self._ids)), PeerId(next(self._ids)))
            wire = Wire(dialler, listener, ids)
            there = Link(ids[1], False, dialler.address.host, dialler.address, dialler.hello())
            why = listener.accept(there, wire)
            if why is not None:
                failed = DialFailed(address, why, is_double="already" in why)
                self.at(self.delay(), lambda: dialler.event(failed))
                return
            self.wires.append(wire)
            listener.linked(there, wire)
            here = Link(ids[0], True, address.host, address, listener.hello(), is_manual)

            def confirm() -> None:
                refused = dialler.accept(here, wire)
                if refused is not None:
                    self.cut(wire)
                    double = "already" in refused
                    dialler.event(DialFailed(address, refused, is_double=double))
                else:
                    dialler.linked(here, wire)

            self.at(self.delay(), confirm)

        self.at(self.delay(), arrive)

    def transmit(self, wire: Wire, sender: End, message: Message) -> None:
        """Carry a message; requests of the dialling side are pulls with an answer."""
        if self.random.random() < self.loss:
            self.cut(wire)
            return
        receiver, peer = wire.other(sender)
        side = 0 if sender is wire.dialler else 1
        arrival = max(self.now + self.delay(), wire.clear_at[side])
        wire.clear_at[side] = arrival
        if side == 0 and isinstance(message, Request):
            self.at(arrival - self.now, lambda: self._pull(wire, message))
            return

        def arrive() -> None:
            if not wire.is_up:
                return
            self.delivered += 1
            if isinstance(message, Request):
                answers = receiver.answer(peer, message)
                if isinstance(answers, Broken):
                    self.garble(wire, receiver)
                    return
                for answer in answers or ():
                    self.transmit(wire, receiver, answer)
            else:
                receiver.deliver(peer, message)

        self.at(arrival - self.now, arrive)

    def garble(self, wire: Wire, sender: End) -> None:
        """Push bytes that are no messages."""
        receiver, peer = wire.other(sender)
        garbage = Garbage(peer, "garbage")
        self.at(self.delay(), lambda: wire.is_up and receiver.event(garbage))

    def _pull(self, wire: Wire, request: Request) -> None:
        if not wire.is_up:
            return
        answers = wire.listener.answer(wire.ids[1], request)
        dialler, peer = wire.dialler, wire.ids[0]
        if answers is None:
            late = Failed(peer, request, "no answer in time", is_hostile=False)
            self.at(10.0, lambda: wire.is_up and dialler.event(late))
            return

        def arrive() -> None:
            if not wire.is_up:
                return
            self.delivered += 1
            if isinstance(answers, Broken):
                dialler.event(Failed(peer, request, answers.why, is_hostile=True))
                return
            for message in answers:
                dialler.deliver(peer, message)
            dialler.event(Answered(peer, request))

        self.at(self.delay(), arrive)


class Node:
    """An honest node: the real machine and responder over a light chain."""

    def __init__(
        self,
        network: Network,
        index: int,
        *,
        dials: bool = True,
        limits: PeerLimits = LIMITS,
        params: Params | None = None,
    ) -> None:
        self.network = network
        self.index = index
        self.address = Address("127.0.0.1", 4000 + index)
        self.chain = FakeChain(params)
        self.random = Random(network.random.getrandbits(32))
        self.nonce = index + 1
        self.machine = Machine(
            self.chain.params, self.chain, self.random, limits, nonce=self.nonce, dials=dials
        )
        self.pool: dict[bytes, Transaction] = {}
        self.responder = Responder(
            self.chain,
            self.machine.transactions.find,
            lambda local: self.machine.gossip.sample(local=local),
            lambda: 7,
        )
        self.wires: dict[PeerId, Wire] = {}
        self.log: list[str] = []
        self.banned: list[str] = []
        self.remarks: list[str] = []
        self.blamed: set[Address | None] = set()
        """Whose links were ended for what they did."""
        self.most_held = 0
        self.is_on = True
        self._free_at = 0.0
        network.add(self)
        network.at(self.random.random(), self._tick)

    def _tick(self) -> None:
        if self.is_on:
            self.event(Tick())
            self.network.at(0.5, self._tick)

    # -- as an end ----------------------------------------------------------------------------

    def hello(self) -> Hello:
        tip = self.chain.tip
        genesis = self.chain.params.genesis.hash
        return Hello(genesis, tip.hash, tip.height, tip.chain_work, EPOCH, self.nonce)

    def accept(self, link: Link, wire: Wire) -> str | None:
        self.machine._core.time = EPOCH + int(self.network.now)
        return self.machine.refusal(link)

    def linked(self, link: Link, wire: Wire) -> None:
        self.wires[link.peer] = wire
        self.event(Connected(link))

    def deliver(self, peer: PeerId, message: Message) -> None:
        self.event(Received(peer, message))

    def answer(self, peer: PeerId, request: Request) -> list[Message]:
        return list(self.responder.answer(request, is_local=True))

    def event(self, event: Event) -> None:
        actions = self.machine.handle(event, self.network.now, EPOCH + int(self.network.now))
        self.most_held = max(self.most_held, self.machine.download.held_bytes)
        for action in actions:
            self._do(action)

    def _do(self, action: Action) -> None:
        network = self.network
        match action:
            case Send(peer, message):
                wire = self.wires.get(peer)
                if wire is not None and wire.is_up:
                    network.transmit(wire, self, message)
            case Disconnect(peer, why, is_banned):
                self.log.append(why)
                if is_banned:
                    self.banned.append(why)
                wire = self.wires.pop(peer, None)
                if wire is not None:
                    if why not in {"connected already", "connected twice"}:
                        self.blamed.add(wire.other(self)[0].address)
                    network.cut(wire)
            case Remark(_, text):
                self.remarks.append(text)
            case Dial(address, is_manual):
                network.dial(self, address, is_manual)
            case CheckHeaders(peer, headers):
                network.at(0.001, lambda: self._check_headers(peer, headers))
            case CheckBlock(peer, block_hash, data):
                if isinstance(data, Block):
                    self.responder.remember(data)
                self._free_at = max(self._free_at, network.now) + network.work
                delay = self._free_at - network.now
                network.at(delay, lambda: self._check_block(peer, block_hash, data))
            case CheckTransaction(peer, tx):
                network.at(0.001, lambda: self._check_transaction(peer, tx))

    def _check_headers(self, peer: PeerId, headers: tuple) -> None:
        error: MisocoinError | None = None
        nodes = []
        try:
            for header in headers:
                nodes += self.chain.accept_headers((header,))
        except MisocoinError as broken:
            error = broken
        self.event(HeadersChecked(peer, tuple(nodes), error))

    def _check_block(self, peer: PeerId, block_hash: bytes, data: bytes | Block) -> None:
        before = self.chain.tip
        error: MisocoinError | None = None
        try:
            block = self.chain.submit(data)
        except MisocoinError as broken:
            error = broken
        if self.chain.tip is not before and error is None:
            self.event(TipMoved(self.chain.tip, (block,)))
        self.event(BlockChecked(peer, block_hash, error))

    def _check_transaction(self, peer: PeerId, tx: Transaction) -> None:
        if tx.vout[0].script_pubkey == b"BAD":
            error = ValidationError("mempool-script-verify-flag-failed", "", RejectCode.INVALID)
            self.event(TransactionChecked(peer, tx, error))
            return
        self.add_transaction(tx)
        self.event(TransactionChecked(peer, tx, None))

    # -- what tests do ------------------------------------------------------------------------

    def connect(self, other: "End") -> None:
        self.event(AddNode(other.address))

    def mine(self, *, valid: bool = True) -> Block:
        tag = b"%d.%d" % (self.index, self.random.getrandbits(30))
        block = make_block(self.chain.tip, tag, valid=valid)
        self.chain.submit(block)
        self.event(TipMoved(self.chain.tip, (block,)))
        return block

    def add_transaction(self, tx: Transaction) -> None:
        if tx.wtxid not in self.pool:
            self.pool[tx.wtxid] = tx
            self.event(TransactionAdded(tx))
