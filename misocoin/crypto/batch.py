"""Many signature checks at once, on all cores, beside Python that goes on running.

One check takes some 40 microseconds in libsecp256k1. Where the native module is built, a chunk of
checks is one call that does not hold the interpreter's lock; otherwise Python calls the library
once for every check.
"""

import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Self

from misocoin.crypto.backend import BACKEND, backend_name

if TYPE_CHECKING:
    from misocoin.crypto.native_verifier import VerifyQueue


class SignatureKind(IntEnum):
    """Which algorithm a signature is of. The numbers are known to native/verify.c."""

    ECDSA = 0
    SCHNORR = 1


class SignatureJob(NamedTuple):
    """One signature to check, by the rules of `keys.verify_ecdsa` or `keys.verify_schnorr`."""

    kind: SignatureKind
    """ECDSA or Schnorr."""

    public_key: bytes
    """33 or 65 bytes for ECDSA, 32 for Schnorr."""

    signature: bytes
    """DER without a hash type for ECDSA, 64 bytes for Schnorr."""

    digest: bytes
    """The 32 bytes that are signed."""


def is_valid_job(job: SignatureJob) -> bool:
    """Check one signature; bytes of the wrong form give False."""
    kind, public_key, signature, digest = job
    if kind == SignatureKind.ECDSA:
        return BACKEND.verify_ecdsa(public_key, signature, digest)
    return BACKEND.verify_schnorr(public_key, signature, digest)


def verify_batch_portably(jobs: Sequence[SignatureJob]) -> list[int]:
    """`verify_batch` without the native module."""
    return [index for index, job in enumerate(jobs) if not is_valid_job(job)]


_VerifyBatch = Callable[[Sequence[SignatureJob]], list[int]]


def _choose_verifier() -> "tuple[_VerifyBatch, type[VerifyQueue] | None]":
    try:
        from misocoin.crypto import native_verifier  # noqa: PLC0415 - may be missing
    except ImportError:
        return verify_batch_portably, None
    return native_verifier.verify_batch, native_verifier.VerifyQueue


verify_batch: _VerifyBatch
"""`verify_batch(jobs)`: the indices of those that are not valid, in rising order."""

verify_batch, _QUEUE_TYPE = _choose_verifier()


def is_native() -> bool:
    """Whether batches are checked by the native module."""
    return _QUEUE_TYPE is not None


class VerifierPool:
    """Threads that check signatures while their caller goes on; one caller at a time.

    The caller submits jobs as it finds them and meets the results at `wait`, where it takes part
    in the checking itself. Without the native module nothing runs before `wait`: a thread that
    needs the interpreter's lock for every check would slow the caller down tenfold.
    """

    CHUNK = 16
    """Jobs that are handed to the native threads at once."""

    PORTABLE_CHUNKS = 16
    """Pieces at the barrier without the native module: few, as each contends for the lock."""

    def __init__(self, threads: int | None = None, *, native: bool = True) -> None:
        """Use `threads` cores, the caller's included; all of them by default.

        The native module serves where it is built, unless `native` is false.
        """
        self.threads = threads or os.cpu_count() or 1
        self._pending: list[SignatureJob] = []
        self._queue: VerifyQueue | None = None
        self._executor: ThreadPoolExecutor | None = None
        if native and _QUEUE_TYPE is not None:
            self._queue = _QUEUE_TYPE(self.threads - 1)
        elif self.threads > 1 and backend_name() != "ecdsa":
            self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="verify")

    def submit(self, jobs: Iterable[SignatureJob]) -> None:
        """Take jobs in; returns at once."""
        self._pending.extend(jobs)
        if self._queue is not None and len(self._pending) >= self.CHUNK:
            self._queue.push(self._pending)
            self._pending = []

    def wait(self) -> list[int]:
        """Have all submitted jobs checked: the indices, in order of submission, of invalid ones.

        Afterwards the pool is empty, and counting starts at 0 again.
        """
        jobs, self._pending = self._pending, []
        if self._queue is not None:
            self._queue.push(jobs)
            return self._queue.finish()
        if self._executor is None:
            return verify_batch_portably(jobs)
        size = max(1, -(-len(jobs) // self.PORTABLE_CHUNKS))
        starts = range(0, len(jobs), size)
        results = self._executor.map(
            verify_batch_portably, (jobs[start : start + size] for start in starts)
        )
        return [
            start + index for start, found in zip(starts, results, strict=True) for index in found
        ]

    def discard(self) -> None:
        """Forget what was submitted, unchecked: the caller knows already that it is not needed."""
        self._pending = []
        if self._queue is not None:
            self._queue.discard()

    def close(self) -> None:
        """Forget what was submitted and stop the threads."""
        self.discard()
        if self._queue is not None:
            self._queue.close()
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


_LENGTHS = Struct("<BII")


class SignatureCache:
    """Signatures that were found valid, so that a block need not check again what the pool did.

    Bounded and safe to use from many threads. Kept are keyed hashes of 16 bytes: nobody outside
    can make two jobs meet. When the young half is full it becomes the old half, and the old one
    is dropped.
    """

    def __init__(self, capacity: int = 200_000) -> None:
        """Hold up to `capacity` jobs; one takes about 100 bytes."""
        if capacity < 2:
            raise ValueError("a cache holds at least two jobs")
        self._half = capacity // 2
        self._state = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=16)
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()
        self._lock = threading.Lock()

    def _key(self, job: SignatureJob) -> bytes:
        kind, public_key, signature, digest = job
        state = self._state.copy()
        # The lengths make the concatenation unambiguous.
        lengths = _LENGTHS.pack(kind, len(public_key), len(digest))
        state.update(lengths + public_key + digest + signature)
        return state.digest()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def contains(self, job: SignatureJob) -> bool:
        """Whether that very job was added and is still remembered."""
        key = self._key(job)
        with self._lock:
            return key in self._young or key in self._old

    def add(self, job: SignatureJob) -> None:
        """Remember a job that is valid."""
        key = self._key(job)
        with self._lock:
            if len(self._young) >= self._half:
                self._old = self._young
                self._young = set()
            self._young.add(key)
