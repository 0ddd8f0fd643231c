"""What must always hold of a market: money, bids, trades; and every parser under any bytes."""

import json
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from misocoin.errors import ConfigError, MisocoinError
from misocoin.market.articles import articles_from_text
from misocoin.market.audit import audit
from misocoin.market.bids import (
    Bid,
    BidState,
    BidType,
    Versions,
    bid_request_from_form,
    calculate_fee,
)
from misocoin.market.checkers import CHECKERS, is_hashcash_result
from misocoin.market.chunks import (
    MAX_CHUNK,
    MIN_CHUNK,
    SyncInfo,
    bits_from_wishes,
    bytes_from_chunk_list,
    chunk_list_from_bytes,
    chunks_of,
    info_of,
    join_wanted,
    json_from_sync_info,
    number_from_zigzag,
    shuffled,
    split_wanted,
    sync_info_from_json,
    wishes_from_bits,
    zigzag,
)
from misocoin.market.disputes import bytes_from_proof, proof_from_bytes
from misocoin.market.documents import check_participant, check_signed, escape
from misocoin.market.errors import Malformed, MarketError
from misocoin.market.ledger import (
    Balance,
    Movement,
    apply_movement,
    bid_movements,
    check_movement,
    expiry_movements,
    match_movements,
    settlement_movements,
    totals_of,
)
from misocoin.market.matching import deal_of, find_counterpart
from misocoin.market.moments import Moment, moment_from_text, text_from_moment
from misocoin.market.parcels import (
    receipt_from_bytes,
    result_parcel_from_bytes,
    work_parcel_from_bytes,
)
from misocoin.market.pow_work import MAX_BITS, nonce_from_result, work_from_puzzle
from misocoin.market.queries import Queries
from misocoin.market.receipts import crypt_result, seal, unseal
from misocoin.market.trade import Outcome, message_from_form, trade_of
from misocoin.market.wire import account_from_json, bid_from_json, trade_from_json
from misocoin.market.workers.pow import stamp_puzzle_from_work
from misocoin.pow.puzzles import BASE64_DIGITS, HEX_DIGITS, HashcashPuzzle, StampDigest
from tests.unit.market.builders import BUYER, NOW, SELLER, STRANGER, make_bid, terms
from tests.unit.market.rig import Rig

# -- the rules alone ---------------------------------------------------------------------------

PRICES = st.integers(0, 40)
GROUPS = ("", "11" * 32, "22" * 32)


@st.composite
def bid_lists(draw):
    """Bids in the order of their coming; some of version 2, with bonds and groups."""
    made: list[Bid] = []
    for order in range(1, draw(st.integers(2, 16)) + 1):
        kind = draw(st.sampled_from(BidType))
        who = draw(st.sampled_from(["a", "b", "c", "d"]))
        more = {}
        if draw(st.booleans()):
            group = draw(st.sampled_from(GROUPS)) if kind is BidType.BUY else ""
            agree = draw(st.integers(1, 3)) if group or kind is BidType.SELL else 0
            or_old = not group and draw(st.booleans())
            more["terms"] = terms(draw(st.integers(0, 5)), group, agree, or_old)
        made.append(make_bid(kind, draw(PRICES), order, participant=who, **more))
    return made


class Played(NamedTuple):
    """What became of a list of bids."""

    pairs: list[tuple[Bid, Bid]]
    movements: list[Movement]
    open_bids: list[Bid]


def play(bids: list[Bid]) -> Played:
    """Bring the bids in one by one, as the server does, without any store."""
    placed: list[Bid] = []
    pairs: list[tuple[Bid, Bid]] = []
    movements: list[Movement] = []
    for bid in bids:
        movements += bid_movements(bid)

        def sellers(buy: Bid) -> set[str]:
            if buy.terms is None or not buy.terms.group:
                return set()
            return {
                sell.participant
                for other, sell in pairs
                if other.terms
                and other.terms.group == buy.terms.group
                and other.participant == buy.participant
            }

        other = find_counterpart(bid, placed, bid.created, sellers)
        if other is None:
            placed.append(bid)
            continue
        placed.remove(other)
        buy, sell = (bid, other) if bid.type is BidType.BUY else (other, bid)
        movements += match_movements(buy, sell, deal_of(buy, sell), f"t{len(pairs)}")
        pairs.append((buy, sell))
    return Played(pairs, movements, placed)


