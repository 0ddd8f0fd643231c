"""Methods about other nodes."""

from collections.abc import Callable
from typing import Annotated, Protocol

from misocoin.errors import ParseError
from misocoin.http.errors import RpcError
from misocoin.peers.bans import Ban, ban_target_from_text
from misocoin.peers.info import PeerInfo
from misocoin.peers.messages import Address, address_from_text
from misocoin.rpc.declare import Access, Category, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import LONG, STRING
from misocoin.rpc.schema import array, boolean, nothing, nullable, number, obj, text, timestamp

DEFAULT_BAN = 86_400


class Network(Protocol):
    """What the methods need of the network."""

    def peers(self) -> tuple[PeerInfo, ...]:
        """All links."""

    def add_node(self, address: Address) -> None:
        """Keep a link with an address."""

    def remove_node(self, address: Address) -> bool:
        """Keep none; False if there was none."""

    def ban(self, target: str, until: int) -> None:
        """Ban until a unix time; 0 lifts the ban."""

    def banned(self) -> tuple[Ban, ...]:
        """All bans."""


class NetworkMethods:
    """Other nodes, and who is kept out."""

    def __init__(self, network: Network, default_port: int, now: Callable[[], int]) -> None:
        """`default_port` stands where an address has none; `now` is unix time."""
        self._network = network
        self._default_port = default_port
        self._now = now

    @method(
        Category.NETWORK,
        result=array(
            "the nodes this one is linked with",
            obj(
                "",
                id=number("of the link"),
                address=text("host:port where it listens, or its host"),
                direction=text("outbound where this node dialled, else inbound"),
                named=boolean("whether a user wants this link"),
                agent=text("program and version"),
                height=nullable(number("of the best block it has told of")),
                score=number("points against it; it is banned at 100"),
                seconds=number("how long the link stands"),
                blocks_in_flight=number("blocks asked of it"),
                clock_offset=nullable(number("seconds its clock was ahead when it linked")),
                bytes_sent=number("bytes of messages sent to it; getpeerinfo has them by kind"),
                bytes_received=number("bytes of messages from it"),
                last_received=timestamp("when it was last heard of; 0 for never"),
                ping=nullable(number("seconds a message takes there and back")),
            ),
        ),
    )
    def get_peers(self) -> Json:
        """List the nodes this one is linked with."""
        return [
            {
                "id": peer.id,
                "address": peer.address,
                "direction": "outbound" if peer.is_outbound else "inbound",
                "named": peer.is_manual,
                "agent": peer.agent,
                "height": peer.height,
                "score": peer.score,
                "seconds": peer.seconds,
                "blocks_in_flight": peer.blocks_in_flight,
                "clock_offset": peer.clock_offset,
                "bytes_sent": peer.traffic.bytes_sent,
                "bytes_received": peer.traffic.bytes_received,
                "last_received": peer.traffic.last_received,
                "ping": None if peer.ping is None else round(peer.ping, 6),
            }
            for peer in self._network.peers()
        ]

    @method(
        Category.NETWORK,
        access=Access.AUTH,
        result=nothing(),
        examples=("localhost:4001",),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def add_node(self, address: Annotated[str, STRING, "host:port, or host"]) -> None:
        """Keep a link with a node, as -nodes does."""
        self._network.add_node(self._address(address))

    @method(
        Category.NETWORK,
        access=Access.AUTH,
        result=nothing(),
        examples=("localhost:4001",),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def remove_node(self, address: Annotated[str, STRING, "host:port, or host"]) -> None:
        """End the link with a node and do not make it again."""
        if not self._network.remove_node(self._address(address)):
            raise RpcError(RpcCode.INVALID_PARAMETER, f"there is no link with {address[:80]}")

    @method(
        Category.NETWORK,
        access=Access.AUTH,
        result=nothing(),
        examples=("192.0.2.7", "localhost:4001 3600", "192.0.2.0/24", "192.0.2.7 0"),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def ban(
        self,
        target: Annotated[str, STRING, "a host, a network, or host:port for one node"],
        seconds: Annotated[int, LONG, "for how long; 0 lifts the ban"] = DEFAULT_BAN,
    ) -> None:
        """Keep a node out for a while, or let it in again."""
        if not 0 <= seconds <= 10 * 365 * DEFAULT_BAN:
            raise RpcError(RpcCode.INVALID_PARAMETER, "seconds must be 0 to ten years")
        try:
            name = ban_target_from_text(target, self._default_port)
        except ParseError as error:
            raise RpcError(RpcCode.INVALID_PARAMETER, str(error)) from None
        self._network.ban(name, self._now() + seconds if seconds else 0)

    @method(
        Category.NETWORK,
        result=array(
            "the bans in force",
            obj(
                "",
                target=text("host, network or host:port"),
                since=timestamp("when it was set"),
                until=timestamp("when it ends"),
            ),
        ),
    )
    def list_banned(self) -> Json:
        """List who is kept out, and until when."""
        return [
            {"target": ban.target, "since": ban.since, "until": ban.until}
            for ban in self._network.banned()
        ]

    def _address(self, given: str) -> Address:
        try:
            return address_from_text(given, self._default_port)
        except ParseError as error:
            raise RpcError(RpcCode.INVALID_PARAMETER, str(error)) from None
