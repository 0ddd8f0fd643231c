"""Trades of version 2 through the relay: what each side can do to the other, and what it costs."""

import secrets
from contextlib import closing

import pytest

from misocoin.market.disputes import bytes_from_proof
from misocoin.market.documents import upload_document
from misocoin.market.errors import Malformed, NotAllowed, TooLarge, TooLate, Unknown
from misocoin.market.parcels import (
    ResultParcel,
    WorkParcel,
    bytes_from_receipt,
    bytes_from_result_parcel,
    bytes_from_work_parcel,
    receipt_from_bytes,
    result_parcel_from_bytes,
    work_parcel_from_bytes,
)
from misocoin.market.receipts import (
    receipt_document_from_key_hash,
    seal,
    sha256_hex,
    transit_key,
    transit_public_key,
    unseal,
    work_secret_hash,
)
from misocoin.market.relay import Relay, RelayLimits
from misocoin.market.trade import Phase, Trade
from tests.unit.market.builders import BUYER, SELLER, STRANGER, Participant
from tests.unit.market.rig import Rig

BOND = "mMISO 2"
STAMP_WORK = b'{"prefix": "1:4:260101:a::r:", "bits": 4, "digest": "sha256"}'


def make_rig(where: str = "") -> Rig:
    """A book, where a test wants it, with a small relay and three people who have money."""
    rig = Rig(where)
    rig.relay = Relay(
        rig.database, rig.book, rig.now, rig.watch, RelayLimits(parcel=5_000, total=20_000)
    )
    for who in (BUYER, SELLER, STRANGER):
        rig.give(who, "MISO 1")
    return rig


@pytest.fixture
def rig():
    with closing(make_rig()) as rig:
        yield rig


class Side:
    """One side of one trade, with the secret of its bid."""

    def __init__(self, rig: Rig, who: Participant) -> None:
        self.rig = rig
        self.who = who
        self.secret = secrets.token_bytes(32)
        self.bid = ""
        self.work = b""
        self.encrypted = b""

    def place(self, kind: str, price: str, **fields: str) -> None:
        key = transit_public_key(self.secret)
        fields = {"version": "2", "bond": BOND, "transitkey": key, **fields}
        self.bid = self.rig.bid(self.who, type=kind, price=price, **fields)

    @property
    def trade(self) -> Trade:
        return self.rig.trade_of(self.bid)

    def sealing_key(self) -> bytes:
        terms = self.trade.terms
        assert terms is not None
        is_buyer = self.trade.buyer == self.who.address
        other = terms.seller_key if is_buyer else terms.buyer_key
        return transit_key(self.secret, other, self.trade.key)

    def put(self, slot: str, data: bytes) -> None:
        sealed = seal(data, self.sealing_key(), secrets.token_bytes(12))
        signature = self.who.sign(upload_document(sha256_hex(sealed), slot, self.trade.key))
        self.rig.relay.put(self.trade.key, slot, sealed, signature)

    def get(self, slot: str) -> bytes:
        sealed = self.rig.relay.get(self.trade.key, slot, 0)
        assert sealed is not None
        return unseal(sealed, self.sealing_key())

    def say(self, **arguments: str) -> Trade:
        return self.rig.say(self.who, self.trade.key, **arguments)

    # -- buyer ----------------------------------------------------------------------------

    def send_work(self, work: bytes) -> None:
        self.work = work
        secret = secrets.token_hex(32)
        work_hash = sha256_hex(work)
        self.say(workhash=work_hash, worksecrethash=work_secret_hash(work_hash, secret))
        self.put("work", bytes_from_work_parcel(WorkParcel(secret, work)))

    def sign_receipt(self) -> None:
        parcel = result_parcel_from_bytes(self.get("result"))
        self.encrypted = parcel.encrypted
        document = receipt_document_from_key_hash(parcel.hash, parcel.key_hash, self.trade.key)
        self.put("receipt", bytes_from_receipt(self.who.sign(document)))

    def read_result(self) -> bytes:
        assert self.trade.result_key is not None
        return unseal(self.encrypted, bytes.fromhex(self.trade.result_key))

    def prove(self, work: bytes | None = None) -> Trade:
        proof = bytes_from_proof(self.work if work is None else work, self.encrypted)
        document = upload_document(sha256_hex(proof), "proof", self.trade.key)
        return self.rig.book.prove(self.trade.key, proof, self.who.address, self.who.sign(document))

    # -- seller ---------------------------------------------------------------------------

    def send_result(self, result: bytes, key: bytes | None = None) -> None:
        self.key = secrets.token_bytes(32)
        self.result = result
        encrypted = seal(result, key or self.key, secrets.token_bytes(12))
        parcel = ResultParcel(sha256_hex(self.key), encrypted)
        self.hash = parcel.hash
        self.put("result", bytes_from_result_parcel(parcel))

    def show_receipt(self, named: bytes | None = None) -> Trade:
        signature = receipt_from_bytes(self.get("receipt"))
        return self.say(
            encresulthash=self.hash,
            encresulthashsig=signature,
            encresultkey=self.key.hex(),
            resulthash=sha256_hex(self.result if named is None else named),
        )


