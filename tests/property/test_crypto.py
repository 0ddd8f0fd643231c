"""Whatever the bytes: two libraries agree, batches agree, parsers parse or raise our error."""

import base64
import hashlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from misocoin.crypto import (
    base58,
    batch,
    bech32,
    coincurve_backend,
    ecdsa_backend,
    hashes,
    keys,
    pem,
    ripemd,
    wif,
)
from misocoin.crypto.batch import SignatureJob, SignatureKind, VerifierPool
from misocoin.crypto.der import ORDER, compact_from_lax_der, der_from_compact
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import AddressError, KeyFormatError

C = coincurve_backend
E = ecdsa_backend

# The oracle takes 2 ms a multiplication: fewer examples, and no verdict about its speed.
slow = settings(max_examples=25, deadline=None)

bytes32 = st.binary(min_size=32, max_size=32)
numbers = st.one_of(
    st.integers(1, ORDER - 1),
    st.sampled_from([1, 2, 3, ORDER // 2, ORDER // 2 + 1, ORDER - 2, ORDER - 1]),
)
secrets = numbers.map(lambda number: number.to_bytes(32, "big"))
# Near zero and the order, where the rules about ranges bite.
tweaks = st.one_of(
    bytes32,
    st.sampled_from([0, 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1]).map(
        lambda number: number.to_bytes(32, "big")
    ),
)


@slow
@given(secrets, bytes32, bytes32, st.booleans())
def test_both_backends_sign_alike_and_accept_each_other(secret, digest, aux, compressed):
    # libsecp256k1 feeds digests of n and more to RFC 6979 unreduced.
    assume(int.from_bytes(digest, "big") < ORDER)
    public_key = C.public_key_from_secret(secret, compressed)
    assert public_key == E.public_key_from_secret(secret, compressed)
    compact, recovery_id = C.sign_recoverable(secret, digest)
    assert (compact, recovery_id) == E.sign_recoverable(secret, digest)
    assert compact == C.sign_ecdsa(secret, digest)
    schnorr = C.sign_schnorr(secret, digest, aux)
    assert schnorr == E.sign_schnorr(secret, digest, aux)
    for backend in (C, E):
        assert backend.verify_ecdsa(public_key, der_from_compact(compact), digest)
        assert backend.verify_schnorr(public_key[1:33], schnorr, digest)
        assert backend.recover(compact, recovery_id, digest, compressed) == public_key


@slow
@given(secrets, tweaks)
def test_both_backends_tweak_alike(secret, tweak):
    public_key = C.public_key_from_secret(secret, True)
    xonly = public_key[1:]
    assert C.secret_tweak_add(secret, tweak) == E.secret_tweak_add(secret, tweak)
    assert C.secret_xonly_tweak_add(secret, tweak) == E.secret_xonly_tweak_add(secret, tweak)
    assert C.public_key_tweak_add(public_key, tweak) == E.public_key_tweak_add(public_key, tweak)
    tweaked = C.xonly_tweak_add(xonly, tweak)
    assert tweaked == E.xonly_tweak_add(xonly, tweak)
    if tweaked is not None:
        output, parity = tweaked
        for backend in (C, E):
            assert backend.is_taproot_tweak(output, parity, xonly, tweak)
            assert not backend.is_taproot_tweak(output, 1 - parity, xonly, tweak)


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(max_size=70),
        st.tuples(st.integers(0, 8), bytes32).map(lambda pair: bytes(pair[:1]) + pair[1]),
        st.tuples(st.integers(2, 8), bytes32, bytes32).map(
            lambda parts: bytes(parts[:1]) + parts[1] + parts[2]
        ),
    )
)
def test_both_backends_take_the_same_public_keys(data):
    assert C.is_public_key(data) == E.is_public_key(data) == keys.is_public_key(data)
    for compressed in (True, False):
        form = C.public_key_in_form(data, compressed)
        assert form == E.public_key_in_form(data, compressed)
        assert form is None or keys.is_public_key(form)


@slow
@given(st.binary(min_size=64, max_size=64), st.integers(0, 3), bytes32)
def test_both_backends_recover_alike(compact, recovery_id, digest):
    assert C.recover(compact, recovery_id, digest, True) == (
        E.recover(compact, recovery_id, digest, True)
    )


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_verification_of_any_bytes_gives_an_answer(public_key, signature, digest):
    for backend in (C, E):
        assert backend.verify_ecdsa(public_key, signature, digest) is False
        assert backend.verify_schnorr(public_key, signature, digest) is False
    assert keys.recover_public_key(signature, digest) is None or len(signature) == 65