@given(bid_lists())
def test_who_meets_whom(bids):
    played = play(bids)
    used = Counter(bid.key for pair in played.pairs for bid in pair)
    assert set(used.values()) <= {1}, "no two trades share a bid"
    assert len(used) + len(played.open_bids) == len(bids)
    groups = Counter()
    for buy, sell in played.pairs:
        deal = deal_of(buy, sell)
        older = buy if buy.order < sell.order else sell
        assert (deal.price, deal.fee) == (older.price.amount, older.fee)
        assert sell.price.amount <= deal.price <= buy.price.amount
        assert deal.price + deal.fee + deal.bond <= buy.reserved
        assert deal.bond <= sell.bond
        common = buy.versions & sell.versions
        assert common, "both sides know a version of the trade"
        assert trade_of("t", buy, sell, NOW).version == max(common.numbers)
        if buy.terms and buy.terms.group:
            assert buy.participant != sell.participant
            groups[buy.participant, buy.terms.group, sell.participant] += 1
    assert set(groups.values()) <= {1}, "a group has a seller once"
    plain = [bid for bid in played.open_bids if Versions.OLD in bid.versions and not bid.bond]
    buys = [bid.price.amount for bid in plain if bid.type is BidType.BUY]
    sells = [bid.price.amount for bid in plain if bid.type is BidType.SELL]
    assert not buys or not sells or max(buys) < min(sells), "nobody who fits is left waiting"


@given(bid_lists(), st.data())
def test_money_is_never_made_or_lost(bids, data):
    played = play(bids)
    movements = list(played.movements)
    for bid in played.open_bids:
        movements += expiry_movements(bid)
    fees = 0
    for number, (buy, sell) in enumerate(played.pairs):
        trade = trade_of(f"t{number}", buy, sell, NOW)
        outcome = data.draw(st.sampled_from(Outcome))
        movements += settlement_movements(trade, outcome)
        fees += trade.fee if outcome in (Outcome.PAID, Outcome.BUYER_LIED) else 0
    start = {name: Balance(10_000, 0) for name in "abcd"}
    balances = dict(start)
    for movement in movements:
        check_movement(movement)
        balances |= apply_movement(balances, movement)
    assert all(balance.blocked == 0 for balance in balances.values()), "all that was put up is free"
    assert sum(balance.available for balance in balances.values()) == 40_000 - fees
    for totals in totals_of(movements).values():
        assert sum(totals) == 0
        assert (totals.fee, totals.world) == (fees, 0)


@given(st.integers(0, 1 << 60))
def test_the_fee_is_three_percent_rounded_up(price):
    assert 0 <= calculate_fee(price) * 100 - price * 3 < 100


# -- a whole market ----------------------------------------------------------------------------

PEOPLE = (BUYER, SELLER, STRANGER)
SAYINGS = ("acceptresult", "rejectresult", "rejectwork", "workerurl", "work", "deliver")
ACTIONS = st.one_of(
    st.tuples(
        st.just("bid"),
        st.sampled_from(BidType),
        st.sampled_from(PEOPLE),
        st.integers(0, 3000),
        st.sampled_from(["1", "2", "both"]),
    ),
    st.tuples(st.just("say"), st.sampled_from(SAYINGS), st.sampled_from(PEOPLE), st.integers(0, 9)),
    st.tuples(st.just("cancel"), st.sampled_from(PEOPLE), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.integers(1, 700)),
)


