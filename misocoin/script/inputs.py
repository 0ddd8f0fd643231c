"""Checking a transaction's inputs: exactly, or with the signatures left for a batch.

For a block: call `check_input_deferred` for each input, verify all jobs in one batch, and call
`verify_input` for those inputs with a job that failed. `misocoin.script.checker` says why this
gives the same answers as `verify_input` everywhere.
"""

from misocoin.crypto.batch import SignatureJob
from misocoin.script.checker import DeferredChecker, TransactionChecker, ValidSignatures
from misocoin.script.interpreter import verify_script
from misocoin.script.keyhash import key_hash_job
from misocoin.script.result import ScriptError
from misocoin.script.sighash import TxDigests


def verify_input(
    digests: TxDigests, index: int, flags: int, cache: ValidSignatures | None = None
) -> ScriptError | None:
    """Whether input `index` may spend what it spends: None if so, else why not."""
    txin = digests.tx.vin[index]
    return verify_script(
        txin.script_sig,
        digests.spent[index].script_pubkey,
        txin.witness,
        flags,
        TransactionChecker(digests, index, cache),
    )


def check_input_deferred(
    digests: TxDigests, index: int, flags: int, cache: ValidSignatures | None = None
) -> tuple[SignatureJob, ...] | ScriptError:
    """The signatures on which it depends whether input `index` holds, or why it does not hold.

    The input holds if all jobs verify (there may be none). If one fails, ask `verify_input`: the
    input may hold nevertheless. An error is final.
    """
    job = key_hash_job(digests, index, flags)
    if job is not None:
        return () if cache is not None and cache.contains(job) else (job,)
    txin = digests.tx.vin[index]
    checker = DeferredChecker(digests, index, cache)
    error = verify_script(
        txin.script_sig, digests.spent[index].script_pubkey, txin.witness, flags, checker
    )
    if error is None:
        return tuple(checker.jobs)
    exact = verify_input(digests, index, flags, cache)
    return () if exact is None else exact
