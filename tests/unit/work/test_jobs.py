"""Puzzles as JSON fields, and what is answered."""

from base64 import b64encode

import pytest

from misocoin.errors import ParseError
from misocoin.pow.puzzles import BitmessagePuzzle, HashcashPuzzle, HeaderPuzzle, StampDigest
from misocoin.work.jobs import (
    answer_fields,
    check_job_id,
    fields_from_puzzle,
    job_id_of,
    puzzle_from_fields,
)

KNOWN = {
    "target": 3979158916983,
    "initialHash": (
        "vSJ95SFzpQ7NVIk/cd5SUR9isX+s8s5mcKJIn4G3Owqk7/yBuTX2KPxTg8RpkO1yJJ0bz7/8/5KMU5BEcjxehw=="
    ),
}


def test_the_known_answer():
    puzzle = puzzle_from_fields(KNOWN)
    assert answer_fields(puzzle, 1302572) == {"nonce": 1302572, "trialValue": 799892720325}
    assert fields_from_puzzle(puzzle) == {"algorithm": "bitmessage", **KNOWN}


def test_a_header():
    genesis = (
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b2"
        "7ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
    )
    target = "00000000ffff" + "0" * 52
    fields = {"algorithm": "sha256d-header", "header": genesis, "target": target}
    puzzle = puzzle_from_fields(fields)
    assert puzzle == HeaderPuzzle(bytes.fromhex(genesis), 0xFFFF << 208)
    assert answer_fields(puzzle, 2083236893) == {
        "nonce": 2083236893,
        "header": genesis,
        "hash": "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    }
    assert puzzle_from_fields({**fields, "versions": 16}).space == 16 << 32


def test_a_stamp():
    fields = {"algorithm": "hashcash", "prefix": "1:8:261121:x::r:", "bits": 8}
    puzzle = puzzle_from_fields(fields)
    assert puzzle == HashcashPuzzle(
        b"1:8:261121:x::r:",
        b"",
        10,
        8,
        StampDigest.SHA1,
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    )
    assert answer_fields(puzzle, 1) == {"nonce": 1, "stamp": "1:8:261121:x::r:AAAAAAAAAB"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"algorithm": "scrypt"}, "no algorithm 'scrypt'"),
        ({"algorithm": 1}, "algorithm is not a text"),
        ({**KNOWN, "target": 0}, "target is not from 1"),
        ({**KNOWN, "target": 1 << 64}, "target is not from 1"),
        ({**KNOWN, "target": True}, "whole number"),
        ({**KNOWN, "initialHash": b64encode(bytes(63)).decode()}, "63 bytes, not 64"),
        ({**KNOWN, "initialHash": b64encode(bytes(65)).decode()}, "65 bytes, not 64"),
        ({**KNOWN, "initialHash": KNOWN["initialHash"][:-1]}, "not base64"),
        ({**KNOWN, "initialHash": KNOWN["initialHash"] + "\n"}, "not base64"),
        ({"algorithm": "sha256d-header", "header": "00" * 79, "target": "0" * 64}, "160 hex"),
        ({"algorithm": "sha256d-header", "header": "0g" * 80, "target": "0" * 64}, "160 hex"),
        ({"algorithm": "sha256d-header", "header": "00" * 80, "target": 5}, "not a text"),
        ({"algorithm": "hashcash", "prefix": "x", "bits": 161}, "161 zero bits"),
        ({"algorithm": "hashcash", "prefix": "x", "bits": 20, "width": 11}, "at most 2"),
        ({"algorithm": "hashcash", "prefix": "x", "bits": 20, "alphabet": "aa"}, "different"),
        ({"algorithm": "hashcash", "prefix": "x", "bits": 20, "alphabet": "äb"}, "ASCII"),
        ({"algorithm": "hashcash", "prefix": "x", "bits": 20, "digest": "md5"}, "no digest"),
        ({"algorithm": "hashcash", "prefix": "x" * 1025, "bits": 20}, "longer than 1024"),
        ({"algorithm": "hashcash", "prefix": "\ud800", "bits": 20}, "not a text"),
    ],
)
def test_what_is_no_puzzle_is_refused(fields, reason):
    with pytest.raises(ParseError, match=reason):
        puzzle_from_fields(fields)


def test_ids_follow_from_puzzles():
    one, other = BitmessagePuzzle(bytes(64), 5), BitmessagePuzzle(bytes(64), 6)
    assert job_id_of(one) == job_id_of(BitmessagePuzzle(bytes(64), 5)) != job_id_of(other)
    assert check_job_id(job_id_of(one)) == job_id_of(one)
    for text in ("", "0" * 31, "0" * 33, "G" * 32, "A" * 32):
        with pytest.raises(ParseError):
            check_job_id(text)
