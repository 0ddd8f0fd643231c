"""Taproot's commitments: leaves, branches, tweak and control block (BIP341)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

from misocoin.codec import compact_size
from misocoin.crypto.hashes import tagged_hash
from misocoin.crypto.keys import is_taproot_tweak, xonly_tweak_add
from misocoin.errors import KeyFormatError
from misocoin.script.opcodes import OP_CHECKSIG, OP_CHECKSIGADD, OP_NUMEQUAL
from misocoin.script.script import operations, push_data, push_int
from misocoin.script.templates import count_from_operation

LEAF_TAPSCRIPT = 0xC0
"""The leaf version whose scripts are tapscripts (BIP342)."""

ANNEX_TAG = 0x50
"""First byte of a witness's last element where that is an annex."""

CONTROL_BASE_SIZE = 33
"""Bytes of a control block before its path: leaf version with parity, internal key."""

CONTROL_NODE_SIZE = 32
MAX_CONTROL_NODES = 128

XONLY_SIZE = 32
"""Bytes of a key: its x coordinate."""


class ControlBlock(NamedTuple):
    """What proves that a leaf belongs to an output key."""

    leaf_version: int
    parity: int
    """Of the output key's y coordinate."""
    internal_key: bytes
    """32 bytes, x coordinate."""
    path: tuple[bytes, ...]
    """The hashes beside the way from the leaf to the root, the leaf's neighbour first."""


def control_block_from_bytes(data: bytes) -> ControlBlock | None:
    """Take a control block apart; None if its size is impossible."""
    nodes, rest = divmod(len(data) - CONTROL_BASE_SIZE, CONTROL_NODE_SIZE)
    if rest or not 0 <= nodes <= MAX_CONTROL_NODES:
        return None
    path = tuple(
        data[at : at + CONTROL_NODE_SIZE]
        for at in range(CONTROL_BASE_SIZE, len(data), CONTROL_NODE_SIZE)
    )
    return ControlBlock(data[0] & 0xFE, data[0] & 1, data[1:CONTROL_BASE_SIZE], path)


def leaf_hash(leaf_version: int, script: bytes) -> bytes:
    """Hash of a leaf: `TapLeaf` over version and script."""
    return tagged_hash("TapLeaf", bytes((leaf_version,)) + compact_size(len(script)) + script)


def branch_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two nodes, whichever way round they are given."""
    return tagged_hash("TapBranch", left + right if left < right else right + left)


def tweak_hash(internal_key: bytes, merkle_root: bytes = b"") -> bytes:
    """The tweak that makes an internal key an output key; no root means no script tree."""
    return tagged_hash("TapTweak", internal_key + merkle_root)


def root_from_path(leaf: bytes, path: tuple[bytes, ...]) -> bytes:
    """The merkle root that a leaf's hash and its path lead to."""
    node = leaf
    for neighbour in path:
        node = branch_hash(node, neighbour)
    return node


def is_committed(control: ControlBlock, leaf: bytes, output_key: bytes) -> bool:
    """Whether the output key (32 bytes) commits to the leaf of that hash."""
    tweak = tweak_hash(control.internal_key, root_from_path(leaf, control.path))
    return is_taproot_tweak(output_key, control.parity, control.internal_key, tweak)


ScriptTree: TypeAlias = bytes | tuple["ScriptTree", "ScriptTree"]
"""The scripts of an output: one tapscript, or two trees under a branch."""


class TaprootLeaf(NamedTuple):
    """A script by which an output can be spent."""

    script: bytes
    path: tuple[bytes, ...]
    """As in `ControlBlock.path`."""

    @property
    def hash(self) -> bytes:
        """As `leaf_hash`."""
        return leaf_hash(LEAF_TAPSCRIPT, self.script)


def leaves_of(tree: ScriptTree) -> tuple[bytes, tuple[TaprootLeaf, ...]]:
    """The merkle root of a tree, and its leaves from left to right."""
    if isinstance(tree, bytes):
        return leaf_hash(LEAF_TAPSCRIPT, tree), (TaprootLeaf(tree, ()),)
    (left, left_leaves), (right, right_leaves) = map(leaves_of, tree)

    def under(leaves: tuple[TaprootLeaf, ...], neighbour: bytes) -> Iterator[TaprootLeaf]:
        return (leaf._replace(path=(*leaf.path, neighbour)) for leaf in leaves)

    return branch_hash(left, right), (*under(left_leaves, right), *under(right_leaves, left))


@dataclass(frozen=True)
class TaprootOutput:
    """What an output key commits to."""

    internal_key: bytes
    """32 bytes, x coordinate."""
    tree: ScriptTree | None = None

    @cached_property
    def _root_and_leaves(self) -> tuple[bytes, tuple[TaprootLeaf, ...]]:
        return (b"", ()) if self.tree is None else leaves_of(self.tree)

    @property
    def leaves(self) -> tuple[TaprootLeaf, ...]:
        """The scripts by which it can be spent."""
        return self._root_and_leaves[1]

    @property
    def tweak(self) -> bytes:
        """What is added to the internal key."""
        return tweak_hash(self.internal_key, self._root_and_leaves[0])

    @cached_property
    def _key_and_parity(self) -> tuple[bytes, int]:
        tweaked = xonly_tweak_add(self.internal_key, self.tweak)
        if tweaked is None:
            raise KeyFormatError("that internal key has no output key")
        return tweaked

    @property
    def output_key(self) -> bytes:
        """32 bytes. Raises KeyFormatError for an internal key that is none."""
        return self._key_and_parity[0]

    def control_block(self, leaf: TaprootLeaf) -> bytes:
        """What proves that the output key commits to a leaf."""
        first = LEAF_TAPSCRIPT | self._key_and_parity[1]
        return bytes((first,)) + self.internal_key + b"".join(leaf.path)


# -- scripts ------------------------------------------------------------------------------------


class KeyScript(NamedTuple):
    """A tapscript that wants signatures and nothing else."""

    keys: tuple[bytes, ...]
    """32 bytes each, in the order of the script."""
    required: int | None = None
    """How many of them have to sign (`multi_a`, BIP387); None for one key alone (`pk`)."""

    def serialize(self) -> bytes:
        """The script."""
        parts = [
            push_data(key) + bytes((OP_CHECKSIGADD if place else OP_CHECKSIG,))
            for place, key in enumerate(self.keys)
        ]
        if self.required is not None:
            parts.append(push_int(self.required) + bytes((OP_NUMEQUAL,)))
        return b"".join(parts)


def key_script_from_bytes(script: bytes) -> KeyScript | None:
    """Recognise such a script; None for any other."""
    found = list(operations(script))
    keys = tuple([data for _, data in found if data is not None and len(data) == XONLY_SIZE])
    if not keys:
        return None
    alone = KeyScript(keys)
    if len(keys) == 1 and alone.serialize() == script:
        return alone
    if len(found) != 2 * len(keys) + 2:
        return None
    opcode, data = found[-2]
    required = None if data is None else count_from_operation(opcode, data)
    if required is None or not 1 <= required <= len(keys):
        return None
    several = KeyScript(keys, required)
    return several if several.serialize() == script else None
