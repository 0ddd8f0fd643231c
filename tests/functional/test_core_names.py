"""A regtest node as a script for bitcoind drives it: Core's names over HTTP, nothing else."""

import base64
import json
import threading
from http.client import HTTPConnection
from typing import Any

import pytest

from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.wif import wif_from_key
from misocoin.http.errors import HttpError, RpcError
from misocoin.params import regtest
from misocoin.script.address import address_from_script
from misocoin.script.signing import output_key_of
from misocoin.script.templates import p2tr_script, p2wpkh_script
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import DEADLINE, Daemon, Rpc, wait_until

KEY = PrivateKey(bytes(31) + b"\x05")
WIF = wif_from_key(KEY, 239)
ADDRESS = str(address_from_script(p2wpkh_script(hash160(KEY.public_key)), regtest()))
TAPROOT = str(address_from_script(p2tr_script(output_key_of(KEY).xonly_public_key), regtest()))


def sign_and_send(rpc: Rpc, vin: dict[str, Any], outputs: dict[str, Any]) -> str:
    raw = rpc.createrawtransaction([vin], outputs)
    signed = rpc.signrawtransactionwithkey(raw, [WIF])
    assert signed["complete"], signed
    return str(rpc.sendrawtransaction(signed["hex"]))


def test_mine_pay_confirm_reorganise_restart(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("-txindex", "-txospenderindex").start()
    rpc = daemon.rpc
    assert rpc.getblockhash(0).startswith("0f9188f1")
    blocks = rpc.generatetoaddress(101, ADDRESS)
    first = rpc.getblock(blocks[0])["tx"][0]
    txid = sign_and_send(rpc, {"txid": first, "vout": 0}, {TAPROOT: 10, ADDRESS: "39.9999"})
    with pytest.raises(RpcError, match="bad-txns-premature-spend-of-coinbase"):
        young = rpc.getblock(blocks[2])["tx"][0]
        sign_and_send(rpc, {"txid": young, "vout": 0}, {ADDRESS: "49.999"})
    child = sign_and_send(rpc, {"txid": txid, "vout": 0}, {ADDRESS: "9.9999"})
    assert rpc.getmempoolancestors(child) == [txid]
    (block,) = rpc.generatetoaddress(1, ADDRESS)
    assert rpc.getblock(block)["tx"][1:] == [txid, child]
    assert rpc.verifytxoutproof(rpc.gettxoutproof([child])) == [child]
    rpc.invalidateblock(block)
    assert set(rpc.getrawmempool()) == {txid, child}
    two = rpc.generatetoaddress(2, ADDRESS)
    rpc.reconsiderblock(block)
    assert rpc.getbestblockhash() == two[1]
    assert rpc.getrawtransaction(child, 1)["blockhash"] == two[0]
    found = rpc.scantxoutset("start", [f"addr({TAPROOT})", f"wpkh({KEY.public_key.hex()})"])
    assert found["total_amount"] == 50 * 103  # the fees came back with the block
    info = rpc.gettxoutsetinfo("muhash")
    daemon.kill()
    again = daemon.start("-txindex", "-txospenderindex").rpc
    assert again.gettxoutsetinfo("muhash") == {
        **info,
        "disk_size": again.gettxoutsetinfo()["disk_size"],
    }
    spend = again.gettxspendingprevout([{"txid": txid, "vout": 0}])
    assert spend[0]["spendingtxid"] == child
    assert again.verifychain(4, 0) is True


def test_somebody_who_waits_is_told_of_a_block_and_let_go_at_the_end(daemon: Daemon) -> None:
    answers: list[Any] = []

    def wait(method: str, *params: Any) -> threading.Thread:
        """Make a call in a thread of its own; it is under way when this returns."""
        client = daemon.client()

        def run() -> None:
            try:
                answers.append(client.call(method, *params))
            except HttpError as error:  # the daemon ends while it waits
                answers.append(error)
            finally:
                client.close()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        wait_until(lambda: method in under_way(), f"{method} waits")
        return thread

    def under_way() -> set[str]:
        return {each["method"] for each in daemon.rpc.getrpcinfo()["active_commands"]}

    waiting = wait("waitforblockheight", 1)
    (block,) = daemon.rpc.generatetoaddress(1, ADDRESS)
    waiting.join(DEADLINE)
    assert answers == [{"hash": block, "height": 1}]
    forever = wait("waitforblockheight", 1000)
    daemon.stop()
    forever.join(DEADLINE)
    assert not forever.is_alive()


# -- the envelope -------------------------------------------------------------------------------


def post(daemon: Daemon, body: Any, *, cookie: str | None = "", **fields: str) -> tuple[Any, ...]:
    """Status, Content-Type and JSON of an answer."""
    token = (daemon.folder / ".cookie").read_text() if cookie == "" else cookie
    headers = dict(fields)
    if token is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(token.encode()).decode()
    connection = HTTPConnection("127.0.0.1", daemon.port, timeout=DEADLINE)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", "/", data, headers)
        answer = connection.getresponse()
        text = answer.read()
        kind = answer.headers["Content-Type"]
        return answer.status, kind, json.loads(text) if kind == "application/json" else text
    finally:
        connection.close()


def test_the_envelope_that_real_clients_expect(lasting_daemon: Daemon) -> None:
    daemon = lasting_daemon
    call = {"id": "x", "method": "getblockcount"}
    right = (200, "application/json", {"result": 0, "error": None, "id": "x"})
    for more in ({}, {"params": None}, {"params": []}, {"params": {}}, {"jsonrpc": "1.0"}):
        assert post(daemon, {**call, **more}) == right
    for kind in ("text/plain", "application/json", "application/json; charset=utf-8"):
        assert post(daemon, call, **{"Content-Type": kind}) == right
    two = post(daemon, {**call, "jsonrpc": "2.0"})
    assert two == (200, "application/json", {"jsonrpc": "2.0", "result": 0, "id": "x"})
    batch = [{"id": n, "method": "getblockhash", "params": [n]} for n in (0, 9, 0)]
    status, kind, answers = post(daemon, batch)
    assert (status, kind) == (200, "application/json")
    assert [each["id"] for each in answers] == [0, 9, 0]
    assert [each["error"] for each in answers] == [
        None,
        {"code": -8, "message": "Block height out of range"},
        None,
    ]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"id": 1, "method": "nosuch"}, 404, -32601),
        ({"id": 1, "method": "getblockhash", "params": [5]}, 500, -8),
        ({"id": 1, "method": "getblock", "params": ["00" * 32]}, 500, -5),
        ({"id": 1, "method": "getblockhash", "params": "x"}, 400, -32600),
        ({"id": 1}, 400, -32600),
        (b"{", 500, -32700),
    ],
)
def test_statuses_of_errors(lasting_daemon: Daemon, body: Any, status: int, code: int) -> None:
    found, kind, answer = post(lasting_daemon, body)
    assert (found, kind) == (status, "application/json")
    assert answer["result"] is None
    assert answer["error"]["code"] == code
    assert "id" in answer


def test_passwords(lasting_daemon: Daemon) -> None:
    assert post(lasting_daemon, {"method": "getblockcount"}, cookie="me:wrong")[0] == 401
    assert (
        post(lasting_daemon, {"method": "invalidateblock", "params": ["00"]}, cookie=None)[0] == 401
    )
    assert post(lasting_daemon, {"method": "getblockcount"}, cookie=None)[0] == 200


def test_templates_are_open_and_proposals_are_not(lasting_daemon: Daemon) -> None:
    def status(*params: Any, **more: Any) -> int:
        call = {"method": "getblocktemplate", "params": list(params) or more}
        return int(post(lasting_daemon, call, cookie=None)[0])

    assert status({"rules": ["segwit"]}) == 200
    assert status(template_request={"rules": ["segwit"]}) == 200
    proposal = {"mode": "proposal", "data": "00", "rules": ["segwit"]}
    assert status(proposal) == status(template_request=proposal) == 401
    assert status(args=[proposal]) == 401
    assert status(json.dumps(proposal)) == 401
