"""PEM files: what OpenSSL writes and reads, and what is no key."""

import shutil
import subprocess

import pytest
from ecdsa import der
from hypothesis import given, settings
from hypothesis import strategies as st

from misocoin.crypto import pbes2, pem
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import KeyFormatError

KEY = PrivateKey.from_hex("0c28fca386c7a227600b2fe50b7cae11ec86d3bf1fbe471be89827e19d72aa1d")

# Written by OpenSSL 3.0 from the key above: `openssl ec` and `openssl pkcs8 -topk8 -nocrypt`.
SEC1 = """\
-----BEGIN EC PRIVATE KEY-----
MHQCAQEEIAwo/KOGx6InYAsv5Qt8rhHshtO/H75HG+iYJ+GdcqodoAcGBSuBBAAK
oUQDQgAE0N4Krq760CuL3IoBobixHGlr09ZqLF8QeA2Vt99CZFzYUiim+ymUDoWO
flWEKuK9EV0e18wOgtk06SnJdkjLCg==
-----END EC PRIVATE KEY-----
"""
PKCS8 = """\
-----BEGIN PRIVATE KEY-----
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgDCj8o4bHoidgCy/lC3yu
EeyG078fvkcb6Jgn4Z1yqh2hRANCAATQ3gqurvrQK4vcigGhuLEcaWvT1mosXxB4
DZW330JkXNhSKKb7KZQOhY5+VYQq4r0RXR7XzA6C2TTpKcl2SMsK
-----END PRIVATE KEY-----
"""
OTHER_CURVE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXf1ZgSEnvg+3f0Ci
AeCYrG/OSWZWz6xIKbRNw+5ojeOhRANCAAT6EqhVGenVF+vonUIDehqyUQiRkkhQ
eeibMKNhcQin1YRfs56nnVpHlvjNMwpSR3bvCIkYgh59MO10tXCkEH8v
-----END PRIVATE KEY-----
"""
BINARY_CURVE = """\
-----BEGIN PRIVATE KEY-----
MIGQAgEAMBAGByqGSM49AgEGBSuBBAAQBHkwdwIBAQQkAAYSJN004dFKeNMz/S0B
N6m2L6qQQhgrxWzA5wTmnYuDHrVQoUwDSgAEAWF5QzmkmQR35oLgs42eqSRcOBnG
xoxocWG0mAeVWkhGZljmAXvjV83xZUKekxQzu44hhq4m+qkTM90pr95hKbeNfhn7
3lqi
-----END PRIVATE KEY-----
"""
ED25519 = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIOmv+77soTKvQ7q0rVuxSQ6w85lj/Q3HwkxDVnUBkdRU
-----END PRIVATE KEY-----
"""
EXPLICIT = """\
-----BEGIN EC PRIVATE KEY-----
MIIBUQIBAQQgDCj8o4bHoidgCy/lC3yuEeyG078fvkcb6Jgn4Z1yqh2ggeMwgeAC
AQEwLAYHKoZIzj0BAQIhAP////////////////////////////////////7///wv
MEQEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABCAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAABwRBBHm+Zn753LusVaBilc6HCwcCm/zbLc4o
2VnygVsW+BeYSDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj/sQ1LgCIQD/////
///////////////+uq7c5q9IoDu/0l6M0DZBQQIBAaFEA0IABNDeCq6u+tAri9yK
AaG4sRxpa9PWaixfEHgNlbffQmRc2FIopvsplA6Fjn5VhCrivRFdHtfMDoLZNOkp
yXZIywo=
-----END EC PRIVATE KEY-----
"""


@pytest.mark.parametrize("text", [SEC1, PKCS8, SEC1.encode(), PKCS8.replace("\n", "\r\n")])
def test_what_openssl_writes_is_read(text):
    assert pem.key_from_pem(text) == KEY


def test_what_is_written_is_read():
    for seed in range(1, 5):
        key = PrivateKey(bytes(31) + bytes((seed,)))
        text = pem.pem_from_key(key)
        assert text.startswith("-----BEGIN PRIVATE KEY-----\n")
        assert text.endswith("-----END PRIVATE KEY-----\n")
        assert pem.key_from_pem(text) == key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_reads_what_is_written():
    result = subprocess.run(
        ["openssl", "pkey", "-noout", "-text"],
        input=pem.pem_from_key(KEY),
        capture_output=True,
        text=True,
        check=True,
    )
    shown = result.stdout.replace(" ", "").replace("\n", "").replace(":", "")
    assert "secp256k1" in shown
    assert KEY.secret.hex() in shown
    assert PrivateKey(KEY.secret, compressed=False).public_key.hex() in shown


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no such section"),
        ("garbage", "no such section"),
        (b"\xff\xfe", "no such section"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no such section"),
        ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "damaged"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "another kind"),
        ("-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\n", "damaged"),
        (PKCS8[: len(PKCS8) // 2], "damaged"),
        (OTHER_CURVE, "another curve"),
        (BINARY_CURVE, "another curve"),
        (ED25519, "another curve"),
        (EXPLICIT, "another kind"),
        (PKCS8.replace("PRIVATE", "ENCRYPTED PRIVATE"), "encrypted"),
        (SEC1.replace("KEY-----\nM", "KEY-----\nProc-Type: 4,ENCRYPTED\n\nM"), "old way"),
        (PKCS8.replace("osXxB4\nD", "osXxB4\nE"), "damaged"),
        ("x" * 20_000, "too long"),
    ],
)
def test_what_is_no_key_is_refused(text, reason):
    with pytest.raises(KeyFormatError, match=reason) as error:
        pem.key_from_pem(text)
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None


