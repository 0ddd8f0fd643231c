"""Core's methods on links and bans."""

from collections.abc import Iterator

import pytest

from misocoin.peers.addresses import KnownAddress
from misocoin.peers.bans import Ban, BanList
from misocoin.peers.info import PeerInfo
from misocoin.peers.messages import Address
from misocoin.peers.traffic import TrafficInfo
from misocoin.rpc.core.network import CoreNetwork
from misocoin.rpc.core.nodes import CoreNodes
from misocoin.rpc.declare import methods_of
from misocoin.rpc.registry import Registry
from tests.unit.rpc.core.conftest import CoreNode

NOW = 1_700_000_000


class FakeNetwork:
    """Two links, and what is said about them."""

    def __init__(self) -> None:
        self.links = [
            PeerInfo(
                1,
                "8.8.8.8:4000",
                True,
                True,
                "/misocoin:1/",
                7,
                0,
                60,
                0,
                False,
                version=1,
                first_height=3,
                shown_height=7,
                common_height=6,
                asked_heights=(8, 9),
                last_block=NOW - 7,
                ping=0.012345678,
                least_ping=0.01,
                ping_wait=None,
                pushes_blocks=True,
                addresses_taken=5,
                traffic=TrafficInfo(42, 3, {"inv": 40, "block": 2}, {"ping": 3}, NOW - 1, NOW - 2),
            ),
            PeerInfo(2, "127.0.0.1", False, False, "Core's REST", None, 0, 5, 0, True),
        ]
        self.named: list[Address] = []
        self.bans = BanList(100)
        self.is_active = True
        self.pings = 0

    def peers(self) -> tuple[PeerInfo, ...]:
        return tuple(self.links)

    def named_nodes(self) -> tuple[Address, ...]:
        return tuple(self.named)

    def add_node(self, address: Address) -> None:
        self.named.append(address)

    def remove_node(self, address: Address) -> bool:
        known = address in self.named
        self.named = [each for each in self.named if each != address]
        return known

    def unlink(self, number: int) -> bool:
        before = len(self.links)
        self.links = [link for link in self.links if link.id != number]
        return len(self.links) < before

    def known_addresses(self) -> tuple[KnownAddress, ...]:
        return (
            KnownAddress(Address("1.2.3.4", 8333, NOW - 5), True),
            KnownAddress(Address("5.6.7.8", 8334, NOW - 6), False),
            KnownAddress(Address("2001:db8::1", 8335, NOW - 7), False),
            KnownAddress(Address("example.org", 4000, NOW), True),
        )

    def set_active(self, is_active: bool) -> None:
        self.is_active = is_active

    def ban(self, target: str, until: int) -> None:
        self.bans.set(target, until, NOW)

    def banned(self) -> tuple[Ban, ...]:
        return self.bans.items(NOW)

    def ping(self) -> None:
        self.pings += 1


class FakeNode:
    """Calls methods over the fake network."""

    def __init__(self, core: CoreNode) -> None:
        self.network = FakeNetwork()
        groups = (
            CoreNetwork(self.network, core.node.pool.mempool, lambda: NOW, lambda: (3, 4)),
            CoreNodes(self.network, 4000),
        )
        methods = [method for group in groups for method in methods_of(group)]
        self.registry = Registry(methods, check_results=True)

    def __getattr__(self, name: str):
        return lambda *params: self.registry.call(name, list(params))

    def error(self, name: str, *params: object) -> tuple[int, str]:
        return CoreNode.error(self, name, *params)


@pytest.fixture
def node(core: CoreNode) -> Iterator[FakeNode]:
    return FakeNode(core)


def test_this_node(core: CoreNode) -> None:
    info = core.getnetworkinfo()
    assert info["subversion"].startswith("/Misocoin:")
    assert info["version"] == 310_000
    assert (info["connections"], info["relayfee"]) == (0, 0.00001)
    assert core.getpeerinfo() == []
    assert core.getconnectioncount() == 0
    assert core.getnettotals()["totalbytesrecv"] == 0
    assert core.ping() is None


def test_links(node: FakeNode) -> None:
    info = node.getnetworkinfo()
    assert (info["connections"], info["connections_in"], info["connections_out"]) == (2, 1, 1)
    out, came = node.getpeerinfo()
    assert (out["addr"], out["inbound"], out["connection_type"]) == (
        "8.8.8.8:4000", False, "manual",
    )  # fmt: skip
    assert (out["network"], out["synced_headers"], out["conntime"]) == ("ipv4", 7, NOW - 60)
    assert (out["synced_blocks"], out["startingheight"], out["inflight"]) == (6, 3, [8, 9])
    assert (out["bytessent"], out["bytesrecv"]) == (42, 3)
    assert out["bytessent_per_msg"] == {"block": 2, "inv": 40}
    assert out["bytesrecv_per_msg"] == {"ping": 3}
    assert (out["lastsend"], out["lastrecv"], out["last_block"]) == (NOW - 1, NOW - 2, NOW - 7)
    assert (out["pingtime"], out["minping"], "pingwait" in out) == (0.012346, 0.01, False)
    assert (out["bip152_hb_to"], out["bip152_hb_from"], out["addr_processed"]) == (True, False, 5)
    assert (came["inbound"], came["synced_blocks"], came["network"]) == (
        True, -1, "not_publicly_routable",
    )  # fmt: skip
    assert (came["bytessent"], came["lastrecv"], "pingtime" in came) == (0, 0, False)
    node.ping()
    assert node.network.pings == 1
    assert node.getconnectioncount() == 2
    assert node.getnettotals()["totalbytessent"] == 4


