"""Calls by Core's names, by one client and by eight, ours beside a real bitcoind's.

    [BITCOIND=/path/to/bitcoind] python benchmarks/core_rpc.py [ROUNDS] [SECONDS]

Both run on regtest with `-txindex` and have the same blocks and the same waiting transactions.
Clients are processes of their own, with connections kept open; each call is measured for SECONDS,
in turn with the rival's, in ROUNDS. Rates and microseconds of the daemon's processor time (all its
threads, one client) are medians; ratios are medians of the rounds', above 1 where ours is faster
or dearer.

sendrawtransaction is handed payments that nobody has seen before. Ours has each on disk when it
answers; bitcoind keeps them in memory until it stops.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.rpc import Clients, request_for
from misocoin.consensus.coins import Coin
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.params import regtest
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, transaction_from_bytes
from misocoin.script.address import address_from_script
from misocoin.script.signing import KeyRing, sign_transaction
from misocoin.script.templates import p2wpkh_script
from tests.functional.framework.bitcoind import AS_IN_EARNEST, CREDENTIALS, Bitcoind, named_bitcoind
from tests.functional.framework.daemon import Daemon, wait_until

PAYMENTS = 2_000
CLIENTS = 8
COIN = 100_000_000

KEY = PrivateKey(bytes(31) + b"\x09")
SCRIPT = p2wpkh_script(hash160(KEY.public_key))
RING = KeyRing.build([KEY])
ADDRESS = address_from_script(SCRIPT, regtest())


class Served(NamedTuple):
    """A daemon that answers."""

    name: str
    pid: int
    port: int
    credentials: str
    client: JsonRpcClient

    def request(self, method: str, *params: Any) -> bytes:
        call = {"id": 1, "method": method, "params": params}
        return request_for(self.port, call, self.credentials)

    def processor_seconds(self) -> float:
        """What all its threads have taken so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Turn(NamedTuple):
    """One measurement of one daemon."""

    rate: float
    """Calls a second."""
    cost: float
    """Microseconds of the daemon's processor time a call."""


# -- the chain ---------------------------------------------------------------------------------


def mine(daemons: Sequence[Served], blocks: int) -> str:
    """The first mines, the others get the blocks; the last one's hash."""
    hashes = daemons[0].client.call("generatetoaddress", blocks, ADDRESS)
    for block_hash in hashes:
        raw = daemons[0].client.call("getblock", block_hash, 0)
        for other in daemons[1:]:
            if (refusal := other.client.call("submitblock", raw)) is not None:
                sys.exit(f"{other.name} refuses a block: {refusal}")
    return hashes[-1]


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


# -- measuring ---------------------------------------------------------------------------------


def turn(served: Served, measure: Callable[[], tuple[int, float]]) -> Turn:
    before = served.processor_seconds()
    calls, seconds = measure()
    return Turn(calls / seconds, (served.processor_seconds() - before) / calls * 1e6)


def send_in_turn(
    daemons: Sequence[Served], clients: Clients, many: int, fundings: Sequence[Transaction]
) -> list[list[Turn]]:
    """Rounds of turns, in each a new payment of each coin of a funding; the last ones stay."""
    rounds = []
    for funding in fundings:
        if rounds:
            mine(daemons, 1)
        raws = payments(funding)
        turns = []
        for served in daemons:
            requests = [served.request("sendrawtransaction", raw) for raw in raws]
            turns.append(
                turn(served, lambda s=served, r=requests: clients.deliver(s.port, r, many))
            )
            waiting = len(served.client.call("getrawmempool"))
            if waiting != PAYMENTS:
                sys.exit(f"{served.name} has {waiting} of {PAYMENTS} payments")
        rounds.append(turns)
    return rounds


