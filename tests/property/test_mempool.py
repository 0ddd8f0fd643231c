"""The mempool against brute force, after any sequence of what can happen to it."""

from collections.abc import Iterable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolChange, MempoolEntry
from misocoin.chain.mempool_limits import CARVE_OUT_VSIZE
from misocoin.chain.template import TemplateOptions, build_template
from misocoin.errors import ValidationError
from misocoin.policy.feerate import FeeRate
from misocoin.policy.settings import MempoolLimits, RelayPolicy
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import OutPoint, Transaction
from tests.builders import solve
from tests.fakes.chain import ANYONE_SCRIPT, FakeChain, spend
from tests.fakes.pool import MemoryStore, pool_on

LIMITS = MempoolLimits(
    max_usage=28_000,  # about ten transactions
    expiry=8_000,
    ancestor_count=5,
    ancestor_vsize=900,
    descendant_count=6,
    descendant_vsize=1_200,
)

DIGIT = st.integers(0, 10**6)
"""Picks one of a list whose length is not known to the strategy."""

SEQUENCES = st.sampled_from([0xFFFFFFFF, 0xFFFFFFFD, 0, 1, 5, 1 << 22 | 1, 1 << 22 | 3])
FEES = st.one_of(st.integers(0, 300), st.integers(100, 20_000))


