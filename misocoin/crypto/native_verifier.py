"""Signature checks by the native module, on the libsecp256k1 that coincurve has loaded.

Importing this raises ImportError where one of the two is missing; `batch` then does without.
"""

import threading
from collections.abc import Sequence

from misocoin._native import (
    close,
    find_invalid,
    finish,
    make_library,
    make_queue,
    push,
    serve,
    skip,
)
from misocoin.crypto.coincurve_backend import native_addresses

_LIBRARY = make_library(native_addresses())

Job = tuple[int, bytes, bytes, bytes]
"""A `batch.SignatureJob`: kind, public key, signature, digest."""


def verify_batch(jobs: Sequence[Job]) -> list[int]:
    """As `batch.verify_batch`: one call, during which other threads may run Python."""
    return find_invalid(_LIBRARY, jobs)


class VerifyQueue:
    """Jobs on their way to threads that never need the interpreter's lock.

    A thread of Python's that comes back to the interpreter between two batches waits there for up
    to 5 ms, for as long as the caller computes; these stay inside the native module.
    """

    def __init__(self, threads: int) -> None:
        """Serve the queue with `threads` threads besides the one that calls `finish`."""
        self._queue = make_queue(_LIBRARY)
        # Daemons, as they hold nothing that must be put in order when the process ends.
        self._threads = [
            threading.Thread(
                target=serve, args=(self._queue,), name=f"verify-{number}", daemon=True
            )
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def push(self, jobs: Sequence[Job]) -> None:
        """Append jobs; returns at once."""
        push(self._queue, jobs)

    def finish(self) -> list[int]:
        """Help until all is checked, empty the queue: indices, in order of `push`, of failures."""
        return finish(self._queue)

    def discard(self) -> None:
        """Empty the queue; only the jobs at hand are still checked."""
        skip(self._queue)
        finish(self._queue)

    def close(self) -> None:
        """Stop the threads after the job at hand."""
        close(self._queue)
        for thread in self._threads:
            thread.join()
