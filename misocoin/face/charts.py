"""Charts as SVG, drawn on the server: lines over time, and bars with lines over them.

A chart is a value; `chart_svg` draws it as one `<svg>` element to stand in a page. Colours and
strokes are classes of `miso.css` (`line-1`, `bars`, `grid`), so that a chart follows the page's
scheme and needs no style of its own, which a strict content security policy would refuse.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH, HEIGHT = 420, 220
"""Size of the drawing, in its own units; the page scales it to the room there is."""

MOST_POINTS = 420
"""Points of a line that are drawn, one for each unit of width; more are thinned out."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 82, 12, 12, 44
_TICKS = 5
_LETTER = 7.4  # how wide a letter of the ticks is, about


class Point(NamedTuple):
    """Where a line goes through."""

    x: float
    y: float


class Bar(NamedTuple):
    """A bar from `low` to `high` on the x axis."""

    low: float
    high: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """A named line; points in the order of x."""

    name: str
    points: tuple[Point, ...]
    is_marked: bool = False
    """Whether its end is marked, for one that may be too short to be seen."""


def plain_text(value: float) -> str:
    """A number with eight decimals at most and no more than it takes: `0.0000005`, `1,250`."""
    return f"{value + 0.0:,.8f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """What a chart shows. It equals itself alone, so that a drawing is quickly found again."""

    title: str
    summary: str
    """What is to be seen, for people who do not see it."""
    x_label: str
    y_label: str
    lines: tuple[Line, ...] = ()
    bars: tuple[Bar, ...] = ()
    x_text: Callable[[float], str] = plain_text
    """How a value on the x axis is written."""
    y_text: Callable[[float], str] = plain_text
    from_zero: bool = True
    """Whether the y axis begins at 0; else where the values do."""
    bars_name: str = ""
    """What the bars are."""
    x_step: float = 0.0
    """Ticks are no nearer to each other: 1 where only whole numbers mean something."""
    y_step: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be drawn."""
        return not self.bars and not any([line.points for line in self.lines])


def nice_step(span: float, ticks: int = _TICKS) -> float:
    """The distance of about `ticks` ticks over a span: 1, 2 or 5 times a power of ten."""
    if not (isfinite(span) and span > 1e-300):
        return 1.0
    power = 10.0 ** floor(log10(span / ticks))
    steps = (power * factor for factor in (1, 2, 5))
    return next((step for step in steps if span / step <= ticks), power * 10)


def ticks_between(low: float, high: float, ticks: int = _TICKS, least: float = 0.0) -> list[float]:
    """The round values from `low` to `high`, at least `least` apart; none in an empty range."""
    step = max(nice_step(high - low, ticks), least)
    first = int(-(-low // step))
    last = int(high // step)
    return [number * step for number in range(first, min(last, first + 4 * ticks) + 1)]


def si_text(value: float, unit: str = "") -> str:
    """A quantity with an SI prefix and three digits: `1.23 M`, followed by the unit."""
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


class _Frame:
    """Maps values to places on the drawing."""

    def __init__(self, chart: Chart) -> None:
        xs = [x for line in chart.lines for x, _ in line.points]
        xs += [x for bar in chart.bars for x in bar[:2]]
        ys = [y for line in chart.lines for _, y in line.points] + [bar.y for bar in chart.bars]
        self.low_x, self.high_x = _range(xs)
        self.low_y, self.high_y = _range([0.0, *ys] if chart.from_zero or chart.bars else ys)
        self.high_y += (self.high_y - self.low_y) * 0.05

    def x(self, value: float) -> float:
        share = (value - self.low_x) / (self.high_x - self.low_x)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low_y) / (self.high_y - self.low_y)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest value, far enough apart that numbers in between can be told."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    least = max(abs(low), abs(high)) * 1e-6 or 1.0
    return (low, high) if high - low >= least else (low, low + least)


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most about `most` points that keep a line's look: the ends of each slice's range."""
    if len(points) <= most:
        return list(points)
    kept: list[Point] = []
    slices = most // 2
    for number in range(slices):
        part = points[number * len(points) // slices : (number + 1) * len(points) // slices]
        ends = {min(part, key=lambda point: point.y), max(part, key=lambda point: point.y)}
        kept += sorted(ends)
    return [points[0], *kept, points[-1]]


def chart_svg(chart: Chart) -> Markup:
    """Draw a chart."""
    frame = _Frame(chart)
    drawn = [*_grid(chart, frame)]
    drawn += [_bar(bar, frame) for bar in chart.bars]
    for number, line in enumerate(chart.lines, 1):
        places = [f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in thinned(line.points)]
        drawn.append(f'<polyline class="line-{number}" points="{" ".join(places)}"/>')
        if line.is_marked and places:
            x, y = places[-1].split(",")
            drawn.append(f'<circle class="mark-{number}" cx="{x}" cy="{y}" r="4.5"/>')
    figure = "".join(drawn)
    return Markup(  # noqa: S704 - every text in it was escaped
        f'<figure class="chart{" barred" if chart.bars else ""}">'
        f"<figcaption>{escape(chart.title)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}. '
        f'{escape(chart.summary)}">{figure}</svg>{_legend(chart)}</figure>'
    )


def _legend(chart: Chart) -> str:
    if len(chart.lines) + bool(chart.bars) < 2:
        return ""
    names = [
        f'<span class="key key-{number}">{escape(line.name)}</span>'
        for number, line in enumerate(chart.lines, 1)
    ]
    if chart.bars:
        names.insert(0, f'<span class="key key-bars">{escape(chart.bars_name)}</span>')
    return f'<p class="keys">{" ".join(names)}</p>'


def _bar(bar: Bar, frame: _Frame) -> str:
    left, right, top = frame.x(bar.low), frame.x(bar.high), frame.y(bar.y)
    return (
        f'<rect class="bars" x="{left:.1f}" y="{top:.1f}" width="{max(0.5, right - left - 1):.1f}"'
        f' height="{frame.y(0) - top:.1f}"/>'
    )


def _grid(chart: Chart, frame: _Frame) -> list[str]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    drawn = []
    for value in ticks_between(frame.low_y, frame.high_y, least=chart.y_step):
        y = frame.y(value)
        drawn.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        text = escape(chart.y_text(value))
        drawn.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    end = 0.0
    for value in ticks_between(frame.low_x, frame.high_x, 6, chart.x_step):
        x, label = frame.x(value), chart.x_text(value)
        room = len(label) * _LETTER / 2
        if x - room < end or x + room > WIDTH:
            continue
        end = x + room + _LETTER
        drawn.append(f'<path class="grid" d="M{x:.1f} {bottom}v4"/>')
        drawn.append(
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{escape(label)}</text>'
        )
    drawn.append(f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>')
    middle = (_LEFT + right) / 2
    drawn.append(
        f'<text class="label" x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(chart.x_label)}</text>"
    )
    drawn.append(
        f'<text class="label" transform="translate(12 {(_TOP + bottom) / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(chart.y_label)}</text>'
    )
    return drawn
