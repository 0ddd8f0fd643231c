"""Core's methods on other nodes, and on this one as they see it.

Nodes are linked over HTTP here, so some fields of Core's have nothing to tell: each says so in its
help.
"""

import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated, Protocol

from misocoin.chain.mempool import Mempool
from misocoin.errors import ParseError
from misocoin.http.errors import RpcError
from misocoin.peers.bans import Ban, Subnet, network_from_text, target_of_network
from misocoin.peers.info import PeerInfo
from misocoin.peers.messages import address_from_text
from misocoin.rpc.core.version import CLAIMED_VERSION
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode, WrongUsage
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import BOOLEAN, LONG, STRING, invalid
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

SERVICE_BITS = 1 | 1 << 3
"""The same as Core's bits."""

NETWORKS = ("ipv4", "ipv6", "onion", "i2p", "cjdns")
"""Ways to reach nodes, by Core's names."""

REACHED = frozenset({"ipv4", "ipv6"})
"""Those that links are made by."""


class Network(Protocol):
    """What the methods need of the network."""

    def peers(self) -> tuple[PeerInfo, ...]:
        """All links."""

    @property
    def is_active(self) -> bool:
        """Whether there are links at all."""

    def ban(self, target: str, until: int) -> None:
        """Ban until a unix time; 0 lifts the ban."""

    def banned(self) -> tuple[Ban, ...]:
        """All bans."""

    def ping(self) -> None:
        """Have all links timed."""


