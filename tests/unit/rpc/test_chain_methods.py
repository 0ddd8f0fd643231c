"""What strangers may hand in."""

import pytest

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_rules import MempoolRules
from misocoin.errors import ValidationError
from misocoin.policy.settings import MempoolLimits, RelayPolicy
from misocoin.rpc.block_forms import BlockForms
from misocoin.rpc.declare import methods_of
from misocoin.rpc.methods.chain import ChainMethods
from misocoin.rpc.registry import Registry
from tests.builders import grow, make_block, memory_chain, mine, small_params


def test_low_work_blocks_do_not_reach_the_disk() -> None:
    params = small_params()
    with memory_chain(params) as chain:
        genesis = chain.tip
        for block in grow(genesis, params, 150):
            chain.submit_block(block)
        pool = Mempool(chain, MempoolRules(params, RelayPolicy(), MempoolLimits()))
        registry = Registry(methods_of(ChainMethods(chain, pool, BlockForms(chain), lambda: None)))  # type: ignore[arg-type,return-value]
        old = make_block(genesis, params, tag=b"old")
        with pytest.raises(ValidationError, match="too-little-chainwork"):
            registry.call("submit_block", [old.serialize().hex()])
        assert not chain.knows(old.hash)
        unmined = mine(old.header, fail=True)
        with pytest.raises(ValidationError, match="high-hash"):
            registry.call("submit_block", [unmined.serialize().hex() + "ff" * 1000])
