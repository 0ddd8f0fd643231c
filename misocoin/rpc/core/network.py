"""Core's methods on other nodes, and on this one as they see it.

Nodes are linked over HTTP here, so some fields of Core's have nothing to tell: each says so in its
help.
"""

import time
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Annotated, Protocol

from misocoin.chain.mempool import Mempool
from misocoin.errors import ParseError
from misocoin.http.errors import RpcError
from misocoin.peers.info import PeerInfo
from misocoin.peers.messages import Address, address_from_text
from misocoin.rpc.core.version import CLAIMED_VERSION
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import BOOLEAN, INTEGER, STRING, invalid
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    hexadecimal,
    mapping,
    nothing,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.version import VERSION

DEFAULT_BAN = 86_400
"""Seconds of a ban without a time."""

PROTOCOL_VERSION = 70_016
"""Of Bitcoin's peer protocol, as Core 30 counts it; no node here speaks it."""

SERVICES = ("NETWORK", "WITNESS")
"""What this node has for others: whole blocks, with their witnesses."""

SERVICE_BITS = f"{1 | 1 << 3:016x}"
"""The same as Core's bits."""


class Network(Protocol):
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

    def ban(self, target: str, until: int) -> None:
        """Ban until a unix time; 0 lifts the ban."""

    def banned(self) -> tuple[tuple[str, int], ...]:
        """All bans."""


