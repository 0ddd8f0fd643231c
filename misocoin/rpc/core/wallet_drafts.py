"""Core's methods that pay for drafts of transactions: fundrawtransaction, send, sendall."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.errors import WalletLocked
from misocoin.http.errors import RpcError
from misocoin.policy.dust import calculate_dust_threshold
from misocoin.policy.feerate import calculate_fee
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint_index
from misocoin.rpc.core.funding import FUNDING_TYPES, Draft, Funding, options_from_json
from misocoin.rpc.core.kinds import OUTPUTS
from misocoin.rpc.core.wallet_paying import FEE_RATE, MODE, TARGET, check_least_rate
from misocoin.rpc.core.wallet_psbt import WalletPsbts, check_locktime, transaction_of
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import PAYING, RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import (
    ANY,
    ARRAY,
    BOOLEAN,
    INTEGER,
    LONG,
    OBJECT,
    STRING,
    invalid,
    transaction_in_either_form,
)
from misocoin.rpc.schema import boolean, coins, hexadecimal, number, obj, optional, text
from misocoin.wallet.ledger import OwnCoin
from misocoin.wallet.spending import DUST_RATE, Plan, check_fee
from misocoin.wallet.wallet import Wallet

_OPTIONS = (
    "object: add_inputs, include_unsafe, minconf, maxconf, change_address, change_position, "
    "change_type, lock_unspents, fee_rate (base units per virtual byte), feeRate (coins per "
    "1,000), subtract_fee_from_outputs (places of outputs), replaceable, max_tx_weight; also by "
    "Core's older names"
)

_SEND_TYPES: Final[Mapping[str, str]] = {
    **FUNDING_TYPES,
    "add_to_wallet": "bool",
    "psbt": "bool",
    "inputs": "array",
    "locktime": "number",
}

_ALL_TYPES: Final[Mapping[str, str]] = {
    "add_to_wallet": "bool",
    "fee_rate": "",
    "include_watching": "bool",
    "inputs": "array",
    "locktime": "number",
    "lock_unspents": "bool",
    "psbt": "bool",
    "send_max": "bool",
    "minconf": "number",
    "maxconf": "number",
    "conf_target": "number",
    "estimate_mode": "string",
    "replaceable": "bool",
    "solving_data": "object",
    "version": "number",
}

_SENT = obj(
    "",
    psbt=optional(text("the PSBT, in base64, where it is asked for or is not all signed")),
    txid=optional(hexadecimal("the payment's id, if it is all signed")),
    hex=optional(hexadecimal("its bytes, if it is all signed and not sent")),
    complete=boolean("whether it is all signed"),
)

_ERRORS = (
    *PAYING,
    RpcCode.INVALID_PARAMETER,
    RpcCode.VERIFY_ERROR,
    RpcCode.VERIFY_REJECTED,
)


class CoreWalletDrafts:
    """Has the node's wallet pay for drafts, and sends them."""

    def __init__(
        self,
        chain: ChainState,
        pool: TransactionPool,
        wallet: Wallet,
        funding: Funding,
        psbts: WalletPsbts,
    ) -> None:
        self._chain = chain
        self._pool = pool
        self._wallet = wallet
        self._funding = funding
        self._psbts = psbts

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
            RpcCode.INVALID_PARAMETER,
            RpcCode.DESERIALIZATION_ERROR,
        ),
    )
    def fundrawtransaction(
        self,
        hexstring: Annotated[str, STRING, "the transaction; it may have no inputs yet"],
        options: Annotated[Json, ANY, _OPTIONS] = None,
        iswitness: Annotated[
            bool | None, BOOLEAN, "whether it is in the form with witness; tried out if left out"
        ] = None,
    ) -> Json:
        """Add inputs of the wallet's, and change, until a transaction pays for itself.

        Inputs that it has already stay; they must be the wallet's.
        """
        tx = transaction_in_either_form(hexstring, iswitness, "TX decode failed")
        draft = Draft(
            outputs=tx.vout,
            inputs=tx.vin,
            version=tx.version,
            locktime=tx.locktime,
            options=options_from_json(options, FUNDING_TYPES),
        )
        plan, place = self._funding.fund(draft)
        return {
            "hex": plan.tx.serialize().hex(),
            "fee": amount(plan.fee),
            "changepos": -1 if place is None else place,
        }

    @core_method(Category.WALLET, access=Access.AUTH, result=_SENT, errors=_ERRORS)
    def send(
        self,
        outputs: Annotated[
            list[Json] | dict[str, Json],
            OUTPUTS,
            'what to pay: {"address": amount, ...}, or an array of such; {"data": hex}',
        ],
        conf_target: Annotated[int | None, INTEGER, TARGET] = None,
        estimate_mode: Annotated[str, STRING, MODE] = "unset",
        fee_rate: Annotated[Json, ANY, FEE_RATE] = None,
        options: Annotated[
            dict[str, Json],
            OBJECT,
            "as fundrawtransaction's; also inputs, locktime, add_to_wallet (false: do not send), "
            "psbt (true: answer a PSBT, do not send)",
        ] = {},  # noqa: B006 - never changed
        version: Annotated[int, LONG, "the transaction's version"] = 2,
    ) -> Json:
        """Pay several outputs at once."""
        named = _with_fee(
            options_from_json(options, _SEND_TYPES), conf_target, estimate_mode, fee_rate
        )
        pairs = self._funding.outputs(outputs)
        locktime = check_locktime(named.get("locktime", self._chain.tip.height))
        given = named.get("inputs", [])
        draft = Draft(
            outputs=[output for _, output in pairs],
            names=[name for name, _ in pairs],
            inputs=Funding.inputs(given, named, locktime),
            version=version,
            locktime=locktime,
            options={name: value for name, value in named.items() if name in FUNDING_TYPES},
            adds_inputs=not given,
        )
        return self._finished(self._funding.fund(draft).plan, named)

    @core_method(Category.WALLET, access=Access.AUTH, result=_SENT, errors=_ERRORS)
    def sendall(
        self,
        recipients: Annotated[
            list[Json],
            ARRAY,
            'addresses that share all there is; {"address": amount} gets so much before',
        ],
        conf_target: Annotated[int | None, INTEGER, TARGET] = None,
        estimate_mode: Annotated[str, STRING, MODE] = "unset",
        fee_rate: Annotated[Json, ANY, FEE_RATE] = None,
        options: Annotated[
            dict[str, Json],
            OBJECT,
            "inputs (spend these and no others), send_max (leave coins that are not worth their "
            "fee), minconf, maxconf, locktime, lock_unspents, add_to_wallet, psbt, replaceable",
        ] = {},  # noqa: B006 - never changed
    ) -> Json:
        """Spend all coins, or those that are named, without change."""
        named = _with_fee(
            options_from_json(options, _ALL_TYPES), conf_target, estimate_mode, fee_rate
        )
        if named.get("send_max") and "inputs" in named:
            raise invalid("Cannot combine send_max with specific inputs.")
        sharing = [each for each in recipients if isinstance(each, str)]
        if not sharing:
            raise invalid("Must provide at least one address without a specified amount")
        pairs = self._funding.outputs(
            [{each: 0} if isinstance(each, str) else each for each in recipients]
        )
        shares = {place for place, each in enumerate(recipients) if isinstance(each, str)}
        with self._chain.lock:
            plan = self._sweep(pairs, shares, named)
            if named.get("lock_unspents"):
                self._wallet.locks.add([txin.prevout for txin in plan.tx.vin])
        return self._finished(plan, named)

    def _sweep(
        self, pairs: list[tuple[str, TxOut]], shares: set[int], named: Mapping[str, Any]
    ) -> Plan:
        names, outputs = [name for name, _ in pairs], [output for _, output in pairs]
        scripts, rate = self._wallet.keychain.scripts, self._funding.rate(named)
        if "fee_rate" in named:
            check_least_rate(rate, RpcCode.INVALID_PARAMETER)
        locktime = check_locktime(named.get("locktime", self._chain.tip.height))

        def weight(coin: OwnCoin) -> int:
            return scripts[coin.script_pubkey].input_weight

        inputs = Funding.inputs(named.get("inputs", []), named, locktime)
        if inputs:
            coins = self._named_coins(inputs)
        else:
            coins = self._funding.coins(named)
            if named.get("send_max"):
                coins = [c for c in coins if c.value > calculate_fee(rate, weight(c) // 4)]
            inputs = Funding.inputs(
                [
                    {
                        "txid": hash_hex(coin.point[:32]),
                        "vout": outpoint_index(coin.point),
                    }
                    for coin in coins
                ],
                named,
                locktime,
            )
        bare = Transaction.build(named.get("version", 2), (), outputs, locktime)
        whole = bare.weight + 2 + sum(map(weight, coins)) + (8 if len(coins) > 252 else 0)
        fee = int(calculate_fee(rate, (whole + 3) // 4))
        total = sum([coin.value for coin in coins])
        rest = total - fee - sum([output.value for output in outputs])
        low = RpcCode.INSUFFICIENT_FUNDS
        if total <= fee:
            raise RpcError(
                low,
                "Total value of UTXO pool too low to pay for transaction. Try using lower feerate "
                "or excluding uneconomic UTXOs with 'send_max' option.",
            )
        if rest < 0:
            raise RpcError(low, "Assigned more value to outputs than available funds.")
        check_fee(fee)
        part, odd = divmod(rest, len(shares))
        for place, output in enumerate(outputs):
            value = output.value
            if place in shares:
                value = part + (odd if place == min(shares) else 0)
            outputs[place] = TxOut(value, output.script_pubkey)
            if value < calculate_dust_threshold(outputs[place], DUST_RATE):
                raise RpcError(
                    low if place in shares else RpcCode.INVALID_PARAMETER,
                    "Dynamically assigned remainder results in dust output."
                    if place in shares
                    else f"Specified output amount to {names[place]} is below dust threshold.",
                )
        tx = Transaction.build(named.get("version", 2), inputs, outputs, locktime)
        spent = tuple([TxOut(coin.value, coin.script_pubkey) for coin in coins])
        return Plan(tx, spent, fee, 0)

    def _named_coins(self, inputs: list[TxIn]) -> list[OwnCoin]:
        own = {each.coin.point: each.coin for each in self._wallet.unspent()}
        for txin in inputs:
            if txin.prevout not in own:
                name = f"{hash_hex(txin.prevout[:32])}:{outpoint_index(txin.prevout)}"
                raise invalid(f"Input not found. UTXO ({name}) is not part of wallet.")
        return [own[txin.prevout] for txin in inputs]

    def _finished(self, plan: Plan, named: Mapping[str, Any]) -> Json:
        """Sign a plan, and send it unless that is not wanted; what is answered."""
        bare = self._psbts.of_plan(plan)
        try:
            psbt, is_complete = self._psbts.processed(bare)
        except WalletLocked:
            psbt, is_complete = bare, False
        sends = named.get("add_to_wallet", True) and not named.get("psbt", False)
        form: dict[str, Json] = {}
        if not is_complete or not sends:
            form["psbt"] = self._psbts.text(psbt)
        if is_complete:
            tx = transaction_of(psbt)
            form["txid"] = hash_hex(tx.txid)
            if sends:
                self._pool.submit(tx)
            else:
                form["hex"] = tx.serialize().hex()
        return {**form, "complete": is_complete}


def _with_fee(
    named: dict[str, Any], conf_target: int | None, estimate_mode: str, fee_rate: Json
) -> dict[str, Any]:
    """The options with the fee's terms that were given beside them. Raises RpcError."""
    mode = None if estimate_mode == "unset" else estimate_mode
    if "conf_target" in named or "estimate_mode" in named:
        if conf_target is not None or mode is not None:
            raise invalid(
                "Pass conf_target and estimate_mode either as arguments or in the options object, "
                "but not both"
            )
        conf_target, mode = named.get("conf_target"), named.get("estimate_mode")
    if fee_rate is not None:
        if "fee_rate" in named:
            raise invalid(
                "Pass the fee_rate either as an argument, or in the options object, but not both"
            )
        named["fee_rate"] = fee_rate
    if conf_target is not None and mode in (None, "unset"):
        raise invalid("Specify estimate_mode")
    if mode not in (None, "unset") and conf_target is None and "fee_rate" not in named:
        raise invalid("estimate_mode should be passed with conf_target")
    told = {"conf_target": conf_target, "estimate_mode": mode}
    return named | {name: value for name, value in told.items() if value is not None}
