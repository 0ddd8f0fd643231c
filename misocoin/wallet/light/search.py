"""Finding the wallet's transactions by filters, and proving each by its block.

For every script the store knows through which height the chain was searched. Scripts that stand at
the same height are searched for together, those that stand lowest first, until all stand where the
filters end; a kill costs at most one batch.
"""

from collections.abc import Callable, Mapping, Sequence

from misocoin.consensus.merkle import calculate_merkle_branch, merkle_root_from_branch
from misocoin.crypto.hashes import sha256d
from misocoin.errors import ParseError
from misocoin.filters.basic import filter_header_from_hash, is_any_in_filter
from misocoin.params import Params
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import OutPoint, Transaction, transaction_from_bytes
from misocoin.wallet.light.errors import NodeFailed, NodeLied
from misocoin.wallet.light.pool import NodePool
from misocoin.wallet.light.ports import BlockFilter, KeysPort, NodePort
from misocoin.wallet.light.store import LightStore, ProvenTx

BATCH = 1000
"""Filters to ask for at once; what is found in them is committed together."""

Progress = Callable[[int, int], None]
"""Called with the height that was searched and the one to reach."""


class Search:
    """Brings the store to the end of its filters; `found` hears of every transaction."""

    def __init__(
        self,
        params: Params,
        store: LightStore,
        keys: KeysPort,
        pool: NodePool,
        found: Callable[[ProvenTx], None],
    ) -> None:
        self._params = params
        self._store = store
        self._keys = keys
        self._pool = pool
        self._found = found
        self._watched = dict(keys.watched)
        self._own: set[OutPoint] | None = None  # known once it is needed

    def run(self, progress: Progress = lambda _height, _of: None) -> None:
        """Search; raises Unanswered where no node gives what is needed."""
        self._enter_scripts()
        end = self._store.filter_height
        while True:
            searched = self._searched()
            start = min(searched.values(), default=end)
            if start >= end:
                return
            later = [height for height in searched.values() if height > start]
            stop = min([end, start + BATCH, *later])
            active = [script for script, height in searched.items() if height == start]
            at = start
            try:
                for each in self._filters(start + 1, stop):
                    if _may_concern(active, each):
                        self._take_block(at + 1, active)
                    at += 1
            finally:
                if at > start:
                    self._store.set_searched(active, at)
            progress(at, end)

    def _searched(self) -> dict[bytes, int]:
        known = self._store.searched()
        return {script: known[script] for script in self._watched if script in known}

    def _enter_scripts(self) -> None:
        """Give scripts that are new a height from which to search for them."""
        known = self._store.searched()
        by_birth: dict[int, list[bytes]] = {}
        for script, watched in self._watched.items():
            if script not in known:
                by_birth.setdefault(watched.birth, []).append(script)
        for birth, scripts in by_birth.items():
            self._store.set_searched(scripts, _height_before(birth, self._store))

    # -- filters ------------------------------------------------------------------------------

    def _filters(self, first: int, last: int) -> Sequence[BlockFilter]:
        """The filters from `first` on, at most to `last`, as their headers commit to them."""
        block_hash = self._store.hash_at(first)
        headers = self._store.filter_headers(first - 1, last - first + 2)

        def question(node: NodePort) -> Sequence[BlockFilter]:
            if block_hash is None:
                raise NodeFailed("the chain has become shorter meanwhile")
            filters = node.filters(block_hash, last - first + 1)[: len(headers) - 1]
            for at, (each, before, header) in enumerate(
                zip(filters, headers, headers[1:], strict=False), first
            ):
                if (
                    each.block_hash != self._store.hash_at(at)
                    or filter_header_from_hash(sha256d(each.data), before) != header
                ):
                    raise NodeLied(f"{node.name} sent a false filter of block {at}")
            if not filters:
                raise NodeFailed(f"{node.name} sent no filter of block {first}")
            return filters

        return self._pool.ask(f"the filter of block {first}", question)

    # -- blocks -------------------------------------------------------------------------------

    def _take_block(self, height: int, active: list[bytes]) -> None:
        """Keep what a block has of the wallet's; `active` grows by scripts that come of it."""
        block_hash = self._store.hash_at(height)
        if block_hash is None:
            raise NodeFailed("the chain has become shorter meanwhile")
        block = self._pool.block(block_hash, height, self._params)
        while True:
            found = self._own_transactions(block, height)
            self._store.put_transactions(found)
            new = self._note_used(found)
            if not new:
                break
            # A script beyond the lookahead cannot have been used before those within it.
            self._store.set_searched(new, self._store.searched()[active[0]])
            active += new
        for each in found:
            self._found(each)

    def _note_used(self, found: Sequence[ProvenTx]) -> list[bytes]:
        """Tell the keys what was used; returns the scripts that are watched since."""
        before = self._watched
        used = {
            output.script_pubkey
            for each in found
            for output in transaction_from_bytes(each.data).vout
            if output.script_pubkey in before
        }
        if not used:
            return []
        self._keys.note_used(used)
        self._watched = dict(self._keys.watched)
        return [script for script in self._watched if script not in before]

    def _own_transactions(self, block: Block, height: int) -> list[ProvenTx]:
        if self._own is None:
            self._own = own_outpoints(self._store.transactions(), self._watched)
        txids = [tx.txid for tx in block.transactions]
        found = []
        for position, tx in enumerate(block.transactions):
            outputs = _outputs_of(tx, self._watched)
            self._own.update(outputs)
            if outputs or any(txin.prevout in self._own for txin in tx.vin):
                branch = calculate_merkle_branch(txids, position)
                time = block.header.time
                found.append(ProvenTx(tx.txid, tx.serialize(), height, position, branch, time))
        return found


def _height_before(birth: int, store: LightStore) -> int:
    return store.height_before(birth) if birth else 0


def searched_heights(store: LightStore, keys: KeysPort) -> dict[bytes, int]:
    """Through which height the chain was searched for each script that is watched.

    For a script that is new, that is the height below its birth.
    """
    known = store.searched()
    births = {watched.birth for script, watched in keys.watched.items() if script not in known}
    below = {birth: _height_before(birth, store) for birth in births}
    return {
        script: known[script] if script in known else below[watched.birth]
        for script, watched in keys.watched.items()
    }


def _may_concern(scripts: Sequence[bytes], each: BlockFilter) -> bool:
    """Whether a block has to be read: also where all nodes commit to a filter that is none."""
    try:
        return is_any_in_filter(scripts, each.data, each.block_hash)
    except ParseError:
        return True


def _outputs_of(tx: Transaction, scripts: Mapping[bytes, object]) -> list[OutPoint]:
    return [
        tx.outpoint(index)
        for index, output in enumerate(tx.vout)
        if output.script_pubkey in scripts
    ]


def own_outpoints(
    transactions: Sequence[ProvenTx], scripts: Mapping[bytes, object]
) -> set[OutPoint]:
    """The outputs of known transactions that are the wallet's, spent or not."""
    own: set[OutPoint] = set()
    for each in transactions:
        own.update(_outputs_of(transaction_from_bytes(each.data), scripts))
    return own


def is_proven(tx: ProvenTx, store: LightStore) -> bool:
    """Whether a transaction's proof holds against the header of its block."""
    if tx.height is None or store.hash_at(tx.height) is None:
        return False
    parsed = transaction_from_bytes(tx.data)
    root = merkle_root_from_branch(parsed.txid, tx.branch, tx.position)
    return parsed.txid == tx.txid and root == store.header_at(tx.height).merkle_root
