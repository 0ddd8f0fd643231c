"""Flows of a transaction, the tree of headers, the map of peers."""

import re

from hypothesis import given
from hypothesis import strategies as st

from misocoin.params import regtest
from misocoin.store.records import BlockStatus
from misocoin.web.flows import MOST_STREAMS, WIDTH, Stream, flow_svg, gathered
from misocoin.web.forks import branch_json, branches, tree_svg
from misocoin.web.peer_map import map_svg
from tests.builders import grow, memory_chain

REGTEST = regtest()

STREAMS = st.lists(
    st.builds(Stream, st.text(max_size=5), st.integers(0, 21 * 10**14)), min_size=1, max_size=40
)


@given(STREAMS)
def test_gathering_loses_no_money(streams: list[Stream]) -> None:
    kept = gathered(streams)
    assert len(kept) <= MOST_STREAMS
    assert sum(each.amount for each in kept) == sum(each.amount for each in streams)


@given(STREAMS, STREAMS)
def test_flows_stay_inside(incoming: list[Stream], outgoing: list[Stream]) -> None:
    svg = flow_svg(incoming, outgoing, 10**8)
    match = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
    assert match is not None
    height = int(match[2])
    assert match[1] == str(WIDTH)
    for curve in re.findall(r' d="M([\d. ]+)C([\d. ]+)"', svg):
        numbers = [float(number) for number in " ".join(curve).split()]
        assert all(0 <= x <= WIDTH for x in numbers[::2])
        assert all(0 <= y <= height for y in numbers[1::2])


def test_names_are_escaped() -> None:
    assert "<b>" not in flow_svg([Stream("<b>", 1)], [Stream("x", 1, '"><b>')], 1)
    peer = {"height": 1, "is_outbound": True, "address": "<b>"}
    assert "<b>" not in map_svg(3, [peer])


def test_a_reorg_is_drawn_and_told() -> None:
    with memory_chain(REGTEST) as chain:
        genesis = chain.tip
        losing = grow(genesis, REGTEST, 3, tag=b"a")
        for block in losing:
            chain.submit_block(block)
        fork = chain.at_height(1)
        for block in grow(fork, REGTEST, 4, tag=b"b"):
            chain.submit_block(block)
        tip = chain.tip
        assert tip.height == 5
        (branch,) = branches(chain.tree, tip, chain.status)
        assert branch_json(branch, tip) == {
            "hash": losing[-1].header.hash_hex,
            "height": 3,
            "time": losing[-1].header.time,
            "fork_hash": losing[0].header.hash_hex,
            "fork_height": 1,
            "length": 2,
            "beside": 2,
            "state": "was active",
        }
        svg = tree_svg(tip, [branch])
        assert svg.count('class="active"') == 6
        assert svg.count('<rect class="stale"') == 2
        chain.invalidate(chain.find(losing[-1].header.hash))
        assert chain.status(branch.tip) & BlockStatus.FAILED
        (branch,) = branches(chain.tree, chain.tip, chain.status)
        assert branch.state == "invalid"


def test_the_map_tells_who_is_behind() -> None:
    peers = [
        {"height": height, "is_outbound": True, "address": "127.0.0.1:4000"}
        for height in (None, 2, 3)
    ]
    svg = map_svg(3, peers)
    assert svg.count('class="behind"') == 2
    assert svg.count('class="level"') == 1
    assert "3 peers" in svg
