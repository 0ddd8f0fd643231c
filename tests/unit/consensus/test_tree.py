import pytest

from misocoin.consensus.tree import (
    HeaderNode,
    HeaderTree,
    fork_point,
    header_context,
    next_bits,
)
from misocoin.errors import ValidationError
from misocoin.params import bitcoin, miso, regtest
from misocoin.primitives.block import BlockHeader
from tests.builders import LATE, grow, mine, small_params

PARAMS = regtest()


def _child(parent, time, bits=0x207FFFFF, nonce=0):
    return HeaderNode(BlockHeader.build(4, parent.hash, bytes(32), time, bits, nonce), parent)


def _chain(length, tag=0, root=None):
    """`length` nodes on a root; no proof of work."""
    nodes = [root or HeaderNode(PARAMS.genesis.header, None)]
    for step in range(length):
        nodes.append(_child(nodes[-1], 1000 + step, nonce=tag))
    return nodes


def test_a_node_knows_its_height_and_work():
    nodes = _chain(3)
    assert [node.height for node in nodes] == [0, 1, 2, 3]
    assert [node.chain_work for node in nodes] == [2, 4, 6, 8]
    assert nodes[3].hash == nodes[3].header.hash
    assert repr(nodes[1]) == f"<HeaderNode 1 {nodes[1].header.hash_hex[:16]}>"


def test_the_work_of_bitcoins_first_blocks():
    node = HeaderNode(bitcoin().genesis.header, None)
    assert node.chain_work == 0x100010001
    node = _child(node, 0, 0x1D00FFFF)
    assert node.chain_work == 0x200020002


def test_every_ancestor_is_found():
    nodes = _chain(300)
    for node in (nodes[0], nodes[1], nodes[255], nodes[256], nodes[300]):
        for height in range(node.height + 1):
            assert node.ancestor(height) is nodes[height]


@pytest.mark.parametrize("height", [-1, 4, 100])
def test_there_is_no_ancestor_outside_the_branch(height):
    with pytest.raises(ValueError, match=f"no ancestor at {height} of a block at 3"):
        _chain(3)[3].ancestor(height)


def test_is_ancestor_of():
    trunk = _chain(5)
    branch = _chain(5, 1, trunk[3])
    assert trunk[3].is_ancestor_of(branch[5])
    assert trunk[5].is_ancestor_of(trunk[5])
    assert not trunk[4].is_ancestor_of(branch[5])
    assert not branch[5].is_ancestor_of(trunk[3])


def test_the_way_back():
    trunk = _chain(4)
    assert list(trunk[4].back_to(trunk[1])) == [trunk[4], trunk[3], trunk[2]]
    assert list(trunk[4].back_to(trunk[4])) == []
    stranger = _chain(1, 9)[1]
    assert list(trunk[2].back_to(stranger)) == [trunk[2], trunk[1], trunk[0]]


def test_fork_points():
    trunk = _chain(70)
    branch = _chain(90, 1, trunk[37])
    assert fork_point(trunk[70], branch[90]) is trunk[37]
    assert fork_point(branch[1], trunk[70]) is trunk[37]
    assert fork_point(trunk[70], trunk[20]) is trunk[20]
    assert fork_point(trunk[5], trunk[5]) is trunk[5]
    with pytest.raises(ValueError, match="different trees"):
        fork_point(trunk[3], _chain(3, 0, HeaderNode(miso().genesis.header, None))[3])


@pytest.mark.parametrize(
    ("times", "median"),
    [
        ([], 1296688602),
        ([5], 1296688602),  # of two the upper one, as in Core
        ([5, 6], 6),
        ([9, 1, 5], 9),
        ([10, 20, 30, 40, 50, 60, 70, 80, 90, 100], 60),
        ([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110], 60),
        ([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120], 70),
        ([120, 110, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10], 60),
    ],
)
def test_median_time_past(times, median):
    node = HeaderNode(PARAMS.genesis.header, None)
    for time in times:
        node = _child(node, time)
    assert node.median_time_past == median


def test_next_bits_of_the_three_networks():
    assert next_bits(_chain(5)[5], PARAMS) == 0x207FFFFF
    root = HeaderNode(miso().genesis.header, None)
    first = _child(root, root.header.time + 5, 0x1E0FFFFF)
    assert next_bits(root, miso()) == 0x1E0FFFFF
    # five seconds, not thirty: a factor of 2**(-25 / 1800)
    assert next_bits(first, miso()) == 0x1E0FD8DF
    assert next_bits(_child(first, first.header.time + 30, 0x1E0FD8DF), miso()) == 0x1E0FD8DF


def test_bitcoins_first_interval():
    """Every 100 seconds a block: at height 2016 the target falls to a quarter."""
    params = bitcoin()
    node = HeaderNode(params.genesis.header, None)
    for height in range(1, 2016):
        assert next_bits(node, params) == 0x1D00FFFF
        node = _child(node, params.genesis.header.time + 100 * height, 0x1D00FFFF)
    assert node.height == 2015
    assert next_bits(node, params) == 0x1C3FFFC0
    context = header_context(node, params)
    last = node.header.time
    assert context == (2016, 0x1C3FFFC0, node.ancestor(2010).header.time, last)


def test_the_tree_takes_headers_in_their_place():
    params = small_params()
    tree = HeaderTree(params)
    first, second = (block.header for block in grow(tree.genesis, params, 2))
    with pytest.raises(ValidationError) as caught:
        tree.add(second, LATE)
    assert caught.value.reason == "prev-blk-not-found"
    assert caught.value.detail == first.hash_hex
    node = tree.add(first, LATE)
    assert node.parent is tree.genesis
    assert tree.add(first, LATE) is node
    assert tree.get(first.hash) is node
    assert tree.get(second.hash) is None
    child = tree.add(second, LATE)
    assert list(tree) == [tree.genesis, node, child]
    assert len(tree) == 3


def test_the_tree_checks_the_context_unless_that_was_done_before():
    params = small_params()
    tree = HeaderTree(params)
    old = mine(BlockHeader.build(4, tree.genesis.hash, bytes(32), 1, 0x207FFFFF, 0))
    with pytest.raises(ValidationError, match="time-too-old"):
        tree.add(old, LATE)
    assert tree.get(old.hash) is None
    assert tree.add(old, None).height == 1


def test_a_long_branch_costs_few_steps():
    """Otherwise a lookup on a chain of a million blocks would take seconds."""
    nodes = _chain(5000)
    for height in range(0, 5000, 97):
        node, steps = nodes[-1], 0
        while node.height != height:
            node = node.skip if node.skip.height >= height else node.parent
            steps += 1
        assert steps < 100
        assert node is nodes[height]


def test_leaves_and_descendants():
    params = small_params()
    tree = HeaderTree(params)
    trunk = grow(tree.genesis, params, 3)
    nodes = [tree.add(block.header, LATE) for block in trunk]
    assert tree.leaves == (nodes[2],)
    branch = [tree.add(block.header, LATE) for block in grow(nodes[0], params, 2, tag=b"branch")]
    twig = [tree.add(block.header, LATE) for block in grow(branch[0], params, 1, tag=b"twig")]
    assert tree.leaves == (nodes[2], branch[1], twig[0])
    assert tree.descendants(branch[0]) == {*branch, *twig}
    assert tree.descendants(nodes[1]) == {nodes[1], nodes[2]}
    assert tree.descendants(tree.genesis) == set(tree)
    assert tree.descendants(twig[0]) == set(twig)
