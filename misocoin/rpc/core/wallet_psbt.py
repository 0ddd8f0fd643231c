"""Core's methods by which the wallet takes part in partially signed transactions (BIP174)."""

from base64 import b64decode
from typing import Annotated

from misocoin.chain.state import ChainState
from misocoin.errors import MisocoinError, ParseError, WalletError, WalletLocked
from misocoin.http.errors import RpcError
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.rpc.core.funding import FUNDING_TYPES, Draft, Funding, options_from_json
from misocoin.rpc.core.kinds import OUTPUTS
from misocoin.rpc.core.signing import HASH_TYPES
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import ARRAY, BOOLEAN, LONG, OBJECT, STRING, invalid
from misocoin.rpc.schema import boolean, coins, hexadecimal, number, obj, optional, text
from misocoin.wallet.psbt import (
    InputType,
    Psbt,
    create_psbt,
    frozen,
    psbt_from_text,
    tell_spent,
    text_from_psbt,
    update_psbt,
)
from misocoin.wallet.psbt_signing import extract_transaction, finalize_what_is_signed, sign_psbt
from misocoin.wallet.spending import Plan
from misocoin.wallet.wallet import Wallet

_BIP32_KEYS = frozenset({InputType.BIP32, InputType.TAP_BIP32})


class WalletPsbts:
    """Makes and signs PSBTs with what the wallet knows."""

    def __init__(self, chain: ChainState, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet

    def of_plan(self, plan: Plan) -> Psbt:
        """A plan as a PSBT, with all that its signers need."""
        with self._chain.lock:
            return create_psbt(plan.tx, plan.spent, self._wallet.keychain.scripts, self._previous)

    def processed(
        self, psbt: Psbt, *, sign: bool = True, tell_paths: bool = True, finish: bool = True
    ) -> tuple[Psbt, bool]:
        """Add what the wallet knows and signs; also whether that is all there is to sign.

        Raises WalletLocked, or WalletError for a PSBT that contradicts itself.
        """
        with self._chain.lock:
            keychain, ledger = self._wallet.keychain, self._wallet.ledger
            own = [ledger.own_output(txin.prevout) for txin in psbt.tx.vin]
            spent = {each.point: TxOut(each.value, each.script_pubkey) for each in own if each}
            told = tell_spent(psbt, keychain.scripts, spent, self._previous)
            told = update_psbt(told, keychain.scripts)
            if sign:
                told, _ = sign_psbt(told, keychain.secrets.private_key)
        finished, is_complete = finalize_what_is_signed(told)
        result = finished if finish else told
        is_complete = is_complete and finish
        return result if tell_paths else _without_new_paths(result, psbt), is_complete

    @staticmethod
    def text(psbt: Psbt) -> str:
        """A PSBT in base64."""
        return text_from_psbt(psbt)

    def _previous(self, txid: bytes) -> bytes | None:
        entry = self._wallet.ledger.get(txid)
        return None if entry is None else entry.tx.serialize(witness=False)


def _without_new_paths(psbt: Psbt, before: Psbt) -> Psbt:
    """Leave out the paths of keys that `before` had not."""
    inputs = tuple(
        frozen({k: v for k, v in now.items() if k[0] not in _BIP32_KEYS or k in old})
        for now, old in zip(psbt.inputs, before.inputs, strict=True)
    )
    return Psbt(psbt.tx, psbt.fields, inputs, before.outputs)


def psbt_from_param(given: str) -> Psbt:
    """Read a PSBT in base64. Raises RpcError."""
    try:
        b64decode(given, validate=True)
    except ValueError:
        raise RpcError(RpcCode.DESERIALIZATION_ERROR, "TX decode failed invalid base64") from None
    try:
        return psbt_from_text(given.encode())
    except ParseError as error:
        raise RpcError(RpcCode.DESERIALIZATION_ERROR, f"TX decode failed {error}") from None


class CoreWalletPsbt:
    """The wallet's part in PSBTs."""

    def __init__(self, psbts: WalletPsbts, funding: Funding) -> None:
        self._psbts = psbts
        self._funding = funding

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "",
            psbt=text("the PSBT, in base64"),
            fee=coins("what it pays"),
            changepos=number("which output is change; -1 for none"),
        ),
        errors=(
            RpcCode.WALLET_ERROR,
            RpcCode.INVALID_ADDRESS_OR_KEY,
            RpcCode.INVALID_PARAMETER,
            RpcCode.TYPE_ERROR,
        ),
    )
    def walletcreatefundedpsbt(
        self,
        inputs: Annotated[
            list[Json], ARRAY, 'coins to spend in any case: objects {"txid", "vout", "sequence"}'
        ],
        outputs: Annotated[
            list[Json] | dict[str, Json],
            OUTPUTS,
            'what to pay: {"address": amount, ...}, or an array of such; {"data": hex}',
        ],
        locktime: Annotated[int, LONG, "first height or unix time of its block"] = 0,
        options: Annotated[dict[str, Json], OBJECT, "as fundrawtransaction's"] = {},  # noqa: B006 - never changed
        bip32derivs: Annotated[bool, BOOLEAN, "tell where the keys come from"] = True,
        version: Annotated[int, LONG, "the transaction's version"] = 2,
    ) -> Json:
        """Make a PSBT that the wallet pays for, with inputs and change; nothing is signed."""
        named = options_from_json(options, FUNDING_TYPES)
        pairs = self._funding.outputs(outputs)
        draft = Draft(
            outputs=[output for _, output in pairs],
            names=[name for name, _ in pairs],
            inputs=Funding.inputs(inputs, named, locktime),
            version=version,
            locktime=check_locktime(locktime),
            options=named,
            adds_inputs=not inputs,
        )
        plan, place = self._funding.fund(draft)
        psbt = self._psbts.of_plan(plan)
        if not bip32derivs:
            nothing = frozen({})
            bare = Psbt(
                psbt.tx, psbt.fields, (nothing,) * len(psbt.inputs), (nothing,) * len(psbt.outputs)
            )
            psbt = _without_new_paths(psbt, bare)
        return {
            "psbt": text_from_psbt(psbt),
            "fee": amount(plan.fee),
            "changepos": -1 if place is None else place,
        }

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "",
            psbt=text("the PSBT, in base64"),
            complete=boolean("whether all signatures are there"),
            hex=optional(hexadecimal("the transaction, if they are and it is finished")),
        ),
        errors=(
            RpcCode.WALLET_ERROR,
            RpcCode.INVALID_PARAMETER,
            RpcCode.WALLET_UNLOCK_NEEDED,
            RpcCode.DESERIALIZATION_ERROR,
        ),
    )
    def walletprocesspsbt(
        self,
        psbt: Annotated[str, STRING, "the PSBT, in base64"],
        sign: Annotated[bool, BOOLEAN, "sign it, too"] = True,
        sighashtype: Annotated[str, STRING, "DEFAULT or ALL: others are not signed for"] = (
            "DEFAULT"
        ),
        bip32derivs: Annotated[bool, BOOLEAN, "tell where the keys come from"] = True,
        finalize: Annotated[bool, BOOLEAN, "finish the inputs that can be"] = True,
    ) -> Json:
        """Add to a PSBT what the wallet knows of its inputs, and its signatures."""
        if sighashtype not in HASH_TYPES:
            raise invalid(f"'{sighashtype[:40]}' is not a valid sighash parameter.")
        if sighashtype not in ("DEFAULT", "ALL"):
            raise RpcError(RpcCode.WALLET_ERROR, "the wallet signs PSBTs for ALL alone")
        given = psbt_from_param(psbt)
        try:
            done, is_complete = self._psbts.processed(
                given, sign=sign, tell_paths=bip32derivs, finish=finalize
            )
        except WalletLocked:
            raise
        except (WalletError, ParseError) as error:
            raise RpcError(RpcCode.WALLET_ERROR, str(error)) from None
        form: dict[str, Json] = {"psbt": text_from_psbt(done), "complete": is_complete}
        if is_complete:
            form["hex"] = transaction_of(done).serialize().hex()
        return form


def transaction_of(psbt: Psbt) -> Transaction:
    """The signed transaction of a PSBT whose inputs are all finished. Raises RpcError."""
    try:
        return extract_transaction(psbt)
    except MisocoinError as error:
        raise RpcError(RpcCode.WALLET_ERROR, str(error)) from None


def check_locktime(locktime: int) -> int:
    """Check that a number is a lock time; raises RpcError."""
    if not 0 <= locktime <= 0xFFFFFFFF:
        raise invalid("Invalid parameter, locktime out of range")
    return locktime