def call_in_turn(
    daemons: Sequence[Served],
    clients: Clients,
    many: int,
    call: tuple[Any, ...],
    rounds: int,
    seconds: float,
) -> list[list[Turn]]:
    def one(served: Served) -> Turn:
        request = served.request(*call)
        return turn(served, lambda: clients.repeat(served.port, request, many, seconds))

    return [[one(served) for served in daemons] for _ in range(rounds)]


def show(name: str, one: list[list[Turn]], many: list[list[Turn]]) -> None:
    """A row: rates of one client, rates of many, processor time of one call."""
    cells = ""
    for rounds, key in ((one, "rate"), (many, "rate"), (one, "cost")):
        columns = [[getattr(each, key) for each in column] for column in zip(*rounds, strict=True)]
        cells += "".join(f"{statistics.median(column):10,.0f}" for column in columns)
        if len(columns) > 1:
            ratio = statistics.median(a / b for a, b in zip(*columns, strict=True))
            cells += f"{ratio:7.2f}"
    print(f"{name:34}{cells}", flush=True)


def compare(daemons: Sequence[Served], rounds: int, seconds: float) -> None:
    """Print the table."""
    ratio = f"{'ratio':>7}" if len(daemons) > 1 else ""
    heads = "".join(f"{served.name:>10}" for served in daemons) + ratio
    width = len(heads)
    groups = ("1 client", f"{CLIENTS} clients", "µs of CPU a call")
    print(
        f"calls a second, medians of {rounds:<7}" + "".join(f"{each:>{width}}" for each in groups)
    )
    print(f"{'':34}" + heads * 3)
    mine(daemons, 100 + 2 * rounds)
    first = daemons[0].client
    fundings = [fund(first, 1 + number) for number in range(2 * rounds)]
    mine(daemons, 1)
    with closing(Clients(CLIENTS)) as clients:
        sent = send_in_turn(daemons, clients, 1, fundings[:rounds])
        full = mine(daemons, 1)
        show("sendrawtransaction", sent, send_in_turn(daemons, clients, CLIENTS, fundings[rounds:]))
        ids = first.call("getblock", full, 1)["tx"]
        wait_until(lambda: all(map(has_indexed, daemons)), "all transactions are indexed")
        size = f"{len(ids)} transactions"
        calls: dict[str, tuple[Any, ...]] = {
            "getblockcount": ("getblockcount",),
            f"getblock 1, {size}": ("getblock", full, 1),
            f"getblock 2, {size}": ("getblock", full, 2),
            "getrawtransaction 0": ("getrawtransaction", ids[PAYMENTS // 2], 0),
            "getrawtransaction 1": ("getrawtransaction", ids[PAYMENTS // 2], 1),
            f"getblocktemplate, {PAYMENTS} waiting": ("getblocktemplate", {"rules": ["segwit"]}),
        }
        for name, call in calls.items():
            one, many = (
                call_in_turn(daemons, clients, count, call, rounds, seconds)
                for count in (1, CLIENTS)
            )
            show(name, one, many)


def has_indexed(served: Served) -> bool:
    return bool(served.client.call("getindexinfo")["txindex"]["synced"])


def main() -> None:
    """Start both, or ours alone."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1
    program = named_bitcoind()
    with ExitStack() as held:
        base = Path(held.enter_context(tempfile.TemporaryDirectory()))
        ours = held.enter_context(closing(Daemon(base / "node", "-txindex")))
        ours.start()
        daemons = [
            Served("misocoin", ours.pid, ours.port, ":".join(ours.credentials), ours.rpc.client)
        ]
        if program is not None:
            rival = held.enter_context(
                closing(Bitcoind(program, base / "bitcoind", *AS_IN_EARNEST))
            )
            rival.start()
            daemons.append(
                Served("bitcoind", rival.pid, rival.port, ":".join(CREDENTIALS), rival.client)
            )
        compare(daemons, rounds, seconds)
    if program is None:
        print("bitcoind: not measured (name one in BITCOIND)")


if __name__ == "__main__":
    main()
