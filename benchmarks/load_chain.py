"""How long a chain takes to load, beside its bare signature checks and a bitcoind.

    python benchmarks/load_chain.py [FILE.blk] [RUNS]

FILE defaults to ../shared/chains/regtest-182.blk (a real bitcoind's regtest chain: 80,030
signatures). Each run is a process of its own: `misocoind -loadblock`'s code path over a fresh data
folder on disk, with scripts on all cores. With BITCOIND=/path/to/bitcoind the same file is loaded
by it, in turn with ours.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_FILE = ROOT.parent / "shared" / "chains" / "regtest-182.blk"


def load(path: Path) -> dict[str, float]:
    """Load `path` in this process, then check the same signatures bare, in one thread."""
    from misocoin.chain.events import EventBus
    from misocoin.chain.importer import import_blocks
    from misocoin.chain.script_checks import ScriptChecks
    from misocoin.chain.state import ChainState
    from misocoin.crypto import batch
    from misocoin.node import tune_garbage_collector
    from misocoin.params import regtest
    from misocoin.store.store import Store

    tune_garbage_collector()
    params = regtest()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "chain.sqlite", params.genesis.hash)
        scripts = ScriptChecks()
        chain = ChainState(params, store, scripts, EventBus(), lambda: int(time.time()))
        chain.load()
        wall, cpu = time.perf_counter(), time.process_time()
        result = import_blocks(path, chain, params)
        chain.flush()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        height = chain.height
        scripts.close()
        store.close()
    jobs = signature_jobs(path)
    bare = time.process_time()
    invalid = batch.verify_batch(jobs)
    bare = time.process_time() - bare
    if invalid:
        sys.exit(f"{len(invalid)} signatures of {path} do not hold")
    return {
        "wall": wall,
        "cpu": cpu,
        "bare": bare,
        "signatures": len(jobs),
        "transactions": result.transactions,
        "height": height,
    }


def signature_jobs(path: Path) -> list:
    """Every signature in the file, as the block connector would collect it."""
    from misocoin.params import regtest
    from misocoin.primitives.block import block_from_bytes
    from misocoin.script import flags
    from misocoin.script.inputs import check_input_deferred
    from misocoin.script.sighash import TxDigests

    data, at, jobs, outputs = path.read_bytes(), 0, [], {}
    magic = regtest().magic
    rules = flags.P2SH | flags.WITNESS | flags.DERSIG | flags.NULLDUMMY | flags.TAPROOT
    while (at := data.find(magic, at)) >= 0:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        for tx in block_from_bytes(data[at + 8 : at + 8 + length]).transactions:
            if not tx.is_coinbase:
                digests = TxDigests(tx, [outputs[txin.prevout] for txin in tx.vin])
                for index in range(len(tx.vin)):
                    jobs += check_input_deferred(digests, index, rules)
            outputs.update({tx.outpoint(n): txout for n, txout in enumerate(tx.vout)})
        at += 8 + length
    return jobs


def load_with_bitcoind(bitcoind: str, path: Path) -> tuple[float, float]:
    """Wall and CPU seconds of `bitcoind -loadblock`, its start and stop left out of neither."""
    folder = Path(tempfile.mkdtemp())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            bitcoind, "-regtest", f"-datadir={folder}", f"-loadblock={path}", "-listen=0",
            "-connect=0", "-server=0", "-stopafterblockimport=1", "-checkpoints=0",
            "-assumevalid=0", "-printtoconsole=0",
        ]
    )  # fmt: skip
    process.wait()
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(folder)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(load(Path(sys.argv[2]))))
        return
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FILE
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if not path.exists():
        sys.exit(f"{path} is missing: name a regtest file in blk*.dat framing")
    bitcoind = os.environ.get("BITCOIND")
    ours, theirs = [], []
    for _ in range(runs):
        out = subprocess.run(
            [sys.executable, __file__, "--one", str(path)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        ours.append(json.loads(out))
        if bitcoind:
            theirs.append(load_with_bitcoind(bitcoind, path))

    def median(key: str) -> float:
        return statistics.median(run[key] for run in ours)

    def ratio(key: str) -> float:
        return statistics.median(run[key] / run["bare"] for run in ours)

    share = statistics.median(run["bare"] / run["cpu"] for run in ours)
    print(f"{path.name}: {ours[0]['transactions']:.0f} transactions, ", end="")
    print(f"{ours[0]['signatures']:.0f} signatures; medians of {runs} runs")
    print(f"{'':34}{'seconds':>9}{'x bare':>9}")
    print(f"{'bare signature checks, 1 core (CPU)':34}{median('bare'):9.2f}{1:9.2f}")
    print(f"{'load, CPU':34}{median('cpu'):9.2f}{ratio('cpu'):9.2f}")
    print(f"{f'load, wall on {os.cpu_count()} cores':34}{median('wall'):9.2f}{ratio('wall'):9.2f}")
    print(f"share of CPU spent in signatures: {share:.0%}")
    if theirs:
        wall = statistics.median(run[0] for run in theirs)
        cpu = statistics.median(run[1] for run in theirs)
        print(f"{'bitcoind, CPU':34}{cpu:9.2f}")
        print(f"{'bitcoind, wall':34}{wall:9.2f}")
        pairs = zip(ours, theirs, strict=True)
        print(f"ours / bitcoind, wall: {statistics.median(o['wall'] / t[0] for o, t in pairs):.2f}")
    else:
        print("bitcoind: not measured (name one in BITCOIND)")


if __name__ == "__main__":
    main()
