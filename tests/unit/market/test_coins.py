"""Coins in and out: credited when deep enough, paid exactly once whatever breaks."""

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from misocoin.errors import AddressError, AmountError, ConfigError, StoreError
from misocoin.http.errors import HttpError, RpcError
from misocoin.market.audit import audit
from misocoin.market.bank import Bank, ChainPort
from misocoin.market.chain_deposits import ChainDeposits
from misocoin.market.documents import address_request_document, withdrawal_document
from misocoin.market.errors import Malformed, NotAllowed, NotPaidFor
from misocoin.market.payments import LEAST_CHANGE, Coin, Request, plan_batch
from misocoin.market.payouts import Payouts
from misocoin.primitives.transaction import OutPoint, TxOut
from misocoin.script.address import address_from_script
from misocoin.script.templates import p2wpkh_script
from tests.unit.market.builders import BUYER, SELLER, STRANGER, Participant
from tests.unit.market.fake_node import PARAMS, FakeNode
from tests.unit.market.rig import OPERATOR, Rig

CONFIRMATIONS = 3
HOME = p2wpkh_script(b"\x77" * 20)


def address_of(script: bytes) -> str:
    address = address_from_script(script, PARAMS)
    assert address is not None
    return address


class CoinRig(Rig):
    """A market with a node."""

    def __init__(self, where="") -> None:
        super().__init__(where)
        self.node = FakeNode()
        self.attach()

    def attach(self) -> None:
        """Make the parts anew, as a restart does."""
        self.deposits = ChainDeposits(self.database, self.node, self.now, CONFIRMATIONS)
        self.payouts = Payouts(self.database, self.node, self.now)
        chain = ChainPort(self.new_address, self.node.script_of)
        self.bank = Bank(self.database, self.book, self.rules, self.now, chain)

    def new_address(self) -> str:
        self.deposits.begin()
        return self.node.new_address()

    def follow(self) -> None:
        while self.deposits.follow():
            pass

    def deposit_address(self, who: Participant, signer: Participant | None = None) -> str:
        signer = signer or who
        nonce = self.book.new_nonce()
        document = address_request_document(nonce, who.address, signer.address)
        return self.bank.request_deposit_address(
            {
                "participant": who.address,
                "signer": signer.address,
                "nonce": nonce,
                "signature": signer.sign(document),
            }
        )

    def fund(self, who: Participant, value: int) -> None:
        """Pay in and wait."""
        self.node.pay(self.deposit_address(who), value)
        self.node.mine(CONFIRMATIONS)
        self.follow()

    def withdraw(self, who: Participant, asked: str, script: bytes = HOME, **changes) -> str:
        nonce = self.book.new_nonce()
        address = changes.pop("address", address_of(script))
        document = withdrawal_document(address, asked, nonce, who.address)
        form = {
            "participant": who.address,
            "address": address,
            "amount": asked,
            "nonce": nonce,
            "signature": who.sign(document),
        }
        return self.bank.withdraw({**form, **changes})

    def check(self) -> None:
        """Audit."""
        found = audit(self.database, self.node)
        assert found.is_right, found.faults


def make_rig(where: str = "") -> CoinRig:
    """A book, where a test wants it."""
    return CoinRig(where)


@pytest.fixture
def rig():
    with closing(make_rig()) as rig:
        yield rig


# -- in ----------------------------------------------------------------------------------------


def test_a_deposit_is_credited_when_deep_enough(rig):
    address = rig.deposit_address(BUYER)
    assert rig.deposit_address(BUYER) == address
    assert rig.deposit_address(BUYER, OPERATOR) == address
    rig.node.pay(address, 50_000_000)
    for _ in range(CONFIRMATIONS - 1):
        rig.node.mine()
        rig.follow()
        assert rig.holds(BUYER) == (0, 0)
    rig.node.mine()
    rig.follow()
    assert rig.holds(BUYER) == (50_000_000, 0)
    rig.node.mine(5)
    rig.follow()
    assert rig.holds(BUYER) == (50_000_000, 0)
    rig.check()


def test_coins_of_the_market_are_held_back_from_other_payments(rig):
    address = rig.deposit_address(BUYER)
    rig.node.pay(address, 50_000_000)
    rig.node.mine()
    rig.follow()
    rig.payouts.hold()
    (point,) = rig.node.held  # before it is credited, too
    assert rig.node.coins()[point].value == 50_000_000
    rig.node.mine(CONFIRMATIONS)
    rig.follow()
    rig.withdraw(BUYER, "mBTC 200")
    rig.payouts.pay()
    rig.node.mine()
    rig.follow()
    rig.node.held.clear()
    rig.payouts.hold()
    (change,) = rig.node.held
    assert change != point


