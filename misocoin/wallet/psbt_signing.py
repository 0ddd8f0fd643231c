"""Signing, finishing and extracting partially signed transactions (BIP174's last roles).

Signatures are made for SIGHASH_ALL (taproot: DEFAULT) alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from misocoin.codec import compact_size, var_bytes
from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import WalletError
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script.flags import STANDARD
from misocoin.script.inputs import verify_input
from misocoin.script.script import push_data
from misocoin.script.sighash import (
    SIGHASH_ALL,
    SIGHASH_DEFAULT,
    TxDigests,
    legacy_sighash,
    segwit_sighash,
    taproot_sighash,
)
from misocoin.script.signing import output_key_of
from misocoin.script.templates import (
    ScriptKind,
    ScriptTemplate,
    p2pkh_script,
    template_from_script,
)
from misocoin.wallet.addresses import KeyOrigin
from misocoin.wallet.psbt import (
    Fields,
    InputType,
    Psbt,
    field_of,
    fields_with_data,
    frozen,
    is_final,
    origin_from_bytes,
    spent_output,
    spent_outputs,
    tap_origin_from_bytes,
    witness_from_bytes,
)

FindKey = Callable[[bytes, KeyOrigin | None], PrivateKey | None]
"""The private key of a public key (33 or 65 bytes), by where it comes from if that is known."""


def _digests(psbt: Psbt) -> TxDigests:
    unknown = TxOut(0, b"")
    return TxDigests(psbt.tx, [output or unknown for output in spent_outputs(psbt)])


def sign_psbt(psbt: Psbt, find_key: FindKey) -> tuple[Psbt, int]:
    """Add every signature that can be made (signer); also how many are new.

    Raises WalletError for an input whose scripts do not fit, or that asks for another hash type.
    """
    digests = _digests(psbt)
    inputs, count = [], 0
    for index, fields in enumerate(psbt.inputs):
        signed = _sign(psbt, digests, index, find_key)
        count += len([key for key in signed if key not in fields])
        inputs.append(frozen({**fields, **signed}))
    return replace(psbt, inputs=tuple(inputs)), count


@dataclass(frozen=True)
class _Spend:
    """How an input's output is spent."""

    template: ScriptTemplate
    """Of the script that is run last."""
    script_code: bytes
    redeem_script: bytes
    witness_script: bytes
    is_segwit: bool


class _NotTold(WalletError):
    """A script is missing: for others to add, and no reason not to sign other inputs."""


def _spend(psbt: Psbt, index: int, output: TxOut) -> _Spend:
    """Raises WalletError where a script is missing or of another hash."""
    fields = psbt.inputs[index]
    script, redeem, witness = output.script_pubkey, b"", b""
    template = template_from_script(script)
    if template.kind is ScriptKind.P2SH:
        redeem = _script_of(fields, InputType.REDEEM, f"the redeem script of input {index}")
        if hash160(redeem) != template.solutions[0]:
            raise WalletError(f"the redeem script of input {index} is another's")
        script, template = redeem, template_from_script(redeem)
    is_segwit = template.kind in (ScriptKind.P2WPKH, ScriptKind.P2WSH)
    if template.kind is ScriptKind.P2WSH:
        witness = _script_of(fields, InputType.WITNESS, f"the witness script of input {index}")
        if sha256(witness) != template.solutions[0]:
            raise WalletError(f"the witness script of input {index} is another's")
        script, template = witness, template_from_script(witness)
    if template.kind is ScriptKind.P2WPKH:
        script = p2pkh_script(template.solutions[0])
        template = template_from_script(script)
    if (
        not is_segwit
        and template.kind is not ScriptKind.P2TR
        and field_of(fields, InputType.TX) is None
    ):
        raise WalletError(f"input {index} is not of segwit: the transaction it spends is needed")
    return _Spend(template, script, redeem, witness, is_segwit)


def _script_of(fields: Fields, kind: InputType, what: str) -> bytes:
    script = field_of(fields, kind)
    if script is None:
        raise _NotTold(f"{what} is missing")
    return script


