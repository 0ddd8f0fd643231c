"""Scripts and transactions before Bitcoin Core's validation engine: its verdict is ours.

`KERNEL_ROUNDS=1000 make test-tools` draws more at random, `KERNEL_SEED=2` others.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import pytest

from misocoin.errors import ParseError
from misocoin.primitives.transaction import Transaction, transaction_from_bytes
from misocoin.script import flags as verify_flags
from misocoin.script.inputs import verify_input
from misocoin.script.sighash import TxDigests
from tests.functional.framework.kernel import FLAGS, Kernel, KernelDied, kernel_python
from tests.functional.framework.registries import Registries
from tests.shared import vectors
from tests.unit.script.random_spends import damage, damage_spend, draw_spend
from tests.unit.script.spends import error_by_batch
from tests.unit.script.test_core_vectors import chunks, script_cases, spend_of, transaction_cases

pytestmark = pytest.mark.tools

ROUNDS = int(os.environ.get("KERNEL_ROUNDS", "40"))
SEED = os.environ.get("KERNEL_SEED", "1")

Case = tuple[TxDigests, int, Sequence[int]]


def check(kernel: Kernel, cases: Iterable[Case]) -> list[list[bool]]:
    """Both verdicts on all of these, exact and by batch; fails with what differs."""
    cases = list(cases)
    theirs = kernel.verify(
        (digests.tx, digests.spent, index, flags) for digests, index, flags in cases
    )
    wrong = []
    for (digests, index, many), verdicts in zip(cases, theirs, strict=True):
        for flags, valid in zip(many, verdicts, strict=True):
            error = verify_input(digests, index, flags)
            if (error is None) is not valid or error_by_batch(digests, index, flags) != error:
                spent = [(value, script.hex()) for value, script in digests.spent]
                told = (valid, error, digests.tx.serialize().hex(), spent, index, flags)
                wrong.append(told)
    assert wrong == []
    return theirs


@pytest.mark.parametrize("start", chunks("script_tests"))
def test_script_vectors_under_all_flags(kernel: Kernel, start: int) -> None:
    check(
        kernel,
        [
            (TxDigests(*spend_of(script_sig, script_pubkey, witness, amount)), 0, FLAGS)
            for _, script_sig, script_pubkey, witness, amount, _ in script_cases(start)
        ],
    )


@pytest.mark.parametrize(
    ("name", "start"),
    [
        pytest.param(name, each.values[0], id=each.id)
        for name in ("tx_valid", "tx_invalid")
        for each in chunks(name)
    ],
)
def test_transaction_vectors_under_all_flags(kernel: Kernel, name: str, start: int) -> None:
    cases: list[Case] = []
    for _, prevouts, raw, _ in transaction_cases(name, start):
        tx = transaction_from_bytes(raw)
        if all(txin.prevout in prevouts for txin in tx.vin):
            digests = TxDigests(tx, tuple(prevouts[txin.prevout] for txin in tx.vin))
            cases += [(digests, index, FLAGS) for index in range(len(tx.vin))]
    check(kernel, cases)


def draw_flags(random: Random) -> tuple[int, ...]:
    return verify_flags.MANDATORY, *random.sample(FLAGS, 3)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_random_spends(kernel: Kernel, number: int) -> None:
    """A hundred spends of every kind of output, under all rules and under some of them."""
    random = Random(f"{SEED} {number}")
    spends = [draw_spend(random) for _ in range(100)]
    found = check(kernel, [(digests, at, draw_flags(random)) for _, digests, at in spends])
    valid = Counter(verdicts[0] for verdicts in found)
    assert min(valid[True], valid[False]) > 20  # neither all right nor all wrong


@pytest.mark.parametrize("number", range(ROUNDS))
def test_damaged_vectors(kernel: Kernel, number: int) -> None:
    """A hundred of Core's script vectors, one thing changed in each."""
    random = Random(f"vectors {SEED} {number}")
    cases: list[Case] = []
    for _, script_sig, script_pubkey, witness, amount, _ in script_cases(
        random.randrange(12) * 100
    ):
        spend = TxDigests(*spend_of(script_sig, script_pubkey, witness, amount))
        for _ in range(random.choice([1, 1, 2])):
            spend = damage_spend(random, spend, 0)
        cases.append((spend, 0, draw_flags(random)))
    check(kernel, cases)


def known_transactions() -> list[bytes]:
    names = ("tx_valid", "tx_invalid")
    known = [bytes.fromhex(row[1]) for name in names for row in vectors(f"{name}.json") if row[1:]]
    return known + [bytes.fromhex(row[0]) for row in vectors("sighash.json")[1:]]


def read(raw: bytes) -> Transaction | None:
    try:
        return transaction_from_bytes(raw)
    except ParseError:
        return None


@pytest.mark.parametrize("number", range(ROUNDS))
def test_what_is_a_transaction(kernel: Kernel, number: int) -> None:
    """The same bytes are read, to the same id. The library passes over bytes that are left."""
    random = Random(f"bytes {SEED} {number}")
    raws = known_transactions()
    if number:
        raws = [random.choice(raws) for _ in range(100)]
        raws += [draw_spend(random).digests.tx.serialize() for _ in range(100)]
        for _ in range(random.randint(1, 3)):
            raws = [damage(random, raw) for raw in raws]
    wrong = []
    for raw, theirs in zip(raws, kernel.read_transactions(raws), strict=True):
        tx = read(raw)
        expected = None if theirs is None or theirs[1] != raw else theirs[0]
        if (tx and tx.txid) != expected or (tx and tx.serialize() != raw):
            wrong.append((raw.hex(), theirs))
    assert wrong == []


def test_the_end_of_the_engine_is_told(registries: Registries, tmp_path: Path) -> None:
    """The library aborts where it is used wrongly: that must fail a test and not hang it."""
    kernel = Kernel(kernel_python(registries), tmp_path / "log")
    digests = draw_spend(Random(1)).digests
    beyond = len(digests.tx.vin)
    try:
        with pytest.raises(KernelDied, match="in verify"):
            kernel.verify([(digests.tx, (*digests.spent, digests.spent[0]), beyond, [0])])
    finally:
        kernel.close()
