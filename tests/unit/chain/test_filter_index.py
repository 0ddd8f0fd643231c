"""The index of block filters: made with the blocks, or later, and the same either way."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from misocoin.chain.state import ChainOptions, ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.filters.basic import (
    basic_filter_from_block,
    calculate_filter_header,
    is_any_in_filter,
)
from misocoin.primitives.block import Block
from misocoin.store.store import Store
from tests.builders import (
    KEY_SCRIPT,
    TxOut,
    grow,
    make_block,
    memory_store,
    open_chain,
    small_params,
    spend,
)

PARAMS = small_params()
WITHOUT = ChainOptions(blockfilterindex=False)


def expected(chain: ChainState) -> list[tuple[bytes, bytes]]:
    """Filters and headers by the blocks alone, genesis first."""
    made, header = [], bytes(32)
    scripts = {}
    for height in range(chain.height + 1):
        block = chain.get_block(chain.at_height(height))
        spent = []
        for tx in block.transactions:
            if not tx.is_coinbase:
                spent += [scripts[txin.prevout] for txin in tx.vin]
            scripts.update({tx.outpoint(i): out.script_pubkey for i, out in enumerate(tx.vout)})
        data = basic_filter_from_block(block, spent)
        header = calculate_filter_header(data, header)
        made.append((data, header))
    return made


def indexed(chain: ChainState) -> list[tuple[bytes, bytes]]:
    assert chain.filters is not None
    nodes = [chain.at_height(height) for height in range(chain.height + 1)]
    return list(map(tuple, chain.filters.get_many(nodes)))


def paying_blocks(chain_tip: HeaderNode, count: int = 6) -> list[Block]:
    """Blocks of which some spend what the first ones made."""
    blocks = grow(chain_tip, PARAMS, 3)
    node = chain_tip
    for block in blocks:
        node = HeaderNode(block.header, node)
    for n in range(count - 3):
        coin = blocks[n].transactions[0]
        payment = spend([coin.outpoint(0)], [TxOut(coin.vout[0].value - 1000, KEY_SCRIPT)])
        blocks.append(make_block(node, PARAMS, [payment], fees=1000))
        node = HeaderNode(blocks[-1].header, node)
    return blocks


def submit(chain: ChainState, blocks: Sequence[Block]) -> None:
    for block in blocks:
        chain.submit_block(block)


@pytest.fixture
def store() -> Iterator[Store]:
    with memory_store(PARAMS) as made:
        yield made


def test_every_block_gets_its_filter(store):
    chain = open_chain(PARAMS, store)
    submit(chain, paying_blocks(chain.tip))
    assert indexed(chain) == expected(chain)
    last = chain.tip
    assert is_any_in_filter([KEY_SCRIPT], indexed(chain)[-1][0], last.hash)
    assert not is_any_in_filter([KEY_SCRIPT], indexed(chain)[1][0], chain.at_height(1).hash)


def test_a_reorg_has_the_filters_of_its_branch(store):
    chain = open_chain(PARAMS, store)
    submit(chain, paying_blocks(chain.tip))
    stale = chain.tip
    branch = grow(chain.tree.genesis, PARAMS, 8, tag=b"other")
    submit(chain, branch)
    assert chain.tip.hash == branch[-1].hash
    assert indexed(chain) == expected(chain)
    assert chain.filters is not None
    assert chain.filters.get(stale) is not None
    assert chain.filters.get(chain.at_height(5)) is not None


def test_filters_are_made_later_where_there_were_none(store):
    blocks = paying_blocks(open_chain(PARAMS, store).tree.genesis, 8)
    chain = open_chain(PARAMS, store, options=WITHOUT)
    assert chain.filters is None
    submit(chain, blocks[:5])
    chain.flush()
    chain = open_chain(PARAMS, store)
    submit(chain, blocks[5:6])  # connected while the index has a gap
    assert chain.filters is not None
    assert chain.filters.get(chain.tip) is None
    assert chain.filters.catch_up(chain, lambda: False) == 6
    assert indexed(chain) == expected(chain)
    submit(chain, blocks[6:])
    assert chain.filters.catch_up(chain, lambda: False) == 0
    assert indexed(chain) == expected(chain)


def test_a_gap_in_the_middle_is_filled(store):
    blocks = paying_blocks(open_chain(PARAMS, store).tree.genesis, 8)
    chain = open_chain(PARAMS, store)
    submit(chain, blocks[:3])
    chain.flush()
    chain = open_chain(PARAMS, store, options=WITHOUT)
    submit(chain, blocks[3:6])
    chain.flush()
    chain = open_chain(PARAMS, store)
    submit(chain, blocks[6:])
    assert chain.filters is not None
    assert chain.filters.catch_up(chain, lambda: False) == 5
    assert indexed(chain) == expected(chain)


def test_a_stopped_catch_up_goes_on_where_it_was(store, monkeypatch):
    monkeypatch.setattr("misocoin.chain.filter_index.BATCH", 2)
    blocks = paying_blocks(open_chain(PARAMS, store).tree.genesis, 8)
    chain = open_chain(PARAMS, store, options=WITHOUT)
    submit(chain, blocks)
    chain.flush()
    chain = open_chain(PARAMS, store)
    assert chain.filters is not None
    calls = iter([False, False, False, True, True, True])
    assert chain.filters.catch_up(chain, lambda: next(calls)) == 3
    assert chain.filters.catch_up(chain, lambda: False) == 5
    assert indexed(chain) == expected(chain)


def test_a_tip_that_moves_meanwhile_is_caught_up_with(store):
    blocks = paying_blocks(open_chain(PARAMS, store).tree.genesis, 8)
    chain = open_chain(PARAMS, store, options=WITHOUT)
    submit(chain, blocks[:4])
    chain.flush()
    chain = open_chain(PARAMS, store)
    waiting = list(blocks[4:])

    def mine_one() -> bool:
        if waiting:
            chain.submit_block(waiting.pop(0))
        return False

    assert chain.filters is not None
    chain.filters.catch_up(chain, mine_one)
    assert not waiting
    assert indexed(chain) == expected(chain)


def test_filters_survive_a_crash(tmp_path: Path):
    """Blocks after the flushed coins are connected again, and have one filter still."""
    path = tmp_path / "chain.sqlite"
    with closing(Store(path, PARAMS.genesis.hash)) as store:
        chain = open_chain(PARAMS, store)
        submit(chain, paying_blocks(chain.tip))  # never flushed
    with closing(Store(path, PARAMS.genesis.hash)) as store:
        chain = open_chain(PARAMS, store)
        assert chain.height == 6
        assert indexed(chain) == expected(chain)
