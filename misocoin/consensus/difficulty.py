"""Targets, work, and the difficulty rules of the three networks.

A target is a 256-bit integer; a block's hash, read as a little-endian integer, must not exceed
it. `bits` is its compact form in the header: one byte of size in bytes, three of mantissa.
"""

from misocoin.errors import ValidationError
from misocoin.params import Params, Retarget

ASERT_RADIX_BITS = 16
"""Fraction bits of aserti3's fixed-point exponent."""

# 2**x - 1 for 0 <= x < 1 as a cubic polynomial in 16-bit fixed point, scaled by 2**48; the error
# is under 0.013 %. Coefficients from the aserti3-2d specification (Bitcoin Cash, CHIP-2020-11).
_CUBIC = (195_766_423_245_049, 971_821_376, 5_127)


def target_from_bits(bits: int) -> int:
    """Expand the compact form; raises ValidationError if it is negative, zero or over 256 bits.

    Sizes under three bytes drop the mantissa's low bytes, as in Bitcoin's `arith_uint256`.
    """
    size, mantissa = bits >> 24, bits & 0x007FFFFF
    target = mantissa >> 8 * (3 - size) if size <= 3 else mantissa << 8 * (size - 3)
    if target == 0 or bits & 0x00800000 or target >> 256:
        raise ValidationError("bad-diffbits", f"0x{bits:08x} is no target")
    return target


def bits_from_target(target: int) -> int:
    """The compact form, the mantissa rounded down; `target` is at least 0."""
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & 0x00800000:  # that bit is the sign
        mantissa >>= 8
        size += 1
    return size << 24 | mantissa


def work_from_bits(bits: int) -> int:
    """Expected hashes to meet the target: 2**256 / (target + 1), rounded down."""
    return (1 << 256) // (target_from_bits(bits) + 1)


def calculate_difficulty(bits: int, limit_bits: int = 0x1D00FFFF) -> float:
    """The target of `limit_bits` (Bitcoin's easiest by default) divided by this one."""
    return target_from_bits(limit_bits) / target_from_bits(bits)


def calculate_network_difficulty(bits: int, params: Params) -> float:
    """Difficulty as the network counts it: miso from its own limit, the others as Bitcoin."""
    own = params.retarget is Retarget.EVERY_BLOCK
    return calculate_difficulty(bits, bits_from_target(params.pow_limit) if own else 0x1D00FFFF)


def is_proof_of_work(block_hash: bytes, bits: int, params: Params) -> bool:
    """Whether `block_hash` (wire order) meets `bits`, and `bits` the network's limit."""
    try:
        target = target_from_bits(bits)
    except ValidationError:
        return False
    return target <= params.pow_limit and int.from_bytes(block_hash, "little") <= target


def calculate_asert_bits(
    anchor_bits: int, time_delta: int, height_delta: int, spacing: int, half_life: int, limit: int
) -> int:
    """Bits by aserti3: the anchor's target times 2**((time - spacing * (height + 1)) / half_life).

    `time_delta` is seconds since the anchor's *parent*, `height_delta` blocks since the anchor
    (both of the block whose child is to be mined), `limit` the easiest target allowed.
    Source: aserti3-2d specification (Bitcoin Cash, CHIP-2020-11).
    """
    ahead = time_delta - spacing * (height_delta + 1)
    # Division truncates towards zero, the shift after it rounds down: both as specified.
    exponent = (abs(ahead) << ASERT_RADIX_BITS) // half_life
    if ahead < 0:
        exponent = -exponent
    shifts = exponent >> ASERT_RADIX_BITS
    x = exponent - (shifts << ASERT_RADIX_BITS)
    first, second, third = _CUBIC
    factor = (1 << 16) + (first * x + second * x**2 + third * x**3 + (1 << 47) >> 48)
    target = target_from_bits(anchor_bits) * factor
    shifts -= ASERT_RADIX_BITS
    target = target << shifts if shifts >= 0 else target >> -shifts
    return bits_from_target(min(max(target, 1), limit))


def calculate_step_bits(parent_bits: int, solve_time: int, params: Params) -> int:
    """The rule of miso: the parent's target times 2**((solve time - spacing) / half life).

    `solve_time` is the parent's timestamp less its own parent's, in seconds; it is held within
    plus or minus one half life, so that a block at most doubles or halves the target, and a chain
    that slept does not wake up with a week's worth of cheap blocks.
    """
    held = max(-params.half_life, min(solve_time, params.half_life))
    return calculate_asert_bits(
        parent_bits, held, 0, params.target_spacing, params.half_life, params.pow_limit
    )


def calculate_retarget_bits(parent_bits: int, timespan: int, params: Params) -> int:
    """The rule of bitcoin: the target times the last interval's seconds over those due.

    `timespan` runs from the interval's first block to its last (2015 spacings, not 2016: the
    original's off-by-one is the rule) and is held within a factor of four.
    """
    expected = params.target_spacing * params.retarget_interval
    held = max(expected // 4, min(timespan, expected * 4))
    target = target_from_bits(parent_bits) * held // expected
    return bits_from_target(min(target, params.pow_limit))


def calculate_next_bits(
    parent_height: int,
    parent_bits: int,
    parent_time: int,
    reference_time: int,
    params: Params,
) -> int:
    """The bits a child of the block at `parent_height` must carry.

    `reference_time` is the timestamp of the block at `reference_height(parent_height, params)`
    on the same branch.
    """
    match params.retarget:
        case Retarget.NEVER:
            return parent_bits
        case Retarget.EVERY_BLOCK:
            if parent_height == 0:
                return parent_bits
            return calculate_step_bits(parent_bits, parent_time - reference_time, params)
        case Retarget.EVERY_INTERVAL:
            if (parent_height + 1) % params.retarget_interval:
                return parent_bits
            return calculate_retarget_bits(parent_bits, parent_time - reference_time, params)


def reference_height(parent_height: int, params: Params) -> int:
    """Height of the ancestor whose time `calculate_next_bits` asks for."""
    match params.retarget:
        case Retarget.EVERY_BLOCK:
            return max(parent_height - 1, 0)
        case Retarget.EVERY_INTERVAL if (parent_height + 1) % params.retarget_interval == 0:
            return max(parent_height - (params.retarget_interval - 1), 0)
    return parent_height
