"""A transaction drawn as flows: what goes in on the left, what comes out on the right."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from misocoin.face.words import coins_text

WIDTH = 640
"""Of the drawing, in its own units."""

MOST_STREAMS = 14
"""Streams on a side; what is more is drawn as one."""

_FULL = 120.0  # the height that all the money takes
_GAP = 14.0
_ROOM = 26.0  # of a name and an amount below it
_LEAST = 1.5
_MIDDLE = 46.0
_LABEL = 190.0


class Stream(NamedTuple):
    """Money on its way."""

    name: str
    """Whose it is, as the page shows it."""
    amount: int
    """Base units."""
    href: str = ""
    """Where it comes from or goes to."""
    kind: str = ""
    """`fee` or `data`, for streams that are no payments."""


def gathered(streams: Sequence[Stream], most: int = MOST_STREAMS) -> list[Stream]:
    """The streams, those beyond `most` gathered into the last one."""
    if len(streams) <= most:
        return list(streams)
    rest = streams[most - 1 :]
    return [
        *streams[: most - 1],
        Stream(f"{len(rest)} more", sum([each.amount for each in rest])),
    ]


def flow_svg(incoming: Sequence[Stream], outgoing: Sequence[Stream], total_sats: int) -> Markup:
    """Draw the flows as one `<svg>`; `total_sats` is told to those who do not see it."""
    left, right = gathered(incoming), gathered(outgoing)
    total = max(1, sum(each.amount for each in left), sum(each.amount for each in right))
    height = max(_side_height(left, total), _side_height(right, total)) + 2 * _GAP
    top = (height - _FULL) / 2
    drawn = [
        *_side(left, total, height, top, is_left=True),
        *_side(right, total, height, top, is_left=False),
    ]
    middle = (WIDTH - _MIDDLE) / 2
    drawn.append(
        f'<rect class="trunk" x="{middle}" y="{top:.1f}" width="{_MIDDLE}" height="{_FULL}"/>'
    )
    label = f"{len(incoming)} in, {len(outgoing)} out, {coins_text(total_sats)} in all"
    return Markup(  # noqa: S704 - every text in it was escaped
        f'<svg class="flow" viewBox="0 0 {WIDTH} {height:.0f}" role="group" '
        f'aria-label="{escape(label)}">{"".join(drawn)}</svg>'
    )


def _thickness(stream: Stream, total: int) -> float:
    return max(_LEAST, _FULL * stream.amount / total)


def _side_height(streams: Sequence[Stream], total: int) -> float:
    rooms = [max(_thickness(each, total), _ROOM) for each in streams]
    return max(_FULL, sum(rooms) + _GAP * (len(streams) - 1))


def _side(
    streams: Sequence[Stream], total: int, height: float, top: float, *, is_left: bool
) -> list[str]:
    trunk = (WIDTH - _MIDDLE) / 2 + (0 if is_left else _MIDDLE)
    outer = _LABEL if is_left else WIDTH - _LABEL
    text_x, anchor = (outer - _GAP, "end") if is_left else (outer + _GAP, "start")
    at_outer = (height - _side_height(streams, total)) / 2
    at_trunk = top
    drawn = []
    for each in streams:
        thick = _thickness(each, total)
        room = max(thick, _ROOM)
        y, end = at_outer + room / 2, at_trunk + min(thick, _FULL) / 2
        bend = (outer + trunk) / 2
        kind = f" {each.kind}" if each.kind else ""
        drawn.append(
            f'<path class="stream{kind}" stroke-width="{thick:.1f}" '
            f'd="M{outer:.0f} {y:.1f}C{bend:.0f} {y:.1f} {bend:.0f} {end:.1f} '
            f'{trunk:.0f} {end:.1f}"/>'
        )
        place = f'<text x="{text_x}" text-anchor="{anchor}" y='
        text = f'{place}"{y - 2:.1f}">{escape(each.name)}</text>'
        drawn.append(f'<a href="{escape(each.href)}">{text}</a>' if each.href else text)
        if each.amount:
            drawn.append(f'{place}"{y + 11:.1f}" class="sum">{coins_text(each.amount)}</text>')
        at_outer += room + _GAP
        at_trunk += _FULL * each.amount / total
    return drawn
