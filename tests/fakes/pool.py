"""A mempool on a FakeChain, and a store for it that is a list."""

from collections.abc import Sequence

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_rules import MempoolRules
from misocoin.errors import StoreError, ValidationError
from misocoin.policy.settings import MempoolLimits, RelayPolicy
from misocoin.primitives.transaction import Transaction
from misocoin.store.records import StoredTransaction
from tests.fakes.chain import FakeChain


class MemoryStore:
    """A MempoolStore without a disk, which can be full all the same."""

    def __init__(self) -> None:
        self.kept: dict[bytes, StoredTransaction] = {}
        self.calls = 0
        self.is_full = False

    def save_mempool(self, added: Sequence[StoredTransaction], removed: Sequence[bytes]) -> None:
        if self.is_full:
            raise StoreError("the disk is full")
        self.calls += 1
        for txid in removed:
            self.kept.pop(txid, None)
        for record in added:
            self.kept[record.txid] = record

    def load_mempool(self) -> Sequence[StoredTransaction]:
        return list(self.kept.values())


def pool_on(
    chain: FakeChain,
    policy: RelayPolicy | None = None,
    limits: MempoolLimits | None = None,
    store: MemoryStore | None = None,
) -> Mempool:
    """An empty mempool with Core's rules, or with those given."""
    rules = MempoolRules(chain.params, policy or RelayPolicy(), limits or MempoolLimits())
    return Mempool(chain, rules, store)


def refusal(pool: Mempool, tx: Transaction, now: int) -> ValidationError | None:
    """Why the mempool does not take a transaction; None where it has taken it."""
    try:
        pool.accept(tx, now)
    except ValidationError as error:
        return error
    return None
