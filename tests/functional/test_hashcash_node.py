"""A node that asks strangers for proof of work, and our programs that pay without being told."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from misocoin.http.client import HttpClient
from tests.functional.framework.daemon import ROOT, Daemon, clean_environment, wait_until

CALL = b'{"id":1,"method":"getblockcount","params":[]}'
OPTIONS = ("-hashcash=1", "-hashcashrate=1")


def press(http: HttpClient, url: str) -> None:
    """Ask until the node has enough of it."""
    wait_until(lambda: http.post(url, CALL).status == 429, "the node asks for a stamp")


def test_strangers_pay_and_those_with_the_cookie_do_not(
    make_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = make_daemon(*OPTIONS).start()
    http = HttpClient()
    url = f"http://127.0.0.1:{daemon.port}/"
    press(http, url)
    answer = http.post(url, CALL)
    assert answer.status == 429
    assert answer.headers["Hashcash-Challenge"].startswith("2:1")
    assert ":misocoin-regtest:" in answer.headers["Hashcash-Challenge"]
    assert json.loads(answer.body)["error"]["code"] == -32029
    assert http.get(f"{url}rest/chaininfo.json").status == 200
    assert daemon.rpc.getblockcount() == 0
    # The tool without the cookie: another data folder.
    asked = subprocess.run(
        [sys.executable, ROOT / "misocoin-cli.py", f"-port={daemon.port}", "getblockcount"],
        capture_output=True, text=True, check=False, timeout=60, env=clean_environment(tmp_path),
    )  # fmt: skip
    assert (asked.stdout, asked.stderr) == ("0\n", "")
    http.close()


def test_nodes_pay_each_other(make_daemon: Callable[..., Daemon]) -> None:
    public = make_daemon(*OPTIONS).start()
    other = make_daemon(f"-nodes=127.0.0.1:{public.port}").start()
    wait_until(lambda: other.rpc.get_peers(), "they are connected")
    http = HttpClient()
    press(http, f"http://127.0.0.1:{public.port}/")
    for number in range(1, 11):
        other.rpc.generate(1)
        wait_until(lambda n=number: public.rpc.getblockcount() == n, "the block has come")
        press(http, f"http://127.0.0.1:{public.port}/")
    http.close()
