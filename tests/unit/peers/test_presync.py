"""Headers counted before they are kept."""

from dataclasses import replace

import pytest

from misocoin.consensus.tree import HeaderNode, HeaderTree
from misocoin.errors import ValidationError
from misocoin.params import Retarget, regtest
from misocoin.peers.presync import Presync
from misocoin.primitives.block import BlockHeader
from tests.simulation.chain import BITS, mine_header

PARAMS = regtest()
GENESIS = HeaderTree(PARAMS).genesis


def chain(parent: HeaderNode, count: int, tag: int = 0) -> list[BlockHeader]:
    made: list[BlockHeader] = []
    for i in range(count):
        before = made[-1].hash if made else parent.hash
        made.append(mine_header(before, bytes([tag]) * 32, parent.header.time + 1 + i))
    return made


def test_it_counts_and_confirms() -> None:
    headers = chain(GENESIS, 30)
    presync = Presync(GENESIS, PARAMS, GENESIS.chain_work + 2 * 25, 100)
    assert not presync.feed(headers[:10])
    assert not presync.feed(headers[10:20])
    assert presync.feed(headers[20:])
    assert presync.work == GENESIS.chain_work + 2 * 30
    assert presync.size == 3
    assert presync.confirm(headers[:10]) == tuple(headers[:10])
    assert not presync.is_done
    # More than was counted is cut off at what the commitment covers.
    assert presync.confirm(headers[10:22]) == tuple(headers[10:20])
    assert presync.confirm(headers[20:]) == tuple(headers[20:])
    assert presync.is_done


def test_other_headers_are_noticed() -> None:
    presync = Presync(GENESIS, PARAMS, 0, 100)
    presync.feed(chain(GENESIS, 10))
    assert presync.confirm(chain(GENESIS, 10, tag=1)) is None


def test_broken_rules() -> None:
    headers = chain(GENESIS, 5)
    for bad in (
        headers[1:],
        [headers[0], headers[2]],
        [mine_header(GENESIS.hash, bytes(32), 1, BITS - 1)],
    ):
        with pytest.raises(ValidationError):
            Presync(GENESIS, PARAMS, 10**9, 100).feed(bad)
    fake = headers[0]
    while int.from_bytes(fake.hash, "little") < 1 << 255:
        fake = BlockHeader.build(4, fake.prev_hash, bytes(32), fake.time, BITS, fake.nonce + 1)
    with pytest.raises(ValidationError, match="high-hash"):
        Presync(GENESIS, PARAMS, 10**9, 100).feed([fake])


def test_it_ends() -> None:
    headers = chain(GENESIS, 12)
    presync = Presync(GENESIS, PARAMS, 10**9, 3)
    for i in range(3):
        presync.feed(headers[4 * i : 4 * i + 4])
    with pytest.raises(ValidationError, match="never reaches"):
        presync.feed(chain(GENESIS, 1))


@pytest.mark.parametrize("retarget", [Retarget.EVERY_BLOCK, Retarget.EVERY_INTERVAL])
def test_it_knows_the_difficulty_rules(retarget: Retarget) -> None:
    """What the tree accepts the count accepts, from any height."""
    params = replace(
        PARAMS, retarget=retarget, retarget_interval=7, target_spacing=10, half_life=100
    )
    if retarget is Retarget.EVERY_BLOCK:
        params = replace(params, retarget_interval=1)
    tree = HeaderTree(params)
    node = tree.genesis
    from misocoin.consensus.difficulty import target_from_bits
    from misocoin.consensus.tree import next_bits

    headers: list[BlockHeader] = []
    nodes = [node]
    for i in range(30):
        bits = next_bits(node, params)
        time = node.header.time + (2 if i % 3 else 6 + i % 4 * 8)
        nonce = 0
        while True:
            header = BlockHeader.build(4, node.hash, bytes(32), time, bits, nonce)
            if int.from_bytes(header.hash, "little") <= target_from_bits(bits):
                break
            nonce += 1
        node = tree.add(header, time + 1)
        headers.append(header)
        nodes.append(node)
    assert len({header.bits for header in headers}) > 2
    for start in (0, 1, 6, 7, 13, 20):
        presync = Presync(nodes[start], params, 10**30, 100)
        presync.feed(headers[start:25])
        presync.feed(headers[25:])
        assert presync.work == node.chain_work
