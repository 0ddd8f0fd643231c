"""Paying from named keys, through a real node."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from misocoin.primitives.transaction import Transaction
from misocoin.wallet.light.payments import PaymentState
from misocoin.wallet.psbt import psbt_from_text
from misocoin.wallet.psbt_signing import extract_transaction, finalize_psbt
from tests.functional.framework.daemon import Daemon
from tests.functional.framework.purse import COIN, Purse, Run, fund, new


def test_paying_by_name(daemon: Daemon, purse: Purse, run: Run) -> None:
    address = new(run, "rob")
    fund(daemon, purse, address)
    assert purse.available() == 50 * COIN
    theirs = daemon.rpc.get_new_address()
    code, out, err = run("send", "rob", "10", theirs, "2.5", "rob", "-note=for tea", "-dry-run")
    assert (code, err) == (0, "")
    assert out.endswith("Nothing was sent.\n")
    out = run("send", "rob", "10", theirs, "-dry-run")[1]
    assert sorted(line.split()[0] for line in out.splitlines()[:3]) == ["change", "fee", "to"]
    assert purse.states() == []
    code, out, err = run("send", "rob", "10", theirs, "2.5", "rob", "-note=for tea")
    assert (code, err) == (0, "")
    txid = re.search("Payment (\\w{64}) is signed", out)[1]
    assert f"{purse.node} has it." in out
    assert daemon.rpc.get_mempool() == [txid]
    daemon.rpc.generatetoaddress(1, theirs)
    purse.sync()
    assert purse.states() == [PaymentState.MINED]
    left = 40 * COIN - purse.available()
    assert 0 < left < 1_000
    code, out, _ = run("send", address, "-all", theirs)  # by address, and everything
    assert code == 0
    daemon.rpc.generatetoaddress(1, theirs)
    purse.sync()
    assert purse.available() == 0
    with purse.open() as (wallet, _, _):
        assert [each.entry.note for each in wallet.payments(int(time.time()))] == ["for tea", ""]


def test_change_of_a_wallet_goes_to_a_fresh_address(daemon: Daemon, purse: Purse, run: Run) -> None:
    fund(daemon, purse, new(run, "hd", "new-wallet"))
    theirs = daemon.rpc.get_new_address()
    for amount in ("1", "45", "2"):
        assert run("send", "hd", amount, theirs, "-feerate=0.0001")[0] == 0
    with purse.open() as (_, _, folder):
        assert folder.get("hd").keychain.file.accounts[0].next_indexes == (1, 3)
    assert len(daemon.rpc.get_mempool()) == 3
    daemon.rpc.generatetoaddress(1, theirs)
    purse.sync()
    assert purse.states() == [PaymentState.MINED] * 3
    assert 199_000_000 < purse.available() < 200_000_000


def test_what_cannot_be_paid(daemon: Daemon, purse: Purse, run: Run) -> None:
    address = new(run, "rob")
    theirs = daemon.rpc.get_new_address()
    code, _, err = run("send", "rob", "1", theirs)
    assert (code, err.count("\n")) == (1, 1)
    assert "Insufficient funds: 1.00000000 and a fee of" in err
    daemon.rpc.generatetoaddress(2, address)
    purse.sync()
    code, _, err = run("send", "rob", "1", theirs)
    assert "0.00000000 can be spent; 100.00000000 immature" in err
    code, _, err = run("send", "rob", "-all", theirs)
    assert (code, "nothing worth sending" in err) == (1, True)
    for words, reason in (
        (("bob", "1", theirs), "no key or wallet is named 'bob'"),
        (("rob", "1", "nobody"), "is not an address"),
        (("rob", "1", theirs[:-1] + ("q" if theirs[-1] != "q" else "p")), "typing error"),
        (("rob", "1", "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"), "chain bitcoin"),
        (("rob", "0", theirs), "more than zero"),
        (("rob", "0.00000001", theirs), "too small"),
        (("rob", "x", theirs), "not an amount"),
    ):
        code, _, err = run("send", *words)
        assert (code, err.count("\n")) == (1, 1)
        assert reason in err
    assert run("send", "rob", "1")[0] == 2
    assert run("send", "rob", "1", theirs, "2")[0] == 2
    assert purse.states() == []


def test_without_a_node_the_payment_waits(daemon: Daemon, purse: Purse, run: Run) -> None:
    fund(daemon, purse, new(run, "rob"))
    theirs = daemon.rpc.get_new_address()
    code, out, _ = run("send", "rob", "1", theirs, "-nodes=127.0.0.1:1")
    assert code == 0
    assert "No node has it yet" in out
    assert daemon.rpc.get_mempool() == []
    purse.sync()
    assert len(daemon.rpc.get_mempool()) == 1


def test_a_kill_loses_no_payment(daemon: Daemon, purse: Purse, run: Run) -> None:
    """Killed at any moment, a payment is either written down whole or was never made."""
    fund(daemon, purse, new(run, "rob"), 3)
    theirs = daemon.rpc.get_new_address()
    command = [sys.executable, "-m", "misocoin", "wallet", "send", "rob", "1", theirs]
    for delay in (0.15, 0.25, 0.3, 0.35, 0.4, 0.5):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ))
        with process:
            try:
                process.wait(delay)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    written = len(purse.states())
    purse.sync()
    assert purse.states() == [PaymentState.WAITING] * written
    assert len(daemon.rpc.get_mempool()) == written
    daemon.rpc.generatetoaddress(1, theirs)
    purse.sync()
    assert purse.states() == [PaymentState.MINED] * written


def test_a_multisig_pays_by_files(daemon: Daemon, purse: Purse, run: Run, tmp_path: Path) -> None:
    """Two of three sign copies of a PSBT; who keeps the watching wallet sends it."""
    for name in ("ann", "bob", "cyd"):
        new(run, name, "new-wallet")
    code, out, _ = run("new-multisig", "ours", "2", "ann", "bob", "cyd")
    assert code == 0
    fund(daemon, purse, re.search(r"address (bcrt1\w+)", out)[1])
    theirs = daemon.rpc.get_new_address()
    code, _, err = run("send", "ours", "1", theirs)
    assert (code, "watches only" in err) == (1, True)
    draft, one, two = (str(tmp_path / name) for name in ("draft.psbt", "one.psbt", "two.psbt"))
    assert run("psbt-create", "ours", "10", theirs, f"-out={draft}")[0] == 0
    code, out, _ = run("psbt-show", draft)
    assert f"10.00000000  {theirs}\n" in out
    assert re.search(r" bcrt1\w+  \[ours\]$", out, re.MULTILINE)  # the change
    nowhere = tmp_path / "nowhere"
    assert "[ours]" not in run("psbt-show", draft, f"-walletdir={nowhere}")[1]
    assert not nowhere.exists()
    assert "not complete: input 0 has 0 of the 2 signatures it needs" in out
    assert run("psbt-sign", draft, "ann", f"-out={one}")[0] == 0
    assert run("psbt-sign", draft, "cyd", f"-out={two}")[0] == 0
    for words, reason in (
        (("psbt-sign", draft, "ours"), "watches only"),
        (("psbt-sign", one, "ann"), "no signature to add"),
        (("psbt-send", one), "has 1 of the 2 signatures"),
        (("psbt-sign", draft, "bob", f"-out={one}"), "nothing is overwritten"),
        (("psbt-show", str(tmp_path / "nothing")), "No such file"),
        (("psbt-show", str(purse.path / "ann.json")), "not a partially signed transaction"),
    ):
        code, _, err = run(*words)
        assert (code, err.count("\n")) == (1, 1)
        assert reason in err
    both = str(tmp_path / "both.psbt")
    assert run("psbt-combine", one, two, f"-out={both}")[0] == 0
    assert "complete: psbt-send sends it" in run("psbt-show", both)[1]
    code, out, _ = run("psbt-send", one, two, "-note=together")
    assert code == 0
    assert f"{purse.node} has it." in out
    daemon.rpc.generatetoaddress(1, theirs)
    purse.sync()
    assert purse.states() == [PaymentState.MINED]
    assert 39 * COIN < purse.available() < 40 * COIN


def test_a_transaction_that_another_program_signed_is_sent(
    daemon: Daemon, purse: Purse, run: Run, tmp_path: Path
) -> None:
    fund(daemon, purse, new(run, "rob"))
    draft = tmp_path / "draft.psbt"
    assert run("psbt-create", "rob", "7", daemon.rpc.get_new_address(), f"-out={draft}")[0] == 0
    signed = tmp_path / "signed.psbt"
    assert run("psbt-sign", str(draft), "rob", f"-out={signed}")[0] == 0
    tx = extract_transaction(finalize_psbt(psbt_from_text(signed.read_bytes())))
    bare = [txin._replace(witness=()) for txin in tx.vin]
    whole = tx.serialize().hex()
    for text, reason in (
        (Transaction.build(2, bare, tx.vout).serialize().hex(), "is not signed"),
        (Transaction.build(2, tx.vin, tx.vout[::-1]).serialize().hex(), "do not hold"),
        (whole[:-8], "unexpected end"),
        (whole[:-1], "not a partially signed"),
    ):
        (tmp_path / "bad").write_text(text)
        code, _, err = run("psbt-send", str(tmp_path / "bad"))
        assert (code, err.count("\n")) == (1, 1)
        assert reason in err
    assert purse.states() == []
    (tmp_path / "good").write_text(f"{whole}\n")
    code, out, _ = run("psbt-send", str(tmp_path / "good"))
    assert (code, f"{purse.node} has it." in out) == (0, True)
    assert daemon.rpc.get_mempool() == [tx.txid_hex]
