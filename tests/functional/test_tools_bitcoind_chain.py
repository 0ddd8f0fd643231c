"""Bitcoin Core's chain methods: what a real bitcoind answers, and ours on the same chain."""

import pytest

from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins

pytestmark = pytest.mark.tools

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins) -> Twins:
    """Both with the same chain of 120 blocks."""
    twins = make_twins("-coinstatsindex", "-blockfilterindex")
    twins.set_time(1_700_000_000)
    twins.grow(120, ADDRESS)
    return twins


def test_best_block(twins: Twins) -> None:
    best = twins.same("getbestblockhash")
    twins.same("getblock", best, 0)
    twins.same("getblockheader", best, False)
    assert twins.same("getblockcount") == 120
