"""What a transaction passed under, remembered from mempool to block."""

import pytest

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_rules import MempoolRules
from misocoin.chain.script_cache import ScriptCache
from misocoin.chain.script_checks import ScriptChecks
from misocoin.consensus.coins import Coin
from misocoin.consensus.deployments import script_flags_at
from misocoin.errors import ValidationError
from misocoin.policy.settings import MempoolLimits, RelayPolicy
from misocoin.script import flags as verify
from tests.builders import KEY_SCRIPT, make_outpoint, signed_spend, with_bad_signature
from tests.fakes.chain import FakeChain, spend

COIN = Coin(1000, KEY_SCRIPT, 1, False)
POINT = make_outpoint(1)
FLAGS = verify.MANDATORY


def is_accepted(checks: ScriptChecks, tx, flags: int = FLAGS, *, use_cache: bool = True) -> bool:
    try:
        with checks.collect(use_cache=use_cache) as sink:
            sink.add(tx, [COIN], flags)
    except ValidationError:
        return False
    return True


def test_the_oldest_are_forgotten():
    cache = ScriptCache(4)
    names = [bytes([n]) * 32 for n in range(9)]
    for name in names:
        cache.add(name, FLAGS)
        assert cache.has(name, FLAGS)
        assert len(cache) <= 4
    assert cache.has(names[-2], FLAGS)
    assert not cache.has(names[0], FLAGS)
    with pytest.raises(ValueError, match="two"):
        ScriptCache(1)


def test_the_mempool_tells_what_passed_by_the_rules_of_the_next_block():
    chain = FakeChain()
    chain.mine(count=101)
    cache = ScriptCache()
    rules = MempoolRules(chain.params, RelayPolicy(), MempoolLimits(), None, cache)
    pool = Mempool(chain, rules)
    good, bad = (spend([chain.spendable()[0]], [value]) for value in (10_000, 10**12))
    pool.accept(good, chain.now)
    with pytest.raises(ValidationError):
        pool.accept(bad, chain.now)
    flags = script_flags_at(chain.tip.height + 1, bytes(32), chain.params)
    assert cache.has(good.wtxid, flags)
    assert len(cache) == 1


def test_exactly_what_passed_is_not_run_again():
    """The bad signature shows whether anything was run: it was put into the cache by hand."""
    cache = ScriptCache()
    checks = ScriptChecks(1, None, cache)
    try:
        bad = with_bad_signature(signed_spend({POINT: COIN}, [5]))
        assert not is_accepted(checks, bad)
        cache.add(bad.wtxid, FLAGS)
        assert is_accepted(checks, bad)
        # Other flags, another witness, or a replay that trusts nothing: all is run.
        assert not is_accepted(checks, bad, FLAGS & ~verify.NULLDUMMY)
        assert not is_accepted(checks, bad, use_cache=False)
        bare = bad.build(bad.version, [bad.vin[0]._replace(witness=())], bad.vout)
        assert bare.txid == bad.txid
        assert not is_accepted(checks, bare)
    finally:
        checks.close()
