"""A bitcoind with -rest as a source: each release's paths, and what it says when it cannot."""

import logging
import re
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from misocoin.errors import ParseError
from misocoin.http.client import HttpClient
from misocoin.peers import dialling
from misocoin.peers.dialling import Remote
from misocoin.primitives.block import block_from_bytes
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from tests.fakes.core_rest import CoreRest
from tests.unit.peers.rig import LIMITS, Rig, wait_for

PATIENT = replace(LIMITS, headers_seconds=30, block_seconds=30)


@pytest.fixture(scope="module")
def source() -> Iterator[Rig]:
    made = Rig()
    made.mine(40)
    yield made
    made.close()


@pytest.fixture
def core(source: Rig) -> CoreRest:
    return CoreRest(source.chain)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig(limits=PATIENT)
    yield made
    made.close()


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient()
    yield made
    made.close()


def payment(number: int) -> Transaction:
    point = OutPoint(number.to_bytes(36, "big"))
    txin = TxIn(point, b"", witness=(b"\1",))
    return Transaction.build(2, [txin], [TxOut(1, b"")])


def sync(rig: Rig, core: CoreRest, host: str = "127.0.0.1") -> None:
    """Take the chain over."""
    with core.serve(host) as address:
        rig.manager.add_node(address)
        wait_for(lambda: rig.chain.tip is rig.chain.best_header and rig.chain.tip.height >= 40)
        (peer,) = wait_for(rig.manager.peers)
        assert (peer.is_rest_only, peer.score) == (True, 0)
        rig.manager.remove_node(address)
    assert rig.chain.tip.hash == core.chain.tip.hash
    assert not rig.manager.banned()


@pytest.mark.parametrize(
    "release",
    [
        {},
        {"has_old_headers": False},
        {"has_queries": False, "lists_ids": False},
        {"lists_ids": False},
        {"closes": True},
        {"is_rude": True},
    ],
    ids=["29", "without the deprecated path", "23", "24", "connections closed", "without a word"],
)
def test_the_chain_of_any_release(rig: Rig, core: CoreRest, release: dict[str, bool]) -> None:
    for name, value in release.items():
        setattr(core, name, value)
    sync(rig, core)
    assert core.asked[0] == "/peer/hello"
    forms = r"/rest/(chaininfo\.json|headers/.*|block/.*|tx/.*|mempool/contents\.json.*)"
    assert all(re.fullmatch(forms, path) for path in core.asked[1:] if path != "/peer/hello")


def test_over_ipv6(rig: Rig, core: CoreRest) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    sync(rig, core, "::1")


def test_one_that_is_still_starting_is_waited_for(rig: Rig, core: CoreRest) -> None:
    core.is_warming_up = True
    with core.serve() as address:
        rig.manager.add_node(address)
        wait_for(lambda: core.asked.count("/peer/hello") > 1)
        assert not rig.manager.peers()
        core.is_warming_up = False
        wait_for(lambda: rig.chain.tip.hash == core.chain.tip.hash)
    assert not rig.manager.banned()


def test_a_pruned_one_is_left_and_not_banned(
    rig: Rig, core: CoreRest, caplog: pytest.LogCaptureFixture
) -> None:
    """It is of use again when somebody else has brought the blocks that it has not."""
    caplog.set_level(logging.INFO)
    core.pruned_below = 20
    with core.serve() as address:
        rig.manager.add_node(address)
        wait_for(lambda: "it has pruned a block that is missing here" in caplog.text)
        assert not rig.manager.banned()
        for height in range(1, 20):
            node = core.chain.tip.ancestor(height)
            rig.chain.submit_block(block_from_bytes(core.chain.get_block_bytes(node)))
        wait_for(lambda: rig.chain.tip.hash == core.chain.tip.hash)


def test_blocks_that_our_owner_refuses_are_not_held_against_it(
    rig: Rig, source: Rig, core: CoreRest
) -> None:
    with core.serve() as address:
        rig.manager.add_node(address)
        wait_for(lambda: rig.chain.tip.hash == source.chain.tip.hash)
        bad = rig.chain.at_height(30)
        rig.chain.invalidate(bad)
        for _ in range(2):  # the first builds on a block that is known, the second does not
            source.mine()
            path = f"/rest/headers/1/{source.chain.tip.header.hash_hex}.bin"
            wait_for(lambda path=path: path in core.asked)
        (peer,) = rig.manager.peers()
        assert (peer.score, peer.height) == (0, 29)
        rig.chain.reconsider(bad)
        wait_for(lambda: rig.chain.tip.hash == source.chain.tip.hash)
        (peer,) = rig.manager.peers()
        assert (peer.score, peer.height) == (0, source.chain.height)
    assert not rig.manager.banned()


def test_one_without_rest_is_told_so(
    rig: Rig, core: CoreRest, caplog: pytest.LogCaptureFixture
) -> None:
    core.has_rest = False
    with core.serve() as address:
        rig.manager.add_node(address)
        wait_for(lambda: "(a bitcoind needs -rest)" in caplog.text)
        rig.manager.remove_node(address)
    assert not rig.manager.banned()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("signet", r" \(signet\)"),
        ("a name much longer than any", ""),
        ("\x1b[2J", ""),
        (None, ""),
        (5, ""),
    ],
)
def test_one_of_another_chain_is_told_so(
    rig: Rig, core: CoreRest, caplog: pytest.LogCaptureFixture, name: object, told: str
) -> None:
    core.chain_name, core.has_genesis = name, False
    with core.serve() as address:
        rig.manager.add_node(address)
        wait_for(
            lambda: re.search(
                f"no link with {address.text}: another chain{told}$", caplog.text, re.M
            )
        )
        rig.manager.remove_node(address)
    assert not rig.manager.banned()


@pytest.mark.parametrize("lists_ids", [True, False])
def test_its_mempool(core: CoreRest, client: HttpClient, lists_ids: bool) -> None:
    made = [payment(number) for number in range(3)]
    core.pool = {tx.txid_hex: tx for tx in made}
    core.lists_ids = lists_ids
    with core.serve() as address:
        pool = Remote(client, address, LIMITS).pool()
    names = [tx.txid if lists_ids else tx.wtxid for tx in made]
    assert pool == dict(zip(names, [tx.txid for tx in made], strict=True))


def test_a_mempool_that_is_too_long_is_not_followed(
    core: CoreRest, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialling, "MAX_POOL", 100)
    core.pool = {tx.txid_hex: tx for tx in map(payment, range(3))}
    with core.serve() as address:
        assert Remote(client, address, LIMITS).pool() == {}


@pytest.mark.parametrize(
    "listing", [3, ["x"], ["ab " * 21 + "a"], {"x": {}}, {"ab" * 32: {"wtxid": 5}}]
)
def test_a_listing_that_is_none(
    core: CoreRest, client: HttpClient, monkeypatch: pytest.MonkeyPatch, listing: object
) -> None:
    monkeypatch.setattr(CoreRest, "_listing", lambda *_: listing)
    with core.serve() as address, pytest.raises(ParseError):
        Remote(client, address, LIMITS).pool()
