"""What comes into the mempool: a real bitcoind and our node judge the same random payments.

Transactions and packages, right, nearly right and wrong, are tried and handed in; blocks come and
are replaced. Verdicts, words, fees and what waits afterwards must be the same.
`POLICY_ROUNDS=20000 make test-tools` draws more, `POLICY_SEED=2` others.

The real one is Knots, with Core's policy (`-corepolicy`) as of version 29.5. Left as it is in
ours, and kept out of what is compared:
- 0.1 sat/vB as the relay minimum, of Core 29.1 and later: ours asks for 1, as Core 29.0 does, and
  so does theirs here.
- Words of Knots' own for Core's reasons: `AS_CORE` translates them.
- Rules of Knots' own, `KNOTS_RULES`: scripts of outputs and pushes that are too long for it, deep
  trees of taproot, OP_IF in tapscript. Bare multisig and P2PK are among those scripts.
- That a package's child has no other unconfirmed parents: Core has dropped it since version 30.
- Core 31 limits clusters of transactions and compares diagrams of fee rates where Core 29, and
  ours, limit ancestors and descendants and compare fee rates.
"""

import json
import os
import re
from random import Random
from typing import Any

import pytest

from misocoin.http.errors import RpcError
from misocoin.params import regtest
from misocoin.primitives.block import Block, BlockHeader, block_from_bytes
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.script.address import address_from_script
from misocoin.script.templates import nulldata_script
from tests.builders import make_coinbase, merkle_root, mine
from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins
from tests.functional.framework.payments import FREE, SIMPLE, Paid, Purse
from tests.unit.script.random_spends import PAYABLE_LOCKS

pytestmark = pytest.mark.tools

ROUNDS = 250
"""On each chain."""
CHAINS = range(0, int(os.environ.get("POLICY_ROUNDS", "1500")), ROUNDS)
SEED = os.environ.get("POLICY_SEED", "1")

START = 1_700_000_000
BITS = 0x207FFFFF
ADDRESS = address_from_script(FREE.script_pubkey, regtest())
assert ADDRESS is not None

CORE_POLICY = (
    "-minrelaytxfee=0.00001",
    "-incrementalrelayfee=0.00001",
    "-blockmintxfee=0.00001",
    "-blockmaxsize=4000000",
    "-blockprioritysize=0",
)
"""Knots' options, to have it as Core 29.0 where `-corepolicy` does not."""

LIMITS = (
    ("-blockmaxweight=4000000",),
    ("-blockmaxweight=20000", "-limitancestorcount=4", "-limitdescendantcount=5"),
    ("-blockmaxweight=12000", "-limitancestorsize=1", "-limitdescendantsize=1"),
)
"""Options of both; small blocks leave some of what waits behind."""

AS_CORE = (
    (r"^bad-txns-input-[a-z0-9-]+.*", "bad-txns-nonstandard-inputs"),
    (r"^bad-txns-nonstandard-inputs, .*", "bad-txns-nonstandard-inputs"),
    (r"^bad-witness-[a-z0-9-]+.*", "bad-witness-nonstandard"),
    (r"^truc-[a-z0-9-]+", "TRUC-violation"),
)
"""Knots' words and what Core says. Details of the first two Core tells since version 31 only."""

KNOTS_RULES = re.compile(
    "vout-script-toolarge|Push value size limit|Invalid Taproot control block size"
    "|argument must be minimal in tapscript"
)
OTHER_PARENTS = "package-not-child-with-unconfirmed-parents"


def as_core(answer: Any) -> Any:
    """An answer without what is Knots' alone."""
    if isinstance(answer, dict):
        form = {name: as_core(value) for name, value in answer.items() if name != "usage"}
        if "replaced-transactions" in form:
            form["replaced-transactions"].sort()  # a set
        return form
    if isinstance(answer, list):
        return [as_core(each) for each in answer]
    if isinstance(answer, str):
        for pattern, core in AS_CORE:
            answer = re.sub(pattern, core, answer)
    return answer


