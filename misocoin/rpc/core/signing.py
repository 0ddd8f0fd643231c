"""Core's methods that sign transactions, with keys that are given or with the wallet's."""

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

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
    outpoint,
    outpoint_index,
)
from misocoin.rpc.core.descriptors import expansion_of
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json
from misocoin.rpc.params import ARRAY, HASH, HEX, STRING, TRANSACTION, invalid
from misocoin.rpc.schema import array, boolean, hexadecimal, number, obj, optional, text
from misocoin.script.flags import STANDARD
from misocoin.script.inputs import verify_input
from misocoin.script.sighash import (
    SIGHASH_ALL,
    SIGHASH_ANYONECANPAY,
    SIGHASH_DEFAULT,
    SIGHASH_NONE,
    SIGHASH_SINGLE,
    TxDigests,
)
from misocoin.script.signing import KeyRing, KeySource, sign_input
from misocoin.script.taproot import TaprootOutput
from misocoin.units import sats_from_json

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

_UNKNOWN_HEIGHT = 1

_UNKNOWN_VALUE = -1
"""Of an output whose amount the caller does not tell: only signatures by witness sign it."""

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

_PREVTXS = (
    'outputs that are not known: objects {"txid", "vout", "scriptPubKey", "redeemScript", '
    '"witnessScript", "amount", "desc"}; beyond Core, a descriptor ("desc") stands for the scripts '
    "behind hashes, and for what a taproot output commits to"
)
_HASH_TYPE = "DEFAULT, ALL, NONE or SINGLE, the last three also with |ANYONECANPAY"


class _Known(NamedTuple):
    """What outputs commit to."""

    scripts: list[bytes]
    """Behind hashes."""
    taproot: list[TaprootOutput]


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
        coins, known = self._given(prevtxs)
        ring = KeyRing.build(keys, known.scripts, known.taproot)
        return self._sign(hexstring, coins, ring, sighashtype)

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
        coins, _ = self._given(prevtxs)
        coins = self._coins(hexstring, coins)
        ring = self._ring_for([coin.script_pubkey for coin in coins.values()])
        return self._sign(hexstring, coins, ring, sighashtype)

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
                    RpcCode.DESERIALIZATION_ERROR, "Previous output scriptPubKey mismatch"
                )
            if told is None or coin.value != _UNKNOWN_VALUE:
                known[point] = coin
        return known

    def _given(self, prevtxs: list[Json]) -> tuple[dict[OutPoint, Coin], "_Known"]:
        """The coins that the caller tells of, and what is behind their scripts."""
        coins: dict[OutPoint, Coin] = {}
        known = _Known([], [])
        for each in prevtxs:
            if not isinstance(each, dict):
                raise RpcError(
                    RpcCode.DESERIALIZATION_ERROR,
                    'expected object with {"txid","vout","scriptPubKey"}',
                )
            txid = HASH.parse(_string(each, "txid"), "txid")
            index = each.get("vout")
            if type(index) is not int or not 0 <= index <= 0xFFFFFFFF:
                raise RpcError(RpcCode.DESERIALIZATION_ERROR, "vout cannot be negative")
            script = HEX.parse(_string(each, "scriptPubKey"), "scriptPubKey")
            point = outpoint(txid, index)
            value = sats_from_json(each["amount"]) if "amount" in each else _UNKNOWN_VALUE
            coins[point] = Coin(value, script, _UNKNOWN_HEIGHT, False)
            known.scripts.extend(
                HEX.parse(_string(each, name), name)
                for name in ("redeemScript", "witnessScript")
                if name in each
            )
            if "desc" in each:
                expansion = expansion_of(_string(each, "desc"), self._chain.params)
                if script not in [output for output, _ in expansion.outputs]:
                    raise invalid("desc does not stand for scriptPubKey")
                known.scripts.extend(expansion.scripts)
                known.taproot.extend(filter(None, [expansion.taproot]))
        return coins, known

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
        # An unknown coin stands for itself in the digests: taproot's sign them all.
        blank = Coin(0, b"", _UNKNOWN_HEIGHT, False)
        spent = [coins.get(txin.prevout, blank) for txin in tx.vin]
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
    txin = digests.tx.vin[index]
    if txin.witness and digests.spent[index].value == _UNKNOWN_VALUE:
        return "Missing amount"
    error = verify_input(digests, index, STANDARD)
    if error is None:
        return None
    if not txin.script_sig and not txin.witness:
        return "Unable to sign input, invalid stack size (possibly missing key)"
    return error.message


def _error_json(txin: TxIn, error: str) -> dict[str, Any]:
    return {
        "txid": hash_hex(txin.prevout[:32]),
        "vout": outpoint_index(txin.prevout),
        "witness": [element.hex() for element in txin.witness],
        "scriptSig": txin.script_sig.hex(),
        "sequence": txin.sequence,
        "error": error,
    }


def _key(text: Json, version: int) -> PrivateKey:
    try:
        if isinstance(text, str):
            return key_from_wif(text, version)
    except KeyFormatError:
        pass
    raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, "Invalid private key")


def _string(given: dict[str, Json], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise RpcError(RpcCode.TYPE_ERROR, f"Missing {name}, or it is no string")
    return value
