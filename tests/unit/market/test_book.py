"""Bids and trades on a real store: what the rules say happens to the money."""

from contextlib import closing, suppress
from threading import Thread

import pytest

from misocoin.errors import AmountError
from misocoin.market.articles import articles_from_text
from misocoin.market.audit import audit
from misocoin.market.bids import BidState
from misocoin.market.errors import Malformed, MarketError, NotAllowed, NotPaidFor, TooLate, Unknown
from misocoin.market.nonces import expiry_of
from misocoin.market.trade import Phase
from tests.unit.market.builders import BUYER, SELLER, STRANGER
from tests.unit.market.rig import Rig


def make_rig(where: str = "") -> Rig:
    """A book, where a test wants it."""
    return Rig(where)


@pytest.fixture
def rig():
    with closing(make_rig()) as rig:
        yield rig


def test_a_purchase_pays_the_seller_and_the_fee(rig):
    rig.give(BUYER, "MISO 1")
    sell = rig.sell(SELLER, "mMISO 1")
    buy = rig.buy(BUYER, "mMISO 2")
    trade = rig.trade_of(buy)
    assert trade == rig.trade_of(sell)
    assert (trade.price.amount, trade.fee) == (100_000, 3_000)
    assert rig.holds(BUYER) == (100_000_000 - 103_000, 103_000)
    rig.deliver(BUYER, SELLER, trade.key)
    rig.say(BUYER, trade.key, acceptresult="on")
    assert rig.holds(BUYER) == (100_000_000 - 103_000, 0)
    assert rig.holds(SELLER) == (100_000, 0)


def test_the_older_bid_sets_the_price(rig):
    rig.give(BUYER, "MISO 1")
    rig.buy(BUYER, "mMISO 2")
    assert rig.trade_of(rig.sell(SELLER, "mMISO 1")).price.amount == 200_000
    rig.sell(SELLER, "mMISO 1")
    assert rig.trade_of(rig.buy(BUYER, "mMISO 2")).price.amount == 100_000


def test_the_best_and_then_the_first_bid_is_taken(rig):
    rig.give(BUYER, "MISO 1")
    dear, cheap, late = (rig.sell(SELLER, price) for price in ("mMISO 2", "mMISO 1", "mMISO 1"))
    first = rig.trade_of(rig.buy(BUYER, "mMISO 3"))
    second = rig.trade_of(rig.buy(BUYER, "mMISO 3"))
    assert (first.seller_bid, second.seller_bid) == (cheap, late)
    assert rig.book.get_bid(dear).state is BidState.PLACED
    assert rig.book.get_bid(rig.buy(BUYER, "mMISO 1")).state is BidState.PLACED


def test_what_can_not_meet(rig):
    rig.give(BUYER, "MISO 1")
    rig.sell(SELLER, "mMISO 1", article="snafu")
    rig.sell(SELLER, "mMISO 1", version="2", transitkey="ab" * 32)
    rig.sell(STRANGER, "EUR 0")
    assert rig.book.get_bid(rig.buy(BUYER, "mMISO 3")).state is BidState.PLACED


def test_a_bid_that_meets_nobody_expires_and_is_refunded(rig):
    rig.give(BUYER, "mMISO 2.06")
    buy = rig.buy(BUYER, "mMISO 2")
    assert rig.holds(BUYER) == (0, 206_000)
    rig.pass_time(119)
    assert rig.book.get_bid(buy).state is BidState.PLACED
    rig.pass_time(1)
    assert rig.book.get_bid(buy).state is BidState.EXPIRED
    assert rig.holds(BUYER) == (206_000, 0)
    assert rig.book.get_bid(rig.sell(SELLER, "mMISO 1")).state is BidState.PLACED


def test_a_bid_can_be_taken_back(rig):
    rig.give(BUYER, "MISO 1")
    bid = rig.buy(BUYER, "mMISO 1")
    with pytest.raises(NotAllowed, match="only who has placed"):
        rig.cancel(SELLER, bid)
    other = rig.buy(BUYER, "mMISO 1")
    form = {**BUYER.cancel_form(bid), "signature": BUYER.cancel_form(other)["signature"]}
    with pytest.raises(NotAllowed):
        rig.book.cancel_bid(bid, form)
    for broken in ({}, {"cancel": "on"}, {**form, "cancel": "off"}, {**form, "more": "1"}):
        with pytest.raises(Malformed):
            rig.book.cancel_bid(bid, broken)
    with pytest.raises(Unknown):
        rig.cancel(BUYER, bid + "0")
    assert rig.holds(BUYER)[1] == 206_000
    rig.pass_time(10)
    for _ in range(2):
        rig.cancel(BUYER, bid)
        assert rig.holds(BUYER)[1] == 103_000
    assert rig.book.get_bid(bid).state is BidState.EXPIRED
    assert rig.book.get_bid(bid).expires == rig.now()
    rig.sell(SELLER, "mMISO 1")
    assert rig.book.get_bid(other).state is BidState.MATCHED
    with pytest.raises(TooLate, match="has been matched"):
        rig.cancel(BUYER, other)


