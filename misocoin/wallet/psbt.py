"""Partially signed transactions, passed between those who have to sign (BIP174, version 0).

A file is a few maps of bytes to bytes: one for all, one for each input and output. They are kept
as they came, what is unknown included, and read through the functions here. Taproot's fields are
BIP371's, for key path spends. Who signs and finishes is in `psbt_signing.py`.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from types import MappingProxyType

from misocoin.codec import Reader, var_bytes
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import is_public_key
from misocoin.errors import ParseError, WalletError
from misocoin.primitives.transaction import (
    OutPoint,
    Transaction,
    TxOut,
    outpoint_index,
    transaction_from_bytes,
)
from misocoin.wallet.addresses import AddressType, KeyOrigin, OwnAddress

MAGIC = b"psbt\xff"

MAX_SIZE = 16_000_000
"""Bytes of a file that is read."""

# Types of keys: of the global map, of an input's, of an output's.
_GLOBAL_TX, _GLOBAL_XPUB, _GLOBAL_VERSION = 0x00, 0x01, 0xFB


class InputType(IntEnum):
    """The types of an input's keys that are known here."""

    TX = 0
    """The whole transaction that is spent."""
    UTXO = 1
    """The output alone, for segwit."""
    PARTIAL = 2
    """A signature, by public key."""
    SIGHASH = 3
    REDEEM = 4
    """The script behind P2SH."""
    WITNESS = 5
    """The script behind P2WSH."""
    BIP32 = 6
    """Where a public key comes from."""
    FINAL_SCRIPT = 7
    FINAL_WITNESS = 8
    TAP_SIGNATURE = 0x13
    TAP_BIP32 = 0x16
    TAP_INTERNAL = 0x17
    """Taproot's internal key, 32 bytes."""


_OUT_REDEEM, _OUT_WITNESS, _OUT_BIP32 = 0, 1, 2

_WITH_PUBLIC_KEY = frozenset({InputType.PARTIAL, InputType.BIP32})
_WITHOUT_KEY_DATA = frozenset(InputType) - _WITH_PUBLIC_KEY - {InputType.TAP_BIP32}

Fields = Mapping[bytes, bytes]
"""Key (type and data) -> value, in the order of the file."""


@dataclass(frozen=True)
class Psbt:
    """A transaction and what is known to sign it."""

    tx: Transaction
    """Without scripts and witnesses."""
    fields: Fields
    """Of the whole, without the transaction."""
    inputs: tuple[Fields, ...]
    outputs: tuple[Fields, ...]


# -- bytes ------------------------------------------------------------------------------------


def psbt_from_text(text: bytes) -> Psbt:
    """Read a file: the bytes, or base64 of them. Raises ParseError."""
    if text.startswith(MAGIC):
        return psbt_from_bytes(text)
    try:
        return psbt_from_bytes(b64decode(b"".join(text[:MAX_SIZE].split()), validate=True))
    except (binascii.Error, ValueError):
        raise ParseError("not a partially signed transaction (PSBT)") from None


def text_from_psbt(psbt: Psbt) -> str:
    """Write base64, as such files are passed around."""
    return b64encode(bytes_from_psbt(psbt)).decode("ascii")


def bytes_from_psbt(psbt: Psbt) -> bytes:
    """Write the bytes."""
    whole = {bytes((_GLOBAL_TX,)): psbt.tx.serialize(), **psbt.fields}
    return MAGIC + b"".join(map(_map_bytes, (whole, *psbt.inputs, *psbt.outputs)))


def _map_bytes(fields: Fields) -> bytes:
    return b"".join([var_bytes(k) + var_bytes(v) for k, v in fields.items()]) + b"\x00"


