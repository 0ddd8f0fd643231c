"""Whatever times a miner of all blocks writes, miso's difficulty does not vanish."""

from itertools import islice

from misocoin.consensus.block_rules import calculate_min_time
from misocoin.consensus.difficulty import calculate_step_bits, work_from_bits
from misocoin.params import miso

HASH_RATE = 30_000_000


def _blocks_in(hours):
    """Blocks of a miner who climbs by half lives and falls as far as the rules permit."""
    params = miso()
    times = [1_000_000_000 - 30 * age for age in range(11, -1, -1)]
    bits, start, elapsed, count = 0x1C100000, times[-1], 0.0, 0
    while elapsed < hours * 3600:
        elapsed += work_from_bits(bits) / HASH_RATE
        count += 1
        median = sorted(islice(reversed(times), 11))[5]
        least = calculate_min_time(median, times[-1], params)
        latest = start + int(elapsed) + params.max_future
        climbs = latest - median > 5 * 1800 and count % 11 >= 6
        times.append(min(latest, times[-1] + 1800) if climbs else least)
        bits = calculate_step_bits(bits, times[-1] - times[-2], params)
    return count


def test_blocks_do_not_come_faster_by_lies_about_time():
    assert _blocks_in(6) < 2 * 6 * 120