class CoreNetwork:
    """Links, bans and traffic."""

    def __init__(
        self,
        network: Network,
        mempool: Mempool,
        now: Callable[[], int],
        traffic: Callable[[], tuple[int, int]],
        default_port: int,
    ) -> None:
        """`traffic` tells the bytes received and sent; `now` is unix time."""
        self._network = network
        self._mempool = mempool
        self._now = now
        self._traffic = traffic
        self._default_port = default_port

    @core_method(
        Category.NETWORK,
        result=obj(
            "this node",
            version=number("the Bitcoin Core whose interface this is"),
            subversion=text("this program: /Misocoin:x.y.z/"),
            protocolversion=number("of Bitcoin's peer protocol; not spoken here"),
            localservices=hexadecimal("what it has for others, in Core's bits"),
            localservicesnames=array("the same by name", text("a name")),
            localrelay=boolean("whether transactions are passed on: always"),
            timeoffset=number("seconds added to the clock: always 0"),
            connections=number("links"),
            connections_in=number("links that others made"),
            connections_out=number("links that this node made"),
            networkactive=boolean("whether links are made: always"),
            networks=array(
                "ways to reach others",
                obj(
                    "",
                    name=text("ipv4 or ipv6"),
                    limited=boolean("whether it is not used"),
                    reachable=boolean("whether it can be used"),
                    proxy=text("always empty"),
                    proxy_randomize_credentials=boolean("always false"),
                ),
            ),
            relayfee=coins("least fee rate of a transaction, per 1,000 virtual bytes"),
            incrementalfee=coins("what a replacement pays on top"),
            localaddresses=array("always empty: see -externalip", text("")),
            warnings=array("what the user should know", text("a sentence")),
        ),
    )
    def getnetworkinfo(self) -> Json:
        """Tell what this node is to others."""
        peers = self._network.peers()
        outbound = sum(peer.is_outbound for peer in peers)
        policy = self._mempool.rules.policy
        return {
            "version": CLAIMED_VERSION,
            "subversion": f"/Misocoin:{VERSION}/",
            "protocolversion": PROTOCOL_VERSION,
            "localservices": SERVICE_BITS,
            "localservicesnames": list(SERVICES),
            "localrelay": True,
            "timeoffset": 0,
            "connections": len(peers),
            "connections_in": len(peers) - outbound,
            "connections_out": outbound,
            "networkactive": True,
            "networks": [
                {
                    "name": name,
                    "limited": False,
                    "reachable": True,
                    "proxy": "",
                    "proxy_randomize_credentials": False,
                }
                for name in ("ipv4", "ipv6")
            ],
            "relayfee": amount(policy.min_relay_feerate),
            "incrementalfee": amount(policy.incremental_feerate),
            "localaddresses": [],
            "warnings": [],
        }

    @core_method(
        Category.NETWORK,
        result=array(
            "the links",
            obj(
                "",
                id=number("of the link"),
                addr=text("host:port where it listens, or its host"),
                network=text("ipv4, ipv6 or not_publicly_routable"),
                services=hexadecimal("what it has for others, in Core's bits"),
                servicesnames=array("the same by name", text("a name")),
                relaytxes=boolean("whether it takes transactions"),
                lastsend=timestamp("not kept: 0"),
                lastrecv=timestamp("not kept: 0"),
                last_transaction=timestamp("not kept: 0"),
                last_block=timestamp("not kept: 0"),
                bytessent=number("not counted by link: 0; see getnettotals"),
                bytesrecv=number("not counted by link: 0"),
                conntime=timestamp("when the link was made"),
                timeoffset=number("seconds its clock was ahead of ours when it linked"),
                version=number("of the peer protocol; not spoken here: 0"),
                subver=text("its program and version"),
                inbound=boolean("whether it made the link"),
                bip152_hb_to=boolean("always false"),
                bip152_hb_from=boolean("always false"),
                startingheight=number("height of the best block it has shown, or -1"),
                presynced_headers=number("always -1"),
                synced_headers=number("height of the best block it has shown, or -1"),
                synced_blocks=number("the same"),
                inflight=array("not told by height; see get_peers", number("a height")),
                addr_relay_enabled=boolean("whether addresses of nodes are exchanged"),
                addr_processed=number("not counted: 0"),
                addr_rate_limited=number("not counted: 0"),
                permissions=array("always empty", text("")),
                minfeefilter=coins("always 0"),
                bytessent_per_msg=mapping("always empty", number("")),
                bytesrecv_per_msg=mapping("always empty", number("")),
                connection_type=text("manual, outbound-full-relay or inbound"),
                transport_protocol_type=text("always http"),
                session_id=text("always empty"),
            ),
        ),
    )
    def getpeerinfo(self) -> Json:
        """List the links with other nodes."""
        now = self._now()
        return [_peer_json(peer, now) for peer in self._network.peers()]

    @core_method(Category.NETWORK, result=number("links"))
    def getconnectioncount(self) -> Json:
        """Count the links with other nodes."""
        return len(self._network.peers())

    @core_method(
        Category.NETWORK,
        result=obj(
            "traffic of this node's port, calls and REST included",
            totalbytesrecv=number("bytes received"),
            totalbytessent=number("bytes sent"),
            timemillis=number("unix time in milliseconds"),
            uploadtarget=obj(
                "a limit to what is sent: none",
                timeframe=number("seconds"),
                target=number("bytes; 0 for none"),
                target_reached=boolean("always false"),
                serve_historical_blocks=boolean("always true"),
                bytes_left_in_cycle=number("always 0"),
                time_left_in_cycle=number("always 0"),
            ),
        ),
    )
    def getnettotals(self) -> Json:
        """Tell how much has gone over the node's port."""
        received, sent = self._traffic()
        return {
            "totalbytesrecv": received,
            "totalbytessent": sent,
            "timemillis": int(time.time() * 1000),
            "uploadtarget": {
                "timeframe": DEFAULT_BAN,
                "target": 0,
                "target_reached": False,
                "serve_historical_blocks": True,
                "bytes_left_in_cycle": 0,
                "time_left_in_cycle": 0,
            },
        }

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
            raise invalid("command must be add, remove or onetry")

    @core_method(
        Category.NETWORK,
        access=Access.AUTH,
        result=nothing(),
        errors=(RpcCode.INVALID_PARAMETER, RpcCode.NODE_NOT_CONNECTED),
    )
    def disconnectnode(
        self,
        address: Annotated[str, STRING, "host:port of the node"] = "",
        nodeid: Annotated[int | None, INTEGER, "or the number of the link"] = None,
    ) -> None:
        """End the link with a node."""
        if bool(address) == (nodeid is not None):
            raise RpcError(
                RpcCode.INVALID_PARAMETER, "Only one of address and nodeid should be provided."
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
        result=nothing(),
        errors=(
            RpcCode.INVALID_PARAMETER,
            RpcCode.NODE_ALREADY_ADDED,
            RpcCode.INVALID_IP_OR_SUBNET,
        ),
    )
    def setban(
        self,
        subnet: Annotated[str, STRING, "a host's address; a network of one host will do"],
        command: Annotated[str, STRING, "add or remove"],
        bantime: Annotated[int, INTEGER, "seconds; 0 for a day"] = 0,
        absolute: Annotated[bool, BOOLEAN, "bantime is the unix time of the end"] = False,
    ) -> None:
        """Keep a host out, or let it in again."""
        host = _host_of(subnet)
        is_banned = host in {target for target, _ in self._network.banned()}
        if command == "add":
            if is_banned:
                raise RpcError(RpcCode.NODE_ALREADY_ADDED, "Error: IP/Subnet already banned")
            if absolute and bantime < self._now():
                raise invalid("Error: Absolute timestamp is in the past")
            if not 0 <= bantime <= 1 << 40:
                raise invalid("bantime is out of range")
            until = bantime if absolute else self._now() + (bantime or DEFAULT_BAN)
            self._network.ban(host, until)
        elif command == "remove":
            if not is_banned:
                raise RpcError(
                    RpcCode.INVALID_IP_OR_SUBNET,
                    "Error: Unban failed. Requested address/subnet was not previously manually "
                    "banned.",
                )
            self._network.ban(host, 0)
        else:
            raise invalid("command must be add or remove")

    @core_method(
        Category.NETWORK,
        access=Access.AUTH,
        result=array(
            "the bans in force",
            obj(
                "",
                address=text("the host as a network of one, or host:port of one node"),
                ban_created=optional(timestamp("not kept: left out")),
                banned_until=timestamp("when it ends"),
                ban_duration=optional(number("not kept: left out")),
                time_remaining=number("seconds until then"),
            ),
        ),
    )
    def listbanned(self) -> Json:
        """List who is kept out."""
        now = self._now()
        return [
            {
                "address": _subnet_of(target),
                "banned_until": until,
                "time_remaining": max(0, until - now),
            }
            for target, until in self._network.banned()
        ]

    @core_method(Category.NETWORK, access=Access.AUTH, result=nothing())
    def clearbanned(self) -> None:
        """Let everybody in again."""
        for target, _ in self._network.banned():
            self._network.ban(target, 0)

    @core_method(Category.NETWORK, access=Access.AUTH, result=nothing())
    def ping(self) -> None:
        """Do nothing: a link here is a request that waits, and a dead one is noticed by itself."""

    def _address(self, given: str) -> Address:
        try:
            return address_from_text(given, self._default_port)
        except ParseError as error:
            raise invalid(str(error)) from None


