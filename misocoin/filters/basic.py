"""Basic block filters (BIP158) and their headers (BIP157): what pays to whom, in a few bytes.

A filter holds the script of every output that its block makes or spends, so that whoever knows
its own scripts finds its blocks without telling anybody. A filter's header commits to it and to
all filters before it.
"""

from collections.abc import Iterable, Sequence

from misocoin.crypto.hashes import sha256d
from misocoin.filters.gcs import KEY_SIZE, are_all_in_gcs, gcs_from_elements, is_any_in_gcs
from misocoin.primitives.block import Block
from misocoin.script.opcodes import OP_RETURN

BASIC_FILTER_TYPE = 0
"""The number of this kind of filter on the wire."""

NULL_FILTER_HEADER = bytes(32)
"""What stands before the header of genesis' filter."""

_OP_RETURN = bytes((OP_RETURN,))


def output_scripts(block: Block) -> set[bytes]:
    """The scripts of a block's outputs that its filter holds: not those that only carry data."""
    scripts = {script for tx in block.transactions for _, script in tx.vout}
    return {script for script in scripts if script and not script.startswith(_OP_RETURN)}


def basic_filter_from_block(block: Block, spent_scripts: Iterable[bytes]) -> bytes:
    """The filter of a block; `spent_scripts` are those of the outputs that it spends."""
    elements = output_scripts(block)
    elements.update(script for script in spent_scripts if script)
    return gcs_from_elements(elements, block.hash[:KEY_SIZE])


def is_any_in_filter(scripts: Sequence[bytes], data: bytes, block_hash: bytes) -> bool:
    """Whether the block may make or spend an output of one of `scripts`; no is certain.

    Raises ParseError where `data` is no filter.
    """
    return is_any_in_gcs(scripts, data, block_hash[:KEY_SIZE])


def are_all_in_filter(scripts: Iterable[bytes], data: bytes, block_hash: bytes) -> bool:
    """Whether the filter can be of a block with all of `scripts`. Raises ParseError."""
    return are_all_in_gcs(set(scripts), data, block_hash[:KEY_SIZE])


def calculate_filter_header(data: bytes, previous: bytes) -> bytes:
    """The header of filter `data`, 32 bytes in wire order; `previous` is the parent's."""
    return filter_header_from_hash(sha256d(data), previous)


def filter_header_from_hash(filter_hash: bytes, previous: bytes) -> bytes:
    """The header of the filter with this double SHA-256."""
    return sha256d(filter_hash + previous)
