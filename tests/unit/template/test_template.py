"""Block templates: valid blocks but for the nonce, paying the miner all there is."""

from dataclasses import replace

import pytest

from misocoin.chain.template import BlockTemplate, TemplateOptions, build_template
from misocoin.consensus.block_rules import (
    calculate_witness_commitment,
    check_block_context,
    witness_commitment_index,
)
from misocoin.consensus.merkle import calculate_merkle_root
from misocoin.consensus.tree import HeaderNode, next_bits
from misocoin.params import Activation, Params, miso, regtest
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.block import BlockHeader
from misocoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut
from misocoin.units import COIN
from tests.builders import solve
from tests.fakes.chain import ANYONE_SCRIPT, FakeChain, spend
from tests.fakes.pool import pool_on

PAY = b"\x00\x14" + bytes(20)


@pytest.fixture
def chain() -> FakeChain:
    fake = FakeChain()
    fake.mine(count=109)
    return fake


def template_for(
    chain: FakeChain, txs: list[Transaction], options: TemplateOptions | None = None
) -> BlockTemplate:
    pool = pool_on(chain)
    for tx in txs:
        pool.accept(tx, chain.now)
    return build_template(
        chain.tip, pool.entries(), chain.params, chain.now, PAY, options or TemplateOptions()
    )


def test_an_empty_mempool(chain: FakeChain) -> None:
    template = template_for(chain, [])
    assert template.height == 110
    assert template.version == 0x20000000
    assert template.prev_hash == chain.tip.hash
    assert template.bits == 0x207FFFFF
    assert template.time == chain.now
    assert template.min_time == chain.tip.median_time_past + 1
    assert (template.coinbase_value, template.subsidy, template.fees) == (50 * COIN, 50 * COIN, 0)
    block = template.block()
    assert template.weight == block.weight
    coinbase = block.transactions[0]
    assert coinbase.vin[0].prevout == NULL_OUTPOINT
    assert coinbase.vin[0].script_sig == bytes.fromhex("016e080000000000000000")
    assert coinbase.vin[0].witness == (bytes(32),)
    assert coinbase.vout[0] == TxOut(50 * COIN, PAY)
    assert coinbase.vout[1].value == 0
    chain.connect(solve(block))


def test_fees_go_to_the_miner(chain: FakeChain) -> None:
    first, second, *_ = chain.spendable()
    parent = spend([first], [40 * COIN])
    child = spend([parent.outpoint(0)], [39 * COIN])
    other = spend([second], [49 * COIN])
    template = template_for(chain, [parent, child, other])
    assert template.fees == 12 * COIN
    assert template.coinbase_value == 62 * COIN
    by_tx = {item.tx: item for item in template.transactions}
    assert by_tx[parent].fee == 10 * COIN
    places = {item.tx: place for place, item in enumerate(template.transactions, start=1)}
    assert by_tx[child].depends == (places[parent],)
    assert by_tx[parent].depends == by_tx[other].depends == ()
    block = template.block()
    assert template.weight == block.weight
    chain.connect(solve(block))


def test_what_a_transaction_depends_on_is_told_for_each_input(chain: FakeChain) -> None:
    parent = spend([chain.spendable()[0]], [20 * COIN, 20 * COIN])
    child = spend([parent.outpoint(1), chain.spendable()[1], parent.outpoint(0)], [80 * COIN])
    template = template_for(chain, [parent, child])
    assert [item.depends for item in template.transactions] == [(), (1, 1)]  # as Core does


def test_every_extra_nonce_is_another_valid_block(chain: FakeChain) -> None:
    txs = [spend([coin], [49 * COIN]) for coin in chain.spendable()[:6]]
    template = template_for(chain, txs)
    roots = set()
    for extra_nonce in (0, 1, 255, 256, 2**64 - 1):
        block = template.block(extra_nonce, nonce=7)
        root, _ = calculate_merkle_root([tx.txid for tx in block.transactions])
        assert block.header.merkle_root == root
        assert block.header == template.header(extra_nonce, nonce=7)
        assert block.header.nonce == 7
        check_block_context(block, 110, chain.tip.median_time_past, chain.params)
        roots.add(root)
    assert len(roots) == 5
    chain.connect(solve(template.block(2**64 - 1)))


def test_the_commitment_is_that_of_the_witnesses(chain: FakeChain) -> None:
    template = template_for(chain, [spend([chain.spendable()[0]], [COIN])])
    block = template.block(99)
    index = witness_commitment_index(block.transactions[0])
    assert index == 1
    commitment = block.transactions[0].vout[1].script_pubkey
    assert commitment == template.witness_commitment
    assert commitment == bytes.fromhex("6a24aa21a9ed") + calculate_witness_commitment(
        block.transactions, bytes(32)
    )


def test_time(chain: FakeChain) -> None:
    def time_at(now: int) -> int:
        return build_template(chain.tip, (), chain.params, now, PAY).time

    earliest = chain.tip.median_time_past + 1
    assert time_at(earliest + 5) == earliest + 5
    assert time_at(earliest - 100) == earliest  # a clock behind the chain
    template = template_for(chain, [])
    assert template.header(time=earliest + 9).time == earliest + 9


