"""Which transactions of the mempool a block holds: the best-paying packages that fit.

A package is a transaction with those of its ancestors that are not chosen yet. Packages are taken
by their fee rate, a transaction never before its ancestors. Source: Core's `BlockAssembler` up to
version 30.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol

from misocoin.consensus.tx_rules import WITNESS_SCALE_FACTOR, is_final
from misocoin.policy.feerate import FeeRate, calculate_fee
from misocoin.primitives.transaction import Transaction

MAX_CONSECUTIVE_FAILURES = 1_000
"""Packages that did not fit, one after the other, before the search gives up on a full block."""

FULL_ENOUGH = 4_000
"""Weight units below the limit from which a block counts as full."""


class TemplateEntry(Protocol):
    """What selection asks of a transaction in the mempool: `mempool_entry.MempoolEntry`.

    Entries come as a snapshot in which each has all its parents before it.
    """

    @property
    def tx(self) -> Transaction:
        """The transaction."""

    @property
    def fee(self) -> int:
        """What it really pays, base units."""

    @property
    def modified_fee(self) -> int:
        """What it counts as paying, base units."""

    @property
    def vsize(self) -> int:
        """Virtual bytes, at least a quarter of the weight."""

    @property
    def sigop_cost(self) -> int:
        """Signature operations (BIP141)."""

    @property
    def parents(self) -> tuple[bytes, ...]:
        """Ids of the entries whose outputs it spends."""

    @property
    def children(self) -> tuple[bytes, ...]:
        """Ids of the entries that spend its outputs."""

    @property
    def ancestor_vsize(self) -> int:
        """Virtual bytes of it and all its ancestors."""

    @property
    def ancestor_fee(self) -> int:
        """What they all count as paying."""

    @property
    def ancestor_sigop_cost(self) -> int:
        """Signature operations of them all."""


class SelectionLimits(NamedTuple):
    """What a selection must keep to."""

    weight: int
    """Weight units of all transactions together stay below this."""
    sigop_cost: int
    """Signature operations of all together stay below this."""
    min_feerate: FeeRate
    """A package that pays less is left out."""
    height: int
    """Of the block."""
    lock_time_cutoff: int
    """Lock times must lie before this (BIP113)."""
    allow_witness: bool
    """Whether segwit is in force."""


class _Package:
    """The totals of an entry and its ancestors that are not chosen yet."""

    __slots__ = ("fee", "sigop_cost", "vsize")

    def __init__(self, entry: TemplateEntry) -> None:
        self.vsize = entry.ancestor_vsize
        self.fee = entry.ancestor_fee
        self.sigop_cost = entry.ancestor_sigop_cost


def _score(entry: TemplateEntry, vsize: int, fee: int) -> float:
    # The lower of both rates: a parent that pays well must not lift a child that does not.
    return min(fee / vsize, entry.modified_fee / entry.vsize)


def select_transactions(
    entries: Sequence[TemplateEntry], limits: SelectionLimits
) -> list[TemplateEntry]:
    """The entries of a block, parents before children."""
    return _Selection(entries, limits).run()


class _Selection:
    def __init__(self, entries: Sequence[TemplateEntry], limits: SelectionLimits) -> None:
        self._entries = {entry.tx.txid: entry for entry in entries}
        self._order = {entry.tx.txid: place for place, entry in enumerate(entries)}
        self._limits = limits
        self._changed: dict[bytes, _Package] = {}
        self._heap = [
            (-_score(entry, entry.ancestor_vsize, entry.ancestor_fee), entry.tx.txid)
            for entry in entries
        ]
        heapify(self._heap)
        self._done: set[bytes] = set()  # chosen, or not to be
        self._chosen: list[TemplateEntry] = []
        self._chosen_ids: set[bytes] = set()
        self._weight = 0
        self._sigop_cost = 0

    def run(self) -> list[TemplateEntry]:
        limits = self._limits
        failures = 0
        while self._heap:
            negative_score, txid = heappop(self._heap)
            if txid in self._done:
                continue
            entry = self._entries[txid]
            package = self._changed.get(txid) or _Package(entry)
            if negative_score != -_score(entry, package.vsize, package.fee):
                continue  # an outdated place; the right one is in the heap, too
            if package.fee < calculate_fee(limits.min_feerate, package.vsize):
                break
            if not self._has_room(package):
                # It may fit yet, once some of its ancestors are chosen without it.
                failures += 1
                if (
                    failures > MAX_CONSECUTIVE_FAILURES
                    and self._weight > limits.weight - FULL_ENOUGH
                ):
                    break
                continue
            self._done.add(txid)
            members = self._members(entry)
            if all(self._may_stand(member) for member in members):
                failures = 0
                self._choose(members)
        return self._chosen

    def _has_room(self, package: _Package) -> bool:
        weight = self._weight + WITNESS_SCALE_FACTOR * package.vsize
        sigop_cost = self._sigop_cost + package.sigop_cost
        return weight < self._limits.weight and sigop_cost < self._limits.sigop_cost

    def _may_stand(self, entry: TemplateEntry) -> bool:
        limits, tx = self._limits, entry.tx
        return is_final(tx, limits.height, limits.lock_time_cutoff) and (
            limits.allow_witness or not tx.has_witness
        )

    def _members(self, entry: TemplateEntry) -> list[TemplateEntry]:
        """The entry and its ancestors that are not chosen yet, parents first."""
        found = {entry.tx.txid}
        todo = [entry]
        while todo:
            for txid in todo.pop().parents:
                if txid not in found and txid not in self._chosen_ids:
                    found.add(txid)
                    todo.append(self._entries[txid])
        return [self._entries[txid] for txid in sorted(found, key=self._order.__getitem__)]

    def _descendants(self, entry: TemplateEntry) -> set[bytes]:
        """Ids of the entries that build on this one and are not chosen."""
        found: set[bytes] = set()
        todo = [entry]
        while todo:
            # On through chosen ones: what builds on them builds on this one, too.
            for txid in todo.pop().children:
                if txid not in found:
                    found.add(txid)
                    todo.append(self._entries[txid])
        return found - self._chosen_ids

    def _choose(self, members: list[TemplateEntry]) -> None:
        for entry in members:
            txid = entry.tx.txid
            self._chosen.append(entry)
            self._chosen_ids.add(txid)
            self._done.add(txid)
            self._weight += entry.tx.weight
            self._sigop_cost += entry.sigop_cost
        changed: set[bytes] = set()
        for entry in members:
            if not entry.children:
                continue
            below = self._descendants(entry)
            for txid in below:
                other = self._entries[txid]
                package = self._changed.get(txid)
                if package is None:
                    package = self._changed[txid] = _Package(other)
                package.vsize -= entry.vsize
                package.fee -= entry.modified_fee
                package.sigop_cost -= entry.sigop_cost
            changed |= below
        for txid in changed:
            if txid not in self._done:
                other, package = self._entries[txid], self._changed[txid]
                heappush(self._heap, (-_score(other, package.vsize, package.fee), txid))
