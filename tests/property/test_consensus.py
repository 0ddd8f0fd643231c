"""Rules as functions: held against slower ones that are easier to believe."""

from fractions import Fraction
from hashlib import sha256

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from misocoin.consensus.coins import Coin
from misocoin.consensus.connect import connect_block, undone_coins
from misocoin.consensus.difficulty import (
    bits_from_target,
    calculate_next_bits,
    calculate_retarget_bits,
    calculate_step_bits,
    is_proof_of_work,
    target_from_bits,
    work_from_bits,
)
from misocoin.consensus.merkle import (
    calculate_merkle_branch,
    calculate_merkle_root,
    merkle_root_from_branch,
)
from misocoin.consensus.subsidy import calculate_subsidy
from misocoin.consensus.tree import HeaderNode, fork_point
from misocoin.consensus.tx_rules import calculate_sequence_locks, is_final
from misocoin.errors import ValidationError
from misocoin.params import bitcoin, miso, regtest
from misocoin.primitives.block import BlockHeader
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from tests.builders import ANYONE, coins_after, make_block, make_outpoint, small_params, spend
from tests.examples import examples

# -- targets ----------------------------------------------------------------------------------

targets = st.integers(1, 2**256 - 1) | st.integers(0, 255).map(lambda bit: 1 << bit)


@given(targets)
def test_bits_keep_the_first_bytes_of_a_target(target):
    bits = bits_from_target(target)
    kept = target_from_bits(bits)
    assert kept <= target
    size = (target.bit_length() + 7) // 8
    # At least 15 bits are kept: one byte goes where the first bit would be the sign.
    assert Fraction(target - kept, target) < Fraction(1, 1 << 15)
    assert bits >> 24 in (size, size + 1)
    assert not bits & 0x00800000
    assert bits_from_target(kept) == bits


@given(st.integers(0, 2**32 - 1))
def test_any_bits_are_a_target_or_none(bits):
    size, negative, mantissa = bits >> 24, bits >> 23 & 1, bits & 0x7FFFFF
    exact = int(mantissa * Fraction(256) ** (size - 3))
    if 0 < exact < 2**256 and not negative:
        assert target_from_bits(bits) == exact
        assert work_from_bits(bits) == 2**256 // (exact + 1)
    else:
        with pytest.raises(ValidationError, match="bad-diffbits"):
            target_from_bits(bits)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**32 - 1))
def test_proof_of_work_never_fails(block_hash, bits):
    for params in (miso(), regtest(), bitcoin()):
        found = is_proof_of_work(block_hash, bits, params)
        if found:
            target = target_from_bits(bits)
            assert int.from_bytes(block_hash, "little") <= target <= params.pow_limit


# Down to a target of which a quarter is still a number; the rules of nobody reach further.
bits_below = st.integers(2**16, 2**220).map(bits_from_target)


@given(bits_below, st.integers(-(10**7), 10**7))
def test_a_step_of_miso_is_clamped_and_never_easier_than_the_limit(bits, solve_time):
    found = target_from_bits(calculate_step_bits(bits, solve_time, miso()))
    target = target_from_bits(bits)
    held = max(-1800, min(1800, solve_time))
    exact = target * 2.0 ** ((held - 30) / 1800)
    assert found <= miso().pow_limit
    if exact > 2**30:
        # 0.013 % of the cubic, 2**-15 of the compact form
        assert found <= exact * 1.0002
        assert found >= min(exact, miso().pow_limit) * (1 - 0.0002)


@given(bits_below, st.integers(-(10**4), 10**4), st.integers(-(10**4), 10**4))
def test_a_slower_block_never_makes_the_next_harder(bits, one, other):
    slow, fast = max(one, other), min(one, other)
    for rule in (calculate_step_bits, calculate_retarget_bits):
        params = miso() if rule is calculate_step_bits else bitcoin()
        assume(target_from_bits(bits) <= params.pow_limit)
        assert target_from_bits(rule(bits, slow, params)) >= target_from_bits(
            rule(bits, fast, params)
        )


