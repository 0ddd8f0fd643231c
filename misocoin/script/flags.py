"""Which rules a script is verified by: bits to be combined, with Core's names.

A block is held to the flags of the soft forks in force; a transaction that wants to be relayed to
`STANDARD`. Adding a flag never makes an invalid spend valid.
"""

from collections.abc import Iterable
from types import MappingProxyType

P2SH = 1 << 0
"""Evaluate the script that a script hash stands for (BIP16)."""
STRICTENC = 1 << 1
"""Signatures and public keys must have a defined encoding and hash type."""
DERSIG = 1 << 2
"""Signatures must be strict DER (BIP66)."""
LOW_S = 1 << 3
"""A signature's S must be at most half of the group order (BIP62 rule 5)."""
NULLDUMMY = 1 << 4
"""The element that CHECKMULTISIG drops must be empty (BIP147)."""
SIGPUSHONLY = 1 << 5
"""The scriptSig may only push (BIP62 rule 2)."""
MINIMALDATA = 1 << 6
"""Pushes and numbers must be in their shortest form (BIP62 rules 3 and 4)."""
DISCOURAGE_UPGRADABLE_NOPS = 1 << 7
"""The NOPs kept for soft forks fail."""
CLEANSTACK = 1 << 8
"""Exactly one element must be left (BIP62 rule 6); only together with P2SH and WITNESS."""
CHECKLOCKTIMEVERIFY = 1 << 9
"""BIP65."""
CHECKSEQUENCEVERIFY = 1 << 10
"""BIP112."""
WITNESS = 1 << 11
"""Segregated witness (BIP141, BIP143); only together with P2SH."""
DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM = 1 << 12
"""Witness programs of unknown versions fail."""
MINIMALIF = 1 << 13
"""In segwit v0 the argument of IF and NOTIF must be empty or exactly 1."""
NULLFAIL = 1 << 14
"""A signature that does not hold must be empty (BIP146)."""
WITNESS_PUBKEYTYPE = 1 << 15
"""Public keys in segwit v0 must be compressed."""
CONST_SCRIPTCODE = 1 << 16
"""CODESEPARATOR and signatures inside the script they sign fail (before segwit)."""
TAPROOT = 1 << 17
"""Taproot and tapscript (BIP341, BIP342); only together with WITNESS."""
DISCOURAGE_UPGRADABLE_TAPROOT_VERSION = 1 << 18
"""Unknown leaf versions fail."""
DISCOURAGE_OP_SUCCESS = 1 << 19
"""OP_SUCCESS opcodes fail."""
DISCOURAGE_UPGRADABLE_PUBKEYTYPE = 1 << 20
"""Public keys of unknown types fail in tapscript."""

NONE = 0
"""The rules of the beginning."""

MANDATORY = (
    P2SH | DERSIG | NULLDUMMY | CHECKLOCKTIMEVERIFY | CHECKSEQUENCEVERIFY | WITNESS | TAPROOT
)
"""All soft forks: who breaks these would break a block."""

STANDARD = (
    MANDATORY
    | STRICTENC
    | MINIMALDATA
    | DISCOURAGE_UPGRADABLE_NOPS
    | CLEANSTACK
    | MINIMALIF
    | NULLFAIL
    | LOW_S
    | DISCOURAGE_UPGRADABLE_WITNESS_PROGRAM
    | WITNESS_PUBKEYTYPE
    | CONST_SCRIPTCODE
    | DISCOURAGE_UPGRADABLE_TAPROOT_VERSION
    | DISCOURAGE_OP_SUCCESS
    | DISCOURAGE_UPGRADABLE_PUBKEYTYPE
)
"""What a relayed transaction is held to (Core's STANDARD_SCRIPT_VERIFY_FLAGS)."""

FLAGS_BY_NAME = MappingProxyType(
    {
        name: value
        for name, value in list(globals().items())
        if name.isupper()
        and isinstance(value, int)
        and name not in {"NONE", "MANDATORY", "STANDARD"}
    }
)
"""Name to bit, for every single flag."""


def flags_from_names(names: Iterable[str]) -> int:
    """Combine flags given by name; raises KeyError for a name that is none."""
    flags = NONE
    for name in names:
        flags |= FLAGS_BY_NAME[name]
    return flags
