"""Validation beside Bitcoin Core's own engine, libbitcoinkernel, in the same run.

    .venv/bin/pip install py-bitcoinkernel==0.1.0a5
    PYTHONPATH=. .venv/bin/python benchmarks/kernel.py [RUNS]

First the real regtest chain of `load_chain.py`, read from its file into a new folder on disk, in
turn and each time in a process of its own: ours into SQLite, Core's by the import that
`-loadblock` uses, into LevelDB. Both check every script with all cores and no cache (regtest has
no assumevalid). Then single scripts, in one thread: Core's called from Python through ctypes.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.load_chain import DEFAULT_FILE, load
from misocoin.crypto.batch import verify_batch
from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import PrivateKey
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint
from misocoin.script import flags as verify_flags
from misocoin.script.inputs import check_input_deferred, verify_input
from misocoin.script.result import ScriptError
from misocoin.script.sighash import TxDigests
from misocoin.script.signing import KeyRing, output_key_of, sign_transaction
from misocoin.script.templates import (
    multisig_script,
    p2pkh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
)

SPENDS = 1000
"""Of each kind."""

FLAGS = verify_flags.MANDATORY


# -- a chain ----------------------------------------------------------------------------------


def load_by_kernel(path: Path) -> dict[str, float]:
    """As `load_chain.load`, by Core's engine; the last flush to disk is in it."""
    import pbk

    with tempfile.TemporaryDirectory() as folder:
        options = pbk.ChainstateManagerOptions(pbk.make_context(), folder, f"{folder}/blocks")
        options.set_worker_threads_num((os.cpu_count() or 1) - 1)  # the caller works as well
        manager = pbk.ChainstateManager(options)
        wall, cpu = time.perf_counter(), time.process_time()
        manager.import_blocks([path])
        height = manager.get_active_chain().height
        del manager
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall, "cpu": cpu, "height": height}


def compare_chains(path: Path, runs: int) -> None:
    """Print the first table."""

    def run(mode: str) -> dict[str, float]:
        command = [sys.executable, __file__, mode, str(path)]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    ours, theirs = [], []
    for _ in range(runs):
        ours.append(run("--ours"))
        theirs.append(run("--kernel"))
    if {each["height"] for each in ours} != {each["height"] for each in theirs}:
        sys.exit("they did not reach the same height")
    blocks, transactions = ours[0]["height"], ours[0]["transactions"]
    print(f"{path.name}: {blocks:.0f} blocks, {transactions:.0f} transactions; medians of {runs}\n")
    print(f"{'':24}{'wall s':>8}{'CPU s':>8}{'blocks/s':>10}{'tx/s':>10}")
    for name, each in (("Bitcoin Core's engine", theirs), ("ours", ours)):
        wall = statistics.median(one["wall"] for one in each)
        cpu = statistics.median(one["cpu"] for one in each)
        print(f"{name:24}{wall:8.2f}{cpu:8.2f}{blocks / wall:10.0f}{transactions / wall:10,.0f}")
    for key in ("wall", "cpu"):
        pairs = [one[key] / other[key] for one, other in zip(ours, theirs, strict=True)]
        print(f"ours / Core's, {key}: {statistics.median(pairs):.2f}")


# -- scripts ----------------------------------------------------------------------------------


def make_spends() -> dict[str, list[TxDigests]]:
    """Signed transactions of one input each."""
    keys = [PrivateKey(bytes([number]) * 32) for number in (1, 2, 3)]
    multisig = multisig_script(2, tuple(key.public_key for key in keys))
    ring = KeyRing.build(keys, [multisig])
    key_hash = hash160(keys[0].public_key)
    scripts = {
        "P2PKH": p2pkh_script(key_hash),
        "P2WPKH": p2wpkh_script(key_hash),
        "P2WSH, 2 of 3 keys": p2wsh_script(sha256(multisig)),
        "P2TR by key": p2tr_script(output_key_of(keys[0]).xonly_public_key),
    }

    def make(script: bytes, number: int) -> TxDigests:
        spent = (TxOut(10_000, script),)
        vin = [TxIn(outpoint(number.to_bytes(32, "big"), 0), b"")]
        tx = Transaction.build(2, vin, [TxOut(5_000, script), TxOut(4_000, script)])
        return TxDigests(sign_transaction(tx, spent, ring), spent)

    return {
        name: [make(script, number) for number in range(SPENDS)] for name, script in scripts.items()
    }


def one_by_one(spends: Sequence[TxDigests]) -> bool:
    return all(verify_input(TxDigests(each.tx, each.spent), 0, FLAGS) is None for each in spends)


def as_in_a_block(spends: Sequence[TxDigests]) -> bool:
    """The scripts first, then the signatures in one batch, in one thread here."""
    jobs = []
    for each in spends:
        found = check_input_deferred(TxDigests(each.tx, each.spent), 0, FLAGS)
        if isinstance(found, ScriptError):
            return False
        jobs += found
    return not verify_batch(jobs)


def by_kernel(spends: Sequence[TxDigests]) -> Callable[[], bool]:
    """Core's check of the same, its transactions read beforehand as ours are."""
    import pbk
    from pbk.script import PrecomputedTransactionData

    script = pbk.ScriptPubkey(spends[0].spent[0].script_pubkey)
    amount = spends[0].spent[0].value
    spent = [pbk.TransactionOutput(script, amount)]
    transactions = [pbk.Transaction(each.tx.serialize()) for each in spends]

    def verify() -> bool:
        return all(
            script.verify(amount, tx, PrecomputedTransactionData(tx, spent), 0, FLAGS)
            for tx in transactions
        )

    return verify


def compare_scripts(runs: int) -> None:
    """Print the second table."""
    print(
        f"\n{SPENDS} inputs of each kind, checked a second of processor time; medians of {runs}\n"
    )
    print(f"{'':20}{'Core’s engine':>15}{'ours, one by one':>24}{'ours, as in a block':>24}")
    for name, spends in make_spends().items():
        checks: list[Callable[[], bool]] = [
            by_kernel(spends),
            lambda spends=spends: one_by_one(spends),
            lambda spends=spends: as_in_a_block(spends),
        ]
        seconds: list[list[float]] = [[], [], []]
        for _ in range(runs):
            for check, times in zip(checks, seconds, strict=True):
                began = time.process_time()
                if not check():
                    sys.exit(f"{name}: an input does not hold")
                times.append(time.process_time() - began)
        rates = [SPENDS / statistics.median(times) for times in seconds]
        cells = "".join(f"{rate:16,.0f} ({rate / rates[0]:.2f}x)" for rate in rates[1:])
        print(f"{name:20}{rates[0]:15,.0f}{cells}")


def main() -> None:
    """Print both tables."""
    if sys.argv[1:2] == ["--ours"]:
        print(json.dumps(load(Path(sys.argv[2]))))
        return
    if sys.argv[1:2] == ["--kernel"]:
        print(json.dumps(load_by_kernel(Path(sys.argv[2]))))
        return
    try:
        import pbk  # noqa: F401
    except ImportError:
        print("not measured: pip install py-bitcoinkernel==0.1.0a5")
        return
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    if DEFAULT_FILE.exists():
        compare_chains(DEFAULT_FILE, runs)
    else:
        print(f"{DEFAULT_FILE} is missing: no chain is measured")
    compare_scripts(runs)


if __name__ == "__main__":
    main()
