"""Which transactions are standard: the forms that wallets use, without what only strains nodes.

Policy, not consensus: a block may hold others. Order, limits and reject strings are those of
Bitcoin Core 29 (`IsStandardTx`, `AreInputsStandard`, `IsWitnessStandard`).
"""

from collections.abc import Sequence
from typing import NoReturn

from misocoin.consensus.coins import Coin
from misocoin.consensus.tx_rules import MAX_BLOCK_SIGOPS_COST
from misocoin.errors import RejectCode, ValidationError
from misocoin.policy.dust import dust_outputs
from misocoin.policy.settings import RelayPolicy
from misocoin.primitives.transaction import Transaction
from misocoin.script.machine import MAX_ELEMENT_SIZE
from misocoin.script.numbers import bytes_from_number
from misocoin.script.opcodes import OP_1, OP_1NEGATE, OP_16, OP_PUSHDATA4, OP_RESERVED
from misocoin.script.script import is_p2sh, is_push_only, operations, witness_program
from misocoin.script.sigops import count_sigops
from misocoin.script.taproot import ANNEX_TAG, LEAF_TAPSCRIPT
from misocoin.script.templates import P2A_SCRIPT, ScriptKind, template_from_script

MAX_STANDARD_VERSION = 3
"""Transactions of a higher version wait for a meaning. 3 asks for the limits of BIP431."""

MAX_DUST_OUTPUTS = 1
"""Outputs of a transaction that may be dust, if nothing is paid and all of it is spent at once."""

MAX_STANDARD_WEIGHT = 400_000
"""Weight units of a transaction."""

MIN_STANDARD_STRIPPED_SIZE = 65
"""Bytes without witness; 64 would look like two nodes of a merkle tree (CVE-2017-12842)."""

MAX_STANDARD_SCRIPT_SIG_SIZE = 1_650
"""Bytes: enough for a 15-of-15 multisig in P2SH."""

MAX_STANDARD_SIGOPS_COST = MAX_BLOCK_SIGOPS_COST // 5
"""Signature operations of a transaction, as a block counts them (16,000)."""

MAX_STANDARD_P2SH_SIGOPS = 15
"""Signature operations in the script behind a script hash."""

MAX_STANDARD_MULTISIG_KEYS = 3
"""Keys of a multisig that stands in an output itself."""

MAX_STANDARD_P2WSH_SCRIPT_SIZE = 3_600
"""Bytes of the script behind a witness script hash."""

MAX_STANDARD_P2WSH_STACK_ITEMS = 100
"""Elements before that script."""

MAX_STANDARD_P2WSH_STACK_ITEM_SIZE = 80
"""Bytes of each of them."""

MAX_STANDARD_TAPSCRIPT_STACK_ITEM_SIZE = 80
"""Bytes of each element before a tapscript."""

_LEAF_VERSION_MASK = 0xFE


def check_standard(tx: Transaction, policy: RelayPolicy) -> None:
    """Check what can be seen in the transaction alone; raises ValidationError."""
    if not 1 <= tx.version <= MAX_STANDARD_VERSION:
        _refuse("version")
    if tx.weight > MAX_STANDARD_WEIGHT:
        _refuse("tx-size")
    for txin in tx.vin:
        if len(txin.script_sig) > MAX_STANDARD_SCRIPT_SIG_SIZE:
            _refuse("scriptsig-size")
        if not is_push_only(txin.script_sig):
            _refuse("scriptsig-not-pushonly")
    carriers = 0
    for _, script in tx.vout:
        kind = _output_kind(script, policy)
        if kind is ScriptKind.NULLDATA:
            carriers += 1
        elif kind is ScriptKind.MULTISIG and not policy.permit_bare_multisig:
            _refuse("bare-multisig")
    if len(dust_outputs(tx, policy.dust_feerate)) > MAX_DUST_OUTPUTS:
        _refuse("dust")
    if carriers > 1:
        _refuse("multi-op-return")


