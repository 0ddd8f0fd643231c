from dataclasses import replace

import pytest

from misocoin.consensus import difficulty
from misocoin.consensus.difficulty import (
    bits_from_target,
    calculate_asert_bits,
    calculate_difficulty,
    calculate_network_difficulty,
    calculate_next_bits,
    calculate_retarget_bits,
    calculate_step_bits,
    is_proof_of_work,
    reference_height,
    target_from_bits,
    work_from_bits,
)
from misocoin.errors import ValidationError
from misocoin.params import bitcoin, miso, regtest
from tests.shared import SHARED

# -- compact form -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "target", "canonical"),
    [
        # sizes up to three bytes drop the mantissa's low bytes
        (0x01123456, 0x12, 0x01120000),
        (0x02123456, 0x1234, 0x02123400),
        (0x03123456, 0x123456, 0x03123456),
        (0x01010000, 1, 0x01010000),
        (0x017F0000, 0x7F, 0x017F0000),
        (0x02008000, 0x80, 0x02008000),  # 0x80 alone would set the sign bit
        (0x0200FFFF, 0xFF, 0x0200FF00),
        (0x03008000, 0x8000, 0x03008000),
        (0x03000001, 1, 0x01010000),
        (0x04123456, 0x12345600, 0x04123456),
        (0x04000001, 0x100, 0x02010000),
        (0x05009234, 0x92340000, 0x05009234),
        (0x1D00FFFF, 0xFFFF << 208, 0x1D00FFFF),
        (0x1E0FFFFF, 0x0FFFFF << 216, 0x1E0FFFFF),
        (0x207FFFFF, 0x7FFFFF << 232, 0x207FFFFF),
        (0x20123456, 0x123456 << 232, 0x20123456),
        # the greatest of 256 bits
        (0x2100FFFF, 0xFFFF << 240, 0x2100FFFF),
        (0x220000FF, 0xFF << 248, 0x2100FF00),
    ],
    ids=lambda value: f"{value:#x}"[:12],
)
def test_bits_and_their_target(bits, target, canonical):
    assert target_from_bits(bits) == target
    assert bits_from_target(target) == canonical
    assert target_from_bits(canonical) == target


@pytest.mark.parametrize(
    ("bits", "why"),
    [
        (0x00000000, "zero"),
        (0x00123456, "zero: all bytes dropped"),
        (0x01003456, "zero: the byte left is 0"),
        (0x02000056, "zero"),
        (0x03000000, "zero"),
        (0x04000000, "zero"),
        (0xFF000000, "zero, whatever the size"),
        (0x00923456, "zero with a sign"),
        (0x01803456, "zero with a sign"),
        (0x04800000, "zero with a sign"),
        (0x01FEDCBA, "negative"),
        (0x03800001, "negative"),
        (0x04923456, "negative"),
        (0x1D80FFFF, "negative"),
        (0x21010000, "257 bits"),
        (0x22000100, "257 bits"),
        (0x23000001, "257 bits"),
        (0xFF123456, "overflow"),
        (0xFFFFFFFF, "negative and overflow"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value:#010x}",
)
def test_bits_that_are_no_target(bits, why):
    with pytest.raises(ValidationError, match=f"bad-diffbits, 0x{bits:08x} is no target"):
        target_from_bits(bits)
    assert not is_proof_of_work(bytes(32), bits, regtest())


def test_the_mantissa_is_rounded_down():
    assert bits_from_target(0x12345678) == 0x04123456
    assert bits_from_target(2**224 - 1) == 0x1D00FFFF
    assert bits_from_target(2**255 - 1) == 0x207FFFFF
    assert bits_from_target(2**256 - 1) == 0x2100FFFF
    assert bits_from_target(0) == 0


@pytest.mark.parametrize(
    ("bits", "work"),
    [
        (0x207FFFFF, 2),
        (0x1D00FFFF, 0x100010001),
        (0x1E0FFFFF, 0x100001),
        (0x2100FFFF, 1),
        (0x01010000, 2**255),
        (0x1B0404CB, 70_040_908_352_512),
    ],
    ids=hex,
)
def test_work_is_the_expected_number_of_hashes(bits, work):
    assert work_from_bits(bits) == work


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        (0x1D00FFFF, 1.0),
        (0x1D00D86A, 1.182899534312841),
        (0x1C05A3F4, 45.38582234101263),
        (0x1B0404CB, 16307.420938523983),
        (0x207FFFFF, 4.6565423739069247e-10),
    ],
    ids=lambda value: f"{value:#010x}" if isinstance(value, int) else "",
)
def test_difficulty_is_relative_to_bitcoins_easiest(bits, expected):
    assert calculate_difficulty(bits) == pytest.approx(expected, rel=1e-12)


