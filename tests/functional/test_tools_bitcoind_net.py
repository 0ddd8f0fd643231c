"""What a real bitcoind answers on nodes, bans and itself, and ours."""

from collections.abc import Iterator

import pytest

from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins
from tests.functional.framework.differences import ignored

pytestmark = pytest.mark.tools

FEES = ("-minrelaytxfee=0.00001", "-incrementalrelayfee=0.00001")
"""Core's defaults up to 29.0, and ours; theirs has those of 29.1 and later."""


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins) -> Twins:
    return make_twins(*FEES)


@pytest.fixture
def no_bans(twins: Twins) -> Iterator[Twins]:
    twins.both("clearbanned")
    yield twins
    twins.both("clearbanned")


def test_this_node(twins: Twins) -> None:
    twins.same(
        "getnetworkinfo",
        but={
            "$.version": ignored("we claim 31, theirs is 29"),
            "$.subversion": ignored("the program's own"),
            "$.localservices": ignored("theirs has limited, v2 and Knots' own"),
            "$.localservicesnames": ignored("the same"),
        },
    )
    twins.same("getconnectioncount")
    twins.same("getpeerinfo")
    moves = ("$.totalbytesrecv", "$.totalbytessent", "$.timemillis")
    twins.same("getnettotals", but={path: ignored("its own") for path in moves})
    twins.same("getzmqnotifications")
    twins.same("ping")


def test_wanted_nodes(twins: Twins) -> None:
    node = "127.0.0.1:9"
    twins.same("addnode", node, "add")
    twins.same("addnode", node, "add")
    twins.same("getaddednodeinfo")
    twins.same("getaddednodeinfo", node)
    twins.same("addnode", node, "remove")
    twins.same("addnode", node, "remove")
    twins.same("addnode", node, "never")
    twins.same("addnode", node)
    twins.same("getaddednodeinfo")
    twins.same("getaddednodeinfo", node)
    twins.same("disconnectnode")
    twins.same("disconnectnode", node, 1)
    twins.same("disconnectnode", "127.0.0.1:11")
    twins.same("disconnectnode", "", 7)
    twins.same("disconnectnode", nodeid=7)


def test_known_nodes(twins: Twins) -> None:
    for params in ((), (0,), (0, "ipv6"), (-1,), (0, "lan"), ("1",), (1.5,)):
        twins.same("getnodeaddresses", *params)
    twins.same("getaddrmaninfo")


def test_the_network_is_switched_off_and_on(twins: Twins) -> None:
    twins.same("setnetworkactive", False)
    ours, theirs = twins.both("getnetworkinfo")
    assert ours["networkactive"] is theirs["networkactive"] is False
    twins.same("setnetworkactive", True)
    twins.same("setnetworkactive")
    twins.same("setnetworkactive", "yes")


def test_bans(no_bans: Twins) -> None:
    twins, clock = no_bans, 1_900_000_000
    twins.set_time(clock)
    for params in (
        ("1.2.3.4", "add"),
        ("1.2.3.4", "add", 50),
        ("1.2.3.4/32", "add", 50),
        ("1.2.5.6/24", "add", 100),
        ("1.2.5.7", "add"),
        ("2001:db8::/32", "add", clock + 7, True),
        ("2001:db9::1", "add", clock - 7, True),
        ("10.0.0.0/255.0.0.0", "add", 60),
        ("9.9.9.9", "add", -1),
        ("9.9.9.9", "keep"),
        ("9.9.9.9", "remove"),
        ("nobody", "add"),
        ("1.2.3.4:80", "add"),
        ("1.2.3.4", "remove"),
        ("1.2.3.4",),
    ):
        twins.same("setban", *params)
        twins.same("listbanned")
    twins.set_time(clock + 60)
    twins.same("listbanned")
    twins.same("clearbanned")
    twins.same("listbanned")
    twins.set_time(0)


def test_the_program(twins: Twins) -> None:
    twins.same("getmemoryinfo", but={"$.locked": ignored("theirs locks memory for keys")})
    twins.same("getmemoryinfo", "most")
    but = {"$.active_commands[*].duration": ignored("a time"), "$.logpath": ignored("a path")}
    twins.same("getrpcinfo", but=but)
    twins.same("uptime", but={"$": ignored("a time")})
    twins.same("uptime", 1)
    twins.same("help", "zzzzzzzz")
    twins.same("help", "ping", but={"$": ignored("our own words")})
    twins.same("help", but={"$": ignored("our own words")})
    twins.same("help", "ping", "pong")
    twins.same("stop", "now", "then")
    twins.same("nosuchmethod")


def test_what_is_logged_in_detail(twins: Twins) -> None:
    twins.same("logging", ["all"])
    twins.same("logging", [], ["1"])
    twins.same("logging", ["net", "rpc"], ["rpc", "http"])
    twins.same("logging", ["net"], ["all"])
    twins.same("logging", ["gossip"])
    twins.same("logging", "net")
    twins.same("logging", [5])
