"""Transactions: announced by witness id, fetched on demand, passed on once they are in the pool."""

from collections.abc import Collection, ValuesView
from dataclasses import dataclass, field

from misocoin.errors import MisocoinError, MissingInputsError, RejectCode, ValidationError
from misocoin.peers.bounded import BoundedSet
from misocoin.peers.events import CheckTransaction, PeerId
from misocoin.peers.limits import MAX_IDS
from misocoin.peers.messages import GetTransactions, TransactionIds
from misocoin.peers.peer import Core, Peer
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction, outpoint_txid

BATCH = 500
"""Transactions in one request."""

MOST_ASKED = 1000
"""Transactions asked of one peer at a time."""

MAX_ORPHAN_WEIGHT = 400_000
"""Weight of a transaction that is kept while its parents are unknown."""

_NOT_YET = frozenset(
    {
        "bad-txns-premature-spend-of-coinbase",
        "non-BIP68-final",
        "non-final",
        "TRUC-violation",
        "too-long-mempool-chain",
    }
)
"""Why a transaction may be refused now and welcome after the next block."""

_INNOCENT = frozenset(
    {
        "bad-txns-inputs-missingorspent",
        "bad-txns-premature-spend-of-coinbase",
        "bad-txns-nonfinal",
        "bad-txns-too-many-sigops",
        "bad-txns-spends-conflicting-tx",
    }
)


def is_guilty(error: MisocoinError) -> bool:
    """Whether a transaction could never have been valid for anyone, whatever their tip or policy.

    Only rules of consensus count; what the mempool does not want is no deed.
    """
    if not isinstance(error, ValidationError) or error.code is not RejectCode.INVALID:
        return False
    if error.reason in _INNOCENT:
        return False
    return error.reason.startswith(
        ("bad-txns-", "mempool-script-verify-flag-failed", "bad-cb", "coinbase")
    )


@dataclass(slots=True)
class _Wanted:
    """A transaction that was announced and is not here."""

    asked: PeerId | None = None
    since: float = 0.0
    others: list[PeerId] = field(default_factory=list)
    """Who else announced it."""


