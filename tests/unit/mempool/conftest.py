import pytest

from misocoin.chain.mempool import Mempool
from tests.fakes.chain import FakeChain
from tests.fakes.pool import pool_on


@pytest.fixture
def chain() -> FakeChain:
    """Ten coins of 50 are mature, the rest of 110 blocks' are not."""
    fake = FakeChain()
    fake.mine(count=109)
    return fake


@pytest.fixture
def pool(chain: FakeChain) -> Mempool:
    return pool_on(chain)
