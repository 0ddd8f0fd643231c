"""How much a market takes: bids matched a second, ledger entries a second, and how fast work is
back.

    python benchmarks/market.py [--bids 600] [--postgres postgresql://…] [--repeat 3]

Rates are of one process on the store alone (signatures checked), then of a server over HTTP with
four clients. A purchase is one piece of work that takes its worker a given time, from the buyer's
bid to the result in its hands, between strangers who poll as the original's client does and such
as use what this server adds (answers held until something changes). The original's own client
took 9 s for a job of 1 s, as captured.
"""

import argparse
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from misocoin.market.server import now
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.market_client import ClientProcess, FakeWorker
from tests.functional.framework.stranger import Stranger
from tests.unit.market.builders import BUYER, SELLER
from tests.unit.market.rig import Rig


class Timed:
    """A rate: how many in how many seconds."""

    def __init__(self, count: int, seconds: float) -> None:
        self.count = count
        self.seconds = seconds

    @property
    def rate(self) -> float:
        return self.count / self.seconds


def timed(count: int, work: Callable[[], object]) -> Timed:
    start = time.perf_counter()
    work()
    return Timed(count, time.perf_counter() - start)


def median(measure: Callable[[], float], repeat: int) -> float:
    return statistics.median(measure() for _ in range(repeat))


# -- the store ---------------------------------------------------------------------------------


class LiveRig(Rig):
    """A book whose clock is the system's."""

    def now(self) -> Any:
        return now()


def forms_of(rig: Rig, count: int) -> list[dict[str, str]]:
    """Signed bids, sells and buys in turn, that meet in pairs."""
    return [
        (SELLER if number % 2 == 0 else BUYER).bid_form(
            type="SELL" if number % 2 == 0 else "BUY",
            price="uMISO 10",
            nonce=rig.book.new_nonce(),
        )
        for number in range(count)
    ]


def matching_rate(where: str | Path, bids: int) -> tuple[float, float]:
    """Bids matched a second, and movements booked a second meanwhile."""
    rig = LiveRig(where)
    rig.give(BUYER, "MISO 1000")
    before = movements(rig)
    forms = forms_of(rig, bids)
    result = timed(bids, lambda: [rig.book.place_bid(form) for form in forms])
    booked = movements(rig) - before
    rig.close()
    return result.rate, booked / result.seconds


def settling_rate(where: str | Path, trades: int) -> tuple[float, float]:
    """Trades taken through all messages a second, and movements of the whole life a second."""
    rig = LiveRig(where)
    rig.give(BUYER, "MISO 1000")
    before = movements(rig)

    def run() -> None:
        for _ in range(trades):
            rig.sell(SELLER, "uMISO 10")
            trade = rig.trade_of(rig.buy(BUYER, "uMISO 10"))
            rig.deliver(BUYER, SELLER, trade.key)
            rig.say(BUYER, trade.key, acceptresult="on")

    result = timed(trades, run)
    booked = movements(rig) - before
    rig.close()
    return result.rate, booked / result.seconds


def movements(rig: Rig) -> int:
    with rig.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM market_movements").scalar_one())


def audit_rate(where: Path, bids: int) -> float:
    """Ledger entries an audit reads a second."""
    from misocoin.market.audit import audit

    rig = LiveRig(where)
    rig.give(BUYER, "MISO 1000")
    for form in forms_of(rig, bids):
        rig.book.place_bid(form)
    result = timed(movements(rig), lambda: audit(rig.database, None))
    rig.close()
    return result.rate


# -- over HTTP ---------------------------------------------------------------------------------


@contextmanager
def server(where: str, folder: Path) -> Iterator[MarketProcess]:
    process = MarketProcess(folder, f"-store={where}").start()
    try:
        yield process
    finally:
        process.close()


def http_rate(where: str, folder: Path, bids: int) -> float:
    """Bids a second from four clients, each with a nonce of its own, free of price."""
    with server(where, folder) as process:
        clients = [Stranger(process.url) for _ in range(4)]

        def run(number: int) -> None:
            for _ in range(bids // 4):
                clients[number].bid("BUY" if number % 2 else "SELL", "foobar", "BTC 0")

        threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]

        def together() -> None:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return timed(bids, together).rate


class Waiting(Stranger):
    """A stranger who lets the server hold its answers until something changes."""

    def poll(self, path: str, until: Callable[[Any], bool], seconds: float = 30) -> Any:
        tag = ""
        while True:
            fields = {"If-None-Match": tag} if tag else None
            answer = self.call("GET", f"{path}?wait=20", headers=fields)
            if answer.status == 200:
                tag = answer.headers["ETag"]
                if until(answer.json):
                    return answer.json


class Original(Stranger):
    """A stranger who polls as the original's client does: after 0.5, 1.0, 1.5 … seconds."""

    def poll(self, path: str, until: Callable[[Any], bool], seconds: float = 60) -> Any:
        pause = 0.5
        while True:
            answer = self.call("GET", path)
            if answer.status == 200 and until(answer.json):
                return answer.json
            time.sleep(pause)
            pause += 0.5


