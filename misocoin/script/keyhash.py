"""A short cut for the two commonest spends: P2PKH and P2WPKH in their plain form.

All but the signature is decided by comparing bytes, so that running the interpreter would tell
nothing new; a property test holds this to the interpreter.
"""

from misocoin.crypto.batch import SignatureJob, SignatureKind
from misocoin.crypto.hashes import hash160
from misocoin.script.encoding import is_compressed_key, is_uncompressed_key
from misocoin.script.encoding import signature_encoding_error as encoding_error
from misocoin.script.flags import WITNESS
from misocoin.script.sighash import TxDigests, legacy_sighash, segwit_sighash

_P2WPKH_SIZE = 22
_P2PKH_SIZE = 25
_MIN_SIGNATURE = 30  # a shorter one could be the push of the hash, which legacy rules cut out
_MAX_SIGNATURE = 75  # the longest that one opcode pushes


def key_hash_job(digests: TxDigests, index: int, flags: int) -> SignatureJob | None:
    """The signature on which it depends alone whether input `index` holds.

    None where the spend is of another form, or anything about it is unusual: the interpreter
    decides then.
    """
    script = digests.spent[index].script_pubkey
    txin = digests.tx.vin[index]
    size = len(script)
    if size == _P2WPKH_SIZE:
        witness = txin.witness
        if script[:2] != b"\x00\x14" or txin.script_sig or len(witness) != 2 or not flags & WITNESS:
            return None
        signature, public_key = witness
        key_hash = script[2:]
        if not is_compressed_key(public_key) or not 0 < len(signature) <= _MAX_SIGNATURE:
            return None
    elif size == _P2PKH_SIZE:
        script_sig = txin.script_sig
        if script[:3] != b"\x76\xa9\x14" or script[23:] != b"\x88\xac" or txin.witness:
            return None
        length = script_sig[0] if script_sig else 0
        signature, public_key = script_sig[1 : length + 1], script_sig[length + 2 :]
        key_hash = script[3:23]
        if (
            not _MIN_SIGNATURE <= length <= _MAX_SIGNATURE
            or not (is_compressed_key(public_key) or is_uncompressed_key(public_key))
            or script_sig[length + 1] != len(public_key)
        ):
            return None
    else:
        return None
    if hash160(public_key) != key_hash or encoding_error(signature, flags) is not None:
        return None
    if size == _P2PKH_SIZE:
        digest = legacy_sighash(digests, index, script, signature[-1])
    else:
        code = b"\x76\xa9\x14" + key_hash + b"\x88\xac"
        digest = segwit_sighash(digests, index, code, signature[-1])
    return SignatureJob(SignatureKind.ECDSA, public_key, signature[:-1], digest)
