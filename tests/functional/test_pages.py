"""The pages as a browser gets them, from a real node."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import Daemon

PAGES = ("/", "/blocks", "/charts", "/forks", "/peers")


def get(daemon: Daemon, path: str, **options: Any) -> requests.Response:
    url = f"http://127.0.0.1:{daemon.port}{path}"
    return requests.get(url, timeout=60, headers={"Accept": "text/html"}, **options)


@pytest.fixture(scope="module")
def node(lasting_daemon: Daemon) -> Iterator[Daemon]:
    lasting_daemon.rpc.generate(103)
    lasting_daemon.rpc.send_misocoin(lasting_daemon.rpc.get_new_address(), "1.5")
    return lasting_daemon


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_a_safe_page_and_json(node: Daemon, path: str) -> None:
    answer = get(node, path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Traceback" not in answer.text
    json = get(node, "/overview.json" if path == "/" else f"{path}.json")
    assert json.headers["Content-Type"] == "application/json"
    assert json.json()


def test_the_front_page_shows_the_chain(node: Daemon) -> None:
    page = get(node, "/").text
    view = get(node, "/overview.json").json()
    assert view["height"] == 103
    assert view["supply_sats"] == 103 * 50 * 10**8
    assert view["next_block"]["transactions"] == 1
    assert [band["transactions"] for band in view["next_block"]["bands"]] == [1]
    assert f"/block/{view['hash']}" in page
    assert len(page) < 100_000


def test_a_block_and_its_payment(node: Daemon) -> None:
    (waiting,) = node.rpc.getrawmempool()
    shown = get(node, f"/tx/{waiting}.json").json()
    assert shown["confirmations"] == 0
    assert shown["fee_sats"] > 0
    assert 150_000_000 in [each["value_sats"] for each in shown["outputs"]]
    assert "waits for a block" in get(node, f"/tx/{waiting}").text
    block = get(node, "/block/5.json").json()
    assert block["height"] == 5
    assert block["hash"] == node.rpc.getblockhash(5)
    coinbase = get(node, f"/tx/{block['txs'][0]['txid']}.json").json()
    assert coinbase["is_coinbase"]
    assert coinbase["height"] == 5


@pytest.mark.parametrize(
    ("text", "path"),
    [("7", "/block/{7}"), ("{7}", "/block/{7}"), ("{tx}", "/tx/{tx}")],
)
def test_search_finds(node: Daemon, text: str, path: str) -> None:
    seventh, waiting = node.rpc.getblockhash(7), node.rpc.getrawmempool()[0]
    given = text.replace("{7}", seventh).replace("{tx}", waiting)
    answer = get(node, "/search", params={"q": given}, allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Location"] == path.replace("{7}", seventh).replace("{tx}", waiting)


def test_an_address_without_an_index_shows_its_coins(node: Daemon) -> None:
    address = get(node, "/block/7.json").json()["miner"]
    found = get(node, "/search", params={"q": address}, allow_redirects=False)
    assert found.headers["Location"] == f"/address/{address}"
    view = get(node, f"/address/{address}.json").json()
    assert not view["is_indexed"]
    assert view["balance_sats"] == 103 * 50 * 10**8
    assert view["pages"] == 3
    assert len(view["coins"]) == 50
    assert view["waiting_sats"] < 0
    assert "-addressindex" in get(node, f"/address/{address}").text
    last = get(node, f"/address/{address}.json", params={"page": 3}).json()
    assert [coin["height"] for coin in last["coins"]] == [3, 2, 1]


def test_an_address_with_an_index_shows_its_history(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    payee = "22" * 20
    daemon.rpc.generate(101)
    txid = daemon.rpc.send_misocoin(payee, "1.5")
    daemon.rpc.generate(1)
    daemon.restart("-addressindex")  # made for the blocks there are
    daemon.rpc.generate(1)
    waiting = daemon.rpc.send_misocoin(payee, "2")
    view = get(daemon, f"/address/{payee}.json").json()
    assert view["is_indexed"]
    assert (view["balance_sats"], view["waiting_sats"]) == (150_000_000, 200_000_000)
    assert [(each["txid"], each["height"]) for each in view["history"]] == [(txid, 102)]
    assert [each["txid"] for each in view["waiting"]] == [waiting]
    page = get(daemon, f"/address/{view['address']}").text
    assert '>+1<span class="decimals">.5</span>' in page
    assert '>+2<span class="decimals"></span>' in page
    daemon.rpc.generate(1)
    view = get(daemon, f"/address/{payee}.json").json()
    assert [each["txid"] for each in view["history"]] == [waiting, txid]
    assert view["balance_sats"] == 350_000_000


@pytest.mark.parametrize(
    "path",
    [
        "/search?q=nothing",
        "/search?q=" + "0" * 64,
        "/block/99999",
        "/tx/ab",
        "/address/x",
        "/foo",
        "/static/x",
    ],
)
def test_what_is_not_there_is_said(node: Daemon, path: str) -> None:
    answer = get(node, path)
    assert answer.status_code == 404
    assert 'role="alert"' in answer.text
    assert "<script>" not in get(node, "/search?q=<script>").text


def test_files_may_be_kept_for_ever(node: Daemon) -> None:
    page = get(node, "/").text
    at = page.index("/static/miso.css")
    style = get(node, page[at : page.index('"', at)])
    assert "immutable" in style.headers["Cache-Control"]
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"


def test_a_page_shows_nothing_to_a_name_that_is_not_ours(node: Daemon) -> None:
    url = f"http://127.0.0.1:{node.port}/"
    assert requests.get(url, headers={"Host": "evil.test"}, timeout=60).status_code == 403


def test_pages_can_be_switched_off(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("-web=0").start()
    assert get(daemon, "/").headers["Content-Type"].startswith("text/plain")
    assert get(daemon, "/blocks").status_code == 404
    assert daemon.rpc.get_info()["height"] == 0
