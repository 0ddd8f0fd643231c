"""Core's methods on the wallet's transactions."""

from typing import Annotated

from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode, fork_point
from misocoin.errors import NotFoundError
from misocoin.http.errors import RpcError
from misocoin.rpc.core.util import script_of
from misocoin.rpc.core.wallet import BLOCK, block_json
from misocoin.rpc.core.wallet_forms import DETAIL, LISTED, TX_STATE, WalletForms, fee_of
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import TX_FIELDS, hash_hex, tx_json
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import BOOLEAN, HASH, INTEGER, STRING, invalid
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    hexadecimal,
    nothing,
    number,
    obj,
    optional,
    text,
)
from misocoin.script.address import address_from_script
from misocoin.wallet.ledger import TxState
from misocoin.wallet.views import HistoryEntry
from misocoin.wallet.wallet import Wallet

MAX_LISTED = 100_000
"""Effects in one answer."""


class CoreWalletHistory:
    """What the wallet has received and sent."""

    def __init__(self, chain: ChainState, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet
        self._forms = WalletForms(chain, wallet)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=array("latest last", LISTED),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def listtransactions(
        self,
        label: Annotated[str, STRING, "of addresses with this label; * for all"] = "*",
        count: Annotated[int, INTEGER, "at most so many"] = 10,
        skip: Annotated[int, INTEGER, "pass over so many of the latest"] = 0,
        include_watchonly: Annotated[bool, BOOLEAN, "not looked at"] = True,
    ) -> Json:
        """List the latest effects of the wallet's transactions."""
        if count < 0:
            raise invalid("Negative count")
        if skip < 0:
            raise invalid("Negative from")
        if count > MAX_LISTED:
            raise invalid(f"count must be at most {MAX_LISTED}")
        labels = self._wallet.labels
        found: list[dict[str, Json]] = []
        # The effects of one transaction stay together and in order; whole ones are read, latest
        # first, until there are enough.
        for item in reversed(self._history()):
            listed = self._forms.listed(item, labels)
            if label != "*":
                listed = [each for each in listed if each.get("label") == label]
            found[:0] = listed
            if len(found) >= count + skip:
                break
        end = max(0, len(found) - skip)
        return found[max(0, end - count) : end]

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "",
            transactions=array("since that block, unconfirmed ones included", LISTED),
            removed=optional(array("in blocks that are no longer part of the chain", LISTED)),
            lastblock=hexadecimal("what to ask with the next time"),
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def listsinceblock(
        self,
        blockhash: Annotated[bytes | None, HASH, "from behind this block on; all without"] = None,
        target_confirmations: Annotated[
            int, INTEGER, "`lastblock` is the one with so many confirmations"
        ] = 1,
        include_watchonly: Annotated[bool, BOOLEAN, "not looked at"] = True,
        include_removed: Annotated[bool, BOOLEAN, "with what a reorg has taken away"] = True,
        include_change: Annotated[bool, BOOLEAN, "not looked at: change is left out"] = False,
        label: Annotated[str | None, STRING, "of addresses with this label alone"] = None,
    ) -> Json:
        """List what has happened to the wallet since a block."""
        if target_confirmations < 1:
            raise invalid("Invalid parameter")
        chain, labels = self._chain, self._wallet.labels
        with chain.lock:
            tip = chain.tip
            node = None if blockhash is None else chain.find(blockhash)
            base = tip if node is None else fork_point(node, tip)
            height = -1 if node is None else base.height
            items = [
                item
                for item in self._history()
                if item.entry.state is not TxState.CONFIRMED or item.entry.height > height
            ]
            by_id = {item.entry.txid: item for item in self._wallet.history()}
        listed = [each for item in items for each in self._forms.listed(item, labels)]
        answer: dict[str, Json] = {"transactions": listed}
        if include_removed:
            gone = [] if node is None else self._removed(node, base, by_id)
            answer["removed"] = [each for item in gone for each in self._forms.listed(item, labels)]
        if label is not None:
            for name in answer:
                answer[name] = [each for each in answer[name] if each.get("label") == label]
        last = tip.ancestor(max(0, tip.height - target_confirmations + 1))
        return {**answer, "lastblock": last.header.hash_hex}

    def _removed(
        self, node: HeaderNode, base: HeaderNode, by_id: dict[bytes, HistoryEntry]
    ) -> list[HistoryEntry]:
        gone: list[HistoryEntry] = []
        while node is not base and node.parent is not None:
            for tx in self._chain.get_block(node).transactions:
                if tx.txid in by_id:
                    gone.append(by_id[tx.txid])
            node = node.parent
        return gone

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "the transaction",
            amount=coins("what the wallet gained or, where negative, lost, without the fee"),
            fee=optional(coins("what the wallet paid for it, negative")),
            **TX_STATE,
            details=array("its effects", DETAIL),
            hex=hexadecimal("its bytes"),
            decoded=optional(obj("", **TX_FIELDS)),
            lastprocessedblock=BLOCK,
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def gettransaction(
        self,
        txid: Annotated[bytes, HASH, "the transaction"],
        include_watchonly: Annotated[bool, BOOLEAN, "not looked at"] = True,
        verbose: Annotated[bool, BOOLEAN, "with all its parts"] = False,
    ) -> Json:
        """Show a transaction of the wallet's."""
        with self._chain.lock:
            found = [each for each in self._wallet.history() if each.entry.txid == txid]
            tip = self._chain.tip
        if not found:
            raise NotFoundError("Invalid or non-wallet transaction id")
        item = found[0]
        fee = fee_of(item)
        form: dict[str, Json] = {"amount": amount(item.received - item.spent + (fee or 0))}
        if fee is not None:
            form["fee"] = amount(-fee)
        form |= self._forms.state(item)
        form["details"] = self._forms.details(item, self._wallet.labels)
        tx = item.entry.tx
        form["hex"] = tx.serialize().hex()
        if verbose:
            form["decoded"] = tx_json(tx, self._chain.params)
        return {**form, "lastprocessedblock": block_json(tip)}

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=nothing(),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def abandontransaction(self, txid: Annotated[bytes, HASH, "the payment"]) -> None:
        """Give a payment up that left the mempool unmined, so that its coins are free again."""
        if self._wallet.find(txid) is None:
            raise NotFoundError("Invalid or non-wallet transaction id")
        self._wallet.abandon(txid)

    def _history(self) -> list[HistoryEntry]:
        """All transactions in the order of their blocks, those without one last.

        On regtest, where blocks come faster than seconds, times would tell another order.
        """
        items = self._wallet.history()
        return sorted(items, key=lambda item: (not item.confirmations, item.entry.height))

    # -- received -----------------------------------------------------------------------------

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=coins("what it has received"),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY),
    )
    def getreceivedbyaddress(
        self,
        address: Annotated[str, STRING, "an own address"],
        minconf: Annotated[int, INTEGER, "count what has so many confirmations"] = 1,
        include_immature_coinbase: Annotated[bool, BOOLEAN, "coinbases that are too young"] = False,
    ) -> Json:
        """Tell how much an own address has received, spent since or not."""
        script = script_of(address, self._chain.params)
        if not self._wallet.is_mine(script):
            raise RpcError(RpcCode.WALLET_ERROR, "Address not found in wallet")
        total = 0
        for item in self._counted(minconf, include_immature_coinbase):
            total += sum([out.value for out in item.entry.tx.vout if out.script_pubkey == script])
        return amount(total)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "by address",
            obj(
                "",
                address=text("the address"),
                amount=coins("what it has received"),
                confirmations=number("of the latest of these transactions"),
                label=text("the address's"),
                txids=array("the transactions", hexadecimal("an id")),
                involvesWatchonly=optional(boolean("always missing")),
            ),
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY,),
    )
    def listreceivedbyaddress(
        self,
        minconf: Annotated[int, INTEGER, "count what has so many confirmations"] = 1,
        include_empty: Annotated[bool, BOOLEAN, "with those that have received nothing"] = False,
        include_watchonly: Annotated[bool, BOOLEAN, "not looked at"] = True,
        address_filter: Annotated[str | None, STRING, "this address alone"] = None,
        include_immature_coinbase: Annotated[bool, BOOLEAN, "coinbases that are too young"] = False,
    ) -> Json:
        """Tell how much each own address has received, spent since or not."""
        params, labels = self._chain.params, self._wallet.labels
        if address_filter is not None:
            script_of(address_filter, params)
        names = list(self._wallet.addresses()) if include_empty else []
        received: dict[str, int] = dict.fromkeys(names, 0)
        depth: dict[str, int] = {}
        txids: dict[str, list[Json]] = {}
        for item in self._counted(minconf, include_immature_coinbase):
            tx = item.entry.tx
            for value, script in tx.vout:
                name = address_from_script(script, params)
                if name is None or not self._wallet.is_mine(script):
                    continue
                if self._wallet.is_change(script):
                    continue
                received[name] = received.get(name, 0) + value
                depth[name] = min(depth.get(name, item.confirmations), item.confirmations)
                ids = txids.setdefault(name, [])
                if hash_hex(tx.txid) not in ids:
                    ids.append(hash_hex(tx.txid))
        return [
            {
                "address": name,
                "amount": amount(value),
                "confirmations": depth.get(name, 0),
                "label": labels.get(name, ""),
                "txids": txids.get(name, []),
            }
            for name, value in received.items()
            if address_filter in (None, name)
        ]

    def _counted(self, minconf: int, with_immature: bool) -> list[HistoryEntry]:
        maturity = self._chain.params.coinbase_maturity
        return [
            item
            for item in self._wallet.history()
            if item.entry.state in (TxState.CONFIRMED, TxState.POOLED)
            and item.confirmations >= minconf
            and (with_immature or item.confirmations > maturity or not item.entry.tx.is_coinbase)
        ]
