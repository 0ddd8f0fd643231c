"""Calls by Core's names, by one client and by eight, and beside it bitcoind where there is one.

    python benchmarks/core_rpc.py [SECONDS]

On regtest, over kept-open connections, clients in processes of their own: getblockcount, getblock
(verbosity 1 and 2) of a block of 2,000 transactions, getrawtransaction of one of them,
getblocktemplate, and sendrawtransaction of 2,000 payments that nobody has seen before. With
BITCOIND=/path/to/bitcoind the same calls go to that one.
"""

import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.rpc import answers, calls_a_second, exchange, request_for
from misocoin.consensus.coins import Coin
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.http.client import HttpClient
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.params import regtest
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, transaction_from_bytes
from misocoin.script.address import address_from_script
from misocoin.script.signing import KeyRing, sign_transaction
from misocoin.script.templates import p2wpkh_script
from tests.functional.framework.daemon import Daemon, clean_environment, reserved_port, wait_until

PAYMENTS = 2_000
CLIENTS = 8
COIN = 100_000_000

KEY = PrivateKey(bytes(31) + b"\x09")
SCRIPT = p2wpkh_script(hash160(KEY.public_key))
RING = KeyRing.build([KEY])


class Served(NamedTuple):
    """A daemon that answers."""

    name: str
    port: int
    credentials: str
    client: JsonRpcClient


def fund(client: JsonRpcClient, height: int) -> Transaction:
    """Split the coinbase at a height into many coins, and hand that in."""
    block = client.call("getblock", client.call("getblockhash", height))
    coinbase = transaction_from_bytes(
        bytes.fromhex(client.call("getrawtransaction", block["tx"][0], 0, block["hash"]))
    )
    value = (50 * COIN - COIN // 100) // PAYMENTS
    tx = Transaction.build(2, [TxIn(coinbase.outpoint(0))], [TxOut(value, SCRIPT)] * PAYMENTS)
    signed = sign_transaction(tx, [Coin(50 * COIN, SCRIPT, height, True)], RING)
    client.call("sendrawtransaction", signed.serialize().hex())
    return signed


def payments(funding: Transaction) -> list[str]:
    """One payment for each of the coins."""
    made = []
    for index, txout in enumerate(funding.vout):
        tx = Transaction.build(
            2, [TxIn(funding.outpoint(index))], [TxOut(txout.value - 1_000, SCRIPT)]
        )
        signed = sign_transaction(tx, [Coin(txout.value, SCRIPT, 1, False)], RING)
        made.append(signed.serialize().hex())
    return made


def deliver(port: int, requests: list[bytes], start: Any, done: Any) -> None:
    """Send requests, each once; tell how long it took."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start.wait()
        began = time.perf_counter()
        for request in requests:
            exchange(sock, request)
    done.put(time.perf_counter() - began)


def deliveries_a_second(served: Served, raws: list[str], clients: int) -> float:
    context = multiprocessing.get_context("spawn")
    start, done = context.Barrier(clients), context.Queue()
    requests = [
        request_for(
            served.port,
            {"id": 1, "method": "sendrawtransaction", "params": [raw]},
            served.credentials,
        )
        for raw in raws
    ]
    workers = [
        context.Process(target=deliver, args=(served.port, requests[i::clients], start, done))
        for i in range(clients)
    ]
    for worker in workers:
        worker.start()
    seconds = max(done.get() for _ in workers)
    for worker in workers:
        worker.join()
    return len(raws) / seconds


def measure(served: Served, seconds: float) -> dict[str, tuple[float, float]]:
    """Calls a second by one client and by several."""
    client = served.client
    address = address_from_script(SCRIPT, regtest())
    client.call("generatetoaddress", 102, address)
    first, second = (payments(fund(client, height)) for height in (1, 2))
    client.call("generatetoaddress", 1, address)
    figures = {}
    sent = deliveries_a_second(served, first, 1)
    (full,) = client.call("generatetoaddress", 1, address)
    figures["sendrawtransaction"] = (sent, deliveries_a_second(served, second, CLIENTS))
    block = client.call("getblock", full, 1)
    assert len(block["tx"]) == PAYMENTS + 1
    calls: dict[str, tuple[str, list[Any]]] = {
        "getblockcount": ("getblockcount", []),
        f"getblock 1, {PAYMENTS + 1} transactions": ("getblock", [full, 1]),
        f"getblock 2, {PAYMENTS + 1} transactions": ("getblock", [full, 2]),
        "getrawtransaction 0": ("getrawtransaction", [block["tx"][PAYMENTS // 2], 0]),
        "getrawtransaction 1": ("getrawtransaction", [block["tx"][PAYMENTS // 2], 1]),
        f"getblocktemplate, {PAYMENTS} transactions": (
            "getblocktemplate",
            [{"rules": ["segwit"]}],
        ),
    }
    for name, (method, params) in calls.items():
        call = {"id": 1, "method": method, "params": params}
        request = request_for(served.port, call, served.credentials)
        one, many = (calls_a_second(served.port, request, n, seconds) for n in (1, CLIENTS))
        figures[name] = (one, many)
    return figures


@contextmanager
def misocoin() -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder) / "node", "-txindex").start()
        try:
            cookie = (daemon.folder / ".cookie").read_text()
            yield Served("misocoin", daemon.port, cookie, daemon.rpc.client)
        finally:
            daemon.close()


@contextmanager
def bitcoind() -> Iterator[Served]:
    with reserved_port() as port, tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [
                os.environ["BITCOIND"], "-regtest", f"-datadir={folder}", f"-rpcport={port}",
                "-listen=0", "-txindex=1", "-rpcuser=u", "-rpcpassword=p", "-printtoconsole=0",
                "-fallbackfee=0.0002",
            ],
            env=clean_environment(Path(folder)),
        )  # fmt: skip
        http = HttpClient()
        client = JsonRpcClient(f"http://127.0.0.1:{port}", ("u", "p"), http)
        try:
            wait_until(lambda: answers(client), "bitcoind answers")
            yield Served("bitcoind", port, "u:p", client)
        finally:
            process.terminate()
            process.wait()
            http.close()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3
    rivals = [misocoin] + ([bitcoind] if "BITCOIND" in os.environ else [])
    heads = [f"{rival.__name__} {n}" for rival in rivals for n in (1, CLIENTS)]
    rows: dict[str, list[float]] = {}
    for rival in rivals:
        with rival() as served:
            for name, figures in measure(served, seconds).items():
                rows.setdefault(name, []).extend(figures)
    print(f"{'calls a second, by clients':40} " + " ".join(f"{head:>12}" for head in heads))
    for name, figures in rows.items():
        print(f"{name:40} " + " ".join(f"{figure:12.0f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
