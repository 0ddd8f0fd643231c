"""Partially signed transactions: every case of BIP174's."""

from base64 import b64decode

import pytest

from misocoin.errors import ParseError, WalletError
from misocoin.wallet.psbt import (
    Psbt,
    bytes_from_psbt,
    calculate_psbt_fee,
    combine_psbts,
    psbt_from_bytes,
    psbt_from_text,
    text_from_psbt,
)
from misocoin.wallet.psbt_signing import extract_transaction, finalize_psbt, sign_psbt
from tests.unit.wallet import bip174_walk as walk
from tests.unit.wallet.bip174_cases import INVALID, UNSIGNABLE, VALID

REASONS = {
    "a transaction on its own": "not a partially signed",
    "no outputs": "unexpected end",
    "a signature in the transaction": "signed already",
    "no transaction": "no transaction",
    "the same key twice in an input": "a key twice",
    "a longer key for the transaction": "no transaction",
    "a signature's public key of 32 bytes": "no public key",
    "an origin's public key of 32 bytes in an input": "no public key",
    "an origin's public key of 32 bytes in an output": "no public key",
    "a longer key for a hash type": "behind the PSBT's end",
    "a longer key for an output's witness script": "unexpected end",
    "the transaction in the form with witnesses": "transaction",
    "another version": "another version",
}
"""Why a case is refused, where it is not for a key that is longer than it may be."""


def psbt_of(text: str) -> Psbt:
    return psbt_from_text(text.encode())


@pytest.mark.parametrize("name", INVALID)
def test_no_psbt(name):
    with pytest.raises(ParseError, match=REASONS.get(name, "longer than it may be")):
        psbt_of(INVALID[name])


@pytest.mark.parametrize("name", VALID)
def test_a_psbt_is_written_as_it_was_read(name):
    data = b64decode(VALID[name])
    psbt = psbt_of(VALID[name])
    assert psbt == psbt_from_bytes(data)
    assert bytes_from_psbt(psbt) == data
    assert text_from_psbt(psbt) == VALID[name]
    assert combine_psbts([psbt, psbt]) == psbt
    assert sign_psbt(psbt, lambda _key, _origin: None) == (psbt, 0)


@pytest.mark.parametrize("name", UNSIGNABLE)
def test_what_is_not_signed(name):
    with pytest.raises(WalletError, match="needed|another's"):
        sign_psbt(psbt_of(UNSIGNABLE[name]), walk.find_with(0, 1, 2, 3))


def test_from_creator_to_extractor():
    tx = psbt_of(walk.UPDATED).tx
    nothing = Psbt(tx, {}, ({}, {}), ({}, {}))
    assert text_from_psbt(nothing) == walk.CREATED
    updated = psbt_of(walk.UPDATED)
    assert calculate_psbt_fee(updated) == 10_000
    one, count_one = sign_psbt(updated, walk.find_with(0, 2))
    other, count_other = sign_psbt(updated, walk.find_with(1, 3))
    assert (count_one, count_other) == (2, 2)
    assert one == psbt_of(walk.SIGNED_BY_ONE)
    assert other == psbt_of(walk.SIGNED_BY_OTHER)
    for half in (one, other):
        with pytest.raises(WalletError, match="input 0 has 1 of the 2 signatures it needs"):
            finalize_psbt(half)
    combined = combine_psbts([one, other])
    assert combined == combine_psbts([other, one]) == psbt_of(walk.COMBINED)
    assert sign_psbt(combined, walk.find_with(0, 1, 2, 3)) == (combined, 0)
    final = finalize_psbt(combined)
    assert final == finalize_psbt(final) == psbt_of(walk.FINAL)
    assert extract_transaction(final).serialize().hex() == walk.EXTRACTED_HEX


def test_fields_of_unknown_types_are_combined():
    *copies, both = map(psbt_of, walk.UNKNOWN_FIELDS)
    assert combine_psbts(copies) == both