def matched(rig: Rig, article: str = "foobar") -> tuple[Side, Side]:
    buyer, seller = Side(rig, BUYER), Side(rig, SELLER)
    seller.place("SELL", "mMISO 1", article=article)
    buyer.place("BUY", "mMISO 1", article=article)
    return buyer, seller


def delivered(
    rig: Rig,
    work: bytes,
    result: bytes,
    article: str = "foobar",
    key: bytes | None = None,
    named: bytes | None = None,
) -> tuple[Side, Side]:
    """A trade whose result waits for the buyer's verdict."""
    buyer, seller = matched(rig, article)
    seller.say(workerurl="relay")
    buyer.send_work(work)
    parcel = work_parcel_from_bytes(seller.get("work"))
    seller.say(buyersecret=parcel.buyer_secret)
    seller.send_result(result, key)
    buyer.sign_receipt()
    assert seller.show_receipt(named).phase is Phase.UNVERIFIED
    return buyer, seller


ALL, PRICE, FEE, PUT_UP = 100_000_000, 100_000, 3_000, 200_000


def test_a_purchase_through_the_relay(rig):
    buyer, _ = delivered(rig, b"work", b"result")
    assert rig.holds(BUYER)[1] == PRICE + FEE + PUT_UP
    assert rig.holds(SELLER)[1] == PUT_UP
    assert buyer.read_result() == b"result"
    buyer.say(acceptresult="on")
    assert rig.holds(BUYER) == (ALL - PRICE - FEE, 0)
    assert rig.holds(SELLER) == (ALL + PRICE, 0)


def test_the_market_sees_sealed_bytes_only(rig):
    buyer, seller = matched(rig)
    seller.say(workerurl="relay")
    buyer.send_work(b"a secret piece of work")
    sealed = rig.relay.get(buyer.trade.key, "work", 0)
    assert b"secret piece" not in sealed
    with pytest.raises(NotAllowed):
        unseal(sealed, Side(rig, SELLER).secret)
    assert buyer.sealing_key() == seller.sealing_key()


def refunded_with_bond(rig: Rig) -> bool:
    return rig.holds(BUYER) == (ALL + PUT_UP, 0) and rig.holds(SELLER) == (ALL - PUT_UP, 0)


def paid_with_bond(rig: Rig) -> bool:
    return rig.holds(BUYER) == (ALL - PRICE - FEE - PUT_UP, 0) and rig.holds(SELLER) == (
        ALL + PRICE + PUT_UP,
        0,
    )


def test_a_key_that_does_not_open_costs_the_seller(rig):
    buyer, _ = delivered(rig, b"work", b"result", key=bytes(32))
    with pytest.raises(NotAllowed):
        buyer.read_result()
    assert buyer.prove().phase is Phase.REFUTED
    assert refunded_with_bond(rig)


def test_another_result_than_named_costs_the_seller(rig):
    buyer, _ = delivered(rig, b"work", b"result", named=b"another")
    buyer.say(rejectresult="on")
    assert buyer.prove().phase is Phase.REFUTED
    assert refunded_with_bond(rig)


