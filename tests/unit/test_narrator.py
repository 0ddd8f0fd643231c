"""What people are told: one line for each event."""

import logging
from collections.abc import Iterator

import pytest

from misocoin.chain.events import (
    BlockConnected,
    BlockDisconnected,
    TipChanged,
    TransactionAdded,
    TransactionRemoved,
)
from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ValidationError
from misocoin.narrator import MANY, Narrator
from misocoin.params import miso, regtest
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import TxOut
from misocoin.store.store import Store
from tests.builders import (
    ANYONE,
    COIN,
    grow,
    make_block,
    make_outpoint,
    open_chain,
    small_params,
    spend,
)

OWN = b"own"


@pytest.fixture
def narrator(caplog: pytest.LogCaptureFixture) -> Narrator:
    caplog.set_level(logging.INFO, "misocoin.narrator")
    return Narrator({OWN}.__contains__, regtest())


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records if "narrator" in record.name]
    caplog.clear()
    return lines


@pytest.fixture
def chain(narrator: Narrator) -> Iterator[ChainState]:
    store = Store(None, small_params().genesis.hash)
    chain = open_chain(small_params(), store)
    chain.events.subscribe(narrator.handle)
    yield chain
    store.close()


def block_line(node: HeaderNode, block: Block, origin: str = "received") -> str:
    return (
        f"block {node.height} {origin} {node.header.hash_hex} "
        f"(1 transaction, {len(block.serialize())} bytes, difficulty 4.657e-10)"
    )


def test_a_block(chain: ChainState, caplog: pytest.LogCaptureFixture) -> None:
    block = make_block(chain.tip, chain.params)
    chain.submit_block(block)
    assert told(caplog) == [block_line(chain.tip, block)]


def test_a_block_of_our_own(chain: ChainState, caplog: pytest.LogCaptureFixture) -> None:
    block = make_block(chain.tip, chain.params, script=OWN)
    chain.submit_block(block)
    assert told(caplog) == [block_line(chain.tip, block, "mined")]


def test_a_block_with_transactions(chain: ChainState, caplog: pytest.LogCaptureFixture) -> None:
    first, *rest = grow(chain.tip, chain.params, 3)
    for block in (first, *rest):
        chain.submit_block(block)
    told(caplog)
    tx = spend([first.transactions[0].outpoint(0)], [COIN])
    chain.submit_block(make_block(chain.tip, chain.params, [tx]))
    (line,) = told(caplog)
    assert "(2 transactions, " in line


def test_the_difficulty_is_relative_to_the_networks_easiest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "misocoin.narrator")
    params = miso()
    narrator = Narrator({OWN}.__contains__, params)
    genesis = HeaderNode(params.genesis.header, None)
    narrator.handle(BlockConnected(genesis, params.genesis))
    narrator.handle(TipChanged(genesis, genesis, genesis))
    assert "difficulty 1.000" in told(caplog)[0]


def submit_backwards(chain: ChainState, count: int) -> list[Block]:
    """Blocks of which all but the first wait for the first; they join the chain together."""
    blocks = grow(chain.tip, chain.params, count)
    chain.accept_headers([block.header for block in blocks])
    for block in reversed(blocks):
        chain.submit_block(block)
    return blocks


def test_several_blocks_at_once(chain: ChainState, caplog: pytest.LogCaptureFixture) -> None:
    blocks = submit_backwards(chain, MANY)
    assert told(caplog) == [
        block_line(chain.at_height(height), block) for height, block in enumerate(blocks, start=1)
    ]


def test_many_blocks_at_once(chain: ChainState, caplog: pytest.LogCaptureFixture) -> None:
    blocks = submit_backwards(chain, MANY + 1)
    assert told(caplog) == [
        block_line(chain.at_height(1), blocks[0]),
        f"{MANY} blocks, up to {block_line(chain.tip, blocks[-1])}",
    ]


