"""The work service: jobs a second, what it adds to each, and a real job with one and two miners.

    python benchmarks/work.py [SECONDS] [ROUNDS]

Everything runs on this machine: one server process, miner processes of one thread each, and the
client in this process. Three tables:

1. Jobs a second at trivial difficulty (16 expected tries), and what one job at a time takes from
   handing it in to its answer, with the search itself (some microseconds) in it: in memory, in
   SQLite, and in PostgreSQL where a server can be started. Beside it the bare round trip: a ping.
2. A job of the size of a real Bitmessage message, several different ones, each solved by one
   hashlib thread, by the engine in this process, and by the service with 1 and 2 miners. Every
   round does all four on the same job; the order of magnitude of luck is the same for all, as the
   first nonce that wins is.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from hashlib import sha512
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from misocoin.pow.engines import select_engine  # noqa: E402
from misocoin.pow.puzzles import BitmessagePuzzle  # noqa: E402
from misocoin.pow.search import search_threads  # noqa: E402
from misocoin.work.client import WorkClient, fetch_stats  # noqa: E402
from misocoin.work.jobs import fields_from_puzzle  # noqa: E402
from misocoin.work.line import Endpoint, FramedLine  # noqa: E402
from tests.functional.framework.postgres import PostgresServer, find_postgres  # noqa: E402

TRIVIAL = (1 << 64) // 16
WINDOW = 64

PAYLOAD, TTL = 1000, 4 * 86400
REAL_TRIES = 1000 * (PAYLOAD + 8 + 1000) * (1 + TTL // 65536)
"""Bitmessage's default difficulty: 1000 tries a byte, 1000 extra bytes, lifetime in 2**16 s."""
REAL = (1 << 64) // REAL_TRIES


class Service:
    """A server process and its miners."""

    def __init__(self, folder, miners, *options):
        self.processes = []
        server = self._start("serve", "-port=0", *options)
        for line in server.stdout:
            if "listening on" in line:
                self.port = int(line.rsplit(":", 1)[1].split()[0])
                break
        self.endpoint = Endpoint("127.0.0.1", self.port)
        for _ in range(miners):
            self._start("mine", f"127.0.0.1:{self.port}", quiet=True)
        while fetch_stats(self.endpoint)["idle"] < miners:
            time.sleep(0.05)

    def _start(self, *words, quiet=False):
        process = subprocess.Popen(
            [sys.executable, "-m", "misocoin", "work", *words],
            stdout=subprocess.DEVNULL if quiet else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        self.processes.append(process)
        return process

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


def puzzles(chance, target):
    while True:
        yield BitmessagePuzzle(chance.randbytes(64), target)


def jobs_per_second(endpoint, seconds, chance):
    """Keep a window of jobs open over one connection."""
    line = FramedLine(endpoint)
    source = puzzles(chance, TRIVIAL)
    window = threading.Semaphore(WINDOW)
    is_over = threading.Event()

    def submit():
        while not is_over.is_set():
            window.acquire()
            line.send({"id": 1, "method": "do_pow", **fields_from_puzzle(next(source))})

    thread = threading.Thread(target=submit)
    thread.start()
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        message = line.receive(10)
        if message["status"] == "done":
            done += 1
            window.release()
    rate = done / (time.perf_counter() - began)
    is_over.set()
    window.release()
    thread.join()
    line.close()
    return rate


def round_trips(endpoint, seconds, message, final):
    """Median time of one request after the other, in milliseconds."""
    line = FramedLine(endpoint)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        request = message()
        began = time.perf_counter()
        line.send(request)
        while line.receive(10)["status"] != final:
            pass
        times.append(time.perf_counter() - began)
    line.close()
    return 1e3 * statistics.median(times)


def trivial_table(folder, seconds, chance):
    print("Trivial jobs (16 tries), one miner of one thread\n")
    print(f"{'queue in':14}{'jobs/s':>10}{'one job':>12}{'a ping':>12}{'added':>12}")
    with ExitStack() as stack:
        places = [("memory", ()), ("SQLite", (f"-store={folder / 'queue.sqlite'}",))]
        programs, why_not = find_postgres()
        if programs is not None:
            server = PostgresServer(programs)
            stack.callback(server.close)
            server.create()
            server.start()
            places.append(("PostgreSQL", (f"-store={server.new_database()}",)))
        source = puzzles(chance, TRIVIAL)
        for name, options in places:
            with Service(folder, 1, *options) as service:
                rate = jobs_per_second(service.endpoint, seconds, chance)
                ping = round_trips(
                    service.endpoint, seconds / 4, lambda: {"id": 1, "method": "ping"}, "ok"
                )
                job = round_trips(
                    service.endpoint,
                    seconds,
                    lambda: {"id": 1, "method": "do_pow", **fields_from_puzzle(next(source))},
                    "done",
                )
            print(
                f"{name:14}{rate:10.0f}{job:9.2f} ms{ping:9.2f} ms{job - ping:9.2f} ms",
                flush=True,
            )
    if why_not:
        print(f"(PostgreSQL: {why_not})")


def search_by_hashlib(puzzle):
    """One thread of plain Python, as clients without a service do it."""
    nonce, initial_hash, target = 0, puzzle.initial_hash, puzzle.target
    limit = target.to_bytes(8, "big")
    while sha512(sha512(nonce.to_bytes(8, "big") + initial_hash).digest()).digest()[:8] > limit:
        nonce += 1
    return nonce


def real_table(folder, rounds, chance):
    print(
        f"\nA Bitmessage of {PAYLOAD} bytes for {TTL // 86400} days: {REAL_TRIES / 1e6:.1f} M tries"
        f" expected; {rounds} jobs\n"
    )
    engine = select_engine("auto")
    engine.search(BitmessagePuzzle(bytes(64), 0), 0, 1)
    with Service(folder, 1) as one, Service(folder, 2) as two:
        clients = [WorkClient("127.0.0.1", service.port, fallback=False) for service in (one, two)]
        for client in clients:  # a miner learns its speed from its first ranges
            client.solve(BitmessagePuzzle(chance.randbytes(64), REAL))
        ways = {
            "hashlib, 1 thread": search_by_hashlib,
            "the engine, 1 thread": lambda puzzle: search_threads(engine, puzzle).nonce,
            "service, 1 miner": clients[0].solve,
            "service, 2 miners": clients[1].solve,
        }
        times = {name: [] for name in ways}
        for _ in range(rounds):
            puzzle = BitmessagePuzzle(chance.randbytes(64), REAL)
            for name, solve in ways.items():
                began = time.perf_counter()
                assert puzzle.is_solution(solve(puzzle))
                times[name].append(time.perf_counter() - began)
    totals = {name: sum(taken) for name, taken in times.items()}
    print(f"{'':22}{'median':>10}{'in all':>10}{'beside hashlib':>16}")
    for name, taken in times.items():
        ratio = totals["hashlib, 1 thread"] / totals[name]
        print(f"{name:22}{statistics.median(taken):8.2f} s{totals[name]:8.1f} s{ratio:15.1f}x")


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    chance = random.Random(2026)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    with tempfile.TemporaryDirectory() as name:
        trivial_table(Path(name), seconds, chance)
        real_table(Path(name), rounds, chance)


if __name__ == "__main__":
    main()
