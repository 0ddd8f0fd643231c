"""The secrets of the node's wallet: locked and unlocked, taken in, given out, backed up."""

import threading
from pathlib import Path
from time import monotonic

from misocoin.crypto.bip32 import ExtendedPrivateKey
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import WalletError
from misocoin.script.address import address_from_script, script_from_address
from misocoin.script.messages import sign_message
from misocoin.wallet.addresses import Account, KeyOrigin
from misocoin.wallet.following import ChainPort, Follower
from misocoin.wallet.keychain import Keychain
from misocoin.wallet.keyfile import write_private_file
from misocoin.wallet.walletfile import SealedBox, Secrets, bytes_from_wallet_file

MAX_UNLOCK_SECONDS = 100_000_000
"""As in Core: some three years."""

MAX_TEXT = 1_000
"""Characters of a label or a note."""


def check_text(text: str) -> None:
    """Check a label or note; raises WalletError."""
    if len(text) > MAX_TEXT or not text.isprintable():
        raise WalletError(f"a label or note is one line of at most {MAX_TEXT} characters")


class Keeper:
    """Guards the secrets in `keychain`. Everything takes the chain's lock."""

    def __init__(self, chain: ChainPort, keychain: Keychain, follower: Follower) -> None:
        self._chain = chain
        self._keychain = keychain
        self._follower = follower
        self._timer: threading.Timer | None = None
        self._unlocked_until = 0.0

    @property
    def is_encrypted(self) -> bool:
        """Whether a passphrase is needed to spend."""
        return self._keychain.is_encrypted

    @property
    def is_locked(self) -> bool:
        """Whether it is needed now."""
        return self._keychain.is_locked

    @property
    def seconds_left(self) -> float:
        """How long the wallet stays unlocked."""
        return 0.0 if self.is_locked else max(0.0, self._unlocked_until - monotonic())

    def encrypt(self, passphrase: str) -> None:
        """Put the keys under a passphrase and lock. Raises WalletError."""
        with self._chain.lock:
            if self._keychain.is_encrypted:
                raise WalletError("the wallet is encrypted already: change its passphrase instead")
            is_complete = self._follower.is_complete
            self._keychain.seal(self._keychain.secrets, passphrase.encode())
            if is_complete:
                self._follower.trust_keys()
            self._follower.try_to_save()

    def unlock(self, passphrase: str, seconds: float) -> None:
        """Be able to spend for so long. Raises WrongPassphrase or WalletError."""
        if not 0 < seconds <= MAX_UNLOCK_SECONDS:
            raise WalletError(f"unlock for 1 to {MAX_UNLOCK_SECONDS} seconds")
        sealed = self._keychain.file.secrets
        opened = self._keychain.open(passphrase.encode())  # slow, so not under the lock
        with self._chain.lock:
            self._check_unchanged(sealed)
            self._keychain.unlock(opened, passphrase.encode())
            self._stop_timer()
            self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._time_out)
            self._timer.daemon = True
            self._timer.start()
            self._unlocked_until = monotonic() + seconds

    def lock(self) -> None:
        """Forget the keys until they are unlocked again; without a passphrase nothing happens."""
        with self._chain.lock:
            self._stop_timer()
            self._keychain.lock()

    def _time_out(self) -> None:
        with self._chain.lock:
            if self._timer is threading.current_thread():  # else it was unlocked again meanwhile
                self._timer = None
                self._keychain.lock()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def change_passphrase(self, old: str, new: str) -> None:
        """Put the keys under another passphrase and lock. Raises WrongPassphrase, WalletError."""
        sealed = self._keychain.file.secrets
        opened = self._keychain.open(old.encode())
        with self._chain.lock:
            self._check_unchanged(sealed)
            self._stop_timer()
            self._keychain.seal(opened, new.encode())

    def _check_unchanged(self, sealed: object) -> None:
        """Check that what was opened is what the wallet holds, a key imported meanwhile too."""
        if self._keychain.file.secrets is not sealed:
            raise WalletError("the wallet's keys were changed meanwhile; try it again")

    def private_key(self, address: str) -> PrivateKey:
        """The private key of an own address.

        Raises AddressError, WalletLocked or WalletError.
        """
        script = script_from_address(address, self._chain.params)
        with self._chain.lock:
            return self._keychain.private_key(script)

    def import_key(self, key: PrivateKey, label: str = "") -> str:
        """Add a key from elsewhere and return its address; `rescan` finds its past.

        Raises WalletLocked or WalletError.
        """
        check_text(label)
        with self._chain.lock:
            address = self._address(self._keychain.import_key(key))
            if label:
                self._keychain.set_label(address, label)
            return address

    def import_account(self, account: Account, root: tuple[KeyOrigin, ExtendedPrivateKey]) -> None:
        """Add an account from elsewhere with its private key; `rescan` finds its past.

        Raises WalletLocked or WalletError.
        """
        with self._chain.lock:
            self._keychain.import_account(account, root)

    def sign_message(self, address: str, message: str) -> str:
        """Sign a message as the owner of an address, in Bitcoin's format.

        Raises AddressError, WalletLocked or WalletError.
        """
        return sign_message(self.private_key(address), message)

    def backup(self, path: Path) -> None:
        """Write all keys, labels and notes to a new file, encrypted as the wallet is.

        As `wallet.json` of another data folder it is the wallet again. Raises WalletError; a file
        that is there already stays as it is.
        """
        data = self.backup_bytes()
        if path.exists():
            raise WalletError(f"{path}: is there already, and a backup overwrites nothing")
        write_private_file(path, data)

    def backup_bytes(self) -> bytes:
        """What `backup` writes. Raises WalletError."""
        with self._chain.lock:
            file = self._keychain.file
        if file.secrets is not None and not isinstance(file.secrets, Secrets | SealedBox):
            raise WalletError("this wallet's keys have a file of their own")
        return bytes_from_wallet_file(file, self._chain.params)

    def _address(self, script: bytes) -> str:
        return address_from_script(script, self._chain.params) or ""
