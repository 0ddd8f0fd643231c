"""The options by which Core's methods have the wallet pay for a transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.errors import WalletError, WalletLocked
from misocoin.http.errors import RpcError
from misocoin.policy.dust import calculate_dust_threshold
from misocoin.policy.feerate import FeeRate
from misocoin.policy.standard import MAX_STANDARD_WEIGHT
from misocoin.primitives.transaction import SEQUENCE_REPLACEABLE, OutPoint, TxIn, TxOut
from misocoin.rpc.amounts import sats_from_number
from misocoin.rpc.building import inputs_from_json, outputs_from_json
from misocoin.rpc.core.fee_terms import check_fee_terms, places_from_json
from misocoin.rpc.core.util import script_of
from misocoin.rpc.core.wallet_coins import MAX_DEPTH
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import invalid, json_type
from misocoin.script.script import is_unspendable
from misocoin.wallet.addresses import AddressType, address_type_from_text
from misocoin.wallet.funding import Funded, Terms
from misocoin.wallet.ledger import OwnCoin
from misocoin.wallet.spending import DUST_RATE
from misocoin.wallet.views import Unspent
from misocoin.wallet.wallet import Wallet

SEQUENCE_FIXED = 0xFFFFFFFE
"""Keeps the lock time in force without asking to be replaceable."""

_OLD_NAMES: Final[Mapping[str, str]] = {
    "changeAddress": "change_address",
    "changePosition": "change_position",
    "includeWatching": "include_watching",
    "lockUnspents": "lock_unspents",
    "subtractFeeFromOutputs": "subtract_fee_from_outputs",
}

FUNDING_TYPES: Final[Mapping[str, str]] = {
    "add_inputs": "bool",
    "include_unsafe": "bool",
    "minconf": "number",
    "maxconf": "number",
    "change_address": "string",
    "change_position": "number",
    "change_type": "string",
    "include_watching": "bool",
    "lock_unspents": "bool",
    "fee_rate": "",
    "feeRate": "",
    "subtract_fee_from_outputs": "array",
    "conf_target": "number",
    "estimate_mode": "string",
    "replaceable": "bool",
    "input_weights": "array",
    "solving_data": "object",
    "max_tx_weight": "number",
}
"""The options that are known, and their JSON types; none for an amount."""


def options_from_json(given: Json, types: Mapping[str, str]) -> dict[str, Any]:
    """Read an object of options under their present names. Raises RpcError."""
    if given is None or isinstance(given, bool):
        return {}  # long ago a flag stood in this place
    if not isinstance(given, dict):
        raise RpcError(
            RpcCode.TYPE_ERROR,
            f"JSON value of type {json_type(given)} is not of expected type object",
        )
    options: dict[str, Any] = {}
    for told, value in given.items():
        name = _OLD_NAMES.get(told, told)
        if name not in types:
            raise RpcError(RpcCode.TYPE_ERROR, f"Unexpected key {told}")
        if types[name] and value is not None and json_type(value) != types[name]:
            raise RpcError(
                RpcCode.TYPE_ERROR,
                f"JSON value of type {json_type(value)} for field {told} is not of expected type "
                f"{types[name]}",
            )
        if value is not None:
            options[name] = value
    return options


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A transaction as its maker wants it, before it is paid for."""

    outputs: Sequence[TxOut]
    inputs: Sequence[TxIn] = ()
    """Those that it has in any case."""
    names: Sequence[str] = ()
    """What the outputs were called, to name those that pay the fee."""
    version: int = 2
    locktime: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    adds_inputs: bool = True
    """Whether more coins may be spent where `options` do not say."""


