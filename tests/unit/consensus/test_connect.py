from dataclasses import replace

import pytest

from misocoin.codec import compact_size
from misocoin.consensus.coins import Coin
from misocoin.consensus.connect import (
    ConnectedBlock,
    connect_block,
    must_check_repeats,
    serialize_undo,
    undo_from_bytes,
    undone_coins,
)
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import MissingInputsError, ParseError, ValidationError
from misocoin.params import Activation, bitcoin, regtest
from misocoin.primitives.block import BlockHeader
from misocoin.primitives.transaction import TxOut
from tests.builders import (
    ANYONE,
    grow,
    make_block,
    make_coinbase,
    make_outpoint,
    small_params,
    spend,
    with_transactions,
    with_witness,
)

PARAMS = small_params()
MAX_MONEY = 2_100_000_000_000_000
SUBSIDY = 5_000_000_000
P1, P2, P3 = (make_outpoint(number) for number in (1, 2, 3))


class Recorder:
    """A script sink that notes what it is asked to check."""

    def __init__(self):
        self.calls = []

    def add(self, tx, coins, flags):
        self.calls.append((tx, tuple(coins), flags))


def _tip(height=9, params=PARAMS):
    node = HeaderNode(params.genesis.header, None)
    for block in grow(node, params, height):
        node = HeaderNode(block.header, node)
    return node


TIP = _tip()


def _connect(transactions, coins=None, *, parent=TIP, params=PARAMS, sink=None, **options):
    block = make_block(parent, params, transactions, **options)
    node = HeaderNode(block.header, parent)
    return connect_block(block, node, (coins or {}).get, sink, params)


def _coin(value, *, height=1, is_coinbase=False, script=ANYONE):
    return Coin(value, script, height, is_coinbase)


def test_a_block_changes_the_coins():
    first = spend([P1, P2], [3, TxOut(1, b"\x6a nobody's"), 4])
    second = spend([first.outpoint(0), P3], [2])
    coins = {P1: _coin(5), P2: _coin(6, height=2), P3: _coin(7, is_coinbase=True)}
    sink = Recorder()
    result = _connect([first, second], coins, fees=3 + 8, sink=sink)
    in_block = _coin(3, height=10)
    assert result.fees == 3 + 8
    assert result.consumed == [P1, P2, P3]
    assert result.spent == ((coins[P1], coins[P2]), (in_block, coins[P3]))
    assert set(result.created.values()) == {
        _coin(SUBSIDY + 11, height=10, is_coinbase=True),
        _coin(4, height=10),
        _coin(2, height=10),
    }
    assert result.created[first.outpoint(2)] == _coin(4, height=10)
    assert first.outpoint(0) not in result.created  # spent in the block
    assert first.outpoint(1) not in result.created  # unspendable
    assert [call[:2] for call in sink.calls] == [
        (first, result.spent[0]),
        (second, result.spent[1]),
    ]
    assert {call[2] for call in sink.calls} == {0x20E15}


def test_genesis_creates_no_coin():
    root = HeaderNode(PARAMS.genesis.header, None)
    assert connect_block(PARAMS.genesis, root, {}.get, None, PARAMS) == ConnectedBlock(
        (), {}, [], 0
    )


def test_a_script_over_10000_bytes_makes_no_coin():
    largest = spend([P1], [TxOut(1, b"\x51" * 10_000)])
    larger = spend([P2], [TxOut(1, b"\x51" * 10_001)])
    result = _connect([largest, larger], {P1: _coin(1), P2: _coin(1)})
    assert largest.outpoint(0) in result.created
    assert larger.outpoint(0) not in result.created


def test_a_coinbase_may_claim_less_but_not_more():
    tx = spend([P1], [4])
    coins = {P1: _coin(5)}
    for fees in (1, 0, -100):
        _connect([tx], coins, fees=fees)
    with pytest.raises(ValidationError) as caught:
        _connect([tx], coins, fees=2)
    assert str(caught.value) == (
        f"bad-cb-amount, coinbase pays too much (actual={SUBSIDY + 2} vs limit={SUBSIDY + 1})"
    )


