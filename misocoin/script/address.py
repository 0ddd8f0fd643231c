"""Addresses: text for output scripts (base58check, BIP173, BIP350)."""

import re

from misocoin.crypto import base58, bech32
from misocoin.errors import AddressError
from misocoin.params import NETWORK_NAMES, AddressParams, Params, params_by_name
from misocoin.script.templates import (
    ScriptKind,
    ScriptTemplate,
    p2pkh_script,
    p2sh_script,
    p2wpkh_script,
    template_from_script,
    witness_script,
)

_HASH160_HEX = re.compile(r"[0-9a-fA-F]{40}", re.ASCII)
_SEGWIT_FORM = re.compile(r"[a-z]{1,10}1[ac-hj-np-z02-9]{8,}", re.ASCII)
_SEGWIT_KINDS = frozenset(
    {
        ScriptKind.P2WPKH,
        ScriptKind.P2WSH,
        ScriptKind.P2TR,
        ScriptKind.ANCHOR,
        ScriptKind.WITNESS_UNKNOWN,
    }
)


def script_from_address(text: str, params: Params) -> bytes:
    """The output script that an address stands for.

    Takes the network's segwit and base58 addresses, and 40 hex digits of a public key's HASH160,
    which mean P2WPKH as `params`' own addresses do. Raises AddressError in one line that says
    what is wrong: a typing error, another network, or no address at all.
    """
    text = text.strip()
    if _HASH160_HEX.fullmatch(text):
        return p2wpkh_script(bytes.fromhex(text))
    try:
        return decode_address(text, params.address)
    except AddressError as error:
        other = network_of_address(text)
        if other:
            raise AddressError(
                f"{_shown(text)} is an address of chain {other}, not of {params.name}"
            ) from None
        raise AddressError(f"{_shown(text)} is not an address: {error}") from None


def decode_address(text: str, address: AddressParams) -> bytes:
    """The output script of an address by a network's prefixes; raises AddressError."""
    try:
        payload = base58.bytes_from_checked_text(text)
    except AddressError:
        # Which of the two it was meant to be decides whose complaint is of use.
        if not _looks_segwit(text, address.hrp):
            raise
        return witness_script(*bech32.program_from_segwit_address(address.hrp, text))
    if len(payload) != 21:
        raise AddressError(f"it holds {len(payload)} bytes, an address 21")
    version, hashed = payload[0], payload[1:]
    if version == address.p2pkh:
        return p2pkh_script(hashed)
    if version == address.p2sh:
        return p2sh_script(hashed)
    raise AddressError(f"its version byte {version} is not of this chain")


def _looks_segwit(text: str, hrp: str) -> bool:
    text = text.lower()
    return text.startswith(hrp + "1") or _SEGWIT_FORM.fullmatch(text) is not None


def address_from_script(script: bytes, params: Params) -> str | None:
    """The address of an output script; None for scripts that have none."""
    return encode_address(script, params.address)


def encode_address(script: bytes, address: AddressParams) -> str | None:
    """The address of an output script by a network's prefixes; None for scripts without one."""
    return encode_template(template_from_script(script), address)


def encode_template(template: ScriptTemplate, address: AddressParams) -> str | None:
    """As `encode_address`, for a script that was recognised before."""
    if template.kind in _SEGWIT_KINDS:
        return bech32.segwit_address(address.hrp, template.version, template.solutions[0])
    if template.kind is ScriptKind.P2PKH:
        version = address.p2pkh
    elif template.kind is ScriptKind.P2SH:
        version = address.p2sh
    else:
        return None
    return base58.checked_text_from_bytes(bytes((version,)) + template.solutions[0])


def _shown(text: str) -> str:
    return repr(text if len(text) <= 100 else text[:97] + "...")


def network_of_address(text: str) -> str | None:
    """The name of a network in which the text is an address; None where there is none."""
    for name in NETWORK_NAMES:
        try:
            decode_address(text, params_by_name(name).address)
        except AddressError:
            continue
        return name
    return None
