"""The index of addresses, held against what a plain reading of the chain says."""

from contextlib import closing
from pathlib import Path

import pytest

from misocoin.chain.address_index import ADDRESSINDEX, id_from_script
from misocoin.chain.state import ChainOptions, ChainState
from misocoin.primitives.transaction import TxOut
from misocoin.store.records import Changes
from misocoin.store.store import Store
from tests.builders import (
    ANYONE,
    COIN,
    KEY_SCRIPT,
    grow,
    make_block,
    open_chain,
    small_params,
    spend,
)

WITH = ChainOptions(addressindex=True)
PARAMS = small_params()
Told = list[tuple[int, bytes, int, int]]


def told(chain: ChainState, script: bytes) -> Told:
    """What the index says: height, txid, received, spent, the latest first."""
    assert chain.addresses is not None
    history = chain.addresses.read(script, 1000)
    rows = [(row.height, row.txid, row.received, row.spent) for row in history.rows]
    assert history.totals == (len(rows), sum(r[2] for r in rows), sum(r[3] for r in rows))
    return rows


def expected(chain: ChainState, script: bytes) -> Told:
    """The same, read from the blocks."""
    outputs: dict[bytes, TxOut] = {}
    rows: Told = []
    for height in range(1, chain.height + 1):
        for tx in chain.get_block(chain.at_height(height)).transactions:
            outputs |= {tx.outpoint(n): out for n, out in enumerate(tx.vout)}
            spent = [outputs[txin.prevout] for txin in tx.vin if txin.prevout in outputs]
            got, gone = (
                [out.value for out in each if out.script_pubkey == script]
                for each in (tx.vout, spent)
            )
            if got or gone:
                rows.append((height, tx.txid, sum(got), sum(gone)))
    return rows[::-1]


def check(chain: ChainState) -> None:
    for script in (ANYONE, KEY_SCRIPT):
        assert told(chain, script) == expected(chain, script)


def pay(chain: ChainState, height: int) -> None:
    """A block in which a coin of `height` goes to KEY_SCRIPT and back to anyone."""
    point = chain.get_block(chain.at_height(height)).transactions[0].outpoint(0)
    tx = spend([point], [10 * COIN, TxOut(20 * COIN, KEY_SCRIPT), TxOut(0, b"\x6a\x01\x01")])
    chain.submit_block(make_block(chain.tip, PARAMS, [tx], fees=20 * COIN))


def grown(store: Store, options: ChainOptions, blocks: int = 4) -> ChainState:
    chain = open_chain(PARAMS, store, options=options)
    for block in grow(chain.tip, PARAMS, blocks):
        chain.submit_block(block)
    return chain


def test_what_blocks_do_and_what_a_reorg_undoes(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "x", PARAMS.genesis.hash)) as store:
        chain = grown(store, WITH)
        pay(chain, 1)
        pay(chain, 2)
        check(chain)
        assert [row[2:] for row in told(chain, KEY_SCRIPT)] == [(20 * COIN, 0)] * 2
        assert told(chain, b"\x6a\x01\x01") == []  # what nobody can spend is nobody's
        chain.invalidate(chain.at_height(5))
        check(chain)
        assert told(chain, KEY_SCRIPT) == []
        for block in grow(chain.tip, PARAMS, 3):
            chain.submit_block(block)
        pay(chain, 2)
        check(chain)
        assert chain.indexes()[ADDRESSINDEX] == chain.height


def test_pages_of_a_history(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "x", PARAMS.genesis.hash)) as store:
        chain = grown(store, WITH, 7)
        assert chain.addresses is not None
        pages = [
            [row.height for row in chain.addresses.read(ANYONE, 3, skip).rows] for skip in (0, 3, 6)
        ]
        assert pages == [[7, 6, 5], [4, 3, 2], [1]]


def test_made_for_a_chain_that_had_none_and_dropped_when_off(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "x", PARAMS.genesis.hash)) as store:
        chain = grown(store, ChainOptions())
        pay(chain, 1)
        chain.flush()
        assert chain.addresses is None
        again = open_chain(PARAMS, store, options=WITH)
        check(again)
        again.flush()
        off = open_chain(PARAMS, store)
        assert store.get_meta(ADDRESSINDEX) is None
        assert store.get_history_totals(id_from_script(ANYONE)) == (0, 0, 0)
        pay(off, 2)
        off.flush()
        check(open_chain(PARAMS, store, options=WITH))


@pytest.mark.parametrize("flushed_after", ["nothing", "payments", "reorg"])
def test_after_a_crash_it_stands_where_the_chain_does(tmp_path: Path, flushed_after: str) -> None:
    """The coins on disk may lie before the tip, or on a branch that was left since."""
    with closing(Store(tmp_path / "x", PARAMS.genesis.hash)) as store:
        chain = grown(store, WITH)
        pay(chain, 1)
        pay(chain, 2)
        if flushed_after == "payments":
            chain.flush()
        for block in grow(chain.at_height(4), PARAMS, 4):
            chain.submit_block(block)
        if flushed_after == "reorg":
            chain.flush()
        pay(chain, 1)
        tip = chain.tip
        again = open_chain(PARAMS, store, options=WITH)  # nothing of the cache was written
        assert again.tip.hash == tip.hash
        check(again)


def test_an_index_that_stands_for_an_unknown_block_is_made_anew(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "x", PARAMS.genesis.hash)) as store:
        chain = grown(store, WITH)
        pay(chain, 1)
        chain.flush()
        store.apply(Changes(meta={ADDRESSINDEX: bytes(32)}))
        check(open_chain(PARAMS, store, options=WITH))