def _peer_json(peer: PeerInfo, now: int) -> dict[str, Json]:
    height = -1 if peer.height is None else peer.height
    return {
        "id": peer.id,
        "addr": peer.address,
        "network": _network_of(peer.address),
        "services": SERVICE_BITS,
        "servicesnames": list(SERVICES),
        "relaytxes": not peer.is_rest_only,
        "lastsend": 0,
        "lastrecv": 0,
        "last_transaction": 0,
        "last_block": 0,
        "bytessent": 0,
        "bytesrecv": 0,
        "conntime": now - peer.seconds,
        "timeoffset": peer.clock_offset or 0,
        "version": 0,
        "subver": peer.agent,
        "inbound": not peer.is_outbound,
        "bip152_hb_to": False,
        "bip152_hb_from": False,
        "startingheight": height,
        "presynced_headers": -1,
        "synced_headers": height,
        "synced_blocks": height,
        "inflight": [],
        "addr_relay_enabled": not peer.is_rest_only,
        "addr_processed": 0,
        "addr_rate_limited": 0,
        "permissions": [],
        "minfeefilter": amount(0),
        "bytessent_per_msg": {},
        "bytesrecv_per_msg": {},
        "connection_type": _connection_type(peer),
        "transport_protocol_type": "http",
        "session_id": "",
    }


def _connection_type(peer: PeerInfo) -> str:
    if not peer.is_outbound:
        return "inbound"
    return "manual" if peer.is_manual else "outbound-full-relay"


def _network_of(address: str) -> str:
    try:
        host = ip_address(address_from_text(address, 1).host)
    except (ParseError, ValueError):
        return "not_publicly_routable"
    if not host.is_global:
        return "not_publicly_routable"
    return f"ipv{host.version}"


def _host_of(subnet: str) -> str:
    """The one host of a network; raises RpcError for a network of several."""
    try:
        network = ip_network(subnet.strip())
    except ValueError:
        network = None
    if network is None:
        raise RpcError(RpcCode.INVALID_IP_OR_SUBNET, "Error: Invalid IP/Subnet")
    if network.num_addresses != 1:
        raise RpcError(
            RpcCode.INVALID_IP_OR_SUBNET,
            "Error: Invalid IP/Subnet: hosts are banned one by one here",
        )
    return str(network.network_address)


def _subnet_of(target: str) -> str:
    try:
        return str(ip_network(target))
    except ValueError:
        return target
