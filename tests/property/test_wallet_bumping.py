"""Raising a fee: what holds for every payment, whatever it pays and from what."""

from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import InsufficientFunds
from misocoin.policy.feerate import FeeRate, calculate_fee
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.wallet.bumping import STEP, Offer, plan_bump
from misocoin.wallet.ledger import UNCONFIRMED, OwnCoin
from tests.builders import make_outpoint

OWN = b"\x00\x14" + b"\x01" * 20
THEIRS = b"\x00\x14" + b"\x02" * 20
INPUT_WEIGHT = 272
DUST = 294

values = st.integers(1_000, 200_000)


def coin(number: int, value: int, *, is_mined: bool = True) -> OwnCoin:
    height = 7 if is_mined else UNCONFIRMED
    return OwnCoin(make_outpoint(number), value, OWN, height, False, True)


def least_vsize(tx: Transaction) -> int:
    """Of the signed payment, its signatures as large as they can be."""
    bare = Transaction.build(tx.version, (), tx.vout, tx.locktime)
    return (bare.weight + 2 + INPUT_WEIGHT * len(tx.vin) + 3) // 4


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    spent = [TxOut(draw(values), OWN) for _ in range(draw(st.integers(1, 4)))]
    total = sum(output.value for output in spent)
    fee = draw(st.integers(200, min(total // 2, 5_000)))
    vout = [TxOut(total - fee, THEIRS)]
    change = None
    if total - fee > 3 * DUST and draw(st.booleans()):
        back = draw(st.integers(DUST, total - fee - DUST))
        change = draw(st.integers(0, 1))
        vout = [TxOut(total - fee - back, THEIRS)]
        vout.insert(change, TxOut(back, OWN))
    vin = [TxIn(make_outpoint(number)) for number in range(len(spent))]
    return Offer(Transaction.build(2, vin, vout), tuple(spent), change)


@given(offers(), st.lists(st.tuples(values, st.booleans()), max_size=4), st.data())
def test_a_bump(offer: Offer, further: list[tuple[int, bool]], data: st.DataObject) -> None:
    more = data.draw(st.none() | st.integers(0, 200_000))
    rate = None if more is None else FeeRate(offer.rate + STEP + more)
    coins = [coin(100 + n, value, is_mined=mined) for n, (value, mined) in enumerate(further)]
    usable = [each for each in coins if each.height != UNCONFIRMED]
    try:
        plan = plan_bump(offer, coins, lambda _script: INPUT_WEIGHT, OWN, rate, 9)
    except InsufficientFunds:
        # Nothing has helped, all usable coins together least of all.
        total = sum(output.value for output in offer.spent) + sum(each.value for each in usable)
        paid = [o for place, o in enumerate(offer.tx.vout) if place != offer.change]
        vin = [TxIn(make_outpoint(n)) for n in range(len(offer.spent) + len(usable))]
        size = least_vsize(Transaction.build(2, vin, paid))
        due = max(
            calculate_fee(rate or offer.rate + STEP, size), offer.fee + calculate_fee(STEP, size)
        )
        assert total - sum(o.value for o in paid) < due
        return
    tx, size = plan.tx, least_vsize(plan.tx)
    # It takes the old one's place: the same coins, more for each byte, and enough on top.
    assert {txin.prevout for txin in offer.tx.vin} <= {txin.prevout for txin in tx.vin}
    assert plan.fee >= calculate_fee(rate or FeeRate(offer.rate + STEP), size)
    assert plan.fee >= offer.fee + calculate_fee(STEP, size)
    # The same to the same, and nothing is lost.
    theirs = [output for output in tx.vout if output.script_pubkey == THEIRS]
    assert theirs == [output for output in offer.tx.vout if output.script_pubkey == THEIRS]
    assert sum(o.value for o in plan.spent) == sum(o.value for o in tx.vout) + plan.fee
    assert all(output.value >= DUST for output in tx.vout)
    assert plan.change == sum(o.value for o in tx.vout if o.script_pubkey == OWN)
    # No more is paid than asked, but where change would be dust.
    if plan.change:
        due = max(
            calculate_fee(rate or offer.rate + STEP, size), offer.fee + calculate_fee(STEP, size)
        )
        assert plan.fee == due
    # Further coins only where they are needed, and none that waits for a block.
    added = [txin.prevout for txin in tx.vin][len(offer.spent) :]
    assert set(added) <= {each.point for each in usable}
