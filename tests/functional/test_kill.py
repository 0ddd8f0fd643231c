"""Kill -9 at any moment: nothing that was acknowledged is lost, and nothing needs a repair."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

import pytest
import requests

from misocoin.http.errors import HttpError, RpcError
from misocoin.params import regtest
from misocoin.primitives.block import Block, block_from_bytes
from misocoin.primitives.transaction import (
    OutPoint,
    Transaction,
    TxOut,
    transaction_from_bytes,
)
from misocoin.units import COIN
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import DEADLINE, Daemon

COUNTERPARTY = "22" * 20
GENESIS = regtest().genesis.header.hash_hex


class Busy:
    """Somebody who mines and pays without a pause, and keeps what was acknowledged."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.daemon = daemon
        self.random = random.Random(seed)
        self.blocks: list[str] = []
        self.payments: list[str] = []
        self.addresses: list[str] = []
        self.refusals: list[RpcError] = []
        self.done = 0
        self._progress = threading.Condition()

    def run(self) -> None:
        """Call until the daemon is gone."""
        with suppress(HttpError):
            while True:
                try:
                    self._call()
                except RpcError as error:
                    self.refusals.append(error)
                with self._progress:
                    self.done += 1
                    self._progress.notify_all()

    def _call(self) -> None:
        rpc = self.daemon.rpc
        match self.random.randrange(8):
            case 0 | 1 | 2:
                self.blocks += rpc.generate(1)
            case 3:
                self.addresses.append(rpc.get_new_address())
            case 4 if self.addresses:
                self.payments.append(rpc.send_misocoin(self.random.choice(self.addresses), 0.5))
            case _:
                amount = self.random.randrange(1, 200) / 100
                self.payments.append(rpc.send_misocoin(COUNTERPARTY, amount))

    def wait_for(self, calls: int) -> None:
        """Wait until so many calls have been answered."""
        with self._progress:
            assert self._progress.wait_for(lambda: self.done >= calls, DEADLINE), "it hangs"


def kill_while_busy(daemon: Daemon, seed: int) -> Busy:
    """Start it, keep it busy, and kill it at a random point, every third time while it stops."""
    busy = Busy(daemon, seed)
    thread = threading.Thread(target=busy.run)
    thread.start()
    busy.wait_for(busy.random.randrange(1, 25))
    if seed % 3 == 0:
        daemon.terminate()
        if busy.random.random() < 0.5:
            busy.random.randbytes(busy.random.randrange(1, 3_000_000))  # some while, by work done
    daemon.kill()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    for refusal in busy.refusals:
        assert "mempool chain" in str(refusal) or "funds" in str(refusal), refusal
    return busy


def check_nothing_is_lost(daemon: Daemon, seen: list[Busy], kept: "Kept") -> None:
    """Hold the restarted daemon against all that was acknowledged, and against a full replay."""
    rpc = daemon.rpc
    mempool = set(rpc.get_mempool())
    for busy in seen:
        for block in busy.blocks:
            assert rpc.get_block(block)["confirmations"] > 0, block
        for txid in busy.payments:
            assert txid in mempool or rpc.get_tx(txid)["confirmations"] > 0, txid
    addresses = {entry["address"] for entry in rpc.list_addresses()}
    assert {address for busy in seen for address in busy.addresses} <= addresses
    replayed = rpc.verify_chain()
    info = rpc.get_info()
    assert (replayed["height"], replayed["best_block"]) == (info["height"], info["best_block"])
    balances = rpc.get_balances()
    coins = kept.coins(daemon)
    assert sum(int(each * COIN) for each in balances.values()) == sum(
        coins[kept.script_of(daemon, address)] for address in addresses
    )
    paid = requests.get(f"{daemon.url}/address/{COUNTERPARTY}.json", timeout=DEADLINE).json()
    assert paid["is_indexed"]
    assert (
        paid["balance_sats"] + paid["waiting_sats"] == (coins[kept.script_of(daemon, COUNTERPARTY)])
    )


class Kept:
    """What never changes once it was asked: blocks by their hash, the scripts of addresses."""

    def __init__(self) -> None:
        self._blocks: dict[str, Block] = {}
        self._scripts: dict[str, bytes] = {}

    def coins(self, daemon: Daemon) -> Counter[bytes]:
        """Base units by script, by a replay of its own: all blocks, then what waits."""
        coins: dict[OutPoint, TxOut] = {}
        for transaction in self._transactions(daemon):
            for txin in transaction.vin:
                coins.pop(txin.prevout, None)
            coins.update(
                {transaction.outpoint(n): txout for n, txout in enumerate(transaction.vout)}
            )
        units = Counter[bytes]()
        for txout in coins.values():
            units[txout.script_pubkey] += txout.value
        return units

    def script_of(self, daemon: Daemon, address: str) -> bytes:
        """The output script of an address, as a transaction to it has it."""
        if address not in self._scripts:
            raw = daemon.rpc.create_raw_tx([{"txid": "11" * 32, "vout": 0}], {address: 1})
            tx = transaction_from_bytes(bytes.fromhex(raw))
            self._scripts[address] = tx.vout[0].script_pubkey
        return self._scripts[address]

    def _transactions(self, daemon: Daemon) -> Iterator[Transaction]:
        """Every transaction of chain and mempool, each after those that it spends."""
        rpc = daemon.rpc
        at, branch = rpc.get_best_block()["hash"], []
        while at != GENESIS:
            if at not in self._blocks:
                self._blocks[at] = block_from_bytes(bytes.fromhex(rpc.get_block(at, 0)))
            branch.append(self._blocks[at])
            at = branch[-1].header.prev_hash[::-1].hex()
        for block in reversed(branch):
            yield from block.transactions
        for txid in rpc.get_mempool():
            yield transaction_from_bytes(bytes.fromhex(rpc.get_tx(txid)["hex"]))


def kill_again_and_again(make_daemon: MakeDaemon, times: int, seed: int) -> None:
    daemon = make_daemon("-addressindex")
    daemon.start()
    daemon.rpc.generate(120)
    seen: list[Busy] = []
    kept = Kept()
    for round_ in range(times):
        seen.append(kill_while_busy(daemon, seed + round_))
        daemon.start()
        check_nothing_is_lost(daemon, seen[-3:], kept)
    check_nothing_is_lost(daemon, seen, kept)
    assert sum(len(busy.blocks) for busy in seen) > times
    assert sum(len(busy.payments) for busy in seen) > times
    before = daemon.rpc.get_balances()
    daemon.restart()
    assert daemon.rpc.get_balances() == before
    assert Decimal(str(before["available"])) > 0


def test_20_kills_of_a_busy_node_lose_nothing(make_daemon: MakeDaemon) -> None:
    kill_again_and_again(make_daemon, 20, seed=1)


@pytest.mark.long
def test_300_kills_of_a_busy_node_lose_nothing(make_daemon: MakeDaemon) -> None:
    kill_again_and_again(make_daemon, 300, seed=random.SystemRandom().randrange(1 << 30))
