"""What tests of the node's wallet of words have in common."""

from pathlib import Path

import pytest

from misocoin.crypto.keys import PrivateKey
from misocoin.params import regtest
from misocoin.wallet.walletfile import (
    Secrets,
    bytes_from_wallet_file,
    new_wallet_file,
)
from tests.unit.wallet.rig import MATURITY, NOBODY, Rig

IMPORTED = PrivateKey(bytes(31) + b"\x77")


def words_of(rig: Rig) -> str:
    return rig.wallet.keychain.secrets.words


def with_words(words: str, folder: Path, gap: int = 20) -> None:
    """Put a wallet of these words into a data folder."""
    file = new_wallet_file(Secrets(words), regtest(), gap=gap)
    (folder / "wallet.json").write_bytes(bytes_from_wallet_file(file, regtest()))


def hold_nothing_secret(folder: Path, *secrets: str) -> None:
    for path in folder.iterdir():
        data = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in data, path


def kill_at_sync(monkeypatch: pytest.MonkeyPatch, syncs: int) -> None:
    """Stop what runs when it has had so many writes to key files synced, and wants the next."""
    left = syncs

    def sync(_descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt  # as good as a kill: nothing goes on after it

    monkeypatch.setattr("misocoin.wallet.keyfile.os.fsync", sync)


def rich(folder: Path | None = None, imported: PrivateKey | None = None) -> Rig:
    rig = Rig(folder).start(imported=imported)
    rig.mine(2)
    rig.mine(MATURITY, script=NOBODY)
    return rig
