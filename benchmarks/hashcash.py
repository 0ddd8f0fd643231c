"""Hashcash: what minting and checking cost, and what the pair of gates adds.

    python benchmarks/hashcash.py [SECONDS] [CONNECTIONS]

Beside them: hashlib in a loop, Debian's `hashcash`, a plain TCP proxy (`socat`), and the original
pair where ELECTRUM_HASHCASH_CLIENT and ELECTRUM_HASHCASH_SERVER name its programs. Each figure is
the median of several rounds, the rivals in turn.
"""

import hashlib
import itertools
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from misocoin.hashcash import original
from misocoin.hashcash.challenge import Challenge, mint_request_stamp, request_stamp_from_text
from misocoin.hashcash.gate import Tally
from misocoin.hashcash.price import HALF_LIFE, Prices, Tariff
from misocoin.hashcash.server_gate import ServerGate
from misocoin.hashcash.stamp import check_stamp, mint_stamp, stamp_from_text, stamp_puzzle
from misocoin.hashcash.toll import Toll
from misocoin.pow.engine import Engine
from misocoin.pow.engines import select_engine
from misocoin.units import UnixTime
from tests.functional.framework.daemon import reserved_port, wait_until
from tests.functional.framework.hashcash import GateProcess, Line, Upstream

ROUNDS = 5
NOW = UnixTime(1_795_243_200)
REQUEST = (
    b'{"jsonrpc":"2.0","id":7,"method":"blockchain.scripthash.get_history","params":'
    b'["4b3d912c1523ece4615e91bf0d27381ca72169dbf6b1c2ffcc9f92381d4984a3"]}'
)


def rate(act: Callable[[], object], seconds: float) -> float:
    """Times a second, the median of some rounds."""
    results = []
    for _ in range(ROUNDS):
        count, began = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds / ROUNDS:
            act()
            count += 1
        results.append(count / elapsed)
    return statistics.median(results)


# -- minting ----------------------------------------------------------------------------------


def naive_stamp() -> None:
    """The original's work in the plainest Python."""
    start = random.randrange(1 << 40)
    for number in itertools.count(start):
        text = b'{"id":7,"method":"a","nonce":"%010d","params":[]}' % number
        if hashlib.sha256(text).hexdigest().startswith("0000"):
            return


def minting(seconds: float) -> None:
    auto, portable = select_engine(), select_engine("portable")
    challenge = Challenge(16, NOW, "my.server", "6f1d2c3b4a596877")

    def version_2(engine: Engine) -> Callable[[], object]:
        return lambda: mint_request_stamp(challenge, REQUEST, engine, random.getrandbits(58))

    def of_original(engine: Engine) -> Callable[[], object]:
        return lambda: original.mint(REQUEST, engine, random.getrandbits(53))

    def version_1(engine: Engine) -> Callable[[], object]:
        return lambda: mint_stamp(
            stamp_puzzle("a@b", 16, "261121", f"{random.getrandbits(60):x}"), engine
        )

    print(f"{'stamps of 16 bits minted a second, one thread':56} {'native':>10} {'portable':>10}")
    for name, kind in (
        ("version 2", version_2),
        ("the original's", of_original),
        ("hashcash version 1 (SHA-1; a thread is started for each)", version_1),
    ):
        print(f"{name:56} {rate(kind(auto), seconds):10.0f} {rate(kind(portable), seconds):10.1f}")
    print(f"{'hashlib in a loop':56} {'':10} {rate(naive_stamp, seconds):10.1f}")
    if (program := shutil.which("hashcash")) is not None:
        many = [program, "-mqb16", *[f"r{i}" for i in range(100)]]
        result = 100 * rate(lambda: subprocess.run(many, capture_output=True, check=True), seconds)
        print(f"{'Debian hashcash (SHA-1), 100 stamps a run':56} {result:10.0f}")
    print("(the original makes 9,490 tries a second: a stamp in 6.9 s)\n")


# -- checking ---------------------------------------------------------------------------------


def paid_lines(toll: Toll, count: int) -> list[bytes]:
    engine, lines = select_engine(), []
    challenge = toll.challenge("10.0.0.1", float(NOW))
    for _ in range(count):
        stamp = mint_request_stamp(challenge, REQUEST, engine, random.getrandbits(58))
        assert stamp is not None
        lines.append(stamp.text.encode() + b" " + REQUEST)
    return lines


def each(items: list[bytes], act: Callable[[bytes], object]) -> float:
    """Microseconds of processor time for each item."""
    began = time.process_time()
    for item in items:
        act(item)
    return (time.process_time() - began) / len(items) * 1e6