def test_difficulty_may_be_relative_to_another_limit():
    assert calculate_difficulty(0x1E07FFFF, 0x1E0FFFFF) == pytest.approx(2.0, rel=1e-5)


def test_the_difficulty_of_a_network_counts_from_its_own_easiest_or_bitcoins():
    assert calculate_network_difficulty(0x1E0FFFFF, miso()) == 1.0
    assert calculate_network_difficulty(0x1D00FFFF, bitcoin()) == 1.0
    assert calculate_network_difficulty(0x207FFFFF, regtest()) == pytest.approx(4.6565423739e-10)


def _hash_of(number):
    return number.to_bytes(32, "little")


def test_a_hash_is_a_little_endian_number_that_must_not_exceed_the_target():
    target = 0xFFFF << 208
    assert is_proof_of_work(_hash_of(target), 0x1D00FFFF, bitcoin())
    assert not is_proof_of_work(_hash_of(target + 1), 0x1D00FFFF, bitcoin())
    assert is_proof_of_work(bytes(32), 0x1D00FFFF, bitcoin())


@pytest.mark.parametrize(
    ("params", "bits", "is_valid"),
    [
        (bitcoin(), 0x1D00FFFF, True),
        (bitcoin(), 0x1D010000, False),
        (miso(), 0x1E0FFFFF, True),
        (miso(), 0x1E100000, False),
        (regtest(), 0x207FFFFF, True),
        (regtest(), 0x21008000, False),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_target_must_not_exceed_the_networks_limit(params, bits, is_valid):
    assert is_proof_of_work(bytes(32), bits, params) is is_valid


# -- bitcoin ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "first_time", "last_time", "bits", "expected"),
    [
        # the first change ever
        (32256, 1261130161, 1262152739, 0x1D00FFFF, 0x1D00D86A),
        # before it the limit held: the first interval took 23.8 days
        (2016, 1231006505, 1233061996, 0x1D00FFFF, 0x1D00FFFF),
        # held at a quarter: July 2010, when block 68544 came after 3.35 days
        (68544, 1279008237, 1279297671, 0x1C05A3F4, 0x1C0168FD),
        # held at fourfold: made up, it never happened
        (46368, 1263163443, 1269211443, 0x1C387F6F, 0x1D00E1FD),
    ],
)
def test_bitcoins_retarget(height, first_time, last_time, bits, expected):
    params = bitcoin()
    assert reference_height(height - 1, params) == height - 2016
    assert calculate_next_bits(height - 1, bits, last_time, first_time, params) == expected
    assert calculate_retarget_bits(bits, last_time - first_time, params) == expected


@pytest.mark.parametrize("parent_height", [0, 1, 2014, 2016, 32254, 32256, 840_000])
def test_bitcoins_bits_stay_within_an_interval(parent_height):
    params = bitcoin()
    assert reference_height(parent_height, params) == parent_height
    assert calculate_next_bits(parent_height, 0x1C05A3F4, 5, 0, params) == 0x1C05A3F4


@pytest.mark.parametrize(
    ("timespan", "expected"),
    [
        (1_209_600, 0x1C100000),
        (302_400, 0x1C040000),
        (302_399, 0x1C040000),
        (-5, 0x1C040000),
        (4_838_400, 0x1C400000),
        (4_838_401, 0x1C400000),
        (604_800, 0x1C080000),
    ],
)
def test_a_retarget_is_held_within_a_factor_of_four(timespan, expected):
    assert calculate_retarget_bits(0x1C100000, timespan, bitcoin()) == expected


def test_regtest_never_retargets():
    params = regtest()
    for parent_height in (0, 1, 2015, 4031):
        assert reference_height(parent_height, params) == parent_height
        assert calculate_next_bits(parent_height, 0x207FFFFF, 10**6, 0, params) == 0x207FFFFF


# -- aserti3 ----------------------------------------------------------------------------------

BCH_LIMIT = (1 << 224) - 1


def _asert(anchor_bits, time_delta, height_delta):
    return calculate_asert_bits(anchor_bits, time_delta, height_delta, 600, 172_800, BCH_LIMIT)


@pytest.mark.parametrize(
    ("anchor_bits", "time_delta", "height_delta", "expected"),
    [
        (0x1D00FFFF, 1200, 1, 0x1D00FFFF),
        (0x1D00FFFF, 0, 1, 0x1D00FEC5),
        (0x1D00FFFF, 0, 289, 0x1C7F62C0),
        (0x01010000, 1200, 1, 0x01010000),
        (0x1C100000, 600 + 172_800, 0, 0x1C200000),
        (0x1C100000, 600 - 172_800, 0, 0x1C080000),
    ],
)
def test_aserti3(anchor_bits, time_delta, height_delta, expected):
    assert _asert(anchor_bits, time_delta, height_delta) == expected


def test_the_constants_of_aserti3():
    assert difficulty.ASERT_RADIX_BITS == 16
    assert difficulty._CUBIC == (195_766_423_245_049, 971_821_376, 5127)


def test_aserti3_is_held_between_one_and_the_limit():
    assert _asert(0x1D00FFFF, 10**9, 0) == 0x1D00FFFF
    assert _asert(0x1D00FFFF, -(10**9), 0) == 0x01010000


def _asert_runs():
    for path in sorted((SHARED / "vectors").glob("asert_run*.txt")):
        lines = path.read_text(encoding="ascii").splitlines()
        header = {
            key.strip("# "): value.strip()
            for key, _, value in (line.partition(":") for line in lines if line[:2] == "##")
        }
        steps = [line.split() for line in lines if line and not line.startswith("#")]
        yield pytest.param(header, steps, id=f"{path.stem}, {len(steps)} steps")
    if not (SHARED / "vectors").is_dir():
        yield pytest.param(
            {}, [], marks=pytest.mark.skip("asert_run*.txt is not beside the repository")
        )


@pytest.mark.parametrize(("header", "steps"), [*_asert_runs()])
def test_aserti3_vectors(header, steps):
    anchor_height = int(header["anchor height"])
    anchor_time = int(header["anchor ancestor time"])
    assert len(steps) == int(header["iterations"])
    for _, height, time, expected in steps:
        bits = _asert(
            int(header["anchor nBits"], 16), int(time) - anchor_time, int(height) - anchor_height
        )
        assert bits == int(expected, 16), f"height {height}"


# -- miso -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solve_time", "expected"),
    [
        (30, 0x1D0FFFFF),
        (31, 0x1D10018E),
        (29, 0x1D0FFE6F),
        (0, 0x1D0FD117),
        (1800, 0x1D1FA20E),
        (1801, 0x1D1FA20E),
        (10**6, 0x1D1FA20E),
        (-1800, 0x1D07E88B),
        (-1801, 0x1D07E88B),
        (-(10**6), 0x1D07E88B),
    ],
)
def test_a_step_of_miso(solve_time, expected):
    assert f"{calculate_step_bits(0x1D0FFFFF, solve_time, miso()):08x}" == f"{expected:08x}"