@given(st.lists(ACTIONS, min_size=5, max_size=30))
@settings(max_examples=25)
def test_whatever_people_do_the_audit_balances(actions):
    rig = Rig()
    for who in PEOPLE:
        rig.give(who, "uMISO 50")
    bids: list[str] = []
    trades: list[str] = []
    for action in actions:
        with suppress(MarketError):
            do(rig, action, bids, trades)
        found = audit(rig.database, None)
        assert found.is_right, found.faults
    rig.pass_time(3600)
    for _ in range(3):
        rig.pass_time(1)
    assert all(rig.holds(who)[1] == 0 for who in PEOPLE), "every bid and trade has ended"
    outcomes = Counter()
    with rig.database.read() as connection:
        for kind, trade in connection.exec_driver_sql("SELECT type, trade FROM market_movements"):
            outcomes[kind, trade] += kind in ("TRANSACTION_FINISH", "TRANSACTION_REIMBURSE")
    ended = Counter(trade for (kind, trade), times in outcomes.items() if times)
    assert set(ended.values()) <= {1}, "a trade has one outcome"
    assert audit(rig.database, None).is_right
    rig.close()


def do(rig: Rig, action: tuple, bids: list[str], trades: list[str]) -> None:
    match action:
        case ("bid", kind, who, price, version):
            before = Queries(rig.database, rig.now).open_bids(100)
            extras = {} if version == "1" else {"version": version, "transitkey": "ab" * 32}
            extras |= {"bond": "satoshi 5"} if version == "2" else {}
            key = rig.bid(who, type=kind.name, price=f"satoshi {price}", **extras)
            bids.append(key)
            bid = rig.book.get_bid(key)
            other = find_counterpart(bid, before, rig.now())
            met = other and rig.book.get_bid(other.key).transaction
            assert bid.transaction == met, "the store finds what the rules say"
            if bid.state is BidState.MATCHED:
                trades.append(str(bid.transaction))
        case ("cancel", who, number) if bids:
            rig.cancel(who, bids[number % len(bids)])
        case ("say", "deliver", _, number) if trades:
            trade = rig.book.get_trade(trades[number % len(trades)])
            people = {who.address: who for who in PEOPLE}
            rig.deliver(people[trade.buyer], people[trade.seller], trade.key)
        case ("say", "workerurl", who, number) if trades:
            rig.say(who, trades[number % len(trades)], workerurl="http://127.0.0.1:1/")
        case ("say", "work", who, number) if trades:
            hashes = {"workhash": "00" * 32, "worksecrethash": "00" * 32}
            rig.say(who, trades[number % len(trades)], **hashes)
        case ("say", word, who, number) if trades:
            rig.say(who, trades[number % len(trades)], **{word: "on"})
        case ("wait", seconds):
            rig.pass_time(seconds)


# -- parsers -----------------------------------------------------------------------------------

FORMS = st.dictionaries(
    st.sampled_from(
        ["article", "type", "price", "address", "nonce", "signature", "version", "bond", "agree",
         "group", "transitkey", "txid", "workhash"]
    ),
    st.sampled_from(["BUY", "SELL", "2", "MISO 1", "ab" * 32, "00" * 16, BUYER.address, "foobar"])
    | st.text(max_size=80),
)  # fmt: skip
JSON_TEXT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Chunks", "Perm", "Key", "Size", "Price", "Type", "Available", "target"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.binary(max_size=300) | JSON_TEXT.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_parse_or_are_refused(data):
    for parse in (
        sync_info_from_json,
        chunk_list_from_bytes,
        number_from_zigzag,
        proof_from_bytes,
        work_parcel_from_bytes,
        result_parcel_from_bytes,
        receipt_from_bytes,
        lambda data: bid_from_json(data, "k"),
        lambda data: trade_from_json(data, "k"),
        account_from_json,
        lambda data: unseal(data, bytes(32)),
        lambda data: split_wanted(data, [(bytes(32), 3)]),
        lambda data: wishes_from_bits(data, 9),
        *(lambda data, check=check: check(data, data) for check in CHECKERS.values()),
    ):
        try:
            parse(data)
        except MarketError:
            continue


@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused(text):
    for parse in (moment_from_text, articles_from_text):
        try:
            parse(text)
        except (MarketError, ConfigError):
            continue
    for check in (
        lambda: check_participant(text, frozenset({"miso"})),
        lambda: check_signed(BUYER.address, text, "document"),
    ):
        try:
            check()
        except MarketError:
            continue
        raise AssertionError(text)


