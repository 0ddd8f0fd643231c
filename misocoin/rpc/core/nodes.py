"""Core's methods on the nodes that links are wanted with, and on those that there could be."""

from collections.abc import Iterator
from ipaddress import ip_address
from random import SystemRandom
from typing import Annotated, Protocol

from misocoin.errors import ParseError
from misocoin.http.errors import RpcError
from misocoin.peers.addresses import KnownAddress
from misocoin.peers.info import PeerInfo
from misocoin.peers.messages import Address, address_from_text
from misocoin.rpc.core.network import NETWORKS, SERVICE_BITS
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode, WrongUsage
from misocoin.rpc.json import Json
from misocoin.rpc.params import BOOLEAN, INTEGER, LONG, STRING, invalid
from misocoin.rpc.schema import array, boolean, nothing, number, obj, text, timestamp


class Nodes(Protocol):
    """What the methods need of the network."""

    def peers(self) -> tuple[PeerInfo, ...]:
        """All links."""

    def named_nodes(self) -> tuple[Address, ...]:
        """The addresses that users want links with."""

    def add_node(self, address: Address) -> None:
        """Keep a link with an address."""

    def remove_node(self, address: Address) -> bool:
        """Keep none; False if there was none."""

    def unlink(self, number: int) -> bool:
        """End the link of that number; False if there is none."""

    def known_addresses(self) -> tuple[KnownAddress, ...]:
        """Where nodes may be reached."""

    def set_active(self, is_active: bool) -> None:
        """End all links and make none, or make them again."""


