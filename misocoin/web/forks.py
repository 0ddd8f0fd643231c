"""The header tree: the active chain, and the branches that lost or never were valid."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from misocoin.consensus.tree import HeaderNode, HeaderTree, fork_point
from misocoin.store.records import BlockStatus

MOST_BRANCHES = 40
"""Branches that are shown, those with the latest tips."""

DRAWN_BLOCKS = 24
"""Blocks of the active chain in the drawing."""

_STEP, _LANE, _SIZE, _MARGIN = 40, 36, 24, 18


class Branch(NamedTuple):
    """Blocks beside the active chain, from the fork up to where the branch ends."""

    tip: HeaderNode
    fork: HeaderNode
    """Its last block on the active chain."""
    state: str
    """`was active`, `never active`, `headers only` or `invalid`."""

    @property
    def length(self) -> int:
        """How many blocks it has of its own."""
        return self.tip.height - self.fork.height


def branches(
    tree: HeaderTree,
    tip: HeaderNode,
    status: Callable[[HeaderNode], BlockStatus],
    most: int = MOST_BRANCHES,
) -> list[Branch]:
    """The branches beside the chain that ends at `tip`, the latest tips first."""
    ends = [node for node in tree.leaves if not node.is_ancestor_of(tip)]
    ends = [node for node in ends if not tip.is_ancestor_of(node) or _is_bad(status(node))]
    ends.sort(key=lambda node: (node.height, node.hash), reverse=True)
    return [Branch(node, fork_point(node, tip), _state(status(node))) for node in ends[:most]]


def _is_bad(status: BlockStatus) -> bool:
    return bool(status & BlockStatus.FAILED)


def _state(status: BlockStatus) -> str:
    if status & BlockStatus.FAILED:
        return "invalid"
    if status & BlockStatus.CONNECTED:
        return "was active"
    return "never active" if status & BlockStatus.DATA else "headers only"


def branch_json(branch: Branch, tip: HeaderNode) -> dict[str, Any]:
    """A branch as the page and its JSON tell it."""
    return {
        "hash": branch.tip.header.hash_hex,
        "height": branch.tip.height,
        "time": branch.tip.header.time,
        "fork_hash": branch.fork.header.hash_hex,
        "fork_height": branch.fork.height,
        "length": branch.length,
        "beside": min(tip.height, branch.tip.height) - branch.fork.height,
        "state": branch.state,
    }


def tree_svg(tip: HeaderNode, found: Sequence[Branch], drawn: int = DRAWN_BLOCKS) -> Markup:
    """Draw the last blocks of the active chain, with the branches that leave it there."""
    lowest = max(0, tip.height - drawn)
    near = [branch for branch in found if branch.fork.height >= lowest]
    lanes = _lanes(near)
    highest = max([tip.height, *[branch.tip.height for branch in near]])
    width = 2 * _MARGIN + (highest - lowest) * _STEP + _SIZE
    height = 2 * _MARGIN + max(lanes.values(), default=0) * _LANE + _SIZE + 14
    parts = []
    for branch in near:
        parts += _branch(branch, lanes[branch.tip.hash], lowest)
    parts += [
        f'<path class="link" d="M{_x(n - 1, lowest) + _SIZE} {_y(0)}H{_x(n, lowest)}"/>'
        for n in range(lowest + 1, tip.height + 1)
    ]
    parts += [_block(node, 0, lowest, "active") for node in _from(tip, lowest)]
    parts += [
        f'<text x="{_x(n, lowest) + _SIZE // 2}" y="{height - 4}" text-anchor="middle">{n}</text>'
        for n in range(lowest, highest + 1)
        if n % 4 == 0 or n == tip.height
    ]
    label = f"Blocks {lowest} to {tip.height}; {len(near)} branches leave the chain there"
    return Markup(  # noqa: S704 - hashes and numbers alone
        f'<svg class="tree" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="group" aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _from(tip: HeaderNode, lowest: int) -> list[HeaderNode]:
    nodes = [tip]
    while (parent := nodes[-1].parent) is not None and parent.height >= lowest:
        nodes.append(parent)
    return nodes


def _lanes(near: Sequence[Branch]) -> dict[bytes, int]:
    """A lane for each branch, the same one for branches that do not overlap."""
    lanes: dict[bytes, int] = {}
    ends: list[int] = []  # of each lane, the height up to which it is taken
    for branch in sorted(near, key=lambda each: (each.fork.height, each.tip.height)):
        lane = next((n for n, end in enumerate(ends) if end < branch.fork.height), len(ends))
        ends[lane : lane + 1] = [branch.tip.height]
        lanes[branch.tip.hash] = lane + 1
    return lanes


def _x(height: int, lowest: int) -> int:
    return _MARGIN + (height - lowest) * _STEP


def _y(lane: int) -> int:
    return _MARGIN + lane * _LANE + _SIZE // 2


def _branch(branch: Branch, lane: int, lowest: int) -> list[str]:
    kind = "invalid" if branch.state == "invalid" else "stale"
    start = _x(branch.fork.height, lowest) + _SIZE
    first = _x(branch.fork.height + 1, lowest)
    parts = [
        f'<path class="link {kind}" d="M{start} {_y(0)}C{first} {_y(0)} {start} {_y(lane)} '
        f'{first} {_y(lane)}H{_x(branch.tip.height, lowest)}"/>'
    ]
    parts += [_block(node, lane, lowest, kind) for node in branch.tip.back_to(branch.fork)]
    return parts


def _block(node: HeaderNode, lane: int, lowest: int, kind: str) -> str:
    name = f"Block {node.height}, {node.header.hash_hex[:12]}…, {kind}"
    return (
        f'<a href="/block/{node.header.hash_hex}" aria-label="{name}"><rect class="{kind}" '
        f'x="{_x(node.height, lowest)}" y="{_y(lane) - _SIZE // 2}" width="{_SIZE}" '
        f'height="{_SIZE}" rx="5"><title>{name}</title></rect></a>'
    )
