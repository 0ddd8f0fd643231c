import pytest

from misocoin.chain.script_checks import ScriptChecks
from misocoin.consensus.coins import Coin
from misocoin.crypto.batch import SignatureCache
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import ValidationError
from misocoin.primitives.transaction import TxOut
from misocoin.script import flags as verify
from misocoin.script.signing import KeyRing, sign_transaction
from misocoin.script.templates import multisig_script
from tests.builders import (
    ANYONE,
    KEY_SCRIPT,
    make_outpoint,
    signed_spend,
    spend,
    with_bad_signature,
)

FLAGS = verify.MANDATORY
COINS = {make_outpoint(n): Coin(1000, KEY_SCRIPT, 1, False) for n in range(40)}
POINTS = list(COINS)


def _payment(start, stop):
    return signed_spend({point: COINS[point] for point in POINTS[start:stop]}, [5])


def _coins(tx):
    return [COINS[txin.prevout] for txin in tx.vin]


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def checks(request):
    made = ScriptChecks(request.param, SignatureCache())
    yield made
    made.close()


def _collect(checks, *transactions, **options):
    with checks.collect(**options) as sink:
        for tx in transactions:
            sink.add(tx, _coins(tx), FLAGS)


def test_right_signatures(checks):
    _collect(checks, _payment(0, 20), _payment(20, 40))
    _collect(checks)


def test_a_wrong_signature_is_told_with_its_input(checks):
    bad = with_bad_signature(_payment(3, 5))
    with pytest.raises(ValidationError) as caught:
        _collect(checks, _payment(5, 40), bad, _payment(0, 3))
    assert caught.value.reason == (
        "block-script-verify-flag-failed "
        "(Script evaluated without error but finished with a false/empty top stack element)"
    )
    assert caught.value.detail == f"input 0 of {bad.txid_hex}"
    # the next block is not to blame
    _collect(checks, _payment(0, 20))


def test_a_script_that_cannot_hold_is_refused_at_once(checks):
    tx = spend(POINTS[:1], [5])
    with checks.collect() as sink:
        sink.add(_payment(1, 30), _coins(_payment(1, 30)), FLAGS)
        with pytest.raises(ValidationError, match="Witness program"):
            sink.add(tx, _coins(tx), FLAGS)


def test_another_failure_forgets_what_is_under_way(checks):
    bad = with_bad_signature(_payment(3, 30))
    with pytest.raises(KeyError), checks.collect() as sink:
        sink.add(bad, _coins(bad), FLAGS)
        raise KeyError
    _collect(checks, _payment(0, 20))


def test_scripts_without_signatures(checks):
    tx = spend(POINTS[:1], [TxOut(1, ANYONE)])
    with checks.collect() as sink:
        sink.add(tx, [Coin(1, ANYONE, 1, False)], FLAGS)
    with pytest.raises(ValidationError, match="false/empty top stack"), checks.collect() as sink:
        sink.add(tx, [Coin(1, b"\x00", 1, False)], FLAGS)


def test_what_was_found_valid_is_remembered(checks):
    tx = _payment(0, 3)
    checks.check_transaction(tx, _coins(tx), FLAGS)
    assert len(checks.cache) == 3
    _collect(checks, tx)
    _collect(checks, tx, use_cache=False)
    bad = with_bad_signature(tx)
    with pytest.raises(ValidationError, match="block-script-verify-flag-failed"):
        checks.check_transaction(bad, _coins(bad), FLAGS)
    assert len(checks.cache) == 3


@pytest.mark.parametrize("signer", [0, 1, 2])
def test_a_multisig_holds_whichever_key_signed(checks, signer):
    """Which key a signature is of shows only when the first guess fails."""
    keys = [PrivateKey(bytes(31) + bytes((number,))) for number in (1, 2, 3)]
    script = multisig_script(1, tuple(key.public_key for key in keys))
    coin = Coin(1000, script, 1, False)
    unsigned = spend(POINTS[:1], [5])
    tx = sign_transaction(unsigned, [coin], KeyRing.build([keys[signer]]))
    with checks.collect() as sink:
        sink.add(tx, [coin], FLAGS)
        sink.add(_payment(1, 20), _coins(_payment(1, 20)), FLAGS)
    stranger = sign_transaction(unsigned, [coin._replace(value=1)], KeyRing.build(keys[:1]))
    other = Coin(1000, multisig_script(1, (keys[1].public_key, keys[2].public_key)), 1, False)
    with pytest.raises(ValidationError, match="false/empty top stack"), checks.collect() as sink:
        sink.add(stranger, [other], FLAGS)


def test_a_block_asks_the_cache_only_if_told_so(checks):
    """A replay must not believe what was found before."""
    tx = with_bad_signature(_payment(0, 1))
    other = _payment(1, 2)
    checks.check_transaction(other, _coins(other), FLAGS)
    checks.cache.contains = lambda _job: True
    _collect(checks, tx)
    with pytest.raises(ValidationError):
        _collect(checks, tx, use_cache=False)


def test_threads():
    for threads in (1, 3):
        made = ScriptChecks(threads)
        assert made.threads == threads
        assert made.cache is None
        _collect(made, _payment(0, 2))
        made.close()
