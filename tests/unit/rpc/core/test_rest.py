"""REST's transactions, mempool and coins, beside the same by RPC."""

import json
from collections.abc import Callable

import pytest
from flask import Flask

from tests.unit.rpc.core.conftest import MINER, MINER_WIF, CoreNode

Get = Callable[..., tuple[int, str, bytes]]


@pytest.fixture(scope="module")
def get(core: CoreNode) -> Get:
    app = Flask("test", static_folder=None)
    node = core.node
    node._add_routes(app)
    client = app.test_client()

    def call(path: str, body: bytes | None = None) -> tuple[int, str, bytes]:
        method = client.get if body is None else client.post
        with method(f"/rest/{path}", **({} if body is None else {"data": body})) as answer:
            return answer.status_code, answer.content_type, answer.data

    return call


@pytest.fixture(scope="module")
def waiting(core: CoreNode) -> str:
    """A payment in the mempool."""
    coinbase = core.getblock(core.getblockhash(1))["tx"][0]
    raw = core.createrawtransaction([{"txid": coinbase, "vout": 0}], [{MINER: 49.999}])
    return core.sendrawtransaction(core.signrawtransactionwithkey(raw, [MINER_WIF])["hex"])


def test_a_transaction_in_its_three_forms(core: CoreNode, get: Get, waiting: str) -> None:
    raw = core.getrawtransaction(waiting)
    octets, text = "application/octet-stream", "text/plain"
    assert get(f"tx/{waiting}.bin") == (200, octets, bytes.fromhex(raw))
    assert get(f"tx/{waiting}.hex") == (200, text, f"{raw}\n".encode())
    status, kind, body = get(f"tx/{waiting}.json")
    shown = json.loads(body)
    assert (status, kind) == (200, "application/json")
    assert shown["txid"] == waiting
    assert shown["vout"] == core.getrawtransaction(waiting, 1)["vout"]
    assert "blockhash" not in shown
    mined = core.getblock(core.getblockhash(2))["tx"][0]
    assert json.loads(get(f"tx/{mined}.json")[2])["blockhash"] == core.getblockhash(2)


def test_the_mempool_as_by_rpc(core: CoreNode, get: Get, waiting: str) -> None:
    assert json.loads(get("mempool/info.json")[2]) == core.getmempoolinfo()
    assert json.loads(get("mempool/contents.json")[2]) == core.getrawmempool(True)
    assert json.loads(get("mempool/contents.json?verbose=false")[2]) == [waiting]
    listing = json.loads(get("mempool/contents.json?verbose=false&mempool_sequence=true")[2])
    assert listing == core.getrawmempool(False, True)
    assert listing["mempool_sequence"] == 2
    assert json.loads(get("chaininfo.json")[2]) == core.getblockchaininfo()


def test_coins_with_the_mempool_and_without(core: CoreNode, get: Get, waiting: str) -> None:
    spent = core.getrawtransaction(waiting, 1)["vin"][0]["txid"]
    path = f"{spent}-0/{waiting}-0.json"
    assert json.loads(get(f"getutxos/{path}")[2])["bitmap"] == "10"
    pool = json.loads(get(f"getutxos/checkmempool/{path}")[2])
    assert pool["bitmap"] == "01"
    (coin,) = pool["utxos"]
    assert (coin["height"], coin["value"]) == (0x7FFFFFFF, 49.999)
    body = b"\x01\x01" + bytes.fromhex(waiting)[::-1] + bytes(4)
    assert (
        get("getutxos.hex", body.hex().encode())[2]
        == get("getutxos.bin", body)[2].hex().encode() + b"\n"
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("tx/x.json", None, 400, "Invalid hash: x"),
        (f"tx/{'ab' * 32}.hex", None, 404, f"{'ab' * 32} not found"),
        # As a real bitcoind: what is asked for is looked up before the format is.
        (f"tx/{'ab' * 32}", None, 404, f"{'ab' * 32} not found"),
        ("block/x.txt", None, 400, "Invalid hash: x.txt"),
        (f"headers/{'ab' * 32}", None, 404,
         "output format not found (available: .bin, .hex, .json)"),
        ("blockhashbyheight/-%2B1$.bin", None, 400, "Invalid height: -1"),
        ("mempool/info.json.json", None, 400,
         "Invalid URI format. Expected /rest/mempool/<info|contents>.json"),
        ("block/x.bin", None, 400, "Invalid hash: x"),
        ("headers/0/x.bin", None, 400,
         "Header count is invalid or out of acceptable range (1-2000): 0"),
        ("blockhashbyheight/x.bin", None, 400, "Invalid height: x"),
        ("blockhashbyheight/9999.bin", None, 404, "Block height out of range"),
        ("mempool/info.bin", None, 404, "output format not found (available: json)"),
        ("getutxos.json", None, 400, "Error: empty request"),
        ("getutxos/.json", None, 400, "Error: empty request"),
        ("getutxos/checkmempool/.json", None, 400, "Parse error"),
        ("getutxos.txt", b"\x00\x00", 400, "Parse error"),
        ("getutxos", b"\x00\x00", 404, "output format not found (available: .bin, .hex, .json)"),
        ("getutxos/checkmempool.json", None, 400, "Error: empty request"),
        (f"getutxos/{'ab' * 32}-0.bin", b"\x00\x00", 400,
         "Combination of URI scheme inputs and raw post data is not allowed"),
        ("getutxos.bin", b"\x00\x05", 400, "Parse error"),
        ("getutxos/x-1.bin", None, 400, "Parse error"),
        ("getutxos/" + "/".join([f"{'ab' * 32}-0"] * 16) + ".bin", None, 400,
         "Error: max outpoints exceeded (max: 15, tried: 16)"),
    ],
)  # fmt: skip
def test_core_s_statuses_and_words(
    get: Get, path: str, body: bytes | None, status: int, message: str
) -> None:
    assert get(path, body)[::2] == (status, f"{message}\r\n".encode())