# -- under a passphrase -----------------------------------------------------------------------

# Written by OpenSSL 3.0 from the key above, passphrase `hello`: `openssl pkcs8 -topk8`.
PBKDF2 = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjd2fNICrzLLwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEBAArHPtfpMhl/qJLkcoW0UEgZAt
D0vqt1MI/bfYaBHJaqtwKTOtRSe8ZnKiU46WbCJT0sfm735FN3zseFlG2jH09wHF
ezjuWcmN0dEHBaF6ZM8C7MbgRnzsMGYQSBDthSxHcVDSXzHJk/0roxD2omWHkwqL
mZ2jeJip+dfRph+25ElpgTV1mwcsME7/C3rIi4klZHULo0jgScwjEi4E75pRPlE=
-----END ENCRYPTED PRIVATE KEY-----
"""
SCRYPT = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAjGcVnVIeM5PgICBAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBA/p8TF9OnCHuxP04eVC+aXBIGQR4FUhf/yqorc
C7Ru6m8lbO4jHsMWZg6HI3KEfyfq2AHVWddRy0BEaxXTXO8y0JrFfRqVQ+FZMvyr
GZqXcK5TJpI9bqBubLkmGqGF5oZl0+Je3m8DVhxFAGj4T4mjHr6NHgrCIinycv/0
rej+/zyNYo/zezP8feUSIs5IZfiqO+XnIe1AOXoX1e+QsyrJCR37
-----END ENCRYPTED PRIVATE KEY-----
"""


@pytest.mark.parametrize("text", [PBKDF2, SCRYPT, "Bag Attributes\n" + SCRYPT])
def test_what_openssl_encrypts_is_read(text):
    assert pem.is_encrypted_pem(text.encode())
    assert pem.key_from_pem(text, b"hello") == KEY


@pytest.fixture(scope="module")
def encrypted():
    return pem.pem_from_key(KEY, "pässword".encode())


def test_a_passphrase_opens_what_it_closed(encrypted):
    assert encrypted.startswith(f"Public key: {KEY.public_key.hex()}\n-----BEGIN ENCRYPTED ")
    assert KEY.secret.hex() not in encrypted
    assert pem.key_from_pem(encrypted, "pässword".encode()) == KEY
    for wrong in (b"", b"password", "Pässword".encode()):
        with pytest.raises(KeyFormatError, match="passphrase is wrong") as error:
            pem.key_from_pem(encrypted, wrong)
        assert error.value.__cause__ is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_reads_what_is_encrypted(encrypted):
    def read(passphrase):
        return subprocess.run(
            ["openssl", "pkey", "-passin", f"pass:{passphrase}"],
            input=encrypted,
            capture_output=True,
            text=True,
        )

    result = read("pässword")
    assert result.returncode == 0, result.stderr
    assert pem.key_from_pem(result.stdout) == KEY
    assert read("password").returncode


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PKCS8.replace("PRIVATE", "ENCRYPTED PRIVATE"), "damaged or of another kind"),
        (SCRYPT[:200], "damaged or of another kind"),
        (SCRYPT.replace("AQgCAQEwHQYJ", "AQgCAQEwHQYK"), "passphrase is wrong|damaged"),
    ],
)
def test_damaged_envelopes_are_refused(text, reason):
    with pytest.raises(KeyFormatError, match=reason):
        pem.key_from_pem(text, b"hello")


def test_an_envelope_cannot_ask_for_much():
    envelope = pbes2.encrypt_pkcs8(b"plain", b"hello")
    assert pbes2.decrypt_pkcs8(envelope, b"hello") == b"plain"
    costs = der.encode_integer(1 << 14)
    assert costs in envelope
    for bad in (der.encode_integer(1 << 14 | 1), b"\x02\x02\x40\x01"):
        with pytest.raises(KeyFormatError, match="out of bounds|damaged"):
            pbes2.decrypt_pkcs8(envelope.replace(costs, bad), b"hello")
    high = envelope.replace(costs, b"\x02\x02\x7f\xff")
    with pytest.raises(KeyFormatError, match="out of bounds"):
        pbes2.decrypt_pkcs8(high, b"hello")


@given(st.integers(0, len(SCRYPT) - 1), st.integers(1, 127))
@settings(max_examples=60, deadline=None)
def test_a_flipped_byte_is_refused_or_changes_nothing(place, flip):
    text = SCRYPT[:place] + chr(ord(SCRYPT[place]) ^ flip) + SCRYPT[place + 1 :]
    try:
        assert pem.key_from_pem(text, b"hello") == KEY
    except KeyFormatError:
        return


@given(st.integers(0, len(PKCS8) - 1), st.integers(1, 127))
def test_a_flipped_byte_makes_no_other_key(place, flip):
    text = PKCS8[:place] + chr(ord(PKCS8[place]) ^ flip) + PKCS8[place + 1 :]
    try:
        assert pem.key_from_pem(text) == KEY
    except KeyFormatError:
        return