@given(bits_below, st.integers(-(10**8), 10**8))
def test_bitcoins_retarget_is_a_fraction(bits, timespan):
    held = max(302_400, min(4_838_400, timespan))
    exact = min(int(target_from_bits(bits) * Fraction(held, 1_209_600)), 2**224 - 1)
    assert calculate_retarget_bits(bits, timespan, bitcoin()) == bits_from_target(exact)


@given(st.integers(0, 10**7), bits_below, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_every_network_has_next_bits(height, bits, time, reference):
    for params in (miso(), regtest(), bitcoin()):
        assume(target_from_bits(bits) <= params.pow_limit)
        assert target_from_bits(calculate_next_bits(height, bits, time, reference, params)) > 0


@given(st.integers(0, 2 * 10**8), st.integers(0, 2 * 10**8))
def test_a_subsidy_never_rises(one, other):
    for params in (miso(), regtest(), bitcoin()):
        low, high = sorted((one, other))
        assert params.initial_subsidy >= calculate_subsidy(low, params)
        assert calculate_subsidy(low, params) >= calculate_subsidy(high, params) >= 0


# -- merkle -----------------------------------------------------------------------------------

leaves = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40)


def _pair(left, right):
    return sha256(sha256(left + right).digest()).digest()


def _slow_root(level):
    if len(level) == 1:
        return level[0]
    pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
    return _slow_root([_pair(pair[0], pair[-1]) for pair in pairs])


@given(leaves)
def test_a_merkle_root_and_its_branches(hashes):
    root, malleable = calculate_merkle_root(hashes)
    assert root == _slow_root(hashes)
    if len(set(hashes)) == len(hashes):
        assert not malleable
    for index, leaf in enumerate(hashes):
        branch = calculate_merkle_branch(hashes, index)
        assert len(branch) == (len(hashes) - 1).bit_length()
        assert merkle_root_from_branch(leaf, branch, index) == root


@given(st.integers(0, 3), st.integers(1, 4), st.integers(0, 2**200))
def test_whatever_repeated_tail_gives_the_same_root_is_noticed(level, half, start):
    """CVE-2012-2459: where a level of the tree is of odd length, its last node is repeated."""
    width = 1 << level
    count = width * (2 * half + 1)
    hashes = [(start + number).to_bytes(32, "big") for number in range(count)]
    assert calculate_merkle_root([*hashes, *hashes[-width:]]) == (_slow_root(hashes), True)
    assert calculate_merkle_root(hashes) == (_slow_root(hashes), False)


# -- the tree ---------------------------------------------------------------------------------


@st.composite
def trees(draw):
    """Nodes of a random tree; each one's parent and time are drawn, mostly the latest."""
    nodes = [HeaderNode(regtest().genesis.header, None)]
    for nonce in range(draw(st.integers(1, 60))):
        back = draw(st.integers(1, min(len(nodes), 8)) | st.just(1))
        parent = nodes[-back]
        time = draw(st.integers(0, 1000))
        header = BlockHeader.build(4, parent.hash, bytes(32), time, 0x207FFFFF, nonce)
        nodes.append(HeaderNode(header, parent))
    return nodes


def _branch(node):
    """The nodes from genesis up to `node`."""
    branch = []
    while node is not None:
        branch.insert(0, node)
        node = node.parent
    return branch


