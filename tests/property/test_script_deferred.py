"""A deferred check with its batch gives the exact result, whatever was done to a spend."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from misocoin.crypto.batch import SignatureCache, verify_batch
from misocoin.crypto.hashes import hash160, sha256
from misocoin.script import flags as verify_flags
from misocoin.script.checker import DeferredChecker
from misocoin.script.inputs import check_input_deferred, verify_input
from misocoin.script.interpreter import verify_script
from misocoin.script.keyhash import key_hash_job
from misocoin.script.result import ScriptError
from misocoin.script.script import push_data, push_int
from misocoin.script.sighash import TxDigests
from misocoin.script.signing import KeyRing, output_key_of, sign_input
from misocoin.script.templates import (
    multisig_script,
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
)
from tests.property.test_script_fuzz import consistent
from tests.unit.script.core_format import script_from_text
from tests.unit.script.random_spends import draw_spend
from tests.unit.script.spends import (
    CONSENSUS,
    KEYS,
    Leaf,
    LeafSignature,
    error_by_batch,
    error_of,
    input_digests,
    leaf_spend,
    with_input,
)

PUBLIC = [key.public_key for key in KEYS]
MULTISIG = multisig_script(2, tuple(PUBLIC[:3]))
ALL_OF_THREE = multisig_script(3, tuple(PUBLIC[:3]))
LEAF = Leaf(
    script_from_text(
        "{} CHECKSIG {} CHECKSIGADD {} CHECKSIGADD 2 NUMEQUAL".format(
            *("0x20 0x" + key.xonly_public_key.hex() for key in KEYS[:3])
        )
    )
)


def spends() -> list[TxDigests]:
    """One valid spend of each kind; of the multisigs, one for each pair of keys."""
    found = []
    singles = (
        p2pkh_script(hash160(PUBLIC[0])),
        p2wpkh_script(hash160(PUBLIC[0])),
        p2tr_script(output_key_of(KEYS[0]).xonly_public_key),
        ALL_OF_THREE,
        p2wsh_script(sha256(ALL_OF_THREE)),
    )
    for output in singles:
        digests = input_digests(output)
        ring = KeyRing.build(KEYS, [ALL_OF_THREE])
        found.append(with_input(digests, 0, sign_input(digests, 0, ring)))
    for pair in ((0, 1), (0, 2), (1, 2)):
        ring = KeyRing.build([KEYS[n] for n in pair], [MULTISIG])
        for output in (MULTISIG, p2sh_script(hash160(MULTISIG)), p2wsh_script(sha256(MULTISIG))):
            digests = input_digests(output)
            found.append(with_input(digests, 0, sign_input(digests, 0, ring)))
        items = [LeafSignature(KEYS[n]) if n in pair else b"" for n in (2, 1, 0)]
        found.append(leaf_spend(LEAF, *items))
    return found


SPENDS = spends()


def test_the_spends_hold():
    for spend in SPENDS:
        assert error_of(spend, verify_flags.STANDARD) == "OK"


flag_sets = st.sampled_from([CONSENSUS, verify_flags.STANDARD, verify_flags.P2SH]) | st.integers(
    0, (1 << 21) - 1
).map(consistent)


@st.composite
def spoilt_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with a byte changed, cut out or put in; or other bytes altogether."""
    at = draw(st.integers(0, max(len(data) - 1, 0)))
    change = draw(st.sampled_from(["flip", "cut", "insert", "empty", "other"]))
    if change == "flip" and data:
        flipped = data[at] ^ draw(st.integers(1, 255))
        return data[:at] + bytes((flipped,)) + data[at + 1 :]
    if change == "cut":
        return data[:at] + data[at + 1 :]
    if change == "insert":
        return data[:at] + draw(st.binary(min_size=1, max_size=2)) + data[at:]
    if change == "empty":
        return b""
    return draw(st.binary(max_size=80))


@st.composite
def spoilt_spends(draw: st.DrawFn, originals: list[TxDigests] = SPENDS) -> TxDigests:
    spend = draw(st.sampled_from(originals))
    txin = spend.tx.vin[0]
    places = ["sequence", "output", "amount"]
    places += ["script_sig"] * 3 if txin.script_sig else []
    places += ["witness", "order", "element"] * 2 if txin.witness else []
    for place in draw(st.lists(st.sampled_from(places), min_size=1, max_size=2)):
        if place == "sequence":
            txin = txin._replace(sequence=draw(st.integers(0, 0xFFFFFFFF)))
        elif place == "script_sig":
            txin = txin._replace(script_sig=draw(spoilt_bytes(txin.script_sig)))
        elif place == "element" and txin.witness:
            at = draw(st.integers(0, len(txin.witness) - 1))
            items = list(txin.witness)
            items[at] = draw(spoilt_bytes(items[at]))
            txin = txin._replace(witness=tuple(items))
        elif place == "order":
            txin = txin._replace(witness=tuple(draw(st.permutations(txin.witness))))
        elif place == "witness":
            items = draw(st.lists(st.sampled_from(txin.witness or (b"",)), max_size=6))
            txin = txin._replace(witness=tuple(items))
        elif place == "output":
            script = draw(spoilt_bytes(spend.spent[0].script_pubkey))
            spent = (spend.spent[0]._replace(script_pubkey=script), *spend.spent[1:])
            spend = TxDigests(spend.tx, spent)
        else:
            amount = draw(st.integers(0, 10_000))
            spent = (spend.spent[0]._replace(value=amount), *spend.spent[1:])
            spend = TxDigests(spend.tx, spent)
    return with_input(spend, 0, txin)


