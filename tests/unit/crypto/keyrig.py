"""What tests of keys and of signatures have in common."""

import hashlib

import pytest

from misocoin.crypto import coincurve_backend, ecdsa_backend
from misocoin.crypto.keys import PrivateKey

FIELD = 2**256 - 2**32 - 977
GENERATOR_X = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
GENERATOR_Y = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"

both_backends = pytest.mark.parametrize(
    "backend", [coincurve_backend, ecdsa_backend], ids=["libsecp256k1", "ecdsa"]
)


def compact(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


KEY = PrivateKey.from_hex("f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181")
DIGEST = hashlib.sha256(b"Alan Turing").digest()
R = 0x7063AE83E7F62BBB171798131B4A0564B956930092B33B07B395615D9EC7E15C
"""Of its deterministic signature over DIGEST, as S is."""
S = 0x58DFCC1E00A35E1572F366FFE34BA0FC47DB1E7189759B9FB233C5B05AB388EA