def psbt_from_bytes(data: bytes) -> Psbt:
    """Read the bytes. Raises ParseError."""
    if not data.startswith(MAGIC):
        raise ParseError("not a partially signed transaction (PSBT)")
    if len(data) > MAX_SIZE:
        raise ParseError("the PSBT is too large")
    reader = Reader(data, len(MAGIC))
    whole = _map_from(reader)
    raw = whole.pop(bytes((_GLOBAL_TX,)), None)
    if raw is None:
        raise ParseError("the PSBT has no transaction")
    tx = transaction_from_bytes(raw, allow_witness=False)
    if any(txin.script_sig for txin in tx.vin):
        raise ParseError("the PSBT's transaction is signed already")
    _check_whole(whole)
    inputs = [_map_from(reader) for _ in tx.vin]
    outputs = [_map_from(reader) for _ in tx.vout]
    if reader.remaining:
        raise ParseError("bytes behind the PSBT's end")
    psbt = Psbt(tx, frozen(whole), _all_frozen(inputs), _all_frozen(outputs))
    for index in range(len(inputs)):
        _check_input(psbt, index)
    for fields in outputs:
        _check_output(fields)
    return psbt


def frozen(fields: dict[bytes, bytes]) -> Fields:
    """A view of `fields` that cannot be changed."""
    return MappingProxyType(fields)


def _all_frozen(maps: Sequence[dict[bytes, bytes]]) -> tuple[Fields, ...]:
    return tuple([frozen(each) for each in maps])


def _map_from(reader: Reader) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    while size := reader.compact_size():
        key = reader.take(size)
        if key in fields:
            raise ParseError("the PSBT names a key twice")
        fields[key] = reader.take(reader.compact_size())
    return fields


def _check_whole(fields: Fields) -> None:
    for key, value in fields.items():
        if key[0] in (_GLOBAL_TX, _GLOBAL_VERSION) and len(key) > 1:
            raise ParseError("a global key of the PSBT is longer than it may be")
        if key[0] == _GLOBAL_VERSION and value != bytes(4):
            raise ParseError("the PSBT is of another version than 0")
        if key[0] == _GLOBAL_XPUB:
            origin_from_bytes(value)
            if len(key) != 79:
                raise ParseError("an extended key in the PSBT has the wrong length")


def _check_input(psbt: Psbt, index: int) -> None:
    fields = psbt.inputs[index]
    for key, value in fields.items():
        kind = key[0]
        if kind in _WITHOUT_KEY_DATA and len(key) > 1:
            raise ParseError(f"a key of input {index} of the PSBT is longer than it may be")
        if kind in _WITH_PUBLIC_KEY and not is_public_key(key[1:]):
            raise ParseError(f"input {index} of the PSBT names what is no public key")
        if kind == InputType.BIP32:
            origin_from_bytes(value)
        elif kind == InputType.TAP_BIP32:
            tap_origin_from_bytes(value)
        elif kind == InputType.SIGHASH and len(value) != 4:
            raise ParseError(f"the hash type of input {index} of the PSBT has the wrong length")
        elif kind == InputType.TAP_INTERNAL and len(value) != 32:
            raise ParseError(f"the internal key of input {index} of the PSBT has the wrong length")
        elif kind == InputType.UTXO:
            _output_from(value)
        elif kind == InputType.FINAL_WITNESS:
            witness_from_bytes(value)
    spent_output(psbt, index)


def _check_output(fields: Fields) -> None:
    for key, value in fields.items():
        if key[0] in (_OUT_REDEEM, _OUT_WITNESS) and len(key) > 1:
            raise ParseError("a key of an output of the PSBT is longer than it may be")
        if key[0] == _OUT_BIP32:
            if not is_public_key(key[1:]):
                raise ParseError("an output of the PSBT names what is no public key")
            origin_from_bytes(value)


def origin_from_bytes(value: bytes) -> KeyOrigin:
    """Read a fingerprint and a path. Raises ParseError."""
    if len(value) < 4 or len(value) % 4:
        raise ParseError("a derivation path in the PSBT has the wrong length")
    steps = [int.from_bytes(value[at : at + 4], "little") for at in range(4, len(value), 4)]
    return KeyOrigin(value[:4], tuple(steps))


def _origin_bytes(origin: KeyOrigin) -> bytes:
    return origin.fingerprint + b"".join([step.to_bytes(4, "little") for step in origin.path])