class TransactionRelay:
    """Knows the pool's transactions, fetches announced ones, tells of new ones."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._pool: dict[bytes, Transaction] = {}
        """The mempool's transactions by witness id."""
        self._txids: dict[bytes, bytes] = {}
        """txid -> witness id, of the pool's transactions."""
        self._wanted: dict[bytes, _Wanted] = {}
        self._rejected = BoundedSet[bytes](core.limits.rejected_ids)
        self._checking: dict[bytes, PeerId] = {}
        self._orphans: dict[bytes, tuple[Transaction, PeerId]] = {}
        self._again = BoundedSet[tuple[bytes, bytes]](core.limits.transaction_requests)
        """Witness id and id of what is to be asked for again when a block has come: it was refused
        too early, or there was no room."""
        self._is_untold = False
        """Whether the pool holds transactions that nobody was told of, because we were syncing."""

    def known(self) -> ValuesView[Transaction]:
        """The transactions a block may hold."""
        return self._pool.values()

    def find(self, wanted: bytes) -> Transaction | None:
        """The pool's transaction of that witness id or plain id. Any thread may ask."""
        return self._pool.get(wanted) or self._pool.get(self._txids.get(wanted, b""))

    @property
    def size(self) -> int:
        """Things remembered besides the pool: wanted, orphans, rejected ids."""
        kept = len(self._orphans) + len(self._again)
        return len(self._wanted) + kept + len(self._rejected)

    def load(self, transactions: Collection[Transaction]) -> None:
        """Take in what the mempool holds at the start."""
        for tx in transactions:
            self._pool[tx.wtxid] = tx
            self._txids[tx.txid] = tx.wtxid

    # -- our news -----------------------------------------------------------------------------

    def connected(self, peer: Peer) -> None:
        """Tell a new peer what the pool holds, the newest if it is a lot."""
        if not peer.is_ours:
            return
        if self._core.is_syncing:
            self._is_untold = True
            return
        ids = list(self._pool)[-self._core.limits.known_ids :]
        for at in range(0, len(ids), MAX_IDS):
            self._tell(peer, ids[at : at + MAX_IDS])

    def _tell(self, peer: Peer, ids: list[bytes]) -> None:
        new = tuple([wtxid for wtxid in ids if wtxid not in peer.known_ids])
        for wtxid in new:
            peer.known_ids.add(wtxid)
        if new:
            self._core.send(peer, TransactionIds(new))

    def added(self, tx: Transaction) -> None:
        """A transaction is in the pool: tell everyone who does not have it."""
        self._pool[tx.wtxid] = tx
        self._txids[tx.txid] = tx.wtxid
        self._forget_wanted(tx.wtxid)
        self._forget_wanted(tx.txid)
        self._orphans.pop(tx.wtxid, None)
        if self._core.is_syncing:
            self._is_untold = True
        else:
            for peer in self._core.alive(lambda p: p.is_ours):
                self._tell(peer, [tx.wtxid])
        self._adopt(tx.txid)

    def removed(self, tx: Transaction) -> None:
        """A transaction left the pool."""
        if self._pool.pop(tx.wtxid, None) is not None:
            self._txids.pop(tx.txid, None)

    def tip_moved(self, connected: Collection[Block]) -> None:
        """Blocks took transactions along; what was refused before may be fine now."""
        self._rejected.clear()
        if not (self._pool or self._orphans or self._wanted or self._again):
            return
        for block in connected:
            for tx in block.transactions:
                self.removed(tx)
                if self._forget_wanted(tx.wtxid):
                    self._rejected.add(tx.wtxid)  # it may be on its way
                self._orphans.pop(tx.wtxid, None)
        for wtxid in list(self._orphans):
            self._check_again(wtxid)
        again = list(self._again)
        self._again.clear()
        for peer in self._core.alive():
            known = [both for both in again if both[0] in peer.known_ids]
            if known:  # REST finds a transaction by its plain id alone
                self.announced(peer, tuple([both[0 if peer.is_ours else 1] for both in known]))

    # -- others' news -------------------------------------------------------------------------

    def announced(self, peer: Peer, ids: tuple[bytes, ...]) -> None:
        """A peer has these transactions."""
        core = self._core
        for wtxid in ids:
            peer.known_ids.add(wtxid)
        for wtxid in ids:
            if self._is_known(wtxid):
                continue
            wanted = self._wanted.get(wtxid)
            if wanted is None:
                if len(peer.wanted) >= core.limits.transaction_requests:
                    continue
                wanted = self._wanted[wtxid] = _Wanted()
                peer.wanted[wtxid] = None
            elif (
                peer.id != wanted.asked
                and wtxid not in peer.wanted
                and len(peer.wanted) < core.limits.transaction_requests
            ):
                wanted.others.append(peer.id)
                peer.wanted[wtxid] = None
        self._ask(peer)

    def _is_known(self, wtxid: bytes) -> bool:
        return (
            wtxid in self._pool
            or wtxid in self._txids
            or wtxid in self._rejected
            or wtxid in self._checking
            or wtxid in self._orphans
        )

    def _ask(self, peer: Peer) -> None:
        """Ask a peer for what it announced and nobody was asked for yet.

        Not before its headers are here and we are level with the chain: transactions that spend
        coins of blocks to come would only look like orphans.
        """
        core = self._core
        if not peer.has_answered or core.is_syncing or not peer.wanted:
            return
        batch: list[bytes] = []
        for wtxid in list(peer.wanted):
            wanted = self._wanted.get(wtxid)
            if wanted is None:
                del peer.wanted[wtxid]
                continue
            if wanted.asked is not None:
                continue
            if peer.asked_ids + len(batch) >= MOST_ASKED:
                break
            wanted.asked, wanted.since = peer.id, core.now
            batch.append(wtxid)
        peer.asked_ids += len(batch)
        for at in range(0, len(batch), BATCH):
            core.send(peer, GetTransactions(tuple(batch[at : at + BATCH])))

    def _forget_wanted(self, wtxid: bytes) -> bool:
        """Wait for a transaction no longer; False if nobody did."""
        wanted = self._wanted.pop(wtxid, None)
        if wanted is None:
            return False
        for peer_id in (wanted.asked, *wanted.others):
            peer = None if peer_id is None else self._core.peers.get(peer_id)
            if peer is not None:
                peer.wanted.pop(wtxid, None)
                if peer_id == wanted.asked:
                    peer.asked_ids -= 1
                    peer.late.add(wtxid)
        return True

    def _pass_on(self, wtxid: bytes, wanted: _Wanted) -> None:
        """Whoever was asked does not send it: ask the next who announced it."""
        peers = self._core.peers
        loser = None if wanted.asked is None else peers.get(wanted.asked)
        if loser is not None:
            loser.wanted.pop(wtxid, None)
            loser.asked_ids -= 1
            loser.late.add(wtxid)
        wanted.asked = None
        while wanted.others:
            peer = peers.get(wanted.others.pop(0))
            if peer is not None and not peer.is_gone:
                self._ask(peer)
                if self._is_asked(wtxid):
                    return
        del self._wanted[wtxid]

    def _is_asked(self, wtxid: bytes) -> bool:
        wanted = self._wanted.get(wtxid)
        return wanted is not None and wanted.asked is not None

    def received(self, peer: Peer, transactions: tuple[Transaction, ...]) -> None:
        """Take transactions that were asked for, be it long ago."""
        core = self._core
        unasked = 0
        for tx in transactions:
            peer.known_ids.add(tx.wtxid)
            name = tx.wtxid if tx.wtxid in self._wanted else tx.txid
            wanted = self._wanted.get(name)
            was_asked = wanted is not None and wanted.asked == peer.id
            if not (was_asked or tx.wtxid in peer.late or tx.txid in peer.late):
                unasked += not self._is_known(tx.wtxid)
                continue
            self._forget_wanted(name)
            peer.late.discard(tx.wtxid)
            peer.late.discard(tx.txid)
            if not self._is_known(tx.wtxid):
                self._checking[tx.wtxid] = peer.id
                core.act(CheckTransaction(peer.id, tx))
        if unasked:
            core.punish(peer, min(unasked, 10), "transactions that were not asked for")
        self._ask(peer)

    def not_found(self, peer: Peer, ids: Collection[bytes]) -> None:
        """A peer does not send these (any more)."""
        for wtxid in ids:
            wanted = self._wanted.get(wtxid)
            if wanted is not None and wanted.asked == peer.id:
                self._pass_on(wtxid, wanted)
        self._ask(peer)

    def checked(self, peer: Peer | None, tx: Transaction, error: MisocoinError | None) -> None:
        """The mempool has looked at a transaction."""
        core = self._core
        self._checking.pop(tx.wtxid, None)
        if error is None:
            if peer is not None:
                peer.last_transaction = core.time
            return  # `added` was or will be called
        if isinstance(error, MissingInputsError):
            self._keep_orphan(peer, tx)
            return
        self._rejected.add(tx.wtxid)
        self._orphans.pop(tx.wtxid, None)
        if isinstance(error, ValidationError) and error.reason in _NOT_YET:
            self._again.add((tx.wtxid, tx.txid))
        if peer is not None and is_guilty(error):
            core.punish(peer, 34, f"an invalid transaction: {error}")

    def _keep_orphan(self, peer: Peer | None, tx: Transaction) -> None:
        """Keep a transaction whose parents are unknown, and ask for them."""
        if peer is None or peer.is_gone or tx.weight > MAX_ORPHAN_WEIGHT:
            self._rejected.add(tx.wtxid)
            return
        if tx.wtxid not in self._orphans:
            if len(self._orphans) >= self._core.limits.orphans:
                # A random victim: nobody can aim at one.
                victim = self._core.random.choice(list(self._orphans))
                gone, _ = self._orphans.pop(victim)
                self._again.add((victim, gone.txid))
            self._orphans[tx.wtxid] = (tx, peer.id)
        parents = {outpoint_txid(txin.prevout) for txin in tx.vin}
        for parent in sorted(parents):
            full = len(peer.wanted) >= self._core.limits.transaction_requests
            if not self._is_known(parent) and parent not in self._wanted and not full:
                self._wanted[parent] = _Wanted()
                peer.wanted[parent] = None
        self._ask(peer)

    def _adopt(self, txid: bytes) -> None:
        """Try the orphans again that spend outputs of a transaction that came."""
        for wtxid, (tx, _) in list(self._orphans.items()):
            if any(outpoint_txid(txin.prevout) == txid for txin in tx.vin):
                self._check_again(wtxid)

    def _check_again(self, wtxid: bytes) -> None:
        tx, peer_id = self._orphans.pop(wtxid)
        self._checking[wtxid] = peer_id
        self._core.act(CheckTransaction(peer_id, tx))

    # -- time ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """Ask others for what does not come."""
        core = self._core
        late = [
            (wtxid, wanted)
            for wtxid, wanted in self._wanted.items()
            if wanted.asked is not None
            and core.now - wanted.since > core.limits.transaction_seconds
        ]
        for wtxid, wanted in late:
            if wtxid in self._wanted:
                self._pass_on(wtxid, wanted)
        for peer in core.alive():
            if not peer.asked_ids:
                self._ask(peer)
        if self._is_untold and not core.is_syncing:
            self._is_untold = False
            for peer in core.alive():
                self.connected(peer)

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""
        for wtxid in list(peer.wanted):
            wanted = self._wanted.get(wtxid)
            if wanted is None:
                continue
            if wanted.asked == peer.id or wanted.asked is None:
                wanted.others = [other for other in wanted.others if other != peer.id]
                self._pass_on(wtxid, wanted)
            else:
                wanted.others = [other for other in wanted.others if other != peer.id]
        peer.wanted.clear()
        for wtxid in [w for w, (_, owner) in self._orphans.items() if owner == peer.id]:
            del self._orphans[wtxid]