def test_the_limit_of_a_coinbase_falls_with_the_subsidy():
    params = replace(PARAMS, halving_interval=10)
    assert _connect([], params=params).created
    claims_all = make_coinbase(10, [SUBSIDY])
    with pytest.raises(ValidationError, match="bad-cb-amount"):
        _connect([], params=params, coinbase=claims_all)


NOBODYS = spend([P1], [TxOut(1, b"\x6a")])


@pytest.mark.parametrize(
    ("transactions", "coins", "reason"),
    [
        pytest.param([spend([P1], [1])], {}, "bad-txns-inputs-missingorspent", id="unknown"),
        pytest.param(
            [spend([P1], [1]), spend([P1], [2])],
            {P1: _coin(5)},
            "bad-txns-inputs-missingorspent",
            id="spent twice",
        ),
        pytest.param(
            [spend([spend([P1], [1]).outpoint(0)], [1]), spend([P1], [1])],
            {P1: _coin(5)},
            "bad-txns-inputs-missingorspent",
            id="child before its parent",
        ),
        pytest.param(
            [
                spend([P1], [3]),
                spend([spend([P1], [3]).outpoint(0)], [2]),
                spend([spend([P1], [3]).outpoint(0)], [1]),
            ],
            {P1: _coin(5)},
            "bad-txns-inputs-missingorspent",
            id="a coin of the block spent twice",
        ),
        pytest.param(
            [NOBODYS, spend([NOBODYS.outpoint(0)], [1])],
            {P1: _coin(5)},
            "bad-txns-inputs-missingorspent",
            id="an unspendable coin",
        ),
        pytest.param(
            [spend([P1], [1])],
            {P1: _coin(5, height=9, is_coinbase=True)},
            "bad-txns-premature-spend-of-coinbase",
            id="immature",
        ),
        pytest.param([spend([P1], [6])], {P1: _coin(5)}, "bad-txns-in-belowout", id="too much"),
        pytest.param(
            [spend([P1], [1])],
            {P1: _coin(MAX_MONEY + 1)},
            "bad-txns-inputvalues-outofrange",
            id="value out of range",
        ),
        pytest.param(
            [spend([P1], [0]), spend([P2], [0])],
            {P1: _coin(MAX_MONEY), P2: _coin(1)},
            "bad-txns-accumulated-fee-outofrange",
            id="fees",
        ),
        pytest.param(
            [spend([P1], [1], sequence=10)],
            {P1: _coin(5)},
            "bad-txns-nonfinal",
            id="locked for 10 blocks",
        ),
        pytest.param(
            [spend([P1], [1], sequence=1 << 22 | 9)],
            {P1: _coin(5, height=1)},
            "bad-txns-nonfinal",
            id="locked for 4608 seconds",
        ),
    ],
)  # fmt: skip
def test_blocks_that_spend_wrongly(transactions, coins, reason):
    with pytest.raises(ValidationError) as caught:
        _connect(transactions, coins)
    assert caught.value.reason == reason
    assert not caught.value.mutated
    assert isinstance(caught.value, MissingInputsError) == reason.endswith("missingorspent")


def test_the_blocks_own_coinbase_is_immature():
    block = make_block(TIP, PARAMS)
    greedy = with_transactions(
        block, [block.transactions[0], spend([block.transactions[0].outpoint(0)], [1])]
    )
    node = HeaderNode(greedy.header, TIP)
    with pytest.raises(ValidationError, match="premature-spend-of-coinbase, .* depth 0"):
        connect_block(greedy, node, {}.get, None, PARAMS)


def test_fees_may_reach_the_limit():
    transactions = [spend([P1], [0]), spend([P2], [0])]
    result = _connect(transactions, {P1: _coin(MAX_MONEY - 1), P2: _coin(1)})
    assert result.fees == MAX_MONEY


# -- relative locks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sequence", "version", "coin_height", "is_right"),
    [
        (9, 2, 1, True),
        (10, 2, 1, False),
        (10, 1, 1, True),  # version 1 knows no relative locks
        (10, -1, 1, False),  # the version counts as unsigned
        (10 | 1 << 31, 2, 1, True),
        # Blocks are 600 s apart; the parent's median is block 5's time, the coin's is genesis'.
        (1 << 22 | 5, 2, 1, True),  # 2560 s
        (1 << 22 | 6, 2, 1, False),  # 3072 s
    ],
)
def test_relative_locks(sequence, version, coin_height, is_right):
    tx = spend([P1], [1], sequence=sequence, version=version)
    coins = {P1: _coin(5, height=coin_height)}
    if is_right:
        assert _connect([tx], coins).consumed == [P1]
        return
    with pytest.raises(ValidationError, match="bad-txns-nonfinal, contains a non-BIP68-final tx"):
        _connect([tx], coins)
    before = replace(PARAMS, activation=replace(PARAMS.activation, csv=11))
    assert _connect([tx], coins, params=before).consumed == [P1]


