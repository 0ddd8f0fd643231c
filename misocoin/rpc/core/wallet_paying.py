"""Core's methods that spend from the wallet."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.errors import InsufficientFunds
from misocoin.http.errors import RpcError
from misocoin.policy.dust import calculate_dust_threshold
from misocoin.policy.feerate import FeeRate, calculate_fee
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.rpc.core.kinds import COINS
from misocoin.rpc.core.util import script_of
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import PAYING, RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import (
    ANY,
    ARRAY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    invalid,
    transaction_in_either_form,
)
from misocoin.rpc.schema import coins, either, hexadecimal, number, obj, text
from misocoin.units import Sats, sats_from_json
from misocoin.wallet.spending import DUST_RATE, SEQUENCE_REPLACEABLE
from misocoin.wallet.wallet import Wallet

ROUNDS = 8
"""How often the fee is worked out anew where it comes out of what is paid."""

CHANGE_VSIZE = 34
"""Virtual bytes of an output for change, of whatever type."""

GUESSED_VSIZE = 200
"""Virtual bytes of a small payment: where those rounds begin."""

_SENT = either(
    "by `verbose`",
    hexadecimal("the payment's id"),
    obj("", txid=hexadecimal("the payment's id"), fee_reason=text("where the fee rate came from")),
)

_FEE_RATE = "base units per virtual byte; by the mempool if left out"


class CoreWalletPaying:
    """Payments from the node's wallet."""

    def __init__(self, chain: ChainState, pool: TransactionPool, wallet: Wallet) -> None:
        self._chain = chain
        self._pool = pool
        self._wallet = wallet

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=_SENT,
        errors=PAYING,
    )
    def sendtoaddress(
        self,
        address: Annotated[str, STRING, "whom to pay"],
        amount: Annotated[Sats, COINS, "how many coins"],
        comment: Annotated[str, STRING, "noted on the payment, in the wallet alone"] = "",
        comment_to: Annotated[str, STRING, "noted behind it"] = "",
        subtractfeefromamount: Annotated[bool, BOOLEAN, "the payee gets less by the fee"] = False,
        replaceable: Annotated[bool | None, BOOLEAN, "not looked at: it always is"] = None,
        conf_target: Annotated[int | None, INTEGER, "not looked at; see fee_rate"] = None,
        estimate_mode: Annotated[str, STRING, "not looked at"] = "unset",
        avoid_reuse: Annotated[bool, BOOLEAN, "not looked at"] = True,
        fee_rate: Annotated[float | None, NUMBER, _FEE_RATE] = None,
        verbose: Annotated[bool, BOOLEAN, "tell where the fee rate came from, too"] = False,
    ) -> Json:
        """Pay an address."""
        outputs = [TxOut(amount, script_of(address, self._chain.params))]
        reducible = {0} if subtractfeefromamount else set()
        return self._send(outputs, reducible, fee_rate, comment, verbose, comment_to)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=_SENT,
        errors=(*PAYING, RpcCode.INVALID_PARAMETER),
    )
    def sendmany(
        self,
        dummy: Annotated[str, STRING, 'must be ""'] = "",
        amounts: Annotated[dict[str, Json], OBJECT, '{"address": coins, ...}'] = {},  # noqa: B006
        minconf: Annotated[int | None, INTEGER, "not looked at"] = None,
        comment: Annotated[str, STRING, "noted on the payment, in the wallet alone"] = "",
        subtractfeefrom: Annotated[
            list[Json], ARRAY, "addresses that get less by equal parts of the fee"
        ] = [],  # noqa: B006
        replaceable: Annotated[bool | None, BOOLEAN, "not looked at: it always is"] = None,
        conf_target: Annotated[int | None, INTEGER, "not looked at; see fee_rate"] = None,
        estimate_mode: Annotated[str, STRING, "not looked at"] = "unset",
        fee_rate: Annotated[float | None, NUMBER, _FEE_RATE] = None,
        verbose: Annotated[bool, BOOLEAN, "tell where the fee rate came from, too"] = False,
    ) -> Json:
        """Pay several addresses at once."""
        if dummy:
            raise invalid('Dummy value must be set to ""')
        if not amounts:
            raise invalid("Transaction amounts must not be empty")
        names = list(amounts)
        outputs = [
            TxOut(sats_from_json(value), script_of(name, self._chain.params))
            for name, value in amounts.items()
        ]
        reducible = set()
        for name in subtractfeefrom:
            if name not in amounts:
                raise invalid(
                    "Invalid parameter 'subtract fee from output', destination "
                    f"{str(name)[:100]} not found in tx outputs"
                )
            reducible.add(names.index(str(name)))
        return self._send(outputs, reducible, fee_rate, comment, verbose)

    def _send(
        self,
        outputs: Sequence[TxOut],
        reducible: set[int],
        fee_rate: float | None,
        note: str,
        verbose: bool,
        payee: str = "",
    ) -> Json:
        rate = self._rate(fee_rate)
        whole = sum([output.value for output in outputs])
        if len(outputs) == 1 and reducible and whole == self._wallet.balance().available:
            payment = self._wallet.pay(
                [], rate, self._pool.submit, sink=outputs[0].script_pubkey, note=note, payee=payee
            )
        else:
            if reducible:
                outputs = self._reduced(outputs, reducible, rate)
            payment = self._wallet.pay(outputs, rate, self._pool.submit, note=note, payee=payee)
        txid = hash_hex(payment.tx.txid)
        reason = "Mempool" if fee_rate is None else "Set by the caller"
        return {"txid": txid, "fee_reason": reason} if verbose else txid

    def _reduced(
        self, outputs: Sequence[TxOut], reducible: set[int], rate: FeeRate
    ) -> Sequence[TxOut]:
        """The outputs less the fee of paying them, which depends on the coins that they take."""
        fee = int(calculate_fee(rate, GUESSED_VSIZE))
        for _ in range(ROUNDS):
            less = less_by(outputs, reducible, fee)
            planned = self._wallet.plan(less, rate).fee
            if planned == fee:
                break
            fee = planned
        return less_by(outputs, reducible, fee)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "",
            hex=hexadecimal("the transaction with inputs, not signed"),
            fee=coins("what it pays"),
            changepos=number("which output is change; -1 for none"),
        ),
        errors=(
            RpcCode.WALLET_ERROR,
            RpcCode.INVALID_ADDRESS_OR_KEY,
            RpcCode.INSUFFICIENT_FUNDS,
            RpcCode.INVALID_PARAMETER,
            RpcCode.DESERIALIZATION_ERROR,
        ),
    )
    def fundrawtransaction(
        self,
        hexstring: Annotated[str, STRING, "the transaction; it may have no inputs yet"],
        options: Annotated[
            Json,
            ANY,
            "object: changeAddress, changePosition, fee_rate (base units per virtual byte), "
            "feeRate (coins per 1,000), subtractFeeFromOutputs (numbers of outputs), add_inputs",
        ] = None,
        iswitness: Annotated[
            bool | None, BOOLEAN, "whether it is in the form with witness; tried out if left out"
        ] = None,
    ) -> Json:
        """Add inputs of the wallet's, and change, until a transaction pays for itself.

        Inputs that it has already stay; they must be the wallet's.
        """
        tx = transaction_in_either_form(hexstring, iswitness, "TX decode failed")
        given = _funding_options(options)
        outputs = list(tx.vout)
        rate = self._funding_rate(given)
        reducible = set(given.get("subtractFeeFromOutputs", ()))
        if any(not 0 <= place < len(outputs) for place in reducible):
            raise invalid("Invalid parameter, subtractFeeFromOutputs is out of bounds")
        if not outputs:
            raise invalid("TX must have at least one output")
        with self._chain.lock:
            funded, fee, change = self._fund(tx, outputs, reducible, rate)
        if change is not None:
            script = self._change_script(given, change.script_pubkey)
            change = TxOut(change.value, script)
        place = -1
        if change is not None:
            place = given.get("changePosition", len(funded.vout))
            if type(place) is not int or not 0 <= place <= len(funded.vout):
                raise invalid("changePosition out of bounds")
        vout = list(funded.vout)
        if change is not None:
            vout.insert(place, change)
        whole = Transaction.build(tx.version, funded.vin, vout, tx.locktime)
        return {"hex": whole.serialize().hex(), "fee": amount(fee), "changepos": place}

    def _fund(
        self, tx: Transaction, outputs: list[TxOut], reducible: set[int], rate: FeeRate
    ) -> tuple[Transaction, int, TxOut | None]:
        """The transaction with inputs, its fee, and its change, which is not in it yet."""
        if not tx.vin:
            outputs = list(self._reduced(outputs, reducible, rate)) if reducible else outputs
            plan = self._wallet.plan(outputs, rate)
            vin = [TxIn(txin.prevout, sequence=SEQUENCE_REPLACEABLE) for txin in plan.tx.vin]
            return self._finished(tx, vin, outputs, plan.fee + plan.change, plan.change)
        if reducible:
            raise invalid("subtractFeeFromOutputs needs a transaction without inputs here")
        preset, vsize = self._preset(tx)
        spare = preset - sum([out.value for out in outputs])
        whole_fee = calculate_fee(rate, vsize + CHANGE_VSIZE)
        if spare >= calculate_fee(rate, vsize):
            return self._finished(tx, tx.vin, outputs, spare, spare - whole_fee)
        # What is missing is paid by more of the wallet's coins; more than that is change.
        short = whole_fee - spare
        script = outputs[0].script_pubkey
        wanted = max(short, calculate_dust_threshold(TxOut(0, script), DUST_RATE))
        plan = self._wallet.plan([TxOut(wanted, script)], rate)
        taken = {txin.prevout for txin in tx.vin}
        if any(txin.prevout in taken for txin in plan.tx.vin):
            raise InsufficientFunds("Insufficient funds: the inputs given are what there is")
        sequence = tx.vin[0].sequence
        vin = [*tx.vin, *[TxIn(each.prevout, sequence=sequence) for each in plan.tx.vin]]
        spare += sum([out.value for out in plan.spent])
        return self._finished(tx, vin, outputs, spare, plan.change + wanted - short)

    def _finished(
        self,
        tx: Transaction,
        vin: Sequence[TxIn],
        outputs: Sequence[TxOut],
        spare: int,
        change: int,
    ) -> tuple[Transaction, int, TxOut | None]:
        """As `_fund`: of what is `spare`, `change` comes back unless it would be dust."""
        funded = Transaction.build(tx.version, vin, outputs, tx.locktime)
        back = TxOut(max(0, change), self._wallet.keychain.change_script())
        if change < calculate_dust_threshold(back, DUST_RATE):
            return funded, spare, None
        return funded, spare - change, back

    def _preset(self, tx: Transaction) -> tuple[int, int]:
        """What the inputs that are there already hold, and the virtual bytes of all there is."""
        own = {each.coin.point: each.coin for each in self._wallet.unspent()}
        scripts = self._wallet.keychain.scripts
        value, weight = 0, Transaction.build(tx.version, (), tx.vout, tx.locktime).weight + 2
        for txin in tx.vin:
            coin = own.get(txin.prevout)
            if coin is None:
                raise RpcError(
                    RpcCode.WALLET_ERROR,
                    "Not solvable pre-selected input: it is not the wallet's, or spent",
                )
            value += coin.value
            weight += scripts[coin.script_pubkey].input_weight
        return value, -(-weight // 4)

    def _change_script(self, given: Mapping[str, Any], usual: bytes) -> bytes:
        address = given.get("changeAddress")
        if address is None:
            return usual
        message = "Change address must be a valid bitcoin address"
        return script_of(address, self._chain.params, message)

    def _funding_rate(self, given: Mapping[str, Any]) -> FeeRate:
        if "feeRate" in given and "fee_rate" in given:
            raise invalid("Cannot specify both fee_rate (sat/vB) and feeRate (BTC/kvB)")
        if "feeRate" in given:
            return FeeRate(sats_from_json(given["feeRate"]))
        rate = given.get("fee_rate")
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float)):
            raise RpcError(RpcCode.TYPE_ERROR, "Amount is not a number or string")
        return self._rate(rate)

    def _rate(self, per_vbyte: float | None) -> FeeRate:
        if per_vbyte is None:
            with self._chain.lock:
                return self._pool.fee_rate()
        if per_vbyte < 0 or per_vbyte > 1e9:
            raise RpcError(RpcCode.TYPE_ERROR, "Amount out of range")
        return FeeRate(round(per_vbyte * 1000))