def test_nodes_are_added_and_removed(node: FakeNode) -> None:
    node.addnode("example.org", "add")
    assert [each.text for each in node.network.named] == ["example.org:4000"]
    assert node.error("addnode", "example.org:4000", "add") == (-23, "Error: Node already added")
    node.addnode("example.org", "remove")
    assert node.error("addnode", "example.org", "remove")[0] == -24
    node.addnode("example.org", "onetry")
    code, usage = node.error("addnode", "example.org", "x")
    assert (code, usage.startswith("addnode node command")) == (-1, True)
    assert node.error("addnode", "a b", "add")[0] == -8


def test_links_are_ended(node: FakeNode) -> None:
    node.disconnectnode("", 2)
    assert node.getconnectioncount() == 1
    missing = (-29, "Node not found in connected nodes")
    assert node.error("disconnectnode", "", 2) == missing
    assert node.error("disconnectnode", "example.org") == missing
    both = (-32602, "Only one of address and nodeid should be provided.")
    assert node.error("disconnectnode") == node.error("disconnectnode", "a:1", 1) == both


def test_wanted_nodes(node: FakeNode) -> None:
    assert node.getaddednodeinfo() == []
    node.addnode("8.8.8.8:4000", "add")
    node.addnode("example.org", "add")
    linked, waited = node.getaddednodeinfo()
    assert linked == {
        "addednode": "8.8.8.8:4000",
        "connected": True,
        "addresses": [{"address": "8.8.8.8:4000", "connected": "outbound"}],
    }
    assert waited == {"addednode": "example.org:4000", "connected": False, "addresses": []}
    assert node.getaddednodeinfo("example.org") == [waited]
    missing = (-24, "Error: Node has not been added.")
    assert node.error("getaddednodeinfo", "9.9.9.9") == missing


def test_known_nodes(node: FakeNode) -> None:
    (one,) = node.getnodeaddresses()
    assert (one["services"], one["port"] in (8333, 8334, 8335)) == (9, True)
    assert sorted(each["address"] for each in node.getnodeaddresses(0)) == [
        "1.2.3.4", "2001:db8::1", "5.6.7.8",
    ]  # fmt: skip
    assert node.getnodeaddresses(5, "ipv6") == [
        {"time": NOW - 7, "services": 9, "address": "2001:db8::1", "port": 8335, "network": "ipv6"}
    ]
    assert node.getnodeaddresses(5, "onion") == []
    assert node.error("getnodeaddresses", -1) == (-8, "Address count out of range")
    assert node.error("getnodeaddresses", 0, "x") == (-8, "Network not recognized: x")
    counts = node.getaddrmaninfo()
    assert counts["ipv4"] == {"new": 1, "tried": 1, "total": 2}
    assert counts["all_networks"] == {"new": 2, "tried": 1, "total": 3}
    assert counts["cjdns"]["total"] == 0


def test_the_network_is_switched_off_and_on(node: FakeNode) -> None:
    assert node.setnetworkactive(False) is False
    info = node.getnetworkinfo()
    assert info["networkactive"] is False
    assert [each["name"] for each in info["networks"] if each["limited"]] == [
        "onion", "i2p", "cjdns",
    ]  # fmt: skip
    assert node.error("setnetworkactive", "yes")[0] == -3
    assert node.setnetworkactive(True) is True
    assert node.network.is_active


def test_bans(node: FakeNode) -> None:
    node.setban("192.0.2.7", "add")
    node.setban("192.0.2.8/32", "add", NOW + 5, True)
    node.setban("2001:db8::1", "add", 10)
    assert node.listbanned() == [
        {
            "address": address,
            "ban_created": NOW,
            "banned_until": NOW + seconds,
            "ban_duration": seconds,
            "time_remaining": seconds,
        }
        for address, seconds in (
            ("192.0.2.7/32", 86_400), ("192.0.2.8/32", 5), ("2001:db8::1/128", 10),
        )
    ]  # fmt: skip
    assert node.error("setban", "192.0.2.7", "add") == (-23, "Error: IP/Subnet already banned")
    node.setban("192.0.2.7", "remove")
    assert node.error("setban", "192.0.2.7", "remove")[0] == -30
    assert node.error("setban", "192.0.2.0/33", "add")[0] == -30
    assert node.error("setban", "nonsense", "add") == (-30, "Error: Invalid IP/Subnet")
    assert node.error("setban", "192.0.2.9", "add", 5, True)[0] == -8
    assert node.error("setban", "192.0.2.9", "x")[0] == -1
    node.setban("192.0.2.9", "add", -5)
    assert [each["ban_duration"] for each in node.listbanned()][-2] == 86_400
    node.setban("192.0.2.9", "remove")
    node.clearbanned()
    assert node.listbanned() == []


def test_bans_of_networks(node: FakeNode) -> None:
    """As in Core: bits beyond the mask are let go, and a host in a banned network is banned."""
    node.setban("192.168.0.7/24", "add")
    node.setban("10.0.0.0/255.0.0.0", "add")
    node.setban("2001:db8::/32", "add")
    assert [ban["address"] for ban in node.listbanned()] == [
        "10.0.0.0/8", "192.168.0.0/24", "2001:db8::/32",
    ]  # fmt: skip
    twice = (-23, "Error: IP/Subnet already banned")
    assert node.error("setban", "192.168.0.0/24", "add") == twice
    assert node.error("setban", "192.168.0.9", "add") == twice
    node.setban("192.168.0.0/25", "add")
    assert node.error("setban", "192.168.0.9", "remove")[0] == -30
    node.setban("192.168.0.0/24", "remove")
    assert len(node.listbanned()) == 3
