"""The client's parts that need no other side: mandates, journal, files, forms, its key."""

import gzip
import stat
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import MisocoinError, StoreError
from misocoin.http.client import HttpResponse
from misocoin.market.articles import articles_from_text
from misocoin.market.bids import BidType, Versions
from misocoin.market.checkers import CHECKERS
from misocoin.market.client.activities import Activities, Activity
from misocoin.market.client.boxes import Box, Pulse
from misocoin.market.client.calls import Refused
from misocoin.market.client.checking import Checking
from misocoin.market.client.doors import Call, ChunkMemory, OldDoor, ParcelDoor
from misocoin.market.client.files import ContentStore
from misocoin.market.client.follow import Failed, Follower
from misocoin.market.client.identity import KEY_FILE, load_identity
from misocoin.market.client.journal import Journal
from misocoin.market.client.mandates import (
    find_mandate,
    form_from_mandate,
    mandate_from_form,
    mandate_from_journal,
)
from misocoin.market.client.multipart import form_with_files, parts_from_form, plain_body
from misocoin.market.client.placing import Offer, form_from_bid, place_sale, sale_from_journal
from misocoin.market.documents import upload_document
from misocoin.market.errors import Malformed, MarketError, NotAllowed, TooLarge
from misocoin.market.moments import MINUTE, Moment
from misocoin.market.money import Money
from misocoin.market.parcels import Slot
from misocoin.market.receipts import seal, sha256_hex, transit_key, transit_public_key
from misocoin.market.trade import trade_of
from tests.shared import shared_file
from tests.unit.market.builders import BUYER, NOW, make_bid, terms
from tests.unit.market.builders import SELLER as SELLING
from tests.unit.market.capture import SELLER, answers, requests

FORM = {"type": "BUY", "articleid": "foobar", "price": "mMISO 2"}


def test_neither_box_is_one_trade():
    mandate = mandate_from_form(FORM, "k", NOW)
    assert (mandate.trades_left, mandate.until) == (1, None)
    assert mandate.allows(BidType.BUY, "foobar", NOW)
    assert not mandate.allows(BidType.SELL, "foobar", NOW)
    assert not mandate.allows(BidType.BUY, "snafu", NOW)
    assert mandate.used().is_over(NOW)
    assert not mandate.used().allows(BidType.BUY, "foobar", NOW)


def test_a_mandate_ends_with_its_minutes():
    form = {**FORM, "usevaliduntil": "on", "validminutes": "3"}
    mandate = mandate_from_form(form, "k", NOW)
    last, over = Moment(NOW + 3 * MINUTE - 1), Moment(NOW + 3 * MINUTE)
    assert mandate.used() is mandate
    assert find_mandate([mandate], BidType.BUY, "foobar", last) is mandate
    assert find_mandate([mandate], BidType.BUY, "foobar", over) is None
    assert mandate_from_journal("k", form_from_mandate(mandate)) == mandate


@pytest.mark.parametrize(
    "change",
    [
        {"type": "buy"},
        {"price": "mMISO -2"},
        {"price": "2"},
        {"articleid": ""},
        {"usetradesleft": "on"},
        {"usetradesleft": "on", "tradesleft": "0"},
        {"usevaliduntil": "on", "validminutes": "-1"},
    ],
)
def test_bad_mandates(change):
    with pytest.raises(MisocoinError):
        mandate_from_form({**FORM, **change}, "k", NOW)


def test_a_mandate_is_used_up_over_restarts(tmp_path):
    journal = Journal(tmp_path / "j")
    activities = Activities(journal, lambda: NOW)
    activities.permit({**FORM, "usetradesleft": "on", "tradesleft": "2"})
    first = activities.open("a", BidType.BUY, "foobar")
    assert activities.wait_for_permission(first) == Money(200_000)
    again = Activities(journal, lambda: NOW)
    assert [each.trades_left for each in again.mandates()] == [1]
    again.open("b", BidType.BUY, "foobar")
    assert again.mandates() == []
    waits = again.open("c", BidType.BUY, "foobar")
    assert again.wait_for_permission(waits, seconds=0) is None
    again.forbid("c")
    with pytest.raises(NotAllowed):
        again.wait_for_permission(waits)
    journal.close()


