import pytest

from misocoin.chain.coins import CoinCache
from misocoin.consensus.coins import Coin
from tests.builders import make_outpoint

P1, P2, P3 = (make_outpoint(number) for number in (1, 2, 3))
ONE, TWO, THREE = (Coin(value, bytes([value]), value, False) for value in (1, 2, 3))
TIP = b"t" * 32


class FakeStore:
    """Coins in a dict; counts queries and refuses to overwrite, as the real one does."""

    def __init__(self, coins=None):
        self.coins = dict(coins or {})
        self.tip = None
        self.queries = []

    def get_coins(self, points):
        self.queries.append(tuple(points))
        return {point: self.coins[point] for point in points if point in self.coins}

    def find_coins(self, script):
        return {p: coin for p, coin in self.coins.items() if coin.script_pubkey == script}

    def find_coins_of(self, txid):
        return {point: coin for point, coin in self.coins.items() if point[:32] == txid}

    def flush_coins(self, tip, gone, new):
        for point in gone:
            self.coins.pop(point, None)
        assert not self.coins.keys() & new.keys(), "a coin would be overwritten"
        self.coins.update(new)
        self.tip = tip


def test_a_coin_comes_from_the_store_once():
    store = FakeStore({P1: ONE})
    cache = CoinCache(store)
    assert cache.get(P1) == cache.get(P1) == ONE
    assert store.queries == [(P1,)]
    assert cache.get(P2) is None
    assert not cache.is_dirty
    assert len(cache) == 1


def test_changes_stay_in_memory_until_flushed():
    store = FakeStore({P1: ONE})
    cache = CoinCache(store)
    cache.apply([P1], {P2: TWO})
    assert cache.is_dirty
    assert cache.get_many([P1, P2, P3]) == {P2: TWO}
    assert store.coins == {P1: ONE}
    cache.flush(TIP, keep=10)
    assert store.coins == {P2: TWO}
    assert store.tip == TIP
    assert not cache.is_dirty
    assert cache.get_many([P1, P2]) == {P2: TWO}


def test_removed_coins_are_not_asked_of_the_store():
    store = FakeStore({P1: ONE})
    cache = CoinCache(store)
    cache.apply([P1], {})
    cache.prefetch([P1])
    assert cache.get(P1) is None
    assert cache.get_many([P1]) == {}
    assert store.queries == []


def test_a_coin_that_comes_and_goes_never_reaches_the_store():
    store = FakeStore()
    cache = CoinCache(store)
    cache.apply([], {P1: ONE})
    cache.apply([P1], {})
    assert not cache.is_dirty
    assert cache.get(P1) is None


def test_a_coin_that_goes_and_comes_back():
    store = FakeStore({P1: ONE})
    cache = CoinCache(store)
    cache.apply([P1], {})
    cache.apply([], {P1: ONE})
    assert cache.get(P1) == ONE
    cache.flush(TIP, keep=10)
    assert store.coins == {P1: ONE}
    cache.apply([P1], {})
    cache.apply([], {P1: ONE})
    cache.apply([P1], {})
    cache.flush(TIP, keep=10)
    assert store.coins == {}


def test_one_step_removes_before_it_adds():
    """A block that overwrites a coin (BIP30's exceptions) removes it first."""
    store = FakeStore({P1: ONE})
    cache = CoinCache(store)
    cache.apply([P1], {P1: TWO})
    assert cache.get(P1) == TWO
    cache.flush(TIP, keep=10)
    assert store.coins == {P1: TWO}


def test_prefetching_asks_once_for_what_is_not_known():
    store = FakeStore({P1: ONE, P2: TWO, P3: THREE})
    cache = CoinCache(store)
    cache.apply([P3], {})
    cache.prefetch([P1])
    cache.prefetch([P1, P2, P3])
    cache.prefetch([P2])
    assert store.queries == [(P1,), (P2,)]
    assert cache.get(P2) == TWO
    assert len(store.queries) == 2


@pytest.mark.parametrize(("keep", "kept"), [(2, 2), (1, 0)])
def test_a_flush_keeps_what_fits(keep, kept):
    cache = CoinCache(FakeStore({P1: ONE}))
    cache.get(P1)
    cache.apply([], {P2: TWO})
    cache.flush(TIP, keep)
    assert len(cache) == kept
    assert cache.get_many([P1, P2]) == {P1: ONE, P2: TWO}


def test_a_flush_that_fails_loses_nothing():
    store = FakeStore({P1: ONE})
    cache = CoinCache(store)
    cache.apply([P1], {P2: TWO})
    flush, store.flush_coins = store.flush_coins, None
    with pytest.raises(TypeError):
        cache.flush(TIP, keep=10)
    assert cache.is_dirty
    store.flush_coins = flush
    cache.flush(TIP, keep=10)
    assert store.coins == {P2: TWO}


def test_coins_by_transaction():
    txid = P1[:32]
    one, two, three, four = (make_outpoint(1, index) for index in range(4))
    cache = CoinCache(FakeStore({one: ONE, two: TWO, P2: TWO}))
    cache.apply([one], {three: THREE})
    cache.apply([], {four: ONE, P3: ONE})
    cache.apply([four], {})
    assert cache.find_by_txid(txid) == {two: TWO, three: THREE}
    assert cache.find_by_txid(bytes(32)) == {}


def test_coins_by_script():
    cache = CoinCache(FakeStore({P1: ONE, P2: TWO}))
    cache.apply([P1], {P3: ONE})
    assert cache.find_by_script(ONE.script_pubkey) == {P3: ONE}
    assert cache.find_by_script(TWO.script_pubkey) == {P2: TWO}
    assert cache.find_by_script(b"none") == {}


def test_coins_of_a_transaction_are_found_on_disk_and_in_memory():
    cache = CoinCache(FakeStore())
    one, two, other = make_outpoint(1), make_outpoint(1, 1), make_outpoint(2)
    cache.apply([], {one: ONE, other: TWO})
    assert cache.find_by_txid(one[:32]) == {one: ONE}
    cache.apply([], {two: TWO})
    assert cache.find_by_txid(one[:32]) == {one: ONE, two: TWO}
    cache.apply([one], {})
    assert cache.find_by_txid(one[:32]) == {two: TWO}
    cache.flush(TIP, 0)
    assert cache.find_by_txid(one[:32]) == {two: TWO}
    cache.apply([two], {})
    assert cache.find_by_txid(one[:32]) == {}