def less_by(outputs: Sequence[TxOut], reducible: set[int], fee: int) -> list[TxOut]:
    """The outputs with a fee taken from some of them in equal parts, the rest from the first."""
    part, rest = divmod(fee, len(reducible))
    first = min(reducible)
    reduced = list(outputs)
    for place in reducible:
        value, script = outputs[place]
        value -= part + (rest if place == first else 0)
        if value <= 0:
            raise RpcError(
                RpcCode.WALLET_ERROR, "The transaction amount is too small to pay the fee"
            )
        reduced[place] = TxOut(value, script)
    return reduced


_OPTIONS: Mapping[str, Callable[[Any], bool]] = {
    "add_inputs": lambda value: value is True,
    "include_unsafe": lambda value: isinstance(value, bool),
    "includeWatching": lambda value: isinstance(value, bool),
    "lockUnspents": lambda value: value is False,
    "replaceable": lambda value: isinstance(value, bool),
    "changeAddress": lambda value: isinstance(value, str),
    "changePosition": lambda value: type(value) is int,
    "feeRate": lambda value: True,
    "fee_rate": lambda value: True,
    "conf_target": lambda value: type(value) is int,
    "estimate_mode": lambda value: isinstance(value, str),
    "subtractFeeFromOutputs": lambda value: (
        isinstance(value, list) and all(type(each) is int for each in value)
    ),
}
"""The options that are known, and the values that they may have here."""


def _funding_options(options: Json) -> dict[str, Any]:
    if options is None or isinstance(options, bool):
        return {}  # long ago a flag stood in this place
    if not isinstance(options, dict):
        raise RpcError(RpcCode.TYPE_ERROR, "options is no object")
    for name, value in options.items():
        if name not in _OPTIONS:
            raise RpcError(RpcCode.TYPE_ERROR, f"Unexpected key {name[:40]}")
        if not _OPTIONS[name](value):
            raise invalid(f"{name} cannot have that value here")
    return options
