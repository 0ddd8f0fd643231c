"""The table of phases: what may be said, by whom, and what comes of it."""

from dataclasses import replace

import pytest

from misocoin.market.bids import BidType
from misocoin.market.checkers import CHECKERS
from misocoin.market.disputes import bytes_from_proof, check_refuted, proof_from_bytes
from misocoin.market.errors import Malformed, MarketError, NotAllowed, TooLate
from misocoin.market.moments import MINUTE, Moment
from misocoin.market.receipts import (
    receipt_document,
    seal,
    sha256_hex,
    work_secret_hash,
)
from misocoin.market.trade import (
    Outcome,
    Phase,
    Trade,
    TradeState,
    apply_message,
    expire,
    message_from_form,
    outcome_of,
    outvoted,
    refute,
    trade_of,
)
from tests.unit.market.builders import BUYER, NOW, SELLER, STRANGER, make_bid, terms

WORK, RESULT = b"some work", b"its result"
WORK_HASH, SECRET, KEY = sha256_hex(WORK), "5e" * 32, "c0" * 32
ENCRYPTED = seal(RESULT, bytes.fromhex(KEY), bytes(12))
E_HASH = sha256_hex(ENCRYPTED)
URL = "http://10.0.0.9:18092/0fc531cc"


def make_trade(version: int = 1, **changes) -> Trade:
    more = {"terms": terms(50)} if version == 2 else {}
    buy, sell = make_bid(BidType.BUY, 1000, 2, **more), make_bid(BidType.SELL, 900, 1, **more)
    return replace(trade_of("t7", buy, sell, NOW), **changes)


def receipt(version: int, key: str = KEY, trade: str = "t7") -> dict[str, str]:
    document = E_HASH if version == 1 else receipt_document(E_HASH, key, trade)
    result_hash = {} if version == 1 else {"resulthash": sha256_hex(RESULT)}
    return {
        "encresulthash": E_HASH,
        "encresulthashsig": BUYER.sign(document),
        "encresultkey": key,
        **result_hash,
    }


def say(trade, who, now=NOW, caller=None, /, **arguments) -> Trade:
    message = message_from_form(who.message_form(trade.key, **arguments), trade.key)
    return apply_message(trade, message, now, caller)


WORK_SAID = {"workhash": WORK_HASH, "worksecrethash": work_secret_hash(WORK_HASH, SECRET)}


def advance(trade: Trade, phase: Phase) -> Trade:
    """The trade after the usual messages up to a phase."""
    steps = [
        (Phase.BUYER_ESTABLISHED, BUYER, WORK_SAID),
        (Phase.TRANSMITTING, SELLER, {"workerurl": URL}),
        (Phase.WORKING, SELLER, {"buyersecret": SECRET}),
        (Phase.UNVERIFIED, SELLER, receipt(trade.version)),
        (Phase.RESULT_DISPUTED, BUYER, {"rejectresult": "on"}),
    ]
    for reached, who, arguments in steps:
        if trade.phase is phase:
            break
        trade = say(trade, who, **arguments)
        assert trade.phase is reached
    assert trade.phase is phase
    return trade


@pytest.mark.parametrize("version", [1, 2])
def test_the_usual_way(version):
    trade = make_trade(version)
    assert (trade.phase, trade.timeout - NOW) == (Phase.ESTABLISHING, MINUTE)
    trade = say(trade, BUYER, **WORK_SAID)
    assert (trade.phase, trade.timeout - NOW) == (Phase.BUYER_ESTABLISHED, MINUTE)
    trade = say(trade, SELLER, workerurl=URL)
    assert (trade.phase, trade.timeout - NOW) == (Phase.TRANSMITTING, 3 * MINUTE)
    trade = say(trade, SELLER, buyersecret=SECRET)
    assert (trade.phase, trade.timeout - NOW) == (Phase.WORKING, 8 * MINUTE)
    trade = say(trade, SELLER, **receipt(version))
    assert (trade.phase, trade.timeout - NOW) == (Phase.UNVERIFIED, 23 * MINUTE)
    assert trade.result_key == KEY
    trade = say(trade, BUYER, Moment(NOW + 5), acceptresult="on")
    assert (trade.phase, trade.state, trade.revision) == (Phase.FINISHED, TradeState.RETIRED, 6)
    assert trade.timeout == NOW + 5
    assert outcome_of(trade) is Outcome.PAID


