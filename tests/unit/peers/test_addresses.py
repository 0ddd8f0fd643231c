"""The address book and the bans: small, diverse, persistent."""

from random import Random

import pytest

from misocoin.errors import ParseError
from misocoin.peers.addresses import AddressBook, address_group, is_local
from misocoin.peers.bans import Ban, BanList, ban_target, ban_target_from_text
from misocoin.peers.events import Link, PeerId
from misocoin.peers.limits import PeerLimits
from misocoin.peers.messages import Address

NOW = 1_700_000_000
LIMITS = PeerLimits(addresses=100, addresses_per_source=20)


def book() -> AddressBook:
    return AddressBook(LIMITS, Random(1))


def far(n: int) -> Address:
    return Address(f"{20 + n % 200}.{n // 200 % 250}.1.1", 4000, NOW)


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("20.1.2.3", "20.1"),
        ("2a00:1450:4001:1::1", "2a00:1450"),
        ("::ffff:20.1.2.3", "20.1"),
        ("a.b.example.org", "example.org"),
        ("192.168.1.7", "192.168.1.7"),
        ("127.0.0.1", "127.0.0.1:4000"),
    ],
)
def test_groups(host: str, group: str) -> None:
    assert address_group(Address(host, 4000)) == group


def test_local() -> None:
    assert all(map(is_local, ("localhost", "127.3.2.1", "10.1.1.1", "::1", "fe80::1")))
    assert not any(map(is_local, ("20.1.1.1", "example.org", "2a00:1450::1")))


def test_one_source_cannot_fill_the_book() -> None:
    addresses = book()
    for n in range(500):
        addresses.add(far(n), "liar", NOW)
    assert len(addresses) == 20
    for n in range(500):
        addresses.add(far(1000 + n), f"source{n}", NOW)
    assert len(addresses) == 100


def test_tried_ones_are_never_pushed_out() -> None:
    addresses = book()
    for n in range(5):
        addresses.succeeded(far(n), NOW)
    for n in range(2000):
        addresses.add(far(5 + n), f"source{n}", NOW)
    assert all(far(n) in addresses for n in range(5))


def test_links_go_to_different_groups() -> None:
    addresses = book()
    for n in range(15):
        addresses.add(Address(f"20.1.1.{n}", 4000, NOW), "a", NOW)
    addresses.add(Address("30.1.1.1", 4000, NOW), "b", NOW)
    chosen = addresses.choose(0.0, set(), {"20.1"})
    assert chosen is not None
    assert chosen.host == "30.1.1.1"
    assert addresses.choose(0.0, {chosen[:2]}, {"20.1"}) is None


def test_failures_pause_and_end() -> None:
    addresses = book()
    addresses.add(far(1), "a", NOW)
    addresses.failed(far(1), 100.0)
    assert addresses.choose(101.0, (), ()) is None
    assert addresses.choose(200.0, (), ()) is not None
    for _ in range(10):
        addresses.failed(far(1), 0.0)
    assert far(1) not in addresses


def test_private_addresses_stay_private() -> None:
    addresses = book()
    addresses.add(Address("192.168.1.7", 4000, NOW), "a", NOW)
    addresses.add(far(1), "b", NOW)
    assert {a.host for a in addresses.sample(10, local=False)} == {far(1).host}
    assert len(addresses.sample(10, local=True)) == 2


def test_it_survives_a_restart_and_damage() -> None:
    addresses = book()
    addresses.succeeded(far(1), NOW)
    addresses.add(far(2), "a", NOW)
    addresses.add(far(3)._replace(seen=NOW - 10**8), "a", NOW)
    other = book()
    damaged = [None, 1, {}, {"host": 1}, {"host": "a b", "port": 1, "seen": 1}]
    other.load(addresses.to_json() + damaged, NOW)
    assert set(other) == {far(1), far(2)}