@given(FORMS)
def test_any_form_parses_or_is_refused(form):
    for parse in (bid_request_from_form, lambda form: message_from_form(form, "t1")):
        try:
            parse(form)
        except MisocoinError:
            continue


@given(st.text(max_size=60))
def test_an_escaped_value_has_no_mark_in_it(text):
    try:
        escaped = escape(text)
    except UnicodeEncodeError:
        return
    assert not set("&= ") & set(escaped)
    assert escaped.isascii()


# -- there and back ----------------------------------------------------------------------------


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_numbers_are_read_as_they_were_written(number):
    data = zigzag(number)
    assert number_from_zigzag(data + b"more") == (number, len(data))


@given(st.integers(0, 4_000_000_000_000_000))
def test_times_are_read_as_they_were_written(moment):
    assert moment_from_text(text_from_moment(Moment(moment))) == moment


@given(st.binary(max_size=3_000), st.integers(1, 40))
def test_data_is_cut_and_joined(block, repeats):
    data = block * repeats
    chunks = chunks_of(data)
    assert b"".join(chunks) == data
    assert all(MIN_CHUNK <= len(chunk) <= MAX_CHUNK for chunk in chunks[:-1])
    if len(chunks) > 1:
        assert chunks_of(data[len(chunks[0]) :]) == chunks[1:], "a cut depends on what follows only"
    if data:
        info = info_of(chunks)
        assert chunk_list_from_bytes(bytes_from_chunk_list(info)) == info
        assert split_wanted(join_wanted(chunks), info) == chunks


@given(st.lists(st.integers(0, 9), max_size=50), st.permutations(range(7)))
def test_a_shuffle_lets_each_item_out_once(items, permutation):
    places = list(shuffled(items, permutation))
    assert len(places) == len(items) + len(permutation) - 1
    assert sorted(place for place in places if place is not None) == sorted(items)
    wishes = [place is not None for place in places]
    assert wishes_from_bits(bits_from_wishes(wishes), len(wishes)) == wishes


@given(
    st.builds(
        HashcashPuzzle,
        st.text(st.characters(codec="utf-8"), max_size=256).map(str.encode),
        st.text(st.characters(codec="utf-8"), max_size=256).map(str.encode),
        st.integers(1, 10),
        st.integers(0, MAX_BITS),
        st.sampled_from(StampDigest),
        st.sampled_from([BASE64_DIGITS, HEX_DIGITS, b"01"]),
    ),
    st.data(),
)
def test_a_stamp_that_is_sold_is_the_one_that_was_searched(puzzle, data):
    nonce = data.draw(st.integers(0, puzzle.space - 1))
    work = work_from_puzzle(puzzle)
    assert stamp_puzzle_from_work(work) == puzzle
    stamp = puzzle.message(nonce)
    assert nonce_from_result(puzzle, stamp) == nonce
    assert is_hashcash_result(work, stamp) == puzzle.is_solution(nonce)


@given(st.permutations(range(5)))
def test_a_list_of_chunks_is_read_as_it_was_written(permutation):
    info = SyncInfo(info_of([b"a" * 200, b"b"]), tuple(permutation))
    assert sync_info_from_json(json_from_sync_info(info)) == info


@given(st.binary(max_size=100), st.binary(min_size=32, max_size=32))
def test_results_come_back(data, key):
    assert crypt_result(crypt_result(data, key), key) == data
    assert unseal(seal(data, key, bytes(12)), key) == data
    assert proof_from_bytes(bytes_from_proof(data, key)) == (data, key)


@given(st.binary(max_size=60), st.integers(0, 10_000))
def test_a_flipped_bit_is_noticed(data, place):
    sealed = bytearray(seal(data, bytes(32), bytes(12)))
    sealed[place % len(sealed)] ^= 1 << place % 8
    try:
        unseal(bytes(sealed), bytes(32))
    except MarketError:
        return
    raise AssertionError("it opened")


def test_work_that_is_none_is_nobodys_fault():
    try:
        is_hashcash_result(b"{}", b"stamp")
    except Malformed:
        return
    raise AssertionError