@st.composite
def lax_integers(draw, number: bytes) -> bytes:
    """An INTEGER as OpenSSL of old would read it: padded or not, its length in any form."""
    body = number.lstrip(b"\x00")
    body = draw(st.sampled_from([number, body, b"\x00" + body, bytes(5) + body]))
    form = draw(st.sampled_from(["short", "long", "zeros"]))
    length = bytes((len(body),))
    if form != "short":
        length = (bytes(draw(st.integers(1, 9))) if form == "zeros" else b"") + length
        length = bytes((0x80 | len(length),)) + length
    return b"\x02" + length + body


@st.composite
def lax_signatures(draw, compact: bytes) -> bytes:
    """A signature in one of the many encodings that were valid before BIP66."""
    body = draw(lax_integers(compact[:32])) + draw(lax_integers(compact[32:]))
    length = draw(
        st.one_of(
            st.binary(min_size=1, max_size=1).filter(lambda length: length[0] < 0x80),
            st.binary(max_size=5).map(lambda digits: bytes((0x80 | len(digits),)) + digits),
        )
    )
    return b"\x30" + length + body + draw(st.binary(max_size=3))


@given(numbers, numbers, st.data())
def test_lax_signatures_are_read(r, s, data):
    compact = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert compact_from_lax_der(data.draw(lax_signatures(compact))) == compact
    assert compact_from_lax_der(der_from_compact(compact)) == compact


@given(st.binary(max_size=80))
def test_any_bytes_are_a_lax_signature_or_none(data):
    compact = compact_from_lax_der(b"\x30" + data)
    assert compact is None or len(compact) == 64


KEYS = [PrivateKey(hashlib.sha256(bytes((n,))).digest(), n % 2 == 0) for n in range(4)]


@st.composite
def jobs(draw) -> SignatureJob:
    """A valid signature, in any encoding, with high or low s; often with one byte spoilt."""
    key = draw(st.sampled_from(KEYS))
    digest = draw(st.sampled_from([bytes(32), hashlib.sha256(b"digest").digest()]))
    kind = draw(st.sampled_from(SignatureKind))
    if kind is SignatureKind.SCHNORR:
        signature = key.sign_schnorr(digest, bytes(32))
        job = SignatureJob(kind, key.xonly_public_key, signature, digest)
    else:
        compact = C.sign_ecdsa(key.secret, digest)
        if draw(st.booleans()):
            s = ORDER - int.from_bytes(compact[32:], "big")
            compact = compact[:32] + s.to_bytes(32, "big")
        job = SignatureJob(kind, key.public_key, draw(lax_signatures(compact)), digest)
    if draw(st.booleans()):
        name = draw(st.sampled_from(["public_key", "signature", "digest"]))
        value = bytearray(getattr(job, name))
        position = draw(st.integers(0, len(value) - 1))
        change = draw(st.sampled_from(["flip", "drop", "insert", "truncate"]))
        if change == "flip":
            value[position] ^= draw(st.integers(1, 255))
        elif change == "drop":
            del value[position]
        elif change == "insert":
            value.insert(position, draw(st.integers(0, 255)))
        else:
            del value[position:]
        job = job._replace(**{name: bytes(value)})
    return job


@pytest.mark.skipif(not batch.is_native(), reason="the native module is not built")
@settings(deadline=None)
@given(st.lists(jobs(), max_size=30), st.integers(0, 30))
def test_native_and_portable_batches_agree(batch_of_jobs, cut):
    expected = batch.verify_batch_portably(batch_of_jobs)
    assert batch.verify_batch(batch_of_jobs) == expected
    with VerifierPool(2) as pool:
        pool.submit(batch_of_jobs[:cut])
        pool.submit(batch_of_jobs[cut:])
        assert pool.wait() == expected


@slow
@given(jobs())
def test_the_oracle_agrees_with_what_a_batch_says(job):
    verify = E.verify_ecdsa if job.kind is SignatureKind.ECDSA else E.verify_schnorr
    assert batch.is_valid_job(job) is verify(job.public_key, job.signature, job.digest)


@given(st.binary(max_size=200))
def test_ripemd160_is_that_of_openssl(data):
    assert ripemd.ripemd160(data) == hashes.ripemd160(data)


