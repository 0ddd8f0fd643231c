"""Sending: what goes out, what is refused, and what a refusal leaves behind."""

import pytest

from misocoin.errors import (
    AddressError,
    AmountError,
    InsufficientFunds,
    ValidationError,
    WalletError,
)
from misocoin.policy.feerate import FeeRate
from misocoin.policy.settings import MempoolLimits
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script.signing import sign_transaction
from misocoin.wallet.spending import build_payment
from tests.unit.wallet.rig import COIN, MATURITY, NOBODY, OTHER, RATE, SUBSIDY, Rig


def rich(blocks: int = 3, limits: MempoolLimits | None = None) -> Rig:
    """A wallet with so many coins that can be spent."""
    rig = Rig(limits=limits).start()
    rig.mine(blocks)
    rig.mine(MATURITY, script=NOBODY)
    return rig


def state(rig: Rig) -> tuple[object, object, int]:
    wallet = rig.wallet
    return wallet.balance(), sorted(wallet.coins()), len(wallet.history())


def test_the_rate_is_paid() -> None:
    rig = rich()
    for rate in (1_000, 1_001, 2_500, 100_000):
        tx = rig.send(COIN, rate=FeeRate(rate))
        entry = rig.pool.mempool.get(tx.txid)
        assert entry is not None
        due = -(-rate * entry.vsize // 1_000)
        assert due <= entry.fee <= due + -(-rate * len(tx.vin) // 1_000)


@pytest.mark.parametrize(
    ("amount", "error", "match"),
    [
        (0, AmountError, "more than zero"),
        (-COIN, AmountError, "-1.00000000 cannot be sent"),
        (21_000_000 * COIN + 1, AmountError, "more than there will ever be"),
        (293, WalletError, "too small to send: at least 0.00000294"),
        (21_000_000 * COIN, InsufficientFunds, "Insufficient funds"),
        (3 * SUBSIDY, InsufficientFunds, "150.00000000 can be spent"),
    ],
)
def test_amounts_that_cannot_be_sent(amount: int, error: type[Exception], match: str) -> None:
    rig = rich()
    before = state(rig)
    with pytest.raises(error, match=match):
        rig.send(amount)
    assert state(rig) == before


@pytest.mark.parametrize(
    "address", ["", "nonsense", OTHER[:-1] + "x", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"]
)
def test_addresses_that_are_none(address: str) -> None:
    rig = rich()
    before = state(rig)
    with pytest.raises(AddressError):
        rig.send(COIN, address)
    assert state(rig) == before


def test_an_address_as_forty_hex_digits() -> None:
    rig = rich()
    tx = rig.send(COIN, "00" * 20)
    assert (COIN, NOBODY) in tx.vout


def test_all_but_the_fee_can_be_sent() -> None:
    rig = rich(1)
    tx = rig.send(SUBSIDY - 220, rate=FeeRate(2_000))
    assert len(tx.vout) == 1
    assert rig.wallet.balance().available == 0
    with pytest.raises(InsufficientFunds, match=r"0\.00000000 can be spent"):
        rig.send(1_000)


def test_the_error_says_what_is_still_coming() -> None:
    rig = rich(1)
    rig.mine(2)
    with pytest.raises(InsufficientFunds) as caught:
        rig.send(60 * COIN)
    assert str(caught.value) == (
        "Insufficient funds: 60.00000000 and a fee of 0.00000220 are needed, 50.00000000 can be "
        "spent; 100.00000000 immature (mined less than 5 blocks ago)"
    )


def test_a_refused_payment_is_forgotten() -> None:
    rig = rich()
    before = state(rig)

    def refuse(_tx: Transaction) -> None:
        raise ValidationError("no-reason")

    with pytest.raises(ValidationError, match="no-reason"):
        rig.wallet.send(OTHER, COIN, RATE, refuse)
    assert state(rig) == before
    rig.send(COIN)


def test_a_payment_does_not_burn_its_money() -> None:
    rig = rich()
    before = state(rig)
    with pytest.raises(WalletError, match="fee of"):
        rig.send(COIN, rate=FeeRate(COIN))
    with pytest.raises(WalletError, match="fee rate of"):
        rig.send(COIN, rate=FeeRate(COIN + 1))
    assert state(rig) == before


def test_a_rate_below_the_mempools_is_its_refusal() -> None:
    rig = rich()
    before = state(rig)
    with pytest.raises(ValidationError, match="min relay fee not met"):
        rig.send(COIN, rate=FeeRate(500))
    assert state(rig) == before


def test_confirmed_coins_go_first() -> None:
    rig = rich(3)
    first = rig.send(COIN)
    second = rig.send(COIN)
    third = rig.send(COIN)
    spent = [txin.prevout for tx in (first, second, third) for txin in tx.vin]
    assert not {point[:32] for point in spent} & {first.txid, second.txid, third.txid}
    fourth = rig.send(COIN)  # nothing is left but change
    assert {txin.prevout[:32] for txin in fourth.vin} <= {first.txid, second.txid, third.txid}


def test_change_is_spent_again_until_the_chain_is_too_long() -> None:
    rig = rich(1)
    for _ in range(25):
        rig.send(COIN)
    before = state(rig)
    with pytest.raises(
        WalletError, match=r"behind too many payments of ours \(too-long-mempool-chain"
    ) as caught:
        rig.send(COIN)
    assert not isinstance(caught.value, InsufficientFunds)
    assert state(rig) == before
    rig.mine(script=NOBODY)
    rig.send(COIN)


def test_change_behind_a_long_chain_is_left_for_other_change() -> None:
    rig = rich(2, MempoolLimits(ancestor_count=2, descendant_count=2))
    of_forty = rig.send(10 * COIN)
    rig.send(20 * COIN)
    of_twenty_five = rig.send(5 * COIN)  # spends the change of 30
    assert len(rig.pool.mempool.ancestors(of_twenty_five.txid)) == 1
    tx = rig.send(5 * COIN)  # 25 would do, but waits behind two payments
    assert [txin.prevout[:32] for txin in tx.vin] == [of_forty.txid]


def test_each_change_is_tried_once_when_all_hang_too_long() -> None:
    limits = MempoolLimits(ancestor_count=2, descendant_count=2)
    rig = rich(2, limits)
    rig.send(45 * COIN)
    rig.send(45 * COIN)
    submitted: list[Transaction] = []

    def submit(tx: Transaction) -> None:
        submitted.append(tx)
        rig.pool.submit(tx)

    rig.wallet.send(OTHER, COIN, RATE, submit)
    rig.wallet.send(OTHER, COIN, RATE, submit)
    refused = len(submitted)
    with pytest.raises(WalletError, match="behind too many"):
        rig.wallet.send(OTHER, COIN, RATE, submit)
    tried = [{txin.prevout for txin in tx.vin} for tx in submitted[refused:]]
    assert len(tried) == 2
    assert not tried[0] & tried[1]


def test_another_refusal_on_the_way_is_told_as_it_is() -> None:
    rig = rich(2)
    rig.send(45 * COIN)
    rig.send(45 * COIN)
    answers = iter(["too-long-mempool-chain", "min relay fee not met"])

    def refuse(_tx: Transaction) -> None:
        raise ValidationError(next(answers))

    with pytest.raises(ValidationError, match="min relay fee not met"):
        rig.wallet.send(OTHER, COIN, RATE, refuse)


def test_a_confirmed_payment_that_is_refused_is_not_tried_again() -> None:
    rig = rich(2)
    tries: list[Transaction] = []

    def refuse(tx: Transaction) -> None:
        tries.append(tx)
        raise ValidationError("too-long-mempool-chain")

    with pytest.raises(ValidationError, match="too-long"):
        rig.wallet.send(OTHER, COIN, RATE, refuse)
    assert len(tries) == 1


def test_too_many_coins_for_one_payment() -> None:
    rig = Rig().start()
    script = rig.wallet.script
    rig.mine()
    rig.mine(MATURITY, script=NOBODY)
    wallet = rig.wallet
    # 1,600 coins of 0.02 to oneself, in payments of 800 outputs.
    for _ in range(2):
        payment = build_payment(
            [TxOut(2_000_000, script)] * 800,
            wallet.coins(),
            wallet.keys,
            lambda _script: 272,
            script,
            RATE,
            rig.chain.height,
        )
        rig.pool.submit(payment.tx)
        rig.mine(script=NOBODY)
    small = [coin for coin in wallet.coins() if coin.value == 2_000_000]
    assert len(small) == 1_600
    rig.send(17 * COIN)
    rig.mine(script=NOBODY)
    with pytest.raises(WalletError, match=r"at most (\d+\.\d{8}) can be sent at once") as caught:
        rig.send(31 * COIN + COIN // 2)
    most = int(str(caught.value).split("at most ")[1].split()[0].replace(".", ""))
    tx = rig.send(most)
    assert len(tx.vin) > 1_400
    assert tx.weight <= 400_000
    rig.mine(script=NOBODY)
    assert wallet.find(tx.txid).height == rig.chain.height


def test_a_raw_transaction_that_forgot_its_change_is_refused() -> None:
    rig = rich()
    forgetful = build_payment(
        [TxOut(COIN, NOBODY)],
        rig.wallet.coins()[:1],
        rig.wallet.keys,
        lambda _script: 272,
        NOBODY,
        FeeRate(1_000),
        rig.chain.tip.height,
    ).tx
    kept = [txout for txout in forgetful.vout if txout.value == COIN]
    tx = sign_transaction(
        Transaction.build(2, forgetful.vin, kept),
        [TxOut(c.value, c.script_pubkey) for c in rig.wallet.coins()[:1]],
        rig.wallet.keys,
    )
    with pytest.raises(ValidationError, match="max-fee-exceeded"):
        rig.pool.submit(tx, FeeRate(10_000_000))
    assert tx.txid not in rig.pool.mempool
    rig.pool.submit(tx)
