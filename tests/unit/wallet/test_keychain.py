"""Keys and the scripts they spend."""

from pathlib import Path

import pytest

from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import WalletError
from misocoin.params import miso
from misocoin.primitives.transaction import Transaction, TxIn, TxOut
from misocoin.script.flags import STANDARD
from misocoin.script.inputs import verify_input
from misocoin.script.sighash import TxDigests
from misocoin.script.signing import sign_transaction
from misocoin.script.templates import p2pkh_script, p2wpkh_script
from misocoin.wallet.addresses import OwnAddress
from misocoin.wallet.keychain import Keychain
from misocoin.wallet.keyfile import read_keys, write_keys
from misocoin.wallet.nodekeys import open_node_keys
from tests.builders import make_outpoint

KEY = PrivateKey(bytes(31) + b"\x05")
SECOND = PrivateKey(bytes(31) + b"\x06")


def loaded(path: Path | None = None, imported: PrivateKey | None = None) -> Keychain:
    """The keys of a node whose older data folder holds `path`."""
    json = None if path is None else path.with_suffix(".json")
    return open_node_keys(miso(), json, path, imported)


def first_script(key: PrivateKey) -> bytes:
    return p2wpkh_script(hash160(key.public_key))


# -- single keys, as older data folders have them -------------------------------------------------


def test_in_memory_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keychain = loaded(imported=KEY)
    keychain.new_address()
    assert len(keychain.addresses()) == 2
    assert list(tmp_path.iterdir()) == []


def test_an_imported_key_comes_first_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    write_keys(path, [SECOND])
    assert loaded(path, KEY).script == first_script(KEY)
    assert read_keys(path) == [KEY, SECOND]
    loaded(path, SECOND)
    assert read_keys(path) == [SECOND, KEY]


def test_importing_what_is_first_already_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    write_keys(path, [KEY, SECOND])
    before = path.stat().st_ino
    loaded(path, PrivateKey(KEY.secret, compressed=False))
    assert path.stat().st_ino == before


def test_a_key_that_stands_twice_in_the_file_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    write_keys(path, [KEY, SECOND, KEY])
    keychain = loaded(path)
    assert len(keychain.addresses()) == 2
    keychain.new_address()
    assert len(read_keys(path)) == 4
    keychain.new_address()
    assert len(loaded(path).addresses()) == 4


def test_new_keys_are_on_disk_before_they_are_used(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    keychain = loaded(path, KEY)
    scripts = [keychain.script, keychain.new_address(), keychain.new_address()]
    assert [first_script(key) for key in read_keys(path)] == scripts
    assert not path.with_suffix(".json").exists()


def test_a_key_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    keychain = loaded(path, KEY)
    digest, scripts = keychain.digest, dict(keychain.scripts)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(WalletError):
        keychain.new_address()
    assert (keychain.addresses(), keychain.digest) == ([first_script(KEY)], digest)
    assert dict(keychain.scripts) == scripts
    (tmp_path / "elsewhere").rename(path)
    keychain.new_address()
    assert len(keychain.addresses()) == 2


def test_the_digest_stands_for_the_set(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    digests = set()
    for keys in ([KEY], [KEY, SECOND], [SECOND, KEY], [SECOND]):
        write_keys(path, keys)
        digests.add(loaded(path).digest)
    assert len(digests) == 3


def test_every_form_can_be_spent_within_its_weight() -> None:
    keychain = loaded(imported=PrivateKey(KEY.secret, compressed=False))
    assert len(keychain.scripts) == 7
    assert p2pkh_script(hash160(PrivateKey(KEY.secret, False).public_key)) in keychain.scripts
    for own in keychain.scripts.values():
        assert own.counts_for == keychain.script
        check_weight(keychain, own)


def check_weight(keychain: Keychain, own: OwnAddress) -> None:
    """Spend an output of that form a few times: what its input weighs is what was said."""
    script = own.script_pubkey
    heaviest = 0
    ring = keychain.ring_for([script, keychain.script])
    for locktime in range(8):  # signatures of different lengths
        outputs = [TxOut(900, script)]
        spent = [TxOut(1_000, script), TxOut(1_000, keychain.script)]
        inputs = [TxIn(make_outpoint(1)), TxIn(make_outpoint(2))]
        tx = Transaction.build(2, inputs, outputs, locktime)
        signed = sign_transaction(tx, spent, ring)
        digests = TxDigests(signed, spent)
        assert verify_input(digests, 0, STANDARD) is None
        assert verify_input(digests, 1, STANDARD) is None
        # What the input adds beside one that has a witness.
        alone = Transaction.build(2, signed.vin[1:], outputs, locktime)
        heaviest = max(heaviest, signed.weight - alone.weight)
    assert heaviest <= own.input_weight
    assert own.input_weight - heaviest <= 4  # at most a byte more than the longest seen


def test_secrets_are_in_no_repr() -> None:
    keychain = loaded(imported=KEY)
    assert KEY.secret.hex() not in repr(vars(keychain))
    assert repr(KEY.secret) not in repr(vars(keychain))
