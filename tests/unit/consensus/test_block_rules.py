from dataclasses import replace

import pytest

from misocoin.consensus.block_rules import (
    HeaderContext,
    calculate_min_time,
    calculate_witness_commitment,
    check_block,
    check_block_context,
    check_header,
    check_header_context,
    witness_commitment_index,
)
from misocoin.consensus.tree import HeaderNode
from misocoin.crypto.hashes import sha256d
from misocoin.errors import RejectCode, ValidationError
from misocoin.params import Activation, bitcoin, miso, regtest
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut
from tests.builders import (
    ANYONE,
    make_block,
    make_coinbase,
    make_outpoint,
    merkle_root,
    mine,
    spend,
    with_commitment,
    with_header,
    with_transactions,
    with_witness,
)

PARAMS = regtest()
GENESIS = HeaderNode(PARAMS.genesis.header, None)
MAX_MONEY = 2_100_000_000_000_000


def _payment(number=1, outputs=(1,), **options):
    return spend([make_outpoint(number)], outputs, **options)


def _reason_of(check, *args):
    with pytest.raises(ValidationError) as caught:
        check(*args)
    return caught.value.reason, caught.value.mutated


# -- headers ----------------------------------------------------------------------------------


def test_proof_of_work():
    check_header(PARAMS.genesis.header, PARAMS)
    check_header(bitcoin().genesis.header, bitcoin())
    failing = mine(make_block(GENESIS, PARAMS).header, fail=True)
    assert _reason_of(check_header, failing, PARAMS) == ("high-hash", False)
    # regtest's work is none on the main network, whatever the hash
    assert _reason_of(check_header, PARAMS.genesis.header, bitcoin()) == ("high-hash", False)


def _header(**changes):
    fields = {
        "version": 4, "prev_hash": bytes(32), "merkle_root": bytes(32),
        "time": 5000, "bits": 0x207FFFFF, "nonce": 0,
    }  # fmt: skip
    return BlockHeader.build(**{**fields, **changes})


CONTEXT = HeaderContext(height=10, bits=0x207FFFFF, median_time_past=4000, parent_time=4500)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (_header(bits=0x207FFFFE), "bad-diffbits"),
        (_header(time=4000), "time-too-old"),
        (_header(time=3000), "time-too-old"),
        (_header(time=12_201), "time-too-new"),
        (_header(version=3), "bad-version(0x00000003)"),
        (_header(version=0), "bad-version(0x00000000)"),
        (_header(version=-1), "bad-version(0xffffffff)"),
        # the first rule broken is the one that is told
        (_header(version=1, time=1, bits=1), "bad-diffbits"),
        (_header(version=1, time=1), "time-too-old"),
        (_header(version=1, time=10**9), "time-too-new"),
    ],
)
def test_headers_that_do_not_fit_their_place(header, reason):
    assert _reason_of(check_header_context, header, CONTEXT, 5000, PARAMS) == (reason, False)


@pytest.mark.parametrize("time", [4001, 5000, 12_200])
def test_times_that_fit(time):
    check_header_context(_header(time=time), CONTEXT, 5000, PARAMS)


def test_how_far_ahead_a_time_may_be_is_the_networks_choice():
    params = replace(PARAMS, max_future=600)
    check_header_context(_header(time=5600), CONTEXT, 5000, params)
    assert _reason_of(check_header_context, _header(time=5601), CONTEXT, 5000, params) == (
        "time-too-new",
        False,
    )


def test_on_miso_time_steps_back_by_ten_minutes_at_most():
    context = CONTEXT._replace(bits=0x1E0FFFFF, parent_time=9000)
    check_header_context(_header(time=8400, bits=0x1E0FFFFF), context, 9000, miso())
    header = _header(time=8399, bits=0x1E0FFFFF)
    assert _reason_of(check_header_context, header, context, 9000, miso()) == (
        "time-timewarp-attack",
        False,
    )