# -- signature operations ---------------------------------------------------------------------


def test_the_cost_of_sigops_is_limited():
    """Legacy ones cost 4, those of segwit 1: 80,000 in all."""
    script = b"\x00\x20" + bytes(32)
    coins = {P1: _coin(5), P2: _coin(5, script=script)}
    legacy = spend([P1], [TxOut(0, b"\xac" * 9_000), TxOut(0, b"\xac" * 9_000)])
    for count, is_right in ((8_000, True), (8_001, False)):
        segwit = with_witness(spend([P2], [1]), [b"\xac" * count])
        if is_right:
            _connect([legacy, segwit], coins)
        else:
            with pytest.raises(ValidationError, match="bad-blk-sigops, too many sigops"):
                _connect([legacy, segwit], coins)


def test_the_coinbase_counts_too():
    coinbase = make_coinbase(10, [TxOut(0, b"\xac" * 10_000), TxOut(0, b"\xac" * 10_001)])
    with pytest.raises(ValidationError, match="bad-blk-sigops"):
        _connect([], coinbase=coinbase)


# -- scripts ----------------------------------------------------------------------------------


class Refusing:
    def add(self, tx, coins, flags):
        raise ValidationError("script")


def test_what_the_sink_refuses_is_refused():
    with pytest.raises(ValidationError, match="script"):
        _connect([spend([P1], [1])], {P1: _coin(5)}, sink=Refusing())
    _connect([spend([P1], [1])], {P1: _coin(5)}, sink=None)


# -- repeated ids (BIP30) ---------------------------------------------------------------------

OLD = replace(
    regtest(),
    coinbase_maturity=2,
    activation=Activation(bip34=1000, bip65=2000, bip66=2000, csv=2000, segwit=2000),
    bip34_hash=bytes(32),
)
FREE = make_coinbase(0, [TxOut(SUBSIDY, ANYONE), TxOut(0, b"\x6a")], script_sig=b"same")


def test_an_id_must_not_repeat_while_unspent():
    parent = _tip(5, OLD)
    held = {FREE.outpoint(0): _coin(SUBSIDY, is_coinbase=True)}
    assert _connect([], parent=parent, params=OLD, coinbase=FREE).created
    with pytest.raises(ValidationError) as caught:
        _connect([], held, parent=parent, params=OLD, coinbase=FREE)
    assert str(caught.value) == "bad-txns-BIP30, tried to overwrite transaction"


def test_a_repeated_id_is_told_before_a_missing_input():
    held = {FREE.outpoint(0): _coin(SUBSIDY, is_coinbase=True)}
    with pytest.raises(ValidationError, match="bad-txns-BIP30"):
        _connect([spend([P1], [1])], held, parent=_tip(5, OLD), params=OLD, coinbase=FREE)


def test_the_two_exceptions_overwrite_the_older_coin():
    parent = _tip(5, OLD)
    block = make_block(parent, OLD, coinbase=FREE)
    node = HeaderNode(block.header, parent)
    held = {FREE.outpoint(0): _coin(SUBSIDY, is_coinbase=True)}
    params = replace(OLD, bip30_exceptions=frozenset({(6, block.hash)}))
    result = connect_block(block, node, held.get, None, params)
    assert result.consumed == [FREE.outpoint(0)]
    assert result.created == {FREE.outpoint(0): _coin(SUBSIDY, height=6, is_coinbase=True)}
    other = replace(OLD, bip30_exceptions=frozenset({(7, block.hash)}))
    with pytest.raises(ValidationError, match="bad-txns-BIP30"):
        connect_block(block, node, held.get, None, other)


