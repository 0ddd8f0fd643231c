"""Keys and signatures: published vectors through both backends, and the rules of consensus."""

import hashlib
import subprocess
import sys

import pytest

from misocoin.crypto import coincurve_backend, ecdsa_backend, keys
from misocoin.crypto.der import ORDER, compact_from_lax_der, der_from_compact
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import KeyFormatError

FIELD = 2**256 - 2**32 - 977
GENERATOR_X = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
GENERATOR_Y = "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"

both_backends = pytest.mark.parametrize(
    "backend", [coincurve_backend, ecdsa_backend], ids=["libsecp256k1", "ecdsa"]
)


def compact(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


# Deterministic signatures on secp256k1 (RFC 6979 has none): known since bitcointalk 285142 and used
# by many libraries. Private key, message, r, s; the digest is SHA-256 of the message.
RFC6979 = [
    (
        1,
        b"Satoshi Nakamoto",
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8",
        "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
    ),
    (
        1,
        b"All those moments will be lost in time, like tears in rain. Time to die...",
        "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b",
        "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
    ),
    (
        ORDER - 1,
        b"Satoshi Nakamoto",
        "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0",
        "6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
    ),
    (
        0xF8B8AF8CE3C7CCA5E300D33939540C10D45CE001B8F252BFBC57BA0342904181,
        b"Alan Turing",
        "7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c",
        "58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea",
    ),
]


@both_backends
@pytest.mark.parametrize(("number", "message", "r", "s"), RFC6979)
def test_ecdsa_nonces_are_those_of_rfc6979(backend, number, message, r, s):
    digest = hashlib.sha256(message).digest()
    secret = number.to_bytes(32, "big")
    signature = backend.sign_ecdsa(secret, digest)
    assert signature.hex() == r + s
    public_key = backend.public_key_from_secret(secret, True)
    assert backend.verify_ecdsa(public_key, der_from_compact(signature), digest)
    assert not backend.verify_ecdsa(public_key, der_from_compact(signature), digest[::-1])


# bitcoin/bips, bip-0340/test-vectors.csv at 7e8b5dfc.
# Secret key (or ""), public key, auxiliary randomness, message, signature, is it valid?
BIP340_KEY = "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659"
BIP340_MESSAGE = "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89"
BIP340_R = "6cff5c3ba86c69ea4b7376f31a9bcb4f74c1976089b2d9963da2e5543e177769"
BIP340_S = "69e89b4c5564d00349106b8497785dd7d1d713a8ae82b32fa79d5f7fc407d39b"
BIP340_SIGNING = [
    (
        "00" * 31 + "03",
        "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
        "00" * 32,
        "00" * 32,
        "e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca8215"
        "25f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0",
    ),
    (
        "b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfef",
        BIP340_KEY,
        "00" * 31 + "01",
        BIP340_MESSAGE,
        "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de3341"
        "8906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a",
    ),
    (
        "c90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b14e5c9",
        "dd308afec5777e13121fa72b9cc1b7cc0139715309b086c960e18fd969774eb8",
        "c87aa53824b4d7ae2eb035a2b5bbbccc080e76cdc6d1692c4b0b62d798e6d906",
        "7e2d58d8b3bcdf1abadec7829054f90dda9805aab56c77333024b9d0a508b75c",
        "5831aaeed7b44bb74e5eab94ba9d4294c49bcf2a60728d8b4c200f50dd313c1b"
        "ab745879a5ad954a72c45a91c3a51d3c7adea98d82f8481e0e1e03674a6f3fb7",
    ),
    (
        "0b432b2677937381aef05bb02a66ecd012773062cf3fa2549e44f58ed2401710",
        "25d1dff95105f5253c4022f628a996ad3a0d95fbf21d468a1b33f8c160d8f517",
        "ff" * 32,
        "ff" * 32,
        "7eb0509757e246f19449885651611cb965ecc1a187dd51b64fda1edc9637d5ec"
        "97582b9cb13db3933705b32ba982af5af25fd78881ebb32771fc5922efc66ea3",
    ),
]
BIP340_VERIFYING = [
    (
        "leading zeros in r",
        "d69c3509bb99e412e68b0fe8544e72837dfa30746d8be2aa65975f29d22dc7b9",
        "4df3c3f68fcc83b27e9d42c90431a72499f17875c81a599b566c9889b9696703",
        "00000000000000000000003b78ce563f89a0ed9414f5aa28ad0d96d6795f9c63"
        "76afb1548af603b3eb45c9f8207dee1060cb71c04e80f593060b07d28308d7f4",
        True,
    ),
    (
        "public key not on the curve",
        "eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34",
        BIP340_MESSAGE,
        BIP340_R + BIP340_S,
        False,
    ),
    (
        "negated nonce",
        BIP340_KEY,
        BIP340_MESSAGE,
        "fff97bd5755eeea420453a14355235d382f6472f8568a18b2f057a1460297556"
        "3cc27944640ac607cd107ae10923d9ef7a73c643e166be5ebeafa34b1ac553e2",
        False,
    ),
    (
        "negated message",
        BIP340_KEY,
        BIP340_MESSAGE,
        "1fa62e331edbc21c394792d2ab1100a7b432b013df3f6ff4f99fcb33e0e1515f"
        "28890b3edb6e7189b630448b515ce4f8622a954cfe545735aaea5134fccdb2bd",
        False,
    ),
    (
        "negated s",
        BIP340_KEY,
        BIP340_MESSAGE,
        BIP340_R + "961764b3aa9b2ffcb6ef947b6887a226e8d7c93e00c5ed0c1834ff0d0c2e6da6",
        False,
    ),
    (
        "infinite R, r = 0",
        BIP340_KEY,
        BIP340_MESSAGE,
        "00" * 32 + "123dda8328af9c23a94c1feecfd123ba4fb73476f0d594dcb65c6425bd186051",
        False,
    ),
    (
        "infinite R, r = 1",
        BIP340_KEY,
        BIP340_MESSAGE,
        "00" * 31 + "01" + "7615fbaf5ae28864013c099742deadb4dba87f11ac6754f93780d5a1837cf197",
        False,
    ),
    (
        "r not on the curve",
        BIP340_KEY,
        BIP340_MESSAGE,
        "4a298dacae57395a15d0795ddbfd1dcb564da82b0f269bc70a74f8220429ba1d" + BIP340_S,
        False,
    ),
    (
        "r is the field size",
        BIP340_KEY,
        BIP340_MESSAGE,
        f"{FIELD:064x}" + BIP340_S,
        False,
    ),
    (
        "s is the order",
        BIP340_KEY,
        BIP340_MESSAGE,
        BIP340_R + f"{ORDER:064x}",
        False,
    ),
    (
        "public key over the field size",
        f"{FIELD + 1:064x}",
        BIP340_MESSAGE,
        BIP340_R + BIP340_S,
        False,
    ),
]


@both_backends
@pytest.mark.parametrize(
    ("secret", "key", "aux", "message", "signature"), BIP340_SIGNING, ids=("0", "1", "2", "3")
)
def test_bip340_signing(backend, secret, key, aux, message, signature):
    secret, key, aux, message, signature = map(
        bytes.fromhex, (secret, key, aux, message, signature)
    )
    assert backend.public_key_from_secret(secret, True)[1:] == key
    assert backend.sign_schnorr(secret, message, aux) == signature
    assert backend.verify_schnorr(key, signature, message)
    assert not backend.verify_schnorr(key, signature, message + b"\x00")


@both_backends
@pytest.mark.parametrize(
    ("key", "message", "signature", "valid"),
    [pytest.param(*case[1:], id=case[0]) for case in BIP340_VERIFYING],
)
def test_bip340_verification(backend, key, message, signature, valid):
    result = backend.verify_schnorr(*map(bytes.fromhex, (key, signature, message)))
    assert result is valid


@both_backends
def test_schnorr_over_messages_of_any_length(backend):
    # bip-0340/test-vectors.csv, 15: the empty message.
    assert backend.verify_schnorr(
        bytes.fromhex("778caa53b4393ac467774d09497a87224bf9fab6f6e68b23086497324d6fd117"),
        bytes.fromhex(
            "71535db165ecd9fbbc046e5ffaea61186bb6ad436732fccc25291a55895464cf"
            "6069ce26bf03466228f19a3a62db8a649f2d560fac652827d1af0574e427ab63"
        ),
        b"",
    )


KEY = PrivateKey.from_hex("f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181")
DIGEST = hashlib.sha256(b"Alan Turing").digest()
R = int(RFC6979[3][2], 16)
S = int(RFC6979[3][3], 16)


@both_backends
def test_high_s_is_valid(backend):
    for s in (S, ORDER - S):
        signature = der_from_compact(compact(R, s))
        assert backend.verify_ecdsa(KEY.public_key, signature, DIGEST)


@both_backends
@pytest.mark.parametrize(
    ("r", "s"),
    [(0, S), (R, 0), (0, 0), (R + ORDER, S), (ORDER, S), (R, ORDER), (R, S + 1), (S, R)],
)
def test_numbers_out_of_range_are_invalid(backend, r, s):
    numbers = [number.to_bytes(33, "big") for number in (r, s)]
    body = b"".join(b"\x02\x21" + number for number in numbers)
    signature = b"\x30" + bytes((len(body),)) + body
    assert not backend.verify_ecdsa(KEY.public_key, signature, DIGEST)


R_BYTES = R.to_bytes(32, "big")
S_BYTES = S.to_bytes(32, "big")
HIGH_S_BYTES = (ORDER - S).to_bytes(32, "big")
LAX_DER = {
    "strict": "3044 0220{r} 0220{s}",
    "wrong length of the sequence": "3000 0220{r} 0220{s}",
    "long length of the sequence": "308144 0220{r} 0220{s}",
    "indefinite length of the sequence": "3080 0220{r} 0220{s}",
    "nonsense as length of the sequence": "3083ffffff 0220{r} 0220{s}",
    "bytes behind": "3044 0220{r} 0220{s} 0000deadbeef",
    "long lengths of the integers": "3046 028120{r} 02820020{s}",
    "lengths with many zeros": "3050 02850000000020{r} 028400000020{s}",
    "padded integers": "3048 02220000{r} 022400000000{s}",
    "negative s": "3044 0220{r} 0220{high_s}",
}


def lax(text: str) -> bytes:
    return bytes.fromhex(text.format(r=R_BYTES.hex(), s=S_BYTES.hex(), high_s=HIGH_S_BYTES.hex()))


@both_backends
@pytest.mark.parametrize("text", LAX_DER.values(), ids=LAX_DER.keys())
def test_signatures_before_bip66_are_read_as_openssl_did(backend, text):
    assert backend.verify_ecdsa(KEY.public_key, lax(text), DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "3044",
        "3144 0220{r} 0220{s}",
        "3084",
        "30ff 0220{r} 0220{s}",
        "3044 0320{r} 0220{s}",
        "3044 0220{r} 0320{s}",
        "3044 02",
        "3044 0220",
        "3044 0220{r}",
        "3044 0220{r} 02",
        "3044 0220{r} 0221{s}",
        "3044 0221{r} 0220{s}",
        "3044 0281",
        "3044 0220{r} 028220{s}",
        "3044 028500ffffffff{r} 0220{s}",
        "3044 0289ffffffffffffffffff{r} 0220{s}",
        "3045 022101{r} 0220{s}",
        "3045 0220{r} 022101{s}",
    ],
)
def test_what_openssl_could_not_read_either(text):
    assert compact_from_lax_der(lax(text)) is None
    for backend in (coincurve_backend, ecdsa_backend):
        assert not backend.verify_ecdsa(KEY.public_key, lax(text), DIGEST)


def test_lax_der_of_empty_integers_is_zero():
    assert compact_from_lax_der(bytes.fromhex("3004 0200 0200")) == bytes(64)


def test_strict_der():
    assert der_from_compact(compact(1, 2**255)).hex() == "3026" + "020101" + "022100" + "80" + (
        "00" * 31
    )
    assert der_from_compact(bytes(64)).hex() == "3006020100020100"
    for _, _, r, s in RFC6979:
        encoded = der_from_compact(bytes.fromhex(r + s))
        assert len(encoded) <= 71
        assert compact_from_lax_der(encoded).hex() == r + s


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
