"""Prices over time as an SVG drawing that needs no script."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from misocoin.market.moments import Moment, text_from_moment
from misocoin.market.money import Currency, Money, decimal_text, text_from_money, unit_of
from misocoin.market.queries import PriceStep

WIDTH, HEIGHT = 420, 220
"""Of the drawing, in its own units; a page may show it in any size."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 12, 24, 28
_MAX_LINES = 5


def price_chart(
    steps: Sequence[PriceStep], begin: Moment, end: Moment, currency: Currency
) -> Markup:
    """Mean price as a line with the range from least to most behind it."""
    if not steps:
        return Markup('<p class="soft">No trade in this time.</p>')
    most = max(step.most for step in steps) or 1
    spacing = round_spacing(most)
    top = -(-most // spacing) * spacing

    def x(moment: int) -> float:
        return _LEFT + (moment - begin) / max(1, end - begin) * (WIDTH - _LEFT - _RIGHT)

    def y(price: float) -> float:
        return HEIGHT - _BOTTOM - price / top * (HEIGHT - _TOP - _BOTTOM)

    unit, size = unit_of(Money(spacing, currency))
    parts = [
        f'<svg class="prices" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Prices over time">'
        f'<text x="{_LEFT - 6}" y="12" text-anchor="end">{escape(unit)}</text>'
    ]
    for price in range(0, top + 1, spacing):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" '
            f'y1="{y(price):.1f}" y2="{y(price):.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y(price) + 4:.1f}" text-anchor="end">'
            f"{decimal_text(price, size)}</text>"
        )
    for moment, anchor in ((begin, "start"), (end, "end")):
        label = text_from_moment(Moment(moment // 1_000_000 * 1_000_000))
        parts.append(
            f'<text x="{x(moment):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">'
            f"{label[:16].replace('T', ' ')}</text>"
        )
    middles = [(step, x((step.begin + min(step.end, end)) // 2)) for step in steps]
    for step, place in middles:
        parts.append(
            f'<line class="range" x1="{place:.1f}" x2="{place:.1f}" '
            f'y1="{y(step.least):.1f}" y2="{y(step.most):.1f}"/>'
        )
    points = " ".join(f"{place:.1f},{y(step.sum / step.trades):.1f}" for step, place in middles)
    parts.append(f'<polyline class="line-1" points="{points}"/>')
    for step, place in middles:
        mean = text_from_money(Money(step.sum // step.trades, currency))
        parts.append(
            f'<circle class="point" cx="{place:.1f}" cy="{y(step.sum / step.trades):.1f}" r="2.5">'
            f"<title>{escape(mean)}, {step.trades} trades</title></circle>"
        )
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - all text in it is escaped above


def round_spacing(most: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50 ... of which five reach a number."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power * _MAX_LINES >= most:
                return digit * power
        power *= 10
