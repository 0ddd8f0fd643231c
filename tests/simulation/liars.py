"""Ends that lie, stall or flood, for the simulated network."""

from collections.abc import Callable

from misocoin.peers.events import DialFailed, Disconnected, Event, Link, PeerId, Received
from misocoin.peers.hello import Hello
from misocoin.peers.messages import Address, Message, Request
from misocoin.peers.serving import Responder
from tests.simulation.chain import FakeChain
from tests.simulation.network import EPOCH, Network, Wire

Answer = Callable[["Liar", Request], list[Message] | None]


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

    def answer(self, peer: PeerId, request: Request) -> list[Message] | None:
        self.heard.append(request)
        return self._answer(self, request)

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

    def send(self, message: Message) -> None:
        """Push a message to everyone linked."""
        for wire in list(self.wires.values()):
            if wire.is_up:
                self.network.transmit(wire, self, message)