def test_the_journal_changes_all_or_nothing(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.change(("kind", "a", {"n": 1}), ("kind", "b", {"n": 2}))
    journal.change(("kind", "a", {"n": 3}), ("kind", "b", None), ("other", "a", {}))
    with pytest.raises(TypeError):
        journal.change(("kind", "c", {"n": object()}))
    journal.change(("kind", "d", None))
    journal.close()
    journal = Journal(tmp_path / "j")
    assert journal.all("kind") == [("a", {"n": 3})]
    journal.close()
    with pytest.raises(StoreError):
        journal.all("kind")


def test_the_oldest_files_go_and_held_ones_stay(tmp_path):
    store = ContentStore(tmp_path, 250)
    held = store.put(b"h" * 100, held=True)
    old = store.put(b"o" * 100)
    new = store.put(b"n" * 100)
    assert (store.get(old), store.get(new)) == (None, b"n" * 100)
    with pytest.raises(TooLarge):
        store.put(b"x" * 200)
    assert store.get(held) == b"h" * 100
    store.release(held)
    store.put(b"x" * 200)
    assert store.size == 200
    assert ContentStore(tmp_path, 250).size == 200


def test_a_file_that_changed_on_disk_is_not_handed_out(tmp_path):
    store = ContentStore(tmp_path, 1000)
    name = store.put(b"whole")
    (tmp_path / name).write_bytes(b"torn")
    assert store.get(name) is None


def test_the_key_is_made_once_and_is_private(tmp_path):
    first = load_identity(tmp_path)
    path = tmp_path / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_identity(tmp_path).address == first.address
    assert first.address.startswith("1")
    path.write_text("not a key\n")
    with pytest.raises(StoreError, match="typing error"):
        load_identity(tmp_path)


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_a_form_comes_back_as_it_was(work, secret):
    parts = {"work": work, "buyersecret": secret.hex().encode()}
    body, kind = form_with_files(parts.items(), ["work"])
    assert parts_from_form(kind, body) == parts
    assert plain_body(gzip.compress(body), "gzip", len(body)) == body


@given(st.binary(max_size=300), st.sampled_from(["gzip", "identity", "br"]))
def test_any_body_is_read_or_refused(body, encoding):
    kind = "multipart/form-data; boundary=b"
    with suppress(Malformed, TooLarge):
        parts_from_form(kind, plain_body(b"--b\r\n" + body, encoding, 1000))


def test_a_gzip_bomb_is_stopped():
    with pytest.raises(TooLarge):
        plain_body(gzip.compress(bytes(1 << 20)), "gzip", 1000)


def test_a_captured_buyer_is_served_at_our_door():
    """What an unmodified BitWrk client sent to its seller, in chunks, brings the work here too."""
    posts = [each for each in requests(SELLER) if each.start.startswith("POST")]
    work = shared_file("vectors/bitwrk/work.bin").read_bytes()
    door = OldDoor(ChunkMemory(1 << 24), lambda: 10.0)
    door.mailbox.put("result", b"encrypted")
    door.mailbox.put("done", b"1")
    told = {}
    for name in ("syncinfojson", "chunkdata"):
        message = next(each for each in posts if f'"{name}"'.encode() in each.body)
        headers = {"Content-Type": message.fields["content-type"]}
        told[name] = door.answer(Call("POST", "", headers, message.body)).body
    wishlist = next(
        each.body for each in answers(SELLER)
        if each.fields.get("content-type") == "application/x-wishlist"
    )  # fmt: skip
    assert told == {"syncinfojson": wishlist, "chunkdata": b"encrypted"}
    assert (door.mailbox.get("work", 0) or b"")[32:] == work


def test_a_door_of_version_2_takes_parcels_of_its_buyer_alone():
    door = ParcelDoor("t1", BUYER.address)

    def post(who, slot, data):
        signature = who.sign(upload_document(sha256_hex(data), slot, "t1"))
        return door.answer(Call("POST", slot, {"X-Signature": signature}, data)).status

    assert post(BUYER, "work", b"sealed") == post(BUYER, "work", b"sealed") == 204
    with pytest.raises(NotAllowed):
        post(SELLING, "receipt", b"sealed")
    for slot, data in (("work", b"other"), ("result", b"sealed"), ("nothing", b"")):
        with pytest.raises(MarketError):
            post(BUYER, slot, data)
    assert door.answer(Call("GET", "result", {}, b"")).status == 204
    threading.Timer(0.05, door.mailbox.put, ("result", b"for the buyer")).start()
    assert door.answer(Call("GET", "result", {}, b"", 10)).body == b"for the buyer"


# -- what the market tells -----------------------------------------------------------------------


def test_silence_counts_only_while_the_market_answers():
    pulse = Pulse(0)
    assert pulse.silence(5, None) == 5
    assert pulse.silence(10, 2) == 2
    assert pulse.silence(15, 7) == 7
    assert pulse.silence(20, 12) == 12
    # The market was away: nobody could say anything.
    assert pulse.silence(60, 52) == 0
    assert pulse.silence(65, 57) == 5
    assert pulse.silence(70, 1) == 1


@pytest.mark.parametrize(
    ("own", "told", "expected"),
    [
        (None, "bitmessage", "bitmessage"),
        (None, None, None),
        (None, "unheard of", None),
        (None, Refused(404, "no such page"), None),
        ("[[article]]\nname = 'a'\nchecker = 'hashcash'", "bitmessage", "hashcash"),
        ("[[article]]\nname = 'b'", "bitmessage", None),
    ],
)
def test_whose_checker_counts(own, told, expected):
    class Calls:
        asked = 0

        def checker_name(self, _article):
            self.asked += 1
            if isinstance(told, Exception):
                raise told
            return told

    calls = Calls()
    checking = Checking(calls, own and articles_from_text(own))
    for _ in range(2):
        assert checking.checker_of("a") is (CHECKERS[expected] if expected else None)
    assert calls.asked == (0 if own else 2 if isinstance(told, Exception) else 1)


def test_what_ships_is_checked_whatever_the_market_says():
    class Calls:
        def checker_name(self, _article):
            return None

    checking = Checking(Calls())
    assert checking.checker_of("net.misocoin/pow/hashcash/0") is CHECKERS["hashcash"]


@pytest.mark.parametrize(
    ("known", "wanted", "asked"),
    [
        (3, Versions.BOTH, "both"),
        (3, Versions.NEW, "2"),
        (3, Versions.OLD, "1"),
        (1, Versions.BOTH, "1"),
        (1, Versions.NEW, None),
    ],
)
def test_which_version_a_bid_asks_for(known, wanted, asked):
    class Calls:
        def versions(self):
            return Versions(known)

        def place_bid(self, _kind, _article, _price, terms):
            return "1" if terms is None else "both" if terms.or_old else "2"

    activity = Activity("k", BidType.SELL, "a", NOW)
    follower = Follower(Calls(), activity, threading.Event())
    offer = Offer(BidType.SELL, "a", Money(1))
    if asked is None:
        with pytest.raises(Failed, match="version 1 only"):
            place_sale(follower, "w", offer, wanted)
        return
    sale = place_sale(follower, "w", offer, wanted)
    assert sale.bid == asked
    assert sale_from_journal(asked, form_from_bid(sale)) == sale


def test_a_market_that_holds_no_answers_is_not_pressed():
    """One that is overloaded answers at once that there is nothing yet."""
    asked: list[float] = []

    class Http:
        def get(self, _url, headers=None, bounds=None):
            asked.append(time.monotonic())
            return HttpResponse(204 if len(asked) < 4 else 200, {}, sealed)

    class Calls:
        url = "http://market"

        def trade(self, _key, _tag="", _wait=0):
            return trade, "tag"

    buy, sell = (
        make_bid(kind, 1, order, terms=terms()._replace(transit_key=transit_public_key(secret)))
        for order, (kind, secret) in enumerate(
            ((BidType.BUY, b"b" * 32), (BidType.SELL, b"s" * 32))
        )
    )
    trade = replace(trade_of("t", buy, sell, NOW), worker_url="relay")
    key = transit_key(b"b" * 32, transit_public_key(b"s" * 32), "t")
    sealed = seal(b"parcel", key, bytes(12))
    follower = Follower(Calls(), Activity("k", BidType.SELL, "a", NOW), threading.Event())
    box = Box(follower, Http(), trade, b"s" * 32, is_buyer=False)
    assert box.get(Slot.WORK) == b"parcel"
    assert len(asked) == 4
    assert asked[3] - asked[0] > 0.5