def checking() -> None:
    tariff = Tariff(8, 8, 8, address_rate=1e9, total_rate=1e9)
    rows: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    engine = select_engine()
    v1 = mint_stamp(stamp_puzzle("a@b", 16, "261121", "rand"), engine)
    stamped = original.mint(REQUEST, engine, 0, 8)
    assert v1 is not None
    assert stamped is not None
    for _ in range(ROUNDS):
        toll = Toll("my.server", b"secret", tariff)
        lines = paid_lines(toll, 4000)
        parsed = [
            (request_stamp_from_text(line.split(b" ", 1)[0].decode()), REQUEST) for line in lines
        ]
        began = time.process_time()
        for stamp, request in parsed:
            toll.admit(stamp, request, lambda _: 1, "10.0.0.1", float(NOW))
        note("version 2: work, time, salt, price, spent",
             (time.process_time() - began) / len(parsed) * 1e6)  # fmt: skip
        note(
            "  taking its text apart",
            each(lines, lambda line: request_stamp_from_text(line.split(b" ", 1)[0].decode())),
        )
        toll = Toll("my.server", b"secret", tariff)
        gate = ServerGate(toll, "10.0.0.1", Tally())
        whole = b"".join(line + b"\n" for line in paid_lines(toll, 4000))
        began = time.process_time()
        for place in range(0, len(whole), 1 << 16):
            gate.near_data(whole[place : place + (1 << 16)], float(NOW))
        note("  all of a gate's work for a request, JSON too",
             (time.process_time() - began) / 4000 * 1e6)  # fmt: skip
        toll = Toll("my.server", b"secret", Tariff(8, 8, 8))
        challenge = toll.challenge("10.0.0.1", float(NOW)).text.encode()
        forged = [b"%s:%016x %s" % (challenge, i, REQUEST) for i in range(20)]
        note("  a forged one, with the answer to it",
             each(forged, lambda line, toll=toll: ServerGate(toll, "x", Tally()).near_data(
                 line + b"\n", float(NOW))))  # fmt: skip
        note("the original's", each([stamped] * 4000, lambda line: original.check(line, 8)))
        note("hashcash version 1", each(
            [v1.text.encode()] * 4000,
            lambda line: check_stamp(stamp_from_text(line.decode()), "a@b", 16, NOW)))  # fmt: skip
    print(f"{'to check a stamp, on one core':56} {'us':>10} {'a second':>10}")
    for name, values in rows.items():
        median = statistics.median(values)
        print(f"{name:56} {median:10.2f} {1e6 / median:10.0f}")
    print()


# -- prices -----------------------------------------------------------------------------------


def prices() -> None:
    engine = select_engine()
    challenge = Challenge(16, NOW, "my.server", "6f1d2c3b4a596877")
    seconds = 1 / rate(
        lambda: mint_request_stamp(challenge, REQUEST, engine, random.getrandbits(58)), 2
    )
    print("what one address pays that asks for so much, by the default tariff (20 a second free of")
    print(f"any rise), with {65536 / seconds / 1e6:.0f} million hashes a second for each core")
    print(f"{'requests a second':>20} {'bits':>6} {'hashes each':>14} {'cores busy':>12}")
    for wanted in (10, 20, 40, 100, 1000, 10_000):
        price = Prices(Tariff())
        steps = int(wanted * HALF_LIFE * 6)
        for i in range(steps):
            price.count("a", 1, NOW + i / wanted)
        bits = price.bits("a", NOW + steps / wanted)
        cores = wanted * seconds * 2 ** (bits - 16)
        print(f"{wanted:20} {bits:6} {1 << bits:14,} {cores:12.2f}")
    print()


# -- on the line ------------------------------------------------------------------------------


@contextmanager
def socat(target: int) -> Iterator[int]:
    with reserved_port() as port:
        process = subprocess.Popen(
            ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=1024",
             f"TCP:127.0.0.1:{target},nodelay"],
        )  # fmt: skip
        try:
            wait_until(lambda: listens(port), "socat listens")
            yield port
        finally:
            process.terminate()
            process.wait()


@contextmanager
def gates(target: int, *options: str, client: tuple[str, ...] = ()) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server = GateProcess(Path(folder), "server", target, "-rate=1000000", *options)
        stack.callback(server.close)
        front = GateProcess(Path(folder), "client", server.port, *client)
        stack.callback(front.close)
        yield front.port