@examples(60)
@given(trees(), st.data())
def test_nodes_of_a_tree(nodes, data):
    one, other = (data.draw(st.sampled_from(nodes)) for _ in range(2))
    branch = _branch(one)
    assert one.height == len(branch) - 1
    assert one.chain_work == 2 * len(branch)
    assert [one.ancestor(height) for height in range(len(branch))] == branch
    times = sorted(node.header.time for node in branch[-11:])
    assert one.median_time_past == times[len(times) // 2]
    shared = [node for node in branch if node in _branch(other)]
    assert fork_point(one, other) is fork_point(other, one) is shared[-1]
    assert one.is_ancestor_of(other) is (one in _branch(other))
    assert list(one.back_to(shared[-1])) == branch[: len(shared) - 1 : -1]


# -- lock times -------------------------------------------------------------------------------


@given(
    st.integers(0, 2**32 - 1) | st.integers(0, 1000),
    st.lists(st.integers(0, 2**32 - 1) | st.just(0xFFFFFFFF), min_size=1, max_size=3),
    st.integers(0, 10**6),
    st.integers(0, 2**32 - 1),
)
def test_a_lock_time_once_passed_stays_passed(locktime, sequences, height, time):
    inputs = [TxIn(make_outpoint(n), b"", sequence) for n, sequence in enumerate(sequences)]
    tx = Transaction.build(2, inputs, [], locktime)
    if is_final(tx, height, time):
        assert is_final(tx, height + 1, time)
        assert is_final(tx, height, time + 1)
    cutoff = height if locktime < 500_000_000 else time
    assert is_final(tx, height, time) is (
        locktime < cutoff or locktime == 0 or set(sequences) == {0xFFFFFFFF}
    )


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2000)), min_size=1, max_size=4))
def test_locks_of_a_transaction_are_the_strictest_of_its_inputs(spent):
    def medians(height):
        return 600 * height

    def locks_of(pairs):
        inputs = [TxIn(make_outpoint(n), b"", sequence) for n, (sequence, _) in enumerate(pairs)]
        tx = Transaction.build(2, inputs, [])
        return calculate_sequence_locks(tx, [height for _, height in pairs], medians)

    each = [locks_of([pair]) for pair in spent]
    assert locks_of(spent) == (max(lock.height for lock in each), max(lock.time for lock in each))


# -- connecting and undoing -------------------------------------------------------------------

PARAMS = small_params(coinbase_maturity=1)


@st.composite
def payments(draw, coins):
    """Transactions that spend `coins` and each other's outputs, in an order that holds."""
    purse = sorted(coins)
    made = []
    values = {point: coin.value for point, coin in coins.items()}
    for _ in range(draw(st.integers(0, 4))):
        if not purse:
            break
        count = draw(st.integers(1, min(3, len(purse))))
        points = [purse.pop(draw(st.integers(0, len(purse) - 1))) for _ in range(count)]
        total = sum(values[point] for point in points)
        cuts = sorted(draw(st.lists(st.integers(0, total), max_size=3)))
        parts = [high - low for low, high in zip([0, *cuts], [*cuts, total], strict=True)]
        scripts = [draw(st.sampled_from([ANYONE, ANYONE, b"\x6a"])) for _ in parts]
        tx = spend(points, [TxOut(*pair) for pair in zip(parts, scripts, strict=True)])
        made.append(tx)
        for index, (value, script) in enumerate(tx.vout):
            if script == ANYONE:
                purse.append(tx.outpoint(index))
                values[tx.outpoint(index)] = value
    return made


@examples(40)
@given(st.data())
def test_connecting_makes_the_coins_and_undoing_restores_them(data):
    """A random chain, up and down again; each block spends coins of its own too."""
    node = HeaderNode(PARAMS.genesis.header, None)
    coins, links = {}, []
    for _ in range(data.draw(st.integers(1, 8))):
        transactions = data.draw(payments(coins))
        block = make_block(node, PARAMS, transactions)
        node = HeaderNode(block.header, node)
        result = connect_block(block, node, coins.get, None, PARAMS)
        links.append((block, result.spent, dict(coins)))
        expected = coins_after(coins, block, node.height)
        for point in result.consumed:
            del coins[point]
        assert not coins.keys() & result.created.keys()
        coins.update(result.created)
        assert coins == expected
        assert result.fees == 0
    assert all(type(coin) is Coin for coin in coins.values())
    for block, spent, before in reversed(links):
        removed, restored = undone_coins(block, spent)
        for point in removed:
            coins.pop(point, None)
        assert not coins.keys() & restored.keys()
        coins.update(restored)
        assert coins == before
