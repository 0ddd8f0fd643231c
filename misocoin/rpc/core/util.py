"""Core's methods on addresses and messages, which need no chain and no wallet."""

from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated

from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import is_public_key
from misocoin.crypto.wif import key_from_wif
from misocoin.errors import AddressError, KeyFormatError, ParseError
from misocoin.http.errors import RpcError
from misocoin.params import Params
from misocoin.rpc.declare import Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import ARRAY, INTEGER, STRING, invalid, is_hex
from misocoin.rpc.schema import array, boolean, hexadecimal, number, obj, optional, text
from misocoin.script.address import address_from_script, decode_address, script_from_address
from misocoin.script.address_faults import BLANKS, address_fault
from misocoin.script.descriptor_text import is_inferred, with_checksum
from misocoin.script.machine import MAX_ELEMENT_SIZE
from misocoin.script.messages import is_signed_by, sign_message
from misocoin.script.templates import (
    ScriptKind,
    multisig_script,
    p2sh_script,
    p2wsh_script,
    template_from_script,
)

MAX_KEYS = 20
"""Keys of a multisig."""

WITNESS_KINDS = frozenset(
    {
        ScriptKind.P2WPKH,
        ScriptKind.P2WSH,
        ScriptKind.P2TR,
        ScriptKind.ANCHOR,
        ScriptKind.WITNESS_UNKNOWN,
    }
)
"""Scripts that are witness programs."""

_SCRIPTS = frozenset({ScriptKind.P2SH, ScriptKind.P2WSH, ScriptKind.P2TR, ScriptKind.ANCHOR})

ADDRESS_FIELDS = {
    "scriptPubKey": hexadecimal("the output script it stands for"),
    "isscript": optional(boolean("whether it stands for a script, not a key, where that is known")),
    "iswitness": boolean("whether it is a witness program"),
    "witness_version": optional(number("of the program")),
    "witness_program": optional(hexadecimal("the program")),
}
"""What an address says of itself; the fields that `address_json` gives."""


def address_json(script: bytes) -> dict[str, Json]:
    """What an address says of itself, by its output script."""
    template = template_from_script(script)
    form: dict[str, Json] = {
        "scriptPubKey": script.hex(),
        "isscript": template.kind in _SCRIPTS,
        "iswitness": template.kind in WITNESS_KINDS,
    }
    if template.kind is ScriptKind.WITNESS_UNKNOWN:
        del form["isscript"]
    if template.kind in WITNESS_KINDS and template.kind is not ScriptKind.ANCHOR:
        form["witness_version"] = template.version
        form["witness_program"] = template.solutions[0].hex()
    return form


def script_of(address: str, params: Params, message: str = "") -> bytes:
    """The output script of an address; raises Core's error, with `message` in its stead."""
    try:
        return script_from_address(address, params)
    except AddressError:
        raise RpcError(
            RpcCode.INVALID_ADDRESS_OR_KEY, message or f"Invalid Bitcoin address: {address[:140]}"
        ) from None


