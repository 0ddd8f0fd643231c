"""Core's methods that look at payments together: listaddressgroupings, simulaterawtransaction."""

from collections.abc import Iterable
from typing import Annotated

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.http.errors import RpcError
from misocoin.primitives.transaction import OutPoint, Transaction, outpoint
from misocoin.rpc.core.funding import options_from_json
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import ARRAY, OBJECT, invalid, transaction_from_hex
from misocoin.rpc.schema import anything, array, coins, obj
from misocoin.script.address import address_from_script
from misocoin.wallet.ledger import TxState
from misocoin.wallet.wallet import Wallet


class CoreWalletGroups:
    """What payments tell of the wallet, and what they would do to it."""

    def __init__(self, chain: ChainState, mempool: Mempool, wallet: Wallet) -> None:
        self._chain = chain
        self._mempool = mempool
        self._wallet = wallet

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "groups",
            array("addresses", array("", anything("address, coins, and its label if it has one"))),
        ),
    )
    def listaddressgroupings(self) -> Json:
        """List the addresses that the chain shows to be one owner's: spent together, or change."""
        groups: dict[bytes, set[bytes]] = {}  # by each script the group it is in

        def join(scripts: Iterable[bytes]) -> None:
            whole: set[bytes] = set()
            for script in scripts:
                whole |= groups.get(script, {script})
            for script in whole:
                groups[script] = whole

        wallet = self._wallet
        with self._chain.lock:
            ledger = wallet.ledger
            for item in wallet.arrivals():
                if item.entry.state not in (TxState.CONFIRMED, TxState.POOLED):
                    continue
                tx = item.entry.tx
                spent = [ledger.own_output(txin.prevout) for txin in tx.vin]
                own = {each.script_pubkey for each in spent if each is not None}
                paid = [out.script_pubkey for out in tx.vout if wallet.is_mine(out.script_pubkey)]
                if own:
                    join([*own, *[script for script in paid if wallet.is_change(script)]])
                for script in paid:
                    join([script])
            held: dict[bytes, int] = {}
            for each in wallet.unspent():
                if each.is_spendable or each.is_locked:
                    script = each.coin.script_pubkey
                    held[script] = held.get(script, 0) + each.coin.value
        distinct = {id(group): group for group in groups.values()}
        return [
            [self._member(script, held.get(script, 0)) for script in sorted(group)]
            for group in distinct.values()
        ]

    def _member(self, script: bytes, value: int) -> list[Json]:
        address = address_from_script(script, self._chain.params) or ""
        member: list[Json] = [address, amount(value)]
        if self._wallet.is_listed(script):
            member.append(self._wallet.labels.get(address, ""))
        return member

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj("", balance_change=coins("what the wallet would gain; negative for a loss")),
        errors=(RpcCode.INVALID_PARAMETER, RpcCode.DESERIALIZATION_ERROR),
    )
    def simulaterawtransaction(
        self,
        rawtxs: Annotated[list[Json], ARRAY, "transactions in hex, parents before children"] = [],  # noqa: B006
        options: Annotated[dict[str, Json], OBJECT, "include_watching: not looked at"] = {},  # noqa: B006 - never changed
    ) -> Json:
        """Tell how transactions would change what the wallet holds; nothing is sent."""
        options_from_json(options, {"include_watching": "bool", "include_watchonly": "bool"})
        change = 0
        made: dict[OutPoint, int] = {}
        spent: set[OutPoint] = set()
        for text in rawtxs:
            tx = _transaction(text)
            with self._chain.lock:
                for point in [txin.prevout for txin in tx.vin]:
                    if point in spent:
                        raise invalid("Transaction(s) are spending the same output more than once")
                    spent.add(point)
                    change -= self._debit(point, made)
            for index, (value, script) in enumerate(tx.vout):
                mine = value if self._wallet.is_mine(script) else 0
                made[outpoint(tx.txid, index)] = mine
                change += mine
        return {"balance_change": amount(change)}

    def _debit(self, point: OutPoint, made: dict[OutPoint, int]) -> int:
        """What of the wallet's an input spends. Raises RpcError for one that cannot be spent."""
        if point in made:
            return made[point]
        chain, mempool = self._chain, self._mempool
        if mempool.get_output(point) is None and point not in chain.get_coins([point]):
            raise invalid("One or more transaction inputs are missing or have been spent already")
        own = self._wallet.ledger.own_output(point)
        return 0 if own is None else own.value


def _transaction(text: Json) -> Transaction:
    refusal = "Transaction hex string decoding failure."
    if not isinstance(text, str):
        raise RpcError(RpcCode.DESERIALIZATION_ERROR, refusal)
    return transaction_from_hex(text, refusal=refusal)
