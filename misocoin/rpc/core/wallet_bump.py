"""Core's methods that raise the fee of a payment that waits: bumpfee, psbtbumpfee."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.errors import NotFoundError, WalletError, WalletLocked
from misocoin.http.errors import RpcError
from misocoin.policy.feerate import FeeRate, calculate_fee
from misocoin.primitives.transaction import TxOut
from misocoin.rpc.core.fee_terms import check_fee_terms
from misocoin.rpc.core.funding import Funding, options_from_json
from misocoin.rpc.core.wallet_psbt import WalletPsbts
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import HASH, OBJECT, invalid
from misocoin.rpc.schema import array, coins, hexadecimal, obj, text
from misocoin.units import text_from_sats
from misocoin.wallet.bumping import STEP, Offer, plan_bump
from misocoin.wallet.ledger import TxState, WalletTx
from misocoin.wallet.spending import MAX_FEE, Plan, check_fee, sign_plan
from misocoin.wallet.wallet import Wallet

USUAL_STEP = FeeRate(5_000)
"""Base units per 1,000 virtual bytes by which a rate rises that is left to the node, as Core's."""

_OPTIONS: Final[Mapping[str, str]] = {
    "conf_target": "number",
    "fee_rate": "",
    "replaceable": "bool",
    "estimate_mode": "string",
    "outputs": "",
    "original_change_index": "number",
}

_OPTIONS_HELP = (
    "fee_rate (base units per virtual byte), outputs (what to pay instead), "
    "original_change_index (which output is change), conf_target, estimate_mode, replaceable"
)

_ERRORS = (
    RpcCode.WALLET_ERROR,
    RpcCode.INVALID_ADDRESS_OR_KEY,
    RpcCode.INVALID_PARAMETER,
    RpcCode.WALLET_UNLOCK_NEEDED,
)

_FEES = {
    "origfee": coins("what the payment in whose place it is has offered"),
    "fee": coins("what it offers"),
    "errors": array("always empty", text("a sentence")),
}


class _Bump(NamedTuple):
    plan: Plan
    old_fee: int


