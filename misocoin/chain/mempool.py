"""The transactions that wait for a block.

Called under the chain's lock; reads the chain through a port and is handed the time. Every call
that changes something returns what it has changed, after that is on disk. A refused transaction
changes nothing, but perhaps the rolling fee minimum.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from misocoin.chain.mempool_entry import (
    MempoolChange,
    MempoolEntry,
    MempoolInfo,
    RemovalReason,
)
from misocoin.chain.mempool_graph import Node, ancestors_of
from misocoin.chain.mempool_ports import ChainView, MempoolStore
from misocoin.chain.mempool_rules import (
    Candidate,
    MempoolRules,
    Terms,
    check_candidate,
    check_max_feerate,
    is_still_final,
)
from misocoin.chain.mempool_view import MempoolView
from misocoin.chain.mempool_work import (
    MempoolWork,
    parents_first,
    stored_from_node,
)
from misocoin.chain.package_rules import Newcomers, check_newcomers
from misocoin.chain.replacement import Eviction
from misocoin.errors import (
    ParseError,
    RejectCode,
    StoreError,
    UnderpaidError,
    ValidationError,
)
from misocoin.policy.feerate import FeeRate, feerate_from_fee
from misocoin.policy.rolling_fee import (
    RollingFee,
    calculate_min_feerate,
    decay_rolling_fee,
    raise_rolling_fee,
    start_decay,
)
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction, transaction_from_bytes

log = logging.getLogger(__name__)


class Mempool(MempoolView):
    """The mempool of one chain. Not thread-safe: the chain's lock covers it.

    Without a `store` nothing is kept across restarts.
    """

    def __init__(
        self, chain: ChainView, rules: MempoolRules, store: MempoolStore | None = None
    ) -> None:
        super().__init__(chain)
        self.rules = rules
        self._store = store
        self._fee_deltas: dict[bytes, int] = {}
        self._rolling_fee = RollingFee()
        self._changes = 0
        self._unsaved = MempoolWork()  # what the disk would not take
        self._next_sequence = 1

    # -- reading ------------------------------------------------------------------------------

    @property
    def sequence(self) -> int:
        """Rises with every change; equal numbers mean equal contents."""
        return self._changes

    @property
    def next_sequence(self) -> int:
        """The number of the next transaction to come in or go out (Core's `mempool_sequence`)."""
        return self._next_sequence

    def fee_delta(self, txid: bytes) -> int:
        """What `prioritise` has added for that id, in base units."""
        return self._fee_deltas.get(txid, 0)

    def fee_deltas(self) -> dict[bytes, int]:
        """All fee deltas but zeros, by txid; also of transactions that are not here."""
        return dict(self._fee_deltas)

    def min_feerate(self, now: int) -> FeeRate:
        """What a newcomer must pay: the relay minimum or the rolling one."""
        return max(self._rolling_minimum(now), self.rules.policy.min_relay_feerate)

    def info(self, now: int) -> MempoolInfo:
        """The mempool at a glance."""
        policy, graph = self.rules.policy, self._graph
        return MempoolInfo(
            len(graph),
            graph.vsize,
            graph.usage,
            self.rules.limits.max_usage,
            graph.total_fee,
            self.min_feerate(now),
            policy.min_relay_feerate,
            policy.incremental_feerate,
            self._changes,
        )

    # -- one transaction ----------------------------------------------------------------------

    def accept(
        self, tx: Transaction, now: int, max_feerate: FeeRate | None = None
    ) -> MempoolChange:
        """Take a transaction in, with what it replaces and what it evicts going out.

        The last of `added` is its entry. Raises ValidationError with Core's reject string
        (`max-fee-exceeded` where it pays more than `max_feerate`), MissingInputsError where
        inputs are unknown or spent, or StoreError; then it is not here, and all others are.
        """
        candidate = self._check(tx, now)
        check_max_feerate(candidate.node, max_feerate)
        return self._enter([candidate], candidate.eviction, now)

    def accept_of_package(
        self, tx: Transaction, now: int, max_feerate: FeeRate | None = None
    ) -> MempoolChange:
        """Take a transaction of a package in, if it may enter without the others.

        Raises as `accept` does, but `max feerate exceeded` is about the modified rate, and the
        chain limits are the same for all.
        """
        candidate = self._check(tx, now, max_feerate=max_feerate, has_carve_outs=False)
        return self._enter([candidate], candidate.eviction, now)

    def accept_together(
        self, txs: Sequence[Transaction], now: int, max_feerate: FeeRate | None = None
    ) -> MempoolChange:
        """Take all of these in, parents first, if their common fee rate meets the minimum.

        Raises PackageError or StoreError; then none of them is here.
        """
        terms = Terms(
            self._rolling_minimum(now), max_feerate, in_package=True, by_common_feerate=True
        )
        newcomers = self._check_together(txs, now, terms)
        return self._enter(newcomers.candidates, newcomers.eviction, now)

    def check_together(self, txs: Sequence[Transaction], now: int) -> list[MempoolEntry]:
        """What these would be, parents first, each with a fee rate of its own.

        Raises PackageError. Several of them must not replace anything.
        """
        terms = Terms(self._rolling_minimum(now), in_package=True, may_replace=False)
        newcomers = self._check_together(txs, now, terms)
        return [candidate.node.entry() for candidate in newcomers.candidates]

    def _check_together(self, txs: Sequence[Transaction], now: int, terms: Terms) -> Newcomers:
        return check_newcomers(
            txs,
            self._graph,
            self._chain,
            self.rules,
            terms,
            time=now,
            fee_deltas=self._fee_deltas,
        )

    def _enter(
        self, candidates: Sequence[Candidate], eviction: Eviction, now: int
    ) -> MempoolChange:
        with self._all_or_nothing() as work:
            self._remove(eviction.nodes, RemovalReason.REPLACED, work)
            for each in candidates:
                self._insert(each.node, ancestors_of(self._graph.parents_of(each.node.tx)), work)
            self._make_room(now, work, [each.node for each in candidates])
            return self._commit(work)

    def check(self, tx: Transaction, now: int) -> MempoolEntry:
        """What `accept` would take in, without doing it; raises as `accept` does."""
        candidate = self._check(tx, now)
        node = candidate.node
        node.parents = self._graph.parents_of(tx)
        above = candidate.ancestors
        node.ancestor_count = 1 + len(above)
        node.ancestor_vsize += sum([other.vsize for other in above])
        node.ancestor_fee += sum([other.modified_fee for other in above])
        node.ancestor_sigop_cost += sum([other.sigop_cost for other in above])
        return node.entry()

    def prioritise(self, txid: bytes, delta: int) -> None:
        """Add `delta` base units to what a transaction counts as paying, here or to come.

        Raises StoreError; then nothing has changed.
        """
        total = self._fee_deltas.get(txid, 0) + delta
        node = self._graph.nodes.get(txid)
        if node is not None:
            if self._store is not None:
                self._store.save_mempool([stored_from_node(node)._replace(fee_delta=total)], [])
            self._graph.set_fee_delta(node, total)
            self._changes += 1
        if total:
            self._fee_deltas[txid] = total
        else:
            self._fee_deltas.pop(txid, None)

    def expire(self, now: int) -> MempoolChange:
        """Remove what has waited too long; raises StoreError, and then it is still here."""
        with self._all_or_nothing() as work:
            self._expire(now, work)
            return self._commit(work)

    # -- the chain moves ----------------------------------------------------------------------

    def chain_changed(
        self, disconnected: Sequence[Block], connected: Sequence[Block], now: int
    ) -> MempoolChange:
        """Follow the chain: blocks that left it and blocks that joined it, both lowest first.

        To be called once the chain stands at its new tip. What the connected blocks hold or
        contradict goes out; what only the disconnected ones held comes back in, if the rules
        (but for the fee minimums) still let it.
        """
        work = MempoolWork()
        self._confirm(connected, work)
        if disconnected:
            self._take_back(disconnected, connected, now, work)
            self._drop_unfinal(work)
        self._expire(now, work)
        self._trim(work)
        if connected:
            self._rolling_fee = start_decay(self._rolling_fee, now)
        return self._commit(work, must_save=False)  # the chain has moved, whatever the disk says

    def _confirm(self, blocks: Sequence[Block], work: MempoolWork) -> None:
        graph = self._graph
        nodes, spenders = graph.nodes, graph.spenders
        for block in blocks:
            known = []
            conflicts = set()
            for tx in block.transactions:
                self._fee_deltas.pop(tx.txid, None)
                node = nodes.get(tx.txid)
                if node is not None:
                    known.append(node)
                    continue
                for txin in tx.vin:
                    spender = spenders.get(txin.prevout)
                    if spender is not None:
                        conflicts.add(spender)
            graph.remove_confirmed(known)
            work.remove(known, RemovalReason.BLOCK)
            if conflicts:
                self._remove(conflicts, RemovalReason.CONFLICT, work)

    def _take_back(
        self,
        disconnected: Sequence[Block],
        connected: Sequence[Block],
        now: int,
        work: MempoolWork,
    ) -> None:
        # What builds on a block that left is taken out first, so that all goes in again with
        # parents before children and its ancestors are the true ones.
        graph = self._graph
        confirmed = {tx.txid for block in connected for tx in block.transactions}
        returning = []
        above: set[Node] = set()
        for block in disconnected:
            for tx in block.transactions:
                above |= graph.children_of(tx)
                if not tx.is_coinbase and tx.txid not in confirmed:
                    returning.append(tx)
        staged = graph.remove_with_descendants(above)
        for tx in returning:
            candidate = self._recheck(tx, now)
            if candidate is not None:
                self._remove(candidate.eviction.nodes, RemovalReason.CONFLICT, work)
                self._insert(candidate.node, candidate.ancestors, work)
        for node in staged:
            candidate = self._recheck(node.tx, node.time, limits_descendants=False)
            if candidate is None:
                work.remove([node], RemovalReason.REORG)
            else:
                candidate.node.height = node.height
                self._remove(candidate.eviction.nodes, RemovalReason.CONFLICT, work)
                graph.add(candidate.node, candidate.ancestors)

    def _drop_unfinal(self, work: MempoolWork) -> None:
        graph, chain, params = self._graph, self._chain, self.rules.params
        lapsed = [node for node in graph if not is_still_final(node, graph, chain, params)]
        self._remove(lapsed, RemovalReason.REORG, work)

    # -- start --------------------------------------------------------------------------------

    def load(self, now: int) -> MempoolChange:
        """Take in what the store has kept, with the times of its arrival.

        What is damaged, expired or no longer valid is left out and forgotten.
        """
        if self._store is None:
            return MempoolChange()
        work = MempoolWork()
        kept = {}
        records = self._store.load_mempool()
        for record in records:
            try:
                tx = transaction_from_bytes(record.data)
            except ParseError:
                continue
            if record.fee_delta:
                self._fee_deltas[tx.txid] = record.fee_delta
            kept[tx.txid] = (tx, record.time)
        for tx, time in parents_first(kept):
            candidate = self._recheck(tx, time)
            if candidate is not None and not candidate.eviction.nodes:
                self._insert(candidate.node, candidate.ancestors, work)
        self._expire(now, work)
        self._trim(work)
        lost = [record.txid for record in records if record.txid not in work.added]
        if lost:
            self._store.save_mempool([], lost)
        self._changes += 1
        return self._numbered(work)

    # -- parts --------------------------------------------------------------------------------

    def _check(
        self,
        tx: Transaction,
        now: int,
        *,
        max_feerate: FeeRate | None = None,
        has_carve_outs: bool = True,
    ) -> Candidate:
        terms = Terms(self._rolling_minimum(now), max_feerate, has_carve_outs=has_carve_outs)
        return self._check_on(terms, tx, now)

    def _recheck(
        self, tx: Transaction, time: int, *, limits_descendants: bool = True
    ) -> Candidate | None:
        terms = Terms(None, limits_descendants=limits_descendants)
        try:
            return self._check_on(terms, tx, time)
        except ValidationError:
            return None

    def _check_on(self, terms: Terms, tx: Transaction, time: int) -> Candidate:
        return check_candidate(
            tx,
            self._graph,
            self._chain,
            self.rules,
            terms,
            time=time,
            fee_delta=self._fee_deltas.get(tx.txid, 0),
        )

    def _rolling_minimum(self, now: int) -> FeeRate:
        incremental = self.rules.policy.incremental_feerate
        self._rolling_fee = decay_rolling_fee(
            self._rolling_fee,
            now,
            self._graph.usage,
            self.rules.limits.max_usage,
            incremental,
        )
        return calculate_min_feerate(self._rolling_fee, incremental)

    def _insert(self, node: Node, ancestors: Collection[Node], work: MempoolWork) -> None:
        self._graph.add(node, ancestors)
        work.added[node.txid] = node

    def _remove(self, nodes: Iterable[Node], reason: RemovalReason, work: MempoolWork) -> None:
        work.remove(self._graph.remove_with_descendants(nodes), reason)

    def _make_room(self, now: int, work: MempoolWork, newcomers: Iterable[Node]) -> None:
        """Expire and trim; raises ValidationError where a newcomer is among those that go."""
        self._expire(now, work)
        self._trim(work)
        if any(node.txid not in work.added for node in newcomers):
            raise UnderpaidError("mempool full", "", RejectCode.INSUFFICIENT_FEE)

    def _expire(self, now: int, work: MempoolWork) -> None:
        limit = now - self.rules.limits.expiry
        while (node := self._graph.oldest()) is not None and node.time < limit:
            self._remove([node], RemovalReason.EXPIRY, work)

    def _trim(self, work: MempoolWork) -> None:
        incremental = self.rules.policy.incremental_feerate
        limit = self.rules.limits.max_usage
        while self._graph.usage > limit and (node := self._graph.worst()) is not None:
            rate = feerate_from_fee(node.descendant_fee, node.descendant_vsize)
            self._rolling_fee = raise_rolling_fee(self._rolling_fee, rate + incremental)
            self._remove([node], RemovalReason.SIZELIMIT, work)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[MempoolWork]:
        """Note what is done to the graph, and undo it where the rules or the disk refuse it."""
        work, graph = MempoolWork(), self._graph
        try:
            yield work
        except (ValidationError, StoreError):
            graph.remove_with_descendants(work.added.values())
            for node in sorted(work.removed, key=lambda node: node.sequence):
                graph.add(node, ancestors_of(graph.parents_of(node.tx)))
            raise

    def _commit(self, work: MempoolWork, *, must_save: bool = True) -> MempoolChange:
        if not work.added and not work.removed:
            return MempoolChange()
        if self._store is not None:
            self._save(self._store, work, must_save=must_save)
        self._changes += 1
        return self._numbered(work)

    def _save(self, store: MempoolStore, work: MempoolWork, *, must_save: bool) -> None:
        """Write what has changed, and what could not be written before."""
        removed = {**self._unsaved.removed, **work.removed}
        nodes = {**self._unsaved.added, **work.added}
        added = {txid: node for txid, node in nodes.items() if txid in self._graph.nodes}
        try:
            store.save_mempool(
                [stored_from_node(node) for node in added.values()],
                [node.txid for node in removed],
            )
        except StoreError as error:
            if must_save:
                raise
            log.error("%s; the mempool will be written with its next change", error)  # noqa: TRY400
            self._unsaved.added, self._unsaved.removed = added, removed
        else:
            self._unsaved = MempoolWork()

    def _numbered(self, work: MempoolWork) -> MempoolChange:
        change = work.change()
        first = self._next_sequence
        self._next_sequence += len(change.removed) + len(change.added)
        return change._replace(first_sequence=first) if self._next_sequence > first else change
