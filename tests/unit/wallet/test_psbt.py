"""Partially signed transactions: every type of address, multisig, nonsense."""

from base64 import b64decode
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.crypto.bip32 import ExtendedPrivateKey
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import ParseError, WalletError
from misocoin.params import regtest
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from misocoin.script.flags import STANDARD
from misocoin.script.inputs import verify_input
from misocoin.script.sighash import TxDigests
from misocoin.wallet.addresses import (
    SINGLE_KEY_TYPES,
    Account,
    AccountKey,
    AddressType,
    Branch,
    KeyOrigin,
    account_path,
    forms_of_key,
)
from misocoin.wallet.psbt import (
    InputType,
    bytes_from_psbt,
    calculate_psbt_fee,
    combine_psbts,
    create_psbt,
    psbt_from_bytes,
    psbt_from_text,
    spent_outputs,
    text_from_psbt,
    update_psbt,
)
from misocoin.wallet.psbt_signing import check_signed, extract_transaction, finalize_psbt, sign_psbt
from misocoin.wallet.walletfile import (
    Secrets,
    account_from_extended_key,
    new_wallet_file,
    text_from_account_key,
)
from tests.unit.wallet import bip174_walk as walk

KEY = PrivateKey(bytes(31) + b"\x05")

# Out of BIP174's walk through all roles.
UPDATED = b64decode(walk.UPDATED).hex()
REDEEM = (
    "5221029583bf39ae0a609747ad199addd634fa6108559d6c5cd39b4c2183f1ab96e07f2102dab61ff49a14db6a7d"
    "02b0cd1fbb78fc4b18312b5b4e54dae4dba2fbfef536d752ae"
)
WITNESS = (
    "522103089dc10c7ac6db54f91329af617333db388cead0c231f723379d1b99030b02dc21023add904f3d6dcf59dd"
    "b906b0dee23529b7ffb9ed50e5e86151926860221f0e7352ae"
)
NESTED = "00208c2353173743b595dfb4a07b72ba8e42e3797da74e87fe7d9d7497e3b2028903"
SIGNATURE = (  # of m/0'/0'/2' for the second input
    "3044022062eb7a556107a7c73f45ac4ab5a1dddf6f7075fb1275969a7f383efff784bcb202200c05dbb7470dbf2f"
    "08557dd356c7325c1ed30913e996cd3840945db12228da5f01"
)


def vector():
    return psbt_from_bytes(bytes.fromhex(UPDATED))


def test_every_signature_that_is_wrong_is_noticed():
    psbt, _ = sign_psbt(vector(), walk.find_with(0, 1, 2, 3))
    data = bytes_from_psbt(psbt)
    place = data.index(bytes.fromhex(SIGNATURE)) + 20
    damaged = psbt_from_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
    with pytest.raises(WalletError, match="signatures of input 1 do not hold"):
        finalize_psbt(damaged)


def test_other_scripts_and_hash_types_are_not_signed_for():
    good = UPDATED
    for old, new, reason in (
        (REDEEM, REDEEM[:-4] + "53ae", "redeem script of input 0"),
        ("0104220020" + NESTED[4:], "0104220020" + NESTED[4:-2] + "00", "redeem script of input 1"),
        (WITNESS, WITNESS[:-4] + "53ae", "witness script of input 1"),
        ("0103040100000001044752", "0103048100000001044752", "hash type 129"),
    ):
        assert old in good
        psbt = psbt_from_bytes(bytes.fromhex(good.replace(old, new)))
        with pytest.raises(WalletError, match=reason):
            sign_psbt(psbt, walk.find_with(0, 1, 2, 3))