class CoreWalletBump:
    """Raises fees."""

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
        result=obj("", txid=hexadecimal("the payment in its place"), **_FEES),
        errors=(*_ERRORS, RpcCode.VERIFY_ERROR, RpcCode.VERIFY_REJECTED),
    )
    def bumpfee(
        self,
        txid: Annotated[bytes, HASH, "the payment that waits"],
        options: Annotated[dict[str, Json], OBJECT, _OPTIONS_HELP] = {},  # noqa: B006
    ) -> Json:
        """Put a payment with a higher fee in the place of one that waits for its block."""
        with self._chain.lock:
            self._wallet.keychain.ring_for(())  # nothing is planned for a wallet that is locked
            bump = self._plan(txid, options)
            ring = self._wallet.keychain.ring_for(bump.plan.scripts)
            payment = sign_plan(bump.plan, ring)
        self._pool.submit(payment.tx)
        self._wallet.note_replacement(txid, payment.tx.txid)
        return {"txid": hash_hex(payment.tx.txid), **_fees_json(bump)}

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj("", psbt=text("the payment in its place, unsigned, in base64"), **_FEES),
        errors=_ERRORS,
    )
    def psbtbumpfee(
        self,
        txid: Annotated[bytes, HASH, "the payment that waits"],
        options: Annotated[dict[str, Json], OBJECT, _OPTIONS_HELP] = {},  # noqa: B006
    ) -> Json:
        """Make what `bumpfee` would send, as a PSBT; nothing is signed or sent."""
        with self._chain.lock:
            self._wallet.keychain.ring_for(())
            bump = self._plan(txid, options)
            psbt = self._psbts.of_plan(bump.plan)
        return {"psbt": self._psbts.text(psbt), **_fees_json(bump)}

    def _plan(self, txid: bytes, given: dict[str, Json]) -> _Bump:
        options = options_from_json(given, _OPTIONS)
        told = check_fee_terms(*map(options.get, ("conf_target", "estimate_mode", "fee_rate")))
        if "outputs" in options and "original_change_index" in options:
            raise invalid(
                "The options 'outputs' and 'original_change_index' are incompatible. You can only "
                "either specify a new set of outputs, or designate a change output to be recycled."
            )
        offer = self._offer(txid, options)
        rate = told
        if rate is None:
            rate = max(FeeRate(offer.rate + USUAL_STEP), self._pool.fee_rate())
        else:
            _check_enough(offer, rate)
        wallet = self._wallet
        scripts = wallet.keychain.scripts
        try:
            plan = plan_bump(
                offer,
                self._funding.coins({}),
                lambda script: scripts[script].input_weight,
                wallet.keychain.change_script(),
                rate,
                self._chain.tip.height,
            )
            check_fee(plan.fee)
        except WalletLocked:
            raise
        except WalletError as error:
            raise RpcError(RpcCode.WALLET_ERROR, str(error)) from None
        if options.get("replaceable") is False:
            vin = [txin._replace(sequence=0xFFFFFFFE) for txin in plan.tx.vin]
            tx = plan.tx.build(plan.tx.version, vin, plan.tx.vout, plan.tx.locktime)
            plan = plan._replace(tx=tx)
        return _Bump(plan, offer.fee)

    def _offer(self, txid: bytes, options: Mapping[str, Any]) -> Offer:
        entry = self._wallet.find(txid)
        if entry is None:
            raise NotFoundError("Invalid or non-wallet transaction id")
        self._check_waits(entry)
        tx, ledger = entry.tx, self._wallet.ledger
        change = options.get("original_change_index")
        if change is not None and not 0 <= change < len(tx.vout):
            raise invalid("Change position is out of range")
        spent = [ledger.own_output(txin.prevout) for txin in tx.vin]
        own = [TxOut(each.value, each.script_pubkey) for each in spent if each is not None]
        if len(own) < len(tx.vin):
            raise RpcError(
                RpcCode.WALLET_ERROR,
                "Transaction contains inputs that don't belong to this wallet",
            )
        instead = None
        if "outputs" in options:
            pairs = self._funding.outputs(options["outputs"])
            if not pairs:
                raise invalid("Invalid parameter, output argument cannot be an empty array")
            instead = tuple([output for _, output in pairs])
            self._funding.check_outputs(instead, RpcCode.WALLET_ERROR)
        elif change is None:
            is_change = [self._wallet.is_change(output.script_pubkey) for output in tx.vout]
            change = is_change.index(True) if True in is_change else None
        return Offer(tx, tuple(own), change, instead)

    def _check_waits(self, entry: WalletTx) -> None:
        """Check that a payment can be replaced; raises RpcError."""
        if self._wallet.ledger.has_child(entry.txid):
            raise invalid("Transaction has descendants in the wallet")
        if len(self._pool.mempool.descendants(entry.txid)) > 0:
            raise invalid("Transaction has descendants in the mempool")
        conflicts = self._wallet.ledger.conflicts(entry.txid)
        is_lost = any(
            found.entry.state is TxState.CONFIRMED
            for found in map(self._wallet.shown, conflicts)
            if found is not None
        )
        if entry.state is TxState.CONFIRMED or is_lost:
            raise RpcError(
                RpcCode.WALLET_ERROR,
                "Transaction has been mined, or is conflicted with a mined transaction",
            )
        by = self._wallet.keychain.file.replaced.get(hash_hex(entry.txid))
        if by is not None:
            raise RpcError(
                RpcCode.WALLET_ERROR,
                f"Cannot bump transaction {hash_hex(entry.txid)} which was already bumped by "
                f"transaction {by}",
            )


def _check_enough(offer: Offer, rate: FeeRate) -> None:
    """Check that a rate pays for passing on another payment, and not too much; raises RpcError."""
    vsize = (offer.tx.weight + 3) // 4
    total, step = int(calculate_fee(rate, vsize)), int(calculate_fee(STEP, vsize))
    if total > MAX_FEE:
        raise RpcError(
            RpcCode.WALLET_ERROR,
            f"Specified or calculated fee {_money(total)} is too high (cannot be higher than "
            f"-maxtxfee {_money(MAX_FEE)})",
        )
    if total < offer.fee + step:
        raise invalid(
            f"Insufficient total fee {_money(total)}, must be at least {_money(offer.fee + step)} "
            f"(oldFee {_money(offer.fee)} + incrementalFee {_money(step)})"
        )


def _money(sats: int) -> str:
    """Coins with as many decimals as are needed, two at least."""
    text = text_from_sats(sats)
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _fees_json(bump: _Bump) -> dict[str, Json]:
    return {"origfee": amount(bump.old_fee), "fee": amount(bump.plan.fee), "errors": []}
