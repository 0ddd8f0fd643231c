"""Core's wallets by name, over the one wallet that a node has.

A node starts with its wallet loaded, under the empty name, as older Cores did. The first
`createwallet` or `loadwallet` with a name calls it so for this run, since that is how scripts
begin; a second name is refused, because two names for one purse would mislead.
"""

from typing import Annotated

from misocoin.http.errors import RpcError
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import BOOLEAN, LONG, STRING
from misocoin.rpc.schema import array, obj, optional, text
from misocoin.wallet.keeper import MAX_UNLOCK_SECONDS
from misocoin.wallet.wallet import Wallet

_NAMED = obj(
    "the wallet",
    name=text("its name"),
    warnings=optional(array("what should be known", text("a sentence"))),
)


class WalletNames:
    """What the node's wallet is called in this run."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        """Empty until somebody names it."""

    def is_loaded(self, name: str) -> bool:
        """Whether that is the wallet's name."""
        return name == self.name


class CoreWallets:
    """The wallet's name, and its passphrase."""

    def __init__(self, wallet: Wallet, names: WalletNames) -> None:
        self._wallet = wallet
        self._names = names

    @core_method(
        Category.WALLET, access=Access.AUTH, result=array("names", text("a wallet's name"))
    )
    def listwallets(self) -> Json:
        """List the wallets that are loaded: one."""
        return [self._names.name]

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj("", wallets=array("wallets", obj("", name=text("its name")))),
    )
    def listwalletdir(self) -> Json:
        """List the wallets that could be loaded: the one that is."""
        return {"wallets": [{"name": self._names.name}]}

    @core_method(Category.WALLET, access=Access.AUTH, result=_NAMED, errors=(RpcCode.WALLET_ERROR,))
    def createwallet(
        self,
        wallet_name: Annotated[str, STRING, "the name"],
        disable_private_keys: Annotated[bool, BOOLEAN, "must be false"] = False,
        blank: Annotated[bool, BOOLEAN, "must be false"] = False,
        passphrase: Annotated[str, STRING, "to encrypt its keys with; none if empty"] = "",
        avoid_reuse: Annotated[bool, BOOLEAN, "not looked at"] = False,
        descriptors: Annotated[bool, BOOLEAN, "not looked at: addresses come from BIP32"] = True,
        load_on_startup: Annotated[bool | None, BOOLEAN, "not looked at: it always is"] = None,
        external_signer: Annotated[bool, BOOLEAN, "must be false"] = False,
    ) -> Json:
        """Call the node's one wallet so, for this run.

        It may hold money already; a second wallet needs a second node.
        """
        if disable_private_keys or blank or external_signer:
            raise RpcError(
                RpcCode.WALLET_ERROR,
                "the node's one wallet has keys of its own: no blank or watching wallet",
            )
        self._call_it(wallet_name, f"Database already exists: '{wallet_name[:60]}' is loaded.")
        if passphrase:
            self._wallet.keeper.encrypt(passphrase)
        return {"name": wallet_name}

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=_NAMED,
        errors=(RpcCode.WALLET_ERROR, RpcCode.WALLET_ALREADY_LOADED, RpcCode.WALLET_NOT_FOUND),
    )
    def loadwallet(
        self,
        filename: Annotated[str, STRING, "the name"],
        load_on_startup: Annotated[bool | None, BOOLEAN, "not looked at: it always is"] = None,
    ) -> Json:
        """Call the node's one wallet so, for this run."""
        if self._names.name not in ("", filename):
            raise RpcError(
                RpcCode.WALLET_NOT_FOUND,
                f"Wallet file verification failed. This node has one wallet, and it is called "
                f"'{self._names.name[:60]}': another wallet needs another node.",
            )
        self._call_it(
            filename, f'Wallet "{filename[:60]}" is already loaded.', RpcCode.WALLET_ALREADY_LOADED
        )
        return {"name": filename}

    def _call_it(self, name: str, already: str, code: RpcCode = RpcCode.WALLET_ERROR) -> None:
        if name == self._names.name:
            raise RpcError(code, already)
        if self._names.name:
            raise RpcError(
                RpcCode.WALLET_ERROR,
                f"this node has one wallet, and it is called '{self._names.name[:60]}': another "
                "wallet needs another node",
            )
        self._names.name = name

    # -- passphrase ---------------------------------------------------------------------------

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("what to do next"),
        errors=(RpcCode.INVALID_PARAMETER, RpcCode.WALLET_WRONG_ENC_STATE),
    )
    def encryptwallet(self, passphrase: Annotated[str, STRING, "the passphrase"]) -> Json:
        """Put the wallet's keys under a passphrase, and lock it."""
        if self._wallet.keychain.is_encrypted:
            raise RpcError(
                RpcCode.WALLET_WRONG_ENC_STATE,
                "Error: running with an encrypted wallet, but encryptwallet was called.",
            )
        if not passphrase:
            raise RpcError(RpcCode.INVALID_PARAMETER, "passphrase cannot be empty")
        self._wallet.keeper.encrypt(passphrase)
        return "wallet encrypted; its words and addresses are the same as before"

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        waits=True,
        errors=(
            RpcCode.INVALID_PARAMETER,
            RpcCode.WALLET_PASSPHRASE_INCORRECT,
            RpcCode.WALLET_WRONG_ENC_STATE,
        ),
    )
    def walletpassphrase(
        self,
        passphrase: Annotated[str, STRING, "the passphrase"],
        timeout: Annotated[int, LONG, "seconds until it locks again"],
    ) -> None:
        """Unlock the wallet for a while."""
        self._check_encrypted("walletpassphrase")
        if not passphrase:
            raise RpcError(RpcCode.INVALID_PARAMETER, "passphrase cannot be empty")
        if timeout < 0:
            raise RpcError(RpcCode.INVALID_PARAMETER, "Timeout cannot be negative.")
        self._wallet.keeper.unlock(passphrase, min(max(timeout, 1), MAX_UNLOCK_SECONDS))

    @core_method(Category.WALLET, access=Access.AUTH, errors=(RpcCode.WALLET_WRONG_ENC_STATE,))
    def walletlock(self) -> None:
        """Forget the keys until the passphrase is given again."""
        self._check_encrypted("walletlock")
        self._wallet.keeper.lock()

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        waits=True,
        errors=(
            RpcCode.INVALID_PARAMETER,
            RpcCode.WALLET_PASSPHRASE_INCORRECT,
            RpcCode.WALLET_WRONG_ENC_STATE,
        ),
    )
    def walletpassphrasechange(
        self,
        oldpassphrase: Annotated[str, STRING, "the present one"],
        newpassphrase: Annotated[str, STRING, "the new one"],
    ) -> None:
        """Change the wallet's passphrase."""
        self._check_encrypted("walletpassphrasechange")
        if not newpassphrase:
            raise RpcError(RpcCode.INVALID_PARAMETER, "passphrase cannot be empty")
        self._wallet.keeper.change_passphrase(oldpassphrase, newpassphrase)

    def _check_encrypted(self, name: str) -> None:
        if not self._wallet.keychain.is_encrypted:
            raise RpcError(
                RpcCode.WALLET_WRONG_ENC_STATE,
                f"Error: running with an unencrypted wallet, but {name} was called.",
            )
