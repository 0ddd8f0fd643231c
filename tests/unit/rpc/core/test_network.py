"""Core's methods on links and bans."""

from collections.abc import Iterator

import pytest

from misocoin.peers.info import PeerInfo
from misocoin.peers.messages import Address
from misocoin.rpc.core.network import CoreNetwork
from misocoin.rpc.declare import methods_of
from misocoin.rpc.registry import Registry
from tests.unit.rpc.core.conftest import CoreNode

NOW = 1_700_000_000


class FakeNetwork:
    """Two links, and what is said about them."""

    def __init__(self) -> None:
        self.links = [
            PeerInfo(1, "8.8.8.8:4000", True, True, "/misocoin:1/", 7, 0, 60, 0, False),
            PeerInfo(2, "127.0.0.1", False, False, "Core's REST", None, 0, 5, 0, True),
        ]
        self.named: list[Address] = []
        self.bans: dict[str, int] = {}

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

    def ban(self, target: str, until: int) -> None:
        self.bans[target] = until
        if not until:
            del self.bans[target]

    def banned(self) -> tuple[tuple[str, int], ...]:
        return tuple(self.bans.items())


class FakeNode:
    """Calls methods over the fake network."""

    def __init__(self, core: CoreNode) -> None:
        self.network = FakeNetwork()
        group = CoreNetwork(self.network, core.node.pool.mempool, lambda: NOW, lambda: (3, 4), 4000)
        self.registry = Registry(methods_of(group), check_results=True)

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
    assert (came["inbound"], came["synced_blocks"], came["network"]) == (
        True, -1, "not_publicly_routable",
    )  # fmt: skip
    assert node.getconnectioncount() == 2
    assert node.getnettotals()["totalbytessent"] == 4


def test_nodes_are_added_and_removed(node: FakeNode) -> None:
    node.addnode("example.org", "add")
    assert [each.text for each in node.network.named] == ["example.org:4000"]
    assert node.error("addnode", "example.org:4000", "add") == (-23, "Error: Node already added")
    node.addnode("example.org", "remove")
    assert node.error("addnode", "example.org", "remove")[0] == -24
    node.addnode("example.org", "onetry")
    assert node.error("addnode", "example.org", "x")[0] == -8
    assert node.error("addnode", "a b", "add")[0] == -8


def test_links_are_ended(node: FakeNode) -> None:
    node.disconnectnode("", 2)
    assert node.getconnectioncount() == 1
    missing = (-29, "Node not found in connected nodes")
    assert node.error("disconnectnode", "", 2) == missing
    assert node.error("disconnectnode", "example.org") == missing
    assert node.error("disconnectnode")[0] == -8
    assert node.error("disconnectnode", "a:1", 1)[0] == -8


def test_bans(node: FakeNode) -> None:
    node.setban("192.0.2.7", "add")
    node.setban("192.0.2.8/32", "add", NOW + 5, True)
    node.setban("2001:db8::1", "add", 10)
    assert node.listbanned() == [
        {"address": "192.0.2.7/32", "banned_until": NOW + 86_400, "time_remaining": 86_400},
        {"address": "192.0.2.8/32", "banned_until": NOW + 5, "time_remaining": 5},
        {"address": "2001:db8::1/128", "banned_until": NOW + 10, "time_remaining": 10},
    ]
    assert node.error("setban", "192.0.2.7", "add") == (-23, "Error: IP/Subnet already banned")
    node.setban("192.0.2.7", "remove")
    assert node.error("setban", "192.0.2.7", "remove")[0] == -30
    assert node.error("setban", "192.0.2.0/24", "add")[0] == -30
    assert node.error("setban", "nonsense", "add") == (-30, "Error: Invalid IP/Subnet")
    assert node.error("setban", "192.0.2.9", "add", 5, True)[0] == -8
    assert node.error("setban", "192.0.2.9", "x")[0] == -8
    node.clearbanned()
    assert node.listbanned() == []
