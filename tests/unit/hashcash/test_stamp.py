"""Hashcash version 1: form, dates, bits; and the same with Debian's program."""

import hashlib
import shutil
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ParseError
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.hashcash.stamp import (
    Stamp,
    check_stamp,
    date_from_time,
    mint_stamp,
    stamp_from_text,
    stamp_puzzle,
    zero_bits,
)
from misocoin.pow.engine import StopFlag
from misocoin.pow.engines import select_engine

NOON = 1_795_262_400  # 2026-11-21 12:00:00 UTC
DAY = 86_400

# The example of hashcash's manual page and FAQ, 20 bits.
ADAM = "1:20:040806:foo::65f460d0726f420d:13a6b8"
# Made with Debian's hashcash 1.21 (-mb 12 -u -z 12 -x a=b).
DEBIAN = "1:12:261121064129:foo@bar:a=b:hIL7KCIr5WIWdDlg:001Uj"


def test_a_known_stamp_is_taken_apart():
    stamp = stamp_from_text(DEBIAN)
    assert stamp == Stamp(12, "261121064129", "foo@bar", "a=b", "hIL7KCIr5WIWdDlg", "001Uj")
    assert stamp.text == DEBIAN
    assert stamp.time == 1_795_243_289
    assert zero_bits(stamp) >= 12


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("261121", NOON - DAY // 2),
        ("2611211200", NOON),
        ("261121120001", NOON + 1),
        ("691231", 3_155_673_600),
    ],
)
def test_dates_are_utc_and_of_this_century(date, seconds):
    stamp = stamp_from_text(f"1:0:{date}:r::a:b")
    assert stamp.time == seconds
    assert date_from_time(seconds, len(date)) == date


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0:20:040806:foo::65f460d0726f420d:13a6b8",
        "1:20:041306:foo::65f460d0726f420d:13a6b8",
        "1:20:04080:foo::65f460d0726f420d:13a6b8",
        "1:20:040806::: 65f460d0726f420d:13a6b8",
        "1:20:040806:foo::65f460d0726f420d",
        "1:20:040806:foo::65f460d0726f420d:13a6b8:",
        "1:20:040806:foo::65f460d0726f420d:13a6b8\n",
        "1:٢٠:040806:foo::65f460d0726f420d:13a6b8",
        "1:20:040806:fóo::65f460d0726f420d:13a6b8",
        f"1:20:040806:{'f' * 1024}::65f460d0726f420d:13a6b8",
    ],
)
def test_other_text_is_no_stamp(text):
    with pytest.raises(ParseError):
        stamp_from_text(text)


@given(st.text() | st.from_regex(r"1:\d{1,3}:\d{6}:[a-z]+::[0-9a-f]{2}:\d+", fullmatch=True))
def test_any_text_is_a_stamp_or_refused(text):
    try:
        stamp = stamp_from_text(text)
    except ParseError:
        return
    assert stamp.text == text


def minted(resource="you@example.org", bits=12, date="261121", **more):
    stamp = mint_stamp(stamp_puzzle(resource, bits, date, "abcdEFGH", **more), select_engine())
    assert stamp is not None
    return stamp


@pytest.mark.parametrize("bits", [0, 1, 7, 12, 16])
def test_what_is_minted_is_good(bits):
    stamp = minted(bits=bits, extension="a=b;c")
    digest = hashlib.sha1(stamp.text.encode()).digest()
    assert int.from_bytes(digest, "big") < 1 << (160 - bits)
    check_stamp(stamp, "You@Example.Org", bits, NOON)
    check_stamp(stamp, None, bits, NOON)


@pytest.mark.parametrize(
    ("resource", "bits", "now", "fault"),
    [
        ("me@example.org", 12, NOON, StampFault.FOREIGN),
        ("you@example.org", 13, NOON, StampFault.CHEAP),
        ("you@example.org", 12, NOON - DAY // 2 + 30 * DAY + 1, StampFault.STALE),
        ("you@example.org", 12, NOON - DAY // 2 - 2 * DAY - 1, StampFault.STALE),
    ],
)
def test_what_does_not_pay(resource, bits, now, fault):
    with pytest.raises(StampError) as caught:
        check_stamp(minted(), resource, bits, now)
    assert caught.value.fault is fault


@pytest.mark.parametrize("now", [NOON - DAY // 2 + 30 * DAY, NOON - DAY // 2 - 2 * DAY])
def test_it_is_good_to_the_last_second(now):
    check_stamp(minted(), "you@example.org", 12, now)


def test_claiming_more_bits_than_there_are_is_wrong():
    stamp = minted()
    boast = stamp._replace(bits=40)
    with pytest.raises(StampError, match="claims 40 bits and has") as caught:
        check_stamp(boast, None, 12, NOON)
    assert caught.value.fault is StampFault.WRONG


def test_the_manuals_stamp_is_good_for_what_it_claims():
    assert zero_bits(stamp_from_text(ADAM)) >= 20


@pytest.mark.parametrize(
    ("resource", "bits", "extension"),
    [("", 1, ""), ("a b", 1, ""), ("a:b", 1, ""), ("a", 53, ""), ("a", -1, ""), ("é", 1, ""),
     ("a", 1, "x:y"), ("a" * 1024, 1, "")],
)  # fmt: skip
def test_what_cannot_be_minted(resource, bits, extension):
    with pytest.raises(ParseError):
        stamp_puzzle(resource, bits, "261121", "rand", extension)


def test_minting_can_be_stopped():
    stop = StopFlag()
    stop.set()
    assert mint_stamp(stamp_puzzle("a", 52, "261121", "r"), select_engine(), 1, stop) is None


# -- with Debian's program --------------------------------------------------------------------


@pytest.fixture(scope="module")
def hashcash():
    path = shutil.which("hashcash")
    if path is None:
        pytest.skip("the hashcash program is not installed (Debian: hashcash)")
    return path


@pytest.mark.parametrize("width", [6, 10, 12])
def test_the_program_takes_our_stamps(hashcash, width, tmp_path):
    now = int(time.time())
    stamp = minted(date=date_from_time(now, width), bits=18)
    spent = tmp_path / "spent.sdb"
    command = [hashcash, "-cdb18", "-u", "-f", spent, "-r", "you@example.org", stamp.text]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0
    other = [*command[:-1], stamp._replace(resource="me@example.org").text]
    assert subprocess.run(other, check=False, capture_output=True).returncode != 0


@pytest.mark.parametrize("width", [6, 10, 12])
def test_we_take_the_programs_stamps(hashcash, width):
    command = [hashcash, "-mqb18", "-u", "-z", str(width), "-x", "k=v", "you@example.org"]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    stamp = stamp_from_text(made.stdout.strip())
    assert (stamp.extension, len(stamp.date)) == ("k=v", width)
    check_stamp(stamp, "you@example.org", 18, int(time.time()))
