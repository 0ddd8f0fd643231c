"""How many signatures a second: ours beside libsecp256k1 called bare.

    python benchmarks/signatures.py [--signatures 2000] [--rounds 9]

"Bare" parses the key and the signature and verifies, through the cffi library inside coincurve, in
a loop that does nothing else. All contenders take turns in every round; shown are medians.
"""

import argparse
import hashlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from coincurve._libsecp256k1 import ffi, lib

from misocoin.crypto import batch
from misocoin.crypto.batch import SignatureCache, SignatureJob, SignatureKind, VerifierPool
from misocoin.crypto.keys import PrivateKey, verify_ecdsa

PYTHON_PER_SIGNATURE = 15e-6
"""Seconds of Python beside each signature: about what a script costs."""


def make_jobs(count: int) -> list[SignatureJob]:
    jobs = []
    for number in range(count):
        key = PrivateKey(hashlib.sha256(b"key %d" % number).digest())
        digest = hashlib.sha256(b"digest %d" % number).digest()
        signature = key.sign_ecdsa(digest)
        jobs.append(SignatureJob(SignatureKind.ECDSA, key.public_key, signature, digest))
    return jobs


def bare(jobs: Sequence[SignatureJob]) -> int:
    """Valid signatures by nothing but the library's functions."""
    context = lib.secp256k1_context_static
    parse_key, parse_der = lib.secp256k1_ec_pubkey_parse, lib.secp256k1_ecdsa_signature_parse_der
    normalize, verify = lib.secp256k1_ecdsa_signature_normalize, lib.secp256k1_ecdsa_verify
    key, parsed = ffi.new("secp256k1_pubkey *"), ffi.new("secp256k1_ecdsa_signature *")
    valid = 0
    for _, public_key, signature, digest in jobs:
        parse_key(context, key, public_key, len(public_key))
        parse_der(context, parsed, signature, len(signature))
        normalize(context, parsed, parsed)
        valid += verify(context, parsed, digest, key)
    return valid


def per_call(jobs: Sequence[SignatureJob]) -> int:
    return sum(verify_ecdsa(job.public_key, job.signature, job.digest) for job in jobs)


def in_pool(pool: VerifierPool) -> Callable[[Sequence[SignatureJob]], int]:
    def run(jobs: Sequence[SignatureJob]) -> int:
        for job in jobs:
            pool.submit((job,))
        return len(jobs) - len(pool.wait())

    return run


def spin(seconds: float) -> None:
    """Python that computes, and never gives the interpreter's lock away by itself."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def beside_python(pool: VerifierPool) -> Callable[[Sequence[SignatureJob]], int]:
    def run(jobs: Sequence[SignatureJob]) -> int:
        for job in jobs:
            spin(PYTHON_PER_SIGNATURE)
            pool.submit((job,))
        return len(jobs) - len(pool.wait())

    return run


def halves(executor: ThreadPoolExecutor) -> Callable[[Sequence[SignatureJob]], int]:
    def run(jobs: Sequence[SignatureJob]) -> int:
        middle = len(jobs) // 2
        return sum(executor.map(bare, (jobs[:middle], jobs[middle:])))

    return run


def cached(cache: SignatureCache) -> Callable[[Sequence[SignatureJob]], int]:
    def run(jobs: Sequence[SignatureJob]) -> int:
        return sum(cache.contains(job) for job in jobs)

    return run


def measure(
    contenders: dict[str, Callable[[Sequence[SignatureJob]], int]],
    jobs: Sequence[SignatureJob],
    rounds: int,
) -> dict[str, float]:
    """Median seconds for all jobs, by contender."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(rounds + 1):
        for name, run in contenders.items():
            start = time.perf_counter()
            valid = run(jobs)
            elapsed = time.perf_counter() - start
            if valid != len(jobs):
                raise SystemExit(f"{name}: {valid} of {len(jobs)} signatures are valid")
            if round_number:  # the first one warms up
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signatures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    jobs = make_jobs(options.signatures)
    cache = SignatureCache(2 * len(jobs))
    for job in jobs:
        cache.add(job)

    one, two = VerifierPool(1), VerifierPool(2)
    portable = VerifierPool(2, native=False)
    with one, two, portable, ThreadPoolExecutor(2) as executor:
        contenders = {
            "bare libsecp256k1": bare,
            "verify_ecdsa": per_call,
            "verify_batch": lambda jobs: len(jobs) - len(batch.verify_batch(jobs)),
            "VerifierPool, 1 thread": in_pool(one),
            "bare libsecp256k1, 2 threads": halves(executor),
            "VerifierPool, 2 threads": in_pool(two),
            "same, without native module": in_pool(portable),
            "2 threads beside Python": beside_python(two),
            "same, without native module ": beside_python(portable),
            "found in SignatureCache": cached(cache),
        }
        medians = measure(contenders, jobs, options.rounds)

    count = len(jobs)
    base = medians["bare libsecp256k1"]
    native = "built" if batch.is_native() else "NOT built: every row is portable"
    print(f"{count} ECDSA signatures, median of {options.rounds} rounds, {os.cpu_count()} cores;")
    print(f"native module {native}\n")
    print(f"{'':30} {'us each':>8} {'a second':>10} {'x bare':>7}")
    for name, seconds in medians.items():
        print(
            f"{name:30} {seconds / count * 1e6:8.2f} {count / seconds:10,.0f} {base / seconds:7.2f}"
        )
    ideal = (base + count * PYTHON_PER_SIGNATURE) / 2
    print(
        f"\nBeside Python: {PYTHON_PER_SIGNATURE * 1e6:.0f} us of it for each signature; two cores"
        f" without any loss would take {ideal / count * 1e6:.2f} us each."
    )


if __name__ == "__main__":
    main()
