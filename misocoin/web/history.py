"""How the chain went, as charts: difficulty, hash rate, intervals, transactions, fees, coins."""

from collections.abc import Callable, Sequence
from math import exp
from typing import Any

from misocoin.consensus.difficulty import calculate_network_difficulty
from misocoin.consensus.subsidy import calculate_subsidy
from misocoin.consensus.tree import HeaderNode
from misocoin.face.charts import Bar, Chart, Line, Point, si_text
from misocoin.face.words import coins_text
from misocoin.params import Params, Retarget
from misocoin.units import COIN

MOST_BLOCKS = 20_000
"""Blocks that the charts of headers reach back."""

LOOKED_INTO = 300
"""Blocks that the charts of transactions and fees reach back: they have to look into each."""

RATE_WINDOW = 30
"""Blocks over which a point of the hash rate is taken."""

FEWEST_INTERVALS = 20
"""Of fewer no histogram can be seen."""

TOO_EARLY = "There are too few blocks yet."
"""What stands where nothing can be drawn."""

_BINS = 24
_HALVINGS_SHOWN = 8

Series = dict[str, Any]


def branch(tip: HeaderNode, count: int = MOST_BLOCKS) -> list[HeaderNode]:
    """The last blocks up to the tip, in order; genesis, which nobody mined here, is left out."""
    lowest = tip.ancestor(max(0, tip.height - count))
    return list(tip.back_to(lowest))[::-1]


def hash_rates(nodes: Sequence[HeaderNode], window: int = RATE_WINDOW) -> list[Point]:
    """Hashes a second over a moving window of blocks, by height."""
    points = []
    for first, last in zip(nodes, nodes[window:], strict=False):
        seconds = last.header.time - first.header.time
        if seconds > 0:
            points.append(Point(last.height, (last.chain_work - first.chain_work) / seconds))
    return points


def intervals(nodes: Sequence[HeaderNode]) -> list[int]:
    """Seconds between the times of one block and the next; not below 0."""
    pairs = zip(nodes, nodes[1:], strict=False)
    return [max(0, after.header.time - before.header.time) for before, after in pairs]


def histogram(values: Sequence[int], bins: int = _BINS) -> tuple[list[Bar], float]:
    """Bars over the values up to four times their mean, and the mean; none where all are 0."""
    mean = sum(values) / len(values) if values else 0.0
    if not mean:
        return [], 0.0
    width = 4 * mean / bins
    counts = [0] * bins
    for value in values:
        if (place := int(value / width)) < bins:
            counts[place] += 1
    return [Bar(n * width, (n + 1) * width, count) for n, count in enumerate(counts)], mean


def expected_counts(count: int, mean: float, width: float, bins: int = _BINS) -> list[Point]:
    """How many of `count` waiting times each bin would hold if blocks came by chance alone.

    Times between events of a Poisson process are exponential.
    """
    return [
        Point(
            (n + 0.5) * width,
            count * (exp(-n * width / mean) - exp(-(n + 1) * width / mean)),
        )
        for n in range(bins)
    ]


def supply(params: Params, height: int) -> list[Point]:
    """Coins in existence by height, over the first halvings and at least up to `height`."""
    interval = params.halving_interval
    halvings = max(_HALVINGS_SHOWN, height // interval + 1)
    heights = [number * interval for number in range(1, min(halvings, 64) + 1)]
    return [Point(0, 0), *[Point(at, supply_at(at, params) / COIN) for at in heights]]


def charts(
    tip: HeaderNode, params: Params, unit: str, look: Callable[[HeaderNode], tuple[int, int]]
) -> list[Chart]:
    """All charts of the chain that ends at `tip`.

    `look` tells how many transactions a block has and what they paid.
    """
    nodes = branch(tip)
    rates = hash_rates(nodes)
    waits = intervals(nodes)
    bars, mean = histogram(waits if len(waits) >= FEWEST_INTERVALS else ())
    expected = expected_counts(len(waits), mean, bars[0].high, _BINS) if bars else []
    latest = nodes[-LOOKED_INTO:]
    seen = [(node.height, *look(node)) for node in latest]
    counts = [Point(height, count) for height, count, _ in seen]
    paid = [Point(height, fees / COIN) for height, _, fees in seen]
    difficulties = [
        Point(node.height, calculate_network_difficulty(node.header.bits, params)) for node in nodes
    ]
    aimed = params.retarget is not Retarget.NEVER
    spacing = f", {params.target_spacing} s are aimed for" if aimed else ""
    now, planned = supply_at(tip.height, params), supply(params, tip.height)
    percent = 100 * now / COIN / planned[-1].y
    share = f"{percent:.2f} %" if percent >= 0.01 else "less than 0.01 %"
    return [
        Chart(
            "Difficulty",
            _span("It went from {} to {}.", difficulties),
            "height",
            "times the easiest",
            (Line("difficulty", tuple(difficulties)),),
            y_text=si_text,
            x_step=1,
        ),
        Chart(
            "Hash rate",
            _span("It went from {} to {} hashes a second.", rates),
            "height",
            f"over {RATE_WINDOW} blocks",
            (Line("hash rate", tuple(rates)),),
            y_text=lambda value: si_text(value, "H/s"),
            x_step=1,
        ),
        Chart(
            "Time between blocks",
            f"The mean is {mean:.1f} s{spacing}." if bars else TOO_EARLY,
            "seconds",
            "blocks",
            (Line("by chance alone", tuple(expected)),),
            tuple(bars),
            bars_name="as they came",
            y_step=1,
        ),
        Chart(
            f"Transactions of the last {len(latest)} blocks",
            f"{sum([count for _, count, _ in seen]):,} in all.",
            "height",
            "in a block",
            (Line("transactions", tuple(counts)),),
            x_step=1,
            y_step=1,
        ),
        Chart(
            f"Fees of the last {len(latest)} blocks",
            f"{coins_text(round(sum([point.y for point in paid]) * COIN))} {unit} in all.",
            "height",
            f"{unit} a block",
            (Line("fees", tuple(paid)),),
            x_step=1,
        ),
        Chart(
            "Coins in existence",
            f"Now there are {coins_text(now)} {unit}, {share} of what is planned up to height "
            f"{si_text(planned[-1].x)}.",
            "height",
            unit,
            (
                Line("as planned", tuple(planned)),
                Line("so far", (Point(0, 0), Point(tip.height, now / COIN)), is_marked=True),
            ),
            x_text=si_text,
            y_text=si_text,
        ),
    ]


def supply_at(height: int, params: Params) -> int:
    """Base units that exist at most after the block of a height; genesis' own cannot be spent."""
    total, start = 0, 1
    while start <= height and (reward := calculate_subsidy(start, params)):
        end = min(height, (start // params.halving_interval + 1) * params.halving_interval - 1)
        total += reward * (end - start + 1)
        start = end + 1
    return total


def _span(sentence: str, points: Sequence[Point]) -> str:
    if not points:
        return TOO_EARLY
    return sentence.format(si_text(points[0].y), si_text(points[-1].y))


def chart_json(chart: Chart) -> Series:
    """A chart's numbers."""
    return {
        "title": chart.title,
        "summary": chart.summary,
        "x": chart.x_label,
        "y": chart.y_label,
        "lines": {line.name: [list(point) for point in line.points] for line in chart.lines},
        "bars": [list(bar) for bar in chart.bars],
    }
