"""Lock times, the signature cache, and what a deferred check notes."""

import pytest

from misocoin.crypto.batch import SignatureCache, SignatureKind, is_valid_job
from misocoin.crypto.hashes import hash160, sha256
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint
from misocoin.script import flags as verify_flags
from misocoin.script.checker import TransactionChecker
from misocoin.script.inputs import check_input_deferred, verify_input
from misocoin.script.result import ScriptError
from misocoin.script.script import push_data
from misocoin.script.sighash import TxDigests, legacy_sighash
from misocoin.script.signing import KeyRing, sign_input
from misocoin.script.templates import (
    multisig_script,
    p2pkh_script,
    p2sh_script,
    p2wpkh_script,
    p2wsh_script,
)
from tests.unit.script.core_format import script_from_text
from tests.unit.script.spends import (
    CONSENSUS,
    KEYS,
    error_by_batch,
    error_of,
    input_digests,
    with_input,
)

TIME = 500_000_000


def checker(**options) -> TransactionChecker:
    return TransactionChecker(input_digests(b"\x51", **options), 0)


class TestLockTime:
    @pytest.mark.parametrize(
        ("locktime", "wanted", "met"),
        [
            (100, 100, True),
            (100, 99, True),
            (100, 0, True),
            (100, 101, False),
            (TIME - 1, TIME - 1, True),
            (TIME - 1, TIME, False),
            (TIME, TIME - 1, False),
            (TIME, TIME, True),
            (TIME + 5, TIME + 6, False),
            (0xFFFFFFFF, 0xFFFFFFFF, True),
            (0xFFFFFFFF, 0x100000000, False),
        ],
    )
    def test_bip65(self, locktime, wanted, met):
        assert checker(locktime=locktime).is_locktime_met(wanted) == met

    def test_a_final_input_has_no_lock_time(self):
        assert not checker(locktime=100, sequence=0xFFFFFFFF).is_locktime_met(100)

    @pytest.mark.parametrize(
        ("text", "result"),
        [
            ("100 CHECKLOCKTIMEVERIFY", "OK"),
            ("101 CHECKLOCKTIMEVERIFY", "UNSATISFIED_LOCKTIME"),
            ("-1 CHECKLOCKTIMEVERIFY", "NEGATIVE_LOCKTIME"),
            ("CHECKLOCKTIMEVERIFY", "INVALID_STACK_OPERATION"),
            ("0x05 0x6400000000 CHECKLOCKTIMEVERIFY", "OK"),
            ("0x06 0x640000000000 CHECKLOCKTIMEVERIFY", "UNKNOWN_ERROR"),
            ("0 CHECKLOCKTIMEVERIFY", "EVAL_FALSE"),
        ],
    )
    def test_in_a_script(self, text, result):
        spend = input_digests(script_from_text(text), locktime=100)
        assert error_of(spend) == result

    def test_before_bip65_it_does_nothing(self):
        spend = input_digests(script_from_text("CHECKLOCKTIMEVERIFY CHECKSEQUENCEVERIFY 1"))
        assert error_of(spend, verify_flags.NONE) == "OK"
        assert error_of(spend, verify_flags.DISCOURAGE_UPGRADABLE_NOPS) == "OK"


class TestSequence:
    @pytest.mark.parametrize(
        ("sequence", "wanted", "met"),
        [
            (10, 10, True),
            (10, 9, True),
            (10, 11, False),
            (0xFFFF, 0xFFFF, True),
            (0x40000A, 0x40000A, True),
            (0x40000A, 10, False),
            (10, 0x40000A, False),
            (0x3F000A, 10, True),
            (10, 0xBF000A, True),  # other bits do not count
            (0x8000000A, 10, False),
            (0xFFFFFFFF, 0, False),
        ],
    )
    def test_bip112(self, sequence, wanted, met):
        assert checker(sequence=sequence, inputs=1).is_sequence_met(wanted) == met

    @pytest.mark.parametrize(("version", "met"), [(1, False), (0, False), (2, True), (-1, True)])
    def test_versions(self, version, met):
        assert checker(sequence=10, inputs=1, version=version).is_sequence_met(10) == met

    @pytest.mark.parametrize(
        ("text", "result"),
        [
            ("10 CHECKSEQUENCEVERIFY", "OK"),
            ("11 CHECKSEQUENCEVERIFY", "UNSATISFIED_LOCKTIME"),
            ("-1 CHECKSEQUENCEVERIFY", "NEGATIVE_LOCKTIME"),
            ("CHECKSEQUENCEVERIFY", "INVALID_STACK_OPERATION"),
            ("2147483659 CHECKSEQUENCEVERIFY", "OK"),  # bit 31: no lock
        ],
    )
    def test_in_a_script(self, text, result):
        assert error_of(input_digests(script_from_text(text), sequence=10)) == result


class CountingCache:
    """A fake of the signature cache that counts what it is asked."""

    def __init__(self):
        self.jobs = set()
        self.hits = 0

    def contains(self, job):
        self.hits += job in self.jobs
        return job in self.jobs

    def add(self, job):
        self.jobs.add(job)


RING = KeyRing.build(KEYS)
HASH = hash160(KEYS[0].public_key)


