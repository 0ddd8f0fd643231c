"""PEM files: what OpenSSL writes and reads, and what is no key."""

import shutil
import subprocess

import pytest

from misocoin.crypto import pem
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
        ("x" * 20_000, "too long"),
    ],
)
def test_what_is_no_key_is_refused(text, reason):
    with pytest.raises(KeyFormatError, match=reason) as error:
        pem.key_from_pem(text)
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None