def _output_kind(script: bytes, policy: RelayPolicy) -> ScriptKind:
    template = template_from_script(script)
    kind = template.kind
    if (
        kind is ScriptKind.NONSTANDARD
        or (kind is ScriptKind.MULTISIG and len(template.solutions) > MAX_STANDARD_MULTISIG_KEYS)
        or (kind is ScriptKind.NULLDATA and len(script) > policy.max_data_carrier)
    ):
        _refuse("scriptpubkey")
    return kind


def check_standard_inputs(tx: Transaction, coins: Sequence[Coin]) -> None:
    """Check the forms of what is spent, coins in order of the inputs; raises ValidationError."""
    for index, (txin, coin) in enumerate(zip(tx.vin, coins, strict=True)):
        kind = template_from_script(coin.script_pubkey).kind
        if kind in (ScriptKind.NONSTANDARD, ScriptKind.WITNESS_UNKNOWN):
            _refuse("bad-txns-nonstandard-inputs", f"input {index}: script unknown")
        if kind is ScriptKind.P2SH:
            redeem_script = _last_push(txin.script_sig)
            if redeem_script is None:
                _refuse("bad-txns-nonstandard-inputs", f"input {index}: no redeem script")
            if count_sigops(redeem_script, accurate=True) > MAX_STANDARD_P2SH_SIGOPS:
                _refuse("bad-txns-nonstandard-inputs", f"input {index}: too many sigops")


def check_standard_witness(tx: Transaction, coins: Sequence[Coin]) -> None:
    """Check the sizes and forms of the witnesses, coins in order of the inputs.

    Raises ValidationError.
    """
    for index, (txin, coin) in enumerate(zip(tx.vin, coins, strict=True)):
        if txin.witness and not _is_standard_witness(
            txin.script_sig, coin.script_pubkey, txin.witness
        ):
            _refuse("bad-witness-nonstandard", f"input {index}")


def _is_standard_witness(
    script_sig: bytes, script_pubkey: bytes, witness: tuple[bytes, ...]
) -> bool:
    if script_pubkey == P2A_SCRIPT:
        return False
    in_p2sh = is_p2sh(script_pubkey)
    program = witness_program((_last_push(script_sig) or b"") if in_p2sh else script_pubkey)
    if program is None:
        return False
    version, key = program
    if version == 0 and len(key) == 32:
        return (
            len(witness[-1]) <= MAX_STANDARD_P2WSH_SCRIPT_SIZE
            and len(witness) - 1 <= MAX_STANDARD_P2WSH_STACK_ITEMS
            and all(len(item) <= MAX_STANDARD_P2WSH_STACK_ITEM_SIZE for item in witness[:-1])
        )
    if version == 1 and len(key) == 32 and not in_p2sh:
        return _is_standard_taproot_witness(witness)
    return True


def _is_standard_taproot_witness(witness: tuple[bytes, ...]) -> bool:
    if len(witness) == 1:
        return True
    control_block = witness[-1]
    if not control_block or control_block[0] == ANNEX_TAG:
        return False  # the annex (last of two or more) has no meaning yet
    if control_block[0] & _LEAF_VERSION_MASK != LEAF_TAPSCRIPT:
        return True
    return all(len(item) <= MAX_STANDARD_TAPSCRIPT_STACK_ITEM_SIZE for item in witness[:-2])


def _last_push(script_sig: bytes) -> bytes | None:
    """What a script of pushes leaves on top; None where it is empty or does anything else."""
    last = None
    for opcode, data in operations(script_sig):
        if data is None or opcode > OP_16 or opcode == OP_RESERVED:
            return None
        if opcode <= OP_PUSHDATA4:
            if len(data) > MAX_ELEMENT_SIZE:
                return None
            last = data
        else:
            last = bytes_from_number(-1 if opcode == OP_1NEGATE else opcode - OP_1 + 1)
    return last


def _refuse(reason: str, detail: str = "") -> NoReturn:
    raise ValidationError(reason, detail, RejectCode.NONSTANDARD)