def test_a_result_that_the_checker_refuses_costs_the_seller(rig):
    article = "net.misocoin/pow/hashcash/0"
    buyer, _ = delivered(rig, STAMP_WORK, b"1:4:260101:a::r:no work at all", article)
    with pytest.raises(NotAllowed, match="nothing wrong"):
        buyer.prove(work=b"another work")
    assert buyer.prove().phase is Phase.REFUTED
    assert refunded_with_bond(rig)


def test_a_good_result_that_is_rejected_costs_the_buyer(rig):
    article = "net.misocoin/pow/hashcash/0"
    stamps = (b"1:4:260101:a::r:%x" % number for number in range(10_000))
    stamp = next(stamp for stamp in stamps if sha256_hex(stamp).startswith("0"))
    buyer, _ = delivered(rig, STAMP_WORK, stamp, article)
    buyer.say(rejectresult="on")
    with pytest.raises(NotAllowed, match="nothing wrong"):
        buyer.prove()
    rig.pass_time(599)
    assert buyer.trade.phase is Phase.RESULT_DISPUTED
    rig.pass_time(1)
    assert buyer.trade.phase is Phase.UPHELD
    assert paid_with_bond(rig)
    with pytest.raises(TooLate):
        buyer.prove()


def test_who_may_prove(rig):
    buyer, seller = delivered(rig, b"work", b"result", key=bytes(32))
    proof = bytes_from_proof(b"work", buyer.encrypted)
    document = upload_document(sha256_hex(proof), "proof", buyer.trade.key)
    prove, before = rig.book.prove, rig.everything()
    for who in (SELLER, STRANGER):
        with pytest.raises(NotAllowed, match="only the buyer"):
            prove(buyer.trade.key, proof, who.address, who.sign(document))
    with pytest.raises(NotAllowed, match="signature"):
        prove(buyer.trade.key, proof, BUYER.address, BUYER.sign("no"))
    with pytest.raises(Unknown):
        document = upload_document(sha256_hex(proof), "proof", "t9-00")
        prove("t9-00", proof, BUYER.address, BUYER.sign(document))
    with pytest.raises(Malformed, match="cut short"):
        prove(buyer.trade.key, b"\xff\xff\xff\xff", BUYER.address, "")
    assert rig.everything() == before


def test_a_group_outvotes_who_lies(rig):
    sellers = [Participant(f"seller {number}") for number in range(4)]
    group = {"group": "99" * 32, "agree": "2", "article": "snafu"}
    sides: list[tuple[Side, Side]] = []
    for who in sellers[:3]:
        rig.give(who, "MISO 1")
        seller, buyer = Side(rig, who), Side(rig, BUYER)
        seller.place("SELL", "mMISO 1", article="snafu", agree="2")
        buyer.place("BUY", "mMISO 1", **group)
        sides.append((buyer, seller))
    # The fourth has not said that he may be outvoted, the first has a trade of this group.
    for who, agree in ((sellers[3], "0"), (sellers[3], "3"), (sellers[0], "2"), (BUYER, "2")):
        rig.give(who, "MISO 1")
        Side(rig, who).place("SELL", "mMISO 1", article="snafu", agree=agree)
    unmet = Side(rig, BUYER)
    unmet.place("BUY", "mMISO 1", **group)
    assert rig.book.get_bid(unmet.bid).transaction is None
    for (buyer, seller), result in zip(sides, (b"right", b"wrong", b"right"), strict=True):
        seller.say(workerurl="relay")
        buyer.send_work(b"work")
        seller.say(buyersecret=work_parcel_from_bytes(seller.get("work")).buyer_secret)
        seller.send_result(result)
        buyer.sign_receipt()
        seller.show_receipt()
    phases = [buyer.trade.phase for buyer, _ in sides]
    assert phases == [Phase.UNVERIFIED, Phase.REFUTED, Phase.UNVERIFIED]
    assert rig.holds(sellers[1]) == (ALL - PUT_UP, 0)


