"""REST's block filters and spent outputs: Core's paths, formats, statuses and messages."""

import json
from collections.abc import Iterator

import pytest

from misocoin.codec import Reader
from misocoin.http.client import HttpClient, HttpResponse
from misocoin.primitives.transaction import TxOut
from tests.builders import ANYONE, make_block, spend
from tests.unit.peers.rig import Rig

COUNT = 105


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    made = Rig()
    made.mine(COUNT)
    chain = made.chain
    coin = chain.get_block(chain.at_height(1)).transactions[0]
    payment = spend([coin.outpoint(0)], [coin.vout[0].value - 1000])
    chain.submit_block(make_block(chain.tip, chain.params, [payment], fees=1000))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client() -> Iterator[HttpClient]:
    made = HttpClient()
    yield made
    made.close()


@pytest.fixture
def get(rig: Rig, client: HttpClient):
    def call(path: str) -> HttpResponse:
        return client.get(f"http://{rig.address.text}/rest/{path}")

    return call


def test_one_filter(rig: Rig, get) -> None:
    node = rig.chain.tip
    found = rig.chain.filters.get(node)
    path = f"blockfilter/basic/{node.header.hash_hex}"
    whole = b"\x00" + node.hash + bytes((len(found.data),)) + found.data
    answer = get(f"{path}.bin")
    assert (answer.status, answer.body) == (200, whole)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert get(f"{path}.hex").body == whole.hex().encode() + b"\n"
    assert json.loads(get(f"{path}.json").body) == {"filter": found.data.hex()}


@pytest.mark.parametrize(
    "path",
    ["blockfilterheaders/basic/{count}/{hash}.{form}", "blockfilterheaders/basic/{hash}.{form}"],
)
def test_filter_headers(rig: Rig, get, path: str) -> None:
    chain = rig.chain

    def ask(height: int, count: int, form: str) -> HttpResponse:
        name = chain.at_height(height).header.hash_hex
        query = "" if "{count}" in path else f"?count={count}"
        return get(path.format(count=count, hash=name, form=form) + query)

    headers = [chain.filters.get(chain.at_height(h)).header for h in range(chain.height + 1)]
    assert ask(0, 2000, "bin").body == b"".join(headers)
    assert ask(7, 3, "hex").body == b"".join(headers[7:10]).hex().encode() + b"\n"
    shown = json.loads(ask(chain.height, 5, "json").body)
    assert shown == [headers[-1][::-1].hex()]
    assert ask(0, 2001, "bin").status == ask(0, 0, "bin").status == 400


def test_many_filters_at_once(rig: Rig, get) -> None:
    chain = rig.chain
    name = chain.at_height(3).header.hash_hex
    singles = [
        get(f"blockfilter/basic/{chain.at_height(h).header.hash_hex}.bin").body for h in (3, 4, 5)
    ]
    assert get(f"blockfilters/basic/3/{name}.bin").body == b"".join(singles)
    assert get(f"blockfilters/basic/{name}.bin?count=3").body == b"".join(singles)
    assert len(json.loads(get(f"blockfilters/basic/2000/{name}.json").body)) == chain.height - 2


def test_an_answer_of_many_filters_is_bounded(rig: Rig, get, monkeypatch) -> None:
    monkeypatch.setattr("misocoin.rpc.rest_filters.MAX_FILTER_BYTES", 10)
    name = rig.chain.at_height(3).header.hash_hex
    assert len(json.loads(get(f"blockfilters/basic/100/{name}.json").body)) == 3


def test_spent_outputs(rig: Rig, get) -> None:
    chain = rig.chain
    coin = chain.get_block(chain.at_height(1)).transactions[0].vout[0]
    name = chain.tip.header.hash_hex
    reader = Reader(get(f"spenttxouts/{name}.bin").body)
    assert [reader.compact_size() for _ in range(3)] == [2, 0, 1]
    assert reader.take(reader.remaining) == TxOut(coin.value, ANYONE).serialize()
    shown = json.loads(get(f"spenttxouts/{name}.json").body)
    assert shown[0] == []
    assert shown[1][0]["value"] == coin.value / 100_000_000
    assert shown[1][0]["scriptPubKey"]["hex"] == ANYONE.hex()
    assert get(f"spenttxouts/{chain.at_height(0).header.hash_hex}.hex").body == b"0100\n"
    assert get(f"spenttxouts/{'ab' * 32}.bin").status == 404


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("blockfilter/basic/x.bin", 400, "Invalid hash: x"),
        ("blockfilter/magic/{tip}.bin", 400, "Unknown filtertype magic"),
        ("blockfilter/basic/{none}.bin", 404, "{none} not found"),
        (
            "blockfilter/basic/1/{tip}.bin",
            400,
            "Invalid URI format. Expected /rest/blockfilter/<filtertype>/<blockhash>",
        ),
        (
            "blockfilter/basic/{tip}",
            404,
            "output format not found (available: .bin, .hex, .json)",
        ),
        ("blockfilter/basic/{tip}.txt", 400, "Invalid hash: {tip}.txt"),
        (
            "blockfilter/basic/{stale}.bin",
            404,
            "Filter not found. Block was not connected to active chain.",
        ),
        ("blockfilterheaders/magic/5/{tip}.bin", 400, "Unknown filtertype magic"),
        (
            "blockfilterheaders/basic/2001/{tip}.bin",
            400,
            "Header count is invalid or out of acceptable range (1-2000): 2001",
        ),
        (
            "blockfilterheaders/basic/1/2/{tip}.bin",
            400,
            "Invalid URI format. Expected /rest/blockfilterheaders/<filtertype>/<blockhash>"
            ".<ext>?count=<count>",
        ),
        ("blockfilterheaders/basic/5/{none}.bin", 200, ""),
    ],
)
def test_bad_requests(rig: Rig, get, path: str, status: int, message: str) -> None:
    chain = rig.chain
    stale = make_block(chain.at_height(COUNT - 1), chain.params, tag=b"stale")
    chain.submit_block(stale)
    names = {
        "tip": chain.tip.header.hash_hex,
        "none": "ab" * 32,
        "stale": stale.header.hash_hex,
    }
    answer = get(path.format(**names))
    expected = message.format(**names) + "\r\n" if message else ""
    assert (answer.status, answer.body.decode()) == (status, expected)


def test_a_filter_that_is_still_to_be_made(rig: Rig, get, monkeypatch) -> None:
    name = rig.chain.tip.header.hash_hex
    monkeypatch.setattr(rig.chain.filters, "get_many", lambda _nodes: [])
    answer = get(f"blockfilterheaders/basic/1/{name}.bin")
    assert (answer.status, answer.body.decode().strip()) == (
        404,
        "Filter not found. Block filters are still in the process of being indexed.",
    )


def test_without_an_index(rig: Rig, get, monkeypatch) -> None:
    monkeypatch.setattr(rig.chain, "filters", None)
    for path in ("blockfilter", "blockfilterheaders", "blockfilters"):
        answer = get(f"{path}/basic/{rig.chain.tip.header.hash_hex}.bin")
        assert (answer.status, answer.body.decode().strip()) == (
            400,
            "Index is not enabled for filtertype basic",
        )
