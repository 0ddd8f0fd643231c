"""Core's REST paths: formats, statuses and messages."""

import json
from collections.abc import Iterator

import pytest

from misocoin.http.client import HttpClient, HttpResponse
from misocoin.primitives.block import HEADER_SIZE, headers_from_bytes
from tests.unit.peers.rig import Rig


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    made = Rig()
    made.mine(12)
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


def test_chaininfo(rig: Rig, get) -> None:
    answer = get("chaininfo.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    info = json.loads(answer.body)
    tip = rig.chain.tip
    assert info["chain"] == "regtest"
    assert (info["blocks"], info["headers"]) == (12, 12)
    assert info["bestblockhash"] == tip.header.hash_hex
    assert info["chainwork"] == f"{tip.chain_work:064x}"
    assert get("chaininfo.bin").status == 404


def test_deploymentinfo(rig: Rig, get) -> None:
    tip = rig.chain.tip.header.hash_hex
    info = json.loads(get("deploymentinfo.json").body)
    assert (info["hash"], info["height"]) == (tip, 12)
    assert info["deployments"]["segwit"]["active"] is True
    first = rig.chain.at_height(1).header.hash_hex
    assert json.loads(get(f"deploymentinfo/{first}.json").body)["height"] == 1
    unknown = get(f"deploymentinfo/{'ab' * 32}.json")
    assert (unknown.status, unknown.body) == (400, b"Block not found\r\n")
    assert get("deploymentinfo/x.json").status == 400
    assert get("deploymentinfo.bin").status == 404


@pytest.mark.parametrize(
    "path", ["headers/{count}/{hash}.{form}", "headers/{hash}.{form}?count={count}"]
)
def test_headers(rig: Rig, get, path: str) -> None:
    node = rig.chain.at_height(3)
    name = node.header.hash_hex

    def ask(count: int, form: str) -> HttpResponse:
        return get(path.format(count=count, hash=name, form=form))

    raw = ask(4, "bin").body
    assert [h.hash for h in headers_from_bytes(raw)] == [
        rig.chain.at_height(h).hash for h in range(3, 7)
    ]
    assert len(ask(2000, "bin").body) == 10 * HEADER_SIZE
    assert ask(4, "hex").body == raw.hex().encode() + b"\n"
    shown = json.loads(ask(2, "json").body)
    assert [row["height"] for row in shown] == [3, 4]
    assert shown[0]["nextblockhash"] == shown[1]["hash"]
    assert ask(2001, "bin").status == ask(0, "bin").status == 400
    # What is not a format stays part of the hash, as in Core.
    refused = ask(1, "txt")
    assert (refused.status, refused.body) == (400, f"Invalid hash: {name}.txt\r\n".encode())


def test_headers_of_unknown_blocks_are_none(get) -> None:
    assert (get(f"headers/5/{'ab' * 32}.bin").status, get(f"headers/5/{'ab' * 32}.bin").body) == (
        200,
        b"",
    )
    answer = get("headers/5/nonsense.bin")
    assert (answer.status, answer.body) == (400, b"Invalid hash: nonsense\r\n")
    assert len(get(f"headers/{'ab' * 32}.bin").body) == 0


def test_default_count_is_five(rig: Rig, get) -> None:
    name = rig.chain.at_height(0).header.hash_hex
    assert len(get(f"headers/{name}.bin").body) == 5 * HEADER_SIZE


def test_blocks(rig: Rig, get) -> None:
    node = rig.chain.at_height(5)
    name = node.header.hash_hex
    data = rig.chain.get_block_bytes(node)
    answer = get(f"block/{name}.bin")
    assert answer.body == data
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert get(f"block/{name}.hex").body == data.hex().encode() + b"\n"
    whole = json.loads(get(f"block/{name}.json").body)
    brief = json.loads(get(f"block/notxdetails/{name}.json").body)
    assert whole["hash"] == brief["hash"] == name
    assert whole["tx"][0]["txid"] == brief["tx"][0]
    assert get(f"block/{'ab' * 32}.bin").status == 404
    assert get("block/xyz.bin").status == 400
    assert get(f"block/{name}").status == 404


def test_blockhashbyheight(rig: Rig, get) -> None:
    node = rig.chain.at_height(7)
    assert get("blockhashbyheight/7.bin").body == node.hash
    assert get("blockhashbyheight/7.hex").body == node.header.hash_hex.encode() + b"\n"
    assert json.loads(get("blockhashbyheight/7.json").body) == {"blockhash": node.header.hash_hex}
    assert get("blockhashbyheight/13.bin").status == 404
    assert get("blockhashbyheight/-1.bin").status == get("blockhashbyheight/x.bin").status == 400


def test_mempool_and_transactions(rig: Rig, get) -> None:
    assert json.loads(get("mempool/info.json").body)["size"] == len(rig.pool.mempool)
    assert json.loads(get("mempool/contents.json").body) == {}
    assert json.loads(get("mempool/contents.json?verbose=false").body) == []
    listing = get("mempool/contents.json?verbose=false&mempool_sequence=true")
    assert json.loads(listing.body)["txids"] == []
    assert get("mempool/contents.json?mempool_sequence=true").status == 400
    assert get("mempool/contents.json?verbose=maybe").status == 400
    assert get(f"tx/{'ab' * 32}.bin").status == 404
    assert get("tx/ab.bin").status == 400


def test_getutxos(rig: Rig, get, client: HttpClient) -> None:
    block = rig.chain.get_block(rig.chain.at_height(1))
    point = f"{block.transactions[0].txid_hex}-0"
    missing = f"{'ab' * 32}-1"
    answer = json.loads(get(f"getutxos/{point}/{missing}.json").body)
    assert answer["bitmap"] == "10"
    assert answer["chainHeight"] == 12
    (coin,) = answer["utxos"]
    assert (coin["height"], coin["value"]) == (1, 50)
    raw = get(f"getutxos/checkmempool/{missing}/{point}.bin").body
    assert raw[:4] == (12).to_bytes(4, "little")
    assert raw[4:36] == rig.chain.tip.hash
    assert raw[36:39] == b"\x01\x02\x01"
    assert raw[43:47] == (1).to_bytes(4, "little")
    # BIP64's form in the body gives the same.
    txid = block.transactions[0].txid
    body = b"\x01\x02" + b"\xab" * 32 + b"\x01\0\0\0" + txid + bytes(4)
    url = f"http://{rig.address.text}/rest/getutxos.bin"
    assert client.post(url, body).body == raw
    assert client.post(url, b"\x01\x02").status == 400
    assert get("getutxos.json").status == 400
    assert get("getutxos/x-1.json").status == 400
    many = "/".join([point] * 16)
    assert get(f"getutxos/{many}.json").status == 400


def test_unknown_paths(get) -> None:
    assert get("nothing.json").status == 404
