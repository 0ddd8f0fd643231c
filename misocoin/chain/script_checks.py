"""Scripts of blocks and transactions, their signatures checked on all cores.

The interpreter runs here and now; the signature checks it asks for are gathered and go to threads
that do not need the interpreter's lock (`misocoin.script.checker` says why that is sound). What
failed there is evaluated once more, exactly, which also tells the script's error.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from misocoin.chain.script_cache import ScriptCache
from misocoin.consensus.coins import Coin
from misocoin.crypto.batch import SignatureCache, VerifierPool
from misocoin.errors import ValidationError
from misocoin.primitives.transaction import Transaction
from misocoin.script.inputs import check_input_deferred, verify_input
from misocoin.script.result import ScriptError
from misocoin.script.sighash import TxDigests


class BlockScripts:
    """The scripts of one block; a `ScriptSink`."""

    def __init__(
        self, pool: VerifierPool, cache: SignatureCache | None, passed: ScriptCache | None
    ) -> None:
        self._pool = pool
        self._cache = cache
        self._passed = passed
        self._owners: list[tuple[TxDigests, int, int]] = []  # of each job: input and flags

    def add(self, tx: Transaction, coins: Sequence[Coin], flags: int) -> None:
        """Evaluate every input of `tx`; signatures are checked by `finish` at the latest.

        Raises ValidationError where an input cannot hold whatever its signatures.
        """
        if self._passed is not None and self._passed.has(tx.wtxid, flags):
            return
        digests = TxDigests(tx, coins)
        cache = self._cache
        for index in range(len(tx.vin)):
            jobs = check_input_deferred(digests, index, flags, cache)
            if isinstance(jobs, ScriptError):
                raise _script_failure(jobs, tx, index)
            if jobs:
                self._owners += [(digests, index, flags)] * len(jobs)
                self._pool.submit(jobs)

    def finish(self) -> None:
        """Wait for the signatures; raises ValidationError for the first input that fails."""
        for job in self._pool.wait():
            digests, index, flags = self._owners[job]
            error = verify_input(digests, index, flags)
            if error is not None:
                raise _script_failure(error, digests.tx, index)


class ScriptChecks:
    """Checks scripts with `threads` threads; one block at a time.

    What `passed` remembers is not evaluated again, what `cache` does not verified again.
    """

    def __init__(
        self,
        threads: int | None = None,
        cache: SignatureCache | None = None,
        passed: ScriptCache | None = None,
    ) -> None:
        self.cache = cache
        self._passed = passed
        self._pool = VerifierPool(threads)

    @property
    def threads(self) -> int:
        """Threads that check signatures, the caller's included."""
        return self._pool.threads

    @contextmanager
    def collect(self, *, use_cache: bool = True) -> Iterator[BlockScripts]:
        """A sink for one block's scripts.

        Leaving the context waits for their verdict: ValidationError if one fails.
        """
        # An empty cache would cost a hash for every signature of a first sync.
        cache = self.cache if use_cache and self.cache is not None and len(self.cache) else None
        scripts = BlockScripts(self._pool, cache, self._passed if use_cache else None)
        try:
            yield scripts
        except BaseException:
            self._pool.discard()
            raise
        scripts.finish()

    def check_transaction(self, tx: Transaction, coins: Sequence[Coin], flags: int) -> None:
        """Check all inputs at once, in this thread, and remember the valid signatures.

        Raises ValidationError.
        """
        digests = TxDigests(tx, coins)
        for index in range(len(tx.vin)):
            error = verify_input(digests, index, flags, self.cache)
            if error is not None:
                raise _script_failure(error, tx, index)

    def close(self) -> None:
        """Stop the threads."""
        self._pool.close()


def _script_failure(error: ScriptError, tx: Transaction, index: int) -> ValidationError:
    return ValidationError(
        f"block-script-verify-flag-failed ({error.message})",
        f"input {index} of {tx.txid_hex}",
    )
