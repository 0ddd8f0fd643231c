"""Core's methods that sign transactions, with keys that are given or with the wallet's."""

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Annotated, Any

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.consensus.coins import Coin
from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.wif import key_from_wif
from misocoin.errors import KeyFormatError, WalletError
from misocoin.http.errors import RpcError
from misocoin.primitives.transaction import (
    OutPoint,
    Transaction,
    TxIn,
    outpoint_index,
)
from misocoin.rpc.core.prevouts import UNKNOWN_VALUE, prevouts_from_json
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json
from misocoin.rpc.params import ARRAY, STRING, TRANSACTION, invalid, transaction_from_hex
from misocoin.rpc.schema import array, boolean, hexadecimal, number, obj, optional, text
from misocoin.script.asm import asm_from_script
from misocoin.script.flags import STANDARD
from misocoin.script.inputs import verify_input
from misocoin.script.result import ScriptError
from misocoin.script.script import operations, push_data
from misocoin.script.sighash import (
    SIGHASH_ALL,
    SIGHASH_ANYONECANPAY,
    SIGHASH_DEFAULT,
    SIGHASH_NONE,
    SIGHASH_SINGLE,
    TxDigests,
)
from misocoin.script.signing import KeyRing, KeySource, sign_input

HASH_TYPES = MappingProxyType(
    {
        "DEFAULT": SIGHASH_DEFAULT,
        "ALL": SIGHASH_ALL,
        "NONE": SIGHASH_NONE,
        "SINGLE": SIGHASH_SINGLE,
        "ALL|ANYONECANPAY": SIGHASH_ALL | SIGHASH_ANYONECANPAY,
        "NONE|ANYONECANPAY": SIGHASH_NONE | SIGHASH_ANYONECANPAY,
        "SINGLE|ANYONECANPAY": SIGHASH_SINGLE | SIGHASH_ANYONECANPAY,
    }
)
"""What a signature may sign, by Core's names."""

_BLANK = Coin(0, b"", 1, False)
"""Stands for an unknown coin in the digests: taproot's sign them all."""

_SIGNED = obj(
    "",
    hex=hexadecimal("the transaction, as far as it is signed"),
    complete=boolean("whether all inputs are"),
    errors=optional(
        array(
            "the inputs that are not",
            obj(
                "",
                txid=hexadecimal("what the input spends"),
                vout=number("which of its outputs"),
                witness=array("the input's witness", hexadecimal("an element")),
                scriptSig=hexadecimal("the input's script"),
                sequence=number("the input's sequence number"),
                error=text("what is missing or wrong"),
            ),
        )
    ),
)

_WORDS = MappingProxyType(
    {
        ScriptError.INVALID_STACK_OPERATION: (
            "Unable to sign input, invalid stack size (possibly missing key)"
        ),
        ScriptError.NULLFAIL: (
            "CHECK(MULTI)SIG failing with non-zero signature (possibly need more signatures)"
        ),
    }
)
"""What an input that is not signed is said to fail by, where that is not the script's error."""

_PREVTXS = (
    'outputs that are not known: objects {"txid", "vout", "scriptPubKey", "redeemScript", '
    '"witnessScript", "amount", "desc"}; beyond Core, a descriptor ("desc") stands for the scripts '
    "behind hashes, and for what a taproot output commits to"
)
_HASH_TYPE = "DEFAULT, ALL, NONE or SINGLE, the last three also with |ANYONECANPAY"


