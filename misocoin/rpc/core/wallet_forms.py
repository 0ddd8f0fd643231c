"""How the wallet's transactions look in Core's dialect.

Core lists a transaction's effects one by one: each output that the wallet paid to somebody
(`send`), and each one that it got (`receive`, or by a coinbase `generate`, `immature`, `orphan`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.primitives.transaction import Transaction
from misocoin.rpc.core.forms import asks_to_be_replaceable
from misocoin.rpc.core.wallet_texts import parent_descriptor
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    hexadecimal,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.script.address import address_from_script
from misocoin.wallet.ledger import ABANDONED, TxState
from misocoin.wallet.views import HistoryEntry
from misocoin.wallet.wallet import Wallet

PLACES = 10_000
"""Transactions whose places in their blocks are remembered."""

TX_STATE = {
    "confirmations": number(
        "blocks from its own to the tip; negative where a block has one that spends the same"
    ),
    "generated": optional(boolean("whether it is a coinbase")),
    "trusted": optional(boolean("whether it is unconfirmed and counts already")),
    "blockhash": optional(hexadecimal("its block")),
    "blockheight": optional(number("its block's height")),
    "blockindex": optional(number("its place in the block")),
    "blocktime": optional(timestamp("its block's time")),
    "txid": hexadecimal("its id"),
    "wtxid": hexadecimal("the id with witness"),
    "walletconflicts": array("the wallet's others that spend the same", hexadecimal("an id")),
    "mempoolconflicts": array("those in the mempool that spend the same", hexadecimal("an id")),
    "time": timestamp("when it was first seen, or its block's time"),
    "timereceived": timestamp("the same"),
    "bip125-replaceable": text("yes, no or unknown: whether it asks to be replaceable"),
    "comment": optional(text("what its owner noted on it")),
    "replaces_txid": optional(hexadecimal("in whose place it was made, for a higher fee")),
    "replaced_by_txid": optional(hexadecimal("which was made in its place, for a higher fee")),
    "to": optional(text("whom it pays, in its owner's words")),
}
"""What is said of a transaction of the wallet's."""

EFFECT = {
    "address": optional(text("whose output it is")),
    "parent_descs": optional(
        array("of the row of own addresses it is of", text("a descriptor")),
    ),
    "category": text("send, receive, generate, immature or orphan"),
    "amount": coins("of the output; negative for send"),
    "label": optional(text("the address's")),
    "vout": number("which output"),
    "fee": optional(coins("of the whole transaction, negative; for send")),
    "abandoned": boolean("whether its owner has given it up, or it is a coinbase of no block"),
}
"""What is said of one effect."""

LISTED = obj("an effect", **EFFECT, **TX_STATE)
DETAIL = obj("an effect", **EFFECT)


@dataclass(frozen=True, slots=True)
class Effect:
    """One output, as the wallet's owner sees it."""

    category: str
    script_pubkey: bytes
    value: int
    """Base units, negative where they were sent."""
    vout: int


def fee_of(item: HistoryEntry) -> int | None:
    """What a payment of the wallet's cost; None for what others paid."""
    if not item.spent:
        return None
    # A payment of which only some coins were the wallet's would come out negative.
    return max(0, item.spent - sum([txout.value for txout in item.entry.tx.vout]))


def effects_of(
    item: HistoryEntry, wallet: Wallet, maturity: int, *, with_change: bool = False
) -> Iterator[Effect]:
    """The effects of a transaction, sent ones first; change is none unless it is asked for."""
    tx = item.entry.tx
    sends = bool(item.spent)
    outs = [
        (index, value, script)
        for index, (value, script) in enumerate(tx.vout)
        if with_change or not (sends and wallet.is_change(script))
    ]
    if sends:
        yield from (Effect("send", script, -value, index) for index, value, script in outs)
    for index, value, script in outs:
        if wallet.is_mine(script):
            yield Effect(_received(item, tx, maturity), script, value, index)


def _received(item: HistoryEntry, tx: Transaction, maturity: int) -> str:
    if not tx.is_coinbase:
        return "receive"
    if item.entry.state is not TxState.CONFIRMED:
        return "orphan"
    return "generate" if item.confirmations > maturity else "immature"


