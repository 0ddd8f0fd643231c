"""Which transactions get into a block when not all fit."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.template_selection import SelectionLimits, select_transactions
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint

LIMITS = SelectionLimits(
    weight=4_000_000,
    sigop_cost=80_000,
    min_feerate=FeeRate(0),
    height=200,
    lock_time_cutoff=1_700_000_000,
    allow_witness=True,
)


@dataclass
class Wish:
    """A transaction as a test wants it to be."""

    name: str
    fee: int
    vsize: int = 100
    parents: tuple[str, ...] = ()
    sigop_cost: int = 0
    delta: int = 0
    locktime: int = 0


class Pool:
    """Entries with all sums made by hand, parents before children."""

    def __init__(self, *wishes: Wish) -> None:
        self.txs: dict[str, Transaction] = {}
        self.wishes = {wish.name: wish for wish in wishes}
        for index, wish in enumerate(wishes):
            points = [outpoint(self.txs[name].txid, index) for name in wish.parents]
            points = points or [outpoint(index.to_bytes(32, "big"), 0)]
            inputs = [TxIn(point, sequence=0) for point in points]
            bare = Transaction.build(2, inputs, [TxOut(index, b"")], wish.locktime)
            padding = bytes(wish.vsize - bare.size)
            self.txs[wish.name] = Transaction.build(
                2, inputs, [TxOut(index, padding)], wish.locktime
            )
            if len(padding) < 253:
                assert self.txs[wish.name].weight == 4 * wish.vsize
        self.names = {tx.txid: name for name, tx in self.txs.items()}

    def family(self, name: str) -> set[str]:
        return {name}.union(*map(self.family, self.wishes[name].parents))

    def entries(self) -> list[MempoolEntry]:
        return [self.entry(name) for name in self.wishes]

    def entry(self, name: str) -> MempoolEntry:
        wish = self.wishes[name]
        above = [self.wishes[other] for other in self.family(name)]
        children = [other.name for other in self.wishes.values() if name in other.parents]
        return MempoolEntry(
            tx=self.txs[name],
            fee=wish.fee,
            fee_delta=wish.delta,
            vsize=wish.vsize,
            sigop_cost=wish.sigop_cost,
            time=0,
            height=0,
            sequence=0,
            parents=tuple(self.txs[other].txid for other in wish.parents),
            children=tuple(self.txs[other].txid for other in children),
            ancestor_count=len(above),
            ancestor_vsize=sum(other.vsize for other in above),
            ancestor_fee=sum(other.fee + other.delta for other in above),
            ancestor_sigop_cost=sum(other.sigop_cost for other in above),
            descendant_count=0,
            descendant_vsize=0,
            descendant_fee=0,
        )

    def chosen(self, limits: SelectionLimits = LIMITS) -> str:
        return self.spelled(select_transactions(self.entries(), limits))

    def spelled(self, entries: Iterable[MempoolEntry]) -> str:
        return "".join(self.names[entry.tx.txid] for entry in entries)


def test_by_fee_rate() -> None:
    pool = Pool(Wish("a", 100), Wish("b", 300), Wish("c", 900, 300), Wish("d", 200))
    assert pool.chosen() in ("bcda", "cbda")


def test_a_child_pays_for_its_parent() -> None:
    pool = Pool(Wish("a", 0), Wish("b", 1_000, parents=("a",)), Wish("c", 400))
    assert pool.chosen() == "abc"
    pool = Pool(Wish("a", 0), Wish("b", 1_000, parents=("a",)), Wish("c", 600))
    assert pool.chosen() == "cab"


def test_a_parent_does_not_pay_for_its_child() -> None:
    pool = Pool(Wish("a", 1_000), Wish("b", 100, parents=("a",)), Wish("c", 500))
    assert pool.chosen() == "acb"


def test_what_is_left_of_a_package_is_ranked_anew() -> None:
    # With its poor parent gone into the block by b, d stands for itself and comes before c.
    pool = Pool(
        Wish("a", 0),
        Wish("b", 2_000, parents=("a",)),
        Wish("c", 450),
        Wish("d", 800, parents=("a",)),
    )
    assert pool.chosen() == "abdc"


def test_a_deep_family() -> None:
    pool = Pool(
        Wish("a", 10),
        Wish("b", 10, parents=("a",)),
        Wish("c", 10, parents=("a",)),
        Wish("d", 4_000, 110, parents=("b", "c")),
        Wish("e", 500),
    )
    assert pool.chosen() == "abcde"


def test_weight() -> None:
    pool = Pool(Wish("a", 500), Wish("b", 400), Wish("c", 30, 70))
    for weight, chosen in (
        (1_081, "abc"),
        (1_080, "ab"),
        (801, "ab"),
        (800, "ac"),
        (681, "ac"),
        (680, "a"),
        (400, "c"),
        (280, ""),
    ):
        assert pool.chosen(LIMITS._replace(weight=weight)) == chosen


def test_what_did_not_fit_is_tried_again_once_its_parent_is_in() -> None:
    pool = Pool(Wish("a", 1_500), Wish("b", 3_000, parents=("a",)))
    parent, child = pool.entries()
    # Signature operations make it count as 150 virtual bytes, but take no room in the block.
    entries = [
        parent._replace(vsize=150, ancestor_vsize=150),
        child._replace(ancestor_vsize=250),
    ]
    limits = LIMITS._replace(weight=801)
    assert pool.spelled(select_transactions(entries, limits)) == "ab"
    assert pool.spelled(select_transactions(entries, limits._replace(weight=800))) == "a"


def test_sigops() -> None:
    pool = Pool(Wish("a", 500, sigop_cost=60), Wish("b", 400, sigop_cost=60), Wish("c", 1))
    assert pool.chosen(LIMITS._replace(sigop_cost=120)) == "ac"
    assert pool.chosen(LIMITS._replace(sigop_cost=121)) == "abc"


def test_a_package_that_does_not_fit_leaves_its_parents_a_chance() -> None:
    pool = Pool(Wish("a", 100), Wish("b", 5_000, 500, parents=("a",)), Wish("c", 50))
    assert pool.chosen(LIMITS._replace(weight=4 * 300)) == "ac"


def test_the_minimum() -> None:
    pool = Pool(Wish("a", 99), Wish("b", 100), Wish("c", 0), Wish("d", 300, parents=("c",)))
    assert pool.chosen(LIMITS._replace(min_feerate=FeeRate(1_000))) == "cdb"


@pytest.mark.parametrize(("delta", "chosen"), [(0, "ba"), (150, "ab"), (-10_000, "b")])
def test_deltas_count(delta: int, chosen: str) -> None:
    assert Pool(Wish("a", 100, delta=delta), Wish("b", 200)).chosen() == chosen


def test_what_is_not_final_stays_out_with_what_builds_on_it() -> None:
    pool = Pool(Wish("a", 100, locktime=200), Wish("b", 900, parents=("a",)), Wish("c", 50))
    assert pool.chosen() == "c"
    assert pool.chosen(LIMITS._replace(height=201)) == "abc"


def test_a_full_block_is_not_searched_to_the_end() -> None:
    # A thousand packages that do not fit, then one that would.
    wishes = [Wish("x", 10**6, 1_000), *(Wish(f"{i},", 10**6, 1_000) for i in range(1_100))]
    pool = Pool(*wishes, Wish("y", 1, 70))
    assert pool.chosen(LIMITS._replace(weight=4_320)).count("y") == 0
    few = Pool(*wishes[:900], Wish("y", 1, 70))
    assert few.chosen(LIMITS._replace(weight=4_320)).count("y") == 1


def test_nothing() -> None:
    assert select_transactions([], LIMITS) == []