class CoreSigning:
    """Signatures for transactions."""

    def __init__(
        self,
        chain: ChainState,
        mempool: Mempool,
        ring_for: Callable[[Iterable[bytes]], KeyRing],
    ) -> None:
        """`ring_for` gives the wallet's keys for output scripts."""
        self._chain = chain
        self._mempool = mempool
        self._ring_for = ring_for

    @core_method(
        Category.TRANSACTIONS,
        access=Access.AUTH,
        result=_SIGNED,
        errors=(
            RpcCode.INVALID_ADDRESS_OR_KEY,
            RpcCode.INVALID_PARAMETER,
            RpcCode.DESERIALIZATION_ERROR,
        ),
    )
    def signrawtransactionwithkey(
        self,
        hexstring: Annotated[Transaction, TRANSACTION, "the transaction"],
        privkeys: Annotated[list[Json], ARRAY, "private keys in WIF"],
        prevtxs: Annotated[list[Json], ARRAY, _PREVTXS] = [],  # noqa: B006 - never changed
        sighashtype: Annotated[str, STRING, _HASH_TYPE] = "DEFAULT",
    ) -> Json:
        """Sign a transaction's inputs with keys that are given."""
        keys = [_key(each, self._chain.params.address.wif) for each in privkeys]
        told = prevouts_from_json(prevtxs, self._chain.params, with_scripts=True)
        ring = KeyRing.build(keys, told.scripts, told.taproot)
        return self._sign(hexstring, told.coins, ring, sighashtype)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=_SIGNED,
        errors=(
            RpcCode.INVALID_ADDRESS_OR_KEY,
            RpcCode.INVALID_PARAMETER,
            RpcCode.WALLET_UNLOCK_NEEDED,
            RpcCode.DESERIALIZATION_ERROR,
        ),
    )
    def signrawtransactionwithwallet(
        self,
        hexstring: Annotated[Transaction, TRANSACTION, "the transaction"],
        prevtxs: Annotated[list[Json], ARRAY, _PREVTXS] = [],  # noqa: B006 - never changed
        sighashtype: Annotated[str, STRING, _HASH_TYPE] = "DEFAULT",
    ) -> Json:
        """Sign a transaction's inputs with the wallet's keys."""
        told = prevouts_from_json(prevtxs, self._chain.params, with_scripts=False)
        coins = self._coins(hexstring, told.coins)
        ring = self._ring_for([coin.script_pubkey for coin in coins.values()])
        return self._sign(hexstring, coins, ring, sighashtype)

    @core_method(
        Category.TRANSACTIONS,
        access=Access.AUTH,
        result=hexadecimal("the transaction with the signatures of all"),
        errors=(
            RpcCode.INVALID_PARAMETER,
            RpcCode.DESERIALIZATION_ERROR,
            RpcCode.VERIFY_ERROR,
        ),
    )
    def combinerawtransaction(
        self,
        txs: Annotated[list[Json], ARRAY, "one transaction in hex, signed by several in part"],
    ) -> Json:
        """Put the signatures of several versions of a transaction into one."""
        versions = [_version(each, place) for place, each in enumerate(txs)]
        if not versions:
            raise RpcError(RpcCode.DESERIALIZATION_ERROR, "Missing transactions")
        first = versions[0]
        coins = self._coins(first, {})
        if len(coins) < len({txin.prevout for txin in first.vin}):
            raise RpcError(RpcCode.VERIFY_ERROR, "Input not found or already spent")
        digests = TxDigests(first, [coins[txin.prevout] for txin in first.vin])
        vin = [
            _merged([tx.vin[index] for tx in versions if index < len(tx.vin)], digests, index)
            for index in range(len(first.vin))
        ]
        return Transaction.build(first.version, vin, first.vout, first.locktime).serialize().hex()

    def _coins(self, tx: Transaction, given: dict[OutPoint, Coin]) -> dict[OutPoint, Coin]:
        points = [txin.prevout for txin in tx.vin]
        with self._chain.lock:
            known = dict(self._chain.get_coins(points))
            for point in points:
                coin = self._mempool.get_output(point)
                if coin is not None:
                    known[point] = coin
        for point, coin in given.items():
            told = known.get(point)
            if told is not None and coin.script_pubkey != told.script_pubkey:
                raise RpcError(
                    RpcCode.DESERIALIZATION_ERROR,
                    "Previous output scriptPubKey mismatch:\n"
                    f"{asm_from_script(told.script_pubkey)}\nvs:\n"
                    f"{asm_from_script(coin.script_pubkey)}",
                )
            if told is None or coin.value != UNKNOWN_VALUE:
                known[point] = coin
        return known

    def _sign(
        self,
        tx: Transaction,
        given: dict[OutPoint, Coin],
        keys: KeySource,
        hash_name: str,
    ) -> Json:
        if hash_name not in HASH_TYPES:
            raise invalid(f"'{hash_name[:40]}' is not a valid sighash parameter.")
        coins = self._coins(tx, given)
        spent = [coins.get(txin.prevout, _BLANK) for txin in tx.vin]
        digests = TxDigests(tx, spent)
        vin = list(tx.vin)
        for index, txin in enumerate(tx.vin):
            if txin.prevout in coins:
                vin[index] = _signed(digests, index, keys, HASH_TYPES[hash_name])
        signed = Transaction.build(tx.version, vin, tx.vout, tx.locktime)
        digests = TxDigests(signed, spent)
        errors = []
        for index, txin in enumerate(signed.vin):
            error = _error(digests, index, is_known=txin.prevout in coins)
            if error is not None:
                errors.append(_error_json(txin, error))
        form: dict[str, Json] = {"hex": signed.serialize().hex(), "complete": not errors}
        if errors:
            form["errors"] = errors
        return form


