"""Methods of the wallet's keys: passphrase, import and export, backup, messages, searching again.

What is secret goes in and out as text of a call: `misocoin-cli` reads an argument `-` from standard
input, so that nothing of it stands in a list of processes or a shell's history.
"""

import logging
from pathlib import Path
from typing import Annotated

from misocoin.chain.state import ChainState
from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.wif import key_from_wif, wif_from_key
from misocoin.errors import WalletError
from misocoin.http.errors import RpcError
from misocoin.rpc.declare import Access, Category, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import BOOLEAN, INTEGER, LONG, STRING
from misocoin.rpc.schema import boolean, nullable, number, obj, text
from misocoin.script.messages import is_signed_by
from misocoin.wallet.wallet import Wallet

log = logging.getLogger(__name__)

_REPORT_EVERY = 5_000
"""Blocks after which the log tells how far a search is."""


class KeyMethods:
    """The wallet's keys, and what depends on them."""

    def __init__(self, chain: ChainState, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "",
            addresses=number("addresses handed out"),
            transactions=number("transactions that are the wallet's"),
            has_words=boolean("whether new addresses come from words that can be written down"),
            is_encrypted=boolean("whether a passphrase guards the keys"),
            is_locked=boolean("whether it is needed to spend now"),
            unlocked_seconds=number("how long it stays unlocked"),
            rescan=nullable(
                obj("a search that runs", height=number("done"), of=number("the last height"))
            ),
        ),
    )
    def get_wallet_info(self) -> Json:
        """Tell what the wallet is."""
        wallet, keeper = self._wallet, self._wallet.keeper
        progress = wallet.rescan_progress
        return {
            "addresses": len(wallet.addresses()),
            "transactions": wallet.transaction_count,
            "has_words": bool(wallet.keychain.file.accounts),
            "is_encrypted": keeper.is_encrypted,
            "is_locked": keeper.is_locked,
            "unlocked_seconds": int(keeper.seconds_left),
            "rescan": None if progress is None else {"height": progress[0], "of": progress[1]},
        }

    # -- passphrase ---------------------------------------------------------------------------

    @method(Category.WALLET, access=Access.AUTH, examples=("-",), errors=(RpcCode.WALLET_ERROR,))
    def encrypt_wallet(
        self, passphrase: Annotated[str, STRING, "without it the keys are lost: there is no other"]
    ) -> Json:
        """Put the wallet's keys under a passphrase, and lock it.

        Backups made before are not encrypted by this.
        """
        self._wallet.keeper.encrypt(passphrase)

    @method(
        Category.WALLET,
        access=Access.AUTH,
        examples=("- 60",),
        errors=(RpcCode.WALLET_ERROR, RpcCode.WALLET_PASSPHRASE_INCORRECT),
    )
    def unlock_wallet(
        self,
        passphrase: Annotated[str, STRING, "the wallet's"],
        seconds: Annotated[int, LONG, "after so long it is locked again"] = 60,
    ) -> Json:
        """Be able to spend for a while."""
        self._wallet.keeper.unlock(passphrase, seconds)

    @method(Category.WALLET, access=Access.AUTH, errors=(RpcCode.WALLET_ERROR,))
    def lock_wallet(self) -> Json:
        """Forget the keys until the wallet is unlocked again."""
        if not self._wallet.keeper.is_encrypted:
            raise WalletError("the wallet is not encrypted: encrypt_wallet does that")
        self._wallet.keeper.lock()

    @method(
        Category.WALLET,
        access=Access.AUTH,
        errors=(RpcCode.WALLET_ERROR, RpcCode.WALLET_PASSPHRASE_INCORRECT),
    )
    def change_passphrase(
        self,
        old: Annotated[str, STRING, "the passphrase of now"],
        new: Annotated[str, STRING, "the one from now on"],
    ) -> Json:
        """Put the keys under another passphrase, and lock the wallet."""
        self._wallet.keeper.change_passphrase(old, new)

    # -- keys ---------------------------------------------------------------------------------

    @method(
        Category.WALLET,
        access=Access.AUTH,
        waits=True,
        result=text("its address"),
        examples=("- tea",),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def import_key(
        self,
        key: Annotated[str, STRING, "the private key: 64 hex digits or WIF"],
        label: Annotated[str, STRING, "what to call its address"] = "",
        rescan: Annotated[bool, BOOLEAN, "search the chain for its past"] = True,
    ) -> Json:
        """Add a private key from elsewhere to the wallet."""
        if len(key) == 64:
            secret = PrivateKey.from_hex(key)
        else:
            secret = key_from_wif(key, self._chain.params.address.wif)
        address = self._wallet.keeper.import_key(secret, label)
        if rescan:
            self._rescan(0)
        return address

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("the key as WIF"),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def export_key(self, address: Annotated[str, STRING, "an address of the wallet's"]) -> Json:
        """Give out the private key of an address: whoever has it can spend what lies there."""
        key = self._wallet.keeper.private_key(address)
        return wif_from_key(key, self._chain.params.address.wif)

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("the words"),
        errors=(RpcCode.WALLET_ERROR, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def export_words(self) -> Json:
        """Give out the words of the wallet: whoever has them has all of it."""
        with self._chain.lock:
            secrets = self._wallet.keychain.secrets
        if not secrets.words:
            raise WalletError("this wallet has no words: its keys are single ones")
        return secrets.words

    # -- backup -------------------------------------------------------------------------------

    @method(
        Category.WALLET,
        access=Access.AUTH,
        examples=("/media/stick/wallet.json",),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_PARAMETER),
    )
    def backup_wallet(
        self, path: Annotated[str, STRING, "a new file, on the node's machine"]
    ) -> Json:
        """Write the keys, labels and notes to a file, encrypted as the wallet is."""
        self._wallet.keeper.backup(_path(path))

    @method(
        Category.WALLET,
        access=Access.AUTH,
        waits=True,
        examples=("/media/stick/wallet.json",),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def restore_wallet(
        self, path: Annotated[str, STRING, "a backup, on the node's machine"]
    ) -> Json:
        """Become the wallet of a backup, and search the chain for it.

        The wallet there was keeps its files in the data folder, under names with the time.
        """
        self._wallet.restore(_path(path), self._report)

    # -- searching again ----------------------------------------------------------------------

    @method(
        Category.WALLET,
        access=Access.AUTH,
        waits=True,
        result=number("the last height that was read"),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def rescan_wallet(self, start: Annotated[int, INTEGER, "the height to begin at"] = 0) -> Json:
        """Search the chain again for the wallet's transactions; get_wallet_info tells how far."""
        if start < 0:
            raise RpcError(RpcCode.INVALID_PARAMETER, "start is a height")
        return self._rescan(start)

    @method(Category.WALLET, access=Access.AUTH, result=boolean("whether one was running"))
    def stop_rescan(self) -> Json:
        """End a search that runs."""
        return self._wallet.stop_rescan()

    def _rescan(self, start: int) -> int:
        return self._wallet.rescan(start, self._report)

    def _report(self, height: int, of: int) -> None:
        if height % _REPORT_EVERY == 0 or height == of:
            log.info("searching the chain for the wallet: height %d of %d", height, of)

    # -- messages -----------------------------------------------------------------------------

    @method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("base64"),
        examples=("miso1q… 'hello, world'",),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def sign_message(
        self,
        address: Annotated[str, STRING, "an address of the wallet's"],
        message: Annotated[str, STRING, "any text"],
    ) -> Json:
        """Sign a text as the owner of an address, in Bitcoin's format."""
        return self._wallet.keeper.sign_message(address, message)

    @method(
        Category.UTIL,
        result=boolean("whether it is that address's for this message"),
        examples=("miso1q… <signature> 'hello, world'",),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY,),
    )
    def verify_message(
        self,
        address: Annotated[str, STRING, "of any network; not taproot, not a script's"],
        signature: Annotated[str, STRING, "base64"],
        message: Annotated[str, STRING, "the text"],
    ) -> Json:
        """Check a signature in Bitcoin's format."""
        return is_signed_by(address, signature, message)


def _path(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute() or "\0" in text:
        raise RpcError(
            RpcCode.INVALID_PARAMETER, "write the whole path: the node does not know your folder"
        )
    return path
