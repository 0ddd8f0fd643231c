"""Stamps of version 2: form and work."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ParseError
from misocoin.hashcash.challenge import (
    Challenge,
    RequestStamp,
    challenge_from_text,
    check_service,
    check_work,
    mint_request_stamp,
    request_digest,
    request_stamp_from_text,
)
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.pow.engine import StopFlag
from misocoin.pow.engines import select_engine

CHALLENGE = Challenge(12, 1_795_243_200, "my.server", "6f1d2c3b4a596877")
TEXT = "2:12:1795243200:my.server:6f1d2c3b4a596877"
REQUEST = b'{"id":1,"method":"a","params":[]}'


def test_the_text_of_a_challenge():
    assert CHALLENGE.text == TEXT
    assert challenge_from_text(TEXT) == CHALLENGE


def test_the_text_of_a_stamp():
    stamp = RequestStamp(CHALLENGE, "00c5a3f2e1b40d96")
    assert stamp.text == f"{TEXT}:00c5a3f2e1b40d96"
    assert request_stamp_from_text(stamp.text) == stamp


def test_what_is_hashed():
    seed = hashlib.sha256(TEXT.encode() + b":" + REQUEST).hexdigest()
    expected = hashlib.sha256(f"{seed}00c5a3f2e1b40d96".encode()).digest()
    assert request_digest(RequestStamp(CHALLENGE, "00c5a3f2e1b40d96"), REQUEST) == expected


def test_a_known_stamp():
    """Made once, to notice a change of the format."""
    stamp = mint_request_stamp(CHALLENGE, REQUEST, select_engine("portable"), 0)
    assert stamp is not None
    assert stamp.text == f"{TEXT}:00000000000017eb"
    assert request_digest(stamp, REQUEST).hex().startswith("000")


@pytest.mark.parametrize("bits", [0, 1, 8, 13, 16])
def test_what_is_minted_is_good_for_its_request_alone(bits):
    challenge = CHALLENGE._replace(bits=bits)
    stamp = mint_request_stamp(challenge, REQUEST, select_engine(), 12345)
    assert stamp is not None
    assert int(stamp.counter, 16) >= 12345
    digest = check_work(stamp, REQUEST)
    assert int.from_bytes(digest, "big") < 1 << (256 - bits)


@pytest.mark.parametrize(
    "change",
    [{"bits": 15}, {"time": 1_795_243_201}, {"service": "other"}, {"salt": "0" * 16}],
)
def test_a_stamp_of_another_challenge_is_wrong(change):
    sixteen = CHALLENGE._replace(bits=16)
    stamp = mint_request_stamp(sixteen, REQUEST, select_engine(), 0)
    changed = stamp._replace(challenge=sixteen._replace(**change))
    with pytest.raises(StampError) as caught:
        check_work(changed, REQUEST)
    assert caught.value.fault is StampFault.WRONG


def test_a_stamp_of_another_request_is_wrong():
    stamp = mint_request_stamp(CHALLENGE._replace(bits=16), REQUEST, select_engine(), 0)
    with pytest.raises(StampError):
        check_work(stamp, REQUEST + b" ")


def test_minting_can_be_stopped():
    stop = StopFlag()
    stop.set()
    challenge = CHALLENGE._replace(bits=56)
    assert mint_request_stamp(challenge, REQUEST, select_engine(), 0, stop) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1" + TEXT[1:],
        TEXT + "\n",
        TEXT.replace(":12:", ":57:"),
        TEXT.replace(":12:", ":-1:"),
        TEXT.replace(":12:", ":١٢:"),
        TEXT.replace("my.server", "my server"),
        TEXT.replace("my.server", ""),
        TEXT.replace("my.server", "a" * 101),
        TEXT.upper(),
        TEXT + ":",
    ],
)
def test_other_text_is_refused(text):
    with pytest.raises(ParseError):
        challenge_from_text(text)
    with pytest.raises(ParseError):
        request_stamp_from_text(f"{text}:00c5a3f2e1b40d96")


@given(st.text() | st.from_regex(r"2:\d{1,3}:\d{1,13}:[a-z:]+:[0-9a-f]{16}", fullmatch=True))
def test_any_text_is_a_challenge_or_refused(text):
    try:
        challenge = challenge_from_text(text)
    except ParseError:
        with pytest.raises(ParseError):
            request_stamp_from_text(f"{text}:0000000000000000")
        return
    assert challenge_from_text(challenge.text) == challenge
    assert request_stamp_from_text(f"{text}:0000000000000000").challenge == challenge


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ü", "a" * 101, "a\n"])
def test_names_that_a_service_cannot_have(name):
    with pytest.raises(ParseError):
        check_service(name)
    check_service("electrum.example.org")