def test_a_step_follows_its_formula():
    target = target_from_bits(0x1C7FFFFF)
    for solve_time in range(-2000, 2001, 7):
        held = max(-1800, min(1800, solve_time))
        exact = target * 2.0 ** ((held - 30) / 1800)
        found = target_from_bits(calculate_step_bits(0x1C7FFFFF, solve_time, miso()))
        assert found == pytest.approx(exact, rel=2e-4), solve_time


def test_a_slow_block_makes_the_next_easier_and_a_fast_one_harder():
    steps = [calculate_step_bits(0x1D0FFFFF, seconds, miso()) for seconds in range(0, 61, 10)]
    targets = list(map(target_from_bits, steps))
    assert targets == sorted(set(targets))
    assert targets[2] < target_from_bits(0x1D0FFFFF) == targets[3] < targets[4]


def test_a_step_never_passes_the_limit():
    assert calculate_step_bits(0x1E0FFFFF, 1800, miso()) == 0x1E0FFFFF
    assert calculate_step_bits(0x1E0FFFFF, 29, miso()) == 0x1E0FFE6F


def test_a_chain_that_slept_wakes_with_one_easier_block():
    week = 7 * 24 * 3600
    params = miso()
    bits = calculate_next_bits(500, 0x1B0FFFFF, week, 0, params)
    assert target_from_bits(bits) < 2 * target_from_bits(0x1B0FFFFF)


def test_miso_looks_at_the_parents_solve_time():
    params = miso()
    assert [reference_height(height, params) for height in (0, 1, 2, 700)] == [0, 0, 1, 699]
    assert calculate_next_bits(700, 0x1D0FFFFF, 5030, 5000, params) == 0x1D0FFFFF
    assert calculate_next_bits(700, 0x1D0FFFFF, 5000, 5000, params) == 0x1D0FD117
    # genesis has no solve time
    assert calculate_next_bits(0, 0x1E0FFFFF, 1512254915, 1512254915, params) == 0x1E0FFFFF


def test_the_half_life_is_a_parameter():
    params = replace(miso(), half_life=600)
    assert calculate_step_bits(0x1C100000, 630, params) != calculate_step_bits(
        0x1C100000, 630, miso()
    )
    assert calculate_step_bits(0x1C100000, 30, params) == 0x1C100000