def test_who_takes_both_versions_meets_either(rig):
    key = transit_public_key(bytes(32))
    both = {"version": "both", "transitkey": key, "bond": "mMISO 1"}
    old_sell = rig.sell(SELLER, "mMISO 1")
    new_sell = rig.sell(SELLER, "mMISO 1", **both)
    buys = [rig.buy(BUYER, "mMISO 1", **(both | {"bond": "MISO 0"})) for _ in range(2)]
    new, old = (rig.trade_of(buy) for buy in buys)
    assert (new.seller_bid, new.version) == (new_sell, 2), "version 2 where it can be"
    assert (old.seller_bid, old.version, old.bond) == (old_sell, 1, 0)
    assert rig.holds(BUYER)[1] == 2 * 103_000
    assert rig.holds(SELLER)[1] == 0, "nobody asked for a bond"
    dear = rig.sell(SELLER, "mMISO 2", **both)
    rig.say(SELLER, rig.trade_of(rig.buy(BUYER, "mMISO 2")).key, workerurl="http://127.0.0.1:1/")
    assert rig.trade_of(dear).version == 1
    with pytest.raises(Malformed, match="group needs version=2"):
        rig.buy(BUYER, "mMISO 1", **both, group="ab" * 32, agree="2")


def test_signs_of_life(rig):
    buyer, seller = matched(rig)
    key = buyer.trade.key

    def beat(count: bytes, who: Participant = SELLER) -> None:
        signature = who.sign(upload_document(sha256_hex(count), "alive", key))
        rig.relay.beat(key, count, signature)

    with pytest.raises(NotAllowed, match="relay"):
        beat(b"1")
    seller.say(workerurl="relay")
    assert rig.relay.silence(key) is None
    beat(b"7")
    rig.pass_time(9.5)
    assert rig.relay.silence(key) == 9
    for count in (b"7", b"6"):
        with pytest.raises(TooLate):
            beat(count)
    with pytest.raises(NotAllowed):
        beat(b"8", BUYER)
    for broken in (b"", b"-8", b"8.0", "٨".encode(), b"9" * 19, b"9" * 30):
        with pytest.raises(Malformed):
            beat(broken)
    assert rig.relay.silence(key) == 9
    beat(b"8")
    assert rig.relay.silence(key) == 0
    rig.pass_time(3600)
    with pytest.raises(TooLate):
        beat(b"9")
    rig.relay.forget_old()
    assert rig.relay.silence(key) is None


def test_what_the_relay_refuses(rig):
    buyer, seller = matched(rig)
    with pytest.raises(NotAllowed, match="does not go through"):
        buyer.send_work(b"work")
    seller.say(workerurl="relay")
    put = rig.relay.put
    key = buyer.trade.key

    def signed(who: Participant, data: bytes, slot: str = "work") -> str:
        return who.sign(upload_document(sha256_hex(data), slot, key))

    with pytest.raises(NotAllowed, match="signature"):
        put(key, "work", b"1", signed(SELLER, b"1"))
    with pytest.raises(NotAllowed, match="signature"):
        put(key, "work", b"2", signed(BUYER, b"1"))
    with pytest.raises(Malformed, match="a parcel is"):
        put(key, "more", b"1", signed(BUYER, b"1", "more"))
    with pytest.raises(TooLarge):
        put(key, "work", bytes(5_001), "")
    put(key, "work", b"1", signed(BUYER, b"1"))
    put(key, "work", b"1", signed(BUYER, b"1"))
    with pytest.raises(TooLate, match="another parcel"):
        put(key, "work", b"2", signed(BUYER, b"2"))
    assert rig.relay.get(key, "work", 0) == b"1"
    assert rig.relay.get(key, "result", 0) is None
    rig.pass_time(24 * 60)
    with pytest.raises(TooLate):
        put(key, "result", b"1", signed(SELLER, b"1", "result"))
    rig.pass_time(60 * 60)
    rig.relay.forget_old()
    assert rig.relay.get(key, "work", 0) is None


def test_the_relay_fills_up(rig):
    for _ in range(4):
        buyer, seller = matched(rig)
        seller.say(workerurl="relay")
        buyer.put("work", bytes(4_900))
    buyer, seller = matched(rig)
    seller.say(workerurl="relay")
    with pytest.raises(TooLarge, match="full"):
        buyer.put("work", bytes(4_900))


def test_a_transit_key_that_gives_none():
    with pytest.raises(Malformed):
        transit_key(bytes(range(32)), "00" * 32, "t1")