def test_a_reorg(chain: ChainState, caplog: pytest.LogCaptureFixture) -> None:
    genesis = chain.tip
    for block in grow(genesis, chain.params, 2, tag=b"a"):
        chain.submit_block(block)
    branch = grow(genesis, chain.params, 3, tag=b"b")
    for block in branch[:2]:
        chain.submit_block(block)
    told(caplog)
    chain.submit_block(branch[2])
    lines = told(caplog)
    assert lines[0] == "reorg: 2 blocks back to height 0, then 3 blocks to 3"
    assert [line.split()[:3] for line in lines[1:]] == [
        ["block", str(height), "received"] for height in (1, 2, 3)
    ]


def test_a_reorg_of_one(narrator: Narrator, caplog: pytest.LogCaptureFixture) -> None:
    params = small_params()
    root = HeaderNode(params.genesis.header, None)
    blocks = [make_block(root, params, tag=tag) for tag in (b"a", b"b")]
    old, new = (HeaderNode(block.header, root) for block in blocks)
    narrator.handle(BlockDisconnected(old, blocks[0]))
    narrator.handle(BlockConnected(new, blocks[1]))
    narrator.handle(TipChanged(old, new, root))
    assert told(caplog) == [
        "reorg: 1 block back to height 0, then 1 block to 1",
        block_line(new, blocks[1]),
    ]


def test_a_branch_that_fails_is_not_told(
    chain: ChainState, caplog: pytest.LogCaptureFixture
) -> None:
    genesis = chain.tip
    for block in grow(genesis, chain.params, 2, tag=b"a"):
        chain.submit_block(block)
    tip = chain.tip
    told(caplog)
    good = grow(genesis, chain.params, 2, tag=b"b")
    for block in good:
        chain.submit_block(block)
    parent = HeaderNode(good[1].header, HeaderNode(good[0].header, genesis))
    with pytest.raises(ValidationError):
        chain.submit_block(make_block(parent, chain.params, fees=1))
    assert chain.tip is tip
    assert told(caplog) == []
    block = make_block(chain.tip, chain.params)
    chain.submit_block(block)
    assert told(caplog) == [block_line(chain.tip, block)]


def test_a_transaction(narrator: Narrator, caplog: pytest.LogCaptureFixture) -> None:
    tx = spend([make_outpoint(1)], [COIN, TxOut(COIN // 2, ANYONE)])
    narrator.handle(TransactionAdded(tx, 1_234))
    assert told(caplog) == [f"transaction {tx.txid_hex}: 1.50000000 in 2 outputs, fee 0.00001234"]
    tx = spend([make_outpoint(1)], [1])
    narrator.handle(TransactionAdded(tx, 0))
    assert told(caplog) == [f"transaction {tx.txid_hex}: 0.00000001 in 1 output, fee 0.00000000"]


def test_a_transaction_that_leaves(narrator: Narrator, caplog: pytest.LogCaptureFixture) -> None:
    tx = spend([make_outpoint(1)], [1])
    narrator.handle(TransactionRemoved(tx, "replaced"))
    assert told(caplog) == [f"transaction {tx.txid_hex} left the mempool: replaced"]


def test_silence(chain: ChainState, narrator: Narrator, caplog: pytest.LogCaptureFixture) -> None:
    with narrator.silence():
        chain.submit_block(make_block(chain.tip, chain.params))
        with narrator.silence():
            pass
        narrator.handle(TransactionAdded(spend([make_outpoint(1)], [1]), 0))
    assert told(caplog) == []
    block = make_block(chain.tip, chain.params)
    chain.submit_block(block)
    assert told(caplog) == [block_line(chain.tip, block)]


def test_a_reorg_is_told_in_silence_too(
    chain: ChainState, narrator: Narrator, caplog: pytest.LogCaptureFixture
) -> None:
    fork = chain.tip
    chain.submit_block(make_block(fork, chain.params))
    caplog.clear()
    with narrator.silence():
        for block in grow(fork, chain.params, 2, tag=b"rival"):
            chain.submit_block(block)
    at = fork.height
    assert told(caplog) == [f"reorg: 1 block back to height {at}, then 2 blocks to {at + 2}"]


def test_silence_ends_with_an_error_too(
    chain: ChainState, narrator: Narrator, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RuntimeError), narrator.silence():
        raise RuntimeError
    chain.submit_block(make_block(chain.tip, chain.params))
    assert len(told(caplog)) == 1
