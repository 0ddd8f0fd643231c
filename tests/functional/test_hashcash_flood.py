"""A flood of requests that do not pay: the server sees none of it, and who pays hardly any."""

import re
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from misocoin.http.client import HttpClient
from tests.functional.framework.daemon import ROOT, wait_until
from tests.functional.framework.hashcash import GateProcess, Line, Upstream

CONNECTIONS = 50


@pytest.fixture
def chain(tmp_path, reserve_port):
    """Upstream, server's gate with metrics, client's gate."""
    made = [Upstream()]
    metrics = reserve_port()
    made.append(
        GateProcess(tmp_path, "server", made[0].port, "-service=my.server",
                    f"-metricsport={metrics}", "-rate=1000000")
    )  # fmt: skip
    made.append(GateProcess(tmp_path, "client", made[1].port))
    yield (*made, metrics)
    for thing in reversed(made):
        thing.close()


@contextmanager
def flooding(port):
    """A flood in another process; gives a function that ends it and tells how many lines went."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "tests/functional/framework/flood.py", str(port),
         str(CONNECTIONS)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield lambda: int(process.communicate(timeout=60)[0])
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def refused(metrics):
    """Bad lines that the server's gate has counted."""
    http = HttpClient()
    text = http.get(f"http://127.0.0.1:{metrics}/metrics").body.decode()
    http.close()
    return sum(
        map(int, re.findall(r"_refused_(?:missing|wrong|invalid|foreign)_total (\d+)", text))
    )


def test_the_server_sees_nothing_of_a_flood(chain):
    upstream, server, client, metrics = chain
    with flooding(server.port) as end:
        wait_until(lambda: refused(metrics) > CONNECTIONS, "the flood has come")
        with Line(client.port) as line:
            for number in range(20):
                assert line.ask("a", number, id=number)["id"] == number
        assert end() > 1000
    assert upstream.connections == 1
    assert len(upstream.received) == 20
    assert b"server.version" not in upstream.data
    server.stop()


def median_seconds(line, count):
    """How long a stamped request takes to be answered."""
    taken = []
    for number in range(count):
        began = time.perf_counter()
        assert line.ask("a", number, id=number)["id"] == number
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@pytest.mark.long
def test_a_flood_hardly_slows_down_who_pays(chain):
    """Quiet and flood in turn, so that what else the machine does falls on both."""
    upstream, server, client, metrics = chain
    quiet, flooded = [], []
    with Line(client.port) as line:
        median_seconds(line, 100)
        for _ in range(5):
            quiet.append(median_seconds(line, 300))
            before = refused(metrics)
            with flooding(server.port) as end:
                wait_until(lambda n=before: refused(metrics) > n + CONNECTIONS, "the flood is here")
                flooded.append(median_seconds(line, 300))
                end()
    ratio = statistics.median(flooded) / statistics.median(quiet)
    sys.stderr.write(f"quiet {quiet}, flooded {flooded}, ratio {ratio:.2f}\n")
    assert ratio < 2
    assert len(upstream.received) == 100 + 2 * 5 * 300
    assert upstream.connections == 1