@contextmanager
def originals(target: int) -> Iterator[int]:
    programs = (os.environ["ELECTRUM_HASHCASH_SERVER"], os.environ["ELECTRUM_HASHCASH_CLIENT"])
    with ExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in programs]
        for program, port, to in zip(programs, ports, (target, ports[0]), strict=True):
            process = subprocess.Popen(
                [program, f"--listen_port={port}", "--target_host=127.0.0.1",
                 f"--target_port={to}"],
            )  # fmt: skip
            stack.callback(process.kill)
            wait_until(lambda at=port: listens(at), "the original listens")
        yield ports[1]


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def latencies(port: int, count: int) -> list[float]:
    request = json.dumps({"id": 1, "method": "a", "params": ["x" * 64]}).encode() + b"\n"
    taken = []
    with Line(port) as line:
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            began = time.perf_counter()
            line.send(request)
            line.read()
            taken.append(time.perf_counter() - began)
    return taken[count // 10 :]


def latency(seconds: float) -> None:
    upstream = Upstream()
    with ExitStack() as stack:
        ways = {"straight to the server": (upstream.port, 500)}
        if shutil.which("socat"):
            one = stack.enter_context(socat(upstream.port))
            ways["through one socat"] = (one, 500)
            ways["through two, one after the other"] = (stack.enter_context(socat(one)), 500)
        for bits in (0, 8, 16):
            port = stack.enter_context(gates(upstream.port, f"-bits={bits}"))
            ways[f"through the gates, {bits} bits"] = (port, 500)
        old = stack.enter_context(gates(upstream.port, client=("-version=1",)))
        ways["through the gates, 16 bits, stamps of the original"] = (old, 500)
        if "ELECTRUM_HASHCASH_CLIENT" in os.environ:
            ways["through the originals"] = (stack.enter_context(originals(upstream.port)), 5)
        results: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(max(1, int(seconds))):
            for name, (port, count) in ways.items():
                results[name] += latencies(port, count)
        print(
            f"{'a request and its answer, one after the other':56} {'median ms':>10} {'p95 ms':>10}"
        )
        for name, taken in results.items():
            ordered = sorted(taken)
            p95 = ordered[int(len(ordered) * 0.95)]
            print(f"{name:56} {statistics.median(taken) * 1e3:10.2f} {p95 * 1e3:10.2f}")
    upstream.close()
    print()


def resident(pid: int) -> int:
    """Kilobytes of a process and of those that it started, what they share counted in part."""
    total = 0
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    for one in pids:
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def held(connections: int) -> None:
    """Open connections that each make one request, and look at what they cost."""
    upstream = Upstream()
    print(
        f"{'connections held, each after one request':44} {'number':>8} {'s to open':>10}", end=""
    )
    print(f" {'KB each':>9}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        options = ("-bits=8", "-rate=1000000", "-maxconn=20000", "-maxconnperip=20000")
        server = GateProcess(Path(folder), "server", upstream.port, *options)
        stack.callback(server.close)
        client = GateProcess(Path(folder), "client", server.port, *options[2:])
        stack.callback(client.close)
        before = [resident(one.process.pid) for one in (server, client)]
        seconds = open_all(client.port, connections, stack)
        for name, one, kilobytes in zip(
            ("the server's gate", "the client's gate"), (server, client), before, strict=True
        ):
            each_one = (resident(one.process.pid) - kilobytes) / connections
            print(f"{name:44} {connections:8} {seconds:10.1f} {each_one:9.1f}", flush=True)
    if shutil.which("socat"):
        few = min(200, connections)
        with ExitStack() as stack:
            port = stack.enter_context(reserved_port())
            process = subprocess.Popen(
                ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=1024",
                 f"TCP:127.0.0.1:{upstream.port}"],
            )  # fmt: skip
            stack.callback(process.kill)
            wait_until(lambda: listens(port), "socat listens")
            before[0] = resident(process.pid)
            seconds = open_all(port, few, stack)
            each_one = (resident(process.pid) - before[0]) / few
            print(f"{'socat, a process for each':44} {few:8} {seconds:10.1f} {each_one:9.1f}")
    upstream.close()


def open_all(port: int, connections: int, stack: ExitStack) -> float:
    began = time.perf_counter()
    lines = [stack.enter_context(Line(port)) for _ in range(connections)]
    for number, line in enumerate(lines):
        line.send(b'{"id":%d,"method":"a"}\n' % number)
    for number, line in enumerate(lines):
        if line.reply()["id"] != number:
            sys.exit("a wrong answer")
    return time.perf_counter() - began


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), hard), hard))
    minting(seconds)
    checking()
    prices()
    latency(seconds)
    held(connections)


if __name__ == "__main__":
    main()
