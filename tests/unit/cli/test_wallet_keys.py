"""The wallet's commands about keys, as somebody types them."""

import fcntl
import io
import os
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from misocoin.cli.wallet import main
from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.pem import key_from_pem, pem_from_key
from misocoin.crypto.wif import key_from_wif, wif_from_key
from misocoin.params import bitcoin, miso
from misocoin.wallet.addresses import AddressType
from misocoin.wallet.keyfolder import KeyFolder

KEY = PrivateKey(bytes(31) + b"\x05")
WIF = wif_from_key(KEY, miso().address.wif)
ABANDON = "abandon " * 11 + "about"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder of its own; `stdin` is what is read there."""
    monkeypatch.setenv("MISOCOIN_WALLETDIR", str(tmp_path / "keys"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def passphrase(tmp_path: Path, text: str = "hello") -> str:
    path = tmp_path / "passphrase"
    path.write_text(text + "\n")
    return f"-passphrasefile={path}"


def test_a_new_address(run: Run, tmp_path: Path) -> None:
    code, out, err = run("new-address", "robs-address")
    assert (code, err) == (0, "")
    match = re.fullmatch(
        r"Generated key \[robs-address\] with address (miso1q\w+)   Key saved in (.*)\n", out
    )
    assert match
    assert match[2] == str(tmp_path / "keys" / "robs-address.pem")
    assert run("next-address", "robs-address")[1] == f"{match[1]}\n"
    code, out, err = run("new-address", "robs-address")
    assert (code, out) == (1, "")
    assert err == "misocoin wallet: the name 'robs-address' is taken\n"


def test_the_default_folder_is_the_chains(run: Run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("MISOCOIN_WALLETDIR")
    for chain, prefix in (("miso", "miso1"), ("regtest", "bcrt1"), ("bitcoin", "bc1")):
        assert prefix in run("new-address", "x", f"-chain={chain}")[1]
        assert (tmp_path / ".misocoin" / f"wallet-{chain}" / "x.pem").exists()


def test_keys_go_in_and_out(run: Run, tmp_path: Path) -> None:
    for number, text in enumerate((WIF, pem_from_key(KEY), KEY.secret.hex())):
        code, out, _ = run("import", f"k{number}", "-", stdin=text)
        assert code == 0
        assert f"Imported key [k{number}]" in out
        code, out, _ = run("export", f"k{number}", "-wif")
        assert key_from_wif(out.strip(), miso().address.wif) == KEY
    (tmp_path / "key.wif").write_text(f"{WIF}\n")
    assert run("import", "k3", str(tmp_path / "key.wif"))[0] == 0
    code, out, _ = run("export", "k3")
    assert key_from_pem(out) == KEY
    file = tmp_path / "out.pem"
    assert run("export", "k3", f"-out={file}")[:2] == (0, "")
    assert key_from_pem(file.read_text()) == KEY
    assert file.stat().st_mode & 0o777 == 0o600
    code, _, err = run("export", "k3", f"-out={file}")
    assert code == 1
    assert "nothing is overwritten" in err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a private key in WIF"),
        (WIF[:-1] + ("x" if WIF[-1] != "x" else "y"), "typing error"),
        (wif_from_key(KEY, bitcoin().address.wif), "another network"),
        ("00" * 32, "between 1 and the order"),
        (pem_from_key(KEY)[:150], "damaged|no such section"),
        ("x" * 5000, "too long"),
    ],
)
def test_what_is_no_key_is_refused(text: str, reason: str, run: Run, tmp_path: Path) -> None:
    code, out, err = run("import", "bad", "-", stdin=text)
    assert (code, out) == (1, "")
    assert re.search(reason, err)
    assert err.count("\n") == 1
    assert not text or text not in err
    assert not list((tmp_path / "keys").glob("bad*"))


def test_a_secret_where_a_file_is_to_be_named_is_not_repeated(run: Run) -> None:
    code, _, err = run("import", "k", WIF)
    assert code == 1
    assert WIF not in err
    code, _, err = run("restore", "k", ABANDON)
    assert code == 1
    assert "abandon" not in err


def test_encrypted_keys(run: Run, tmp_path: Path) -> None:
    good = passphrase(tmp_path)
    assert run("import", "k", "-", good, stdin=WIF)[0] == 0
    assert "ENCRYPTED" in (tmp_path / "keys" / "k.pem").read_text()
    assert run("export", "k", "-wif", good)[1] == f"{WIF}\n"
    (tmp_path / "wrong").write_text("x")
    code, out, err = run("export", "k", f"-passphrasefile={tmp_path / 'wrong'}")
    assert (code, out) == (1, "")
    assert err == "misocoin wallet: the passphrase is wrong, or the file is damaged\n"
    code, _, err = run("export", "k", f"-passphrasefile={tmp_path / 'none'}")
    assert code == 1
    assert "No such file" in err
    (tmp_path / "empty").write_text("\n")
    assert "empty" in run("export", "k", f"-passphrasefile={tmp_path / 'empty'}")[2]
    read, write = os.pipe()
    os.write(write, b"hello\n")
    os.close(write)
    assert run("export", "k", "-wif", f"-passphrasefd={read}")[1] == f"{WIF}\n"
    os.close(read)
    assert run("export", "k", good, "-passphrasefd=0")[0] == 2


def test_wallets_of_words(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("new-wallet", "savings")
    assert code == 0
    words = run("words", "savings")[1]
    assert len(words.split()) == 12
    assert re.findall(r"\d+\. (\w+)", out) == words.split()
    first = re.search(r"address (miso1q\w+)", out)[1]
    second = run("next-address", "savings")[1]
    assert second.strip() != first
    assert run("next-address", "savings", "-type=bech32m")[1].startswith("miso1p")
    code, out, _ = run("restore", "again", "-", "-gap=50", passphrase(tmp_path), stdin=words)
    assert code == 0
    assert first in out
    assert words.split()[0] not in (tmp_path / "keys" / "again.json").read_text()
    assert run("next-address", "again")[1] == second
    assert run("words", "again", passphrase(tmp_path))[1] == words
    folder = KeyFolder(tmp_path / "keys", miso())
    assert folder.get("again").keychain.file.accounts[0].gap == 50
    assert len(run("new-wallet", "long", "-words=24")[1].split("\n\n")[1].split()) >= 48


def test_published_words_give_published_addresses(run: Run) -> None:
    code, out, _ = run("restore", "w", "-", "-chain=bitcoin", stdin=ABANDON)
    assert "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu" in out
    out = run("next-address", "w", "-chain=bitcoin")[1]
    assert out == "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g\n"
    code, _, err = run(
        "restore", "x", "-", "-chain=bitcoin", stdin=ABANDON.replace("about", "above")
    )
    assert code == 1
    assert "checksum" in err
    assert "above" not in err


def test_watching(run: Run) -> None:
    run("restore", "w", "-", stdin=ABANDON)
    xpub = run("xpub", "w")[1].strip()
    assert xpub.startswith("[73c5da0a/84'/1835627375'/0']xpub")
    code, out, _ = run("watch", "eyes", xpub)
    assert code == 0
    assert run("next-address", "eyes")[1] == run("next-address", "w")[1]
    code, _, err = run("export", "eyes")
    assert code == 1
    assert "watches only" in err
    assert run("watch", "other", "xpub123")[0] == 1


def test_extended_keys_as_electrum_has_them(run: Run) -> None:
    run("restore", "w", "-", "-chain=bitcoin", stdin=ABANDON)
    zpub = (  # of BIP84
        "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31"
        "mGDtKsAYz2oz2AGutZYs"
    )
    assert run("xpub", "w", "-slip132", "-chain=bitcoin")[1] == f"{zpub}\n"
    for kind, start in (("legacy", "xpub"), ("p2sh-segwit", "ypub"), ("bech32m", "xpub")):
        assert run("xpub", "w", "-slip132", f"-type={kind}", "-chain=bitcoin")[1][:4] == start
    assert run("xpub", "w", "-slip132", "-multisig", "-chain=bitcoin")[1][:4] == "Zpub"
    out = run("watch", "eyes", zpub, "-chain=bitcoin")[1]
    assert "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu" in out


def test_each_account_of_the_words_is_a_wallet(run: Run) -> None:
    made = run("restore", "w", "-", "-account=7", stdin=ABANDON)[1]
    run("restore", "first", "-", stdin=ABANDON)
    xpub = run("xpub", "first", "-account=7")[1].strip()
    assert xpub == run("xpub", "w")[1].strip()
    assert xpub.startswith("[73c5da0a/84'/1835627375'/7']xpub")
    address = made.split("with address ")[1].split()[0]
    assert address in run("watch", "eyes", xpub)[1]
    assert address not in run("next-address", "first")[1]
    assert "/0']xpub" in run("xpub", "w", "-account=0")[1]
    multi = run("xpub", "w", "-multisig", "-account=2")[1]
    assert multi.startswith("[73c5da0a/48'/1835627375'/2'/2']xpub")
    assert run("restore", "x", "-", "-account=-1", stdin=ABANDON)[0] == 2


def test_multisig(run: Run, tmp_path: Path) -> None:
    for name in "abc":
        run("new-wallet", name)
    keys = [run("xpub", name, "-multisig")[1].strip() for name in "abc"]
    code, out, _ = run("new-multisig", "ours", "2", "a", *keys[1:])
    assert code == 0
    assert re.search("2 of 3, with address miso1q", out)
    assert run("new-multisig", "theirs", "2", *reversed(keys))[0] == 0
    folder = KeyFolder(tmp_path / "keys", miso())
    account = folder.get("ours").keychain.file.accounts[0]
    assert (account.kind, account.required, len(account.keys)) == (AddressType.MULTISIG, 2, 3)
    assert folder.script_of("ours") == folder.script_of("theirs")
    for words, reason in (
        (("4", *keys), "4 of 3 keys is no multisig"),
        (("0", *keys), "0 of 3 keys"),
        (("1", keys[0], keys[0]), "twice"),
    ):
        code, _, err = run("new-multisig", "bad", *words)
        assert code == 1
        assert reason in err
    assert run("new-multisig", "bad", "two", *keys)[0] == 2


def test_renaming_and_passphrases(run: Run, tmp_path: Path) -> None:
    run("import", "k", "-", stdin=WIF)
    assert run("rename", "k", "kk")[0] == 0
    assert run("rename", "k", "kkk")[0] == 1
    assert run("set-passphrase", "kk", passphrase(tmp_path))[0] == 0
    assert run("export", "kk", "-wif", passphrase(tmp_path))[1] == f"{WIF}\n"


@pytest.mark.parametrize("made", [("import", "k", "-"), ("restore", "k", "-")])
def test_a_passphrase_is_set_changed_and_removed(run: Run, tmp_path: Path, made) -> None:
    stdin, show = (WIF, "export") if made[0] == "import" else (ABANDON, "words")
    assert run(*made, stdin=stdin)[0] == 0
    bare = run(show, "k")[1]
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("one\n")
    second.write_text("two\n")
    assert run("remove-passphrase", "k")[2] == "misocoin wallet: k has no passphrase\n"
    assert run("set-passphrase", "k", f"-passphrasefile={first}")[0] == 0
    change = ("set-passphrase", "k", f"-passphrasefile={second}")
    assert "the passphrase is wrong" in run(*change, f"-oldpassphrasefile={second}")[2]
    assert run(*change, f"-oldpassphrasefile={first}") == (0, "", "")
    assert run(show, "k", f"-passphrasefile={first}")[0] == 1
    assert run(show, "k", f"-passphrasefile={second}")[1] == bare
    assert "the passphrase is wrong" in run("remove-passphrase", "k", f"-passphrasefile={first}")[2]
    code, out, _ = run("remove-passphrase", "k", f"-passphrasefile={second}")
    assert (code, "can spend from it now" in out) == (0, True)
    assert run(show, "k")[1] == bare
    (path,) = (tmp_path / "keys").glob("k.*")
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_address_of_another_chain_pays_nothing(run: Run, tmp_path: Path) -> None:
    run("import", "k", "-", stdin=WIF)
    foreign = "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
    for words in (("send", foreign, "1", "k"), ("send", "k", "1", foreign), ("export", foreign)):
        code, _, err = run(*words)
        assert (code, err.count("\n")) == (1, 1)
        assert f"{foreign!r} is an address of chain bitcoin, not of miso" in err
    code, _, err = run("send", "k", "1", "k", "-nodes=127.0.0.1:1")
    assert (code, err.count("\n")) == (1, 1)
    assert err.endswith("can be spent; nothing is known of the chain yet: wallet sync\n")
    (tmp_path / "file").touch()
    code, _, err = run("words", "k", f"-walletdir={tmp_path / 'file'}")
    assert err == f"misocoin wallet: {tmp_path / 'file'}: is a file, not a folder\n"


def test_messages(run: Run) -> None:
    run("import", "k", "-", stdin=WIF)
    address = run("next-address", "k")[1].strip()
    signature = run("sign-message", "k", "hello, world")[1].strip()
    assert run("sign-message", address, "hello, world")[1].strip() == signature
    assert run("verify-message", address, signature, "hello, world")[0] == 0
    assert run("verify-message", address, signature, "hello world") == (
        1,
        "",
        "misocoin wallet: the signature is not that address's for this message\n",
    )
    assert run("verify-message", "nobody", signature, "hello")[0] == 1


def test_without_a_terminal_nothing_is_typed(run: Run) -> None:
    def detached() -> None:
        os.setsid()

    done = subprocess.run(
        [sys.executable, "-m", "misocoin", "wallet", "import", "k"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        preexec_fn=detached,
        timeout=60,
    )
    assert done.returncode == 1
    assert "there is no terminal" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_typed_is_not_shown(run: Run, tmp_path: Path) -> None:
    ours, theirs = os.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    command = [sys.executable, "-m", "misocoin", "wallet", "import", "k", "-encrypt"]
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=take_terminal,
        pass_fds=[theirs],
    ) as process:
        os.close(theirs)
        shown = b""
        for prompt, answer in ((b"hex): ", WIF), (b"rase: ", "hello"), (b"more: ", "hello")):
            while not shown.endswith(prompt):
                shown += os.read(ours, 4096)
            os.write(ours, answer.encode() + b"\n")
        while b"Key saved" not in shown:
            shown += os.read(ours, 4096)
        assert process.wait(60) == 0
    os.close(ours)
    assert WIF.encode() not in shown
    assert b"hello" not in shown
    assert run("export", "k", "-wif", passphrase(tmp_path))[1] == f"{WIF}\n"
