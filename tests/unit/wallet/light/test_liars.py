"""Nodes that lie: the wallet is not fooled, or it says that it does not know."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from misocoin.filters.basic import (
    basic_filter_from_block,
    calculate_filter_header,
    is_any_in_filter,
)
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import TxOut
from misocoin.script.templates import p2wpkh_script
from misocoin.wallet.light.agreement import are_spent_by
from misocoin.wallet.light.errors import NodeLied
from misocoin.wallet.light.headers import follow
from misocoin.wallet.light.ports import BlockFilter
from misocoin.wallet.light.store import LightStore
from misocoin.wallet.light.sync import SyncReport, sync
from misocoin.wallet.light.wallet import LightWallet, ScriptBalance
from tests.builders import (
    ANYONE,
    KEY_SCRIPT,
    LATE,
    Coin,
    make_block,
    mine,
    signed_spend,
    small_params,
    spend,
)
from tests.fakes.light import FakeKeys, FakeNode, chains, copy, fails, refuses

PARAMS = small_params()
PAID = 5_000_000
FEE = 1000
OTHER_SCRIPT = p2wpkh_script(bytes(20))


class Scene:
    """A chain that pays the wallet in block 6, which spends it in block 8."""

    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.store = LightStore(None, PARAMS)
        self.keys = FakeKeys([KEY_SCRIPT])
        self.wallet = LightWallet(PARAMS, self.store, self.keys)
        node.mine(5)
        coinbase = node.chain.get_block(node.chain.at_height(1)).transactions[0]
        outputs = [TxOut(PAID, KEY_SCRIPT), coinbase.vout[0].value - PAID - FEE]
        payment = spend([coinbase.outpoint(0)], outputs)
        node.mine(2, transactions=[payment], fees=FEE)
        own = {payment.outpoint(0): Coin(PAID, KEY_SCRIPT, 6, is_coinbase=False)}
        self.spending = signed_spend(own, [1_000_000, TxOut(PAID - 1_000_000 - FEE, KEY_SCRIPT)])
        node.mine(3, transactions=[self.spending], fees=FEE)

    def liar(self, **lies) -> FakeNode:
        return FakeNode(self.node.chain, "liar:666", **lies)

    def sync(self, *nodes: FakeNode) -> SyncReport:
        return sync(PARAMS, self.store, self.keys, nodes, LATE)

    @property
    def balance(self) -> int:
        held = self.wallet.balances(LATE).get(KEY_SCRIPT, ScriptBalance(0, 0))
        return held.confirmed

    def condemned(self) -> dict[str, str]:
        return {record.address: record.lie for record in self.store.nodes() if record.lie}


LEFT = PAID - 1_000_000 - FEE


@pytest.fixture
def scene() -> Iterator[Scene]:
    with chains(PARAMS, 1) as (chain,):
        made = Scene(FakeNode(chain))
        yield made
        made.store.close()


@pytest.fixture
def other_chain():
    with chains(PARAMS, 1) as (chain,):
        yield chain


def hiding(scene: Scene, *heights: int):
    """Filters and their headers as of a chain whose blocks at `heights` do not have our script."""
    chain = scene.node.chain
    filters, headers, header = {}, {}, bytes(32)
    for height in range(chain.height + 1):
        node = chain.at_height(height)
        block = chain.get_block(node)
        if height in heights:
            block = Block(
                block.header,
                tuple(
                    tx._replace(vout=tuple(o for o in tx.vout if o.script_pubkey != KEY_SCRIPT))
                    for tx in block.transactions
                ),
            )
            data = basic_filter_from_block(block, [ANYONE])
        else:
            data = chain.filters.get(node).data
        header = calculate_filter_header(data, header)
        filters[node.hash], headers[node.hash] = data, header

    def tell_headers(honest: FakeNode, block_hash: bytes, count: int):
        return [headers[node.hash] for node in honest._nodes(block_hash, count)]

    def tell_filters(honest: FakeNode, block_hash: bytes, count: int):
        nodes = honest._nodes(block_hash, count)
        return [BlockFilter(node.hash, filters[node.hash]) for node in nodes]

    return {"filter_headers": tell_headers, "filters": tell_filters}


def withholding(height: int):
    """The filters of blocks below a height alone."""

    def lie(honest: FakeNode, block_hash: bytes, count: int):
        given = honest.filters(block_hash, count)
        return [each for each in given if honest.chain.find(each.block_hash).height < height]

    return lie


# -- filters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [6, 8])
@pytest.mark.parametrize("liar_first", [True, False])
def test_a_hidden_payment_is_found_and_the_liar_named(scene: Scene, height: int, liar_first: bool):
    """Block 6 pays the wallet; block 8 spends from it, which only what it spends shows."""
    liar = scene.liar(**hiding(scene, height))
    nodes = (liar, scene.node) if liar_first else (scene.node, liar)
    report = scene.sync(*nodes)
    assert scene.balance == LEFT
    assert report.is_complete
    assert list(scene.condemned()) == ["liar:666"]
    assert f"false filter of block {height}" in report.problems[0]


def test_two_liars_do_not_outvote_an_honest_node(scene: Scene):
    liars = [FakeNode(scene.node.chain, f"liar:{n}", **hiding(scene, 6)) for n in (1, 2)]
    report = scene.sync(*liars, scene.node)
    assert scene.balance == LEFT
    assert set(scene.condemned()) == {"liar:1", "liar:2"}
    assert report.is_complete


def test_a_lie_that_was_believed_is_found_out_later(scene: Scene):
    liar = scene.liar(**hiding(scene, 6, 8))
    report = scene.sync(liar)
    assert scene.balance == 0
    assert report.compared == 1  # and it says that nobody else was asked
    report = scene.sync(scene.node)
    assert scene.balance == LEFT
    assert any("was false: searching again" in problem for problem in report.problems)
    report = scene.sync(scene.node, liar)
    assert list(scene.condemned()) == ["liar:666"]
    assert scene.balance == LEFT


def test_a_liar_is_named_without_spent_outputs_where_the_block_tells(scene: Scene):
    """As from nodes that serve filters, but not what a block spends."""
    honest = FakeNode(scene.node.chain, "old:1", spent_outputs=refuses)
    liar = scene.liar(**hiding(scene, 6), spent_outputs=refuses)
    report = scene.sync(liar, honest)
    assert (scene.balance, report.is_complete) == (LEFT, True)
    assert list(scene.condemned()) == ["liar:666"]


def test_what_cannot_be_decided_is_said_and_nothing_is_skipped(scene: Scene):
    # Neither shows anything of block 6 that could be held against it.
    coyness = {"spent_outputs": refuses, "filters": withholding(6)}
    lies = {**hiding(scene, 6), **coyness}
    coy = FakeNode(scene.node.chain, "coy:1", **coyness)
    report = scene.sync(scene.liar(**lies), coy)
    assert not report.is_complete
    assert report.searched == 5
    assert scene.condemned() == {}
    assert "disagree about the filter of block 6" in report.problems[-1]
    report = scene.sync(scene.liar(**lies), coy, scene.node)
    assert (scene.balance, report.is_complete) == (LEFT, True)


def test_false_spent_outputs_do_not_decide(scene: Scene):
    def lie(honest: FakeNode, block_hash: bytes):
        return [
            [TxOut(output.value, OTHER_SCRIPT) for output in outputs]
            for outputs in honest.spent_outputs(block_hash)
        ]

    liar = scene.liar(**hiding(scene, 8), spent_outputs=lie)
    report = scene.sync(liar, scene.node)
    assert (scene.balance, report.is_complete) == (LEFT, True)
    assert list(scene.condemned()) == ["liar:666"]


def test_evidence_that_nothing_binds_does_not_save_a_liar(scene: Scene):
    """A block spends our coin, which only the input shows, and one of ANYONE beside it: for that
    any script that asks for nothing would do as well.
    """
    chain = scene.node.chain
    change = scene.spending.outpoint(1)
    own = signed_spend({change: Coin(LEFT, KEY_SCRIPT, 8, is_coinbase=False)}, [LEFT - FEE])
    coinbase = chain.get_block(chain.at_height(2)).transactions[0]
    other = spend([coinbase.outpoint(0)], [coinbase.vout[0].value - FEE])
    scene.node.mine(transactions=[own, other], fees=2 * FEE)

    def lie(honest: FakeNode, block_hash: bytes):
        return [
            [o._replace(script_pubkey=b"\x52") if o.script_pubkey == ANYONE else o for o in outputs]
            for outputs in honest.spent_outputs(block_hash)
        ]

    liar = scene.liar(**hiding(scene, 11), spent_outputs=lie)
    report = scene.sync(liar, scene.node)
    assert (scene.balance, report.is_complete) == (0, True)
    assert list(scene.condemned()) == ["liar:666"]


def test_a_filter_other_than_its_header_says(scene: Scene):
    lies = hiding(scene, 6)
    liar = scene.liar(filters=lies["filters"])
    report = scene.sync(liar)
    assert not report.is_complete
    assert "false filter of block 6" in report.problems[0]
    assert scene.sync(scene.node).is_complete
    assert scene.balance == LEFT


def test_withheld_filters_stop_the_search_and_it_says_so(scene: Scene):
    lie = withholding(6)
    report = scene.sync(scene.liar(filters=lie))
    assert (report.searched, report.height, report.is_complete) == (5, 10, False)
    assert "no node gives the filter of block 6" in report.problems
    report = scene.sync(scene.liar(filters=lie), scene.node)
    assert (scene.balance, report.is_complete) == (LEFT, True)


def test_filters_that_are_none_have_their_blocks_read(scene: Scene):
    """All nodes commit to rubbish: what it may hide is looked for in the blocks themselves."""
    chain = scene.node.chain
    rubbish = b"\x05\x00"
    headers, header = {}, chain.filters.get(chain.at_height(0)).header
    headers[chain.at_height(0).hash] = header
    for height in range(1, chain.height + 1):
        header = calculate_filter_header(rubbish, header)
        headers[chain.at_height(height).hash] = header
    liar = scene.liar(
        filter_headers=lambda honest, h, n: [headers[e.hash] for e in honest._nodes(h, n)],
        filters=lambda honest, h, n: [BlockFilter(e.hash, rubbish) for e in honest._nodes(h, n)],
    )
    scene.sync(liar)
    assert scene.balance == LEFT


# -- blocks ---------------------------------------------------------------------------------------


def with_false_balance(honest: FakeNode, block_hash: bytes) -> Block:
    block = honest.block(block_hash)
    gift = spend([block.transactions[0].outpoint(0)], [TxOut(10**12, KEY_SCRIPT)])
    return Block(block.header, (*block.transactions, gift))


def with_other_header(honest: FakeNode, block_hash: bytes) -> Block:
    """A block that holds what it says, but is not the one asked for."""
    parent = honest.chain.find(block_hash).parent
    gift = [TxOut(10**9, KEY_SCRIPT)]
    return make_block(parent, PARAMS, [spend([honest.chain.at_height(1).hash + bytes(4)], gift)])


def with_repeated_tail(honest: FakeNode, block_hash: bytes) -> Block:
    """The same merkle root with the last transaction twice, where it can be (CVE-2012-2459)."""
    block = honest.block(block_hash)
    if len(block.transactions) != 3:
        return block
    return Block(block.header, (*block.transactions, block.transactions[-1]))


@pytest.mark.parametrize("lie", [with_false_balance, with_other_header])
def test_a_forged_block_gives_no_balance(scene: Scene, lie):
    report = scene.sync(scene.liar(block=lie))
    assert scene.balance == 0
    assert not report.is_complete
    assert report.searched == 5
    assert list(scene.condemned()) == ["liar:666"]
    report = scene.sync(scene.liar(block=lie), scene.node)
    assert (scene.balance, report.is_complete) == (LEFT, True)


def test_a_block_with_its_tail_repeated(scene: Scene):
    coins = [
        scene.node.chain.get_block(scene.node.chain.at_height(n)).transactions[0] for n in (2, 3)
    ]
    pays = [spend([c.outpoint(0)], [TxOut(c.vout[0].value, KEY_SCRIPT)]) for c in coins]
    scene.node.mine(transactions=pays)  # three in all: the root pads with the last one
    report = scene.sync(scene.liar(block=with_repeated_tail))
    assert report.searched == 10
    assert "false block 11: bad-txns-duplicate" in report.problems[0]


def test_a_withheld_block_stops_the_search_and_it_says_so(scene: Scene):
    report = scene.sync(scene.liar(block=refuses))
    assert (report.searched, report.is_complete) == (5, False)
    assert "no node gives block 6" in report.problems


def test_a_proof_that_was_tampered_with_is_noticed(scene: Scene):
    scene.sync(scene.node)
    assert scene.wallet.unproven() == []
    first = scene.store.transactions()[0]
    scene.store.put_transactions([first._replace(branch=(bytes(32),))])
    assert [each.txid for each in scene.wallet.unproven()] == [first.txid]
    scene.store.put_transactions([first._replace(data=scene.spending.serialize())])
    assert [each.txid for each in scene.wallet.unproven()] == [first.txid]


# -- headers --------------------------------------------------------------------------------------


def test_a_chain_with_less_work_is_not_taken(scene: Scene, other_chain):
    copy(scene.node.chain, other_chain, through=5)
    weak = FakeNode(other_chain, "weak:1")
    weak.mine(4, tag=b"weak", script=KEY_SCRIPT)
    scene.sync(scene.node)
    report = scene.sync(weak, scene.node)
    assert (report.height, report.reorg, scene.balance) == (10, None, LEFT)
    states = {record.address: record.state for record in scene.store.nodes()}
    assert states["weak:1"] == "is on a branch with less work, at height 9"
    # Alone it is believed as far as its work goes, until more is seen.
    store = LightStore(None, PARAMS)
    sync(PARAMS, store, scene.keys, [weak], LATE)
    wallet = LightWallet(PARAMS, store, scene.keys)
    assert wallet.balance(LATE).available + wallet.balance(LATE).immature > LEFT
    report = sync(PARAMS, store, scene.keys, [weak, scene.node], LATE)
    assert report.reorg == 5
    assert wallet.balances(LATE)[KEY_SCRIPT].confirmed == LEFT
    store.close()


def test_a_network_that_is_known_to_have_more_work(scene: Scene):
    params = replace(PARAMS, minimum_chain_work=2 * (10 + 1) + 1)
    report = sync(params, scene.store, scene.keys, [scene.node], LATE)
    assert not report.is_complete
    assert "the work that regtest is known to have" in report.problems[0]
    scene.node.mine()
    assert sync(params, scene.store, scene.keys, [scene.node], LATE).is_complete


def broken_at(height: int, how):
    """Headers of which one, and all after it, are not as the rules ask."""

    def lie(honest: FakeNode, block_hash: bytes, count: int):
        headers = list(honest.headers(block_hash, count))
        for at, header in enumerate(headers):
            if honest.chain.find(header.hash).height == height:
                headers[at] = how(header)
        return headers

    return lie


def rebuilt(header: BlockHeader, **changes) -> BlockHeader:
    fields = {**header._asdict(), **changes}
    del fields["hash"]
    return mine(BlockHeader.build(**fields))


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda header: mine(header, fail=True), "high-hash"),
        (lambda header: rebuilt(header, bits=0x207FFFFE), "bad-diffbits"),
        (lambda header: rebuilt(header, time=0), "time-too-old"),
        (lambda header: rebuilt(header, version=1), "bad-version"),
        (lambda header: rebuilt(header, prev_hash=bytes(32)), "prev-blk-not-found"),
    ],
)
def test_headers_that_break_a_rule(scene: Scene, how, reason: str):
    report = scene.sync(scene.liar(headers=broken_at(8, how)))
    assert report.height == 7
    assert reason in report.problems[0]
    assert reason in scene.condemned()["liar:666"]
    assert scene.sync(scene.node).height == 10


def test_headers_of_the_future_end_the_chain_for_now(scene: Scene):
    tip = scene.node.chain.tip
    report = sync(PARAMS, scene.store, scene.keys, [scene.node], tip.header.time - 7200 - 1)
    assert report.height == 9
    assert scene.condemned() == {}
    assert scene.sync(scene.node).height == 10


def test_a_long_branch_that_breaks_off_changes_nothing(scene: Scene, other_chain, monkeypatch):
    """The second reading of a long branch has to bring what the first has shown."""
    monkeypatch.setattr("misocoin.wallet.light.headers.COUNT", 4)
    monkeypatch.setattr("misocoin.wallet.light.headers.MAX_KEPT", 5)
    copy(scene.node.chain, other_chain, through=5)
    strong = FakeNode(other_chain, "strong:1")
    strong.mine(12, tag=b"strong")
    scene.sync(scene.node)
    asked = []

    def lie(honest: FakeNode, block_hash: bytes, count: int):
        asked.append(block_hash)
        if asked.count(block_hash) > 1:
            return honest.headers(block_hash, count)[:1]
        return honest.headers(block_hash, count)

    fickle = FakeNode(other_chain, "fickle:1", headers=lie)
    scene.sync(fickle)
    assert (scene.store.height, scene.balance) == (10, LEFT)
    report = scene.sync(strong)
    assert (report.height, report.reorg, scene.balance) == (17, 5, 0)


def test_a_node_of_another_chain(scene: Scene):
    report = scene.sync(scene.liar(headers=lambda *_: ()))
    assert (report.answered, scene.condemned()) == (0, {})
    assert "node of another chain" in report.nodes[0].state
    assert scene.store.nodes() == []  # a slip of the hand is not remembered
    report = scene.sync(scene.liar(headers=lambda node, *_: node.headers(node.chain.tip.hash, 1)))
    assert "other headers than it was asked for" in report.problems[0]


def test_headers_without_end(scene: Scene, monkeypatch):
    monkeypatch.setattr("misocoin.wallet.light.headers.COUNT", 4)
    monkeypatch.setattr("misocoin.wallet.light.headers.MAX_BRANCH", 6)
    report = scene.sync(scene.node)
    assert 4 <= report.height < 10
    assert "more headers than are read in one go" in report.nodes[0].state


# -- answers that do not come ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["headers", "filter_headers", "filters", "block"])
def test_a_node_that_stalls_is_left_aside(scene: Scene, method: str):
    report = scene.sync(scene.liar(**{method: fails}), scene.node)
    assert (scene.balance, report.is_complete) == (LEFT, True)
    states = {record.address: record.state for record in report.nodes}
    assert states["liar:666"].startswith("it took too long")
    # Who never showed a chain is not remembered; who did is, and can be forgotten.
    known = {record.address for record in scene.store.nodes()}
    assert known == ({"honest:1"} if method == "headers" else {"honest:1", "liar:666"})
    assert scene.store.forget_node("liar:666") == (method != "headers")
    assert [record.address for record in scene.store.nodes()] == ["honest:1"]


def test_no_node_at_all(scene: Scene):
    report = scene.sync()
    assert (report.height, report.answered, report.is_complete) == (0, 0, False)


# -- evidence -------------------------------------------------------------------------------------


def test_spent_outputs_are_proven_by_signatures(scene: Scene):
    block = scene.node.chain.get_block(scene.node.chain.at_height(8))
    true = [(), (TxOut(PAID, KEY_SCRIPT),)]
    assert are_spent_by(block, true, 8, PARAMS)
    for false in (
        [(), (TxOut(PAID, OTHER_SCRIPT),)],
        [(), (TxOut(PAID + 1, KEY_SCRIPT),)],  # segwit's signatures cover the amount
        [(), (TxOut(-PAID, KEY_SCRIPT),)],
        [(), ()],
        [()],
        [(), (TxOut(PAID, KEY_SCRIPT),), ()],
        [(TxOut(PAID, KEY_SCRIPT),), (TxOut(PAID, KEY_SCRIPT),)],
    ):
        assert not are_spent_by(block, false, 8, PARAMS)


def test_follow_keeps_what_held(scene: Scene):
    liar = scene.liar(headers=broken_at(4, lambda header: mine(header, fail=True)))
    with pytest.raises(NodeLied, match="height 4"):
        follow(liar, scene.store, LATE)
    assert scene.store.height == 3


def test_the_filters_here_do_hide(scene: Scene):
    """The lies of this file are lies: the liar's filter does not have our script."""
    node = scene.node.chain.at_height(6)
    (data,) = (each.data for each in hiding(scene, 6)["filters"](scene.node, node.hash, 1))
    assert not is_any_in_filter([KEY_SCRIPT], data, node.hash)
