"""The folder of named keys: names, files, what is wrong with them, two users at once."""

import os
import resource
import stat
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.pem import pem_from_key
from misocoin.errors import (
    AddressError,
    KeyFormatError,
    NotFoundError,
    WalletError,
    WalletLocked,
    WrongPassphrase,
)
from misocoin.params import miso, regtest
from misocoin.wallet.addresses import AddressType, Branch
from misocoin.wallet.keyfolder import KeyFolder, check_name
from misocoin.wallet.walletfile import (
    SealedBox,
    Secrets,
    WalletFile,
    account_from_extended_key,
    bytes_from_wallet_file,
    new_wallet_file,
    text_from_account_key,
)

KEY = PrivateKey(bytes(31) + b"\x05")
SECOND = PrivateKey(bytes(31) + b"\x06")
ABANDON = "abandon " * 11 + "about"


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys", miso())


def again(folder: KeyFolder) -> KeyFolder:
    return KeyFolder(folder.path, folder.params)


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "robs-address", "Robs address", "x.y_z@2+3", "müller", "7"])
def test_names(name: str, folder: KeyFolder) -> None:
    folder.add_key(name, KEY)
    assert again(folder).get(name).keychain.script == folder.script_of(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is no name"),
        (".", "path"),
        ("..", "path"),
        ("../x", "path in it"),
        ("/etc/passwd", "path in it"),
        ("a\\b", "path in it"),
        ("a\0b", "is no name"),
        ("a\nb", "is no name"),
        (".hidden", "is no name"),
        ("-option", "is no name"),
        (" a", "is no name"),
        ("a ", "is no name"),
        ("x" * 65, "is no name"),
        ("05" * 20, "is an address"),
        ("bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "is an address"),
    ],
)
def test_what_is_no_name(name: str, reason: str, folder: KeyFolder) -> None:
    with pytest.raises(WalletError, match=reason):
        folder.add_key(name, KEY)
    assert [path.name for path in folder.path.iterdir()] == [".lock"]


@given(st.text(max_size=80))
def test_no_name_leaves_the_folder(name: str) -> None:
    try:
        check_name(name)
    except WalletError:
        return
    assert Path("x", name).parent == Path("x")
    assert name == name.strip()


@pytest.mark.parametrize("taken", ["rob", "ROB"])
def test_a_name_is_given_once(taken: str, folder: KeyFolder) -> None:
    folder.add_key("rob", KEY)
    for make in (
        lambda: again(folder).add_key(taken, SECOND),
        lambda: again(folder).add_wallet(taken, WalletFile()),
    ):
        with pytest.raises(WalletError, match="is taken"):
            make()
    assert again(folder).get("rob").keychain.private_key(folder.script_of("rob")) == KEY


def test_unknown_names_and_addresses(folder: KeyFolder) -> None:
    folder.add_key("rob", KEY)
    other = folder.address(again(folder).script_of("rob"))
    assert folder.find(other).name == folder.find("rob").name == "rob"
    with pytest.raises(NotFoundError, match="no key or wallet is named 'bob'"):
        folder.get("bob")
    with pytest.raises(NotFoundError, match="named 'bob', and it is no address of chain miso"):
        folder.find("bob")
    with pytest.raises(NotFoundError, match="is not an address of this wallet"):
        folder.find("00" * 20)
    with pytest.raises(AddressError, match="is not an address"):
        folder.find("!bob")
    with pytest.raises(AddressError, match="of chain bitcoin, not of miso"):
        folder.script_of("bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu")
    with pytest.raises(AddressError, match="typing error"):
        folder.script_of(other[:-1] + ("q" if other[-1] != "q" else "p"))


def test_renaming(folder: KeyFolder) -> None:
    folder.add_key("rob", KEY)
    folder.add_key("bob", SECOND)
    with pytest.raises(WalletError, match="is taken"):
        folder.rename("rob", "bob")
    with pytest.raises(NotFoundError):
        folder.rename("nobody", "x")
    assert folder.rename("rob", "robert").keychain.script == folder.script_of("robert")
    assert sorted(each.name for each in again(folder).all) == ["bob", "robert"]


# -- files ------------------------------------------------------------------------------------