class Funding:
    """Has the node's wallet pay for drafts."""

    def __init__(self, chain: ChainState, pool: TransactionPool, wallet: Wallet) -> None:
        self._chain = chain
        self._pool = pool
        self._wallet = wallet

    def fund(self, draft: Draft, code: RpcCode = RpcCode.WALLET_ERROR) -> Funded:
        """Plan what pays for a draft. Raises RpcError, with `code` where it cannot be paid."""
        options = draft.options
        with self._chain.lock:
            terms = self._terms(draft)
            change = self._change_script(options)
            coins = self.coins(options)
            if not draft.outputs:
                raise invalid("TX must have at least one output")
            self.check_outputs(draft.outputs, code)
            try:
                funded = self._wallet.fund(draft.outputs, coins, terms, change)
            except WalletLocked:
                raise
            except WalletError as error:
                raise RpcError(code, str(error)) from None
            if options.get("lock_unspents"):
                self._wallet.locks.add([txin.prevout for txin in funded.plan.tx.vin])
        return funded

    def check_outputs(self, outputs: Iterable[TxOut], code: RpcCode) -> None:
        """Check that outputs are worth relaying; raises RpcError."""
        for output in outputs:
            is_data = is_unspendable(output.script_pubkey)
            if not is_data and output.value < calculate_dust_threshold(output, DUST_RATE):
                raise RpcError(code, "Transaction amount too small")

    def coins(self, options: Mapping[str, Any]) -> list[OwnCoin]:
        """The coins that may be spent, as far as options choose among them. Raises RpcError."""
        low, high = options.get("minconf", 0), options.get("maxconf", MAX_DEPTH)
        if low < 0:
            raise invalid("Negative minconf")
        if high < low:
            raise invalid(f"maxconf can't be lower than minconf: {high} < {low}")
        unsafe = options.get("include_unsafe", False)
        return [
            each.coin
            for each in self._wallet.unspent()
            if low <= each.confirmations <= high and self._may_spend(each, unsafe=unsafe)
        ]

    @staticmethod
    def _may_spend(each: Unspent, *, unsafe: bool) -> bool:
        is_unsafe = not each.coin.is_trusted and not each.is_locked
        return each.is_spendable or (unsafe and is_unsafe)

    def rate(self, options: Mapping[str, Any]) -> FeeRate:
        """The fee rate that options ask for, or the node's. Raises RpcError."""
        if "feeRate" in options:
            for name in ("conf_target", "estimate_mode"):
                if name in options:
                    raise invalid(f"Cannot specify both {name} and feeRate")
            if "fee_rate" in options:
                raise invalid("Cannot specify both fee_rate (sat/vB) and feeRate (BTC/kvB)")
            return FeeRate(sats_from_number(options["feeRate"]))
        told = check_fee_terms(*map(options.get, ("conf_target", "estimate_mode", "fee_rate")))
        if told is not None:
            return told
        with self._chain.lock:
            return self._pool.fee_rate()

    def preset(self, points: Iterable[OutPoint]) -> tuple[OwnCoin, ...]:
        """The wallet's coins at these places. Raises RpcError."""
        own = {each.coin.point: each.coin for each in self._wallet.unspent()}
        found = []
        for point in points:
            coin = own.get(point)
            if coin is None:
                raise RpcError(
                    RpcCode.WALLET_ERROR,
                    "Unable to find UTXO for external input: it is not the wallet's, or spent",
                )
            found.append(coin)
        return tuple(found)

    @staticmethod
    def inputs(given: list[Json], options: Mapping[str, Any], locktime: int) -> list[TxIn]:
        """Read inputs `{"txid", "vout", "sequence"}`. Raises RpcError."""
        usual = SEQUENCE_REPLACEABLE
        if not options.get("replaceable", True):
            usual = SEQUENCE_FIXED if locktime else 0xFFFFFFFF
        return inputs_from_json(given, usual)

    def outputs(self, given: list[Json] | dict[str, Json]) -> list[tuple[str, TxOut]]:
        """Read outputs, each behind its name. Raises RpcError."""
        params = self._chain.params
        script = partial(script_of, params=params)
        return list(outputs_from_json(given, script, params.max_money))

    def _terms(self, draft: Draft) -> Terms:
        options = draft.options
        place = options.get("change_position")
        if place is not None and not 0 <= place <= len(draft.outputs):
            raise invalid("changePosition out of bounds")
        most = options.get("max_tx_weight", MAX_STANDARD_WEIGHT)
        if not MIN_WEIGHT <= most <= MAX_STANDARD_WEIGHT:
            raise RpcError(
                RpcCode.WALLET_ERROR,
                f"Maximum transaction weight must be between {MIN_WEIGHT} and "
                f"{MAX_STANDARD_WEIGHT}",
            )
        names = list(draft.names) or [""] * len(draft.outputs)
        is_replaceable = options.get("replaceable", True)
        return Terms(
            rate=self.rate(options),
            preset=self.preset([txin.prevout for txin in draft.inputs]),
            may_add=options.get("add_inputs", draft.adds_inputs),
            reducible=places_from_json(options.get("subtract_fee_from_outputs", ()), names),
            change_place=place,
            version=draft.version,
            locktime=draft.locktime,
            sequence=SEQUENCE_REPLACEABLE if is_replaceable else SEQUENCE_FIXED,
            sequences={txin.prevout: txin.sequence for txin in draft.inputs},
            max_weight=most,
        )

    def _change_script(self, options: Mapping[str, Any]) -> bytes:
        address, kind = options.get("change_address"), options.get("change_type")
        if address is not None and kind is not None:
            raise invalid("Cannot specify both change address and address type options")
        if address is not None:
            message = "Change address must be a valid bitcoin address"
            return script_of(address, self._chain.params, message)
        return self._wallet.keychain.change_script(None if kind is None else _change_type(kind))


MIN_WEIGHT = 4 * 60
"""Weight units that any transaction has: the least that can be asked for."""


def _change_type(name: str) -> AddressType:
    try:
        return address_type_from_text(name)
    except ValueError:
        raise RpcError(
            RpcCode.INVALID_ADDRESS_OR_KEY, f"Unknown change type '{name[:40]}'"
        ) from None
