"""An unsigned transaction made of what a call names: inputs by place, outputs by address."""

from collections.abc import Callable, Iterator

from misocoin.primitives.transaction import (
    SEQUENCE_FINAL,
    SEQUENCE_REPLACEABLE,
    Transaction,
    TxIn,
    TxOut,
    outpoint,
)
from misocoin.rpc.amounts import sats_from_number
from misocoin.rpc.json import Json
from misocoin.rpc.params import (
    ARRAY_OR_OBJECT,
    HASH,
    INTEGER,
    LONG,
    OBJECT,
    invalid,
    is_hex,
    json_type,
)
from misocoin.script.templates import nulldata_script


def unsigned_from_json(
    inputs: list[Json],
    outputs: list[Json] | dict[str, Json],
    locktime: int,
    version: int,
    script_of: Callable[[str], bytes],
    max_money: int,
    *,
    replaceable: bool | None = None,
) -> Transaction:
    """Make the transaction; raises RpcError in Core's words, and what `script_of` raises.

    Inputs are objects `txid`, `vout` and perhaps `sequence`; without that they ask to be
    replaceable unless `replaceable` is False. True demands that one does. Outputs are amounts by
    address, or bytes in hex under the key `data`.
    """
    if not 0 <= locktime <= 0xFFFFFFFF:
        raise invalid("Invalid parameter, locktime out of range")
    if version not in (1, 2, 3):
        raise invalid("Invalid parameter, version out of range(1~3)")
    default = SEQUENCE_FINAL - 1 if locktime else SEQUENCE_FINAL
    if replaceable is not False:
        default = SEQUENCE_REPLACEABLE
    vin = inputs_from_json(inputs, default)
    vout = [output for _, output in outputs_from_json(outputs, script_of, max_money)]
    if replaceable and vin and all(txin.sequence > SEQUENCE_REPLACEABLE for txin in vin):
        raise invalid(
            "Invalid parameter combination: Sequence number(s) contradict replaceable option"
        )
    return Transaction.build(version, vin, vout, locktime)


def inputs_from_json(given: list[Json], default_sequence: int) -> list[TxIn]:
    """Read inputs; raises RpcError in Core's words."""
    return [_input(each, default_sequence) for each in given]


def _input(given: Json, default_sequence: int) -> TxIn:
    given = OBJECT.parse(given, "")
    txid = HASH.parse(given.get("txid"), "txid")
    index = given.get("vout")
    if json_type(index) != "number":
        raise invalid("Invalid parameter, missing vout key")
    if INTEGER.parse(index, "vout") < 0:
        raise invalid("Invalid parameter, vout cannot be negative")
    sequence = given.get("sequence")
    if json_type(sequence) != "number":
        sequence = default_sequence
    if not 0 <= LONG.parse(sequence, "sequence") <= SEQUENCE_FINAL:
        raise invalid("Invalid parameter, sequence number is out of range")
    return TxIn(outpoint(txid, index), sequence=sequence)


def outputs_from_json(
    given: list[Json] | dict[str, Json], script_of: Callable[[str], bytes], max_money: int
) -> Iterator[tuple[str, TxOut]]:
    """Read outputs, each behind its name; raises as `unsigned_from_json` does."""
    seen: set[bytes | None] = set()
    for name, value in _pairs(given):
        script = None if name == "data" else script_of(name)
        if script in seen:
            raise invalid(
                "Invalid parameter, "
                + (f"duplicated address: {name}" if script else "duplicate key: data")
            )
        seen.add(script)
        if script is None:
            yield name, TxOut(0, nulldata_script(_data(value)))
        else:
            yield name, TxOut(sats_from_number(value, max_money), script)


def _pairs(given: list[Json] | dict[str, Json]) -> Iterator[tuple[str, Json]]:
    given = ARRAY_OR_OBJECT.parse(given, "")
    if isinstance(given, dict):
        yield from given.items()
        return
    for each in given:
        if not isinstance(each, dict):
            raise invalid("Invalid parameter, key-value pair not an object as expected")
        if len(each) != 1:
            raise invalid("Invalid parameter, key-value pair must contain exactly one key")
        yield from each.items()


def _data(value: Json) -> bytes:
    text = value if isinstance(value, str) else str(value)
    if not text or not is_hex(text):
        raise invalid(f"Data must be hexadecimal string (not '{text[:80]}')")
    return bytes.fromhex(text)