def test_files_are_their_owners(folder: KeyFolder) -> None:
    before = os.umask(0)
    try:
        folder.add_key("rob", KEY)
        folder.add_wallet("hd", new_wallet_file(Secrets(ABANDON), miso()))
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for path in folder.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("suffix", ["pem", "json"])
def test_a_full_disk_leaves_no_half_key(suffix: str, folder: KeyFolder) -> None:
    folder.add_key("first", KEY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(WalletError, match="rob"):
            if suffix == "pem":
                folder.add_key("rob", SECOND)
            else:
                folder.add_wallet("rob", new_wallet_file(Secrets(ABANDON), miso()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "first.pem"]
    assert [each.name for each in again(folder).all] == ["first"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("x.pem", pem_from_key(KEY).encode()[:120], "has no end"),
        ("x.pem", b"precious", "holds no private key"),
        ("x.pem", b"", "holds no private key"),
        ("x.json", b"", "not a wallet file"),
        ("x.json", b"[]", "not a wallet file"),
        ("x.json", b"{}", "damaged"),
        ("x.json", b'{"misocoin_wallet": 2}', "another version"),
        ("x.json", b'{"misocoin_wallet": 1, "chain": "regtest"}', "of chain regtest, not of miso"),
    ],
)
def test_foreign_files_are_named_and_stay_and_the_rest_works(
    name: str, data: bytes, reason: str, folder: KeyFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.add_key("rob", KEY)
    path = folder.path / name
    path.touch(0o600)
    path.write_bytes(data)
    opened = again(folder)
    opened.reload()
    assert [each.name for each in opened.all] == ["rob"]
    (said,) = caplog.messages
    assert said.startswith(f"{path}: ")
    assert reason in said
    assert said.endswith("; x is left out")
    for use in (opened.get, opened.find, opened.script_of, opened.new_address):
        with pytest.raises(KeyFormatError, match=reason) as error:
            use("x")
        assert str(path) in str(error.value)
    for use in (partial(opened.add_key, key=KEY), partial(opened.rename, "rob")):
        with pytest.raises(WalletError, match="taken"):
            use("x")
    with pytest.raises(KeyFormatError, match=reason):
        opened.rename("x", "y")
    assert path.read_bytes() == data
    path.write_text(pem_from_key(KEY) if path.suffix == ".pem" else "")
    opened.reload()
    assert ("x" in {each.name for each in opened.all}) == (path.suffix == ".pem")


def test_what_cannot_be_read_is_left_out(
    folder: KeyFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.add_key("rob", KEY)
    (folder.path / "jane.pem").mkdir()
    assert [each.name for each in again(folder).all] == ["rob"]
    assert caplog.messages == [f"{folder.path / 'jane.pem'}: Is a directory; jane is left out"]


def test_other_files_are_nobodys_business(folder: KeyFolder) -> None:
    (folder.path / "headers.sqlite").write_bytes(b"x")
    (folder.path / "rob.pem.new").write_bytes(b"half a k")
    assert again(folder).all == []
    folder.add_key("rob", KEY)
    assert [each.name for each in again(folder).all] == ["rob"]


def test_one_name_in_two_files_is_refused(folder: KeyFolder) -> None:
    folder.add_key("rob", KEY)
    (folder.path / "rob.json").write_bytes(bytes_from_wallet_file(WalletFile(), miso()))
    folder.add_key("jane", KEY)
    opened = again(folder)
    assert [each.name for each in opened.all] == ["jane"]
    with pytest.raises(WalletError, match="two files named rob"):
        opened.get("rob")


# -- passphrases ------------------------------------------------------------------------------


def test_encrypted_keys_tell_their_address_and_open_with_the_passphrase(folder: KeyFolder) -> None:
    folder.add_key("rob", KEY, b"hello", birth=1_700_000_000)
    keys = again(folder).get("rob").keychain
    assert keys.script == KeyFolder(folder.path, miso()).script_of("rob")
    assert keys.file.birth == 1_700_000_000
    with pytest.raises(WalletLocked):
        keys.private_key(keys.script)
    with pytest.raises(WrongPassphrase):
        keys.open(b"Hello")
    keys.unlock(keys.open(b"hello"), b"hello")
    assert keys.private_key(keys.script) == KEY
    keys.lock()
    with pytest.raises(WalletLocked):
        keys.ring_for([keys.script])


def test_an_encrypted_key_that_tells_nothing_is_to_be_imported(folder: KeyFolder) -> None:
    text = pem_from_key(KEY, b"x").partition("\n")[2]
    (folder.path / "rob.pem").write_text(text)
    with pytest.raises(KeyFormatError, match="import it"):
        again(folder).get("rob")


def test_passphrases_are_changed(folder: KeyFolder) -> None:
    folder.add_key("rob", KEY, birth=5)
    folder.add_wallet("hd", new_wallet_file(Secrets(ABANDON, "extra"), miso()))
    for name in ("rob", "hd"):
        script = folder.script_of(name)
        folder.set_passphrase(name, folder.get(name).keychain.secrets, b"one")
        keys = again(folder).get(name).keychain
        folder.set_passphrase(name, keys.open(b"one"), b"two")
        keys = again(folder).get(name).keychain
        with pytest.raises(WrongPassphrase):
            keys.open(b"one")
        keys.unlock(keys.open(b"two"), b"two")
        assert keys.script == script
        assert keys.private_key(script).public_key in {KEY.public_key, hd_key(0).public_key}
    assert again(folder).get("rob").keychain.file.birth == 5
    text = (folder.path / "hd.json").read_text()
    assert "abandon" not in text
    assert "extra" not in text.replace('"extra"', "")


def hd_key(number: int) -> PrivateKey:
    secrets = Secrets(ABANDON, "extra")
    own = new_wallet_file(secrets, miso()).accounts[0].address(Branch.RECEIVE, number)
    key = secrets.private_key(*own.origins[0])
    assert key is not None
    return key


# -- wallets ----------------------------------------------------------------------------------


def test_a_wallet_hands_out_address_after_address(folder: KeyFolder) -> None:
    folder.add_wallet("hd", new_wallet_file(Secrets(ABANDON, "extra"), miso(), gap=3))
    first = folder.script_of("hd")
    scripts = [first, *(folder.new_address("hd") for _ in range(4))]
    account = folder.get("hd").keychain.file.accounts[0]
    assert scripts == [account.address(Branch.RECEIVE, n).script_pubkey for n in range(5)]
    keys = again(folder).get("hd").keychain
    assert keys.addresses() == scripts
    assert keys.private_key(scripts[3]) == hd_key(3)
    taproot = folder.new_address("hd", AddressType.TAPROOT)
    assert taproot == account_at(folder, AddressType.TAPROOT).address(0, 0).script_pubkey
    assert again(folder).get("hd").keychain.addresses() == [*scripts, taproot]


def account_at(folder: KeyFolder, kind: AddressType):
    return next(a for a in folder.get("hd").keychain.file.accounts if a.kind is kind)


def test_two_processes_do_not_hand_out_the_same_address(folder: KeyFolder) -> None:
    folder.add_wallet("hd", new_wallet_file(Secrets(ABANDON), miso()))
    other = again(folder)
    scripts = [f.new_address("hd") for f in (folder, other, folder, folder, other)]
    assert len(set(scripts)) == 5


def test_what_is_seen_is_looked_beyond_and_remembered(folder: KeyFolder) -> None:
    folder.add_wallet("hd", new_wallet_file(Secrets(ABANDON), miso(), gap=2))
    account = folder.get("hd").keychain.file.accounts[0]
    rows = [[account.address(branch, n).script_pubkey for n in range(9)] for branch in Branch]
    known = [[s in folder.watched for s in row] for row in rows]
    assert known == [[True] * 3 + [False] * 6, [True] * 2 + [False] * 7]
    other = again(folder)
    folder.note_used([rows[0][2], rows[1][1], bytes(22)])
    assert [[s in folder.watched for s in row] for row in rows] == [
        [True] * 5 + [False] * 4,
        [True] * 4 + [False] * 5,
    ]
    assert folder.watched == again(folder).watched
    assert other.new_address("hd") == rows[0][3]
    assert rows[1][3] in other.watched
    assert folder.watched[rows[0][0]].name == "hd"


def test_watching_by_an_extended_key(folder: KeyFolder) -> None:
    hd = folder.add_wallet("hd", new_wallet_file(Secrets(ABANDON), miso()))
    for kind, account in zip(
        (AddressType.BECH32, AddressType.TAPROOT, AddressType.NESTED, AddressType.LEGACY),
        hd.keychain.file.accounts,
        strict=True,
    ):
        text = text_from_account_key(account.keys[0], miso())
        watched = account_from_extended_key(text, miso(), kind)
        keys = folder.add_wallet(kind.value, WalletFile(accounts=(watched,))).keychain
        assert keys.is_watch_only
        assert keys.script == account.address(Branch.RECEIVE, 0).script_pubkey
        with pytest.raises(WalletError, match="watches only"):
            keys.ring_for([keys.script])
        bare = text.rpartition("]")[2]
        assert (
            account_from_extended_key(bare, miso(), kind).address(Branch.CHANGE, 5).script_pubkey
            == account.address(Branch.CHANGE, 5).script_pubkey
        )


ZPUB = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf"
    "31mGDtKsAYz2oz2AGutZYs"
)
XPRV = (
    "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3"
    "TGtRBeJgk33yuGBxrMPHi"
)


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        (XPRV, None, "private key"),
        (ZPUB[:-1] + "t", None, "typing error"),
        (ZPUB, AddressType.TAPROOT, "another type"),
        (f"[xyz]{ZPUB}", None, "origin"),
        (f"[d34db33f/x]{ZPUB}", None, "path"),
    ],
)
def test_what_cannot_be_watched(text: str, kind: AddressType | None, reason: str) -> None:
    with pytest.raises(KeyFormatError, match=reason) as error:
        account_from_extended_key(text, miso(), kind)
    assert XPRV not in str(error.value)


def test_extended_keys_belong_to_a_chain() -> None:
    assert account_from_extended_key(ZPUB, miso()).kind is AddressType.BECH32
    with pytest.raises(KeyFormatError, match="another chain than regtest"):
        account_from_extended_key(ZPUB, regtest())


def test_sealed_secrets_are_sealed() -> None:
    secrets = Secrets(ABANDON, "extra", (KEY,))
    box = SealedBox.close(secrets, b"hello", miso())
    assert box.open(b"hello") == secrets
    for damaged in (
        replace(box, nonce=bytes(12)),
        replace(box, salt=bytes(16)),
        replace(box, data=box.data[:-1] + bytes((box.data[-1] ^ 1,))),
    ):
        with pytest.raises(WrongPassphrase, match="wrong, or the file is damaged"):
            damaged.open(b"hello")
    assert "abandon" not in repr(secrets)
    assert "extra" not in repr(secrets).replace("extra=", "")