@pytest.mark.parametrize(
    ("params", "median_time", "parent_time", "least"),
    [
        (regtest(), 4000, 90_000, 4001),
        (bitcoin(), 4000, 90_000, 4001),
        (miso(), 4000, 4600, 4001),
        (miso(), 4000, 4601, 4001),
        (miso(), 4000, 4602, 4002),
        (miso(), 4000, 90_000, 89_400),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_earliest_time(params, median_time, parent_time, least):
    assert calculate_min_time(median_time, parent_time, params) == least


@pytest.mark.parametrize(
    ("height", "least_version"),
    [(1, 0), (99, 0), (100, 2), (199, 2), (200, 3), (299, 3), (300, 4), (10**6, 4)],
)
def test_versions_by_height(height, least_version):
    """BIP34, BIP66 and BIP65 each retired a version."""
    params = replace(
        PARAMS, activation=Activation(bip34=100, bip66=200, bip65=300, csv=1, segwit=1)
    )
    context = CONTEXT._replace(height=height)
    for version in range(6):
        header = _header(version=version)
        if version >= least_version:
            check_header_context(header, context, 5000, params)
        else:
            with pytest.raises(ValidationError, match="bad-version") as caught:
                check_header_context(header, context, 5000, params)
            assert caught.value.code is RejectCode.OBSOLETE


# -- blocks alone -----------------------------------------------------------------------------


def test_a_right_block():
    check_block(make_block(GENESIS, PARAMS), PARAMS)
    check_block(make_block(GENESIS, PARAMS, [_payment(n) for n in range(1, 8)]), PARAMS)
    check_block(PARAMS.genesis, PARAMS)
    check_block(bitcoin().genesis, bitcoin())


def _coinbase(**options):
    return make_coinbase(1, [50 * 10**8], **options)


BLOCK = make_block(GENESIS, PARAMS, [_payment(1), _payment(2)])


def _unrooted(transactions):
    """A block whose header commits to other transactions."""
    return Block(BLOCK.header, tuple(transactions))


def _sigops(count):
    return TxOut(0, b"\xac" * count)


@pytest.mark.parametrize(
    ("block", "reason", "mutated"),
    [
        pytest.param(
            Block(mine(BLOCK.header, fail=True), BLOCK.transactions), "high-hash", False, id="pow"
        ),
        pytest.param(
            _unrooted(BLOCK.transactions[:2]), "bad-txnmrklroot", True, id="a transaction less"
        ),
        pytest.param(
            _unrooted([*BLOCK.transactions, BLOCK.transactions[2]]),
            "bad-txns-duplicate",
            True,
            id="CVE-2012-2459: the last one twice",
        ),
        pytest.param(with_transactions(BLOCK, []), "bad-blk-length", False, id="empty"),
        pytest.param(
            with_transactions(
                BLOCK,
                [_coinbase(), *[_payment(n, [TxOut(0, bytes(499_900))]) for n in (1, 2)]],
            ),
            "bad-blk-length",
            False,
            id="over a million bytes",
        ),
        pytest.param(
            with_transactions(BLOCK, [_payment(1), _payment(2)]),
            "bad-cb-missing",
            False,
            id="no coinbase",
        ),
        pytest.param(
            with_transactions(BLOCK, [_payment(1), _coinbase()]),
            "bad-cb-missing",
            False,
            id="coinbase second",
        ),
        pytest.param(
            with_transactions(BLOCK, [_coinbase(), _payment(1), _coinbase(tag=b"two")]),
            "bad-cb-multiple",
            False,
            id="two coinbases",
        ),
        pytest.param(
            with_transactions(BLOCK, [_coinbase(), _coinbase(tag=b"two"), _payment(1)]),
            "bad-cb-multiple",
            False,
            id="one beside the other",
        ),
        pytest.param(
            with_transactions(BLOCK, [_coinbase(), _payment(1, [])]),
            "bad-txns-vout-empty",
            False,
            id="a bad transaction",
        ),
        pytest.param(
            with_transactions(BLOCK, [_coinbase(script_sig=b"\x51")]),
            "bad-cb-length",
            False,
            id="a bad coinbase",
        ),
        pytest.param(
            with_transactions(BLOCK, [_coinbase(), _payment(1, [_sigops(20_000), _sigops(1)])]),
            "bad-blk-sigops",
            False,
            id="20,001 sigops",
        ),
    ],
)
def test_blocks_that_are_wrong_alone(block, reason, mutated):
    assert _reason_of(check_block, block, PARAMS) == (reason, mutated)


def test_a_bad_transaction_is_named():
    bad = _payment(1, [-1])
    with pytest.raises(ValidationError) as caught:
        check_block(with_transactions(BLOCK, [_coinbase(), bad]), PARAMS)
    assert caught.value.reason == "bad-txns-vout-negative"
    assert bad.txid_hex in caught.value.detail


def test_limits_that_are_just_met():
    sigops = with_transactions(BLOCK, [_coinbase(), _payment(1, [_sigops(20_000)])])
    check_block(sigops, PARAMS)
    small = with_transactions(BLOCK, [_coinbase(), _payment(1, [TxOut(0, bytes(70_000))])])
    room = 1_000_000 - small.stripped_size
    full = with_transactions(BLOCK, [_coinbase(), _payment(1, [TxOut(0, bytes(70_000 + room))])])
    assert full.stripped_size == 1_000_000
    check_block(full, PARAMS)
    over = with_transactions(BLOCK, [_coinbase(), _payment(1, [TxOut(0, bytes(70_001 + room))])])
    assert _reason_of(check_block, over, PARAMS) == ("bad-blk-length", False)


# -- blocks in their place --------------------------------------------------------------------


def _context(block, height=1, median_time=GENESIS.median_time_past, params=PARAMS):
    check_block_context(block, height, median_time, params)


def test_a_block_in_its_place():
    _context(make_block(GENESIS, PARAMS))
    _context(make_block(GENESIS, PARAMS, [with_witness(_payment(), [b"w"])]))


def test_lock_times_are_held_against_height_and_median_time():
    median = GENESIS.median_time_past
    for locktime, is_right in ((0, True), (1, False), (median - 1, True), (median, False)):
        block = make_block(GENESIS, PARAMS, [_payment(locktime=locktime, sequence=0)])
        if is_right:
            _context(block)
        else:
            assert _reason_of(_context, block) == ("bad-txns-nonfinal", False)


def test_before_bip113_the_blocks_own_time_counts():
    params = replace(PARAMS, activation=replace(PARAMS.activation, csv=2))
    block = make_block(
        GENESIS, PARAMS, [_payment(locktime=GENESIS.median_time_past + 599, sequence=0)]
    )
    assert block.header.time == GENESIS.median_time_past + 600
    _context(block, params=params)
    assert _reason_of(_context, block) == ("bad-txns-nonfinal", False)
    assert _reason_of(_context, with_header(block, time=block.header.time - 1), 1, 0, params) == (
        "bad-txns-nonfinal",
        False,
    )


@pytest.mark.parametrize(
    ("height", "script_sig", "is_right"),
    [
        (1, "5100", True),
        (1, "010100", False),
        (1, "5200", False),
        (16, "6000", True),
        (17, "0111", True),
        (17, "6100", False),
        (127, "017f", True),
        (128, "02800000", True),
        (128, "018000", False),
        (255, "02ff0000", True),
        (256, "02000100", True),
        (32_768, "03008000", True),
        (227_931, "035b7a03", True),
        (227_931, "035b7a", False),
        (227_931, "035b7a04", False),
        (8_388_608, "0400008000", True),
    ],
)
def test_the_coinbase_begins_with_the_height(height, script_sig, is_right):
    coinbase = make_coinbase(height, [1], script_sig=bytes.fromhex(script_sig))
    block = with_transactions(BLOCK, [coinbase])
    if is_right:
        _context(block, height)
    else:
        assert _reason_of(_context, block, height) == ("bad-cb-height", False)


def test_before_bip34_the_coinbase_is_free():
    params = replace(PARAMS, activation=replace(PARAMS.activation, bip34=2))
    block = with_transactions(BLOCK, [make_coinbase(1, [1], script_sig=b"free")])
    _context(block, 1, params=params)
    assert _reason_of(_context, block, 2, GENESIS.median_time_past, params) == (
        "bad-cb-height",
        False,
    )


# -- witnesses --------------------------------------------------------------------------------

RESERVED = b"r" * 32
SEGWIT_TX = with_witness(_payment(), [b"w"])
OTHER_WITNESS = with_witness(_payment(), [b"x"])
COMMITTED = with_commitment(_coinbase(), [SEGWIT_TX], RESERVED)


def _with_stack(coinbase, *stack):
    txin = coinbase.vin[0]._replace(witness=stack)
    return Transaction.build(coinbase.version, [txin], coinbase.vout)


def _with_outputs(coinbase, *outputs):
    return Transaction.build(coinbase.version, coinbase.vin, outputs)


@pytest.mark.parametrize(
    ("transactions", "reason"),
    [
        pytest.param([_coinbase(), SEGWIT_TX], "unexpected-witness", id="no commitment"),
        pytest.param(
            [_with_stack(_coinbase(), RESERVED)], "unexpected-witness", id="witness in the coinbase"
        ),
        pytest.param(
            [_with_stack(COMMITTED), SEGWIT_TX], "bad-witness-nonce-size", id="no reserved value"
        ),
        pytest.param(
            [_with_stack(COMMITTED, RESERVED, b""), SEGWIT_TX],
            "bad-witness-nonce-size",
            id="two values",
        ),
        pytest.param(
            [_with_stack(COMMITTED, RESERVED[:31]), SEGWIT_TX],
            "bad-witness-nonce-size",
            id="31 bytes",
        ),
        pytest.param(
            [_with_stack(COMMITTED, bytes(32)), SEGWIT_TX],
            "bad-witness-merkle-match",
            id="another reserved value",
        ),
        pytest.param([COMMITTED, OTHER_WITNESS], "bad-witness-merkle-match", id="another witness"),
        pytest.param([COMMITTED, _payment()], "bad-witness-merkle-match", id="witness taken off"),
        pytest.param(
            [
                _with_outputs(COMMITTED, *COMMITTED.vout, TxOut(0, COMMITTED.vout[1][1][:6] * 7)),
                SEGWIT_TX,
            ],
            "bad-witness-merkle-match",
            id="the last commitment counts",
        ),
    ],
)
def test_witness_commitments_that_do_not_hold(transactions, reason):
    """All of them may be a right block in wrong clothes: the header is not to blame."""
    assert _reason_of(_context, with_transactions(BLOCK, transactions)) == (reason, True)


def test_a_commitment_may_stand_anywhere_and_be_longer():
    value, commitment = COMMITTED.vout
    longer = TxOut(5, commitment.script_pubkey + b"more")
    short = TxOut(0, commitment.script_pubkey[:37])
    coinbase = _with_outputs(COMMITTED, short, longer, value, short)
    _context(with_transactions(BLOCK, [coinbase, SEGWIT_TX]))
    assert witness_commitment_index(coinbase) == 1
    assert witness_commitment_index(_with_outputs(COMMITTED, commitment, longer, value)) == 1
    assert witness_commitment_index(_with_outputs(COMMITTED, commitment, value)) == 0
    assert witness_commitment_index(_with_outputs(COMMITTED, value, value, commitment)) == 2
    assert witness_commitment_index(_coinbase()) is None
    assert witness_commitment_index(_with_outputs(COMMITTED, short)) is None


def test_a_commitment_without_any_witness_must_hold_too():
    coinbase = with_commitment(_coinbase(), [], RESERVED)
    _context(with_transactions(BLOCK, [coinbase]))
    assert _reason_of(_context, with_transactions(BLOCK, [coinbase, _payment()])) == (
        "bad-witness-merkle-match",
        True,
    )


def test_the_commitment_is_over_wtxids_with_zeros_for_the_coinbase():
    expected = sha256d(sha256d(bytes(32) + SEGWIT_TX.wtxid) + RESERVED)
    assert calculate_witness_commitment((_coinbase(), SEGWIT_TX), RESERVED) == expected
    assert calculate_witness_commitment((_coinbase(),), RESERVED) == sha256d(bytes(32) + RESERVED)


def test_before_segwit_a_commitment_says_nothing_and_witnesses_are_unexpected():
    params = replace(PARAMS, activation=replace(PARAMS.activation, segwit=2))
    bogus = _with_outputs(_coinbase(), TxOut(1, COMMITTED.vout[1].script_pubkey))
    _context(with_transactions(BLOCK, [bogus, _payment()]), params=params)
    block = with_transactions(BLOCK, [COMMITTED, SEGWIT_TX])
    _context(block)
    assert _reason_of(_context, block, 1, GENESIS.median_time_past, params) == (
        "unexpected-witness",
        True,
    )


def test_weight():
    def block_with(size):
        heavy = with_witness(_payment(), [bytes(size)])
        return with_transactions(BLOCK, [with_commitment(_coinbase(), [heavy]), heavy])

    room = 4_000_000 - block_with(1_000_000).weight + 1_000_000
    full = block_with(room)
    assert full.weight == 4_000_000
    _context(full)
    assert _reason_of(_context, block_with(room + 1)) == ("bad-blk-weight", False)


def test_what_is_wrong_first_is_told():
    heavy = with_witness(_payment(locktime=7, sequence=0), [bytes(4_000_000)])
    wrong = make_coinbase(2, [1])
    late = with_transactions(BLOCK, [wrong, heavy])
    assert _reason_of(_context, late) == ("bad-txns-nonfinal", False)
    heavy = with_witness(_payment(), [bytes(4_000_000)])
    assert _reason_of(_context, with_transactions(BLOCK, [wrong, heavy])) == (
        "bad-cb-height",
        False,
    )
    assert _reason_of(_context, with_transactions(BLOCK, [_coinbase(), heavy])) == (
        "unexpected-witness",
        True,
    )


def test_a_transaction_like_a_coinbase_but_with_two_inputs_is_none():
    odd = Transaction.build(
        1, [TxIn(NULL_OUTPOINT, b"ab"), TxIn(make_outpoint(1))], [TxOut(1, ANYONE)]
    )
    block = with_transactions(BLOCK, [odd])
    assert block.header.merkle_root == merkle_root([odd])
    assert _reason_of(check_block, block, PARAMS) == ("bad-cb-missing", False)
