"""The indexes of transactions and of spends."""

from contextlib import closing
from pathlib import Path

import pytest

from misocoin.chain.state import ChainOptions
from misocoin.consensus.tree import HeaderNode
from misocoin.primitives.block import Block
from misocoin.store.store import Store
from tests.builders import COIN, grow, make_block, open_chain, small_params, spend

BOTH = ChainOptions(txindex=True, txospenderindex=True)


def test_spends_are_found_on_the_active_chain_alone(tmp_path: Path) -> None:
    params = small_params()
    with closing(Store(tmp_path / "x", params.genesis.hash)) as store:
        chain = open_chain(params, store, options=BOTH)
        for block in grow(chain.tip, params, 3):
            chain.submit_block(block)
        point = chain.get_block(chain.at_height(1)).transactions[0].outpoint(0)
        assert chain.find_spend(point) is None
        one, other = spend([point], [40 * COIN]), spend([point], [30 * COIN])
        parent = chain.tip
        first = make_block(parent, params, [one], fees=10 * COIN)
        chain.submit_block(first)
        assert chain.find_spend(point) == (one.txid, chain.tip)
        chain.invalidate(chain.tip)
        assert chain.find_spend(point) is None
        chain.submit_block(make_block(parent, params, [other], fees=20 * COIN))
        assert chain.find_spend(point) == (other.txid, chain.tip)
        chain.reconsider(chain.find(first.hash))
        chain.prefer(chain.find(first.hash))
        assert chain.find_spend(point) == (one.txid, chain.find(first.hash))


def test_indexes_are_made_for_a_chain_that_had_none(tmp_path: Path) -> None:
    params = small_params()
    with closing(Store(tmp_path / "x", params.genesis.hash)) as store:
        chain = open_chain(params, store)
        for block in grow(chain.tip, params, 3):
            chain.submit_block(block)
        coinbase = chain.get_block(chain.at_height(1)).transactions[0]
        tx = spend([coinbase.outpoint(0)], [40 * COIN])
        chain.submit_block(make_block(chain.tip, params, [tx], fees=10 * COIN))
        assert chain.find_transaction_block(coinbase.txid) is None
        assert chain.indexes().keys() == {"basic block filter index"}
        chain.flush()
        again = open_chain(params, store, options=BOTH)
        assert again.find_spend(coinbase.outpoint(0)) == (tx.txid, again.tip)
        assert again.find_transaction_block(coinbase.txid) is again.at_height(1)
        assert again.indexes()["txospenderindex"] == again.height
        # One that hears of no blocks for a while has to be made anew.
        other = open_chain(params, store)
        other.submit_block(make_block(other.tip, params))
        other.flush()
        assert store.get_meta("txospenderindex") is None
        last = open_chain(params, store, options=BOTH)
        assert last.find_spend(coinbase.outpoint(0)) == (tx.txid, last.at_height(4))


def test_a_kill_on_the_way_back_to_a_branch_leaves_it_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = small_params()
    with closing(Store(tmp_path / "x", params.genesis.hash)) as store:
        chain = open_chain(params, store, options=BOTH)
        for block in grow(chain.tip, params, 3):
            chain.submit_block(block)
        point = chain.get_block(chain.at_height(1)).transactions[0].outpoint(0)
        tx, parent = spend([point], [40 * COIN]), chain.tip
        first = make_block(parent, params, [tx], fees=10 * COIN)
        chain.submit_block(first)
        chain.submit_block(make_block(chain.tip, params))
        chain.flush()
        left = chain.tip.ancestor(parent.height + 1)
        chain.invalidate(left)
        chain.submit_block(make_block(parent, params, [tx], fees=9 * COIN))  # another block
        assert chain.find_spend(point) == (tx.txid, chain.tip)

        def fail(_node: HeaderNode) -> Block:
            raise KeyboardInterrupt  # as good as a kill

        monkeypatch.setattr(chain, "_checked_block", fail)
        with pytest.raises(KeyboardInterrupt):
            chain.reconsider(left)
        again = open_chain(params, store, options=BOTH)
        assert again.at_height(left.height).hash == first.hash
        assert again.find_spend(point) == (tx.txid, again.at_height(left.height))
        assert again.find_transaction_block(tx.txid) is again.at_height(left.height)
