"""What the explorer's pages show, as plain values: the same for the page and for its `.json`.

Hashes are in display order, amounts in base units (`_sats`), sizes in bytes, times in unix seconds.
What is asked for and not there raises NotFoundError.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.state import ChainState
from misocoin.consensus.coins import Coin
from misocoin.consensus.difficulty import calculate_network_difficulty
from misocoin.consensus.subsidy import calculate_subsidy
from misocoin.consensus.tree import HeaderNode
from misocoin.consensus.tx_rules import MAX_BLOCK_WEIGHT
from misocoin.errors import NotFoundError
from misocoin.params import Params, Retarget
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction
from misocoin.script.address import encode_template
from misocoin.script.templates import ScriptKind, template_from_script
from misocoin.web.history import supply_at
from misocoin.web.script_words import KIND_WORDS, steps_from_script

LATEST_BLOCKS = 12
"""Blocks on the front page."""

BLOCKS_PER_PAGE = 50
"""Blocks on a page of the list."""

TXS_PER_PAGE = 50
"""Transactions on a page of a block."""

WINDOW = 120
"""Blocks over which hash rate and interval are taken."""

FEE_STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500)
"""Where the bands of fee rates begin, base units per virtual byte; the first begins at 0."""

MOST_ENDS = 500
"""Inputs or outputs of a transaction that are shown."""

_SUMMARIES_KEPT = 4096

View = dict[str, Any]
"""What a page shows: names to values that JSON knows."""


class Explorer:
    """Reads chain and mempool. Any number of threads may ask at once."""

    def __init__(self, chain: ChainState, mempool: Mempool) -> None:
        self._chain = chain
        self._mempool = mempool
        self._lock = Lock()
        self._summaries: OrderedDict[bytes, View] = OrderedDict()

    # -- the front page -----------------------------------------------------------------------

    def overview(self) -> View:
        """The chain at a glance."""
        chain = self._chain
        tip = chain.tip
        return {
            "chain": chain.params.name,
            "height": tip.height,
            "best_header_height": chain.best_header.height,
            "hash": tip.header.hash_hex,
            "time": tip.header.time,
            "now": chain.now(),
            "difficulty": calculate_network_difficulty(tip.header.bits, chain.params),
            **pace(tip),
            "spacing": target_spacing(chain.params),
            "supply_sats": supply_at(tip.height, chain.params),
            "next_block": self._next_block(tip),
            "blocks": self.blocks(tip.height, LATEST_BLOCKS)["blocks"],
        }

    def _next_block(self, tip: HeaderNode) -> View:
        entries = self._mempool.entries()
        weight = sum([entry.tx.weight for entry in entries])
        return {
            "height": tip.height + 1,
            "transactions": len(entries),
            "weight": weight,
            "share": weight / MAX_BLOCK_WEIGHT,
            "fees_sats": sum([entry.fee for entry in entries]),
            "subsidy_sats": calculate_subsidy(tip.height + 1, self._chain.params),
            "bands": fee_bands(entries),
        }

    # -- blocks -------------------------------------------------------------------------------

    def blocks(self, height: int, count: int = BLOCKS_PER_PAGE) -> View:
        """The active chain's blocks from a height down."""
        node: HeaderNode | None = self._chain.at_height(min(height, self._chain.height))
        found: list[View] = []
        while node is not None and len(found) < count:
            found.append(self.summary(node))
            node = node.parent
        return {
            "tip_height": self._chain.height,
            "now": self._chain.now(),
            "blocks": found,
            "next": found[-1]["height"] - 1 if found and found[-1]["height"] else None,
        }

    def summary(self, node: HeaderNode) -> View:
        """A line about a block."""
        with self._lock:
            known = self._summaries.get(node.hash)
        if known is not None:
            return known
        block = self._chain.get_block(node)
        made = self._summary(node, block)
        with self._lock:
            self._summaries[node.hash] = made
            while len(self._summaries) > _SUMMARIES_KEPT:
                self._summaries.popitem(last=False)
        return made

    def traffic(self, node: HeaderNode) -> tuple[int, int]:
        """A block's transactions and what they paid, base units; 0 where its body is unknown."""
        try:
            seen = self.summary(node)
        except NotFoundError:
            return 0, 0
        return seen["transactions"], seen["fees_sats"]

    def _summary(self, node: HeaderNode, block: Block) -> View:
        reward = sum([out.value for out in block.transactions[0].vout])
        subsidy = calculate_subsidy(node.height, self._chain.params)
        paid = next((out for out in block.transactions[0].vout if out.value), None)
        return {
            "height": node.height,
            "hash": node.header.hash_hex,
            "time": node.header.time,
            "interval": 0 if node.parent is None else node.header.time - node.parent.header.time,
            "transactions": len(block.transactions),
            "size": block.size,
            "weight": block.weight,
            "reward_sats": reward,
            "fees_sats": max(0, reward - subsidy),
            "miner": None if paid is None else self._address(paid.script_pubkey),
            "difficulty": calculate_network_difficulty(node.header.bits, self._chain.params),
        }

    def node_from_text(self, text: str) -> HeaderNode:
        """The block of a height or hash."""
        if text.isascii() and text.isdecimal() and len(text) < 12:
            return self._chain.at_height(int(text))
        return self._chain.find(hash_from_text(text))

    def block(self, node: HeaderNode, page: int = 1) -> View:
        """A block with a page of its transactions."""
        chain = self._chain
        block = chain.get_block(node)
        header = node.header
        tip = chain.tip
        is_active = node.is_ancestor_of(tip)
        pages = max(1, -(-len(block.transactions) // TXS_PER_PAGE))
        if not 1 <= page <= pages:
            raise NotFoundError(f"the last page is {pages}")
        first = (page - 1) * TXS_PER_PAGE
        fees = self._fees(node, block)
        after = node.height < tip.height and is_active
        return {
            **self.summary(node),
            "confirmations": tip.height - node.height + 1 if is_active else 0,
            "is_active": is_active,
            "previous": None if node.parent is None else node.parent.header.hash_hex,
            "next": chain.at_height(node.height + 1).header.hash_hex if after else None,
            "merkle_root": header.merkle_root[::-1].hex(),
            "version": f"{header.version & 0xFFFFFFFF:08x}",
            "bits": f"{header.bits:08x}",
            "nonce": header.nonce,
            "median_time": node.median_time_past,
            "chain_work": f"{node.chain_work:x}",
            "page": page,
            "pages": pages,
            "first": first,
            "txs": [
                {
                    "txid": tx.txid_hex,
                    "inputs": len(tx.vin),
                    "outputs": len(tx.vout),
                    "output_sats": sum([out.value for out in tx.vout]),
                    "vsize": tx.vsize,
                    "fee_sats": fees[first + place],
                }
                for place, tx in enumerate(block.transactions[first : first + TXS_PER_PAGE])
            ],
        }

    def _fees(self, node: HeaderNode, block: Block) -> list[int | None]:
        """What each transaction pays; None for the coinbase and where nobody has checked yet."""
        try:
            undo = self._chain.get_undo(node)
        except NotFoundError:
            return [None] * len(block.transactions)
        fees: list[int | None] = [None]
        for tx, spent in zip(block.transactions[1:], undo, strict=True):
            fees.append(_sum(spent) - sum([out.value for out in tx.vout]))
        return fees

    # -- transactions -------------------------------------------------------------------------

    def transaction(self, txid: bytes) -> View:
        """A transaction of the mempool or of the chain, with what it spends."""
        chain = self._chain
        with chain.lock:
            entry = self._mempool.get(txid)
            if entry is not None:
                points = [txin.prevout for txin in entry.tx.vin]
                coins = {**chain.get_coins(points), **self._mempool.get_coins(points)}
                spent = [coins.get(point) for point in points]
                return self._transaction(entry.tx, spent, None, entry.time)
            node = chain.find_transaction_block(txid)
        if node is None:
            hint = "" if chain.options.txindex else "; with -txindex every one would be found"
            raise NotFoundError(f"no such transaction{hint}")
        block = chain.get_block(node)
        place = next((n for n, tx in enumerate(block.transactions) if tx.txid == txid), None)
        if place is None:
            raise NotFoundError("no such transaction")
        tx = block.transactions[place]
        known: Sequence[Coin | None] = [None] * len(tx.vin)
        if place:
            known = chain.get_undo(node)[place - 1]
        return self._transaction(tx, known, node, node.header.time)

    def _transaction(
        self, tx: Transaction, spent: Sequence[Coin | None], node: HeaderNode | None, time: int
    ) -> View:
        chain = self._chain
        paid = sum([out.value for out in tx.vout])
        brought = [coin.value for coin in spent if coin is not None]
        fee = sum(brought) - paid if len(brought) == len(tx.vin) else None
        spender = self._mempool.spender
        unspent = (
            set() if node is None else set(chain.get_coins([tx.outpoint(n) for n in _shown(tx)]))
        )
        return {
            "txid": tx.txid_hex,
            "wtxid": tx.wtxid[::-1].hex(),
            "time": time,
            "now": chain.now(),
            "block_hash": None if node is None else node.header.hash_hex,
            "height": None if node is None else node.height,
            "confirmations": 0 if node is None else chain.tip.height - node.height + 1,
            "is_coinbase": tx.is_coinbase,
            "size": tx.size,
            "vsize": tx.vsize,
            "weight": tx.weight,
            "version": tx.version,
            "locktime": tx.locktime,
            "output_sats": paid,
            "fee_sats": fee,
            "fee_rate": None if fee is None else fee / tx.vsize,
            "input_count": len(tx.vin),
            "output_count": len(tx.vout),
            "inputs": [self._input(tx, n, coin) for n, coin in enumerate(spent[:MOST_ENDS])],
            "outputs": [
                {
                    "n": n,
                    "value_sats": tx.vout[n].value,
                    **self._script(tx.vout[n].script_pubkey),
                    "is_spent": node is not None and tx.outpoint(n) not in unspent,
                    "spender": _txid_hex(spender(tx.outpoint(n))),
                }
                for n in _shown(tx)
            ],
        }

    def _input(self, tx: Transaction, place: int, coin: Coin | None) -> View:
        txin = tx.vin[place]
        form: View = {
            "txid": None if tx.is_coinbase else txin.prevout[:32][::-1].hex(),
            "n": None if tx.is_coinbase else int.from_bytes(txin.prevout[32:], "little"),
            "sequence": txin.sequence,
            "script_sig_hex": txin.script_sig.hex(),
            "steps": []
            if tx.is_coinbase
            else [step._asdict() for step in steps_from_script(txin.script_sig)],
            "witness": [element.hex() for element in txin.witness],
            "value_sats": None,
            "address": None,
        }
        if coin is not None:
            form["value_sats"] = coin.value
            form["address"] = self._address(coin.script_pubkey)
        return form

    def _script(self, script: bytes) -> View:
        template = template_from_script(script)
        return {
            "address": self._address(script),
            "kind": template.kind.value,
            "meaning": KIND_WORDS[template.kind],
            "is_data": template.kind is ScriptKind.NULLDATA,
            "script_hex": script.hex(),
            "steps": [step._asdict() for step in steps_from_script(script)],
        }

    def _address(self, script: bytes) -> str | None:
        return encode_template(template_from_script(script), self._chain.params.address)

    # -- search -------------------------------------------------------------------------------

    def search(self, text: str, is_address: Callable[[str], bool]) -> str:
        """The path of the page for a height, hash, transaction id or address."""
        text = text.strip()
        if text.isascii() and text.isdecimal() and len(text) < 12:
            return f"/block/{self._chain.at_height(int(text)).header.hash_hex}"
        if is_address(text):
            return f"/address/{text}"
        value = hash_from_text(text)
        if self._chain.knows(value):
            return f"/block/{text.lower()}"
        self.transaction(value)
        return f"/tx/{text.lower()}"


def hash_from_text(text: str) -> bytes:
    """A hash in display order, as wire bytes; raises NotFoundError for what cannot be one."""
    try:
        value = bytes.fromhex(text) if len(text) == 64 else b""
    except ValueError:
        value = b""
    if len(value) != 32:
        raise NotFoundError(f"{text[:80]!r} is no height, hash or address of this chain")
    return value[::-1]


def _shown(tx: Transaction) -> range:
    return range(min(len(tx.vout), MOST_ENDS))


def _txid_hex(entry: MempoolEntry | None) -> str | None:
    return None if entry is None else entry.tx.txid_hex


def _sum(coins: Sequence[Coin]) -> int:
    return sum([coin.value for coin in coins])


def pace(tip: HeaderNode, window: int = WINDOW) -> View:
    """Hashes a second and seconds a block over the latest blocks; None where there are none."""
    first = tip.ancestor(max(0, tip.height - window))
    # Genesis was made long before the chain began to grow.
    if first.height == 0 and tip.height > 1:
        first = tip.ancestor(1)
    blocks = tip.height - first.height
    seconds = tip.header.time - first.header.time
    if not blocks or first.height == 0 or seconds <= 0:
        return {"hash_rate": None, "interval": None}
    work = tip.chain_work - first.chain_work
    return {"hash_rate": work / seconds, "interval": seconds / blocks}


def target_spacing(params: Params) -> int | None:
    """Seconds a block that difficulty aims for; None where it never changes."""
    return None if params.retarget is Retarget.NEVER else params.target_spacing


def fee_bands(entries: Sequence[MempoolEntry]) -> list[View]:
    """Waiting transactions by fee rate: one band for each step, the dearest first."""
    bands = [{"from": low, "transactions": 0, "vsize": 0} for low in (0, *FEE_STEPS)]
    for entry in entries:
        rate = entry.fee / entry.vsize
        band = bands[sum([rate >= low for low in FEE_STEPS])]
        band["transactions"] += 1
        band["vsize"] += entry.vsize
    return [band for band in reversed(bands) if band["transactions"]]
