"""Signatures: published vectors through both backends, and the rules of consensus."""

import hashlib

import pytest

from misocoin.crypto import coincurve_backend, ecdsa_backend
from misocoin.crypto.der import ORDER, compact_from_lax_der, der_from_compact
from tests.unit.crypto.keyrig import DIGEST, FIELD, KEY, R, S, both_backends, compact

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