def _signed(digests: TxDigests, index: int, keys: KeySource, hash_type: int) -> TxIn:
    """The input with what signatures can be made; as it was where none can."""
    try:
        return sign_input(digests, index, keys, hash_type, is_partial=True)
    except WalletError:
        return digests.tx.vin[index]


def _error(digests: TxDigests, index: int, *, is_known: bool) -> str | None:
    if not is_known:
        return "Input not found or already spent"
    coin = digests.spent[index]
    if digests.tx.vin[index].witness and coin.value == UNKNOWN_VALUE:
        shown = f"nValue=21000000.00000000, scriptPubKey={coin.script_pubkey.hex()[:30]}"
        raise RpcError(RpcCode.TYPE_ERROR, f"Missing amount for CTxOut({shown})")
    error = verify_input(digests, index, STANDARD)
    return None if error is None else _WORDS.get(error, error.message)


def _error_json(txin: TxIn, error: str) -> dict[str, Any]:
    return {
        "txid": hash_hex(txin.prevout[:32]),
        "vout": outpoint_index(txin.prevout),
        "witness": [element.hex() for element in txin.witness],
        "scriptSig": txin.script_sig.hex(),
        "sequence": txin.sequence,
        "error": error,
    }


def _version(value: Json, place: int) -> Transaction:
    refusal = f"TX decode failed for tx {place}. Make sure the tx has at least one input."
    return transaction_from_hex(STRING.parse(value, "tx"), refusal=refusal)


def _merged(versions: list[TxIn], digests: TxDigests, index: int) -> TxIn:
    """An input with what several versions of it hold; `digests` are of one without signatures."""
    pushes = [[data for _, data in operations(each.script_sig) if data] for each in versions]
    scripts = [data[-1] for data in (*pushes, *(each.witness for each in versions)) if data]
    whole = versions[0]._replace(
        script_sig=b"".join(push_data(data) for each in pushes for data in each),
        witness=tuple(element for each in versions for element in each.witness),
    )
    vin = list(digests.tx.vin)
    vin[index] = whole
    tx = Transaction.build(digests.tx.version, vin, digests.tx.vout, digests.tx.locktime)
    try:
        return sign_input(
            TxDigests(tx, digests.spent), index, KeyRing.build((), scripts), is_partial=True
        )
    except WalletError:
        return max(versions, key=lambda each: len(each.script_sig) + len(each.witness))


def _key(text: Json, version: int) -> PrivateKey:
    try:
        return key_from_wif(STRING.parse(text, "privatekey"), version)
    except KeyFormatError:
        raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, "Invalid private key") from None
