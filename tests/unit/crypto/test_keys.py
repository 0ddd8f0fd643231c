"""Keys: published vectors through both backends, tweaks, recovery, and how they are made."""

import hashlib
import subprocess
import sys

import pytest

from misocoin.crypto import coincurve_backend, ecdsa_backend, keys
from misocoin.crypto.der import ORDER
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import KeyFormatError
from tests.unit.crypto.keyrig import (
    DIGEST,
    FIELD,
    GENERATOR_X,
    GENERATOR_Y,
    KEY,
    R,
    S,
    both_backends,
    compact,
)

PUBLIC_KEYS = {
    "compressed, even": ("02" + GENERATOR_X, True),
    "compressed, odd": ("03" + GENERATOR_X, True),
    "uncompressed": ("04" + GENERATOR_X + GENERATOR_Y, True),
    "hybrid, even": ("06" + GENERATOR_X + GENERATOR_Y, True),
    "hybrid, wrong parity": ("07" + GENERATOR_X + GENERATOR_Y, False),
    "hybrid, odd": ("07" + GENERATOR_X + f"{FIELD - int(GENERATOR_Y, 16):064x}", True),
    "unknown form": ("05" + GENERATOR_X + GENERATOR_Y, False),
    "infinity": ("00", False),
    "nothing": ("", False),
    "x only": (GENERATOR_X, False),
    "uncompressed form, compressed length": ("04" + GENERATOR_X, False),
    "compressed form, uncompressed length": ("02" + GENERATOR_X + GENERATOR_Y, False),
    "a byte too long": ("02" + GENERATOR_X + "00", False),
    "y not on the curve": ("04" + GENERATOR_X + GENERATOR_X, False),
    "no such x": ("02" + "00" * 31 + "05", False),
    "x is the field size": ("02" + f"{FIELD:064x}", False),
    "x over the field size": ("02" + f"{FIELD + 1:064x}", False),
    "y over the field size": ("04" + "00" * 31 + "01" + f"{2**256 - 1:064x}", False),
}


@both_backends
@pytest.mark.parametrize(("key", "valid"), PUBLIC_KEYS.values(), ids=PUBLIC_KEYS.keys())
def test_public_keys(backend, key, valid):
    assert backend.is_public_key(bytes.fromhex(key)) is valid
    assert (backend.public_key_in_form(bytes.fromhex(key), True) is not None) is valid


@both_backends
def test_verification_takes_every_form_of_the_key(backend):
    signature = KEY.sign_ecdsa(DIGEST)
    point = keys.public_key_in_form(KEY.public_key, compressed=False)[1:]
    hybrid = bytes((6 + (point[-1] & 1),)) + point
    for public_key in (KEY.public_key, b"\x04" + point, hybrid):
        assert backend.verify_ecdsa(public_key, signature, DIGEST)
    for garbage in (b"", b"\x02", hybrid[:1] + bytes(64), KEY.public_key + b"\x00"):
        assert not backend.verify_ecdsa(garbage, signature, DIGEST)
    for digest in (b"", DIGEST[:31], DIGEST + b"\x00"):
        assert not backend.verify_ecdsa(KEY.public_key, signature, digest)


# bitcoin/bips, bip-0341/wallet-test-vectors.json: internal key, tweak, output key, parity from the
# control block where there is one.
@both_backends
@pytest.mark.parametrize(
    ("internal", "tweak", "output", "parity"),
    [
        (
            "d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d",
            "b86e7be8f39bab32a6f2c0443abbc210f0edac0e2c53d501b36b64437d9c6c70",
            "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343",
            None,
        ),
        (
            "187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27",
            "cbd8679ba636c1110ea247542cfbd964131a6be84f873f7f3b62a777528ed001",
            "147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3",
            1,
        ),
    ],
)
def test_taproot_tweaks(backend, internal, tweak, output, parity):
    internal, tweak, output = map(bytes.fromhex, (internal, tweak, output))
    x, found = backend.xonly_tweak_add(internal, tweak)
    assert x == output
    assert parity in (None, found)
    assert backend.is_taproot_tweak(output, found, internal, tweak)
    assert not backend.is_taproot_tweak(output, 1 - found, internal, tweak)
    assert not backend.is_taproot_tweak(internal, found, internal, tweak)