class CoreNodes:
    """Wanted links, known addresses, and whether there are links at all."""

    def __init__(self, nodes: Nodes, default_port: int) -> None:
        """`default_port` stands where an address has none."""
        self._network = nodes
        self._default_port = default_port
        self._random = SystemRandom()

    @core_method(
        Category.NETWORK,
        access=Access.AUTH,
        result=nothing(),
        errors=(RpcCode.INVALID_PARAMETER, RpcCode.NODE_ALREADY_ADDED, RpcCode.NODE_NOT_ADDED),
    )
    def addnode(
        self,
        node: Annotated[str, STRING, "host:port, or host"],
        command: Annotated[str, STRING, "add, remove or onetry"],
        v2transport: Annotated[bool, BOOLEAN, "not looked at: links are over HTTP"] = False,
    ) -> None:
        """Keep a link with a node, or keep none any more; onetry does as add."""
        address = self._address(node)
        known = address[:2] in {each[:2] for each in self._network.named_nodes()}
        if command == "remove":
            if not known:
                raise RpcError(
                    RpcCode.NODE_NOT_ADDED,
                    "Error: Node could not be removed. It has not been added previously.",
                )
            self._network.remove_node(address)
        elif command in ("add", "onetry"):
            if known and command == "add":
                raise RpcError(RpcCode.NODE_ALREADY_ADDED, "Error: Node already added")
            self._network.add_node(address)
        else:
            raise WrongUsage

    @core_method(
        Category.NETWORK,
        access=Access.AUTH,
        result=nothing(),
        errors=(RpcCode.INVALID_PARAMS, RpcCode.NODE_NOT_CONNECTED),
    )
    def disconnectnode(
        self,
        address: Annotated[str, STRING, "host:port of the node"] = "",
        nodeid: Annotated[int | None, LONG, "or the number of the link"] = None,
    ) -> None:
        """End the link with a node."""
        if bool(address) == (nodeid is not None):
            raise RpcError(
                RpcCode.INVALID_PARAMS, "Only one of address and nodeid should be provided."
            )
        if nodeid is not None:
            is_done = self._network.unlink(nodeid)
        else:
            is_done = self._network.remove_node(self._address(address))
        if not is_done:
            raise RpcError(RpcCode.NODE_NOT_CONNECTED, "Node not found in connected nodes")

    @core_method(
        Category.NETWORK,
        access=Access.AUTH,
        result=array(
            "the nodes that links are kept with",
            obj(
                "",
                addednode=text("host:port"),
                connected=boolean("whether there is a link"),
                addresses=array(
                    "the link",
                    obj("", address=text("host:port"), connected=text("inbound or outbound")),
                ),
            ),
        ),
        errors=(RpcCode.NODE_NOT_ADDED,),
    )
    def getaddednodeinfo(
        self, node: Annotated[str, STRING, "only this one: host:port, or host"] = ""
    ) -> Json:
        """List the nodes that links are kept with, by addnode or -addnode."""
        named = self._network.named_nodes()
        if node:
            wanted = address_from_text(node, self._default_port)
            named = tuple([each for each in named if each[:2] == wanted[:2]])
            if not named:
                raise RpcError(RpcCode.NODE_NOT_ADDED, "Error: Node has not been added.")
        ways = {
            peer.address: "outbound" if peer.is_outbound else "inbound"
            for peer in self._network.peers()
        }
        return [
            {
                "addednode": each.text,
                "connected": each.text in ways,
                "addresses": [{"address": each.text, "connected": ways[each.text]}]
                if each.text in ways
                else [],
            }
            for each in named
        ]

    @core_method(
        Category.NETWORK,
        access=Access.AUTH,
        result=array(
            "known nodes in any order; those known by a name alone are left out",
            obj(
                "",
                time=timestamp("when it was last seen, by this node or by those who told of it"),
                services=number("what it has for others, in Core's bits"),
                address=text("its host"),
                port=number("its port"),
                network=text("ipv4 or ipv6"),
            ),
        ),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def getnodeaddresses(
        self,
        count: Annotated[int, INTEGER, "how many at most; 0 for all"] = 1,
        network: Annotated[str, STRING, "only those of ipv4, ipv6, onion, i2p or cjdns"] = "",
    ) -> Json:
        """List nodes that could be linked with."""
        if count < 0:
            raise invalid("Address count out of range")
        if network and network not in NETWORKS:
            raise invalid(f"Network not recognized: {network[:40]}")
        found = [(known, each) for known, each in self._numeric() if not network or each == network]
        chosen = self._random.sample(found, min(count or len(found), len(found)))
        return [
            {
                "time": known.address.seen,
                "services": SERVICE_BITS,
                "address": known.address.host,
                "port": known.address.port,
                "network": each,
            }
            for known, each in chosen
        ]

    @core_method(
        Category.NETWORK,
        result=obj(
            "known nodes by their network; those known by a name alone are left out",
            **{
                name: obj(
                    "",
                    new=number("those that others told of"),
                    tried=number("those that a link stood with"),
                    total=number("both"),
                )
                for name in (*NETWORKS, "all_networks")
            },
        ),
    )
    def getaddrmaninfo(self) -> Json:
        """Count the nodes that could be linked with."""
        counts = {name: {"new": 0, "tried": 0, "total": 0} for name in (*NETWORKS, "all_networks")}
        for known, network in self._numeric():
            for name in (network, "all_networks"):
                counts[name]["tried" if known.is_tried else "new"] += 1
                counts[name]["total"] += 1
        return counts

    @core_method(
        Category.NETWORK,
        access=Access.AUTH,
        result=boolean("what was said"),
    )
    def setnetworkactive(
        self, state: Annotated[bool, BOOLEAN, "false ends all links and makes none"]
    ) -> Json:
        """Have links with other nodes, or none at all until the node stops."""
        self._network.set_active(state)
        return state

    def _numeric(self) -> Iterator[tuple[KnownAddress, str]]:
        """The known addresses that are no names, and their networks."""
        for known in self._network.known_addresses():
            try:
                yield known, f"ipv{ip_address(known.address.host).version}"
            except ValueError:
                continue

    def _address(self, given: str) -> Address:
        try:
            return address_from_text(given, self._default_port)
        except ParseError as error:
            raise invalid(str(error)) from None