def tap_origin_from_bytes(value: bytes) -> KeyOrigin:
    """Read where a taproot key comes from, behind the leaves it is for. Raises ParseError."""
    reader = Reader(value)
    reader.take(32 * reader.compact_size())
    return origin_from_bytes(reader.take(reader.remaining))


def _output_from(value: bytes) -> TxOut:
    reader = Reader(value)
    output = TxOut(reader.uint(8), reader.take(reader.compact_size()))
    if reader.remaining:
        raise ParseError("an output in the PSBT is longer than it says")
    return output


def _output_bytes(output: TxOut) -> bytes:
    return output.value.to_bytes(8, "little") + var_bytes(output.script_pubkey)


def witness_from_bytes(value: bytes) -> tuple[bytes, ...]:
    """Read a finished witness. Raises ParseError."""
    reader = Reader(value)
    elements = tuple([reader.take(reader.compact_size()) for _ in range(reader.compact_size())])
    if reader.remaining:
        raise ParseError("a witness in the PSBT is longer than it says")
    return elements


def field_of(fields: Fields, kind: int) -> bytes | None:
    """The value of a key without data."""
    return fields.get(bytes((kind,)))


def fields_with_data(fields: Fields, kind: int) -> dict[bytes, bytes]:
    """The values of the keys of a type, by their data."""
    return {key[1:]: value for key, value in fields.items() if key[0] == kind}


def is_final(fields: Fields) -> bool:
    """Whether an input is finished."""
    script = field_of(fields, InputType.FINAL_SCRIPT)
    return bool(script or field_of(fields, InputType.FINAL_WITNESS))


# -- what is spent ----------------------------------------------------------------------------


def spent_output(psbt: Psbt, index: int) -> TxOut | None:
    """What an input spends, as far as it is told. Raises ParseError for what contradicts itself."""
    fields, txin = psbt.inputs[index], psbt.tx.vin[index]
    raw, short = field_of(fields, InputType.TX), field_of(fields, InputType.UTXO)
    told = None if short is None else _output_from(short)
    if raw is None:
        return told
    previous = transaction_from_bytes(raw)
    place = outpoint_index(txin.prevout)
    if previous.txid != txin.prevout[:32] or place >= len(previous.vout):
        raise ParseError(f"the transaction told for input {index} of the PSBT is another one")
    output = previous.vout[place]
    if told is not None and told != output:
        raise ParseError(f"input {index} of the PSBT is told to spend two different outputs")
    return output


def spent_outputs(psbt: Psbt) -> list[TxOut | None]:
    """What each input spends; None where that is not told.

    An amount may be false where only the output is told, but then a signature is worth nothing.
    """
    return [spent_output(psbt, index) for index in range(len(psbt.inputs))]


def calculate_psbt_fee(psbt: Psbt) -> int | None:
    """What is paid to miners, in base units; None where an input's value is not told."""
    spent = spent_outputs(psbt)
    known = [output.value for output in spent if output is not None]
    if len(known) < len(spent):
        return None
    return sum(known) - sum([output.value for output in psbt.tx.vout])


# -- the roles --------------------------------------------------------------------------------


def create_psbt(
    tx: Transaction,
    spent: Sequence[TxOut],
    addresses: Mapping[bytes, OwnAddress],
    previous: Callable[[bytes], bytes | None],
) -> Psbt:
    """A PSBT of an unsigned transaction, with all that signers need (creator and updater).

    `addresses` knows own output scripts; `previous` finds a transaction's bytes by its id.
    """
    inputs = []
    for txin, output in zip(tx.vin, spent, strict=True):
        own = addresses[output.script_pubkey]
        inputs.append(frozen(_spent_fields(own, output, previous(txin.prevout[:32]))))
    nothing: Fields = frozen({})
    bare = Psbt(tx, nothing, tuple(inputs), (nothing,) * len(tx.vout))
    return update_psbt(bare, addresses)


def _spent_fields(own: OwnAddress, output: TxOut, whole: bytes | None) -> dict[bytes, bytes]:
    """What tells of a spent output; `whole` is its transaction."""
    fields: dict[bytes, bytes] = {}
    if whole is not None and own.kind is not AddressType.TAPROOT:
        fields[bytes((InputType.TX,))] = whole
    if own.kind is not AddressType.LEGACY:
        fields[bytes((InputType.UTXO,))] = _output_bytes(output)
    return fields


