"""Core's methods on the wallet's addresses and their labels."""

from typing import Annotated

from misocoin.chain.state import ChainState
from misocoin.crypto.hashes import hash160
from misocoin.http.errors import RpcError
from misocoin.rpc.core.util import ADDRESS_FIELDS, address_json, script_of
from misocoin.rpc.core.wallet_texts import own_descriptor, parent_descriptor, path_text
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import STRING, invalid
from misocoin.rpc.schema import (
    array,
    boolean,
    hexadecimal,
    mapping,
    nothing,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.script.address import address_from_script
from misocoin.script.templates import p2wpkh_script, template_from_script
from misocoin.wallet.addresses import AddressType, KeyOrigin, OwnAddress, address_type_from_text
from misocoin.wallet.wallet import Wallet

INVALID_ADDRESS = "Invalid Bitcoin address"
"""Core's words where it does not repeat the address."""

NO_SEED = "00" * 20
"""What stands for the hash of a seed where keys come from descriptors."""

_EMBEDDED = obj(
    "the output of one key that is inside",
    isscript=boolean("always false"),
    iswitness=boolean("always true"),
    witness_version=number("always 0"),
    witness_program=hexadecimal("the hash of the public key"),
    pubkey=hexadecimal("the public key"),
    address=text("its own address"),
    scriptPubKey=hexadecimal("its own output script"),
)


class CoreWallet:
    """Addresses of the node's wallet, and what they are called."""

    def __init__(self, chain: ChainState, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("the address"),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.WALLET_INVALID_LABEL),
    )
    def getnewaddress(
        self,
        label: Annotated[str, STRING, "what to call it"] = "",
        address_type: Annotated[
            str | None, STRING, "bech32, bech32m, legacy or p2sh-segwit; bech32 if left out"
        ] = None,
    ) -> Json:
        """Hand out an address that was not used before."""
        check_label(label)
        return self._wallet.new_address(label, _kind(address_type))

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("the address"),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY,),
    )
    def getrawchangeaddress(
        self,
        address_type: Annotated[
            str | None, STRING, "bech32, bech32m, legacy or p2sh-segwit; bech32 if left out"
        ] = None,
    ) -> Json:
        """Hand out an address for change that was not used before."""
        return self._wallet.change_address(_kind(address_type))

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "the address",
            address=text("as it is usually written"),
            scriptPubKey=ADDRESS_FIELDS["scriptPubKey"],
            ismine=boolean("whether the wallet's key can spend from it"),
            solvable=boolean("whether the wallet knows how it is spent"),
            desc=optional(text("its descriptor")),
            parent_desc=optional(text("the descriptor of the row of addresses it is of")),
            iswatchonly=boolean("always false"),
            **{name: form for name, form in ADDRESS_FIELDS.items() if name != "scriptPubKey"},
            script=optional(text("the form of the script behind it")),
            hex=optional(hexadecimal("the script behind it")),
            pubkey=optional(hexadecimal("its public key")),
            embedded=optional(_EMBEDDED),
            iscompressed=optional(boolean("whether that has 33 bytes; not told of segwit")),
            ischange=boolean("whether it is the wallet's and nobody was told of it"),
            timestamp=optional(timestamp("from when on it may have been paid; 1 if unknown")),
            hdkeypath=optional(text("the way from the master key to its key")),
            hdseedid=optional(hexadecimal("always zeros: keys come from descriptors")),
            hdmasterfingerprint=optional(hexadecimal("of the master key")),
            labels=array("what it is called: at most one, empty without a name", text("a label")),
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY,),
    )
    def getaddressinfo(self, address: Annotated[str, STRING, "the address"]) -> Json:
        """Tell what the wallet knows of an address."""
        script = script_of(address, self._chain.params)
        params = self._chain.params
        with self._chain.lock:
            keychain = self._wallet.keychain
            own = keychain.scripts.get(script)
            parent = parent_descriptor(script, keychain, params)
            birth = keychain.file.birth
        shown = address_from_script(script, params) or address
        label = self._wallet.labels.get(shown)
        base = address_json(script)
        form: dict[str, Json] = {
            "address": shown,
            "scriptPubKey": base.pop("scriptPubKey"),
            "ismine": own is not None,
            "solvable": own is not None,
        }
        if own is not None:
            form |= {"desc": own_descriptor(own), "parent_desc": parent}
        form |= {"iswatchonly": False, **base}
        if own is not None:
            form |= self._behind(own)
        is_listed = self._wallet.is_listed(script) or label is not None
        form["ischange"] = own is not None and not is_listed
        if own is not None and own.kind is not AddressType.MULTISIG:
            key, told = own.origins[0]
            origin = told or KeyOrigin(hash160(key)[:4], ())
            form |= {
                "timestamp": max(1, birth),
                "hdkeypath": path_text(origin),
                "hdseedid": NO_SEED,
                "hdmasterfingerprint": origin.fingerprint.hex(),
            }
        return {**form, "labels": [label or ""] if is_listed else []}

    def _behind(self, own: OwnAddress) -> dict[str, Json]:
        """The script and the key behind an own address, as far as Core tells them."""
        key = own.origins[0][0].hex()
        match own.kind:
            case AddressType.MULTISIG:
                return {"script": "multisig", "hex": own.witness_script.hex()}
            case AddressType.TAPROOT:
                return {}
            case AddressType.NESTED:
                inner = p2wpkh_script(hash160(own.origins[0][0]))
                base = address_json(inner)
                script = base.pop("scriptPubKey")
                address = address_from_script(inner, self._chain.params)
                embedded = {**base, "pubkey": key, "address": address, "scriptPubKey": script}
                kind = template_from_script(inner).kind
                return {
                    "script": kind.value,
                    "hex": script,
                    "pubkey": key,
                    "embedded": embedded,
                }
            case AddressType.LEGACY:
                return {"pubkey": key, "iscompressed": len(key) == 66}
            case AddressType.BECH32:
                return {"pubkey": key}

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=nothing(),
        errors=(
            RpcCode.WALLET_ERROR,
            RpcCode.INVALID_ADDRESS_OR_KEY,
            RpcCode.WALLET_INVALID_LABEL,
        ),
    )
    def setlabel(
        self,
        address: Annotated[str, STRING, "the address"],
        label: Annotated[str, STRING, "what to call it"],
    ) -> None:
        """Call an address something."""
        script_of(address, self._chain.params, INVALID_ADDRESS)
        check_label(label)
        self._wallet.set_label(address, label)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=array("in order", text("a label")),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def listlabels(
        self, purpose: Annotated[str, STRING, "send, receive, or empty for all"] = ""
    ) -> Json:
        """List the labels that are in use."""
        if purpose not in ("", "send", "receive"):
            raise invalid(
                "Invalid 'purpose' argument, must be a known purpose string, typically 'send', "
                "or 'receive'."
            )
        return sorted({label for _, label, known in self._book() if purpose in ("", known)})

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=mapping("by address", obj("", purpose=text("receive or send"))),
        errors=(RpcCode.WALLET_INVALID_LABEL,),
    )
    def getaddressesbylabel(self, label: Annotated[str, STRING, "the label"]) -> Json:
        """List the addresses of a label."""
        check_label(label)
        found: dict[str, Json] = {
            address: {"purpose": purpose}
            for address, known, purpose in self._book()
            if known == label
        }
        if not found:
            raise RpcError(RpcCode.WALLET_INVALID_LABEL, f"No addresses with label {label[:60]}")
        return found

    def _book(self) -> list[tuple[str, str, str]]:
        """The addresses that were handed out and those with a label: label and purpose of each."""
        labels = self._wallet.labels
        names = dict.fromkeys([*self._wallet.addresses(), *labels])
        return [
            (name, labels.get(name, ""), "receive" if self._is_mine(name) else "send")
            for name in names
        ]

    def _is_mine(self, address: str) -> bool:
        return self._wallet.is_mine(script_of(address, self._chain.params))


def check_label(label: str | None) -> None:
    """Refuse the label that stands for all. Raises RpcError."""
    if label == "*":
        raise RpcError(RpcCode.WALLET_INVALID_LABEL, "Invalid label name")


def _kind(name: str | None) -> AddressType | None:
    if name is None:
        return None
    try:
        return address_type_from_text(name)
    except ValueError:
        raise RpcError(
            RpcCode.INVALID_ADDRESS_OR_KEY, f"Unknown address type '{name[:40]}'"
        ) from None