class CoreNetwork:
    """Links, bans and traffic."""

    def __init__(
        self,
        network: Network,
        mempool: Mempool,
        now: Callable[[], int],
        traffic: Callable[[], tuple[int, int]],
    ) -> None:
        """`traffic` tells the bytes received and sent; `now` is unix time."""
        self._network = network
        self._mempool = mempool
        self._now = now
        self._traffic = traffic

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
            networkactive=boolean("whether links are made; see setnetworkactive"),
            connections=number("links"),
            connections_in=number("links that others made"),
            connections_out=number("links that this node made"),
            networks=array(
                "ways to reach others",
                obj(
                    "",
                    name=text("ipv4, ipv6, onion, i2p or cjdns"),
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
            "localservices": f"{SERVICE_BITS:016x}",
            "localservicesnames": list(SERVICES),
            "localrelay": True,
            "timeoffset": 0,
            "networkactive": self._network.is_active,
            "connections": len(peers),
            "connections_in": len(peers) - outbound,
            "connections_out": outbound,
            "networks": [
                {
                    "name": name,
                    "limited": name not in REACHED,
                    "reachable": name in REACHED,
                    "proxy": "",
                    "proxy_randomize_credentials": False,
                }
                for name in NETWORKS
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
                lastsend=timestamp("when something was last sent; 0 for never"),
                lastrecv=timestamp("when something last came; 0 for never"),
                last_transaction=timestamp("when it last brought a transaction that was taken"),
                last_block=timestamp("when it last brought a block that held"),
                bytessent=number("bytes of messages sent, without HTTP's own lines"),
                bytesrecv=number("bytes of messages received"),
                conntime=timestamp("when the link was made"),
                timeoffset=number("seconds its clock was ahead of ours when it linked"),
                pingtime=optional(number("seconds that its last answer to a ping took")),
                minping=optional(number("the least of these")),
                pingwait=optional(number("seconds that a ping has waited for its answer")),
                version=number("of this program's peer protocol; 0 for Core's REST"),
                subver=text("its program and version"),
                inbound=boolean("whether it made the link"),
                bip152_hb_to=boolean("whether it was asked to push compact blocks"),
                bip152_hb_from=boolean("whether it asked for that"),
                startingheight=number("height of its chain when it linked, or -1"),
                presynced_headers=number("height of headers without enough work yet, or -1"),
                synced_headers=number("height of the best block it has shown, or -1"),
                synced_blocks=number("height of the last block in common, or -1"),
                inflight=array("the blocks asked of it", number("a height")),
                addr_relay_enabled=boolean("whether addresses of nodes are exchanged"),
                addr_processed=number("addresses of nodes that it told"),
                addr_rate_limited=number("those that it told too fast, and were dropped"),
                permissions=array("always empty", text("")),
                minfeefilter=coins("always 0"),
                bytessent_per_msg=mapping("by kind, in Core's words", number("bytes")),
                bytesrecv_per_msg=mapping("by kind, in Core's words", number("bytes")),
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
        errors=(
            RpcCode.INVALID_PARAMETER,
            RpcCode.NODE_ALREADY_ADDED,
            RpcCode.INVALID_IP_OR_SUBNET,
        ),
    )
    def setban(
        self,
        subnet: Annotated[str, STRING, "a host's address, or a network: 192.168.0.0/24"],
        command: Annotated[str, STRING, "add or remove"],
        bantime: Annotated[int, LONG, "seconds; 0 or less for a day"] = 0,
        absolute: Annotated[bool, BOOLEAN, "bantime is the unix time of the end"] = False,
    ) -> None:
        """Keep a host or a network out, or let it in again; who is linked from there is cut off."""
        network = network_from_text(subnet)
        if network is None:
            raise RpcError(RpcCode.INVALID_IP_OR_SUBNET, "Error: Invalid IP/Subnet")
        target = target_of_network(network)
        bans = self._network.banned()
        is_banned = target in {ban.target for ban in bans}
        if command == "add":
            if is_banned or ("/" not in subnet and _is_covered(network, bans)):
                raise RpcError(RpcCode.NODE_ALREADY_ADDED, "Error: IP/Subnet already banned")
            if absolute and bantime < self._now():
                raise invalid("Error: Absolute timestamp is in the past")
            if bantime > 1 << 40:
                raise invalid("bantime is out of range")
            until = bantime
            if not absolute:
                until = self._now() + (bantime if bantime > 0 else DEFAULT_BAN)
            self._network.ban(target, until)
        elif command == "remove":
            if not is_banned:
                raise RpcError(
                    RpcCode.INVALID_IP_OR_SUBNET,
                    "Error: Unban failed. Requested address/subnet was not previously manually "
                    "banned.",
                )
            self._network.ban(target, 0)
        else:
            raise WrongUsage

    @core_method(
        Category.NETWORK,
        access=Access.AUTH,
        result=array(
            "the bans in force",
            obj(
                "",
                address=text("the network, of one host or more, or host:port of one node"),
                ban_created=timestamp("when it was set"),
                banned_until=timestamp("when it ends"),
                ban_duration=number("seconds between the two"),
                time_remaining=number("seconds until then"),
            ),
        ),
    )
    def listbanned(self) -> Json:
        """List who is kept out."""
        now = self._now()
        return [
            {
                "address": _subnet_of(ban.target),
                "ban_created": ban.since,
                "banned_until": ban.until,
                "ban_duration": ban.until - ban.since,
                "time_remaining": max(0, ban.until - now),
            }
            for ban in sorted(self._network.banned(), key=_ban_order)
        ]

    @core_method(Category.NETWORK, access=Access.AUTH, result=nothing())
    def clearbanned(self) -> None:
        """Let everybody in again."""
        for ban in self._network.banned():
            self._network.ban(ban.target, 0)

    @core_method(Category.NETWORK, access=Access.AUTH, result=nothing())
    def ping(self) -> None:
        """Time all links now; getpeerinfo tells the answers as pingtime."""
        self._network.ping()


def _peer_json(peer: PeerInfo, now: int) -> dict[str, Json]:
    traffic = peer.traffic
    pings = {"pingtime": peer.ping, "minping": peer.least_ping, "pingwait": peer.ping_wait}
    return {
        "id": peer.id,
        "addr": peer.address,
        "network": _network_of(peer.address),
        "services": f"{SERVICE_BITS:016x}",
        "servicesnames": list(SERVICES),
        "relaytxes": not peer.is_rest_only,
        "lastsend": traffic.last_sent,
        "lastrecv": traffic.last_received,
        "last_transaction": peer.last_transaction,
        "last_block": peer.last_block,
        "bytessent": traffic.bytes_sent,
        "bytesrecv": traffic.bytes_received,
        "conntime": now - peer.seconds,
        "timeoffset": peer.clock_offset or 0,
        **{name: round(value, 6) for name, value in pings.items() if value is not None},
        "version": peer.version,
        "subver": peer.agent,
        "inbound": not peer.is_outbound,
        "bip152_hb_to": peer.pushes_blocks,
        "bip152_hb_from": peer.is_pushed_blocks,
        "startingheight": peer.first_height,
        "presynced_headers": peer.counted_height,
        "synced_headers": peer.shown_height,
        "synced_blocks": peer.common_height,
        "inflight": list(peer.asked_heights),
        "addr_relay_enabled": not peer.is_rest_only,
        "addr_processed": peer.addresses_taken,
        "addr_rate_limited": peer.addresses_dropped,
        "permissions": [],
        "minfeefilter": amount(0),
        "bytessent_per_msg": dict(sorted(traffic.sent.items())),
        "bytesrecv_per_msg": dict(sorted(traffic.received.items())),
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


def _is_covered(network: Subnet, bans: tuple[Ban, ...]) -> bool:
    """Whether a host lies in a network that is banned."""
    wider = [network_from_text(ban.target) for ban in bans]
    return any(each is not None and network.network_address in each for each in wider)


def _ban_order(ban: Ban) -> tuple[int, bytes, int, str]:
    """As Core lists them: by kind of network, address and size; single nodes come last."""
    network = network_from_text(ban.target)
    if network is None:
        return 9, b"", 0, ban.target
    return network.version, network.network_address.packed, network.prefixlen, ""


def _subnet_of(target: str) -> str:
    network = network_from_text(target)
    return target if network is None else str(network)
