"""Proofs of many files beside OpenTimestamps' own library, and how fast headers are checked.

    python benchmarks/notary.py [FILES] [RUNS]

Both put FILES digests (10,000 by default) under one root, write a proof for each, and read all of
them again. The library is measured where it is installed (`pip install opentimestamps`).
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from misocoin.crypto.hashes import sha256
from misocoin.notary.evidence import check_proof
from misocoin.notary.proof import BITCOIN_TAG, BlockAttestation, bytes_from_proof, proof_from_bytes
from misocoin.notary.tree import NONCE_SIZE, stamp_digests
from misocoin.params import regtest
from misocoin.wallet.light.store import LightStore
from tests.builders import LATE
from tests.fakes.notary import notarise

HEIGHT = 358_391
HEADERS = 5_000
Proofs = list[bytes]
NONCE = bytes(NONCE_SIZE)


def write_ours(digests: Sequence[bytes]) -> Proofs:
    stamped = stamp_digests(digests, [NONCE] * len(digests))
    block = BlockAttestation(BITCOIN_TAG, HEIGHT)
    paths = zip(digests, stamped.paths, strict=True)
    return [bytes_from_proof(digest, steps, block) for digest, steps in paths]


def read_ours(proofs: Proofs) -> object:
    return [proof_from_bytes(data).attested[0].message for data in proofs]


def theirs() -> tuple[Callable[[Sequence[bytes]], Proofs], Callable[[Proofs], object]] | None:
    """The same by the library, if there is one."""
    try:
        from opentimestamps.core import notary, op, serialize, timestamp
    except ImportError:
        return None

    def write(digests: Sequence[bytes]) -> Proofs:
        starts = [timestamp.Timestamp(digest) for digest in digests]
        leaves = [each.ops.add(op.OpAppend(NONCE)).ops.add(op.OpSHA256()) for each in starts]
        root = timestamp.make_merkle_tree(leaves)
        root.attestations.add(notary.BitcoinBlockHeaderAttestation(HEIGHT))
        proofs = []
        for each in starts:
            context = serialize.BytesSerializationContext()
            timestamp.DetachedTimestampFile(op.OpSHA256(), each).serialize(context)
            proofs.append(context.getbytes())
        return proofs

    def read(proofs: Proofs) -> object:
        found = []
        for data in proofs:
            context = serialize.BytesDeserializationContext(data)
            proof = timestamp.DetachedTimestampFile.deserialize(context)
            found.append(next(proof.timestamp.all_attestations())[0])
        return found

    return write, read


def seconds(runs: int, work: Callable[[], object]) -> float:
    taken = []
    for _ in range(runs):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return median(taken)


def main() -> None:
    count, runs = [int(word) for word in sys.argv[1:]] + [10_000, 3][len(sys.argv) - 1 :]
    digests = [sha256(number.to_bytes(4, "big")) for number in range(count)]
    rival = theirs()
    proofs = write_ours(digests)
    if rival is not None and rival[0](digests) != proofs:
        raise SystemExit("the two write different proofs")
    ours = (
        ("write the proofs", lambda: write_ours(digests)),
        ("read them", lambda: read_ours(proofs)),
    )
    print(f"{count} files, median of {runs}: microseconds of processor time a file\n")
    print(f"{'':20}{'ours':>10}{'theirs':>10}{'ratio':>8}")
    for at, (name, work) in enumerate(ours):
        mine = seconds(runs, work) / count * 1e6
        line = f"{name:20}{mine:10.1f}"
        if rival is not None:
            given = (digests, proofs)[at]
            other = seconds(runs, lambda at=at, given=given: rival[at](given)) / count * 1e6
            line += f"{other:10.1f}{other / mine:8.1f}"
        print(line)
    made = notarise(digests[:1], regtest(), after=HEADERS)
    proof = proof_from_bytes(made.proofs[0])
    print()
    with TemporaryDirectory() as folder:
        for place, path in (("memory", None), ("disk", Path(folder) / "light.sqlite")):
            with closing(LightStore(path, regtest())) as store:
                store.append_headers(made.headers[1:], 1, store.work_at(0))
                taken = seconds(runs, lambda s=store: check_proof(proof, s, regtest(), LATE))
            print(f"headers in a second of processor time, from {place}: {HEADERS / taken:,.0f}")


if __name__ == "__main__":
    main()
