"""A light wallet among honest nodes: what it finds is proven, and no node learns of an address."""

from collections.abc import Iterator

import pytest

from misocoin.consensus.coins import Coin
from misocoin.consensus.merkle import merkle_root_from_branch
from misocoin.primitives.transaction import TxOut
from misocoin.wallet.light.payments import EXPIRY_SECONDS, PaymentState
from misocoin.wallet.light.pool import NodePool
from misocoin.wallet.light.ports import Watched
from misocoin.wallet.light.search import is_proven
from misocoin.wallet.light.store import LightStore
from misocoin.wallet.light.sync import SyncReport, sync
from misocoin.wallet.light.unproven import unproven_by_script
from misocoin.wallet.light.wallet import LightWallet, ScriptBalance
from tests.builders import KEY_SCRIPT, LATE, grow, signed_spend, small_params, spend
from tests.fakes.light import FakeKeys, FakeNode, chains, copy, fails, refuses, rejects

PARAMS = small_params()
NOW = LATE
FEE = 1000


class Bench:
    """Two honest nodes, a wallet's store and its keys."""

    def __init__(self, node: FakeNode, other: FakeNode) -> None:
        self.node, self.other = node, other
        self.store = LightStore(None, PARAMS)
        self.keys = FakeKeys([KEY_SCRIPT])
        self.wallet = LightWallet(PARAMS, self.store, self.keys)

    def sync(self, *nodes: FakeNode, now: int = NOW) -> SyncReport:
        return sync(PARAMS, self.store, self.keys, nodes or (self.node,), now)

    def pay_wallet(self, value: int = 5_000_000) -> bytes:
        """Mine a block that pays the wallet's key; returns the payment's id."""
        height = self.node.chain.height - 1
        coinbase = self.node.chain.get_block(self.node.chain.at_height(height)).transactions[0]
        change = coinbase.vout[0].value - value - FEE
        tx = spend([coinbase.outpoint(0)], [TxOut(value, KEY_SCRIPT), change])
        self.node.mine(transactions=[tx], fees=FEE)
        return tx.txid

    def payment(self, value: int = 1_000_000, now: int = NOW):
        """Make and journalise a payment to anyone, with change."""
        (coin,) = self.wallet.coins(now)
        spent = {coin.point: Coin(coin.value, coin.script_pubkey, coin.height, is_coinbase=False)}
        tx = signed_spend(spent, [value, TxOut(coin.value - value - FEE, KEY_SCRIPT)])
        self.wallet.journalise(tx, now, "for the cat")
        return tx


@pytest.fixture
def bench() -> Iterator[Bench]:
    with chains(PARAMS, 2) as (one, two):
        made = Bench(FakeNode(one), FakeNode(two, "other:2"))
        made.node.mine(5)
        yield made
        made.store.close()


def test_a_payment_is_found_and_proven(bench: Bench):
    txid = bench.pay_wallet()
    bench.node.mine(3)
    report = bench.sync()
    assert (report.height, report.searched, report.is_complete) == (9, 9, True)
    assert report.problems == []
    (found,) = report.found
    header = bench.node.chain.at_height(6).header
    assert (found.txid, found.height) == (txid, 6)
    assert merkle_root_from_branch(txid, found.branch, found.position) == header.merkle_root
    assert is_proven(found, bench.store)
    assert bench.wallet.balances(NOW) == {KEY_SCRIPT: ScriptBalance(5_000_000, 0)}
    (item,) = bench.wallet.history(NOW)
    assert (item.received, item.spent, item.confirmations) == (5_000_000, 0, 4)
    assert bench.sync().found == []


def test_nodes_learn_nothing_but_blocks(bench: Bench):
    bench.pay_wallet()
    bench.sync()
    kinds = {question[0] for question in bench.node.questions}
    assert kinds == {"headers", "filter_headers", "filters", "block"}
    blocks = [question for question in bench.node.questions if question[0] == "block"]
    assert blocks == [("block", bench.node.chain.at_height(6).hash)]


def test_mined_coins_are_immature_at_first(bench: Bench):
    bench.node.mine(script=KEY_SCRIPT)
    bench.sync()
    subsidy = 50 * 100_000_000
    assert bench.wallet.balance(NOW) == (0, 0, subsidy)
    assert bench.wallet.coins(NOW) == []
    bench.node.mine(2)
    bench.sync()
    assert bench.wallet.balance(NOW) == (subsidy, 0, 0)


