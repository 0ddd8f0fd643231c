"""Core's methods on the wallet's keys."""

from pathlib import Path
from typing import Annotated

from misocoin.chain.state import ChainState
from misocoin.crypto.wif import key_from_wif, wif_from_key
from misocoin.errors import KeyFormatError, WalletError, WalletLocked
from misocoin.http.errors import RpcError
from misocoin.rpc.core.util import script_of
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import BOOLEAN, INTEGER, STRING, invalid
from misocoin.rpc.schema import boolean, nothing, number, obj, text
from misocoin.script.templates import ScriptKind, template_from_script
from misocoin.wallet.wallet import Wallet


class CoreWalletKeys:
    """Private keys of the node's wallet, in and out."""

    def __init__(self, chain: ChainState, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("the key, in WIF"),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def dumpprivkey(self, address: Annotated[str, STRING, "an own address"]) -> Json:
        """Tell the private key of an address: whoever has it can spend."""
        script_of(address, self._chain.params, "Invalid address")
        try:
            key = self._wallet.keeper.private_key(address)
        except WalletLocked:
            raise
        except WalletError:
            raise RpcError(
                RpcCode.WALLET_ERROR, f"Private key for address {address[:100]} is not known"
            ) from None
        return wif_from_key(key, self._chain.params.address.wif)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        waits=True,
        result=nothing(),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def importprivkey(
        self,
        privkey: Annotated[str, STRING, "the key, in WIF"],
        label: Annotated[str, STRING, "what to call its address"] = "",
        rescan: Annotated[bool, BOOLEAN, "search the chain for its past"] = True,
    ) -> None:
        """Add a private key to the wallet; one that is there already is no error."""
        try:
            key = key_from_wif(privkey, self._chain.params.address.wif)
        except KeyFormatError:
            raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, "Invalid private key encoding") from None
        with self._chain.lock:
            if key.public_key in self._wallet.keychain.file.public_keys:
                return
        self._wallet.keeper.import_key(key, label)
        if rescan:
            self._wallet.rescan()

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("the signature, base64"),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def signmessage(
        self,
        address: Annotated[str, STRING, "an own address of one key"],
        message: Annotated[str, STRING, "what to sign"],
    ) -> Json:
        """Sign a message as the owner of an address."""
        script = script_of(address, self._chain.params, "Invalid address")
        kind = template_from_script(script).kind
        if kind not in (ScriptKind.P2PKH, ScriptKind.P2WPKH, ScriptKind.P2SH):
            raise RpcError(RpcCode.TYPE_ERROR, "Address does not refer to key")
        try:
            return self._wallet.keeper.sign_message(address, message)
        except WalletLocked:
            raise
        except WalletError:
            raise RpcError(RpcCode.WALLET_ERROR, "Private key not available") from None

    @core_method(
        Category.WALLET, access=Access.AUTH, result=nothing(), errors=(RpcCode.WALLET_ERROR,)
    )
    def backupwallet(
        self, destination: Annotated[str, STRING, "a file that is not there yet"]
    ) -> None:
        """Write the wallet's keys to a file, encrypted as they are here."""
        self._wallet.keeper.backup(Path(destination))

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        waits=True,
        result=obj("", start_height=number("the first block"), stop_height=number("the last")),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def rescanblockchain(
        self,
        start_height: Annotated[int, INTEGER, "the first block to read"] = 0,
        stop_height: Annotated[int | None, INTEGER, "the last one; the tip if left out"] = None,
    ) -> Json:
        """Read the chain again for what is the wallet's."""
        height = self._chain.height
        if not 0 <= start_height <= height:
            raise invalid("Invalid start_height")
        if stop_height is not None:
            if not 0 <= stop_height <= height:
                raise invalid("Invalid stop_height")
            if stop_height < start_height:
                raise invalid("stop_height must be greater than start_height")
        last = self._wallet.rescan(start_height, stop=stop_height)
        return {"start_height": start_height, "stop_height": last}

    @core_method(Category.WALLET, access=Access.AUTH, result=boolean("whether there was one"))
    def abortrescan(self) -> Json:
        """End a search of the chain that runs."""
        return self._wallet.stop_rescan()

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        errors=(RpcCode.INVALID_PARAMETER, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def keypoolrefill(
        self, newsize: Annotated[int, INTEGER, "not looked at: addresses come as needed"] = 0
    ) -> None:
        """Do nothing: addresses are derived as they are needed."""
        if newsize < 0:
            raise invalid("Invalid parameter, expected valid size.")
        with self._chain.lock:
            self._wallet.keychain.ring_for(())