def test_taproot_tweaks_of_bytes_that_are_none():
    good = bytes.fromhex(GENERATOR_X)
    assert keys.xonly_tweak_add(good, bytes(32)) == (good, 0)
    assert keys.xonly_tweak_add(good, ORDER.to_bytes(32, "big")) is None
    assert keys.xonly_tweak_add(good, (ORDER - 1).to_bytes(32, "big")) is None
    assert keys.xonly_tweak_add(bytes(31) + b"\x05", bytes(32)) is None
    for wrong in (b"", good + b"\x00"):
        assert keys.xonly_tweak_add(wrong, bytes(32)) is None
        assert keys.xonly_tweak_add(good, wrong) is None
        assert not keys.is_taproot_tweak(wrong, 0, good, bytes(32))
        assert not keys.is_taproot_tweak(good, 0, wrong, bytes(32))
        assert not keys.is_taproot_tweak(good, 0, good, wrong)
    assert not keys.is_taproot_tweak(good, 0, bytes(31) + b"\x05", bytes(32))


def test_private_keys_and_their_public_keys_are_tweaked_alike():
    tweak = hashlib.sha256(b"tweak").digest()
    child = KEY.tweak_add(tweak)
    assert child.public_key == keys.public_key_tweak_add(KEY.public_key, tweak)
    for seed in range(4):
        key = PrivateKey(hashlib.sha256(bytes((seed,))).digest())
        output = key.xonly_tweak_add(tweak).xonly_public_key
        assert output == keys.xonly_tweak_add(key.xonly_public_key, tweak)[0]


@both_backends
def test_tweaks_that_lead_nowhere(backend):
    minus_key = (ORDER - int.from_bytes(KEY.secret, "big")).to_bytes(32, "big")
    too_large = ORDER.to_bytes(32, "big")
    for tweak in (minus_key, too_large):
        assert backend.secret_tweak_add(KEY.secret, tweak) is None
        assert backend.public_key_tweak_add(KEY.public_key, tweak) is None
    assert backend.secret_xonly_tweak_add(KEY.secret, too_large) is None
    assert backend.public_key_tweak_add(b"\x02", bytes(32)) is None


def test_tweaks_that_lead_nowhere_raise():
    with pytest.raises(KeyFormatError, match="no key"):
        KEY.tweak_add(ORDER.to_bytes(32, "big"))
    assert keys.public_key_tweak_add(KEY.public_key, b"short") is None
    with pytest.raises(ValueError, match="32"):
        KEY.tweak_add(b"short")


@pytest.mark.parametrize("compressed", [True, False])
def test_public_keys_are_recovered_from_signatures(compressed):
    key = PrivateKey(KEY.secret, compressed)
    signature = key.sign_recoverable(DIGEST)
    assert signature[1:] == compact(R, S)
    assert signature[0] in ((31, 32) if compressed else (27, 28))
    assert keys.recover_public_key(signature, DIGEST) == key.public_key
    assert keys.recover_public_key(signature, DIGEST[::-1]) != key.public_key


@pytest.mark.parametrize("header", [0, 26, 35, 255])
def test_recovery_refuses_other_headers(header):
    signature = bytes((header,)) + KEY.sign_recoverable(DIGEST)[1:]
    assert keys.recover_public_key(signature, DIGEST) is None


def test_recovery_refuses_garbage():
    for signature in (
        b"",
        b"\x1f" + bytes(63),
        b"\x1f" + bytes(64),
        b"\x1f" + b"\xff" * 64,
        b"\x1f" + compact(5, 1),  # no point has that x
        b"\x21" + compact(R, S),  # r + n exceeds the field
    ):
        assert keys.recover_public_key(signature, DIGEST) is None
        for backend in (coincurve_backend, ecdsa_backend):
            if len(signature) == 65:
                header = signature[0] - 31
                assert backend.recover(signature[1:], header & 3, DIGEST, True) is None
    assert keys.recover_public_key(KEY.sign_recoverable(DIGEST), b"short") is None