def _sign(psbt: Psbt, digests: TxDigests, index: int, find_key: FindKey) -> dict[bytes, bytes]:
    fields, output = psbt.inputs[index], spent_output(psbt, index)
    if output is None or is_final(fields):
        return {}
    try:
        spend = _spend(psbt, index, output)
    except _NotTold:
        return {}
    hash_type = int.from_bytes(field_of(fields, InputType.SIGHASH) or b"", "little")
    if spend.template.kind is ScriptKind.P2TR:
        return _sign_taproot(psbt, digests, index, find_key, hash_type)
    if hash_type not in (0, SIGHASH_ALL):
        raise WalletError(f"input {index} asks for hash type {hash_type}: only ALL is signed for")
    signed = {}
    sighash = segwit_sighash if spend.is_segwit else legacy_sighash
    for public_key, origin in _signers(fields, spend.template).items():
        key = find_key(public_key, origin)
        if key is not None:
            digest = sighash(digests, index, spend.script_code, SIGHASH_ALL)
            name = bytes((InputType.PARTIAL,)) + public_key
            # BIP174's own vectors are signed by RFC 6979 alone.
            signed[name] = key.sign_ecdsa(digest, low_r=False) + bytes((SIGHASH_ALL,))
    return {name: value for name, value in signed.items() if name not in fields}


def _signers(fields: Fields, template: ScriptTemplate) -> dict[bytes, KeyOrigin | None]:
    """The public keys whose signatures the script asks for, as far as they are told."""
    origins = {
        key: origin_from_bytes(value)
        for key, value in fields_with_data(fields, InputType.BIP32).items()
    }
    if template.kind is ScriptKind.P2PKH:
        return {key: at for key, at in origins.items() if hash160(key) == template.solutions[0]}
    if template.kind in (ScriptKind.MULTISIG, ScriptKind.P2PK):
        return {key: origins.get(key) for key in template.solutions}
    return {}


def _sign_taproot(
    psbt: Psbt, digests: TxDigests, index: int, find_key: FindKey, hash_type: int
) -> dict[bytes, bytes]:
    fields = psbt.inputs[index]
    internal = field_of(fields, InputType.TAP_INTERNAL)
    if internal is None or field_of(fields, InputType.TAP_SIGNATURE) is not None:
        return {}
    if None in spent_outputs(psbt):
        raise WalletError("a taproot signature needs to know what every input spends")
    if hash_type not in (SIGHASH_DEFAULT, SIGHASH_ALL):
        raise WalletError(f"input {index} asks for hash type {hash_type}: only ALL is signed for")
    value = fields_with_data(fields, InputType.TAP_BIP32).get(internal)
    origin = None if value is None else tap_origin_from_bytes(value)
    for parity in (b"\x02", b"\x03"):
        key = find_key(parity + internal, origin)
        digest = taproot_sighash(digests, index, hash_type)
        if key is not None and digest is not None:
            suffix = bytes((hash_type,)) if hash_type else b""
            return {
                bytes((InputType.TAP_SIGNATURE,)): output_key_of(key).sign_schnorr(digest) + suffix
            }
    return {}


def finalize_psbt(psbt: Psbt) -> Psbt:
    """Make scripts and witnesses of the signatures (finalizer).

    Raises WalletError, which says how many signatures an input lacks or that one is wrong.
    """
    inputs = [_finalized(psbt, index) for index in range(len(psbt.inputs))]
    final = replace(psbt, inputs=tuple(inputs))
    check_signed(_assembled(final), spent_outputs(final))
    return final


def finalize_what_is_signed(psbt: Psbt) -> tuple[Psbt, bool]:
    """Finish the inputs that can be; also whether all of them are, and their signatures hold."""
    inputs = []
    for index, fields in enumerate(psbt.inputs):
        try:
            inputs.append(_finalized(psbt, index))
        except WalletError:
            inputs.append(fields)
    final = replace(psbt, inputs=tuple(inputs))
    if not all(map(is_final, final.inputs)):
        return final, False
    try:
        check_signed(_assembled(final), spent_outputs(final))
    except WalletError:
        return psbt, False
    return final, True