def test_what_a_coinbase_pays_is_credited_when_it_can_be_spent(rig):
    reward = TxOut(90_000_000, rig.node.script_of(rig.deposit_address(SELLER)))
    rig.fund(BUYER, 50_000_000)
    rig.node.mine(reward=reward)
    rig.node.mine(CONFIRMATIONS)
    rig.follow()
    assert rig.holds(SELLER) == (0, 0)
    rig.withdraw(BUYER, "mBTC 100")
    assert rig.payouts.pay() == 1  # not of the largest coin, which the node would refuse
    rig.node.mine(99 - CONFIRMATIONS)
    rig.follow()
    assert rig.holds(SELLER) == (90_000_000, 0)
    rig.withdraw(SELLER, "mBTC 900")
    assert rig.payouts.pay() == 1
    rig.check()


def test_each_participant_has_its_own_address(rig):
    assert rig.deposit_address(BUYER) != rig.deposit_address(SELLER)
    with pytest.raises(NotAllowed, match="only the participant"):
        rig.deposit_address(BUYER, STRANGER)


def test_a_deposit_that_leaves_the_chain_in_time_is_forgotten(rig):
    rig.node.pay(rig.deposit_address(BUYER), 50_000_000)
    rig.node.mine(CONFIRMATIONS - 1)
    rig.follow()
    rig.node.unmine(CONFIRMATIONS - 1, keep=False)
    rig.node.mine(CONFIRMATIONS + 2, salt=1)
    rig.follow()
    assert rig.holds(BUYER) == (0, 0)
    rig.check()


def test_a_deposit_that_moves_to_another_block_is_credited_once(rig):
    rig.node.pay(rig.deposit_address(BUYER), 50_000_000)
    rig.node.mine(CONFIRMATIONS - 1)
    rig.follow()
    rig.node.unmine(CONFIRMATIONS - 1)
    rig.node.mine(CONFIRMATIONS - 1, salt=1)
    rig.follow()
    assert rig.holds(BUYER) == (0, 0)
    rig.node.mine()
    rig.follow()
    assert rig.holds(BUYER) == (50_000_000, 0)
    rig.check()


def test_a_chain_replaced_below_a_credited_deposit_is_told_by_the_audit(rig):
    rig.fund(BUYER, 50_000_000)
    rig.node.unmine(CONFIRMATIONS + 0, keep=False)
    rig.node.mine(CONFIRMATIONS + 1, salt=1)
    rig.follow()
    found = audit(rig.database, rig.node)
    assert not found.is_right
    assert "in no block any more" in found.faults[0]
    assert "on the chain" in found.faults[-1]


def test_it_comes_back_with_the_chain(rig):
    rig.fund(BUYER, 50_000_000)
    rig.node.unmine(CONFIRMATIONS)
    rig.node.mine(CONFIRMATIONS + 2, salt=1)
    rig.follow()
    assert rig.holds(BUYER) == (50_000_000, 0)
    rig.check()


def test_a_chain_that_was_replaced_while_it_began_is_searched(rig):
    rig.node.mine(150)
    address = rig.deposit_address(BUYER)
    rig.node.unmine(2)
    rig.node.pay(address, 50_000_000)
    rig.node.mine(CONFIRMATIONS + 2, salt=1)
    rig.follow()
    assert rig.holds(BUYER) == (50_000_000, 0)
    rig.check()


def test_another_chain_is_not_followed(rig):
    rig.node.mine(150)
    rig.fund(BUYER, 50_000_000)
    rig.node.unmine(152)
    rig.node.mine(160, salt=1)
    with pytest.raises(StoreError, match="shares no block"):
        rig.follow()
    rig.node.blocks[0] = rig.node.blocks[1]
    with pytest.raises(ConfigError, match="another chain"):
        rig.follow()
    assert rig.holds(BUYER) == (50_000_000, 0)


def test_dust_is_not_credited(rig):
    rig.fund(BUYER, 9_999)
    assert rig.holds(BUYER) == (0, 0)
    rig.check()


def test_coins_are_not_injected_where_a_node_is(rig):
    with pytest.raises(NotAllowed, match="over the chain"):
        rig.give(BUYER, "MISO 1")


def test_an_account_with_another_currency_waits_for_its_coins(rig):
    rig.give(BUYER, "EUR 1")
    rig.fund(BUYER, 50_000_000)
    assert rig.holds(BUYER) == (1_000_000_000, 0)
    rig.give(BUYER, "EUR -1")
    rig.node.mine()
    rig.follow()
    assert rig.holds(BUYER) == (50_000_000, 0)
    rig.check()