def test_the_seller_may_come_first():
    trade = say(make_trade(), SELLER, workerurl=URL)
    assert trade.phase is Phase.SELLER_ESTABLISHED
    assert say(trade, BUYER, **WORK_SAID).phase is Phase.TRANSMITTING


SAYINGS = {
    "work": (BUYER, WORK_SAID),
    "url": (SELLER, {"workerurl": URL}),
    "secret": (SELLER, {"buyersecret": SECRET}),
    "rejectwork": (SELLER, {"rejectwork": "on"}),
    "receipt": (SELLER, None),
    "rejectresult": (BUYER, {"rejectresult": "on"}),
    "acceptresult": (BUYER, {"acceptresult": "on"}),
}
ALLOWED = {
    Phase.ESTABLISHING: {"work", "url", "acceptresult"},
    Phase.BUYER_ESTABLISHED: {"url", "secret", "acceptresult"},
    Phase.SELLER_ESTABLISHED: {"work", "rejectwork", "acceptresult"},
    Phase.TRANSMITTING: {"secret", "rejectwork", "acceptresult"},
    Phase.WORKING: {"receipt", "rejectwork", "acceptresult"},
    Phase.UNVERIFIED: {"rejectresult", "acceptresult"},
    Phase.RESULT_DISPUTED: {"acceptresult"},
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("phase", ALLOWED, ids=lambda phase: phase.value)
def test_what_may_be_said_in_a_phase(version, saying, phase):
    if phase is Phase.SELLER_ESTABLISHED:
        trade = say(make_trade(version), SELLER, workerurl=URL)
    elif phase is Phase.RESULT_DISPUTED and version == 1:
        trade = replace(advance(make_trade(1), Phase.UNVERIFIED), phase=phase)
    else:
        trade = advance(make_trade(version), phase)
    who, arguments = SAYINGS[saying]
    arguments = receipt(version) if arguments is None else arguments
    if saying in ALLOWED[phase]:
        assert say(trade, who, **arguments).revision > trade.revision
    else:
        with pytest.raises(TooLate):
            say(trade, who, **arguments)
    with pytest.raises(NotAllowed):
        say(trade, STRANGER, **arguments)
    with pytest.raises(NotAllowed):
        say(trade, BUYER if who is SELLER else SELLER, **arguments)
    with pytest.raises(TooLate, match="no longer active"):
        say(trade, who, trade.timeout, **arguments)


@pytest.mark.parametrize(
    ("who", "arguments", "complaint"),
    [
        (BUYER, {}, "arguments nothing"),
        (BUYER, {"workhash": WORK_HASH}, "arguments workhash"),
        (BUYER, {**WORK_SAID, "more": "1"}, "arguments more"),
        (BUYER, {**WORK_SAID, "workhash": "AB" * 32}, "64 hex digits"),
        (BUYER, {**WORK_SAID, "worksecrethash": "ab" * 31}, "64 hex digits"),
        (SELLER, {"workerurl": "https://10.0.0.9/"}, "http://"),
        (SELLER, {"workerurl": "http://" + "a" * 250}, "255"),
        (SELLER, {"workerurl": "http://"}, "no address"),
        (SELLER, {"workerurl": "http://[::1"}, "no address"),
        (SELLER, {"workerurl": "http://h:99999/"}, "no address"),
        (SELLER, {"workerurl": "relay"}, "http://"),
    ],
)
def test_malformed_messages_are_refused(who, arguments, complaint):
    with pytest.raises(Malformed, match=complaint):
        say(make_trade(), who, **arguments)


def test_a_message_needs_its_frame():
    form = BUYER.message_form("t7", acceptresult="on")
    for missing in ("address", "signature", "txid"):
        with pytest.raises(Malformed, match=missing):
            message_from_form({k: v for k, v in form.items() if k != missing}, "t7")
    with pytest.raises(Malformed, match="txid"):
        message_from_form(form, "t8")
    with pytest.raises(Malformed, match="512"):
        message_from_form({**form, "acceptresult": "x" * 513}, "t7")


def test_a_message_for_another_trade_is_refused():
    form = BUYER.message_form("t6", acceptresult="on")
    with pytest.raises(NotAllowed, match="signature"):
        apply_message(make_trade(), message_from_form({**form, "txid": "t7"}, "t7"), NOW)


def test_the_worker_must_be_where_the_message_comes_from():
    trade = make_trade()
    with pytest.raises(NotAllowed, match=r"10\.0\.0\.8"):
        say(trade, SELLER, NOW, "10.0.0.8", workerurl=URL)
    assert say(trade, SELLER, NOW, "10.0.0.9", workerurl=URL).worker_url == URL
    assert say(trade, SELLER, NOW, "::ffff:10.0.0.9", workerurl=URL).worker_url == URL
    assert say(make_trade(2), SELLER, NOW, "10.0.0.8", workerurl="relay").worker_url == "relay"


def test_a_wrong_secret_and_a_foreign_receipt_are_refused():
    trade = advance(make_trade(), Phase.TRANSMITTING)
    with pytest.raises(NotAllowed, match="worksecrethash"):
        say(trade, SELLER, buyersecret="00" * 32)
    trade = advance(make_trade(), Phase.WORKING)
    forged = {**receipt(1), "encresulthashsig": SELLER.sign(E_HASH)}
    with pytest.raises(NotAllowed, match="receipt"):
        say(trade, SELLER, **forged)


def test_version_2_binds_a_receipt_to_trade_and_key():
    trade = advance(make_trade(2), Phase.WORKING)
    for other in (receipt(2, trade="t6"), {**receipt(2), "encresultkey": "0c" * 32}):
        with pytest.raises(NotAllowed, match="receipt"):
            say(trade, SELLER, **other)
    old = {**receipt(1), "resulthash": sha256_hex(RESULT)}
    with pytest.raises(NotAllowed, match="receipt"):
        say(trade, SELLER, **old)


def test_rejected_results():
    old = say(advance(make_trade(1), Phase.UNVERIFIED), BUYER, rejectresult="on")
    assert (old.phase, outcome_of(old)) == (Phase.WORK_DISPUTED, Outcome.REFUNDED)
    new = advance(make_trade(2), Phase.RESULT_DISPUTED)
    assert new.state is TradeState.ACTIVE
    upheld = expire(new, new.timeout)
    assert (upheld.phase, outcome_of(upheld)) == (Phase.UPHELD, Outcome.BUYER_LIED)
    refuted = refute(new, NOW)
    assert (refuted.state, outcome_of(refuted)) == (TradeState.RETIRED, Outcome.SELLER_LIED)
    with pytest.raises(TooLate):
        refute(refuted, NOW)
    with pytest.raises(TooLate):
        refute(advance(make_trade(1), Phase.UNVERIFIED), NOW)


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        (Phase.ESTABLISHING, Outcome.REFUNDED),
        (Phase.BUYER_ESTABLISHED, Outcome.REFUNDED),
        (Phase.TRANSMITTING, Outcome.REFUNDED),
        (Phase.WORKING, Outcome.REFUNDED),
        (Phase.UNVERIFIED, Outcome.PAID),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_trade_ends_at_its_timeout(version, phase, outcome):
    trade = advance(make_trade(version), phase)
    with pytest.raises(TooLate):
        expire(trade, Moment(trade.timeout - 1))
    ended = expire(trade, trade.timeout)
    assert (ended.state, outcome_of(ended)) == (TradeState.RETIRED, outcome)
    with pytest.raises(TooLate):
        expire(ended, trade.timeout)


# -- disputes ----------------------------------------------------------------------------------


def test_a_good_result_cannot_be_refuted():
    trade = advance(make_trade(2), Phase.UNVERIFIED)
    work, encrypted = proof_from_bytes(bytes_from_proof(WORK, ENCRYPTED))
    with pytest.raises(NotAllowed, match="nothing wrong"):
        check_refuted(trade, work, encrypted, None)
    with pytest.raises(NotAllowed, match="not the encrypted result"):
        check_refuted(trade, work, encrypted + b"0", None)
    with pytest.raises(TooLate):
        check_refuted(advance(make_trade(2), Phase.WORKING), work, encrypted, None)


def with_result(sealed: bytes, named: str, work: bytes = WORK) -> Trade:
    trade = replace(make_trade(2), work_hash=sha256_hex(work), result_key=KEY)
    assert trade.terms is not None
    signed = receipt(2) | {"encresulthash": sha256_hex(sealed)}
    return replace(
        advance(make_trade(2), Phase.UNVERIFIED),
        work_hash=trade.work_hash,
        receipt=advance(make_trade(2), Phase.UNVERIFIED).receipt._replace(
            hash=signed["encresulthash"]
        ),
        terms=trade.terms._replace(result_hash=named),
    )


def test_a_bad_result_is_refuted():
    other_key = seal(RESULT, bytes(32), bytes(12))
    assert "key" in check_refuted(with_result(other_key, ""), WORK, other_key, None)
    assert "named" in check_refuted(with_result(ENCRYPTED, "00" * 32), WORK, ENCRYPTED, None)
    short = b"1"
    assert "key" in check_refuted(with_result(short, ""), WORK, short, None)


def test_a_checker_decides():
    work = b'{"prefix": "1:8:260101:a::r:", "bits": 8, "digest": "sha256"}'
    checker = CHECKERS["hashcash"]
    wrong, right = b"1:8:260101:a::r:zz", None
    for number in range(5000):
        stamp = b"1:8:260101:a::r:%x" % number
        if sha256_hex(stamp).startswith("00"):
            right = stamp
    assert right is not None
    assert not checker(work, wrong)
    assert checker(work, right)
    sealed = seal(wrong, bytes.fromhex(KEY), bytes(12))
    trade = with_result(sealed, sha256_hex(wrong), work)
    assert "checker" in check_refuted(trade, work, sealed, checker)
    with pytest.raises(NotAllowed, match="nothing wrong"):
        check_refuted(trade, b"another work", sealed, checker)
    sealed = seal(right, bytes.fromhex(KEY), bytes(12))
    with pytest.raises(NotAllowed, match="nothing wrong"):
        check_refuted(with_result(sealed, sha256_hex(right), work), work, sealed, checker)
    no_work = with_result(sealed, sha256_hex(right), b"no work")
    with pytest.raises(NotAllowed, match="none of this article"):
        check_refuted(no_work, b"no work", sealed, checker)


def grouped(number: int, result: str | None, phase: Phase = Phase.UNVERIFIED) -> Trade:
    trade = make_trade(2, key=f"t{number}", phase=phase)
    assert trade.terms is not None
    return replace(trade, terms=trade.terms._replace(group="99" * 32, agree=2, result_hash=result))


def test_who_differs_from_enough_others_is_outvoted():
    same, other = "11" * 32, "22" * 32
    trades = [grouped(1, same), grouped(2, same), grouped(3, other), grouped(4, None)]
    assert outvoted(trades) == [trades[2]]
    assert outvoted(trades[1:]) == []
    wary = replace(trades[2], terms=trades[2].terms._replace(agree=3))
    assert outvoted([*trades[:2], wary]) == [], "its seller asked for three to outvote it"
    bold = replace(trades[0], terms=trades[0].terms._replace(agree=1))
    assert outvoted([bold, trades[2]]) == [], "one is enough for itself, not for the other"
    split = [*trades[:3], grouped(5, other)]
    assert outvoted(split) == [], "two and two"
    paid = replace(trades[2], state=TradeState.RETIRED, phase=Phase.FINISHED)
    assert outvoted([*trades[:2], paid]) == []


def test_every_refusal_has_its_status():
    # The client's own errors stand elsewhere, and are there only where its modules are imported.
    refusals = [
        error
        for error in MarketError.__subclasses__()
        if error.__module__ == MarketError.__module__
    ]
    assert len(refusals) > 5
    for error in refusals:
        assert 400 <= error("").status < 500
