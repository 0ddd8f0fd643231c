"""A node and its peers, drawn: who dialled whom, and who is how far along the chain."""

from collections.abc import Mapping, Sequence
from math import cos, pi, sin
from typing import Any

from markupsafe import Markup, escape

SIZE = 420
"""Width of the drawing, in its own units; its height is less."""

MOST = 64
"""Peers that are drawn."""

_HEIGHT, _RADIUS, _OWN = 250, 80, 22


def map_svg(height: int, peers: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw the node, at `height`, in the middle of its peers (fields of `PeerInfo`)."""
    shown = peers[:MOST]
    parts = [_peer(peer, n, len(shown), height) for n, peer in enumerate(shown)]
    middle_x, middle_y = SIZE / 2, _HEIGHT / 2
    parts.append(f'<circle class="own" cx="{middle_x}" cy="{middle_y}" r="{_OWN}"/>')
    parts.append(
        f'<text x="{middle_x}" y="{middle_y + 4}" text-anchor="middle" class="self">here</text>'
    )
    label = f"This node and {len(peers)} peer{'' if len(peers) == 1 else 's'}; listed below"
    return Markup(  # noqa: S704 - every text in it was escaped
        f'<svg class="map" viewBox="0 0 {SIZE} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _peer(peer: Mapping[str, Any], number: int, count: int, height: int) -> str:
    angle = 2 * pi * number / count
    x = SIZE / 2 + 1.7 * _RADIUS * cos(angle)
    y = _HEIGHT / 2 + _RADIUS * sin(angle)
    behind = peer["height"] is None or peer["height"] < height
    kind = "behind" if behind else "level"
    way = "out" if peer["is_outbound"] else "in"
    text = ""
    if count <= 16:
        below = y >= _HEIGHT / 2 - 1  # away from the link
        text = (
            f'<text x="{x:.0f}" y="{y + 24 if below else y - 16:.0f}" text-anchor="middle">'
            f"{escape(str(peer['address'])[:28])}</text>"
        )
    return (
        f'<path class="link {way}" d="M{SIZE / 2} {_HEIGHT / 2}L{x:.1f} {y:.1f}"/>'
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="9"/>{text}'
    )
