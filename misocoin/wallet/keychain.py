"""Which output scripts are a wallet's, and the keys that spend them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from misocoin.crypto.bip32 import ExtendedPrivateKey
from misocoin.crypto.hashes import sha256
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import WalletError, WalletLocked
from misocoin.params import Params
from misocoin.script.signing import KeyRing
from misocoin.wallet.addresses import (
    Account,
    AddressType,
    Branch,
    KeyOrigin,
    OwnAddress,
    forms_of_key,
)
from misocoin.wallet.walletfile import MAX_INDEX, SealedBox, Secrets, WalletFile, new_wallet_file
from misocoin.wallet.words import new_words

Save = Callable[[WalletFile], None]
"""Writes a wallet's file; raises WalletError, after which the old one still stands."""


class Place(NamedTuple):
    """Where among the accounts an address is."""

    account: int
    branch: Branch
    number: int


def _keep_nothing(_file: WalletFile) -> None:
    """Save for a wallet in memory."""


class Keychain:
    """The keys and scripts of one wallet file. Not thread-safe.

    An account's addresses are known `gap` beyond the last that was handed out or seen, so that a
    wallet restored from its words finds its money. What changes is saved before it is used.
    """

    def __init__(self, params: Params, file: WalletFile, save: Save = _keep_nothing) -> None:
        self._params = params
        self._save = save
        self._file = file
        self._scripts: dict[bytes, OwnAddress] = {}
        self._places: dict[bytes, Place] = {}
        self._rows: dict[tuple[int, Branch], list[bytes]] = {}
        self._primary: bytes | None = None
        self._unlocked: tuple[Secrets, bytes] | None = None  # with the passphrase, to seal again
        self._digest: bytes | None = None
        for public_key in file.public_keys:
            self._hold(public_key)
        for index in range(len(file.accounts)):
            self._extend(index)

    # -- what is here -------------------------------------------------------------------------

    @property
    def file(self) -> WalletFile:
        """The wallet as it is written; its secrets may be sealed."""
        return self._file

    @property
    def scripts(self) -> Mapping[bytes, OwnAddress]:
        """All scripts that are the wallet's; a view that grows."""
        return MappingProxyType(self._scripts)

    @property
    def script(self) -> bytes:
        """The output script of the first address. Raises WalletError where there is none."""
        if self._primary is not None:
            return self._primary
        if self._file.accounts:
            return self._row(0, Branch.RECEIVE)[0]
        if not self._file.public_keys:
            raise WalletError("this wallet has no address")
        return forms_of_key(self._file.public_keys[0])[0].script_pubkey

    def prefer(self, key: PrivateKey) -> None:
        """Have an imported key's address be the first one, for as long as this runs."""
        self._primary = forms_of_key(PrivateKey(key.secret).public_key)[0].script_pubkey

    def addresses(self) -> list[bytes]:
        """The scripts of the addresses that were handed out, the first one first."""
        scripts = [self.script] if self._file.accounts or self._file.public_keys else []
        for index, account in enumerate(self._file.accounts):
            scripts += self._row(index, Branch.RECEIVE)[: account.next_indexes[Branch.RECEIVE]]
        scripts += [forms_of_key(key)[0].script_pubkey for key in self._file.public_keys]
        return list(dict.fromkeys(scripts))

    def is_change(self, script: bytes) -> bool:
        """Whether an own script is of a row for change."""
        place = self._places.get(script)
        return place is not None and place.branch is Branch.CHANGE

    def place_of(self, script: bytes) -> Place | None:
        """Where an own script is among the accounts; None for an imported key's."""
        return self._places.get(script)

    def is_handed_out(self, script: bytes) -> bool:
        """Whether a script is an own address that was given to somebody, or that was paid already.

        Addresses for change are not, and those of an imported key are.
        """
        place = self._places.get(script)
        if place is None:
            return script in self._scripts
        account = self._file.accounts[place.account]
        return place.branch is Branch.RECEIVE and place.number < account.next_indexes[place.branch]

    @property
    def digest(self) -> bytes:
        """32 bytes that stand for the set of keys, whatever their order; tells no secret.

        A history that was kept under another digest may lack something.
        """
        if self._digest is None:
            version = self._params.address.bip32_public
            parts = list(self._file.public_keys)
            for account in self._file.accounts:
                head = f"{account.kind.value} {account.required} {account.gap}".encode()
                keys = sorted(key.to_bytes(version) for _, key in account.keys)
                parts.append(head + b"".join(keys))
            self._digest = sha256(b"".join(sorted(parts)))
        return self._digest

    # -- addresses ----------------------------------------------------------------------------

    def new_address(self, kind: AddressType | None = None) -> bytes:
        """Hand out the next address; without an account, of a new key. Returns its script.

        Raises WalletError where that cannot be written; then there is no new address.
        """
        if not self._file.accounts:
            if kind not in (None, AddressType.BECH32):
                raise WalletError("this wallet's keys are shown by their bech32 address only")
            return self.import_key(PrivateKey.generate())
        index = self._account_of(kind)
        account = self._file.accounts[index]
        receive, change = account.next_indexes
        moved = replace(account, next_indexes=(receive + 1, change))
        self._write(self._file.with_account(index, moved))
        self._extend(index)
        return self._row(index, Branch.RECEIVE)[receive]

    def change_script(self, kind: AddressType | None = None) -> bytes:
        """Where change goes: an address that was not used yet; without an account the first one."""
        if not self._file.accounts:
            return self.script
        index = self._account_of(kind)
        unused = self._file.accounts[index].next_indexes[Branch.CHANGE]
        return self._row(index, Branch.CHANGE)[unused]

    def new_change_address(self, kind: AddressType | None = None) -> bytes:
        """Hand out the next address for change; without an account the first address.

        Raises WalletError where that cannot be written.
        """
        script = self.change_script(kind)
        if self._file.accounts:
            index = self._account_of(kind)
            account = self._file.accounts[index]
            receive, change = account.next_indexes
            moved = replace(account, next_indexes=(receive, change + 1))
            self._write(self._file.with_account(index, moved))
            self._extend(index)
        return script

    def note_seen(self, script: bytes) -> bool:
        """Take notice that an own script is used; tells whether more scripts are known now.

        Nothing is written: whoever scans the chain again sees it again.
        """
        place = self._places.get(script)
        if place is None:
            return False
        account = self._file.accounts[place.account]
        if place.number < account.next_indexes[place.branch]:
            return False
        indexes = list(account.next_indexes)
        indexes[place.branch] = place.number + 1
        moved = replace(account, next_indexes=(indexes[0], indexes[1]))
        self._file = self._file.with_account(place.account, moved)
        self._extend(place.account)
        return True

    def raise_indexes(self, indexes: Sequence[tuple[int, int]]) -> None:
        """Know, account by account, so many addresses as used, where that is more than now.

        Raises ValueError for numbers that cannot be.
        """
        for number, (receive, change) in enumerate(indexes[: len(self._file.accounts)]):
            if not (0 <= receive <= MAX_INDEX and 0 <= change <= MAX_INDEX):
                raise ValueError("an index out of bounds")
            account = self._file.accounts[number]
            old = account.next_indexes
            higher = (max(receive, old[0]), max(change, old[1]))
            self._file = self._file.with_account(number, replace(account, next_indexes=higher))
            self._extend(number)

    def save_indexes(self) -> None:
        """Write down which addresses were seen. Raises WalletError."""
        self._write(self._file)

    def _account_of(self, kind: AddressType | None) -> int:
        accounts = self._file.accounts
        for index, account in enumerate(accounts):
            if account.preferred and account.kind is (kind or accounts[0].kind):
                return index
        if kind is None:
            return 0
        for index, account in enumerate(accounts):
            if account.kind is kind:
                return index
        raise WalletError(f"this wallet has no {kind.value} addresses")

    def _row(self, index: int, branch: Branch) -> list[bytes]:
        return self._rows.setdefault((index, branch), [])

    def _extend(self, index: int) -> None:
        account = self._file.accounts[index]
        for branch in Branch:
            row = self._row(index, branch)
            for number in range(len(row), account.next_indexes[branch] + account.gap):
                own = account.address(branch, number)
                row.append(own.script_pubkey)
                self._scripts.setdefault(own.script_pubkey, own)
                self._places[own.script_pubkey] = Place(index, branch, number)

    def _hold(self, public_key: bytes) -> None:
        for own in forms_of_key(public_key):
            self._scripts[own.script_pubkey] = own

    def _write(self, file: WalletFile) -> None:
        self._save(file)
        self._file = file
        self._digest = None

    # -- words about them ---------------------------------------------------------------------

    def set_label(self, address: str, label: str) -> None:
        """Call an address something; an empty label takes the name away. Raises WalletError."""
        self._write(replace(self._file, labels=_changed(self._file.labels, address, label)))

    def set_note(self, txid_hex: str, note: str) -> None:
        """Write a note on a transaction; an empty one takes it away. Raises WalletError."""
        self._write(replace(self._file, notes=_changed(self._file.notes, txid_hex, note)))

    def set_payee(self, txid_hex: str, payee: str) -> None:
        """Write down whom a transaction pays, in the owner's words. Raises WalletError."""
        self._write(replace(self._file, payees=_changed(self._file.payees, txid_hex, payee)))

    def set_replacement(self, txid_hex: str, by_hex: str) -> None:
        """Write down which payment stands in another's place, with the words on that one.

        Raises WalletError.
        """
        file = self._file
        self._write(
            replace(
                file,
                replaced=_changed(file.replaced, txid_hex, by_hex),
                notes=_changed(file.notes, by_hex, file.notes.get(txid_hex, "")),
                payees=_changed(file.payees, by_hex, file.payees.get(txid_hex, "")),
            )
        )

    # -- secrets ------------------------------------------------------------------------------

    @property
    def is_encrypted(self) -> bool:
        """Whether a passphrase is needed to spend."""
        return self._file.secrets is not None and not isinstance(self._file.secrets, Secrets)

    @property
    def is_locked(self) -> bool:
        """Whether it is needed now."""
        return self.is_encrypted and self._unlocked is None

    @property
    def is_watch_only(self) -> bool:
        """Whether nothing here can spend."""
        return self._file.secrets is None

    @property
    def secrets(self) -> Secrets:
        """What can spend. Raises WalletLocked, or WalletError where nothing can."""
        held = self._file.secrets
        if isinstance(held, Secrets):
            return held
        if held is None:
            raise WalletError("this wallet watches only: its private keys are elsewhere")
        if self._unlocked is None:
            raise WalletLocked("the wallet is locked: its passphrase is needed")
        return self._unlocked[0]

    def open(self, passphrase: bytes) -> Secrets:
        """The secrets under a passphrase, without unlocking; takes a fifth of a second.

        Raises WrongPassphrase, or WalletError where there is no passphrase.
        """
        held = self._file.secrets
        if held is None or isinstance(held, Secrets):
            raise WalletError("the wallet is not encrypted")
        return held.open(passphrase)

    def unlock(self, secrets: Secrets, passphrase: bytes) -> None:
        """Hold on to what `open` gave."""
        self._unlocked = (secrets, passphrase)

    def lock(self) -> None:
        """Forget the secrets, where they are encrypted in the file."""
        self._unlocked = None

    def seal(self, secrets: Secrets, passphrase: bytes) -> None:
        """Write the secrets under a passphrase and forget them. Raises WalletError.

        A wallet of single keys gets words and accounts with it, so that new addresses need no
        passphrase later.
        """
        if not passphrase:
            raise WalletError("a passphrase is not empty")
        file = self._file
        if not file.accounts and file.public_keys:
            secrets = replace(secrets, words=new_words(), extra="")
            accounts = new_wallet_file(secrets, self._params).accounts
            file = replace(file, accounts=accounts)
        self._write(replace(file, secrets=SealedBox.close(secrets, passphrase, self._params)))
        self.lock()
        for index in range(len(file.accounts)):
            self._extend(index)

    def unseal(self, secrets: Secrets) -> None:
        """Write the secrets without a passphrase. Raises WalletError."""
        self._write(replace(self._file, secrets=secrets))
        self.lock()

    def import_key(self, key: PrivateKey) -> bytes:
        """Add a key from elsewhere and return its bech32 script.

        Raises WalletLocked, or WalletError where it cannot be written or is here already.
        """
        key = PrivateKey(key.secret)
        if key.public_key in self._file.public_keys:
            raise WalletError("that key is in the wallet already")
        held = self._file.secrets
        secrets = Secrets() if held is None and not self._file.accounts else self.secrets
        secrets = replace(secrets, keys=(*secrets.keys, key))
        public_keys = (*self._file.public_keys, key.public_key)
        if self._unlocked is not None:
            passphrase = self._unlocked[1]
            sealed = SealedBox.close(secrets, passphrase, self._params)
            self._write(replace(self._file, secrets=sealed, public_keys=public_keys))
            self._unlocked = (secrets, passphrase)
        else:
            self._write(replace(self._file, secrets=secrets, public_keys=public_keys))
        self._hold(key.public_key)
        return forms_of_key(key.public_key)[0].script_pubkey

    def import_account(self, account: Account, root: tuple[KeyOrigin, ExtendedPrivateKey]) -> None:
        """Add an account from elsewhere, and the key that its private keys come from.

        One that is here already takes the higher of both indexes, and the wish to be preferred.
        Raises WalletLocked, or WalletError where it cannot be written.
        """
        secrets = self.secrets
        if root not in secrets.roots and self._lacks(account, secrets):
            secrets = replace(secrets, roots=(*secrets.roots, root))
        accounts = list(self._file.accounts)
        keys = [(each.kind, [key.key for key in each.keys]) for each in accounts]
        named = (account.kind, [key.key for key in account.keys])
        place = keys.index(named) if named in keys else len(accounts)
        if place < len(accounts):
            old = accounts[place]
            higher = tuple(map(max, zip(old.next_indexes, account.next_indexes, strict=True)))
            account = replace(
                old,
                next_indexes=(higher[0], higher[1]),
                gap=max(old.gap, account.gap),
                preferred=old.preferred or account.preferred,
            )
        if account.preferred:
            accounts = [
                replace(each, preferred=False) if each.kind is account.kind else each
                for each in accounts
            ]
        accounts[place : place + 1] = [account]
        self._write(replace(self._file, accounts=tuple(accounts), secrets=self._sealed(secrets)))
        self._extend(place)

    @staticmethod
    def _lacks(account: Account, secrets: Secrets) -> bool:
        """Whether the secrets that are here cannot spend from an account."""
        own = account.address(Branch.RECEIVE, 0)
        return secrets.private_key(*own.origins[0]) is None

    def _sealed(self, secrets: Secrets) -> Secrets | SealedBox:
        """Secrets as they are written: under the passphrase if there is one."""
        if self._unlocked is None:
            return secrets
        self._unlocked = (secrets, self._unlocked[1])
        return SealedBox.close(secrets, self._unlocked[1], self._params)

    def private_key(self, script: bytes) -> PrivateKey:
        """The key of an own address. Raises WalletLocked or WalletError."""
        own = self._scripts.get(script)
        if own is None:
            raise WalletError("that address is not of this wallet")
        if own.kind is AddressType.MULTISIG:
            raise WalletError("a multisig address has no key of its own")
        key = self.secrets.private_key(*own.origins[0])
        if key is None:
            raise WalletError("the private key of that address is elsewhere")
        return key

    def ring_for(self, scripts: Iterable[bytes]) -> KeyRing:
        """The keys to sign inputs that spend own scripts. Raises WalletLocked or WalletError."""
        secrets = self.secrets
        keys: list[PrivateKey] = []
        witness_scripts: list[bytes] = []
        for script in dict.fromkeys(scripts):
            own = self._scripts.get(script)
            if own is None:
                continue
            found = (secrets.private_key(*each) for each in own.origins)
            keys += [key for key in found if key is not None]
            if own.witness_script:
                witness_scripts.append(own.witness_script)
        return KeyRing.build(keys, witness_scripts)


def _changed(texts: Mapping[str, str], key: str, text: str) -> Mapping[str, str]:
    changed = {**texts, key: text}
    return MappingProxyType({k: v for k, v in changed.items() if v})
