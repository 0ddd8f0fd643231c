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
from concurrent.futures import Future, ThreadPoolExecutor
from enum import IntEnum
from struct import Struct
from typing import NamedTuple, Self

from misocoin.crypto.backend import BACKEND


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


def _choose_verify_batch() -> Callable[[Sequence[SignatureJob]], list[int]] | None:
    try:
        from misocoin import _native  # noqa: PLC0415 - may not be built
        from misocoin.crypto.coincurve_backend import native_addresses  # noqa: PLC0415
    except ImportError:
        return None
    library = _native.make_library(native_addresses())

    def verify_natively(jobs: Sequence[SignatureJob]) -> list[int]:
        return _native.find_invalid(library, jobs)

    return verify_natively


_verify_natively = _choose_verify_batch()

verify_batch: Callable[[Sequence[SignatureJob]], list[int]] = (
    _verify_natively or verify_batch_portably
)
"""`verify_batch(jobs)`: the indices of those that are not valid, in rising order."""


def is_native() -> bool:
    """Whether batches are checked by the native module."""
    return _verify_natively is not None


class VerifierPool:
    """Threads that check signatures while the caller goes on; one caller at a time.

    The caller submits jobs as it finds them and meets the results at `wait`, where it takes part
    in the checking itself. Without the native module nothing runs before `wait`: a thread that
    needs the interpreter's lock for every check would slow the caller down tenfold.
    """

    CHUNK = 128
    """Jobs in one piece of work: long enough that handing it over does not matter."""

    PORTABLE_CHUNKS = 16
    """Pieces at the barrier without the native module: few, as each contends for the lock."""

    def __init__(self, threads: int | None = None) -> None:
        """Use `threads` cores, the caller's included; all of them by default."""
        self.threads = threads or os.cpu_count() or 1
        self._executor = (
            ThreadPoolExecutor(self.threads - 1, thread_name_prefix="verify")
            if self.threads > 1 and BACKEND.NAME != "ecdsa"
            else None
        )
        self._pending: list[SignatureJob] = []
        self._chunks: list[tuple[list[SignatureJob], Future[list[int]] | None]] = []

    def submit(self, jobs: Iterable[SignatureJob]) -> None:
        """Take jobs in; returns at once."""
        self._pending.extend(jobs)
        if _verify_natively is not None:
            while len(self._pending) >= self.CHUNK:
                self._dispatch(self.CHUNK)

    def _dispatch(self, size: int) -> None:
        chunk, self._pending = self._pending[:size], self._pending[size:]
        executor = self._executor
        future = None if executor is None else executor.submit(verify_batch, chunk)
        self._chunks.append((chunk, future))

    def wait(self) -> list[int]:
        """Have all submitted jobs checked: the indices, in order of submission, of invalid ones.

        Afterwards the pool is empty, and counting starts at 0 again.
        """
        if self._pending and _verify_natively is None:
            size = -(-len(self._pending) // self.PORTABLE_CHUNKS)
            while self._pending:
                self._dispatch(size)
        elif self._pending:
            self._dispatch(len(self._pending))
        chunks, self._chunks = self._chunks, []
        results = []
        for chunk, future in reversed(chunks):
            # What no thread has begun with is done here; `cancel` tells.
            if future is None or future.cancel():
                results.append(verify_batch(chunk))
            else:
                results.append(future.result())
        failures = []
        offset = 0
        for (chunk, _), found in zip(chunks, reversed(results), strict=True):
            failures += [offset + index for index in found]
            offset += len(chunk)
        return failures

    def close(self) -> None:
        """Forget what was submitted and stop the threads."""
        self._pending.clear()
        self._chunks.clear()
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