# -- out ---------------------------------------------------------------------------------------


def test_a_withdrawal_is_paid_less_its_share_of_the_fee(rig):
    rig.fund(BUYER, 50_000_000)
    key = rig.withdraw(BUYER, "mMISO 100")
    assert rig.holds(BUYER) == (40_000_000, 0)
    rig.check()
    assert rig.payouts.pay() == 1
    rig.check()
    received = rig.node.received(HOME)
    assert 9_999_000 < received < 10_000_000
    assert rig.payouts.pay() == 0
    assert rig.node.received(HOME) == received
    assert rig.bank.get_withdrawal(key).height == -1
    rig.node.mine()
    rig.follow()
    assert rig.bank.get_withdrawal(key).height == rig.node.tip().height
    rig.check()
    rig.withdraw(BUYER, "mMISO 400", p2wpkh_script(b"\x78" * 20))
    assert rig.payouts.pay() == 1
    assert rig.holds(BUYER) == (0, 0)
    rig.check()
    assert len(set(rig.node.sent)) == 2


def test_a_withdrawal_is_paid_when_a_node_has_the_payment(rig):
    rig.fund(BUYER, 50_000_000)
    key = rig.withdraw(BUYER, "mMISO 100")
    send = rig.node.send

    def away(_raw: str) -> None:
        raise HttpError("the node is away")

    rig.node.send = away
    with pytest.raises(HttpError):
        rig.payouts.pay()
    assert rig.bank.get_withdrawal(key).txid == ""
    rig.node.send = send
    rig.payouts.pay()
    assert rig.bank.get_withdrawal(key).txid
    rig.check()


def test_many_withdrawals_go_out_together(rig):
    rig.fund(BUYER, 50_000_000)
    rig.fund(SELLER, 50_000_000)
    scripts = [p2wpkh_script(bytes([n]) * 20) for n in range(20)]
    for number, script in enumerate(scripts):
        rig.withdraw((BUYER, SELLER)[number % 2], "mMISO 10", script)
    assert rig.payouts.pay() == 20
    assert len(rig.node.sent) == 1
    assert len({rig.node.received(script) for script in scripts}) == 1
    rig.check()


def test_change_that_would_be_dust_is_given_back(rig):
    rig.fund(BUYER, 10_000_100)
    key = rig.withdraw(BUYER, "mMISO 100")
    rig.payouts.pay()
    assert rig.holds(BUYER) == (LEAST_CHANGE, 0)
    assert rig.bank.get_withdrawal(key).amount == 10_000_100 - LEAST_CHANGE
    rig.check()