@given(st.binary(max_size=120))
def test_base58_comes_back(data):
    assert base58.bytes_from_text(base58.text_from_bytes(data)) == data
    assert base58.bytes_from_checked_text(base58.checked_text_from_bytes(data)) == data


texts = st.one_of(
    st.text(max_size=100),
    st.text(base58.ALPHABET, max_size=100),
    st.text(bech32.ALPHABET, max_size=90).map(lambda text: "bc1" + text),
)


@given(texts)
def test_any_text_is_base58_or_an_address_error(text):
    try:
        data = base58.bytes_from_text(text)
    except AddressError:
        return
    assert base58.text_from_bytes(data) == text


@given(texts)
def test_any_text_is_base58check_or_wif_or_our_error(text):
    with pytest.raises(AddressError):
        base58.bytes_from_checked_text(text)
    with pytest.raises(KeyFormatError):
        wif.key_from_wif(text, 128)


@given(st.binary(max_size=40), st.integers(0, 255))
def test_any_payload_is_wif_or_a_key_format_error(payload, version):
    text = base58.checked_text_from_bytes(payload)
    try:
        key = wif.key_from_wif(text, version)
    except KeyFormatError:
        return
    assert wif.wif_from_key(key, version) == text


@given(secrets, st.integers(0, 255), st.booleans())
def test_wif_comes_back(secret, version, compressed):
    key = PrivateKey(secret, compressed)
    assert wif.key_from_wif(wif.wif_from_key(key, version), version) == key


@st.composite
def programs(draw) -> tuple[int, bytes]:
    version = draw(st.integers(0, 16))
    if version == 0:
        size = draw(st.sampled_from([20, 32]))
        return version, draw(st.binary(min_size=size, max_size=size))
    return version, draw(st.binary(min_size=2, max_size=40))


@given(st.sampled_from(["bc", "miso", "bcrt"]), programs())
def test_segwit_addresses_come_back(prefix, program):
    address = bech32.segwit_address(prefix, *program)
    assert bech32.program_from_segwit_address(prefix, address) == program
    assert bech32.program_from_segwit_address(prefix, address.upper()) == program


@given(programs(), st.data())
def test_up_to_four_wrong_characters_are_noticed(program, data):
    # BIP173: any four substitutions in up to 90 characters.
    address = list(bech32.segwit_address("miso", *program))
    places = data.draw(
        st.lists(st.integers(5, len(address) - 1), min_size=1, max_size=4, unique=True)
    )
    for place in places:
        others = bech32.ALPHABET.replace(address[place], "")
        address[place] = data.draw(st.sampled_from(others))
    with pytest.raises(AddressError, match="checksum"):
        bech32.program_from_segwit_address("miso", "".join(address))


@given(texts)
def test_any_text_is_an_address_or_an_address_error(text):
    try:
        version, program = bech32.program_from_segwit_address("bc", text)
    except AddressError:
        return
    assert bech32.segwit_address("bc", version, program) == text.lower()


PEM_DER = base64.b64decode("".join(pem.pem_from_key(KEYS[0]).splitlines()[1:-1]))


@st.composite
def damaged_pem(draw) -> bytes:
    """A key file with a few bytes changed, cut off or inserted, its base64 intact."""
    der = bytearray(PEM_DER)
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, len(der) - 1))
        der[position : position + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    name = draw(st.sampled_from([b"PRIVATE KEY", b"EC PRIVATE KEY", b"RSA PRIVATE KEY"]))
    body = base64.b64encode(der)
    return b"-----BEGIN %s-----\n%s\n-----END %s-----\n" % (name, body, name)


@settings(deadline=None)
@given(st.one_of(damaged_pem(), st.binary(max_size=300), st.text(max_size=300)))
def test_any_bytes_are_a_private_key_in_pem_or_a_key_format_error(data):
    try:
        key = pem.key_from_pem(data)
    except KeyFormatError:
        return
    assert pem.key_from_pem(pem.pem_from_key(key)) == key


@given(st.one_of(st.text(max_size=70), st.binary(max_size=40).map(bytes.hex)))
def test_any_text_is_a_private_key_in_hex_or_a_key_format_error(text):
    try:
        key = PrivateKey.from_hex(text)
    except KeyFormatError:
        return
    assert key.secret == bytes.fromhex(text)