def purchase_seconds(
    kind: type[Stranger], process: MarketProcess, work_seconds: float, size: int
) -> float:
    buyer, seller = kind(process.url), kind(process.url)

    def work(data: bytes) -> bytes:
        time.sleep(work_seconds)
        return data[:100]

    sale = seller.sell("foobar", "BTC 0", work)
    start = time.perf_counter()
    buyer.buy("foobar", "BTC 0", bytes(size))
    seconds = time.perf_counter() - start
    sale.finish()
    return seconds


def find_postgres_url() -> str | None:
    """A database of a server of our own; None where none can be started."""
    from tests.functional.framework.postgres import PostgresServer, find_postgres

    programs, why_not = find_postgres()
    if programs is None:
        print(f"PostgreSQL left out: {why_not}")
        return None
    machine = PostgresServer(programs)
    machine.create()
    machine.start()
    print("(PostgreSQL of its own, without fsync)")
    import atexit

    atexit.register(machine.close)
    return machine.new_database()


# -- clients -----------------------------------------------------------------------------------

CLIENT_WAYS = {
    "through the relay": (),
    "straight": ("-extport=0", "-extaddr=localhost"),
    "version 1": ("-extport=0", "-extaddr=localhost", "-trades=1"),
}


def client_seconds(
    folder: Path, market: MarketProcess, options: tuple[str, ...], repeat: int
) -> dict[str, float]:
    """Seconds from a program's POST /buy to the result in its hands."""
    buyer = ClientProcess(folder / "buyer", market.url, *options[2:]).start()
    seller = ClientProcess(folder / "seller", market.url, *options).start()

    def do(work: bytes) -> bytes:
        time.sleep(float(work[:3]))
        return work

    worker = FakeWorker(seller, "foobar", do)
    seller.permit("SELL", "foobar", "MISO 0", 2 * repeat)
    found = {}
    for work_seconds, size in ((0.0, 1_000), (1.0, 1_000), (1.0, 4_000_000)):
        if work_seconds == 1.0 and size > 1_000:
            seller.permit("SELL", "foobar", "MISO 0", repeat)

        def buy(seconds: float = work_seconds, size: int = size) -> float:
            work = str(seconds).encode() + secrets.token_bytes(size)
            start = time.perf_counter()
            assert buyer.buy("foobar", work, "?price=MISO+0") == work
            return time.perf_counter() - start

        found[f"{work_seconds:.0f} s job, {size:,} bytes"] = median(buy, repeat)
    buyer.close()
    seller.close()
    worker.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bids", type=int, default=600)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--postgres", help="an empty database; without it one is started")
    options = parser.parse_args()
    repeat = options.repeat
    folder = Path(tempfile.mkdtemp(prefix="misocoin-market-"))
    numbers = iter(range(10_000))

    def fresh() -> Path:
        return folder / f"book{next(numbers)}.sqlite"

    stores: list[tuple[str, Callable[[], str | Path]]] = [
        ("SQLite, memory", lambda: ""),
        ("SQLite, file", fresh),
    ]
    postgres = options.postgres or find_postgres_url()
    if postgres:
        stores.append(("PostgreSQL", lambda: postgres))
    print(f"\n{'one process, signatures checked':34}{'matched':>12}{'ledger':>12}{'trades':>12}"
          f"{'ledger':>12}")  # fmt: skip
    print(f"{'':34}{'bids/s':>12}{'entries/s':>12}{'whole/s':>12}{'entries/s':>12}")
    for name, where in stores:
        rounds = [
            (*matching_rate(where(), options.bids), *settling_rate(where(), options.bids // 8))
            for _ in range(options.repeat)
        ]
        figures = [statistics.median(column) for column in zip(*rounds, strict=True)]
        print(f"{name:34}" + "".join(f"{figure:12.0f}" for figure in figures), flush=True)
    print(f"\naudit: {audit_rate(fresh(), options.bids):,.0f} ledger entries/s")
    print("\nover HTTP, four clients, nonce and bid each")
    for name, where in stores[1:]:
        rate = median(
            lambda where=where: http_rate(str(where()), folder / f"s{next(numbers)}", options.bids),
            options.repeat,
        )
        print(f"{name:34}{rate:12.0f} bids/s", flush=True)
    print("\none purchase, seconds from bid to result")
    with server(str(fresh()), folder / "server") as process:
        for kind, what in ((Waiting, "held answers"), (Original, "the original's polling")):
            for work_seconds, size in ((0.0, 1_000), (1.0, 1_000), (1.0, 4_000_000)):
                seconds = median(
                    lambda k=kind, w=work_seconds, s=size: purchase_seconds(k, process, w, s),
                    options.repeat,
                )
                job = f"{what}, {work_seconds:.0f} s job, {size:,} bytes"
                print(f"{job:50}{seconds:10.2f}", flush=True)
        print("\nthe same between two clients of ours, a worker of the seller's included")
        for way, way_options in CLIENT_WAYS.items():
            found = client_seconds(folder / f"c{next(numbers)}", process, way_options, repeat)
            for what, seconds in found.items():
                print(f"{f'{way}, {what}':50}{seconds:10.2f}", flush=True)
    subprocess.run(["rm", "-rf", str(folder)], check=False)


if __name__ == "__main__":
    main()