def test_private_key_accepts_only_secrets():
    for secret in (b"", bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, bytes(31), bytes(33)):
        with pytest.raises(KeyFormatError):
            PrivateKey(secret)
    assert PrivateKey((ORDER - 1).to_bytes(32, "big")).public_key.hex() == "03" + GENERATOR_X
    for text in ("", "zz", "00" * 32, KEY.secret.hex()[:-1], KEY.secret.hex() + "00"):
        with pytest.raises(KeyFormatError) as error:
            PrivateKey.from_hex(text)
        assert not text or text not in str(error.value)


def test_private_key_does_not_show_itself():
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
    assert repr(KEY) == "PrivateKey(compressed=True)"


def test_generated_keys_differ_and_sign():
    first, second = PrivateKey.generate(), PrivateKey.generate(compressed=False)
    assert first.secret != second.secret
    assert len(first.public_key) == 33
    assert len(second.public_key) == 65
    for key in (first, second):
        assert keys.verify_ecdsa(key.public_key, key.sign_ecdsa(DIGEST), DIGEST)
        signature = key.sign_schnorr(DIGEST)
        assert keys.verify_schnorr(key.xonly_public_key, signature, DIGEST)
        assert key.sign_schnorr(DIGEST) != signature
    for wrong in (b"", DIGEST[:31], DIGEST + b"\x00"):
        for sign in (first.sign_ecdsa, first.sign_schnorr, first.sign_recoverable):
            with pytest.raises(ValueError, match="32"):
                sign(wrong)


def test_generation_draws_again_where_the_number_is_no_secret(monkeypatch):
    draws = iter([bytes(32), b"\xff" * 32, KEY.secret])
    monkeypatch.setattr(keys.secrets, "token_bytes", lambda _size: next(draws))
    assert PrivateKey.generate() == KEY


def test_a_signature_is_as_short_as_a_low_r_makes_it() -> None:
    # In DER an r from 2^255 on would take one byte more.
    signatures = [KEY.sign_ecdsa(bytes([number]) * 32) for number in range(50)]
    assert max(map(len, signatures)) == 70
    assert all(signature[4] < 0x80 for signature in signatures)


@pytest.mark.parametrize("secret", [bytes(32), ORDER.to_bytes(32, "big")])
def test_the_library_refuses_what_is_no_secret(secret):
    backend = coincurve_backend
    for call in (
        lambda: backend.public_key_from_secret(secret, True),
        lambda: backend.sign_ecdsa(secret, DIGEST),
        lambda: backend.sign_recoverable(secret, DIGEST),
        lambda: backend.sign_schnorr(secret, DIGEST, bytes(32)),
    ):
        with pytest.raises(ValueError, match="out of range"):
            call()


def test_public_key_in_form():
    uncompressed = keys.public_key_in_form(bytes.fromhex("02" + GENERATOR_X), compressed=False)
    assert uncompressed.hex() == "04" + GENERATOR_X + GENERATOR_Y
    assert keys.public_key_in_form(uncompressed, compressed=True).hex() == "02" + GENERATOR_X
    with pytest.raises(KeyFormatError):
        keys.public_key_in_form(b"\x02", compressed=True)


WITHOUT_COINCURVE = """
import sys
sys.modules["coincurve"] = None
from misocoin.crypto import batch, keys, backend
assert backend.backend_name() == "ecdsa", backend.backend_name()
assert not batch.is_native()
key = keys.PrivateKey(bytes(31) + b"\\x07")
digest = bytes(range(32))
jobs = [
    batch.SignatureJob(batch.SignatureKind.ECDSA, key.public_key, key.sign_ecdsa(digest), digest),
    batch.SignatureJob(
        batch.SignatureKind.SCHNORR, key.xonly_public_key, key.sign_schnorr(digest), digest
    ),
]
jobs.append(jobs[0]._replace(signature=b""))
assert batch.verify_batch(jobs) == [2]
with batch.VerifierPool(2) as pool:
    pool.submit(jobs)
    assert pool.wait() == [2]
print(key.sign_ecdsa(digest).hex())
"""


def test_everything_works_without_coincurve():
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_COINCURVE], capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    key = PrivateKey(bytes(31) + b"\x07")
    assert result.stdout.strip() == key.sign_ecdsa(bytes(range(32))).hex()