def test_a_payment_is_sent_until_it_is_mined(bench: Bench):
    bench.pay_wallet()
    bench.sync()
    tx = bench.payment()
    assert bench.wallet.balances(NOW)[KEY_SCRIPT] == ScriptBalance(5_000_000, -1_001_000)
    assert bench.wallet.balance(NOW).available == 3_999_000
    report = bench.sync()
    assert [sent.taken for sent in report.sent] == [("honest:1",)]
    bench.node.pool = []  # it forgot
    bench.sync()
    assert bench.node.pool == [tx]
    bench.node.mine(fees=FEE)
    report = bench.sync()
    assert [each.state for each in report.changed] == [PaymentState.MINED]
    assert report.sent == []
    assert bench.wallet.balances(NOW) == {KEY_SCRIPT: ScriptBalance(3_999_000, 0)}
    assert bench.sync().changed == []


def test_a_payment_made_while_no_node_was_up(bench: Bench):
    bench.pay_wallet()
    bench.sync()
    tx = bench.payment()
    down = sync(PARAMS, bench.store, bench.keys, [], NOW)
    assert not down.is_complete
    assert [sent.taken for sent in down.sent] == [()]
    bench.sync()
    assert bench.node.pool == [tx]


def test_coins_of_a_payment_are_not_spent_twice(bench: Bench):
    bench.pay_wallet()
    bench.sync()
    (coin,) = bench.wallet.coins(NOW)
    first = bench.payment()
    assert all(c.point != coin.point for c in bench.wallet.coins(NOW))
    spent = {coin.point: Coin(coin.value, coin.script_pubkey, coin.height, is_coinbase=False)}
    rival = signed_spend(spent, [coin.value - 2 * FEE])
    with pytest.raises(Exception, match="taken the same coins"):
        bench.wallet.journalise(rival, NOW)
    assert [each.tx for each in bench.wallet.payments(NOW)] == [first]


def test_a_refusal_is_told(bench: Bench):
    bench.pay_wallet()
    bench.sync()
    bench.payment()
    stubborn = FakeNode(bench.node.chain, "stubborn:1", submit=rejects)
    report = bench.sync(stubborn)
    assert report.sent[0].refused == (("stubborn:1", "min relay fee not met"),)
    assert bench.wallet.payments(NOW)[0].detail == "min relay fee not met"
    bench.sync()
    assert bench.wallet.payments(NOW)[0].detail == ""


def test_a_conflict_frees_the_other_coins(bench: Bench):
    bench.pay_wallet()
    bench.pay_wallet(2_000_000)
    bench.sync()
    small, large = sorted(bench.wallet.coins(NOW), key=lambda coin: coin.value)

    def signed(coins, outputs):
        spent = {c.point: Coin(c.value, c.script_pubkey, c.height, False) for c in coins}
        return signed_spend(spent, outputs)

    ours = signed([small, large], [TxOut(6_999_000, KEY_SCRIPT)])
    bench.wallet.journalise(ours, NOW)
    child = signed_spend(
        {ours.outpoint(0): Coin(6_999_000, KEY_SCRIPT, 0, False)}, [TxOut(6_998_000, KEY_SCRIPT)]
    )
    bench.wallet.journalise(child, NOW)
    rival = signed([small], [1_999_000])  # of the same keys, elsewhere
    bench.node.mine(transactions=[rival], fees=FEE)
    report = bench.sync()
    assert [each.state for each in report.changed] == [PaymentState.CONFLICTED] * 2
    assert rival.txid_hex in report.changed[0].detail
    assert ours.txid_hex in report.changed[1].detail
    assert [coin.point for coin in bench.wallet.coins(NOW)] == [large.point]
    assert report.sent == []


def test_a_payment_that_expired_can_be_handed_in_again(bench: Bench):
    bench.pay_wallet()
    bench.sync()
    tx = bench.payment()
    later = NOW + EXPIRY_SECONDS
    assert bench.wallet.payments(later)[0].state is PaymentState.EXPIRED
    bench.wallet.journalise(tx, later)
    (again,) = bench.wallet.payments(later)
    assert (again.tx, again.state) == (tx, PaymentState.WAITING)


def test_a_payment_expires_and_counts_if_it_is_mined_after_all(bench: Bench):
    bench.pay_wallet()
    bench.sync()
    tx = bench.payment()
    bench.sync()
    later = NOW + EXPIRY_SECONDS
    report = bench.sync(now=later)
    assert [each.state for each in report.changed] == [PaymentState.EXPIRED]
    assert bench.wallet.balance(later).available == 5_000_000
    bench.node.pool = [tx]
    bench.node.mine(fees=FEE)
    report = bench.sync(now=later)
    assert [each.state for each in report.changed] == [PaymentState.MINED]
    assert bench.wallet.balance(later).available == 3_999_000