class Judges:
    """Both nodes with the same chain, whose mempools must stay the same."""

    def __init__(self, twins: Twins, random: Random) -> None:
        self.twins = twins
        self.random = random
        self.purse = Purse(random)
        twins.set_time(START)
        rewards = []
        for each in twins.grow(220, ADDRESS):
            coinbase = self.block(each).transactions[0]
            rewards.append(Paid(coinbase.outpoint(0), coinbase.vout[0].value, FREE))
        locks = [
            *[[random.choice(SIMPLE) for _ in range(250)] for _ in range(3)],
            *[[FREE] * 300 for _ in range(3)],
            *[[random.choice(PAYABLE_LOCKS)(random) for _ in range(100)] for _ in range(2)],
        ]
        funds = [self.purse.fund(coin, each) for coin, each in zip(rewards, locks, strict=False)]
        self.purse.young = rewards[130:]
        self.mine([tx.serialize().hex() for tx in funds])
        self.mine([])

    def block(self, block_hash: str) -> Block:
        return block_from_bytes(bytes.fromhex(self.twins.theirs.call("getblock", block_hash, 0)))

    # -- the same question to both ----------------------------------------------------------------

    def theirs(self, method: str, *params: Any) -> Any:
        try:
            return self.twins.theirs.call(method, *params)
        except RpcError as error:
            return {"code": error.code, "message": error.message}

    def ours(self, method: str, *params: Any) -> Any:
        try:
            return self.twins.ours.rpc.client.call(method, *params)
        except RpcError as error:
            return {"code": error.code, "message": error.message}

    def ask(self, method: str, *params: Any) -> Any:
        """Their answer, which ours must be; None where it follows a rule that is not Core's."""
        theirs = self.theirs(method, *params)
        if KNOTS_RULES.search(str(theirs)) or OTHER_PARENTS in str(theirs):
            return None
        ours = self.ours(method, *params)
        assert as_core(ours) == as_core(theirs), f"{method} {json.dumps(params)[:3000]}"
        return theirs

    def check_pools(self) -> None:
        """See that the same transactions wait, with the same fees, kin and times."""
        ours, theirs = self.twins.both("getrawmempool", True)
        assert set(ours) == set(theirs)
        for txid, entry in theirs.items():
            found = ours[txid]
            assert set(found) - set(entry) == set()
            assert found["fees"] == entry["fees"]
            del found["unbroadcast"]  # ours tells its neighbours at once
            for name, value in found.items():
                shown = entry[name]
                if isinstance(value, list):
                    value, shown = sorted(value), sorted(shown)
                assert value == shown, (txid, name)

    def check_templates(self) -> None:
        """See that both would mine the same."""
        ours, theirs = self.twins.both("getblocktemplate", {"rules": ["segwit"]})
        for form in (ours, theirs):
            form["longpollid"] = form["longpollid"][:64]
            # The order is free among equal fee rates; places and the commitment follow from it.
            places = [each["txid"] for each in form["transactions"]]
            form["transactions"] = {each["txid"]: each for each in form["transactions"]}
            for each in form["transactions"].values():
                each["depends"] = [places[at - 1] for at in each["depends"]]
            del form["default_witness_commitment"]
        theirs |= {name: ours[name] for name in ("sizelimit",)}
        assert ours == theirs

    # -- rounds -----------------------------------------------------------------------------------

    def round(self) -> None:
        """Something happens, to both."""
        draw = self.random.random()
        if draw < 0.55:
            self.one()
        elif draw < 0.9:
            self.several()
        elif draw < 0.94:
            waiting = sorted(self.theirs("getrawmempool"))
            if waiting:
                delta = self.random.choice([-500, 300, 5000, 100_000])
                self.ask("prioritisetransaction", self.random.choice(waiting), 0, delta)
        elif draw < 0.965:
            self.mine(None)
        elif draw < 0.98:
            self.reorganise()
        ours, theirs = self.twins.both("getrawmempool")
        assert set(ours) == set(theirs)

    def one(self) -> None:
        tx = self.purse.draw()
        raw = tx.serialize().hex()
        limit = self.random.choice([0, 0, 0, 0, 0.1, "0.001"])
        if self.ask("testmempoolaccept", [raw], limit) is None or self.random.random() < 0.1:
            return
        self.ask("sendrawtransaction", raw, 0)
        self.note([tx])

    def several(self) -> None:
        package = self.purse.draw_package()
        raws = [tx.serialize().hex() for tx in package]
        if self.random.random() < 0.3:
            self.ask("testmempoolaccept", raws, 0)
            return
        if self.ask("submitpackage", raws, 0) is None:
            # Some may have come in: ours gets them alone.
            waiting = set(self.theirs("getrawmempool"))
            for tx, raw in zip(package, raws, strict=True):
                if tx.txid_hex in waiting:
                    self.ours("sendrawtransaction", raw, 0)
        self.note(package)

    def note(self, txs: list[Transaction]) -> None:
        waiting = set(self.theirs("getrawmempool"))
        for tx in txs:
            if tx.txid_hex in waiting:
                self.purse.taken(tx)

    def mine(self, raws: list[str] | None) -> None:
        """A block of these transactions, or of what theirs would choose."""
        theirs = self.twins.theirs
        if raws is None:
            self.check_templates()
            hashes = theirs.call("generatetoaddress", 1, ADDRESS)
        else:
            hashes = [theirs.call("generateblock", ADDRESS, raws)["hash"]]
        self.twins.hand_over(hashes)
        self.look_around()

    def look_around(self) -> None:
        """Note where the chain stands, and let some time pass."""
        info = self.twins.theirs.call("getblockchaininfo")
        self.purse.height, self.purse.time = info["blocks"], info["mediantime"]
        self.twins.set_time(START + 7 * info["blocks"])
        self.check_pools()

    def reorganise(self) -> None:
        """Empty blocks take the place of the last few."""
        depth = self.random.choice([1, 1, 2, 3])
        height = self.purse.height - depth
        previous = self.twins.theirs.call("getblockhash", height)
        time = int(self.twins.theirs.call("getblockheader", previous)["mediantime"])
        for step in range(1, depth + 2):
            coinbase = make_coinbase(height + step, [0], tag=self.random.randbytes(4))
            header = BlockHeader.build(
                0x20000000, bytes.fromhex(previous)[::-1], merkle_root([coinbase]),
                time + 1 + step, BITS, 0,
            )  # fmt: skip
            block = Block(mine(header), (coinbase,))
            previous = block.header.hash_hex
            answers = self.twins.both("submitblock", block.serialize().hex())
            assert answers[0] == answers[1]
        self.twins.check_tip()
        self.look_around()


