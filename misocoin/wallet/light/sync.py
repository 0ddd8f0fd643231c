"""One round of a light wallet's sync: headers, filters, blocks, proofs, and payments sent again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from misocoin.params import Params
from misocoin.wallet.light.agreement import Agreement
from misocoin.wallet.light.errors import NodeFailed, Refused
from misocoin.wallet.light.headers import Followed, follow
from misocoin.wallet.light.payments import Judged, PaymentState, judge
from misocoin.wallet.light.pool import NodePool, Peer, Unanswered
from misocoin.wallet.light.ports import KeysPort, NodePort
from misocoin.wallet.light.search import Search, searched_heights
from misocoin.wallet.light.store import LightStore, NodeRecord, ProvenTx

NOTE_SECONDS = 60
"""How long a node about which there is nothing new need not be written about."""


class Sent(NamedTuple):
    """A payment, and which nodes have it now."""

    payment: Judged
    taken: tuple[str, ...]
    """Nodes that have it."""
    refused: tuple[tuple[str, str], ...]
    """Nodes that do not take it, and why."""


@dataclass(slots=True)
class SyncReport:
    """What a round has brought."""

    height: int = 0
    """Of the best chain."""
    searched: int = 0
    """Through which height the wallet's scripts were searched for."""
    answered: int = 0
    """Nodes that were asked and told nothing false."""
    lied: list[str] = field(default_factory=list)
    """Nodes whose answers cannot be true."""
    failed: list[str] = field(default_factory=list)
    """Nodes that gave no usable answer."""
    compared: int = 0
    """Of these, those that serve filters of this chain."""
    reorg: int | None = None
    """The lowest height at which the chain was replaced, less one."""
    found: list[ProvenTx] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    changed: list[Judged] = field(default_factory=list)
    """Payments of which something new is to tell: mined, conflicted, expired, waiting again."""
    nodes: list[NodeRecord] = field(default_factory=list)
    """What each node that was asked is like."""
    has_least_work: bool = True
    """Whether the chain has the work that its network is known to have at least."""
    problems: list[str] = field(default_factory=list)
    """What kept the round from its end, and what is to be known of nodes; a line each."""

    @property
    def is_complete(self) -> bool:
        """Whether balances are those of the best chain that any node has told of."""
        return self.answered > 0 and self.searched == self.height and self.has_least_work


def sync(
    params: Params,
    store: LightStore,
    keys: KeysPort,
    nodes: Sequence[NodePort],
    now: int,
    searching: Callable[[int, int], None] = lambda _height, _of: None,
) -> SyncReport:
    """Make one round. `now` is unix time; `searching(height, of)` hears how far it is.

    Whatever nodes do shows in the report. Raises StoreError where the disk fails; then, as after a
    kill, the next round goes on.
    """
    return _Round(params, store, keys, nodes, now).run(searching)


class _Round:
    def __init__(
        self,
        params: Params,
        store: LightStore,
        keys: KeysPort,
        nodes: Sequence[NodePort],
        now: int,
    ) -> None:
        self._params = params
        self._store = store
        self._keys = keys
        self._now = now
        self._report = SyncReport()
        self._pool = NodePool(nodes, self._note_lie)

    def run(self, searching: Callable[[int, int], None]) -> SyncReport:
        report, store, pool = self._report, self._store, self._pool
        for peer in pool.usable:
            self._follow(peer)
        try:
            agreement = Agreement(self._params, store, pool, report.problems.append)
            report.compared = agreement.establish()
            Search(self._params, store, self._keys, pool, report.found.append).run(searching)
        except (Unanswered, NodeFailed) as error:
            report.problems.append(str(error))
        self._handle_payments()
        self._note_nodes()
        report.height = store.height
        report.has_least_work = store.work_at(store.height) >= self._params.minimum_chain_work
        if not report.has_least_work:
            report.problems.append(
                f"no node has shown the work that {self._params.name} is known to have"
            )
        report.searched = min(
            searched_heights(store, self._keys).values(), default=store.filter_height
        )
        report.answered = len(pool.usable)
        report.failed = [peer.name for peer in pool.peers if peer.trouble and not peer.lie]
        return report

    def _note_lie(self, name: str, why: str) -> None:
        self._report.lied.append(name)
        self._report.problems.append(why)

    def _follow(self, peer: Peer) -> None:
        followed: Followed | None = self._pool.try_one(
            peer, lambda node: follow(node, self._store, self._now)
        )
        if followed is None:
            return
        peer.tip = followed.tip
        if followed.fork is not None:
            known = self._report.reorg
            self._report.reorg = followed.fork if known is None else min(known, followed.fork)

    # -- payments -----------------------------------------------------------------------------

    def _handle_payments(self) -> None:
        store, report = self._store, self._report
        journal = store.payments()
        if not journal:
            return
        for payment in judge(journal, store.transactions(), self._now):
            detail = payment.detail
            if payment.state is PaymentState.WAITING:
                sent = send_to_all(self._pool, payment)
                report.sent.append(sent)
                detail = "" if sent.taken else "; ".join(why for _, why in sent.refused)
            entry = payment.entry
            if payment.state.value != entry.state:
                report.changed.append(payment)
            if (payment.state.value, detail) != (entry.state, entry.detail):
                store.set_payment_state(entry.txid, payment.state.value, detail)

    # -- nodes --------------------------------------------------------------------------------

    def _note_nodes(self) -> None:
        known = {record.address: record for record in self._store.nodes()}
        with self._store.write():
            for peer in self._pool.peers:
                height = -1 if peer.tip is None else peer.tip.height
                lied = self._now if peer.lie else 0
                record = NodeRecord(peer.name, self._now, height, self._state(peer), peer.lie, lied)
                self._report.nodes.append(record)
                if self._is_news(record, known.get(peer.name)):
                    self._store.put_node(record)

    def _is_news(self, record: NodeRecord, old: NodeRecord | None) -> bool:
        if old is None:  # a name that nobody answers to may be a slip of the hand
            return record.height >= 0 or bool(record.lie)
        changed = (old.height, old.state) != (record.height, record.state)
        return changed or not 0 <= self._now - old.time < NOTE_SECONDS

    def _state(self, peer: Peer) -> str:
        """What to say of a node behind its name."""
        if peer.lie:
            return f"lied: {_without_name(peer.lie, peer)}"
        if peer.trouble or peer.tip is None:
            return _without_name(peer.trouble or "gave no answer of use", peer)
        behind = self._store.height - peer.tip.height
        if self._store.hash_at(peer.tip.height) != peer.tip.hash:
            return f"is on a branch with less work, at height {peer.tip.height}"
        return f"lags {behind} blocks" if behind else "agrees"


def _without_name(text: str, peer: Peer) -> str:
    return text.removeprefix(peer.name).strip()


def send_to_all(pool: NodePool, payment: Judged) -> Sent:
    """Hand a payment to every node that can be asked."""
    taken, refused = [], []
    for peer in pool.usable:
        try:
            peer.node.submit(payment.tx)
        except Refused as error:
            refused.append((peer.name, str(error)))
        except NodeFailed as error:
            peer.trouble = str(error)
        else:
            taken.append(peer.name)
    return Sent(payment, tuple(taken), tuple(refused))