class WalletForms:
    """Writes the wallet's transactions."""

    def __init__(self, chain: ChainState, mempool: Mempool, wallet: Wallet) -> None:
        self._chain = chain
        self._mempool = mempool
        self._wallet = wallet
        self._place_in_block = lru_cache(maxsize=PLACES)(self._read_place)

    def listed(
        self, item: HistoryEntry, labels: Mapping[str, str], *, with_change: bool = False
    ) -> list[dict[str, Json]]:
        """A transaction's effects, each with what is said of the whole."""
        state = self.state(item)
        details = self.details(item, labels, with_change=with_change)
        for each in details:
            # Core tells of what was sent at the end whether it is abandoned.
            ending = {"abandoned": each.pop("abandoned")} if each["category"] == "send" else {}
            each |= state | ending
        return details

    def details(
        self, item: HistoryEntry, labels: Mapping[str, str], *, with_change: bool = False
    ) -> list[dict[str, Json]]:
        """A transaction's effects."""
        params, wallet = self._chain.params, self._wallet
        fee = fee_of(item)
        state = item.entry.state
        is_orphan = item.entry.tx.is_coinbase and state is not TxState.CONFIRMED
        forms = []
        for effect in effects_of(item, wallet, params.coinbase_maturity, with_change=with_change):
            script = effect.script_pubkey
            address = address_from_script(script, params)
            form: dict[str, Json] = {} if address is None else {"address": address}
            if effect.value >= 0:
                form["parent_descs"] = [parent_descriptor(script, wallet.keychain, params)]
            form |= {"category": effect.category, "amount": amount(effect.value)}
            if address is not None and (address in labels or wallet.is_listed(script)):
                form["label"] = labels.get(address, "")
            form["vout"] = effect.vout
            if effect.value < 0 and fee is not None:
                form["fee"] = amount(-fee)
            form["abandoned"] = item.entry.height == ABANDONED or is_orphan
            forms.append(form)
        return forms

    def state(self, item: HistoryEntry) -> dict[str, Json]:
        """What is said of the whole transaction."""
        entry, tx = item.entry, item.entry.tx
        with self._chain.lock:
            conflicts = self._wallet.ledger.conflicts(entry.txid)
            is_trusted = self._wallet.ledger.is_trusted(entry.txid) and bool(item.spent)
            file = self._wallet.keychain.file
        form: dict[str, Json] = {"confirmations": item.confirmations or -self._depth(conflicts)}
        if tx.is_coinbase:
            form["generated"] = True
        if entry.state is TxState.CONFIRMED and entry.block_hash is not None:
            node = self._chain.find(entry.block_hash)
            form["blockhash"] = hash_hex(entry.block_hash)
            form["blockheight"] = node.height
            form["blockindex"] = 0 if tx.is_coinbase else self._place_in_block(node, entry.txid)
            form["blocktime"] = node.header.time
        else:
            form["trusted"] = is_trusted
        txid = hash_hex(entry.txid)
        form |= {
            "txid": txid,
            "wtxid": hash_hex(tx.wtxid),
            "walletconflicts": [hash_hex(each) for each in conflicts],
            "mempoolconflicts": self._rivals_in_mempool(item),
            "time": entry.time,
            "timereceived": entry.time,
            "bip125-replaceable": self._replaceable(item),
        }
        words = {
            "comment": file.notes.get(txid),
            "replaced_by_txid": file.replaced.get(txid),
            "replaces_txid": next((old for old, new in file.replaced.items() if new == txid), None),
            "to": file.payees.get(txid),
        }
        return {**form, **{name: words for name, words in words.items() if words}}

    def _depth(self, txids: Iterable[bytes]) -> int:
        """Confirmations of the one among conflicting transactions that is mined; 0 without one."""
        found = [self._wallet.shown(txid) for txid in txids]
        return max([item.confirmations for item in found if item is not None], default=0)

    def _rivals_in_mempool(self, item: HistoryEntry) -> list[Json]:
        if item.entry.state in (TxState.CONFIRMED, TxState.POOLED) or item.entry.tx.is_coinbase:
            return []
        points = [txin.prevout for txin in item.entry.tx.vin]
        with self._chain.lock:
            found = [self._mempool.spender(point) for point in points]
        ids = {each.tx.txid for each in found if each is not None} - {item.entry.txid}
        return [hash_hex(txid) for txid in sorted(ids)]

    def _read_place(self, node: HeaderNode, txid: bytes) -> int:
        block = self._chain.get_block(node)
        return [tx.txid for tx in block.transactions].index(txid)

    @staticmethod
    def _replaceable(item: HistoryEntry) -> str:
        tx, state = item.entry.tx, item.entry.state
        if state is TxState.CONFIRMED:
            return "no"
        if asks_to_be_replaceable(tx):
            return "yes"
        return "no" if state is TxState.POOLED else "unknown"