def _finalized(psbt: Psbt, index: int) -> Fields:
    fields = psbt.inputs[index]
    if is_final(fields):
        return fields
    script_sig, witness = _final(psbt, index)
    kept = {key: value for key, value in fields.items() if key[0] in (InputType.TX, InputType.UTXO)}
    known = {kind.value for kind in InputType}
    kept |= {key: value for key, value in fields.items() if key[0] not in known}
    if script_sig:
        kept[bytes((InputType.FINAL_SCRIPT,))] = script_sig
    if witness:
        elements = b"".join(map(var_bytes, witness))
        kept[bytes((InputType.FINAL_WITNESS,))] = compact_size(len(witness)) + elements
    return frozen(kept)


def _final(psbt: Psbt, index: int) -> tuple[bytes, tuple[bytes, ...]]:
    fields, output = psbt.inputs[index], spent_output(psbt, index)
    if output is None:
        raise WalletError(f"what input {index} spends is not told")
    spend = _spend(psbt, index, output)
    template, signatures = spend.template, fields_with_data(fields, InputType.PARTIAL)
    if template.kind is ScriptKind.P2TR:
        signature = field_of(fields, InputType.TAP_SIGNATURE)
        if signature is None:
            raise WalletError(f"input {index} lacks its signature")
        return b"", (signature,)
    required = template.required or 1
    if template.kind is ScriptKind.P2PKH:
        keys = [key for key in signatures if hash160(key) == template.solutions[0]]
        elements = [each for key in keys[:1] for each in (signatures[key], key)]
    elif template.kind in (ScriptKind.MULTISIG, ScriptKind.P2PK):
        keys = [key for key in template.solutions if key in signatures][:required]
        dummy = [b""] if template.kind is ScriptKind.MULTISIG else []
        elements = [*dummy, *(signatures[key] for key in keys)]
    else:
        raise WalletError(f"input {index}: a {template.kind.value} script cannot be finished here")
    if len(keys) < required:
        raise WalletError(f"input {index} has {len(keys)} of the {required} signatures it needs")
    redeem = push_data(spend.redeem_script) if spend.redeem_script else b""
    if spend.is_segwit:
        script = (spend.witness_script,) if spend.witness_script else ()
        return redeem, (*elements, *script)
    return b"".join(map(push_data, elements)) + redeem, ()


def _assembled(psbt: Psbt) -> Transaction:
    vin = []
    for txin, fields in zip(psbt.tx.vin, psbt.inputs, strict=True):
        script, witness = (
            field_of(fields, InputType.FINAL_SCRIPT),
            field_of(fields, InputType.FINAL_WITNESS),
        )
        elements = () if witness is None else witness_from_bytes(witness)
        vin.append(txin._replace(script_sig=script or b"", witness=elements))
    return Transaction.build(psbt.tx.version, vin, psbt.tx.vout, psbt.tx.locktime)


def check_signed(tx: Transaction, spent: Sequence[TxOut | None]) -> None:
    """Check every signature of a transaction, as far as it is known what it spends.

    Raises WalletError.
    """
    known = [output for output in spent if output is not None]
    if len(known) < len(spent):
        return
    digests = TxDigests(tx, known)
    for index in range(len(known)):
        error = verify_input(digests, index, STANDARD)
        if error is not None:
            raise WalletError(f"the signatures of input {index} do not hold: {error.value}")


def extract_transaction(psbt: Psbt) -> Transaction:
    """The signed transaction of a PSBT that is finished (extractor). Raises WalletError."""
    for index, fields in enumerate(psbt.inputs):
        if not is_final(fields):
            raise WalletError(f"input {index} is not finished")
    tx = _assembled(psbt)
    check_signed(tx, spent_outputs(psbt))
    return tx
