"""What a user may decide about blocks: invalid, valid after all, preferred."""

from contextlib import closing
from pathlib import Path

import pytest

from misocoin.chain.events import BlockConnected, BlockDisconnected, Event, TipChanged
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.state import ChainOptions
from misocoin.chain.verify import verify_chain
from misocoin.errors import StoreError, ValidationError
from misocoin.store.records import BlockStatus, Changes
from misocoin.store.store import Store
from tests.builders import (
    coins_after,
    grow,
    make_block,
    memory_chain,
    open_chain,
    small_params,
    stored_coins,
)


def test_an_invalidated_block_is_left_and_stays_invalid_after_a_restart(tmp_path: Path) -> None:
    params = small_params()
    with closing(Store(tmp_path / "x", params.genesis.hash)) as store:
        chain = open_chain(params, store)
        for block in grow(chain.tip, params, 5):
            chain.submit_block(block)
        bad, last = chain.at_height(3), chain.tip
        chain.invalidate(bad)
        assert chain.height == 2
        assert chain.best_header is chain.tip
        assert chain.status(last) & BlockStatus.FAILED
        assert chain.status(last) & BlockStatus.REFUSED
        with pytest.raises(ValidationError, match="duplicate-invalid"):
            chain.submit_block(chain.get_block(last))
        chain.flush()
        again = open_chain(params, store)
        assert again.height == 2
        assert again.status(again.find(last.hash)) & BlockStatus.REFUSED
        again.reconsider(again.find(bad.hash))
        assert not again.status(again.tip) & (BlockStatus.FAILED | BlockStatus.REFUSED)
        assert again.tip.hash == last.hash
        assert again.best_header is again.tip


def test_coins_that_stand_on_an_invalidated_block_are_taken_back_after_a_kill(
    tmp_path: Path,
) -> None:
    params, options = small_params(), ChainOptions(addressindex=True)
    with closing(Store(tmp_path / "x", params.genesis.hash)) as store:
        chain = open_chain(params, store, options=options)
        for block in grow(chain.tip, params, 5):
            chain.submit_block(block)
        chain.flush()
        chain.invalidate(chain.at_height(3))
        again = open_chain(params, store, options=options)
        assert again.tip.hash == chain.tip.hash
        again.submit_block(make_block(again.tip, params, tag=b"other"))
        assert again.height == 3
        again.flush()
        verify_chain(again, ScriptChecks(1))


@pytest.mark.parametrize("writes", range(4))
def test_where_the_disk_fails_at_any_write_nothing_is_decided(
    writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three blocks are taken back, then the verdict is written; what was done is undone."""
    params = small_params()
    with memory_chain(params) as chain:
        for block in grow(chain.tip, params, 5):
            chain.submit_block(block)
        tip, bad = chain.tip, chain.at_height(3)
        before, left = stored_coins(chain), [writes]
        seen: list[Event] = []
        chain.events.subscribe(seen.append)
        apply = chain._store.apply

        def refuse_once(changes: Changes) -> None:
            left[0] -= 1
            if left[0] == -1:
                raise StoreError("the disk is full")
            apply(changes)

        with monkeypatch.context() as patch:
            patch.setattr(chain._store, "apply", refuse_once)
            with pytest.raises(StoreError, match="the disk is full"):
                chain.invalidate(bad)
        assert chain.tip is tip
        assert chain.best_header is tip
        assert not chain.status(bad) & BlockStatus.FAILED
        assert stored_coins(chain) == before
        verify_chain(chain, ScriptChecks(1))
        assert [type(event) for event in seen] == [
            *[BlockDisconnected] * writes, *[BlockConnected] * writes,
        ]  # fmt: skip
        chain.invalidate(bad)
        assert chain.height == 2
        left[0] = 0
        with monkeypatch.context() as patch:
            patch.setattr(chain._store, "apply", refuse_once)
            with pytest.raises(StoreError):
                chain.reconsider(bad)
        assert chain.status(bad) & BlockStatus.FAILED
        chain.reconsider(bad)
        assert chain.tip is tip


def test_the_chain_goes_on_to_a_branch_with_less_work() -> None:
    params = small_params()
    with memory_chain(params) as chain:
        seen: list[Event] = []
        for block in grow(chain.tip, params, 3):
            chain.submit_block(block)
        side = grow(chain.at_height(1), params, 1, tag=b"side")
        for block in side:
            chain.submit_block(block)
        old = chain.tip
        chain.events.subscribe(seen.append)
        chain.invalidate(chain.at_height(2))
        assert chain.tip.hash == side[0].hash
        (moved,) = [event for event in seen if isinstance(event, TipChanged)]
        assert (moved.old, moved.new, moved.fork) == (old, chain.tip, chain.at_height(1))
        coins = {}
        for height in range(1, 3):
            coins = coins_after(coins, chain.get_block(chain.at_height(height)), height)
        assert stored_coins(chain) == coins
        chain.reconsider(old)
        assert chain.tip is old


def test_a_block_that_breaks_a_rule_stays_out_when_it_is_reconsidered() -> None:
    params = small_params()
    with memory_chain(params) as chain:
        blocks = grow(chain.tip, params, 2)
        chain.submit_block(blocks[0])
        greedy = make_block(chain.tip.parent, params, fees=1, tag=b"x")  # type: ignore[arg-type]
        chain.submit_block(greedy)
        node = chain.find(greedy.hash)
        with pytest.raises(ValidationError, match="bad-cb-amount"):
            chain.submit_block(make_block(node, params))
        chain.reconsider(node)
        assert chain.tip.hash == blocks[0].hash
        assert chain.status(node) & BlockStatus.FAILED


def test_genesis_cannot_be_invalidated() -> None:
    with memory_chain(small_params()) as chain, pytest.raises(ValidationError, match="genesis"):
        chain.invalidate(chain.tip)


def test_a_preferred_block_wins_among_equals_and_never_over_more_work() -> None:
    params = small_params()
    with memory_chain(params) as chain:
        genesis = chain.tip
        first, second = (make_block(genesis, params, tag=tag) for tag in (b"1", b"2"))
        chain.submit_block(first)
        chain.submit_block(second)
        for block in (second, first, second):
            chain.prefer(chain.find(block.hash))
            assert chain.tip.hash == block.hash
        chain.submit_block(make_block(chain.tip, params))
        tip = chain.tip
        chain.prefer(chain.find(first.hash))
        assert chain.tip is tip
