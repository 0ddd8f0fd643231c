"""Whose coins a payment spends, and raising the fee of one that waits, through a real node."""

import re
import time
from pathlib import Path

from misocoin.wallet.light.payments import PaymentState
from tests.functional.framework.daemon import Daemon
from tests.functional.framework.purse import COIN, Purse, Run, fund, new


def payment_of(out: str) -> str:
    match = re.search(r"Payment (\w{64}) is signed", out)
    assert match, out
    return match[1]


def test_a_higher_fee_in_the_place_of_a_lower(daemon: Daemon, purse: Purse, run: Run) -> None:
    fund(daemon, purse, new(run, "hd", "new-wallet"))
    theirs = daemon.rpc.get_new_address()
    first = payment_of(run("send", "hd", "10", theirs, "-feerate=0.00001", "-note=rent")[1])
    code, out, err = run("bump", first, "-dry-run")
    assert (code, err) == (0, "")
    assert out.endswith("Nothing was sent.\n")
    assert daemon.rpc.get_mempool() == [first]
    second = payment_of(run("bump", first)[1])  # the least that nodes take
    assert daemon.rpc.get_mempool() == [second]
    third = payment_of(run("bump", second, "-feerate=0.0005")[1])
    assert daemon.rpc.get_mempool() == [third]
    entry = daemon.rpc.getmempoolentry(third)
    assert entry["fees"]["base"] * COIN >= 50 * entry["vsize"]
    for txid, words, reason in (
        (first, (), "does not wait for a block: it is replaced"),
        (third, ("-feerate=0.0005",), "nodes take another in its place from"),
        ("00" * 32, (), "no payment of this wallet has the id"),
        ("rent", (), "no payment of this wallet has the id"),
    ):
        code, _, err = run("bump", txid, *words)
        assert (code, err.count("\n")) == (1, 1)
        assert reason in err
    later = payment_of(run("send", "hd", "1", theirs)[1])  # spends the change
    code, _, err = run("bump", third)
    assert (code, f"payment {later} spends its change" in err) == (1, True)
    history = run("history")[1]
    assert history.count("(rent)") == 3
    assert re.search(f"replaced  {first}", history)
    daemon.rpc.generatetoaddress(1, theirs)
    told = purse.sync()
    assert [each.tx.txid_hex for each in told.changed] == [third, later]
    assert purse.states() == [PaymentState.REPLACED] * 2 + [PaymentState.MINED] * 2
    assert run("bump", third)[0] == 1
    assert 38 * COIN < purse.available() < 39 * COIN


def test_the_payment_that_was_replaced_may_be_mined(daemon: Daemon, purse: Purse, run: Run) -> None:
    fund(daemon, purse, new(run, "rob"))
    theirs = daemon.rpc.get_new_address()
    first = payment_of(run("send", "rob", "10", theirs)[1])
    raw = daemon.rpc.getrawtransaction(first)
    second = payment_of(run("bump", first, "-nodes=127.0.0.1:1")[1])  # no node hears of it
    daemon.rpc.generateblock(theirs, [raw])
    changed = {each.tx.txid_hex: each for each in purse.sync().changed}
    assert changed[first].state is PaymentState.MINED
    assert changed[second].state is PaymentState.CONFLICTED
    assert first in changed[second].detail
    assert 39 * COIN < purse.available() < 40 * COIN


def test_a_fee_is_raised_from_further_coins_where_there_is_no_change(
    daemon: Daemon, purse: Purse, run: Run
) -> None:
    address = new(run, "rob")
    fund(daemon, purse, address)
    theirs = daemon.rpc.get_new_address()
    first = payment_of(run("send", "rob", "-all", theirs)[1])
    code, _, err = run("bump", first)
    assert (code, "no more to pay a higher fee from" in err) == (1, True)
    paid = daemon.rpc.sendtoaddress(address, 1)
    daemon.rpc.generateblock(theirs, [daemon.rpc.getrawtransaction(paid)])
    purse.sync()
    out = run("bump", first)[1]
    second = payment_of(out)
    assert re.search(rf"change +0\.9\d+  {address}", out)
    assert daemon.rpc.get_mempool() == [second]


def test_each_name_and_address_pays_from_its_own_coins(
    daemon: Daemon, purse: Purse, run: Run
) -> None:
    ann, bob, hd = new(run, "ann"), new(run, "bob"), new(run, "hd", "new-wallet")
    other = run("next-address", "hd")[1].strip()
    for address in (ann, bob, hd):
        daemon.rpc.generatetoaddress(1, address)
    fund(daemon, purse, other)
    theirs = daemon.rpc.get_new_address()

    def held(address: str) -> int:
        with purse.open() as (wallet, _, folder):
            held = wallet.balances(int(time.time())).get(folder.script_of(address))
            return 0 if held is None else held.confirmed + held.pending

    for name in ("ann", other):
        code, _, err = run("send", name, "60", theirs)
        assert (code, "50.00000000 can be spent" in err) == (1, True), err
    run("send", "ann", "20", theirs)
    out = run("send", other, "20", theirs)[1]
    assert re.search(f"change +29.9\\d+  {other}", out)  # goes back to the address that was named
    assert [held(each) for each in (bob, hd)] == [50 * COIN] * 2
    assert all(29 * COIN < held(each) < 30 * COIN for each in (ann, other))
    payment_of(run("send", "hd", "60", theirs)[1])  # the name of a wallet: all of its addresses
    assert held(hd) == held(other) == 0
    out = run("send", "bob", "70", theirs, "-any")[1]  # more than bob has
    assert re.search(f"change .* {bob}", out)
    assert len(daemon.rpc.get_mempool()) == 4


def test_what_one_name_pays_another_can_be_spent_at_once(
    daemon: Daemon, purse: Purse, run: Run, tmp_path: Path
) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("open sesame\n")
    hidden = f"-passphrasefile={secret}"
    fund(daemon, purse, new(run, "ann"))
    run("new-address", "bob", hidden)
    assert run("send", "ann", "10", "bob")[0] == 0
    assert run("send", "bob", "9", "ann", hidden)[0] == 0
    assert len(daemon.rpc.get_mempool()) == 2
    # Whose coins are not needed is not asked for a passphrase.
    assert run("send", "ann", "5", daemon.rpc.get_new_address(), "-any")[0] == 0


def test_a_mistyped_node_is_not_remembered(daemon: Daemon, purse: Purse, run: Run) -> None:
    new(run, "ann")
    out = run("sync", "-once", f"-nodes={purse.node},127.0.0.1:1")[1]
    assert "Warning: 127.0.0.1:1 gave no answer" in out
    listed = run("nodes")[1]
    assert purse.node in listed
    assert "127.0.0.1:1 " not in listed
    assert run("nodes", f"-forget={purse.node}")[1].startswith(f"{purse.node} is forgotten\n")
    code, _, err = run("nodes", f"-forget={purse.node}")
    assert (code, err) == (1, f"misocoin wallet: no node {purse.node} is remembered\n")