def test_bits_follow_the_difficulty_rule() -> None:
    params = miso()
    node = HeaderNode(params.genesis.header, None)
    for spacing in (30, 5, 900, 1):
        header = BlockHeader.build(
            1, node.hash, bytes(32), node.header.time + spacing, next_bits(node, params), 0
        )
        node = HeaderNode(header, node)
        template = build_template(node, (), params, 0, PAY)
        assert template.bits == next_bits(node, params)
    assert template.bits != 0x1E0FFFFF
    assert template.subsidy == 15 * COIN


@pytest.mark.parametrize("height", [1, 16, 17, 127, 128, 255, 256, 32_768, 8_388_608])
def test_the_height_opens_the_coinbase(height: int, chain: FakeChain) -> None:
    params = replace(chain.params, deployments=())  # they would look for the blocks before
    parent = HeaderNode(params.genesis.header, None)
    parent.height = height - 1
    template = build_template(parent, (), params, 0, PAY)
    check_block_context(template.block(), height, parent.median_time_past, params)


def test_a_tag(chain: FakeChain) -> None:
    template = template_for(chain, [], TemplateOptions(tag=b"/miso/"))
    script = template.coinbase(3).vin[0].script_sig
    assert script == bytes.fromhex("016e080300000000000000") + b"\x06/miso/"
    for size in (75, 76, 90, 500):
        long = template_for(chain, [], TemplateOptions(tag=b"x" * size))
        script = long.coinbase(0).vin[0].script_sig
        assert len(script) <= 100
        assert script.endswith(b"x" * 75)
        chain.connect(solve(long.block()))
        chain.disconnect()


def late_segwit(height: int) -> Params:
    return replace(regtest(), activation=Activation(1, 1, 1, 1, segwit=height))


def test_before_segwit_there_is_no_commitment_and_no_witness() -> None:
    chain = FakeChain(late_segwit(111))
    chain.mine(count=109)
    with_witness = spend([chain.spendable()[0]], [COIN])
    pool = pool_on(FakeChain())
    pool._chain = chain  # type: ignore[misc]  # a mempool that thinks segwit is in force
    entry = pool.check(with_witness, chain.now)
    template = build_template(chain.tip, [entry], chain.params, chain.now, PAY)
    assert template.witness_commitment == b""
    assert template.transactions == ()
    block = template.block()
    assert len(block.transactions[0].vout) == 1
    assert not block.transactions[0].has_witness
    assert template.weight == block.weight
    chain.connect(solve(block))
    after = build_template(chain.tip, [entry], chain.params, chain.now, PAY)
    assert [item.tx for item in after.transactions] == [with_witness]


def test_a_script_that_leaves_no_room(chain: FakeChain) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        build_template(chain.tip, (), chain.params, 0, bytes(1_000_000))
    with pytest.raises(ValueError, match="does not fit"):
        build_template(chain.tip, (), chain.params, 0, b"\xac" * 20_001)


def test_a_large_script_leaves_less_room(chain: FakeChain) -> None:
    pool = pool_on(chain)
    pool.accept(spend([chain.spendable()[0]], [COIN] * 10), chain.now)
    big = b"\x6a" + b"\x4e" + (990_000).to_bytes(4, "little") + bytes(990_000)
    template = build_template(chain.tip, pool.entries(), chain.params, chain.now, big)
    assert len(template.transactions) == 1
    assert template.weight == template.block().weight <= 4_000_000
    chain.connect(solve(template.block()))


def test_options(chain: FakeChain) -> None:
    coins = chain.spendable()
    vsize = spend([coins[0]], [COIN]).vsize
    poor = spend([coins[0]], [50 * COIN - vsize])
    rich = spend([coins[1]], [50 * COIN - 2 * vsize])
    low = template_for(chain, [poor, rich], TemplateOptions(min_feerate=FeeRate(1_001)))
    assert [item.tx for item in low.transactions] == [rich]
    assert len(template_for(chain, [poor, rich]).transactions) == 2
    small = TemplateOptions(max_weight=8_000 + 4 * vsize + 1)
    assert [item.tx for item in template_for(chain, [poor, rich], small).transactions] == [rich]
    none = TemplateOptions(max_weight=8_000 + 4 * vsize)
    assert template_for(chain, [poor, rich], none).transactions == ()
    beyond = TemplateOptions(max_weight=10**9)
    assert len(template_for(chain, [poor, rich], beyond).transactions) == 2


def test_sigops_are_told(chain: FakeChain) -> None:
    coin = chain.spendable()[0]
    key_hash = TxOut(COIN, b"\x76\xa9\x14" + bytes(20) + b"\x88\xac")
    template = template_for(chain, [spend([coin], [key_hash, key_hash])])
    assert template.transactions[0].sigop_cost == 8
    assert template.sigop_cost == 8
    own = build_template(chain.tip, (), chain.params, 0, key_hash.script_pubkey)
    assert own.sigop_cost == 4


def test_the_script_paid_needs_no_witness(chain: FakeChain) -> None:
    # A block of old-style transactions commits to the witnesses all the same, as Core's do.
    template = build_template(chain.tip, (), chain.params, chain.now, ANYONE_SCRIPT)
    legacy = Transaction.build(1, [TxIn(NULL_OUTPOINT, b"\x51\x51")], [TxOut(0, b"")])
    assert not legacy.has_witness
    assert template.block().transactions[0].has_witness