def test_a_bid_is_taken_back_or_matched_and_never_both(rig):
    rig.give(BUYER, "MISO 1")
    for _ in range(8):
        bid = rig.buy(BUYER, "mMISO 1")
        offers: list[str] = []
        sell = Thread(target=lambda: offers.append(rig.sell(SELLER, "mMISO 1")))  # noqa: B023
        sell.start()
        with suppress(TooLate):
            rig.cancel(BUYER, bid)
        sell.join(60)
        states = [rig.book.get_bid(key).state for key in (bid, *offers)]
        if states == [BidState.EXPIRED, BidState.PLACED]:
            rig.cancel(SELLER, offers[0])
        else:
            assert states == [BidState.MATCHED, BidState.MATCHED]
            rig.say(BUYER, rig.trade_of(bid).key, acceptresult="on")
        assert rig.holds(BUYER)[1] == 0
        assert audit(rig.database, None).is_right


def test_free_trades_need_no_money(rig):
    rig.sell(SELLER, "MISO 0")
    trade = rig.trade_of(rig.buy(BUYER, "MISO 0"))
    rig.deliver(BUYER, SELLER, trade.key)
    assert rig.say(BUYER, trade.key, acceptresult="on").phase is Phase.FINISHED


def test_one_may_trade_with_oneself_in_version_1(rig):
    rig.give(BUYER, "MISO 1")
    rig.sell(BUYER, "mMISO 1")
    trade = rig.trade_of(rig.buy(BUYER, "mMISO 1"))
    rig.deliver(BUYER, BUYER, trade.key)
    rig.say(BUYER, trade.key, acceptresult="on")
    assert rig.holds(BUYER) == (100_000_000 - 3_000, 0)


@pytest.mark.parametrize("phase", [Phase.ESTABLISHING, Phase.UNVERIFIED])
def test_a_trade_left_alone_ends(rig, phase):
    rig.give(BUYER, "MISO 1")
    rig.sell(SELLER, "mMISO 1")
    trade = rig.trade_of(rig.buy(BUYER, "mMISO 1"))
    if phase is Phase.UNVERIFIED:
        rig.deliver(BUYER, SELLER, trade.key)
    rig.pass_time(24 * 60)
    assert rig.holds(SELLER) == ((100_000, 0) if phase is Phase.UNVERIFIED else (0, 0))
    assert rig.holds(BUYER)[1] == 0
    with pytest.raises(TooLate, match="no longer active"):
        rig.say(BUYER, trade.key, acceptresult="on")


def test_an_article_may_take_its_time():
    text = "[[article]]\nname = 'foobar'\nbid = 1\nestablish = 2\nverify = 7"
    with closing(Rig(articles=articles_from_text(text))) as rig:
        unmet = rig.sell(SELLER, "MISO 0")
        rig.pass_time(1)
        assert rig.book.get_bid(unmet).state is BidState.EXPIRED
        rig.sell(SELLER, "MISO 0")
        trade = rig.trade_of(rig.buy(BUYER, "MISO 0"))
        assert trade.timeout - rig.time == 2_000_000
        assert rig.deliver(BUYER, SELLER, trade.key).timeout - rig.time == (2 + 120 + 300 + 7) * (
            1_000_000
        )


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "complaint"),
    [
        ({"article": "nothing/such"}, Unknown, "not traded"),
        ({"article": "x" * 2000}, Unknown, "not traded"),
        ({"type": "buy"}, Malformed, "BUY or SELL"),
        ({"type": "2"}, Malformed, "BUY or SELL"),
        ({"price": "1"}, AmountError, "not an amount"),
        ({"price": "mMISO -1"}, Malformed, "negative"),
        ({"price": "DOGE 1"}, AmountError, "unit"),
        ({"price": "satoshi 0.1"}, AmountError, "finer"),
        ({"price": "MISO 99999999"}, NotPaidFor, "Insufficient"),
        ({"price": "MISO 46116860184"}, Malformed, "too high"),
        ({"price": "MISO 999999999999"}, AmountError, "too much"),
        ({"price": "mMISO 9.71"}, NotPaidFor, "Insufficient funds"),
        ({"price": "EUR 1"}, NotAllowed, "holds MISO"),
        ({"address": "nobody"}, Malformed, "participant"),
        ({"address": "1BitcoinEaterAddressDontSendf59kuX"}, Malformed, "participant"),
        ({"address": "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"}, Malformed, "participant"),
        ({"address": STRANGER.address}, NotAllowed, "signature"),
        ({"signature": ""}, Malformed, "signature"),
        ({"signature": "AAAA"}, Malformed, "signature"),
        ({"signature": "é" * 88}, Malformed, "signature"),
        ({"signature": "A" * 87 + "="}, NotAllowed, "signature"),
        ({"more": "1"}, Malformed, "Unexpected argument"),
        ({"bond": "MISO 1"}, Malformed, "version=2"),
        ({"version": "3"}, Malformed, "version"),
        ({"version": "2"}, Malformed, "transitkey"),
        ({"version": "2", "transitkey": "ab" * 32, "bond": "EUR 1"}, Malformed, "bond"),
        ({"version": "2", "transitkey": "ab" * 32, "group": "1"}, Malformed, "group"),
        ({"version": "2", "transitkey": "ab" * 32, "agree": "2"}, Malformed, "together"),
        ({"version": "2", "transitkey": "ab" * 32, "agree": "99"}, Malformed, "agree"),
    ],
)  # fmt: skip
def test_bad_bids_are_refused_and_change_nothing(rig, change, error, complaint):
    rig.give(BUYER, "mMISO 10")
    sell = rig.sell(SELLER, "mMISO 1")
    signed = {name: text for name, text in change.items() if name not in ("signature", "address")}
    form = BUYER.bid_form(nonce=rig.book.new_nonce(), **{"price": "mMISO 1", **signed}) | change
    before = rig.everything()
    with pytest.raises(error, match=complaint):
        rig.book.place_bid(form)
    assert rig.everything() == before
    assert rig.book.get_bid(sell).state is BidState.PLACED
    with pytest.raises(TooLate, match="nonce"):
        rig.bid(BUYER, price="mMISO 1", nonce_again=form["nonce"])