def _node_at(height, block_hash=None):
    """A node that pretends to stand at `height`."""
    root = HeaderNode(bitcoin().genesis.header, None)
    header = BlockHeader.build(4, root.hash, bytes(32), root.header.time + 1, 0x1D00FFFF, 0)
    node = HeaderNode(header, root)
    node.height = height
    node.hash = block_hash or node.hash
    return node


@pytest.mark.parametrize(
    ("height", "expected"),
    [(1, True), (227_930, True), (227_931, True), (1_983_702, True), (2_000_000, True)],
)
def test_where_repeats_are_looked_for(height, expected):
    assert must_check_repeats(_node_at(height), bitcoin()) is expected


def test_repeats_are_not_looked_for_in_the_exceptions():
    for height, block_hash in bitcoin().bip30_exceptions:
        assert not must_check_repeats(_node_at(height, block_hash), bitcoin())
        assert must_check_repeats(_node_at(height + 1, block_hash), bitcoin())
        assert must_check_repeats(_node_at(height), bitcoin())


def test_heights_in_coinbases_make_ids_unique_on_the_branch_that_has_bip34s_block():
    nodes = [HeaderNode(regtest().genesis.header, None)]
    for step in range(8):
        header = BlockHeader.build(4, nodes[-1].hash, bytes(32), 2**31 + step, 0x207FFFFF, 0)
        nodes.append(HeaderNode(header, nodes[-1]))
    activation = replace(OLD.activation, bip34=5)
    on_branch = replace(OLD, activation=activation, bip34_hash=nodes[5].hash)
    elsewhere = replace(OLD, activation=activation, bip34_hash=b"?" * 32)
    unnamed = replace(OLD, activation=activation, bip34_hash=None)
    assert [must_check_repeats(node, on_branch) for node in nodes[4:8]] == [
        True,
        True,
        False,
        False,
    ]
    assert all(must_check_repeats(node, elsewhere) for node in nodes)
    assert all(must_check_repeats(node, unnamed) for node in nodes)


def test_where_bip34_holds_from_the_first_block_no_id_can_repeat():
    assert not must_check_repeats(_tip(3), PARAMS)
    assert not must_check_repeats(_node_at(1_983_702), PARAMS)
    later = replace(PARAMS, activation=replace(PARAMS.activation, bip34=2))
    assert must_check_repeats(_tip(1), later)


# -- undo -------------------------------------------------------------------------------------


def test_undoing_a_block():
    first = spend([P1, P2], [3, TxOut(1, b"\x6a"), 4])
    second = spend([first.outpoint(0), P3], [2])
    coins = {P1: _coin(5), P2: _coin(6, height=2), P3: _coin(7, is_coinbase=True)}
    block = make_block(TIP, PARAMS, [first, second])
    result = connect_block(block, HeaderNode(block.header, TIP), coins.get, None, PARAMS)
    removed, restored = undone_coins(block, result.spent)
    assert restored == coins
    assert removed == [
        block.transactions[0].outpoint(0),
        first.outpoint(0),
        first.outpoint(2),
        second.outpoint(0),
    ]


@pytest.mark.parametrize("spent", [(), ((),), ((_coin(1), _coin(1)),), ((_coin(1),), (_coin(1),))])
def test_undo_data_of_another_block_is_noticed(spent):
    block = make_block(TIP, PARAMS, [spend([P1], [1])])
    with pytest.raises(ValueError, match="zip"):
        undone_coins(block, spent)


def test_the_form_of_undo_data():
    spent = ((Coin(5, b"\x51", 7, True), Coin(2**63 - 1, b"", 2**31 - 1, False)), ())
    data = serialize_undo(spent)
    assert data.hex() == ("02020f00000005000000000000000151feffffffffffffffffffff7f0000")
    assert undo_from_bytes(data) == spent
    assert serialize_undo(()) == b"\x00"
    assert undo_from_bytes(b"\x00") == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"\x01", b"\x00\x00", b"\x01\x01" + bytes(13), compact_size(2**25), b"\xfd\x01\x00"],
)
def test_undo_data_that_is_none(data):
    if data == b"\x01\x01" + bytes(13):  # one coin without script is whole
        assert undo_from_bytes(data) == ((Coin(0, b"", 0, False),),)
        data = data[:-1]
    with pytest.raises(ParseError):
        undo_from_bytes(data)