def test_a_reorg_takes_proofs_away_and_gives_others(bench: Bench):
    copy(bench.node.chain, bench.other.chain)
    bench.pay_wallet()
    bench.sync()
    tx = bench.payment()
    bench.sync()
    bench.node.mine(fees=FEE)
    bench.sync()
    assert bench.wallet.payments(NOW)[0].state is PaymentState.MINED
    for block in grow(bench.other.chain.tip, PARAMS, 4, tag=b"other"):
        bench.other.chain.submit_block(block)
    report = bench.sync(bench.other)
    assert (report.reorg, report.height) == (5, 9)
    assert bench.wallet.balances(NOW) == {}
    assert [each.state for each in report.changed] == [PaymentState.WAITING]
    assert {item.entry.state.value for item in bench.wallet.history(NOW)} == {
        "dropped",
        "in mempool",
    }
    # The other branch takes both transactions in again.
    received = bench.node.chain.get_block(bench.node.chain.at_height(6)).transactions[1]
    bench.other.mine(transactions=[received, tx], fees=2 * FEE)
    report = bench.sync(bench.other, bench.node)
    assert len(report.found) == 2
    assert bench.wallet.balances(NOW) == {KEY_SCRIPT: ScriptBalance(3_999_000, 0)}
    states = {record.address: record.state for record in bench.store.nodes()}
    assert states == {
        "other:2": "agrees",
        "honest:1": "is on a branch with less work, at height 7",
    }


def test_a_node_that_lags_is_told(bench: Bench):
    copy(bench.node.chain, bench.other.chain)
    bench.node.mine(3)
    report = bench.sync(bench.node, bench.other)
    assert report.problems == []
    assert report.compared == 2
    states = {record.address: (record.height, record.state) for record in bench.store.nodes()}
    assert states == {"honest:1": (8, "agrees"), "other:2": (5, "lags 3 blocks")}


def test_lookahead_grows_as_scripts_are_used(bench: Bench):
    scripts = [b"\x00\x14" + bytes([n]) * 20 for n in range(6)]
    bench.keys = FakeKeys(scripts[:2], scripts[2:])
    bench.wallet = LightWallet(PARAMS, bench.store, bench.keys)
    for script in (scripts[1], scripts[2], scripts[3]):
        bench.node.mine(script=script)
    # One more in the very block in which it becomes known.
    coin = bench.node.chain.get_block(bench.node.chain.at_height(1)).transactions[0]
    both = [TxOut(1000, scripts[4]), TxOut(1000, scripts[5])]
    bench.node.mine(transactions=[spend([coin.outpoint(0)], both)])
    bench.sync()
    assert set(bench.wallet.balances(NOW)) == set(scripts[1:])


def test_a_new_key_is_searched_for_from_its_birth(bench: Bench):
    bench.pay_wallet()
    bench.node.mine(20)
    bench.sync()
    stranger = b"\x00\x14" + bytes(20)
    chain = bench.node.chain
    bench.keys.watched[stranger] = Watched("born late", chain.at_height(20).header.time + 7200)
    bench.node.questions.clear()
    bench.sync()
    asked = [question[1] for question in bench.node.questions if question[0] == "filters"]
    assert asked == [chain.at_height(20).hash]
    restored = b"\x00\x14" + bytes([1]) * 20
    bench.keys.watched[restored] = Watched("restored")
    assert bench.wallet.searched == 0
    bench.node.questions.clear()
    bench.sync()
    asked = [question[1] for question in bench.node.questions if question[0] == "filters"]
    assert asked == [chain.at_height(1).hash]
    assert bench.wallet.searched == bench.wallet.height


def test_a_node_without_filters_still_counts_for_headers_and_payments(bench: Bench):
    bench.pay_wallet()
    bench.sync()
    bench.payment()
    plain = FakeNode(bench.node.chain, "plain:1", filter_headers=refuses, filters=refuses)
    bench.node.mine()
    report = bench.sync(plain)
    assert (report.height, report.searched, report.compared) == (7, 6, 0)
    assert report.sent[0].taken == ("plain:1",)
    assert not report.is_complete
    assert bench.sync(plain, bench.node).is_complete


def test_a_store_is_of_one_chain(tmp_path, bench: Bench):
    from misocoin.errors import StoreError
    from misocoin.params import miso

    path = tmp_path / "light.sqlite"
    LightStore(path, miso()).close()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError, match="another chain"):
        LightStore(path, PARAMS)
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(StoreError):
        LightStore(path, PARAMS)


def test_mempools_are_read_whole_and_believed_in_nothing(bench: Bench):
    bench.pay_wallet()
    bench.sync()
    own = bench.payment()
    gift = spend([own.outpoint(1)], [TxOut(700, KEY_SCRIPT), 5])
    other = spend([own.outpoint(1)], [TxOut(30, KEY_SCRIPT)])
    bench.node.pool, bench.other.pool = [own, gift], [gift, other]
    silent = FakeNode(bench.node.chain, "silent:1", mempool=fails)
    pool = NodePool([bench.node, bench.other, silent], lambda *_: None)
    known = {own.txid}
    assert unproven_by_script(pool, bench.keys.watched, known) == {KEY_SCRIPT: 730}
    assert bench.wallet.balances(NOW)[KEY_SCRIPT] == ScriptBalance(5_000_000, -1_001_000)