@pytest.mark.parametrize("missing", ["article", "type", "price", "address", "nonce", "signature"])
def test_a_bid_needs_all_its_fields(rig, missing):
    form = BUYER.bid_form(nonce=rig.book.new_nonce())
    with pytest.raises(MarketError):
        rig.book.place_bid({name: text for name, text in form.items() if name != missing})


def test_a_nonce_serves_once(rig):
    form = SELLER.bid_form(type="SELL", nonce=rig.book.new_nonce())
    rig.book.place_bid(form)
    with pytest.raises(TooLate, match="nonce"):
        rig.book.place_bid(form)


def test_a_nonce_has_one_form(rig):
    nonce = rig.book.new_nonce()
    assert expiry_of(rig.database.secret, nonce) > rig.time
    for other in (nonce.upper(), f"{nonce[:16]} {nonce[16:]}", nonce[:-1], nonce + "00", "é"):
        assert expiry_of(rig.database.secret, other) == 0 or other == nonce


def test_a_nonce_must_come_from_here_and_in_time(rig):
    made_up = SELLER.bid_form(type="SELL", nonce="00" * 16)
    with pytest.raises(TooLate, match="nonce"):
        rig.book.place_bid(made_up)
    old = SELLER.bid_form(type="SELL", nonce=rig.book.new_nonce())
    rig.pass_time(181)
    with pytest.raises(TooLate, match="nonce"):
        rig.book.place_bid(old)


def test_unknown_keys(rig):
    for key in ("", "b1", "t1-00", "x" * 1000, "b99-" + rig.database.tag, "%00"):
        with pytest.raises(Unknown):
            rig.book.get_bid(key)
        with pytest.raises(Unknown):
            rig.book.get_trade(key)
        with pytest.raises(Unknown):
            rig.bank.movement(key)
        with pytest.raises(Unknown):
            rig.book.send_message(key, BUYER.message_form(key, acceptresult="on"), None)


def test_messages_from_strangers_change_nothing(rig):
    rig.give(BUYER, "MISO 1")
    rig.sell(SELLER, "mMISO 1")
    trade = rig.trade_of(rig.buy(BUYER, "mMISO 1"))
    before = rig.everything()
    for who in (STRANGER, SELLER):
        with pytest.raises(NotAllowed):
            rig.say(who, trade.key, acceptresult="on")
    assert rig.everything() == before


def test_articles_for_trusted_sellers(rig):
    with pytest.raises(NotAllowed, match="trusted sellers"):
        rig.sell(SELLER, "MISO 0", article="foobar~trusted")
    rig.relate("trusts", SELLER)
    key = rig.sell(SELLER, "MISO 0", article="foobar~trusted")
    assert rig.book.get_bid(key).article == "foobar~trusted"
    rig.relate("trusts", SELLER, enabled="false")
    with pytest.raises(NotAllowed, match="trusted sellers"):
        rig.sell(SELLER, "MISO 0", article="foobar~trusted")


def test_a_bond_is_put_up_by_both_and_comes_back(rig):
    rig.give(BUYER, "MISO 1")
    rig.give(SELLER, "MISO 1")
    v2 = {"version": "2", "transitkey": "ab" * 32}
    rig.sell(SELLER, "mMISO 1", bond="mMISO 3", **v2)
    trade = rig.trade_of(rig.buy(BUYER, "mMISO 1", bond="mMISO 2", **v2))
    assert trade.bond == 200_000
    assert (rig.holds(BUYER)[1], rig.holds(SELLER)[1]) == (303_000, 200_000)
    rig.pass_time(61)
    assert (rig.holds(BUYER), rig.holds(SELLER)) == ((100_000_000, 0), (100_000_000, 0))
    with pytest.raises(NotPaidFor):
        rig.sell(STRANGER, "mMISO 1", bond="mMISO 3", **v2)
    rig.sell(SELLER, "mMISO 1", bond="mMISO 1", **v2)
    unmet = rig.buy(BUYER, "mMISO 1", bond="mMISO 2", **v2)
    assert rig.book.get_bid(unmet).state is BidState.PLACED
