"""How long a chain takes to load, beside its bare signature checks and a real bitcoind.

    [BITCOIND=/path/to/bitcoind] python benchmarks/load_chain.py [FILE.blk] [RUNS]

FILE defaults to ../shared/chains/regtest-182.blk (a real bitcoind's regtest chain: 80,030
signatures). Each run is a process of its own: `misocoind -loadblock`'s code path over a fresh data
folder on disk, with scripts on all cores. A bitcoind imports the same file in turn with ours, all
scripts checked, once with block filters as ours makes them and once without; there the whole
processes are compared, from their starts to their ends.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests.functional.framework.bitcoind import AS_IN_EARNEST, Bitcoind, named_bitcoind

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_FILE = ROOT.parent / "shared" / "chains" / "regtest-182.blk"


def load(path: Path) -> dict[str, float]:
    """Load `path` in this process."""
    from misocoin.chain.events import EventBus
    from misocoin.chain.importer import import_blocks
    from misocoin.chain.script_checks import ScriptChecks
    from misocoin.chain.state import ChainState
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
    return {"wall": wall, "cpu": cpu, "transactions": result.transactions, "height": height}


def check_bare(path: Path) -> dict[str, float]:
    """Check the same signatures bare, in one thread."""
    from misocoin.crypto import batch

    jobs = signature_jobs(path)
    cpu = time.process_time()
    invalid = batch.verify_batch(jobs)
    cpu = time.process_time() - cpu
    if invalid:
        sys.exit(f"{len(invalid)} signatures of {path} do not hold")
    return {"cpu": cpu, "signatures": len(jobs)}


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


class Whole(NamedTuple):
    """A process from its start to its end."""

    wall: float
    """Seconds by the clock."""
    cpu: float
    """Of processor time."""


def whole(run: Callable[[], object]) -> Whole:
    """What a child takes that `run` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    run()
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Whole(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def run_self(mode: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, mode, str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def load_with_bitcoind(program: Path, path: Path, *options: str) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(
            Bitcoind(
                program, Path(folder) / "data", *AS_IN_EARNEST, f"-loadblock={path}",
                "-stopafterblockimport", "-assumevalid=0", "-connect=0", "-txindex=0", *options,
            )
        ) as bitcoind,
    ):  # fmt: skip
        bitcoind.launch()
        os.waitid(os.P_PID, bitcoind.pid, os.WEXITED | os.WNOWAIT)
        if "UpdateTip" not in bitcoind.log:
            sys.exit(f"bitcoind loaded nothing: {bitcoind.log[-2000:]}")
        bitcoind.wait()


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] in (["--load"], ["--bare"]):
        work = load if sys.argv[1] == "--load" else check_bare
        print(json.dumps(work(Path(sys.argv[2]))))
        return
    path = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else DEFAULT_FILE
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if not path.exists():
        print(f"not measured: {path} is missing; name a regtest file in blk*.dat framing")
        return
    program = named_bitcoind()
    bare, loads = [], []
    processes: dict[str, list[Whole]] = {}
    for _ in range(runs):
        bare.append(run_self("--bare", path))
        ways: dict[str, Callable[[], object]] = {
            "misocoin": lambda: loads.append(run_self("--load", path)),
        }
        if program is not None:
            ways["bitcoind with block filters"] = lambda: load_with_bitcoind(
                program, path, "-blockfilterindex"
            )
            ways["bitcoind without"] = lambda: load_with_bitcoind(program, path)
        for name, way in ways.items():
            processes.setdefault(name, []).append(whole(way))
    blocks, transactions = loads[0]["height"], loads[0]["transactions"]
    print(f"{path.name}: {blocks:.0f} blocks, {transactions:.0f} transactions, ", end="")
    print(f"{bare[0]['signatures']:.0f} signatures; medians of {runs} runs")
    print(f"{'':36}{'seconds':>9}{'x bare':>9}")
    columns = {
        "bare signature checks, 1 core (CPU)": [one["cpu"] for one in bare],
        "load, CPU": [one["cpu"] for one in loads],
        f"load, wall on {os.cpu_count()} cores": [one["wall"] for one in loads],
    }
    for name, column in columns.items():
        ratio = statistics.median(a / b["cpu"] for a, b in zip(column, bare, strict=True))
        print(f"{name:36}{statistics.median(column):9.2f}{ratio:9.2f}")
    share = statistics.median(b["cpu"] / one["cpu"] for b, one in zip(bare, loads, strict=True))
    print(f"share of CPU spent in signatures: {share:.0%}")
    print(f"\n{'whole processes':36}{'CPU s':>9}{'ratio':>7}{'wall s':>9}{'ratio':>7}")
    for name, taken in processes.items():
        cells = ""
        for key in ("cpu", "wall"):
            column = [getattr(each, key) for each in taken]
            own = [getattr(each, key) for each in processes["misocoin"]]
            ratio = statistics.median(a / b for a, b in zip(own, column, strict=True))
            cells += f"{statistics.median(column):9.2f}{ratio:7.2f}"
        print(f"{name:36}{cells}")
    if program is None:
        print("bitcoind: not measured (name one in BITCOIND)")


if __name__ == "__main__":
    main()