class MempoolMachine(RuleBasedStateMachine):
    """A chain, its mempool, and a model that only sees what the mempool reports."""

    @initialize()
    def start(self) -> None:
        self.chain = FakeChain()
        self.chain.mine(count=103)
        self.chain.mine([spend([point], [10**8] * 4) for point in self.chain.spendable()[:3]])
        self.store = MemoryStore()
        self.pool = self.new_pool()
        self.now = self.chain.now
        self.known: dict[bytes, Transaction] = {}
        self.lost: list[Transaction] = []
        self.returned: set[bytes] = set()  # by blocks that left the chain

    def new_pool(self) -> Mempool:
        return pool_on(self.chain, RelayPolicy(), LIMITS, self.store)

    def follow(self, change: MempoolChange) -> None:
        for removed in change.removed:
            del self.known[removed.tx.txid]
            self.lost.append(removed.tx)
        for entry in change.added:
            assert entry.txid not in self.known
            self.known[entry.txid] = entry.tx

    def outputs(self) -> list[tuple[OutPoint, int]]:
        """All coins anyone could try to spend, spent in the mempool or not."""
        found = [(point, self.chain.coins[point].value) for point in self.chain.spendable()]
        for tx in self.known.values():
            found += [(tx.outpoint(i), out.value) for i, out in enumerate(tx.vout)]
        return found

    def make(
        self, picks: Iterable[int], fee: int, count: int, sequence: int, locktime: int = 0
    ) -> Transaction | None:
        coins = self.outputs()
        chosen = dict(coins[-1 - pick % len(coins)] for pick in picks)
        share = (sum(chosen.values()) - fee) // count
        if share < 1_000:
            return None
        rest = sum(chosen.values()) - fee - share * (count - 1)
        return spend(chosen, [rest, *[share] * (count - 1)], sequence=sequence, locktime=locktime)

    # -- what happens -------------------------------------------------------------------------

    @rule(
        picks=st.lists(DIGIT, min_size=1, max_size=3),
        fee=FEES,
        count=st.integers(1, 3),
        sequence=SEQUENCES,
        ahead=st.sampled_from([0, 0, 0, -1, 1]),
    )
    def offer(self, picks: list[int], fee: int, count: int, sequence: int, ahead: int) -> None:
        locktime = self.chain.tip.height + ahead if ahead else 0
        tx = self.make(picks, fee, count, sequence, locktime)
        if tx is not None:
            self.offer_transaction(tx)

    @rule(steps=st.lists(st.tuples(DIGIT, st.integers(150, 4_000)), min_size=3, max_size=9))
    def grow(self, steps: list[tuple[int, int]]) -> None:
        """Offer several, most of which build on what is there, so that families get large."""
        for pick, fee in steps:
            coins = self.outputs()
            point, value = coins[-1 - pick % len(coins)]
            if value > fee + 5_000:
                count = 1 + pick % 3
                self.offer_transaction(spend([point], [(value - fee) // count] * count))

    @precondition(lambda self: self.lost)
    @rule(pick=DIGIT)
    def offer_again(self, pick: int) -> None:
        self.offer_transaction(self.lost[pick % len(self.lost)])

    def offer_transaction(self, tx: Transaction) -> None:
        before = snapshot(self.pool), dict(self.store.kept)
        try:
            change = self.pool.accept(tx, self.now)
        except ValidationError:
            assert (snapshot(self.pool), self.store.kept) == before
        else:
            self.follow(change)
            assert change.added[-1].tx == tx
            assert tx.txid in self.pool

    @rule(pick=DIGIT, delta=st.integers(-2_000, 5_000))
    def prioritise(self, pick: int, delta: int) -> None:
        txids = [*self.known] or [tx.txid for tx in self.lost]
        if txids:
            self.pool.prioritise(txids[pick % len(txids)], delta)

    @rule(seconds=st.integers(0, 9_000))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.follow(self.pool.expire(self.now))

    @rule(limit=st.integers(8_200, 12_000))
    def mine_template(self, limit: int) -> None:
        template = build_template(
            self.chain.tip,
            self.pool.entries(),
            self.chain.params,
            self.chain.now,
            ANYONE_SCRIPT,
            TemplateOptions(max_weight=limit),
        )
        block = solve(template.block(limit))
        self.chain.connect(block)
        self.chain_changed([], [block])

    @rule(picks=st.lists(DIGIT, min_size=1, max_size=2), keep=DIGIT, fee=FEES)
    def mine_stranger(self, picks: list[int], keep: int, fee: int) -> None:
        """A block with a transaction that we never saw and some of ours."""
        self.chain_changed([], [self.foreign_block(picks, keep, fee)])

    def foreign_block(self, picks: list[int], keep: int, fee: int) -> Block:
        coins = [(point, self.chain.coins[point].value) for point in self.chain.spendable()]
        chosen = dict(coins[-1 - pick % len(coins)] for pick in picks)
        stranger = spend(chosen, [sum(chosen.values()) - fee])
        txs = [] if stranger.txid in self.known else [stranger]
        spent = set(chosen) if txs else set()
        made: set[bytes] = set()
        for index, entry in enumerate(self.pool.entries()):
            points = {txin.prevout for txin in entry.tx.vin}
            ready = all(point in self.chain.coins or point[:32] in made for point in points)
            if keep >> index % 20 & 1 and ready and not points & spent:
                txs.append(entry.tx)
                made.add(entry.txid)
        try:
            return self.chain.mine(txs)[0]
        except ValidationError:  # amid a reorganisation, what we hold may not be ripe
            return self.chain.mine(txs[:1])[0] if txs[:1] == [stranger] else self.chain.mine()[0]

    @rule(depth=st.integers(1, 3), rival=st.booleans(), longer=st.integers(0, 2), digit=DIGIT)
    def reorganise(self, depth: int, rival: bool, longer: int, digit: int) -> None:
        depth = min(depth, self.chain.tip.height - 101)
        gone = [self.chain.disconnect() for _ in range(depth)][::-1]
        come = []
        if rival:
            come = self.chain.mine(time=self.chain.now + digit % 7 + 1)
            if self.chain.spendable():
                come.append(self.foreign_block([digit, digit // 3], digit, digit % 500))
            come += self.chain.mine(count=longer) if longer else []
        self.chain_changed(gone, come)

    def chain_changed(self, gone: list[Block], come: list[Block]) -> None:
        self.now = max(self.now, self.chain.now)
        change = self.pool.chain_changed(gone, come, self.now)
        self.follow(change)
        self.returned.update(entry.txid for entry in change.added)

    @rule()
    def restart(self) -> None:
        before = {entry.txid: entry[:6] for entry in self.pool.entries()}
        carved = any(
            entry.descendant_count > LIMITS.descendant_count
            or entry.descendant_vsize > LIMITS.descendant_vsize
            for entry in self.pool.entries()
        )
        self.pool = self.new_pool()
        self.pool.load(self.now)
        after = {entry.txid: entry[:6] for entry in self.pool.entries()}
        # In another order of arrival, a carve-out may find no place any more.
        assert after == before or carved
        assert set(after.items()) <= set(before.items())
        self.known = {txid: tx for txid, tx in self.known.items() if txid in after}

    # -- what always holds --------------------------------------------------------------------

    @invariant()
    def the_reports_were_complete(self) -> None:
        assert set(self.pool.txids()) == set(self.known)
        kept = {record.txid: record for record in self.store.kept.values()}
        assert set(kept) == set(self.known)
        for entry in self.pool.entries():
            assert kept[entry.txid] == (
                entry.txid,
                entry.tx.serialize(),
                entry.time,
                entry.fee_delta,
            )

    @invariant()
    def sums_are_those_of_brute_force(self) -> None:
        entries = {entry.txid: entry for entry in self.pool.entries()}
        links = {
            txid: {txin.prevout[:32] for txin in entry.tx.vin} & set(entries)
            for txid, entry in entries.items()
        }
        above = {txid: closure(txid, links) for txid in entries}
        for txid, entry in entries.items():
            up = [entries[other] for other in above[txid]]
            down = [entries[other] for other in entries if txid in above[other]]
            assert set(entry.parents) == links[txid]
            assert set(entry.children) == {other for other in links if txid in links[other]}
            assert entry.ancestor_count == len(up)
            assert entry.ancestor_vsize == sum(other.vsize for other in up)
            assert entry.ancestor_fee == sum(other.modified_fee for other in up)
            assert entry.ancestor_sigop_cost == sum(other.sigop_cost for other in up)
            assert entry.descendant_count == len(down)
            assert entry.descendant_vsize == sum(other.vsize for other in down)
            assert entry.descendant_fee == sum(other.modified_fee for other in down)
            assert set(self.pool.ancestors(txid)) == set(up) - {entry}
            assert set(self.pool.descendants(txid)) == set(down) - {entry}
        info = self.pool.info(self.now)
        assert info.transactions == len(entries)
        assert info.vsize == sum(entry.vsize for entry in entries.values())
        assert info.total_fee == sum(entry.fee for entry in entries.values())

    @invariant()
    def limits_hold(self) -> None:
        for entry in self.pool.entries():
            assert entry.ancestor_count <= LIMITS.ancestor_count
            assert entry.ancestor_vsize <= LIMITS.ancestor_vsize
            if entry.txid not in self.returned:  # to those, all kin that waits may stay
                assert entry.descendant_count <= LIMITS.descendant_count + 1
                assert entry.descendant_vsize <= LIMITS.descendant_vsize + CARVE_OUT_VSIZE
            assert entry.time >= self.now - LIMITS.expiry
        assert self.pool.info(self.now).usage <= LIMITS.max_usage

    @invariant()
    def each_coin_is_there_and_spent_once(self) -> None:
        spent: set[OutPoint] = set()
        made: set[OutPoint] = set()
        for entry in self.pool.entries():  # parents first
            for txin in entry.tx.vin:
                assert txin.prevout not in spent
                assert txin.prevout in made or txin.prevout in self.chain.coins
                spender = self.pool.spender(txin.prevout)
                assert spender == entry
                assert self.pool.get_coin(txin.prevout) is None
                spent.add(txin.prevout)
            made.update(entry.tx.outpoint(i) for i in range(len(entry.tx.vout)))
        for point in made - spent:
            assert self.pool.get_coin(point) is not None

    @invariant()
    def eviction_and_expiry_know_who_is_next(self) -> None:
        graph = self.pool._graph
        worst, oldest = graph.worst(), graph.oldest()
        entries = self.pool.entries()
        if not entries:
            assert worst is None
            assert oldest is None
            return
        assert worst is not None
        assert oldest is not None
        assert worst.entry() == min(entries, key=lambda e: (eviction_score(e), -e.sequence))
        assert oldest.entry() == min(entries, key=lambda e: (e.time, e.sequence))

    @invariant()
    def all_of_it_fits_into_a_valid_block(self) -> None:
        entries = self.pool.entries()
        template = build_template(
            self.chain.tip,
            entries,
            self.chain.params,
            self.chain.now,
            ANYONE_SCRIPT,
            TemplateOptions(min_feerate=FeeRate(-(10**9))),
        )
        block = template.block(len(entries))
        assert {tx.txid for tx in block.transactions[1:]} == set(self.known)
        assert block.weight == template.weight
        self.chain.connect(solve(block))
        self.chain.disconnect()


def closure(txid: bytes, links: dict[bytes, set[bytes]]) -> set[bytes]:
    return {txid}.union(*(closure(other, links) for other in links[txid]))


def eviction_score(entry: MempoolEntry) -> float:
    return max(entry.modified_fee / entry.vsize, entry.descendant_fee / entry.descendant_vsize)


def snapshot(pool: Mempool) -> dict[bytes, tuple[object, ...]]:
    """The entries but for their order and sequence."""
    return {
        entry.txid: (*entry[:7], frozenset(entry.parents), frozenset(entry.children), *entry[10:])
        for entry in pool.entries()
    }


MempoolMachine.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestMempool = MempoolMachine.TestCase
