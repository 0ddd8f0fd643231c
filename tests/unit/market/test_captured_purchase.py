"""A purchase between two of BitWrk's own clients and server, reproduced from the capture."""

import json

import pytest

from misocoin.market.bids import bid_request_from_form, calculate_fee
from misocoin.market.chunks import (
    bits_from_wishes,
    chunks_of,
    info_of,
    join_wanted,
    json_from_sync_info,
    shuffled,
    split_wanted,
    sync_info_from_json,
    wishes_from_bits,
)
from misocoin.market.documents import check_signed
from misocoin.market.errors import NotAllowed
from misocoin.market.moments import moment_from_text, text_from_moment
from misocoin.market.money import OLD_NAMES, money_from_text, text_from_money
from misocoin.market.receipts import crypt_result, sha256_hex, work_secret_hash
from misocoin.market.trade import message_from_form
from misocoin.market.wire import (
    bid_from_json,
    bid_to_json,
    bytes_from_json,
    trade_from_json,
    trade_to_json,
)
from tests.shared import shared_file
from tests.unit.market.capture import SELLER, SERVER, HttpMessage, answers, requests


@pytest.fixture(scope="module")
def posts() -> list[HttpMessage]:
    return [m for m in requests(SERVER) if m.start.startswith("POST")]


@pytest.fixture(scope="module")
def work() -> bytes:
    return shared_file("vectors/bitwrk/work.bin").read_bytes()


@pytest.fixture(scope="module")
def transfers() -> list[HttpMessage]:
    """The requests of the buyer to the seller."""
    return requests(SELLER)


@pytest.fixture(scope="module")
def final_trade() -> dict:
    bodies = [json.loads(m.body) for m in answers(SERVER) if b'"Revision"' in m.body]
    return max(bodies, key=lambda body: body["Revision"])


def test_signatures_of_bids_verify(posts):
    bids = [m for m in posts if m.start.startswith("POST /bid ")]
    assert len(bids) == 2
    for bid in bids:
        request = bid_request_from_form(bid.form)
        check_signed(request.participant, bid.form["signature"], request.document)
        with pytest.raises(NotAllowed):
            check_signed(request.participant, bid.form["signature"], request.document + "0")


def test_a_bid_is_told_as_its_document(posts):
    told = {json.loads(m.body)["Document"] for m in answers(SERVER) if b'"Document"' in m.body}
    for bid in posts:
        if bid.start.startswith("POST /bid "):
            assert bid_request_from_form(bid.form).document in told


def test_signatures_of_messages_verify_the_long_one_too(posts):
    lengths = []
    for post in posts:
        if post.start.startswith("POST /tx/"):
            key = post.start.split()[1].removeprefix("/tx/")
            message = message_from_form(post.form, key)
            lengths.append(len(message.document))
            check_signed(message.address, message.signature, message.document)
    assert len(lengths) == 5
    assert sum(length > 252 for length in lengths) == 1


def test_the_work_is_cut_into_the_same_chunks(transfers, work):
    sent = next(m.parts["syncinfojson"] for m in transfers if b"syncinfojson" in m.body)
    info = sync_info_from_json(sent)
    assert info.chunks == info_of(chunks_of(work))
    assert (len(info.chunks), len(info.permutation)) == (39, 256)
    assert sync_info_from_json(json_from_sync_info(info)) == info
    vector = shared_file("vectors/bitwrk/syncinfo.json").read_bytes()
    assert sync_info_from_json(vector) == info


def test_wishes_and_wanted_chunks_are_the_same(transfers, work):
    info = sync_info_from_json(
        next(m.parts["syncinfojson"] for m in transfers if b"syncinfojson" in m.body)
    )
    bits = next(
        m.body for m in answers(SELLER) if m.fields.get("content-type") == "application/x-wishlist"
    )
    places = list(shuffled(info.chunks, info.permutation))
    assert len(places) == 294
    wishes = [place is not None for place in places]
    assert wishes_from_bits(bits, len(places)) == wishes
    assert bits_from_wishes(wishes) == bits
    by_key = dict(zip(info.chunks, chunks_of(work), strict=True))
    wanted = [place for place in places if place is not None]
    sent = next(m.parts["chunkdata"] for m in transfers if b"chunkdata" in m.body)
    assert join_wanted(by_key[place] for place in wanted) == sent
    assert split_wanted(sent, wanted) == [by_key[place] for place in wanted]


def test_hashes_secrets_and_receipt_are_the_same(final_trade, work, transfers):
    assert sha256_hex(work) == final_trade["WorkHash"]
    secret = final_trade["BuyerSecret"]
    assert work_secret_hash(final_trade["WorkHash"], secret) == final_trade["WorkSecretHash"]
    receipt = final_trade["EncryptedResultReceipt"]
    check_signed(final_trade["Buyer"], receipt["HashSignature"], receipt["Hash"])
    forms = [m.form for m in transfers if m.body.startswith(b"encresulthash=")]
    assert [form["encresulthash"] for form in forms] == [receipt["Hash"]]


def test_the_result_decrypts_and_encrypts_again(final_trade, work):
    encrypted = next(
        m.body
        for m in answers(SELLER)
        if sha256_hex(m.body) == final_trade["EncryptedResultReceipt"]["Hash"]
    )
    key = bytes.fromhex(final_trade["ResultDecryptionKey"])
    result = crypt_result(encrypted, key)
    assert result == b"RESULT:" + work[::-1]
    assert crypt_result(result, key) == encrypted


def test_money_and_times_are_written_the_same():
    for message in answers(SERVER):
        if message.fields.get("content-type") != "application/json":
            continue
        told = json.loads(message.body)
        for name in ("Price", "Fee"):
            assert text_from_money(money_from_text(told[name]), OLD_NAMES) == told[name]
        assert calculate_fee(money_from_text(told["Price"]).amount) == (
            money_from_text(told["Fee"]).amount
        )
        for name in ("Created", "Expires", "Matched", "Timeout"):
            if told.get(name):
                assert text_from_moment(moment_from_text(told[name])) == told[name]


def test_bids_and_trades_are_told_byte_for_byte():
    """What the original server told, read and told again."""
    seen = 0
    for message in answers(SERVER):
        told = message.body
        if b'"Revision"' in told:
            trade = trade_from_json(told, "x")
            assert bytes_from_json(trade_to_json(trade, OLD_NAMES)) == told
            seen += 1
        elif b'"Created"' in told:
            assert bytes_from_json(bid_to_json(bid_from_json(told, "x"), OLD_NAMES)) == told
            seen += 1
    assert seen == 24
