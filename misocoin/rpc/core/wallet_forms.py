"""How the wallet's transactions look in Core's dialect.

Core lists a transaction's effects one by one: each output that the wallet paid to somebody
(`send`), and each one that it got (`receive`, or by a coinbase `generate`, `immature`, `orphan`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from misocoin.chain.state import ChainState
from misocoin.primitives.transaction import Transaction
from misocoin.rpc.core.forms import asks_to_be_replaceable
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

TX_STATE = {
    "confirmations": number("blocks from its own to the tip; -1 where it can not be mined"),
    "generated": optional(boolean("whether it is a coinbase")),
    "trusted": optional(boolean("whether it is unconfirmed and counts already")),
    "blockhash": optional(hexadecimal("its block")),
    "blockheight": optional(number("its block's height")),
    "blocktime": optional(timestamp("its block's time")),
    "txid": hexadecimal("its id"),
    "wtxid": hexadecimal("the id with witness"),
    "walletconflicts": array("not told: empty", hexadecimal("an id")),
    "mempoolconflicts": array("not told: empty", hexadecimal("an id")),
    "comment": optional(text("what its owner noted on it")),
    "time": timestamp("when it was first seen, or its block's time"),
    "timereceived": timestamp("the same"),
    "bip125-replaceable": text("yes or no: whether it asks to be replaceable"),
}
"""What is said of a transaction of the wallet's."""

EFFECT = {
    "address": optional(text("whose output it is")),
    "category": text("send, receive, generate, immature or orphan"),
    "amount": coins("of the output; negative for send"),
    "label": optional(text("the address's")),
    "vout": number("which output"),
    "fee": optional(coins("of the whole transaction, negative; for send")),
    "abandoned": optional(boolean("whether its owner has given it up")),
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


def effects_of(item: HistoryEntry, wallet: Wallet, maturity: int) -> Iterator[Effect]:
    """The effects of a transaction, sent ones first."""
    tx = item.entry.tx
    sends = bool(item.spent)
    outs = list(enumerate(tx.vout))
    for index, (value, script) in outs:
        if sends and not wallet.is_change(script):
            yield Effect("send", script, -value, index)
    for index, (value, script) in outs:
        if wallet.is_mine(script) and not (sends and wallet.is_change(script)):
            yield Effect(_received(item, tx, maturity), script, value, index)


def _received(item: HistoryEntry, tx: Transaction, maturity: int) -> str:
    if not tx.is_coinbase:
        return "receive"
    if item.entry.state is not TxState.CONFIRMED:
        return "orphan"
    return "generate" if item.confirmations > maturity else "immature"


class WalletForms:
    """Writes the wallet's transactions."""

    def __init__(self, chain: ChainState, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet

    def listed(self, item: HistoryEntry, labels: Mapping[str, str]) -> list[dict[str, Json]]:
        """A transaction's effects, each with what is said of the whole."""
        state = self.state(item)
        return [{**each, **state} for each in self.details(item, labels)]

    def details(self, item: HistoryEntry, labels: Mapping[str, str]) -> list[dict[str, Json]]:
        """A transaction's effects."""
        params = self._chain.params
        fee = fee_of(item)
        forms = []
        for effect in effects_of(item, self._wallet, params.coinbase_maturity):
            address = address_from_script(effect.script_pubkey, params)
            form: dict[str, Json] = {} if address is None else {"address": address}
            form |= {
                "category": effect.category,
                "amount": amount(effect.value),
                "vout": effect.vout,
            }
            if address is not None and (effect.value >= 0 or address in labels):
                form["label"] = labels.get(address, "")
            if effect.value < 0 and fee is not None:
                form["fee"] = amount(-fee)
            form["abandoned"] = item.entry.height == ABANDONED
            forms.append(form)
        return forms

    def state(self, item: HistoryEntry) -> dict[str, Json]:
        """What is said of the whole transaction."""
        entry, tx = item.entry, item.entry.tx
        dropped = entry.state is TxState.DROPPED and entry.height != ABANDONED
        form: dict[str, Json] = {"confirmations": -1 if dropped else item.confirmations}
        if tx.is_coinbase:
            form["generated"] = True
        if entry.state is TxState.CONFIRMED and entry.block_hash is not None:
            node = self._chain.find(entry.block_hash)
            form["blockhash"] = hash_hex(entry.block_hash)
            form["blockheight"] = node.height
            form["blocktime"] = node.header.time
        else:
            form["trusted"] = entry.state is TxState.POOLED and bool(item.spent)
        form |= {
            "txid": hash_hex(entry.txid),
            "wtxid": hash_hex(tx.wtxid),
            "walletconflicts": [],
            "mempoolconflicts": [],
        }
        if note := self._wallet.note_of(entry.txid):
            form["comment"] = note
        form |= {
            "time": entry.time,
            "timereceived": entry.time,
            "bip125-replaceable": "yes" if _may_be_replaced(item) else "no",
        }
        return form


def _may_be_replaced(item: HistoryEntry) -> bool:
    return item.entry.state is not TxState.CONFIRMED and asks_to_be_replaceable(item.entry.tx)