@given(spoilt_spends(), flag_sets)
def test_spoilt_spends(spend, flags):
    assert error_by_batch(spend, 0, flags) == verify_input(spend, 0, flags)


@given(st.integers(0, 2**32 - 1).map(Random), flag_sets)
def test_random_spends_of_every_kind(random, flags):
    _, digests, index = draw_spend(random)
    error_of(digests, flags, index)


@given(st.sampled_from(SPENDS), flag_sets)
def test_valid_spends(spend, flags):
    assert error_by_batch(spend, 0, flags) == verify_input(spend, 0, flags)


KEY_HASH_OUTPUTS = (p2pkh_script(hash160(PUBLIC[0])), p2wpkh_script(hash160(PUBLIC[0])))
KEY_HASH_SPENDS = [spend for spend in SPENDS if spend.spent[0].script_pubkey in KEY_HASH_OUTPUTS]


@given(spoilt_spends(KEY_HASH_SPENDS), flag_sets)
def test_the_short_cut_is_the_interpreter(spend, flags):
    job = key_hash_job(spend, 0, flags)
    if job is not None:
        checker = DeferredChecker(spend, 0)
        txin, output = spend.tx.vin[0], spend.spent[0].script_pubkey
        assert verify_script(txin.script_sig, output, txin.witness, flags, checker) is None
        assert checker.jobs == [job]


@given(st.sampled_from(KEY_HASH_SPENDS), flag_sets)
def test_plain_spends_take_the_short_cut(spend, flags):
    segwit = spend.tx.vin[0].witness
    taken = key_hash_job(spend, 0, flags) is not None
    assert taken == (not segwit or flags & verify_flags.WITNESS != 0)


# SINGLE without its output signs a constant, whatever the script: so that random scripts meet
# signatures that hold.
ONE = b"\x01" + bytes(31)
SIGNATURES = [key.sign_ecdsa(ONE) + b"\x03" for key in KEYS[:3]]
WORDS = st.sampled_from(
    [push_data(signature) for signature in SIGNATURES]
    + [push_data(key) for key in PUBLIC[:3]]
    + [push_int(number) for number in (0, 1, 2, 3)]
    + [bytes((opcode,)) for opcode in (0x63, 0x64, 0x67, 0x68, 0x75, 0x76, 0x7C, 0x91, 0x87)]
    + [b"\xac", b"\xad", b"\xae", b"\xaf", b"\xab"] * 2
)


@st.composite
def signature_scripts(draw: st.DrawFn) -> bytes:
    """Pieces that check signatures, right or wrong, and steer by the answers."""
    pieces = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["check", "multisig", "words"]))
        signature = draw(st.sampled_from([*SIGNATURES, b"", b"\x30\x03"]))
        if kind == "check":
            pieces += [push_data(signature), push_data(draw(st.sampled_from(PUBLIC[:3]))), b"\xac"]
        elif kind == "multisig":
            keys = draw(st.lists(st.sampled_from(PUBLIC[:3]), min_size=1, max_size=4))
            signatures = draw(
                st.lists(st.sampled_from([*SIGNATURES, b""]), max_size=len(keys)).map(tuple)
            )
            pieces += [b"\x00", *map(push_data, signatures), push_int(len(signatures))]
            pieces += [*map(push_data, keys), push_int(len(keys)), b"\xae"]
        else:
            pieces += draw(st.lists(WORDS, max_size=4))
        pieces.append(draw(st.sampled_from([b"", b"\x91", b"\x69", b"\x63\x51\x67\x00\x68"])))
    return b"".join(pieces)


def error_with_cache(
    cache: SignatureCache | None, spend: TxDigests, flags: int
) -> ScriptError | None:
    jobs = check_input_deferred(spend, 1, flags, cache)
    if isinstance(jobs, ScriptError):
        return jobs
    return verify_input(spend, 1, flags, cache) if verify_batch(jobs) else None


@given(signature_scripts(), flag_sets, st.booleans())
def test_scripts_that_steer_by_signatures(script, flags, with_cache):
    flags &= ~verify_flags.CONST_SCRIPTCODE
    spend = input_digests(script, index=1, outputs=1)
    exact = verify_input(spend, 1, flags)
    assert error_by_batch(spend, 1, flags) == exact
    cache = SignatureCache(100) if with_cache else None
    for _ in range(2):
        assert error_with_cache(cache, spend, flags) == exact
