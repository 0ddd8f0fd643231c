"""The ledger's running sums against a model that derives all from the transactions each time."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut, outpoint
from misocoin.wallet.ledger import Balance, Ledger, OwnCoin, TxState, is_mature
from tests.builders import make_coinbase

MATURITY = 4
OWN = (b"own-1", b"own-2")
LATE = b"own once it is imported"
FOREIGN = b"foreign"

scripts = st.sampled_from((*OWN, LATE, FOREIGN))
outputs = st.lists(st.builds(TxOut, st.integers(0, 50), scripts), min_size=1, max_size=3)
states = st.sampled_from((TxState.POOLED, TxState.CONFIRMED, TxState.DROPPED))


@dataclass
class Known:
    tx: Transaction
    state: TxState
    height: int


class LedgerMachine(RuleBasedStateMachine):
    """Transactions come, go and conflict in any order, also before those that they spend."""

    @initialize()
    def begin(self) -> None:
        self.mine = set(OWN)
        self.ledger = Ledger(self.mine.__contains__)
        self.known: dict[bytes, Known] = {}
        self.unknown: list[Transaction] = []
        self.tip = 0
        self.made = 0

    # -- what happens -------------------------------------------------------------------------

    def note(self, tx: Transaction, state: TxState) -> None:
        height = self.tip if state is TxState.CONFIRMED else -1
        block = bytes([self.tip]) * 32 if state is TxState.CONFIRMED else None
        self.ledger.note(tx, state, 1_000 + self.made, height, block)
        self.known[tx.txid] = Known(tx, state, height)

    def make_tx(self, data: st.DataObject, vout: list[TxOut]) -> Transaction:
        self.made += 1
        everything = [k.tx for k in self.known.values()] + self.unknown
        points = [tx.outpoint(n) for tx in everything for n in range(len(tx.vout))]
        foreign = outpoint(bytes([self.made]) * 32, 0)
        spent = data.draw(
            st.lists(st.sampled_from([*points, foreign]), min_size=1, max_size=3, unique=True)
        )
        return Transaction.build(2, map(TxIn, spent), vout, self.made)

    @rule(vout=outputs)
    def mine_block(self, vout: list[TxOut]) -> None:
        self.tip += 1
        self.note(make_coinbase(self.tip, vout), TxState.CONFIRMED)

    @rule(data=st.data(), vout=outputs, state=states)
    def new_transaction(self, data: st.DataObject, vout: list[TxOut], state: TxState) -> None:
        self.note(self.make_tx(data, vout), state)

    @rule(data=st.data(), vout=outputs)
    def transaction_not_heard_of_yet(self, data: st.DataObject, vout: list[TxOut]) -> None:
        self.unknown.append(self.make_tx(data, vout))

    @precondition(lambda self: self.unknown)
    @rule(data=st.data(), state=states)
    def hear_of_it(self, data: st.DataObject, state: TxState) -> None:
        tx = self.unknown.pop(data.draw(st.integers(0, len(self.unknown) - 1)))
        self.note(tx, state)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), state=states)
    def move(self, data: st.DataObject, state: TxState) -> None:
        known = self.known[data.draw(st.sampled_from(sorted(self.known)))]
        if known.tx.is_coinbase and state is TxState.POOLED:
            return
        if state is TxState.DROPPED:
            assert self.ledger.set_state(known.tx.txid, state)
            known.state, known.height = state, -1
        else:
            self.note(known.tx, state)

    @precondition(lambda self: self.tip > 0)
    @rule(depth=st.integers(1, 3))
    def reorg(self, depth: int) -> None:
        """Blocks leave; what they held but for coinbases waits again."""
        self.tip = max(0, self.tip - depth)
        for known in [k for k in self.known.values() if k.height > self.tip]:
            self.ledger.set_state(known.tx.txid, TxState.DROPPED)
            known.state, known.height = TxState.DROPPED, -1
            if not known.tx.is_coinbase:
                self.note(known.tx, TxState.POOLED)

    @rule()
    def import_key(self) -> None:
        """A rescan tells of everything again."""
        self.mine.add(LATE)
        for known in list(self.known.values()):
            self.ledger.note(
                known.tx, known.state, 0, known.height, bytes(32) if known.height >= 0 else None
            )

    # -- what holds ---------------------------------------------------------------------------

    def own_output(self, point: OutPoint) -> TxOut | None:
        known = self.known.get(point[:32])
        index = int.from_bytes(point[32:], "little")
        if known is None or known.tx.vout[index].script_pubkey not in self.mine:
            return None
        return known.tx.vout[index]

    def is_trusted(self, known: Known) -> bool:
        if known.state is not TxState.POOLED:
            return known.state is TxState.CONFIRMED
        return all(
            self.own_output(txin.prevout) is not None
            and self.is_trusted(self.known[txin.prevout[:32]])
            for txin in known.tx.vin
        )

    def model_coins(self) -> set[OwnCoin]:
        active = [k for k in self.known.values() if k.state is not TxState.DROPPED]
        spent = {txin.prevout for k in active for txin in k.tx.vin}
        return {
            OwnCoin(point, value, script, k.height, k.tx.is_coinbase, self.is_trusted(k))
            for k in active
            for index, (value, script) in enumerate(k.tx.vout)
            for point in (k.tx.outpoint(index),)
            if script in self.mine and point not in spent
        }

    @invariant()
    def coins_are_the_models(self) -> None:
        coins = list(self.ledger.coins())
        assert len(coins) == len(set(coins))
        assert set(coins) == self.model_coins()

    @invariant()
    def balances_are_the_sums(self) -> None:
        for tip in range(self.tip, self.tip + MATURITY + 1):
            sums = {"available": 0, "pending": 0, "immature": 0}
            for coin in self.model_coins():
                if not is_mature(coin, tip, MATURITY):
                    sums["immature"] += coin.value
                else:
                    sums["available" if coin.is_trusted else "pending"] += coin.value
            assert self.ledger.balance(tip, MATURITY) == Balance(**sums)

    @invariant()
    def history_is_the_models(self) -> None:
        assert [entry.tx for entry in self.ledger] == [k.tx for k in self.known.values()]
        for entry, known in zip(self.ledger, self.known.values(), strict=True):
            assert (entry.state, entry.height) == (known.state, known.height)
            assert (entry.block_hash is None) is (known.height < 0)
            received = sum(v for v, script in known.tx.vout if script in self.mine)
            spent = [self.own_output(txin.prevout) for txin in known.tx.vin]
            assert self.ledger.amounts(entry.txid) == (
                received,
                sum(output.value for output in spent if output is not None),
            )


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestLedger = LedgerMachine.TestCase
