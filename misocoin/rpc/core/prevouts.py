"""The outputs that a caller tells of before a node knows them, for signing (`prevtxs`)."""

from typing import NamedTuple

from misocoin.consensus.coins import Coin
from misocoin.crypto.hashes import hash160, sha256
from misocoin.http.errors import RpcError
from misocoin.params import Params
from misocoin.primitives.transaction import OutPoint, outpoint
from misocoin.rpc.amounts import sats_from_number
from misocoin.rpc.core.descriptors import expansion_of
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import HASH, INTEGER, SOME_HEX, STRING, check_fields, invalid
from misocoin.script.taproot import TaprootOutput
from misocoin.script.templates import ScriptKind, p2sh_script, p2wsh_script, template_from_script

UNKNOWN_VALUE = -1
"""Of an output whose amount the caller does not tell: only signatures by witness sign it."""

_UNKNOWN_HEIGHT = 1

_FIELDS = {"scriptPubKey": "string", "txid": "string", "vout": "number"}
_SCRIPTS = {"redeemScript": "string", "witnessScript": "string"}


class Prevouts(NamedTuple):
    """What the caller tells."""

    coins: dict[OutPoint, Coin]
    scripts: list[bytes]
    """Behind hashes."""
    taproot: list[TaprootOutput]
    """What outputs commit to."""


def prevouts_from_json(given: list[Json], params: Params, *, with_scripts: bool) -> Prevouts:
    """Read them; raises RpcError in Core's words.

    `with_scripts` wants the script behind each hash, for keys that are given; a wallet knows its
    own.
    """
    found = Prevouts({}, [], [])
    for each in given:
        if not isinstance(each, dict):
            raise RpcError(
                RpcCode.DESERIALIZATION_ERROR,
                'expected object with {"txid\'","vout","scriptPubKey"}',
            )
        check_fields(each, _FIELDS, is_open=True)
        txid = HASH.parse(each["txid"], "txid")
        if INTEGER.parse(each["vout"], "vout") < 0:
            raise RpcError(RpcCode.DESERIALIZATION_ERROR, "vout cannot be negative")
        script = SOME_HEX.parse(each["scriptPubKey"], "scriptPubKey")
        value = sats_from_number(each["amount"]) if "amount" in each else UNKNOWN_VALUE
        found.coins[outpoint(txid, each["vout"])] = Coin(value, script, _UNKNOWN_HEIGHT, False)
        if "desc" in each:
            expansion = expansion_of(STRING.parse(each["desc"], "desc"), params)
            if script not in [output for output, _ in expansion.outputs]:
                raise invalid("desc does not stand for scriptPubKey")
            found.scripts.extend(expansion.scripts)
            found.taproot.extend(filter(None, [expansion.taproot]))
        elif with_scripts:
            found.scripts.extend(_scripts_behind(script, each))
    return found


def _scripts_behind(output: bytes, given: dict[str, Json]) -> tuple[bytes, ...]:
    """What stands behind the hash in an output script, and in that of what stands there."""
    kind = template_from_script(output).kind
    if kind not in (ScriptKind.P2SH, ScriptKind.P2WSH):
        return ()
    check_fields(given, _SCRIPTS, may_miss=True, is_open=True)
    redeem, inner = given.get("redeemScript"), given.get("witnessScript")
    if redeem is None and inner is None:
        raise invalid("Missing redeemScript/witnessScript")
    script = SOME_HEX.parse(
        redeem if inner is None else inner, "redeemScript" if inner is None else "witnessScript"
    )
    wrapped = p2wsh_script(sha256(script))
    if (
        redeem is not None
        and inner is not None
        and redeem != inner
        and SOME_HEX.parse(redeem, "redeemScript") != wrapped
    ):
        raise invalid("redeemScript does not correspond to witnessScript")
    fitting = {wrapped}
    if kind is ScriptKind.P2SH:
        fitting = {p2sh_script(hash160(script)), p2sh_script(hash160(wrapped))}
    if output not in fitting:
        raise invalid("redeemScript/witnessScript does not match scriptPubKey")
    return script, wrapped
