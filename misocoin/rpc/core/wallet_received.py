"""Core's methods on what the wallet's addresses and labels have received, spent since or not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from misocoin.chain.state import ChainState
from misocoin.errors import AddressError
from misocoin.http.errors import RpcError
from misocoin.rpc.core.util import script_of
from misocoin.rpc.core.wallet import INVALID_ADDRESS, check_label
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import BOOLEAN, INTEGER, STRING
from misocoin.rpc.schema import array, coins, hexadecimal, number, obj, text
from misocoin.script.address import address_from_script, script_from_address
from misocoin.wallet.ledger import TxState
from misocoin.wallet.views import HistoryEntry
from misocoin.wallet.wallet import Wallet

_MINCONF = "count what has so many confirmations"
_YOUNG = "coinbases that are too young, too"


@dataclass(slots=True)
class _Received:
    """What an address or a label has received."""

    value: int = 0
    """Base units."""
    depth: int = 0
    """Confirmations of the latest transaction."""
    txids: list[bytes] = field(default_factory=list)

    def add(self, value: int, depth: int, txid: bytes) -> None:
        self.depth = min(self.depth, depth) if self.txids else depth
        self.value += value
        if txid not in self.txids:
            self.txids.append(txid)


class CoreWalletReceived:
    """What the wallet has received, by address and by label."""

    def __init__(self, chain: ChainState, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=coins("what it has received"),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY),
    )
    def getreceivedbyaddress(
        self,
        address: Annotated[str, STRING, "an own address"],
        minconf: Annotated[int, INTEGER, _MINCONF] = 1,
        include_immature_coinbase: Annotated[bool, BOOLEAN, _YOUNG] = False,
    ) -> Json:
        """Tell how much an own address has received, spent since or not."""
        script = script_of(address, self._chain.params, INVALID_ADDRESS)
        if not self._wallet.is_mine(script):
            raise RpcError(RpcCode.WALLET_ERROR, "Address not found in wallet")
        total = 0
        for item in self._counted(minconf, include_immature_coinbase):
            total += sum([out.value for out in item.entry.tx.vout if out.script_pubkey == script])
        return amount(total)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=coins("what it has received"),
        errors=(RpcCode.WALLET_ERROR, RpcCode.WALLET_INVALID_LABEL),
    )
    def getreceivedbylabel(
        self,
        label: Annotated[str, STRING, "the label; empty for addresses without one"],
        minconf: Annotated[int, INTEGER, _MINCONF] = 1,
        include_immature_coinbase: Annotated[bool, BOOLEAN, _YOUNG] = False,
    ) -> Json:
        """Tell how much the addresses of a label have received, spent since or not."""
        check_label(label)
        found = self._received(minconf, include_immature_coinbase, with_empty=True)
        labels = self._wallet.labels
        values = [
            each.value
            for name, each in found.items()
            if labels.get(name, "") == label and self._is_mine(name)
        ]
        if not values:
            raise RpcError(RpcCode.WALLET_ERROR, "Label not found in wallet")
        return amount(sum(values))

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
            ),
        ),
        errors=(RpcCode.WALLET_ERROR,),
    )
    def listreceivedbyaddress(
        self,
        minconf: Annotated[int, INTEGER, _MINCONF] = 1,
        include_empty: Annotated[bool, BOOLEAN, "with those that have received nothing"] = False,
        include_watchonly: Annotated[bool, BOOLEAN, "not looked at"] = True,
        address_filter: Annotated[str, STRING, "this address alone, unless it is empty"] = "",
        include_immature_coinbase: Annotated[bool, BOOLEAN, _YOUNG] = False,
    ) -> Json:
        """Tell how much each own address has received, spent since or not."""
        labels = self._wallet.labels
        wanted = self._filter(address_filter)
        found = self._received(minconf, include_immature_coinbase, with_empty=include_empty)
        return [
            {
                "address": name,
                "amount": amount(each.value),
                "confirmations": each.depth,
                "label": labels.get(name, ""),
                "txids": [hash_hex(txid) for txid in each.txids],
            }
            for name, each in found.items()
            if wanted in (None, name)
        ]

    def _filter(self, address: str) -> str | None:
        if not address:
            return None
        params = self._chain.params
        try:
            return address_from_script(script_from_address(address, params), params)
        except AddressError:
            raise RpcError(RpcCode.WALLET_ERROR, "address_filter parameter was invalid") from None

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "by label",
            obj(
                "",
                amount=coins("what its addresses have received"),
                confirmations=number("of the latest of these transactions"),
                label=text("the label"),
            ),
        ),
    )
    def listreceivedbylabel(
        self,
        minconf: Annotated[int, INTEGER, _MINCONF] = 1,
        include_empty: Annotated[bool, BOOLEAN, "with those that have received nothing"] = False,
        include_watchonly: Annotated[bool, BOOLEAN, "not looked at"] = True,
        include_immature_coinbase: Annotated[bool, BOOLEAN, _YOUNG] = False,
    ) -> Json:
        """Tell how much the addresses of each label have received, spent since or not."""
        labels = self._wallet.labels
        found = self._received(minconf, include_immature_coinbase, with_empty=include_empty)
        together: dict[str, _Received] = {}
        for name, each in found.items():
            whole = together.setdefault(labels.get(name, ""), _Received())
            if each.txids:
                whole.add(each.value, each.depth, each.txids[0])
        return [
            {"amount": amount(each.value), "confirmations": each.depth, "label": label}
            for label, each in sorted(together.items())
        ]

    def _received(
        self, minconf: int, with_immature: bool, *, with_empty: bool
    ) -> Mapping[str, _Received]:
        """By address, those first that were handed out first; no addresses for change.

        As in Core, those of others that have a label are there as well, and empty.
        """
        wallet, params = self._wallet, self._chain.params
        found = {name: _Received() for name in (*wallet.addresses(), *wallet.labels)}
        for item in self._counted(minconf, with_immature):
            tx = item.entry.tx
            for value, script in tx.vout:
                name = address_from_script(script, params)
                if name is not None and wallet.is_mine(script) and not wallet.is_change(script):
                    each = found.setdefault(name, _Received())
                    each.add(value, item.confirmations, tx.txid)
        return {name: each for name, each in found.items() if with_empty or each.txids}

    def _is_mine(self, address: str) -> bool:
        return self._wallet.is_mine(script_of(address, self._chain.params))

    def _counted(self, minconf: int, with_immature: bool) -> list[HistoryEntry]:
        maturity = self._chain.params.coinbase_maturity
        return [
            item
            for item in self._wallet.arrivals()
            if item.entry.state in (TxState.CONFIRMED, TxState.POOLED)
            and item.confirmations >= minconf
            and (with_immature or item.confirmations > maturity or not item.entry.tx.is_coinbase)
        ]
