"""Core's methods that show the wallet's keys as descriptors: listdescriptors, gethdkeys."""

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from misocoin.chain.state import ChainState
from misocoin.crypto.bip32 import ExtendedPrivateKey
from misocoin.crypto.wif import wif_from_key
from misocoin.params import Params
from misocoin.rpc.core.funding import options_from_json
from misocoin.rpc.core.wallet_texts import account_descriptor, key_descriptor, roots_of
from misocoin.rpc.core.wallets import WalletNames
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import BOOLEAN, OBJECT
from misocoin.rpc.schema import array, boolean, number, obj, optional, text, timestamp
from misocoin.script.descriptor_text import with_checksum
from misocoin.wallet.addresses import Account, Branch
from misocoin.wallet.wallet import Wallet


class _Row(NamedTuple):
    """A descriptor of the wallet's."""

    text: str
    account: Account | None
    """None for an imported key."""
    branch: Branch = Branch.RECEIVE


class CoreWalletDescriptors:
    """The wallet's keys as descriptors, which another wallet can import."""

    def __init__(self, chain: ChainState, wallet: Wallet, names: WalletNames) -> None:
        self._chain = chain
        self._wallet = wallet
        self._names = names

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "",
            wallet_name=text("its name"),
            descriptors=array(
                "in order",
                obj(
                    "",
                    desc=text("the descriptor"),
                    timestamp=timestamp("from when on it may have been paid; 1 if unknown"),
                    active=boolean("whether new addresses come from it"),
                    internal=optional(boolean("whether they are for change")),
                    range=optional(array("the addresses that are watched", number("first, last"))),
                    next=optional(number("the next address that will be handed out")),
                    next_index=optional(number("the same")),
                ),
            ),
        ),
        errors=(RpcCode.WALLET_ERROR, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def listdescriptors(
        self,
        private: Annotated[bool, BOOLEAN, "with private keys: whoever has them can spend"] = False,
    ) -> Json:
        """List the wallet's descriptors; a wallet that imports them has the same addresses."""
        with self._chain.lock:
            birth = max(1, self._wallet.keychain.file.birth)
            rows = sorted(self._rows(private=private))
        forms: list[Json] = []
        for row in rows:
            form: dict[str, Json] = {
                "desc": row.text,
                "timestamp": birth,
                "active": row.account is not None,
            }
            if row.account is not None:
                unused = row.account.next_indexes[row.branch]
                form |= {
                    "internal": row.branch is Branch.CHANGE,
                    "range": [0, unused + row.account.gap - 1],
                    "next": unused,
                    "next_index": unused,
                }
            forms.append(form)
        return {"wallet_name": self._names.name, "descriptors": forms}

    def _rows(self, *, private: bool) -> Iterator[_Row]:
        keychain, params = self._wallet.keychain, self._chain.params
        secrets = keychain.secrets if private else None
        roots = () if secrets is None else roots_of(secrets)
        for account in keychain.file.accounts:
            for branch in Branch:
                yield _Row(account_descriptor(account, branch, params, roots), account, branch)
        if secrets is None:
            yield from (_Row(key_descriptor(key), None) for key in keychain.file.public_keys)
            return
        for key in secrets.keys:
            wif = wif_from_key(key, params.address.wif)
            yield _Row(with_checksum(f"combo({wif})"), None)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "",
            obj(
                "",
                xpub=text("the extended public key"),
                has_private=boolean("whether the wallet has the private one"),
                xprv=optional(text("the extended private key")),
                descriptors=array(
                    "those that come from it",
                    obj(
                        "",
                        desc=text("the descriptor"),
                        active=boolean("whether new addresses come from it"),
                    ),
                ),
            ),
        ),
        errors=(RpcCode.WALLET_ERROR, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def gethdkeys(
        self,
        options: Annotated[
            dict[str, Json],
            OBJECT,
            "active_only (without effect: all are), private (with the private keys)",
        ] = {},  # noqa: B006 - never changed
    ) -> Json:
        """List the extended keys at the root of the wallet's descriptors."""
        named = options_from_json(options, {"active_only": "bool", "private": "bool"})
        params = self._chain.params
        with self._chain.lock:
            keychain = self._wallet.keychain
            rows = sorted(self._rows(private=False))
            accounts = keychain.file.accounts
            master = self._master(private=named.get("private", False))
        keys: list[Json] = []
        roots = {key.origin.fingerprint for account in accounts for key in account.keys}
        if master is not None and roots == {master.fingerprint}:
            return [self._key_json(master, rows, params, private=named.get("private", False))]
        for account in accounts:
            found = [row for row in rows if row.account is account]
            xpub = account.keys[0].key.to_text(params.address.bip32_public)
            keys.append({"xpub": xpub, "has_private": True, "descriptors": _listed(found)})
        return keys

    def _master(self, *, private: bool) -> ExtendedPrivateKey | None:
        """The root of the wallet's tree; None while it is locked, unless it is asked for."""
        keychain = self._wallet.keychain
        return keychain.secrets.master if private or not keychain.is_locked else None

    @staticmethod
    def _key_json(
        master: ExtendedPrivateKey, rows: list[_Row], params: Params, *, private: bool
    ) -> dict[str, Json]:
        form: dict[str, Json] = {
            "xpub": master.public.to_text(params.address.bip32_public),
            "has_private": True,
        }
        if private:
            form["xprv"] = master.to_text(params.address.bip32_private)
        return {**form, "descriptors": _listed([row for row in rows if row.account is not None])}


def _listed(rows: list[_Row]) -> list[Json]:
    return [{"desc": row.text, "active": True} for row in rows]