@pytest.mark.parametrize(
    ("amount", "changes", "error", "complaint"),
    [
        ("mMISO 500.1", {}, NotPaidFor, "Insufficient funds"),
        ("uMISO 99", {}, Malformed, "at least"),
        ("mMISO -1", {}, Malformed, "at least"),
        ("EUR 1", {}, Malformed, "only coins"),
        ("much", {}, AmountError, "amount"),
        ("mMISO 1", {"address": "nowhere"}, AddressError, "not an address"),
        ("mMISO 1", {"address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}, AddressError, "bc"),
        ("mMISO 1", {"participant": STRANGER.address}, NotAllowed, "signature"),
        ("mMISO 1", {"amount": "mMISO 2"}, NotAllowed, "signature"),
    ],
)
def test_bad_withdrawals_are_refused(rig, amount, changes, error, complaint):
    rig.fund(BUYER, 50_000_000)
    before = rig.everything()
    with pytest.raises(error, match=complaint):
        rig.withdraw(BUYER, amount, **changes)
    assert rig.everything() == before
    assert rig.payouts.pay() == 0


def test_the_operator_takes_what_the_market_earned(rig):
    rig.fund(BUYER, 200_000_000)
    rig.sell(SELLER, "MISO 1")
    trade = rig.trade_of(rig.buy(BUYER, "MISO 1"))
    rig.deliver(BUYER, SELLER, trade.key)
    rig.say(BUYER, trade.key, acceptresult="on")
    with pytest.raises(NotPaidFor, match="mMISO 30 of fees"):
        rig.bank.collect_fees(address_of(HOME), 3_000_001)
    rig.bank.collect_fees(address_of(HOME), 2_000_000)
    with pytest.raises(NotPaidFor, match="mMISO 10 of fees"):
        rig.bank.collect_fees(address_of(HOME), 1_000_001)
    rig.check()
    assert rig.payouts.pay() == 1
    assert 1_999_000 < rig.node.received(HOME) < 2_000_000
    rig.check()
    rig.withdraw(BUYER, "mMISO 970", p2wpkh_script(b"\x01" * 20))
    rig.withdraw(SELLER, "mMISO 1000", p2wpkh_script(b"\x02" * 20))
    rig.payouts.pay()
    rig.bank.collect_fees(address_of(HOME), 1_000_000 - 100)
    rig.payouts.pay()
    rig.check()


def test_a_payment_that_the_node_refuses_is_kept_and_sent_again(rig):
    rig.fund(BUYER, 50_000_000)
    rig.withdraw(BUYER, "mMISO 100")
    lost = rig.node.pool
    rig.payouts.pay()
    lost.clear()  # the node forgot it
    assert rig.node.received(HOME) == 0
    rig.payouts.pay()
    assert 9_999_000 < rig.node.received(HOME) < 10_000_000
    rig.check()


class Killed(BaseException):
    """The process is no more."""


STEPS = 40


@pytest.mark.parametrize("step", range(STEPS))
def test_killed_at_any_step_it_pays_exactly_once(step):
    """Every call to the node and both ends of every transaction of the book is a step."""
    rig = CoinRig()
    left = -1

    def count(_what: str) -> None:
        nonlocal left
        if left == 0:
            left = -1
            raise Killed
        left -= left > 0

    write = rig.database.write

    def counted_write(change):
        def killed_inside(connection):
            result = change(connection)
            count("before the commit")
            return result

        result = write(killed_inside)
        count("after the commit")
        return result

    scripts = [p2wpkh_script(bytes([n]) * 20) for n in range(3)]
    rig.fund(BUYER, 50_000_000)
    for script in scripts:
        rig.withdraw(BUYER, "mMISO 100", script)
    rig.node.before_call = count
    rig.database.write = counted_write
    left = step
    killed = False
    for _ in range(8):
        try:
            rig.payouts.pay()
            rig.node.mine()
            rig.deposits.follow()
        except Killed:
            killed = True
            rig.attach()
    left = -1
    rig.follow()
    rig.check()
    assert killed or step > 10
    received = [rig.node.received(script) for script in scripts]
    assert all(9_999_000 < each < 10_000_000 for each in received), received
    assert len(rig.node.sent) == 1
    assert rig.holds(BUYER) == (20_000_000, 0)
    rig.close()


@pytest.mark.parametrize("signs_first", [True, False])
def test_two_payers_on_one_book_pay_once(rig, signs_first):
    rig.fund(BUYER, 50_000_000)
    rig.withdraw(BUYER, "mMISO 100")
    other = Payouts(rig.database, rig.node, rig.now)
    sign = rig.node.sign

    def slow_sign(tx):
        rig.node.sign = sign
        early = sign(tx) if signs_first else None
        assert other.pay() == 1
        return early or sign(tx)

    rig.node.sign = slow_sign
    if signs_first:
        assert rig.payouts.pay() == 0
    else:
        with pytest.raises(RpcError, match="spent"):
            rig.payouts.pay()
    assert 9_999_000 < rig.node.received(HOME) < 10_000_000
    rig.check()


# -- the plan ----------------------------------------------------------------------------------


def _coins(values: list[int]) -> list[Coin]:
    return [Coin(OutPoint(bytes([n]) * 36), value, HOME) for n, value in enumerate(values)]


@given(
    st.lists(st.integers(10_000, 10**9), min_size=1, max_size=30),
    st.lists(st.integers(LEAST_CHANGE, 10**10), max_size=40),
    st.integers(1_000, 2_000_000),
)
@settings(max_examples=200)
def test_a_batch_neither_makes_nor_loses_a_unit(amounts, values, rate):
    waiting = [Request(n, amount, HOME) for n, amount in enumerate(amounts)]
    batch = plan_batch(waiting, _coins(values), rate, p2wpkh_script(b"\x01" * 20))
    if batch is None:
        return
    spent = sum(coin.value for coin in batch.coins)
    paid = [txout.value for txout in batch.tx.vout[: len(batch.requests)]]
    assert spent == sum(txout.value for txout in batch.tx.vout) + batch.fee
    assert spent - batch.change == sum(r.amount for r in batch.requests) - batch.given_back
    assert batch.change == 0 or batch.change >= LEAST_CHANGE
    assert 0 <= batch.given_back < LEAST_CHANGE
    assert min(paid) >= LEAST_CHANGE
    size = batch.tx.weight + 2 + 108 * len(batch.coins)
    assert batch.fee * 4000 >= size * rate
    assert {coin.point for coin in batch.coins} == {txin.prevout for txin in batch.tx.vin}
    if sum(values) >= sum(amounts) and rate == 1_000:
        assert len(batch.requests) == len(amounts)
