"""Core's methods that pay from the wallet by addresses: sendtoaddress, sendmany."""

from collections.abc import Sequence
from typing import Annotated

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.errors import InsufficientFunds, WalletError, WalletLocked
from misocoin.http.errors import RpcError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import SEQUENCE_REPLACEABLE, TxOut
from misocoin.rpc.core.fee_terms import check_fee_terms, places_from_json
from misocoin.rpc.core.funding import SEQUENCE_FIXED, Funding
from misocoin.rpc.core.kinds import COINS
from misocoin.rpc.core.util import script_of
from misocoin.rpc.core.wallet_coins import check_avoid_reuse
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import PAYING, RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json
from misocoin.rpc.params import ANY, ARRAY, BOOLEAN, INTEGER, OBJECT, STRING, invalid
from misocoin.rpc.schema import either, hexadecimal, obj, text
from misocoin.units import Sats
from misocoin.wallet.funding import Terms
from misocoin.wallet.wallet import Wallet

MIN_RATE = FeeRate(1_000)
"""Base units per 1,000 virtual bytes below which these two do not pay (Core's -mintxfee)."""

FEE_RATE = "base units per virtual byte, up to three decimals; by the mempool if left out"

TARGET = "blocks, 1 to 1008; the rate is the mempool's whatever it is"

MODE = "unset, economical or conservative; without effect here"

_SENT = either(
    "by `verbose`",
    hexadecimal("the payment's id"),
    obj("", txid=hexadecimal("the payment's id"), fee_reason=text("where the fee rate came from")),
)

_ERRORS = (*PAYING, RpcCode.INVALID_PARAMETER)


class CoreWalletPaying:
    """Payments from the node's wallet."""

    def __init__(
        self, chain: ChainState, pool: TransactionPool, wallet: Wallet, funding: Funding
    ) -> None:
        self._chain = chain
        self._pool = pool
        self._wallet = wallet
        self._funding = funding

    @core_method(Category.WALLET, access=Access.AUTH, result=_SENT, errors=_ERRORS)
    def sendtoaddress(
        self,
        address: Annotated[str, STRING, "whom to pay"],
        amount: Annotated[Sats, COINS, "how many coins"],
        comment: Annotated[str, STRING, "noted on the payment, in the wallet alone"] = "",
        comment_to: Annotated[str, STRING, "whom it pays, noted in the wallet alone"] = "",
        subtractfeefromamount: Annotated[bool, BOOLEAN, "the payee gets less by the fee"] = False,
        replaceable: Annotated[bool, BOOLEAN, "ask to be replaceable (BIP125)"] = True,
        conf_target: Annotated[int | None, INTEGER, TARGET] = None,
        estimate_mode: Annotated[str, STRING, MODE] = "unset",
        avoid_reuse: Annotated[bool | None, BOOLEAN, "must be false or left out"] = None,
        fee_rate: Annotated[Json, ANY, FEE_RATE] = None,
        verbose: Annotated[bool, BOOLEAN, "tell where the fee rate came from, too"] = False,
    ) -> Json:
        """Pay an address."""
        params = self._chain.params
        check_avoid_reuse(avoid_reuse)
        rate = check_fee_terms(conf_target, estimate_mode, fee_rate)
        if amount > params.max_money:
            raise RpcError(RpcCode.TYPE_ERROR, "Amount out of range")
        outputs = [TxOut(amount, script_of(address, params))]
        reducible = frozenset({0} if subtractfeefromamount else ())
        words = (comment, comment_to)
        return self._send(outputs, reducible, rate, words, replaceable, verbose)

    @core_method(Category.WALLET, access=Access.AUTH, result=_SENT, errors=_ERRORS)
    def sendmany(
        self,
        dummy: Annotated[str, STRING, 'must be ""'] = "",
        amounts: Annotated[dict[str, Json] | None, OBJECT, '{"address": coins, ...}'] = None,
        minconf: Annotated[int | None, INTEGER, "not looked at"] = None,
        comment: Annotated[str, STRING, "noted on the payment, in the wallet alone"] = "",
        subtractfeefrom: Annotated[
            list[Json], ARRAY, "addresses or places that get less by equal parts of the fee"
        ] = [],  # noqa: B006
        replaceable: Annotated[bool, BOOLEAN, "ask to be replaceable (BIP125)"] = True,
        conf_target: Annotated[int | None, INTEGER, TARGET] = None,
        estimate_mode: Annotated[str, STRING, MODE] = "unset",
        fee_rate: Annotated[Json, ANY, FEE_RATE] = None,
        verbose: Annotated[bool, BOOLEAN, "tell where the fee rate came from, too"] = False,
    ) -> Json:
        """Pay several addresses at once."""
        if dummy:
            raise invalid('Dummy value must be set to ""')
        if amounts is None:
            raise RpcError(RpcCode.MISC_ERROR, "sendmany needs amounts: see help sendmany")
        rate = check_fee_terms(conf_target, estimate_mode, fee_rate)
        pairs = self._funding.outputs(amounts)
        reducible = places_from_json(subtractfeefrom, [name for name, _ in pairs])
        outputs = [output for _, output in pairs]
        return self._send(outputs, reducible, rate, (comment, ""), replaceable, verbose)

    def _send(
        self,
        outputs: Sequence[TxOut],
        reducible: frozenset[int],
        asked: FeeRate | None,
        words: tuple[str, str],
        replaceable: bool,
        verbose: bool,
    ) -> Json:
        code = RpcCode.INSUFFICIENT_FUNDS  # Core's for whatever stands in the way of a payment
        if not outputs:
            raise RpcError(code, "Transaction must have at least one recipient")
        self._funding.check_outputs(outputs, code)
        if asked is not None:
            check_least_rate(asked, code)
        with self._chain.lock:
            rate = max(MIN_RATE, self._pool.fee_rate()) if asked is None else asked
            terms = Terms(
                rate=rate,
                reducible=reducible,
                locktime=self._chain.tip.height,
                sequence=SEQUENCE_REPLACEABLE if replaceable else SEQUENCE_FIXED,
            )
        try:
            payment = self._wallet.pay_by(
                lambda coins: self._wallet.fund(outputs, coins, terms).plan,
                outputs,
                self._pool.submit,
                note=words[0],
                payee=words[1],
            )
        except (WalletLocked, InsufficientFunds):
            raise
        except WalletError as error:
            raise RpcError(code, str(error)) from None
        txid = hash_hex(payment.tx.txid)
        reason = "Minimum Required Fee" if asked is None else "PayTxFee set"
        return {"txid": txid, "fee_reason": reason} if verbose else txid


def check_least_rate(rate: FeeRate, code: RpcCode) -> None:
    """Check that a rate is no lower than the wallet pays; raises RpcError."""
    if rate < MIN_RATE:
        raise RpcError(
            code,
            f"Fee rate ({_text_of(rate)} sat/vB) is lower than the minimum fee rate setting "
            f"({_text_of(MIN_RATE)} sat/vB)",
        )


def _text_of(rate: FeeRate) -> str:
    return f"{rate // 1000}.{rate % 1000:03d}"
