"""A window over headers judges them as the tree of all headers does."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.consensus.header_window import HeaderWindow, window_size
from misocoin.consensus.tree import HeaderNode, HeaderTree, next_bits
from misocoin.errors import ValidationError
from misocoin.params import Params, bitcoin, miso, regtest
from misocoin.primitives.block import BlockHeader
from tests.builders import LATE, mine

EASY = (1 << 255) - 1


def easy(params: Params, **changes: object) -> Params:
    """The rules of a network over regtest's genesis, whose blocks cost nothing."""
    return replace(params, genesis=regtest().genesis, pow_limit=EASY, **changes)


NETWORKS = (
    regtest(),
    easy(miso()),
    easy(bitcoin(), retarget_interval=12, target_spacing=60),
)


def make_header(parent: HeaderNode, params: Params, time: int, bits: int | None = None):
    bits = next_bits(parent, params) if bits is None else bits
    header = BlockHeader.build(4, parent.hash, bytes(32), time, bits, 0)
    return mine(header)


def verdict(act, *arguments) -> str:
    try:
        act(*arguments)
    except ValidationError as error:
        return error.reason
    return ""


def test_sizes():
    assert [window_size(params()) for params in (regtest, miso, bitcoin)] == [11, 11, 2016]


@pytest.mark.parametrize("params", NETWORKS, ids=lambda params: params.name)
@given(data=st.data())
def test_it_agrees_with_the_tree(params: Params, data: st.DataObject):
    tree = HeaderTree(params)
    node = tree.genesis
    window = HeaderWindow(params, [node.header], 0, node.chain_work)
    steps = st.integers(-700, 2000)
    for _ in range(data.draw(st.integers(1, 40))):
        time = max(0, node.header.time + data.draw(steps))
        wrong_bits = data.draw(st.sampled_from([None] * 8 + [0x207FFFFE]))
        header = make_header(node, params, time, wrong_bits)
        now = data.draw(st.sampled_from([LATE] * 8 + [node.header.time]))
        by_tree = verdict(tree.add, header, now)
        assert verdict(window.extend, header, now) == by_tree
        if not by_tree:
            node = tree.get(header.hash) or node
        assert (window.tip, window.height, window.work) == (
            node.header,
            node.height,
            node.chain_work,
        )


@pytest.mark.parametrize("params", NETWORKS, ids=lambda params: params.name)
def test_it_starts_anywhere(params: Params):
    node = HeaderTree(params).genesis
    branch = [node]
    for step in range(40):
        node = HeaderNode(make_header(node, params, node.header.time + 25 + step % 9), node)
        branch.append(node)
    for height in (0, 1, 10, 11, 12, 23, 24, 30):
        last = [each.header for each in branch[: height + 1]][-window_size(params) :]
        window = HeaderWindow(params, last, height, branch[height].chain_work)
        for each in branch[height + 1 :]:
            window.extend(each.header, LATE)
        assert (window.height, window.work) == (40, node.chain_work)


def test_what_does_not_build_on_it_is_refused():
    params = regtest()
    genesis = HeaderTree(params).genesis
    window = HeaderWindow(params, [genesis.header], 0, genesis.chain_work)
    header = make_header(genesis, params, genesis.header.time + 1)
    stranger = make_header(HeaderNode(header, genesis), params, genesis.header.time + 2)
    assert verdict(window.extend, stranger, LATE) == "prev-blk-not-found"
    unworked = mine(header, fail=True)
    assert verdict(window.extend, unworked, LATE) == "high-hash"
    assert window.height == 0
