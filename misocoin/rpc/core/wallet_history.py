"""Core's methods on the wallet's transactions."""

from itertools import chain as chain_of
from typing import Annotated

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode, fork_point
from misocoin.errors import NotFoundError, WalletError
from misocoin.http.errors import RpcError
from misocoin.rpc.core.wallet import check_label
from misocoin.rpc.core.wallet_coins import BLOCK, block_json
from misocoin.rpc.core.wallet_forms import DETAIL, LISTED, TX_STATE, WalletForms, fee_of
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import TX_FIELDS, tx_json
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import BOOLEAN, HASH, INTEGER, STRING, invalid
from misocoin.rpc.schema import (
    array,
    coins,
    hexadecimal,
    nothing,
    obj,
    optional,
)
from misocoin.wallet.ledger import TxState
from misocoin.wallet.views import HistoryEntry
from misocoin.wallet.wallet import Wallet

MAX_LISTED = 100_000
"""Effects in one answer."""


class CoreWalletHistory:
    """What the wallet has received and sent."""

    def __init__(self, chain: ChainState, mempool: Mempool, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet
        self._forms = WalletForms(chain, mempool, wallet)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=array("latest last", LISTED),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def listtransactions(
        self,
        label: Annotated[str, STRING, "paid to addresses with this label; * for all"] = "*",
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
        if label == "":
            raise invalid('Label argument must be a valid label name or "*".')
        labels = self._wallet.labels
        found: list[dict[str, Json]] = []
        # Whole transactions are read, latest first, until there are enough.
        for item in reversed(self._wallet.arrivals()):
            listed = self._forms.listed(item, labels)
            found += [each for each in listed if _is_listed(each, label)]
            if len(found) >= count + skip:
                break
        return found[skip : skip + count][::-1]

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "",
            transactions=array("since that block, unconfirmed ones included", LISTED),
            removed=optional(array("in blocks that are no longer part of the chain", LISTED)),
            lastblock=hexadecimal("what to ask with the next time"),
        ),
        errors=(
            RpcCode.INVALID_ADDRESS_OR_KEY,
            RpcCode.INVALID_PARAMETER,
            RpcCode.WALLET_INVALID_LABEL,
        ),
    )
    def listsinceblock(
        self,
        blockhash: Annotated[str, STRING, "from behind this block on; all if empty"] = "",
        target_confirmations: Annotated[
            int, INTEGER, "`lastblock` is the one with so many confirmations"
        ] = 1,
        include_watchonly: Annotated[bool, BOOLEAN, "not looked at"] = True,
        include_removed: Annotated[bool, BOOLEAN, "with what a reorg has taken away"] = True,
        include_change: Annotated[bool, BOOLEAN, "with outputs that are change"] = False,
        label: Annotated[str | None, STRING, "paid to addresses with this label alone"] = None,
    ) -> Json:
        """List what has happened to the wallet since a block."""
        if target_confirmations < 1:
            raise invalid("Invalid parameter")
        check_label(label)
        chain = self._chain
        with chain.lock:
            tip = chain.tip
            node = chain.find(HASH.parse(blockhash, "blockhash")) if blockhash else None
            base = tip if node is None else fork_point(node, tip)
            height = -1 if node is None else base.height
            items = [
                item
                for item in self._wallet.arrivals()
                if item.entry.state is not TxState.CONFIRMED or item.entry.height > height
            ]

        def effects(of: list[HistoryEntry]) -> list[Json]:
            labels = self._wallet.labels
            listed = [self._forms.listed(item, labels, with_change=include_change) for item in of]
            return [
                each for each in chain_of.from_iterable(listed) if _is_listed(each, label or "*")
            ]

        answer: dict[str, Json] = {"transactions": effects(items)}
        if include_removed:
            answer["removed"] = effects([] if node is None else self._removed(node, base))
        last = tip.ancestor(max(0, tip.height - target_confirmations + 1))
        return {**answer, "lastblock": last.header.hash_hex}

    def _removed(self, node: HeaderNode, base: HeaderNode) -> list[HistoryEntry]:
        gone = []
        while node is not base and node.parent is not None:
            for tx in self._chain.get_block(node).transactions:
                item = self._wallet.shown(tx.txid)
                if item is not None:
                    gone.append(item)
            node = node.parent
        return gone

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "the transaction",
            amount=coins(
                "what the wallet gained or, where negative, lost, without the fee; nothing for a "
                "coinbase that is too young"
            ),
            fee=optional(coins("what the wallet paid for it, negative")),
            **TX_STATE,
            details=array("its effects", DETAIL),
            hex=hexadecimal("its bytes"),
            decoded=optional(
                obj("", **{name: form for name, form in TX_FIELDS.items() if name != "hex"})
            ),
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
            item, tip = self._wallet.shown(txid), self._chain.tip
        if item is None:
            raise NotFoundError("Invalid or non-wallet transaction id")
        fee = fee_of(item)
        maturity = self._chain.params.coinbase_maturity
        is_young = item.entry.tx.is_coinbase and item.confirmations <= maturity
        received = 0 if is_young else item.received
        form: dict[str, Json] = {"amount": amount(received - item.spent + (fee or 0))}
        if fee is not None:
            form["fee"] = amount(-fee)
        form |= self._forms.state(item)
        form["details"] = self._forms.details(item, self._wallet.labels)
        tx = item.entry.tx
        form["hex"] = tx.serialize().hex()
        if verbose:
            decoded = tx_json(tx, self._chain.params)
            form["decoded"] = {name: value for name, value in decoded.items() if name != "hex"}
        return {**form, "lastprocessedblock": block_json(tip)}

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=nothing(),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def abandontransaction(self, txid: Annotated[bytes, HASH, "the payment"]) -> None:
        """Give a payment up that left the mempool unmined, so that its coins are free again."""
        if self._wallet.find(txid) is None:
            raise NotFoundError("Invalid or non-wallet transaction id")
        try:
            self._wallet.abandon(txid)
        except WalletError:
            raise RpcError(
                RpcCode.INVALID_ADDRESS_OR_KEY, "Transaction not eligible for abandonment"
            ) from None


def _is_listed(effect: dict[str, Json], label: str) -> bool:
    """Whether an effect is shown for a label: what is received there, not what is sent."""
    return label == "*" or (effect.get("label") == label and effect["category"] != "send")
