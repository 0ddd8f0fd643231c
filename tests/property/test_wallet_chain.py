"""A wallet through random lives: its coins are those of chain and mempool with its scripts."""

import contextlib
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from misocoin.crypto.keys import PrivateKey
from misocoin.errors import ValidationError, WalletError
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.script.signing import sign_transaction
from misocoin.wallet.ledger import TxState
from tests.builders import make_block
from tests.unit.wallet.rig import COIN, MATURITY, NOBODY, OTHER, Rig

MEMORY = Path("/dev/shm")
"""A disk that need not be waited for, where there is one."""


class WalletMachine(RuleBasedStateMachine):
    """Blocks, payments, conflicts, reorgs and crashes in any order."""

    @initialize()
    def begin(self) -> None:
        self.disk = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.rig = Rig(Path(self.disk.name)).start(imported=PrivateKey(bytes(31) + b"\x31"))
        self.rig.mine(MATURITY + 2)

    def teardown(self) -> None:
        self.disk.cleanup()

    @rule(count=st.integers(1, 3), own=st.booleans())
    def mine(self, count: int, own: bool) -> None:
        self.rig.mine(count, script=None if own else NOBODY)

    @rule(
        amount=st.one_of(st.integers(300, 10 * COIN), st.integers(40 * COIN, 120 * COIN)),
        own=st.booleans(),
        rate=st.integers(1_000, 50_000),
    )
    def send(self, amount: int, own: bool, rate: int) -> None:
        address = self.rig.wallet.addresses()[-1] if own else OTHER
        try:
            tx = self.rig.send(amount, address, FeeRate(rate))
        except WalletError:
            return
        assert tx.txid in self.rig.pool.mempool

    @rule(depth=st.integers(1, 4), longer=st.integers(1, 2), own=st.booleans())
    def reorg(self, depth: int, longer: int, own: bool) -> None:
        script = self.rig.wallet.script if own else NOBODY
        self.rig.fork(depth, depth + longer, script=script)

    @rule(depth=st.integers(1, 3))
    def branch_that_fails(self, depth: int) -> None:
        """A longer branch whose last block pays too much, with what waits in its first."""
        rig, before = self.rig, self.known()
        above = rig.chain.tip.ancestor(rig.chain.height - depth)
        waiting = [entry.tx for entry in rig.pool.mempool.entries()]
        final = [tx for tx in waiting if tx.locktime <= above.height]
        confirmed = rig.chain.get_coins([txin.prevout for tx in final for txin in tx.vin])
        fit = [
            tx
            for tx in final
            if all(
                txin.prevout in confirmed
                and confirmed[txin.prevout].height + MATURITY < above.height
                for txin in tx.vin
            )
        ]
        node = rig.fork(depth, depth, transactions=fit)
        with contextlib.suppress(ValidationError):
            rig.chain.submit_block(make_block(node, rig.params, fees=1))
        assert self.known() == before

    @rule(data=st.data(), in_block=st.booleans())
    def another_wallet_spends(self, data: st.DataObject, in_block: bool) -> None:
        """Somebody with the same keys; in a block it may conflict with what waits."""
        rig = self.rig
        points = {
            output.point: output
            for item in rig.wallet.history()
            for output in rig.wallet._follower.ledger.effects(item.entry.txid).outputs
        }
        confirmed = rig.chain.get_coins(list(points))
        usable = [
            point
            for point in points  # by arrival, which is the same in every run
            if point in confirmed
            and (
                not confirmed[point].is_coinbase
                or rig.chain.height + 1 - confirmed[point].height >= MATURITY
            )
        ]
        if not usable:
            return
        point = usable[data.draw(st.integers(0, len(usable) - 1))]
        value = points[point].value
        script = data.draw(st.sampled_from([NOBODY, rig.wallet.script]))
        if value < 2_000:
            return
        tx = sign_transaction(
            Transaction.build(2, [TxIn(point)], [TxOut(value - 1_000, script)]),
            [TxOut(value, points[point].script_pubkey)],
            rig.wallet.keys,
        )
        if in_block:
            rig.mine(transactions=[tx], script=NOBODY)
            return
        with contextlib.suppress(ValidationError):  # a conflict that pays too little
            rig.pool.submit(tx)

    @rule()
    def new_address(self) -> None:
        if len(self.rig.wallet.addresses()) < 3:
            self.rig.wallet.new_address()

    @rule(stop=st.booleans())
    def restart(self, stop: bool) -> None:
        before = self.known()
        if stop:
            self.rig.wallet.close()
        self.rig = self.rig.restart()
        assert self.known() == before

    @rule()
    def lose_the_history(self) -> None:
        balance, coins = self.rig.wallet.balance(), set(self.rig.wallet.coins())
        self.rig.wallet.close()
        for file in Path(self.disk.name).glob("wallet.sqlite*"):
            file.unlink()
        self.rig = self.rig.restart()
        assert (self.rig.wallet.balance(), set(self.rig.wallet.coins())) == (balance, coins)

    def known(self) -> object:
        wallet = self.rig.wallet
        entries = {h.entry.txid: (h.entry.state, h[1:]) for h in wallet.history()}
        return wallet.balance(), set(wallet.coins()), entries

    # -- what holds ---------------------------------------------------------------------------

    @invariant()
    def coins_are_those_of_chain_and_mempool(self) -> None:
        rig = self.rig
        rig.chain.flush()
        waiting = [entry.tx for entry in rig.pool.mempool.entries()]
        spent = {txin.prevout for tx in waiting for txin in tx.vin}
        expected = {
            (point, coin.value, coin.height)
            for point, coin in rig.chain.iterate_coins()
            if rig.wallet.is_mine(coin.script_pubkey)
        } | {
            (tx.outpoint(index), value, -1)
            for tx in waiting
            for index, (value, script) in enumerate(tx.vout)
            if rig.wallet.is_mine(script)
        }
        found = {(c.point, c.value, c.height) for c in rig.wallet._follower.ledger.coins()}
        assert found == {coin for coin in expected if coin[0] not in spent}
        assert sum(rig.wallet.balance()) == sum(value for _, value, _ in found)

    @invariant()
    def states_are_true(self) -> None:
        rig = self.rig
        for item in rig.wallet.history():
            entry = item.entry
            assert (entry.state is TxState.POOLED) == (entry.txid in rig.pool.mempool)
            if entry.state is TxState.CONFIRMED:
                node = rig.chain.at_height(entry.height)
                assert node.hash == entry.block_hash
                assert item.confirmations == rig.chain.height + 1 - entry.height
                assert entry.tx in rig.chain.get_block(node).transactions


WalletMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20)
TestWallet = WalletMachine.TestCase