def signed(script_pubkey: bytes, ring: KeyRing = RING, **options) -> TxDigests:
    digests = input_digests(script_pubkey, **options)
    return with_input(digests, 0, sign_input(digests, 0, ring))


class TestCache:
    def test_learns_what_was_verified(self):
        spend, cache = signed(p2wpkh_script(HASH)), CountingCache()
        assert verify_input(spend, 0, CONSENSUS, cache) is None
        assert len(cache.jobs) == 1
        assert verify_input(spend, 0, CONSENSUS, cache) is None
        assert cache.hits == 1

    def test_does_not_learn_what_fails(self):
        spend, cache = signed(p2pkh_script(HASH)), CountingCache()
        wrong = with_input(spend, 0, spend.tx.vin[0]._replace(sequence=1))
        assert verify_input(wrong, 0, CONSENSUS, cache) is ScriptError.EVAL_FALSE
        assert cache.jobs == set()

    def test_known_signatures_are_no_jobs(self):
        spend, cache = signed(p2wpkh_script(HASH)), SignatureCache(10)
        (job,) = check_input_deferred(spend, 0, CONSENSUS, cache)
        assert len(cache) == 0
        cache.add(job)
        assert check_input_deferred(spend, 0, CONSENSUS, cache) == ()

    def test_another_digest_is_another_signature(self):
        spend, cache = signed(p2wpkh_script(HASH)), SignatureCache(10)
        assert verify_input(spend, 0, CONSENSUS, cache) is None
        wrong = with_input(spend, 0, spend.tx.vin[0]._replace(sequence=1))
        assert verify_input(wrong, 0, CONSENSUS, cache) is ScriptError.EVAL_FALSE
        assert len(check_input_deferred(wrong, 0, CONSENSUS, cache)) == 1


class TestDeferred:
    def test_notes_the_signature(self):
        spend = signed(p2pkh_script(HASH))
        (job,) = check_input_deferred(spend, 0, verify_flags.STANDARD)
        assert job.kind is SignatureKind.ECDSA
        assert job.public_key == KEYS[0].public_key
        assert job.digest == legacy_sighash(spend, 0, p2pkh_script(HASH), 1)
        assert is_valid_job(job)

    def test_no_signature_no_jobs(self):
        assert check_input_deferred(input_digests(b"\x51"), 0, CONSENSUS) == ()

    def test_an_error_that_no_signature_changes_is_final(self):
        assert check_input_deferred(input_digests(b"\x6a"), 0, CONSENSUS) is ScriptError.OP_RETURN
        spend = input_digests(p2pkh_script(HASH), b"\x51\x51")
        assert check_input_deferred(spend, 0, CONSENSUS) is ScriptError.EQUALVERIFY

    def test_a_script_that_wants_a_signature_not_to_hold(self):
        script = push_data(KEYS[0].public_key) + b"\xac\x91"  # CHECKSIG NOT
        wrong = KEYS[1].sign_ecdsa(bytes(32)) + b"\x01"
        spend = input_digests(script, push_data(wrong))
        # Optimism fails here; the exact evaluation that follows holds, and nothing is open.
        assert check_input_deferred(spend, 0, CONSENSUS) == ()
        assert verify_input(spend, 0, CONSENSUS) is None

    def test_two_of_two_is_left_to_the_batch(self):
        script = multisig_script(2, tuple(key.public_key for key in KEYS[:2]))
        jobs = check_input_deferred(signed(script), 0, CONSENSUS)
        assert [job.public_key for job in jobs] == [KEYS[1].public_key, KEYS[0].public_key]

    @pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
    @pytest.mark.parametrize("form", ["bare", "P2SH", "P2WSH"])
    def test_two_of_three_pairs_keys_exactly(self, pair, form):
        script = multisig_script(2, tuple(key.public_key for key in KEYS[:3]))
        ring = KeyRing.build([KEYS[n] for n in pair], [script])
        output = {
            "bare": script,
            "P2SH": p2sh_script(hash160(script)),
            "P2WSH": p2wsh_script(sha256(script)),
        }[form]
        spend = signed(output, ring)
        jobs = check_input_deferred(spend, 0, verify_flags.STANDARD)
        assert isinstance(jobs, tuple)
        assert all(map(is_valid_job, jobs))  # no pairing was guessed
        assert error_of(spend, verify_flags.STANDARD) == "OK"

    def test_signatures_in_the_wrong_order(self):
        script = multisig_script(2, tuple(key.public_key for key in KEYS[:2]))
        spend = signed(script)
        txin = spend.tx.vin[0]
        end = 2 + txin.script_sig[1]
        first, second = txin.script_sig[1:end], txin.script_sig[end:]
        swapped = with_input(spend, 0, txin._replace(script_sig=b"\x00" + second + first))
        jobs = check_input_deferred(swapped, 0, CONSENSUS)
        assert [is_valid_job(job) for job in jobs] == [False, False]
        assert error_by_batch(swapped, 0, CONSENSUS) is ScriptError.EVAL_FALSE
        assert verify_input(swapped, 0, verify_flags.STANDARD) is ScriptError.NULLFAIL


def test_a_transaction_needs_all_it_spends():
    tx = Transaction.build(1, [TxIn(outpoint(bytes(32), 0))], [TxOut(1, b"")])
    with pytest.raises(ValueError, match="1 inputs, but 0 spent outputs"):
        TxDigests(tx, ())
