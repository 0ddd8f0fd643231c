"""Daemons and whole chains: reorgs, real blocks from files, and what a fresh node makes of them."""

import pytest

from misocoin.consensus.block_rules import WITNESS_COMMITMENT_HEADER, calculate_witness_commitment
from misocoin.consensus.difficulty import target_from_bits
from misocoin.consensus.merkle import calculate_merkle_root
from misocoin.http.errors import RpcError
from misocoin.pow.portable import PortableEngine
from misocoin.pow.puzzles import HeaderPuzzle
from misocoin.primitives.block import Block, BlockHeader, block_from_bytes
from misocoin.primitives.transaction import Transaction, TxOut
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import Daemon
from tests.shared import shared_file

COMMON = 110
"""Blocks that both sides of a reorg share."""


def raw_blocks(daemon: Daemon, first: int, last: int) -> list[str]:
    """Blocks of the active chain in hex."""
    return [daemon.rpc.get_block(height, 0) for height in range(first, last + 1)]


def hand_over(blocks: list[str], taker: Daemon) -> None:
    for block in blocks:
        taker.rpc.submit_block(block)


def with_greedy_coinbase(raw: str) -> str:
    """A block like this one, mined again, whose coinbase takes one base unit too much."""
    block = block_from_bytes(bytes.fromhex(raw))
    coinbase = block.transactions[0]
    first = coinbase.vout[0]
    outputs = [TxOut(first.value + 1, first.script_pubkey)]
    reserved = coinbase.vin[0].witness[0]
    commitment = calculate_witness_commitment(block.transactions, reserved)
    outputs.append(TxOut(0, WITNESS_COMMITMENT_HEADER + commitment))
    greedy = Transaction.build(coinbase.version, coinbase.vin, outputs, coinbase.locktime)
    transactions = (greedy, *block.transactions[1:])
    root, _ = calculate_merkle_root([tx.txid for tx in transactions])
    old = block.header
    header = BlockHeader.build(old.version, old.prev_hash, root, old.time, old.bits, 0)
    puzzle = HeaderPuzzle(header.serialize(), target_from_bits(header.bits))
    nonce = PortableEngine().search(puzzle, 0, puzzle.space).nonce
    assert nonce is not None
    mined = BlockHeader.build(old.version, old.prev_hash, root, old.time, old.bits, nonce)
    return Block(mined, transactions).serialize().hex()


def state(daemon: Daemon) -> dict[str, object]:
    """What a node and a full replay of its chain say."""
    replayed = daemon.rpc.verify_chain()
    assert replayed["best_block"] == daemon.rpc.get_info()["best_block"]
    return replayed


def test_reorgs_leave_what_a_fresh_node_gets(make_daemon: MakeDaemon) -> None:
    ours, theirs, fresh = make_daemon().start(), make_daemon().start(), make_daemon().start()
    ours.rpc.generate(COMMON)
    hand_over(raw_blocks(ours, 1, COMMON), theirs)
    payments = [ours.rpc.send_misocoin("33" * 20, 1.25) for _ in range(3)]
    base = COMMON
    for depth in range(1, 11):
        ours.rpc.generate(depth)
        theirs.rpc.generate(depth + 1)
        branch = raw_blocks(theirs, base + 1, base + depth + 1)
        hand_over(branch, ours)
        assert ours.rpc.get_info()["best_block"] == theirs.rpc.get_info()["best_block"]
        # What the lost branch held waits for the next block, and its coins are spent as before.
        assert set(payments) <= set(ours.rpc.get_mempool())
        base += depth + 1
    assert ours.log.wait_for(r"reorg: 10 blocks back")
    hand_over(raw_blocks(theirs, 1, base), fresh)
    assert state(ours) == state(theirs) == state(fresh)
    ours.rpc.generate(1)
    assert all(ours.rpc.get_tx(txid)["confirmations"] == 1 for txid in payments)


def test_a_failed_branch_changes_nothing(make_daemon: MakeDaemon) -> None:
    ours, theirs, fresh = make_daemon().start(), make_daemon().start(), make_daemon().start()
    ours.rpc.generate(COMMON)
    hand_over(raw_blocks(ours, 1, COMMON), theirs)
    ours.rpc.generate(3)
    theirs.rpc.generate(3)
    good = raw_blocks(theirs, COMMON + 1, COMMON + 3)
    theirs.rpc.generate(1)
    bad = with_greedy_coinbase(theirs.rpc.get_block(COMMON + 4, 0))
    before = ours.rpc.get_info()["best_block"], ours.rpc.get_balances()
    hand_over(good, ours)
    with pytest.raises(RpcError, match="bad-cb-amount") as error:
        ours.rpc.submit_block(bad)
    assert error.value.code == -26
    assert (ours.rpc.get_info()["best_block"], ours.rpc.get_balances()) == before
    hand_over(raw_blocks(ours, 1, COMMON + 3), fresh)
    assert state(ours) == state(fresh)
    ours.restart()
    assert state(ours) == state(fresh)


def test_a_real_bitcoinds_chain_is_loaded(make_daemon: MakeDaemon) -> None:
    path = shared_file("chains/regtest-182.blk")
    daemon = make_daemon(f"-loadblock={path}")
    daemon.start(timeout=300)
    daemon.log.wait_for(
        r"imported 183 blocks with 80213 transactions .*\(0 refused, 0 without", 300
    )
    tip = "3828f63bebec0af947d558e8a18e1b595d46dfd1c0d476f6552d9074971965a5"
    assert daemon.rpc.get_info()["best_block"] == tip
    assert daemon.rpc.get_best_block()["height"] == 182
    coins = daemon.rpc.gettxoutsetinfo("none")
    assert (coins["txouts"], str(coins["total_amount"])) == (95_152, "8274.16994081")
    daemon.rpc.generate(1)  # and it goes on as a node
    assert daemon.rpc.get_best_block()["previousblockhash"] == tip


def test_the_first_255_blocks_of_bitcoin_are_loaded(make_daemon: MakeDaemon) -> None:
    path = shared_file("chains/bitcoin-1-255.blk")
    daemon = make_daemon(f"-loadblock={path}", chain="bitcoin").start()
    daemon.log.wait_for("imported 255 blocks")
    best = daemon.rpc.get_best_block()
    assert best["height"] == 255
    assert best["hash"] == "00000000d0a75c861fabf9ff7b92022f60e4afeed9331fe5aa073d8e4706fe3c"
    # The first payment: Satoshi's 10 BTC to Hal Finney, block 170.
    payment = daemon.rpc.get_block(170, 2)["tx"][1]
    assert payment["txid"] == "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"
    assert [float(vout["value"]) for vout in payment["vout"]] == [10, 40]
    assert state(daemon)["supply"] == 255 * 50
