"""Charts: what is drawn stays inside the drawing, ticks are round, texts are escaped."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from misocoin.face.charts import (
    HEIGHT,
    MOST_POINTS,
    WIDTH,
    Bar,
    Chart,
    Line,
    Point,
    chart_svg,
    nice_step,
    si_text,
    thinned,
    ticks_between,
)

VALUES = st.floats(-1e18, 1e18, allow_nan=False)
POINTS = st.lists(st.builds(Point, VALUES, VALUES), max_size=60).map(sorted).map(tuple)


@given(POINTS, st.lists(st.tuples(VALUES, VALUES, st.floats(0, 1e9)), max_size=10))
@example((Point(5e-324, 0.0), Point(1e-323, 5e-324)), [])
@example((Point(1e18, 1.0), Point(1e18 + 128, 1.0 + 1e-15)), [(1e18, 1e18, 1e-320)])
def test_everything_drawn_lies_inside(
    points: tuple[Point, ...], bars: list[tuple[float, float, float]]
) -> None:
    chart = Chart(
        "t",
        "s",
        "x",
        "y",
        (Line("line", points),),
        tuple(Bar(min(a, b), max(a, b), y) for a, b, y in bars),
    )
    svg = chart_svg(chart)
    for line in re.findall(r'points="([^"]*)"', svg):
        for place in line.split():
            x, y = map(float, place.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
    for x, y in re.findall(r'<text x="([\d.-]+)" y="([\d.-]+)"', svg):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT + 1


def test_texts_are_escaped() -> None:
    svg = chart_svg(Chart("<b>", '"&', "<x>", "<y>", (Line("<l>", ()), Line("m", ()))))
    assert "<b>" not in svg
    assert "<x>" not in svg
    assert "<l>" not in svg
    assert "&#34;&amp;" in svg


@pytest.mark.parametrize(
    ("span", "step"), [(1, 0.2), (7, 2), (10, 2), (11, 5), (26, 10), (1000, 200), (0.03, 0.01)]
)
def test_steps_are_round(span: float, step: float) -> None:
    assert nice_step(span) == pytest.approx(step)


def test_ticks_lie_between() -> None:
    assert ticks_between(3, 17) == [5, 10, 15]
    assert ticks_between(0, 100) == [0, 20, 40, 60, 80, 100]
    assert ticks_between(5, 5) == [5]


def test_a_long_line_keeps_its_peaks() -> None:
    points = [Point(x, 1000.0 if x == 7777 else x % 10) for x in range(10_000)]
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS + 2
    assert Point(7777, 1000.0) in kept
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert kept == sorted(kept)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 H/s"), (12, "12 H/s"), (999.9, "1 kH/s"), (1234567, "1.23 MH/s"), (3e9, "3 GH/s")],
)
def test_quantities(value: float, text: str) -> None:
    assert si_text(value, "H/s") == text