def test_the_own_address_is_not_dialled() -> None:
    addresses = book()
    addresses.add(far(1), "a", NOW)
    addresses.mark_own(far(1))
    addresses.add(far(1), "b", NOW)
    assert len(addresses) == 0


def test_a_seen_in_the_future_is_cut() -> None:
    addresses = book()
    addresses.add(far(1)._replace(seen=2**32 - 1), "a", NOW)
    (kept,) = addresses
    assert kept.seen == NOW + 600


def test_bans() -> None:
    bans = BanList(3)
    bans.set("20.1.1.1", NOW + 100, NOW)
    bans.set("127.0.0.1:4001", NOW + 50, NOW)
    assert bans.has("20.1.1.1", None, NOW)
    assert not bans.has("20.1.1.1", None, NOW + 100)
    assert bans.has("127.0.0.1", Address("127.0.0.1", 4001), NOW)
    assert not bans.has("127.0.0.1", Address("127.0.0.1", 4002), NOW)
    bans.set("a", NOW + 500, NOW)
    bans.set("b", NOW + 500, NOW)  # the one that ends first makes room
    assert [ban.target for ban in bans.items(NOW)] == ["20.1.1.1", "a", "b"]
    bans.set("a", 0, NOW)
    assert not bans.has("a", None, NOW)
    other = BanList(3)
    other.load([*bans.items(NOW), "x", [1, 2], ["y", "z"], ["y", NOW + 5, "z"]], NOW)
    assert other.items(NOW) == bans.items(NOW)
    other.load([["c", NOW + 900]], NOW)  # as they were kept before they had a beginning
    assert Ban("c", NOW + 900, 0) in other.items(NOW)


def test_bans_of_networks() -> None:
    bans = BanList(3)
    bans.set("192.168.0.0/24", NOW + 100, NOW)
    bans.set("2001:db8::/32", NOW + 50, NOW)
    assert bans.has("192.168.0.255", None, NOW)
    assert bans.has("example.org", Address("192.168.0.7", 4000), NOW)
    assert bans.has("2001:db8:1::1", None, NOW)
    for other in ("192.168.1.0", "2001:db9::1", "::ffff:192.168.0.1", "example.org"):
        assert not bans.has(other, None, NOW)
    assert not bans.has("192.168.0.1", None, NOW + 100)
    bans.expire(NOW + 70)
    assert bans.items(NOW) == (Ban("192.168.0.0/24", NOW + 100, NOW),)
    bans.set("192.168.0.0/24", 0, NOW)
    assert not bans.has("192.168.0.255", None, NOW)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("example.org", "example.org"),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:81", "192.0.2.7:81"),
        ("[2001:db8::1]:81", "[2001:db8::1]:81"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.168.0.5/24", "192.168.0.0/24"),
        ("192.168.0.0/255.255.255.0", "192.168.0.0/24"),
        ("192.168.0.5/32", "192.168.0.5"),
        ("2001:db8::1/128", "2001:db8::1"),
    ],
)
def test_what_a_person_bans(text: str, target: str) -> None:
    assert ban_target_from_text(text, 4000) == target


@pytest.mark.parametrize("text", ["", "a/b", "192.168.0.0/33", "192.168.0.0/24/1", "/24", "a b"])
def test_what_nobody_can_ban(text: str) -> None:
    with pytest.raises(ParseError):
        ban_target_from_text(text, 4000)


@pytest.mark.parametrize(
    ("host", "address", "target"),
    [
        ("20.1.1.1", None, "20.1.1.1"),
        ("20.1.1.1", Address("20.1.1.1", 4000), "20.1.1.1"),
        ("127.0.0.1", Address("127.0.0.1", 4001), "127.0.0.1:4001"),
        ("192.168.1.2", None, None),
    ],
)
def test_what_is_banned(host: str, address: Address | None, target: str | None) -> None:
    assert ban_target(Link(PeerId(1), False, host, address, None)) == target