@pytest.mark.parametrize("start", CHAINS)
@pytest.mark.parametrize("limits", LIMITS, ids=["usual", "short chains", "small chains"])
def test_both_take_and_refuse_the_same(
    make_twins: MakeTwins, start: int, limits: tuple[str, ...]
) -> None:
    twins = make_twins(*limits, theirs=CORE_POLICY)
    judges = Judges(twins, Random(f"{SEED} {start} {limits}"))
    for _ in range(ROUNDS):
        judges.round()
    judges.check_pools()
    twins.ours.stop()
    twins.theirs.stop()


def of_size(coin: Paid, vsize: int) -> Transaction:
    """A transaction of version 3 with so many virtual bytes."""
    for count in range(vsize // 43 - 2, 0, -1):
        for length in range(80):
            share = (coin.value - 50 * vsize) // count
            outputs = [TxOut(share, FREE.script_pubkey)] * count
            outputs.append(TxOut(0, nulldata_script(bytes(length))))
            txin = TxIn(coin.point, witness=(b"\x51",))
            tx = Transaction.build(3, [txin], outputs)
            if tx.vsize == vsize:
                return tx
    raise AssertionError(vsize)


def test_sizes_of_version_3(make_twins: MakeTwins) -> None:
    judges = Judges(make_twins(*LIMITS[0], theirs=CORE_POLICY), Random(SEED))
    coins = [coin for coin in judges.purse.coins.values() if coin.lock is FREE]
    for vsize, is_fine in ((10_000, True), (10_001, False)):
        (trial,) = judges.ask("testmempoolaccept", [of_size(coins[0], vsize).serialize().hex()], 0)
        assert trial["allowed"] is is_fine
    parent = of_size(coins[1], 500)
    judges.ask("sendrawtransaction", parent.serialize().hex(), 0)
    paid = Paid(parent.outpoint(0), parent.vout[0].value, FREE)
    for vsize, is_fine in ((1_000, True), (1_001, False)):
        (trial,) = judges.ask("testmempoolaccept", [of_size(paid, vsize).serialize().hex()], 0)
        assert trial["allowed"] is is_fine