def tell_spent(
    psbt: Psbt,
    addresses: Mapping[bytes, OwnAddress],
    spent: Mapping[OutPoint, TxOut],
    previous: Callable[[bytes], bytes | None],
) -> Psbt:
    """Add what is known of the own outputs that are spent (updater).

    `spent` are own outputs by their places, whole transactions are found by `previous`.
    """
    inputs = []
    for txin, fields in zip(psbt.tx.vin, psbt.inputs, strict=True):
        output = spent.get(txin.prevout)
        own = None if output is None else addresses.get(output.script_pubkey)
        if output is not None and own is not None and not is_final(fields):
            told = _spent_fields(own, output, previous(txin.prevout[:32]))
            fields = frozen({**told, **fields})
        inputs.append(fields)
    return replace(psbt, inputs=tuple(inputs))


def update_psbt(psbt: Psbt, addresses: Mapping[bytes, OwnAddress]) -> Psbt:
    """Add what is known of own outputs: scripts, and where their keys come from (updater).

    Of two paths to a key the longer one stays: who was given an account's key alone knows less.
    """
    inputs = []
    for fields, output in zip(psbt.inputs, spent_outputs(psbt), strict=True):
        own = None if output is None else addresses.get(output.script_pubkey)
        if own is not None and not is_final(fields):
            fields = _with_more(fields, _own_input(own))
        inputs.append(fields)
    outputs = []
    for fields, txout in zip(psbt.outputs, psbt.tx.vout, strict=True):
        own = addresses.get(txout.script_pubkey)
        outputs.append(fields if own is None else _with_more(fields, _own_output(own)))
    return replace(psbt, inputs=tuple(inputs), outputs=tuple(outputs))


def _with_more(told: Fields, own: dict[bytes, bytes]) -> Fields:
    better = {key: value for key, value in own.items() if len(value) >= len(told.get(key, b""))}
    return frozen({**told, **better})


def _own_input(own: OwnAddress) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    if own.kind is AddressType.NESTED:
        fields[bytes((InputType.REDEEM,))] = b"\x00\x14" + hash160(own.origins[0][0])
    if own.witness_script:
        fields[bytes((InputType.WITNESS,))] = own.witness_script
    return fields | _derivations(own, InputType.BIP32)


def _own_output(own: OwnAddress) -> dict[bytes, bytes]:
    if own.kind is AddressType.TAPROOT:
        return {}
    script = {bytes((_OUT_WITNESS,)): own.witness_script} if own.witness_script else {}
    return script | _derivations(own, _OUT_BIP32)


def _derivations(own: OwnAddress, kind: int) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for public_key, told in own.origins:
        # A key that was imported is its own root.
        origin = told or KeyOrigin(hash160(public_key)[:4], ())
        if own.kind is AddressType.TAPROOT:
            xonly = public_key[1:33]
            fields[bytes((InputType.TAP_INTERNAL,))] = xonly
            fields[bytes((InputType.TAP_BIP32,)) + xonly] = b"\x00" + _origin_bytes(origin)
        else:
            fields[bytes((kind,)) + public_key] = _origin_bytes(origin)
    return fields


def combine_psbts(psbts: Sequence[Psbt]) -> Psbt:
    """All that several copies know together (combiner). Raises WalletError for other payments."""
    first, *others = psbts
    for other in others:
        if other.tx != first.tx:
            raise WalletError("the PSBTs are of different payments")
        first = replace(
            first,
            fields=frozen({**other.fields, **first.fields}),
            inputs=_merged(first.inputs, other.inputs),
            outputs=_merged(first.outputs, other.outputs),
        )
    return first


def _merged(ours: tuple[Fields, ...], theirs: tuple[Fields, ...]) -> tuple[Fields, ...]:
    return tuple([frozen({**b, **a}) for a, b in zip(ours, theirs, strict=True)])
