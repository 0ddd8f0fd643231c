"""Ends that lie, stall or flood, for the simulated network."""

from collections import Counter
from collections.abc import Callable

from misocoin.peers.events import DialFailed, Disconnected, Event, Link, PeerId, Received
from misocoin.peers.hello import Hello
from misocoin.peers.messages import Address, GetBlocks, GetTransactions, Message, Request
from misocoin.peers.serving import Responder
from tests.simulation.chain import FakeChain
from tests.simulation.network import EPOCH, Answers, Broken, Network, Wire

Answer = Callable[["Liar", Request], Answers]


def honest(liar: "Liar", request: Request) -> list[Message]:
    """What an honest node with the liar's chain would answer."""
    return list(liar.responder.answer(request, is_local=True))


class Liar:
    """Answers by `answer` (None never answers); sends what a test tells it to."""

    def __init__(
        self,
        network: Network,
        answer: Answer = honest,
        *,
        work: int | None = None,
        time: int = EPOCH,
        genesis: bytes | None = None,
        nonce: int | None = None,
        index: int = 666,
    ) -> None:
        self.network = network
        self.index = index
        self.address = Address("127.0.0.1", 6000 + index)
        self.chain = FakeChain()
        self.responder = Responder(self.chain, lambda _: None, lambda _: (), lambda: 7)
        self._answer = answer
        self._work, self._time, self._genesis = work, time, genesis
        self._nonce = nonce or 10**9 + index
        self.wires: dict[PeerId, Wire] = {}
        self.heard: list[Message] = []
        self.refused: list[str] = []
        self.lost = 0
        self.deeds: Counter[PeerId] = Counter()
        """What was sent to each link, or kept back, that an honest node would not have."""
        self.bait: set[bytes] | None = None
        """The blocks that are no good; None where none is."""
        network.add(self)

    def hello(self) -> Hello:
        tip = self.chain.tip
        return Hello(
            self._genesis or self.chain.params.genesis.hash,
            tip.hash,
            tip.height,
            tip.chain_work if self._work is None else self._work,
            self._time,
            self._nonce,
        )

    def accept(self, link: Link, wire: Wire) -> str | None:
        return None

    def linked(self, link: Link, wire: Wire) -> None:
        self.wires[link.peer] = wire

    def deliver(self, peer: PeerId, message: Message) -> None:
        self.heard.append(message)

    def answer(self, peer: PeerId, request: Request) -> Answers:
        self.heard.append(request)
        if isinstance(request, GetBlocks):
            bait = self.bait
            self.deeds[peer] += sum(bait is None or each in bait for each in request.hashes)
        elif isinstance(request, GetTransactions):
            self.deeds[peer] += 1
        answers = self._answer(self, request)
        if answers is None or isinstance(answers, Broken):
            self.deeds[peer] += 1
        return answers

    def event(self, event: Event) -> None:
        match event:
            case Disconnected(peer, _):
                self.wires.pop(peer, None)
                self.lost += 1
            case DialFailed(_, why):
                self.refused.append(why)
            case Received(_, message):
                self.heard.append(message)

    def dial(self, address: Address) -> None:
        """Link with a victim from the liar's side."""
        self.network.dial(self, address, is_manual=False)

    def send(self, message: Message, *, is_deed: bool = True) -> None:
        """Push a message to everyone linked."""
        for wire in list(self.wires.values()):
            if wire.is_up:
                self.deeds[wire.own_id(self)] += is_deed
                self.network.transmit(wire, self, message)
