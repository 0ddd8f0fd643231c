"""Selection against the plainest way to say it: look at every package, take the best, repeat."""

from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.template_selection import SelectionLimits, select_transactions
from misocoin.policy.feerate import FeeRate, calculate_fee
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint

Facts = tuple[int, int, int, int, list[int]]
"""Fee, delta, virtual size, sigop cost, numbers that pick parents."""

FACTS = st.tuples(
    st.integers(0, 2_000),
    st.sampled_from([0, 0, 0, 500, -500]),
    st.integers(80, 400),
    st.integers(0, 40),
    st.lists(st.integers(0, 30), max_size=3),
)

LIMITS = SelectionLimits(
    weight=4_000_000,
    sigop_cost=80_000,
    min_feerate=FeeRate(0),
    height=200,
    lock_time_cutoff=0,
    allow_witness=True,
)


def entries_of(facts: Sequence[Facts]) -> list[MempoolEntry]:
    parents: list[set[int]] = []
    families: list[set[int]] = []
    txs: list[Transaction] = []
    for index, (_, _, vsize, _, picks) in enumerate(facts):
        parents.append({pick % index for pick in picks} if index else set())
        families.append({index}.union(*(families[parent] for parent in parents[index])))
        points = [outpoint(txs[parent].txid, index) for parent in sorted(parents[index])]
        inputs = [TxIn(point) for point in points or [outpoint(index.to_bytes(32, "big"), 0)]]
        bare = Transaction.build(2, inputs, [TxOut(0, b"")])
        padding = bytes(max(0, vsize - bare.size))
        txs.append(Transaction.build(2, inputs, [TxOut(0, padding)]))
    return [
        MempoolEntry(
            tx=txs[index],
            fee=fee,
            fee_delta=delta,
            vsize=txs[index].vsize,
            sigop_cost=sigop_cost,
            time=0,
            height=0,
            sequence=index,
            parents=tuple(txs[parent].txid for parent in parents[index]),
            children=tuple(txs[i].txid for i, above in enumerate(parents) if index in above),
            ancestor_count=len(families[index]),
            ancestor_vsize=sum(txs[i].vsize for i in families[index]),
            ancestor_fee=sum(facts[i][0] + facts[i][1] for i in families[index]),
            ancestor_sigop_cost=sum(facts[i][3] for i in families[index]),
            descendant_count=0,
            descendant_vsize=0,
            descendant_fee=0,
        )
        for index, (fee, delta, _, sigop_cost, _) in enumerate(facts)
    ]


def select_plainly(entries: Sequence[MempoolEntry], limits: SelectionLimits) -> list[MempoolEntry]:
    by_id = {entry.txid: entry for entry in entries}
    chosen: list[MempoolEntry] = []
    tried: set[bytes] = set()

    def package(entry: MempoolEntry) -> list[MempoolEntry]:
        found = {entry.txid}
        for parent in entry.parents:
            if by_id[parent] not in chosen:
                found |= {other.txid for other in package(by_id[parent])}
        return [other for other in entries if other.txid in found]

    def score(entry: MempoolEntry) -> tuple[float, bytes]:
        members = package(entry)
        rate = sum(m.modified_fee for m in members) / sum(m.vsize for m in members)
        return -min(rate, entry.modified_fee / entry.vsize), entry.txid

    while True:
        open_entries = [e for e in entries if e.txid not in tried and e not in chosen]
        if not open_entries:
            return chosen
        best = min(open_entries, key=score)
        members = package(best)
        vsize = sum(m.vsize for m in members)
        if sum(m.modified_fee for m in members) < calculate_fee(limits.min_feerate, vsize):
            return chosen
        weight = 4 * vsize + sum(m.tx.weight for m in chosen)
        sigop_cost = sum(m.sigop_cost for m in [*members, *chosen])
        if weight < limits.weight and sigop_cost < limits.sigop_cost:
            chosen += members
        else:
            tried.add(best.txid)


@given(
    st.lists(FACTS, max_size=14),
    st.integers(400, 12_000),
    st.integers(20, 300),
    st.sampled_from([-(10**6), 0, 1_000, 4_000]),
)
@example([(0, 0, 80, 0, []), (0, 0, 80, 0, [0]), (0, 0, 80, 0, [1])], 961, 20, -(10**6))
def test_the_same_choice(
    facts: list[Facts], weight: int, sigop_cost: int, min_feerate: int
) -> None:
    limits = LIMITS._replace(weight=weight, sigop_cost=sigop_cost, min_feerate=FeeRate(min_feerate))
    entries = entries_of(facts)
    chosen = select_transactions(entries, limits)
    assert chosen == select_plainly(entries, limits)


@given(st.lists(FACTS, max_size=25), st.integers(400, 12_000))
def test_never_a_child_before_its_parent_nor_too_much(facts: list[Facts], weight: int) -> None:
    entries = entries_of(facts)
    chosen = select_transactions(entries, LIMITS._replace(weight=weight))
    placed: set[bytes] = set()
    for entry in chosen:
        assert placed.issuperset(entry.parents)
        assert entry.txid not in placed
        placed.add(entry.txid)
    assert sum(entry.tx.weight for entry in chosen) < weight
