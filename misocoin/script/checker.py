"""What an evaluation asks about the transaction: signatures and lock times.

`TransactionChecker` verifies each signature when asked. `DeferredChecker` answers yes to every
signature that could be one and notes it as a job, so that the signatures of a whole block can be
verified together on all cores.

Why deferring is sound. An evaluation is deterministic, and all it learns from outside are the
checker's answers. If every job noted by an evaluation verifies, then each yes was the true answer
(each no was exact anyway), so the evaluation took the very steps of the exact one, and its result
is the exact result. If a job fails, or the evaluation ends in an error, nothing is concluded: the
input is evaluated again exactly. So a deferred "holds" is never wrong, and a "does not hold" is
always an exact one. Where the caller can go on after a no, as a multisig with more keys than
signatures does, a yes would be a guess; it asks with `decide_now` and is answered exactly.
"""

from typing import Protocol

from misocoin.crypto.batch import SignatureJob, SignatureKind, is_valid_job
from misocoin.primitives.transaction import SEQUENCE_FINAL
from misocoin.script.encoding import has_public_key_form
from misocoin.script.result import ScriptError
from misocoin.script.sighash import (
    SIGHASH_DEFAULT,
    TxDigests,
    legacy_sighash,
    segwit_sighash,
    taproot_sighash,
)

LOCKTIME_THRESHOLD = 500_000_000
"""Lock times below are heights, from here on times."""

SEQUENCE_DISABLED = 1 << 31
"""Bit of a sequence that makes it no relative lock time (BIP68)."""

SEQUENCE_IS_TIME = 1 << 22
"""Bit of a sequence that makes it a time in units of 512 s, not a count of blocks (BIP68)."""

SEQUENCE_MASK = 0xFFFF
"""The bits of a sequence that hold the relative lock time (BIP68)."""


class ValidSignatures(Protocol):
    """Signatures known to be valid: `crypto.batch.SignatureCache`."""

    def contains(self, job: SignatureJob) -> bool:
        """Whether the job is known to hold."""

    def add(self, job: SignatureJob) -> None:
        """Take note that it holds."""


class SignatureChecker(Protocol):
    """What the interpreter asks of whoever knows the transaction."""

    def is_ecdsa_valid(
        self,
        signature: bytes,
        public_key: bytes,
        script_code: bytes,
        *,
        segwit: bool,
        decide_now: bool = False,
    ) -> bool:
        """Whether `signature` (its hash type last) holds; `segwit`: with the digest of BIP143.

        `decide_now`: the caller will try another key after a no, so a guess is no answer.
        """

    def schnorr_error(
        self,
        signature: bytes,
        public_key: bytes,
        annex_hash: bytes | None,
        leaf: tuple[bytes, int] | None = None,
    ) -> ScriptError | None:
        """Why a taproot signature does not hold, None if it does.

        `leaf`: in a tapscript, its hash and the position of the last CODESEPARATOR.
        """

    def is_locktime_met(self, locktime: int) -> bool:
        """Whether the transaction's lock time is at least `locktime` (BIP65)."""

    def is_sequence_met(self, sequence: int) -> bool:
        """Whether the input's relative lock time is at least `sequence` (BIP112)."""


class TransactionChecker:
    """Checks for one input of a transaction, each signature at once."""

    __slots__ = ("_cache", "_digests", "_index", "_last_digest", "_last_request")

    def __init__(
        self, digests: TxDigests, index: int, cache: ValidSignatures | None = None
    ) -> None:
        """`cache`, if given, answers for signatures it knows and learns the valid ones."""
        self._digests = digests
        self._index = index
        self._cache = cache
        self._last_request: tuple[int, bool, bytes] | None = None
        self._last_digest = b""

    def _digest(self, hash_type: int, script_code: bytes, segwit: bool) -> bytes:
        # The signatures of a multisig sign the same most of the time: one digest for all.
        request = (hash_type, segwit, script_code)
        if request != self._last_request:
            sighash = segwit_sighash if segwit else legacy_sighash
            self._last_digest = sighash(self._digests, self._index, script_code, hash_type)
            self._last_request = request
        return self._last_digest

    def _is_valid(self, job: SignatureJob, decide_now: bool) -> bool:
        cache = self._cache
        if cache is None:
            return is_valid_job(job)
        if cache.contains(job):
            return True
        if not is_valid_job(job):
            return False
        cache.add(job)
        return True

    def is_ecdsa_valid(
        self,
        signature: bytes,
        public_key: bytes,
        script_code: bytes,
        *,
        segwit: bool,
        decide_now: bool = False,
    ) -> bool:
        """As `SignatureChecker.is_ecdsa_valid`."""
        if not signature or not has_public_key_form(public_key):
            return False
        digest = self._digest(signature[-1], script_code, segwit)
        job = SignatureJob(SignatureKind.ECDSA, public_key, signature[:-1], digest)
        return self._is_valid(job, decide_now)

    def schnorr_error(
        self,
        signature: bytes,
        public_key: bytes,
        annex_hash: bytes | None,
        leaf: tuple[bytes, int] | None = None,
    ) -> ScriptError | None:
        """As `SignatureChecker.schnorr_error`."""
        hash_type = SIGHASH_DEFAULT
        if len(signature) == 65:
            hash_type = signature[64]
            if hash_type == SIGHASH_DEFAULT:
                return ScriptError.SCHNORR_SIG_HASHTYPE
        elif len(signature) != 64:
            return ScriptError.SCHNORR_SIG_SIZE
        digest = taproot_sighash(self._digests, self._index, hash_type, annex_hash, leaf)
        if digest is None:
            return ScriptError.SCHNORR_SIG_HASHTYPE
        job = SignatureJob(SignatureKind.SCHNORR, public_key, signature[:64], digest)
        return None if self._is_valid(job, decide_now=False) else ScriptError.SCHNORR_SIG

    def is_locktime_met(self, locktime: int) -> bool:
        """As `SignatureChecker.is_locktime_met`."""
        tx = self._digests.tx
        same_kind = (tx.locktime < LOCKTIME_THRESHOLD) == (locktime < LOCKTIME_THRESHOLD)
        # A final sequence would switch the transaction's lock time off.
        is_final = tx.vin[self._index].sequence == SEQUENCE_FINAL
        return same_kind and locktime <= tx.locktime and not is_final

    def is_sequence_met(self, sequence: int) -> bool:
        """As `SignatureChecker.is_sequence_met`."""
        tx = self._digests.tx
        own = tx.vin[self._index].sequence
        if tx.version & 0xFFFFFFFF < 2 or own & SEQUENCE_DISABLED:
            return False
        same_kind = own & SEQUENCE_IS_TIME == sequence & SEQUENCE_IS_TIME
        return same_kind and sequence & SEQUENCE_MASK <= own & SEQUENCE_MASK


class DeferredChecker(TransactionChecker):
    """As `TransactionChecker`, but notes signatures as jobs and takes them to be valid."""

    __slots__ = ("jobs",)

    def __init__(
        self, digests: TxDigests, index: int, cache: ValidSignatures | None = None
    ) -> None:
        """Signatures that `cache` knows are not noted."""
        super().__init__(digests, index, cache)
        self.jobs: list[SignatureJob] = []
        """What has to verify for the answers to have been true."""

    def _is_valid(self, job: SignatureJob, decide_now: bool) -> bool:
        if decide_now:
            return super()._is_valid(job, decide_now)
        if self._cache is None or not self._cache.contains(job):
            self.jobs.append(job)
        return True