def test_copies_of_different_payments_are_not_combined():
    psbt = vector()
    other = UPDATED.replace("70aaf008", "71aaf008")
    with pytest.raises(WalletError, match="different payments"):
        combine_psbts([psbt, psbt_from_bytes(bytes.fromhex(other))])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (UPDATED.replace("80f0fa02", "81f0fa02"), "is another one"),
        (
            UPDATED.replace("00ffffffff838d", "0151ffffffff838d").replace("ff01009a", "ff01009b"),
            "signed",
        ),
        ("70736274ff00", "no transaction"),
        ("70736274ff01fb0402000000" + "00", "no transaction"),
    ],
)
def test_what_is_no_psbt(data, reason):
    with pytest.raises(ParseError, match=reason):
        psbt_from_bytes(bytes.fromhex(data))


def test_base64_may_be_broken_into_lines():
    text = walk.UPDATED.encode()
    assert psbt_from_text(b" " + text[:50] + b"\n" + text[50:] + b"\n") == vector()
    for bad in (b"", b"cHNid", b"precious", "é".encode()):
        with pytest.raises(ParseError):
            psbt_from_text(bad)


@given(st.integers(0, len(UPDATED) // 2 - 1), st.integers(1, 255))
def test_a_flipped_byte_is_read_or_refused(place, flip):
    data = bytearray.fromhex(UPDATED)
    data[place] ^= flip
    try:
        psbt = psbt_from_bytes(bytes(data))
    except ParseError:
        return
    assert psbt_from_bytes(bytes_from_psbt(psbt)) == psbt
    try:
        signed, _ = sign_psbt(psbt, walk.find_with(0, 1, 2, 3))
        finalize_psbt(signed)
    except WalletError:
        return


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data):
    with pytest.raises(ParseError):
        psbt_from_bytes(b"psbt\xff" + data)


# -- own wallets ------------------------------------------------------------------------------


def funding(script: bytes) -> Transaction:
    """A transaction that pays to a script, the same coins twice."""
    return Transaction.build(
        2, [TxIn(OutPoint(bytes(31) + b"\x07" + bytes(4)))], [TxOut(70_000, script)] * 2
    )


def spending(previous: list[Transaction], script: bytes) -> tuple[Transaction, list[TxOut]]:
    points = [tx.outpoint(0) for tx in previous]
    spent = [tx.vout[0] for tx in previous]
    output = TxOut(60_000 * len(previous), script)
    return Transaction.build(2, [TxIn(point) for point in points], [output]), spent


def holds(tx: Transaction, spent: list[TxOut]) -> bool:
    digests = TxDigests(tx, spent)
    return all(verify_input(digests, n, STANDARD) is None for n in range(len(tx.vin)))


def test_every_type_of_address_is_signed_for():
    secrets = Secrets("abandon " * 11 + "about")
    file = new_wallet_file(secrets, regtest())
    own = [account.address(Branch.RECEIVE, 3) for account in file.accounts]
    change = [account.address(Branch.CHANGE, 0) for account in file.accounts]
    addresses = {each.script_pubkey: each for each in (*own, *change)}
    assert [each.kind for each in own] == list(SINGLE_KEY_TYPES)
    previous = {tx.txid: tx for tx in (funding(each.script_pubkey) for each in own)}
    for each in change:
        tx, spent = spending(list(previous.values()), each.script_pubkey)
        psbt = create_psbt(tx, spent, addresses, lambda txid: previous[txid].serialize())
        psbt = psbt_from_text(text_from_psbt(psbt).encode())
        assert spent_outputs(psbt) == spent
        assert calculate_psbt_fee(psbt) == 40_000
        nothing, count = sign_psbt(
            psbt,
            Secrets(keys=(KEY,)).private_key,
        )
        assert (nothing, count) == (psbt, 0)
        signed, count = sign_psbt(psbt, secrets.private_key)
        assert count == 4
        final = extract_transaction(finalize_psbt(signed))
        assert holds(final, spent)
        assert final.txid != b""


def test_what_others_made_is_completed_by_the_wallet_it_is_of():
    secrets = Secrets("abandon " * 11 + "about")
    file = new_wallet_file(secrets, regtest())
    own = {
        each.script_pubkey: each
        for account in file.accounts
        for each in (account.address(Branch.RECEIVE, 1), account.address(Branch.CHANGE, 0))
    }
    previous = {tx.txid: tx for tx in (funding(script) for script in own)}
    tx, spent = spending(list(previous.values()), next(iter(own)))
    full = create_psbt(tx, spent, own, lambda txid: previous[txid].serialize())

    def only(kinds):
        return tuple([{k: v for k, v in fields.items() if k[0] in kinds} for fields in full.inputs])

    bare = replace(full, inputs=only((InputType.TX, InputType.UTXO)), outputs=({},))
    assert sign_psbt(bare, secrets.private_key)[1] == 0
    assert update_psbt(bare, own) == update_psbt(full, own) == full
    # Somebody who was given an account's key alone knows the end of a path; that does not stay.
    short = {bytes((InputType.BIP32,)) + own[spent[0].script_pubkey].origins[0][0]: bytes(12)}
    worse = replace(bare, inputs=({**bare.inputs[0], **short}, *bare.inputs[1:]))
    assert update_psbt(worse, own) == full
    watched = account_from_extended_key(
        text_from_account_key(file.accounts[0].keys[0], regtest()).split("]")[1], regtest()
    ).address(Branch.RECEIVE, 1)
    assert update_psbt(full, {watched.script_pubkey: watched}) == full
    signed, count = sign_psbt(update_psbt(worse, own), secrets.private_key)
    assert count == len(own)
    final = finalize_psbt(signed)
    assert holds(extract_transaction(final), spent)
    assert update_psbt(final, own) == final
    wrong = extract_transaction(final)
    with pytest.raises(WalletError, match="of input 2 do not hold: Invalid Schnorr signature"):
        check_signed(wrong, [*spent[:-1], spent[0]])
    check_signed(wrong, [None, *spent[:-1]])  # not known well enough to tell


def test_an_imported_key_signs():
    own = forms_of_key(KEY.public_key)[0]
    tx, spent = spending([funding(own.script_pubkey)], own.script_pubkey)
    psbt = create_psbt(tx, spent, {own.script_pubkey: own}, lambda _txid: None)
    signed, count = sign_psbt(psbt, Secrets(keys=(KEY,)).private_key)
    assert count == 1
    assert holds(extract_transaction(finalize_psbt(signed)), spent)


@pytest.mark.parametrize(("required", "count"), [(1, 1), (1, 2), (2, 3), (3, 3), (2, 15)])
def test_multisig(required, count):
    secrets = [ExtendedPrivateKey.from_seed(bytes((n + 1,)) * 16) for n in range(count)]
    path = account_path(AddressType.MULTISIG, regtest())
    keys = tuple(
        AccountKey(KeyOrigin(master.fingerprint, path), master.derive(path).public)
        for master in secrets
    )
    own = Account(AddressType.MULTISIG, keys, required).address(Branch.RECEIVE, 0)

    def finder(master):
        def find(public_key, origin):
            if origin is None or origin.fingerprint != master.fingerprint:
                return None
            return master.derive(origin.path).key

        return find

    before = funding(own.script_pubkey)
    tx, spent = spending([before], own.script_pubkey)
    addresses = {own.script_pubkey: own}
    psbt = create_psbt(tx, spent, addresses, lambda _txid: before.serialize())
    halves = [sign_psbt(psbt, finder(master))[0] for master in secrets]
    for chosen in list(combinations(halves, required))[:4]:
        final = extract_transaction(finalize_psbt(combine_psbts(chosen)))
        assert holds(final, spent)
        bare = Transaction.build(final.version, tx.vin, final.vout)
        assert final.weight - bare.weight <= own.input_weight - 164 + 2 + 1
    with pytest.raises(WalletError, match=f"has {required - 1} of the {required} signatures"):
        finalize_psbt(combine_psbts([psbt, *halves[: required - 1]]))