class CoreUtil:
    """Addresses and messages of one network."""

    def __init__(self, params: Params) -> None:
        self._params = params

    @core_method(
        Category.UTIL,
        result=obj(
            "what the address is",
            isvalid=boolean("whether it is one of this network's"),
            address=optional(text("the address, in its usual form")),
            **{name: optional(form) for name, form in ADDRESS_FIELDS.items()},
            error_locations=optional(
                array("where characters of it are wrong, as far as known", number("from 0 on"))
            ),
            error=optional(text("what is wrong with it")),
        ),
    )
    def validateaddress(self, address: Annotated[str, STRING, "the address"]) -> Json:
        """Tell whether an address is valid, and what it stands for."""
        try:
            script = decode_address(_unpadded(address, self._params), self._params.address)
        except AddressError:
            error, places = address_fault(address, self._params.address)
            return {"isvalid": False, "error_locations": places, "error": error}
        return {
            "isvalid": True,
            "address": address_from_script(script, self._params),
            **address_json(script),
        }

    @core_method(
        Category.UTIL,
        result=obj(
            "the new address",
            address=text("the address"),
            redeemScript=hexadecimal("the script behind it"),
            descriptor=text("its descriptor"),
            warnings=optional(array("what should be known", text("a sentence"))),
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def createmultisig(
        self,
        nrequired: Annotated[int, INTEGER, "how many of the keys have to sign"],
        keys: Annotated[list[Json], ARRAY, "the public keys, in hex"],
        address_type: Annotated[str, STRING, "legacy, p2sh-segwit or bech32"] = "legacy",
    ) -> Json:
        """Make the address of which several keys together can spend."""
        found = [_public_key(key) for key in keys]
        _check_multisig(nrequired, len(found))
        if address_type not in ("legacy", "p2sh-segwit", "bech32"):
            raise RpcError(
                RpcCode.INVALID_ADDRESS_OR_KEY,
                "createmultisig cannot create bech32m multisig addresses"
                if address_type == "bech32m"
                else f"Unknown address type '{address_type[:40]}'",
            )
        warnings = []
        if address_type != "legacy" and any(len(key) != 33 for key in found):
            address_type = "legacy"
            warnings = [
                "Unable to make chosen address type, please ensure no uncompressed public keys are "
                "present."
            ]
        script = multisig_script(nrequired, tuple(found))
        if address_type == "legacy" and len(script) > MAX_ELEMENT_SIZE:
            raise invalid(f"redeemScript exceeds size limit: {len(script)} > {MAX_ELEMENT_SIZE}")
        output, descriptor = _wrapped(script, _multi_text(nrequired, found), address_type)
        address = address_from_script(output, self._params)
        if not is_inferred(template_from_script(script)):
            descriptor = f"addr({address})"  # keys in OpenSSL's hybrid form stand in no descriptor
        form: dict[str, Json] = {
            "address": address,
            "redeemScript": script.hex(),
            "descriptor": with_checksum(descriptor),
        }
        return form | ({"warnings": warnings} if warnings else {})

    @core_method(
        Category.UTIL,
        result=text("the signature, base64"),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY,),
    )
    def signmessagewithprivkey(
        self,
        privkey: Annotated[str, STRING, "the private key, in WIF"],
        message: Annotated[str, STRING, "what to sign"],
    ) -> Json:
        """Sign a message with a private key."""
        try:
            key = key_from_wif(privkey, self._params.address.wif)
        except KeyFormatError:
            raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, "Invalid private key") from None
        return sign_message(key, message)

    @core_method(
        Category.UTIL, result=boolean("whether it did"), errors=(RpcCode.INVALID_ADDRESS_OR_KEY,)
    )
    def verifymessage(
        self,
        address: Annotated[str, STRING, "whose key should have signed"],
        signature: Annotated[str, STRING, "the signature, base64"],
        message: Annotated[str, STRING, "what was signed"],
    ) -> Json:
        """Tell whether the key of an address signed a message.

        Beyond Core, segwit addresses of one key are taken as well (BIP137).
        """
        try:
            script = script_from_address(address, self._params)
        except AddressError:
            raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, "Invalid address") from None
        if template_from_script(script).kind in (ScriptKind.P2WSH, ScriptKind.P2TR):
            raise RpcError(RpcCode.TYPE_ERROR, "Address does not refer to key")
        if not signature or not _is_base64(signature):
            raise RpcError(RpcCode.TYPE_ERROR, "Malformed base64 encoding")
        try:
            return is_signed_by(address, signature, message)
        except AddressError:
            raise RpcError(RpcCode.TYPE_ERROR, "Address does not refer to key") from None
        except ParseError:
            return False  # base64 of something else


def _unpadded(address: str, params: Params) -> str:
    """Without blanks around it where it may be base58, as Core reads that."""
    bare = address.strip(BLANKS)
    return address if bare.lower().startswith(params.address.hrp) else bare


def _is_base64(text: str) -> bool:
    try:
        b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _public_key(value: Json) -> bytes:
    text = STRING.parse(value, "key")
    data = bytes.fromhex(text) if is_hex(text) else b""
    if not data:
        why = "must be a hex string"
    elif len(data) not in (33, 65):
        why = "must have a length of either 33 or 65 bytes"
    elif not is_public_key(data):
        why = "must be cryptographically valid."
    else:
        return data
    raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, f'Pubkey "{text[:140]}" {why}')


def _check_multisig(required: int, count: int) -> None:
    if required < 1:
        raise invalid("a multisignature address must require at least one key to redeem")
    if count < required:
        raise invalid(
            f"not enough keys supplied (got {count} keys, but need at least {required} to redeem)"
        )
    if count > MAX_KEYS:
        raise invalid(
            f"Number of keys involved in the multisignature address creation > {MAX_KEYS}\n"
            "Reduce the number"
        )


def _multi_text(required: int, keys: Sequence[bytes]) -> str:
    return f"multi({required},{','.join([key.hex() for key in keys])})"


def _wrapped(script: bytes, multi: str, address_type: str) -> tuple[bytes, str]:
    """The output script and the descriptor of a multisig, by type of address."""
    if address_type == "legacy":
        return p2sh_script(hash160(script)), f"sh({multi})"
    witness = p2wsh_script(sha256(script))
    if address_type == "bech32":
        return witness, f"wsh({multi})"
    return p2sh_script(hash160(witness)), f"sh(wsh({multi}))"
