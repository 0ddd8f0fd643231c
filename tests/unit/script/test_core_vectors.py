"""Bitcoin Core 0.21.1's public vectors: script_tests, tx_valid, tx_invalid, sighash."""

import random
from collections.abc import Iterator

import pytest

from misocoin.consensus.tx_rules import check_transaction
from misocoin.crypto.batch import verify_batch
from misocoin.errors import ValidationError
from misocoin.params import bitcoin
from misocoin.primitives.transaction import TxOut, outpoint, transaction_from_bytes
from misocoin.script import flags as verify_flags
from misocoin.script.checker import TransactionChecker
from misocoin.script.inputs import check_input_deferred, verify_input
from misocoin.script.interpreter import verify_script
from misocoin.script.sighash import TxDigests, legacy_sighash
from tests.shared import vectors
from tests.unit.script.core_format import (
    flags_from_text,
    sats_from_number,
    script_from_text,
    spend_of,
)

COUNTS = {"script_tests": 1203, "tx_valid": 120, "tx_invalid": 92, "sighash": 500}
CHUNK = 100


def chunks(name: str) -> list[object]:
    return [
        pytest.param(start, id=f"{name} cases {start + 1}-{min(start + CHUNK, total)} of {total}")
        for total in [COUNTS[name]]
        for start in range(0, total, CHUNK)
    ]


def cases(name: str, start: int) -> list[list]:
    found = [row for row in vectors(f"{name}.json") if len(row) > 1]  # the rest are comments
    assert len(found) == COUNTS[name]
    return found[start : start + CHUNK]


def script_cases(start: int) -> Iterator[tuple]:
    for case in cases("script_tests", start):
        witness, amount, row = (), 0, case
        if isinstance(case[0], list):
            *items, coins = case[0]
            witness, amount = tuple(map(bytes.fromhex, items)), sats_from_number(coins)
            row = case[1:]
        script_sig, script_pubkey = map(script_from_text, row[:2])
        flags = flags_from_text(row[2])
        if flags & verify_flags.CLEANSTACK:  # as Core's test does
            flags |= verify_flags.P2SH | verify_flags.WITNESS
        yield row, script_sig, script_pubkey, witness, amount, flags


@pytest.mark.parametrize("start", chunks("script_tests"))
def test_script_tests(start):
    wrong = []
    for row, script_sig, script_pubkey, witness, amount, flags in script_cases(start):
        tx, spent = spend_of(script_sig, script_pubkey, witness, amount)
        digests = TxDigests(tx, spent)
        error = verify_script(
            script_sig, script_pubkey, witness, flags, TransactionChecker(digests, 0)
        )
        got = "OK" if error is None else error.name
        deferred = verify_input_by_batch(digests, 0, flags)
        if got != row[3] or deferred != error:
            wrong.append((got, deferred, row))
    assert wrong == []


def verify_input_by_batch(digests: TxDigests, index: int, flags: int):
    jobs = check_input_deferred(digests, index, flags)
    if not isinstance(jobs, tuple):
        return jobs
    return verify_input(digests, index, flags) if verify_batch(jobs) else None


def completed(flags: int) -> int:
    """Flags with those that they are only allowed together with."""
    if flags & verify_flags.CLEANSTACK:
        flags |= verify_flags.WITNESS
    if flags & verify_flags.WITNESS:
        flags |= verify_flags.P2SH
    return flags


def trimmed(flags: int) -> int:
    """Flags without those whose company is missing."""
    if not flags & verify_flags.P2SH:
        flags &= ~verify_flags.WITNESS
    if not flags & verify_flags.WITNESS:
        flags &= ~verify_flags.CLEANSTACK
    return flags


@pytest.mark.parametrize("start", chunks("script_tests"))
def test_flags_only_ever_forbid(start):
    rng = random.Random(start)
    for row, script_sig, script_pubkey, witness, amount, flags in script_cases(start):
        tx, spent = spend_of(script_sig, script_pubkey, witness, amount)
        digests = TxDigests(tx, spent)
        for _ in range(4):
            others = rng.getrandbits(21)
            if row[3] == "OK":
                assert verify_input(digests, 0, trimmed(flags & others)) is None, row
            else:
                assert verify_input(digests, 0, completed(flags | others)) is not None, row


def transaction_cases(name: str, start: int) -> Iterator[tuple]:
    for row in cases(name, start):
        prevouts = {}
        for txid, index, script, *amount in row[0]:
            point = outpoint(bytes.fromhex(txid)[::-1], index & 0xFFFFFFFF)
            prevouts[point] = TxOut(amount[0] if amount else 0, script_from_text(script))
        yield row, prevouts, bytes.fromhex(row[1]), flags_from_text(row[2])


def is_valid(raw: bytes, prevouts: dict, flags: int) -> bool:
    tx = transaction_from_bytes(raw)
    check_transaction(tx, bitcoin())
    digests = TxDigests(tx, tuple(prevouts[txin.prevout] for txin in tx.vin))
    results = [verify_input(digests, index, flags) for index in range(len(tx.vin))]
    assert results == [verify_input_by_batch(digests, index, flags) for index in range(len(tx.vin))]
    return results == [None] * len(tx.vin)


@pytest.mark.parametrize("start", chunks("tx_valid"))
def test_tx_valid(start):
    for row, prevouts, raw, flags in transaction_cases("tx_valid", start):
        assert is_valid(raw, prevouts, flags), row


@pytest.mark.parametrize("start", chunks("tx_invalid"))
def test_tx_invalid(start):
    for row, prevouts, raw, flags in transaction_cases("tx_invalid", start):
        try:
            valid = is_valid(raw, prevouts, flags)
        except ValidationError:
            valid = False
        assert not valid, row


@pytest.mark.parametrize("start", chunks("sighash"))
def test_sighash(start):
    for raw, script, index, hash_type, expected_hex in cases("sighash", start):
        tx = transaction_from_bytes(bytes.fromhex(raw))
        digests = TxDigests(tx, (TxOut(0, b""),) * len(tx.vin))
        digest = legacy_sighash(digests, index, bytes.fromhex(script), hash_type)
        assert digest[::-1].hex() == expected_hex
