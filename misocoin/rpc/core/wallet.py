"""Core's methods on the wallet's addresses, keys and coins."""

import time
from typing import Annotated, Any, NamedTuple

from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.crypto.bip32 import text_from_path
from misocoin.http.errors import RpcError
from misocoin.primitives.transaction import outpoint_index
from misocoin.rpc.core.util import ADDRESS_FIELDS, address_json, script_of
from misocoin.rpc.core.wallets import WalletNames
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import ARRAY, BOOLEAN, INTEGER, OBJECT, STRING, invalid
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    either,
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
from misocoin.script.descriptor_text import with_checksum
from misocoin.script.templates import ScriptKind, template_from_script
from misocoin.units import sats_from_json
from misocoin.wallet.addresses import AddressType, OwnAddress, address_type_from_text
from misocoin.wallet.views import Unspent
from misocoin.wallet.wallet import Wallet

MAX_DEPTH = 9_999_999
"""Confirmations that nothing has, Core's default for a maximum."""

BLOCK = obj(
    "the last block that is counted", hash=hexadecimal("its hash"), height=number("its height")
)


class _Held(NamedTuple):
    """Base units."""

    trusted: int
    pending: int
    immature: int


def block_json(tip: HeaderNode) -> dict[str, Json]:
    """The block up to which the wallet has followed the chain."""
    return {"hash": tip.header.hash_hex, "height": tip.height}


def own_descriptor(own: OwnAddress) -> str:
    """The descriptor of an own address by its public keys, with its checksum."""
    keys = [_key_text(key, origin) for key, origin in own.origins]
    match own.kind:
        case AddressType.BECH32:
            body = f"wpkh({keys[0]})"
        case AddressType.TAPROOT:
            body = f"tr({keys[0]})"
        case AddressType.NESTED:
            body = f"sh(wpkh({keys[0]}))"
        case AddressType.LEGACY:
            is_hash = template_from_script(own.script_pubkey).kind is ScriptKind.P2PKH
            body = f"pkh({keys[0]})" if is_hash else f"pk({keys[0]})"
        case AddressType.MULTISIG:
            required = template_from_script(own.witness_script).required
            body = f"wsh(sortedmulti({required},{','.join(keys)}))"
    return with_checksum(body)


def _key_text(public_key: bytes, origin: Any) -> str:
    if origin is None:
        return public_key.hex()
    path = text_from_path(origin.path).removeprefix("m")
    return f"[{origin.fingerprint.hex()}{path}]{public_key.hex()}"


class CoreWallet:
    """Addresses, keys and coins of the node's wallet."""

    def __init__(self, chain: ChainState, wallet: Wallet, names: WalletNames) -> None:
        self._chain = chain
        self._wallet = wallet
        self._names = names

    # -- addresses ----------------------------------------------------------------------------

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=text("the address"),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY,),
    )
    def getnewaddress(
        self,
        label: Annotated[str, STRING, "what to call it"] = "",
        address_type: Annotated[
            str | None, STRING, "bech32, bech32m, legacy or p2sh-segwit; bech32 if left out"
        ] = None,
    ) -> Json:
        """Hand out an address that was not used before."""
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
        """Tell an address for change that was not used yet."""
        return self._wallet.change_address(_kind(address_type))

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "the address",
            address=text("as it is usually written"),
            **ADDRESS_FIELDS,
            ismine=boolean("whether the wallet's key can spend from it"),
            iswatchonly=boolean("always false"),
            solvable=boolean("whether the wallet knows how it is spent"),
            desc=optional(text("its descriptor")),
            ischange=boolean("whether it is for change"),
            script=optional(text("the form of the script behind it")),
            hex=optional(hexadecimal("the script behind it")),
            pubkey=optional(hexadecimal("its public key")),
            iscompressed=optional(boolean("whether that has 33 bytes")),
            hdkeypath=optional(text("the way from the master key to its key")),
            hdmasterfingerprint=optional(hexadecimal("of the master key")),
            labels=array("what it is called: at most one", text("a label")),
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY,),
    )
    def getaddressinfo(self, address: Annotated[str, STRING, "the address"]) -> Json:
        """Tell what the wallet knows of an address."""
        script = script_of(address, self._chain.params)
        with self._chain.lock:
            own = self._wallet.keychain.scripts.get(script)
        shown = address_from_script(script, self._chain.params) or address
        label = self._wallet.labels.get(shown)
        form: dict[str, Json] = {
            "address": shown,
            **address_json(script),
            "ismine": own is not None,
            "iswatchonly": False,
            "solvable": own is not None,
            "ischange": self._wallet.is_change(script),
            "labels": [] if own is None and label is None else [label or ""],
        }
        if own is not None:
            form["desc"] = own_descriptor(own)
            if own.witness_script:
                form |= {"script": "multisig", "hex": own.witness_script.hex()}
            else:
                key, origin = own.origins[0]
                form |= {"pubkey": key.hex(), "iscompressed": len(key) == 33}
                if origin is not None:
                    form["hdkeypath"] = text_from_path(origin.path)
                    form["hdmasterfingerprint"] = origin.fingerprint.hex()
        return form

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=nothing(),
        errors=(RpcCode.WALLET_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY),
    )
    def setlabel(
        self,
        address: Annotated[str, STRING, "the address"],
        label: Annotated[str, STRING, "what to call it"],
    ) -> None:
        """Call an address something."""
        script_of(address, self._chain.params)
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
            raise invalid("Invalid 'purpose' argument, must be a known purpose string")
        found = {
            label
            for address, label in self._wallet.labels.items()
            if not purpose or (purpose == "receive") is self._is_mine(address)
        }
        return sorted(found)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=mapping("by address", obj("", purpose=text("receive or send"))),
        errors=(RpcCode.WALLET_INVALID_LABEL,),
    )
    def getaddressesbylabel(self, label: Annotated[str, STRING, "the label"]) -> Json:
        """List the addresses of a label."""
        found = {
            address: {"purpose": "receive" if self._is_mine(address) else "send"}
            for address, known in self._wallet.labels.items()
            if known == label
        }
        if not found:
            raise RpcError(RpcCode.WALLET_INVALID_LABEL, f"No addresses with label {label[:60]}")
        return found

    # -- coins --------------------------------------------------------------------------------

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=coins("what can be spent"),
        errors=(RpcCode.METHOD_DEPRECATED,),
    )
    def getbalance(
        self,
        dummy: Annotated[str, STRING, "must be * or left out"] = "*",
        minconf: Annotated[int, INTEGER, "count coins with so many confirmations"] = 0,
        include_watchonly: Annotated[bool, BOOLEAN, "not looked at"] = True,
        avoid_reuse: Annotated[bool, BOOLEAN, "not looked at"] = True,
    ) -> Json:
        """Tell what the wallet can spend."""
        if dummy != "*":
            raise RpcError(
                RpcCode.METHOD_DEPRECATED, 'dummy first argument must be excluded or set to "*".'
            )
        return amount(self._held(minconf).trusted)

    def _held(self, minconf: int = 0) -> _Held:
        """What the wallet holds as Core counts it: a coinbase is young for one block longer.

        It could be in the next block when it is 100 deep; Core waits until it is deeper.
        """
        maturity = self._chain.params.coinbase_maturity
        trusted = pending = immature = 0
        for each in self._wallet.unspent():
            coin = each.coin
            if coin.is_coinbase and each.confirmations <= maturity:
                immature += coin.value
            elif not coin.is_trusted:
                pending += coin.value
            elif each.confirmations >= minconf:
                trusted += coin.value
        return _Held(trusted, pending, immature)

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "",
            mine=obj(
                "the wallet's own",
                trusted=coins("can be spent"),
                untrusted_pending=coins("paid by others, in no block yet"),
                immature=coins("mined less than 100 blocks ago"),
            ),
            lastprocessedblock=BLOCK,
        ),
    )
    def getbalances(self) -> Json:
        """Tell what the wallet holds, by how soon it can be spent."""
        with self._chain.lock:
            held, tip = self._held(), self._chain.tip
        return {
            "mine": {
                "trusted": amount(held.trusted),
                "untrusted_pending": amount(held.pending),
                "immature": amount(held.immature),
            },
            "lastprocessedblock": block_json(tip),
        }

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=obj(
            "the wallet",
            walletname=text("its name"),
            walletversion=number("always 169900, that of Core's newest wallets"),
            format=text("how it is kept"),
            txcount=number("transactions"),
            keypoolsize=number("addresses known ahead"),
            keypoolsize_hd_internal=number("the same for change"),
            unlocked_until=optional(
                timestamp("when it locks; 0 if it is locked; missing without a passphrase")
            ),
            paytxfee=coins("always 0: fee rates come from the mempool"),
            private_keys_enabled=boolean("always true"),
            avoid_reuse=boolean("always false"),
            scanning=either(
                "false, or how far the chain is searched",
                boolean("false"),
                obj("", duration=number("not kept: 0"), progress=number("share that is done")),
            ),
            descriptors=boolean("always true: addresses come from BIP32"),
            external_signer=boolean("always false"),
            blank=boolean("always false"),
            lastprocessedblock=BLOCK,
        ),
    )
    def getwalletinfo(self) -> Json:
        """Tell how the wallet is."""
        wallet = self._wallet
        with self._chain.lock:
            keychain, tip = wallet.keychain, self._chain.tip
            ahead = max((account.gap for account in keychain.file.accounts), default=0)
            count = len(wallet.history())
            keeper = wallet.keeper
            is_encrypted, is_locked = keeper.is_encrypted, keeper.is_locked
            left = keeper.seconds_left
        form: dict[str, Json] = {
            "walletname": self._names.name,
            "walletversion": 169_900,
            "format": "sqlite",
            "txcount": count,
            "keypoolsize": ahead,
            "keypoolsize_hd_internal": ahead,
        }
        if is_encrypted:
            form["unlocked_until"] = 0 if is_locked else int(time.time() + left)
        progress = wallet.rescan_progress
        form |= {
            "paytxfee": amount(0),
            "private_keys_enabled": True,
            "avoid_reuse": False,
            "scanning": False
            if progress is None
            else {"duration": 0, "progress": progress[0] / max(1, progress[1])},
            "descriptors": True,
            "external_signer": False,
            "blank": False,
            "lastprocessedblock": block_json(tip),
        }
        return form

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=array(
            "coins",
            obj(
                "",
                txid=hexadecimal("whose output it is"),
                vout=number("which output"),
                address=optional(text("its address")),
                label=optional(text("the address's")),
                scriptPubKey=hexadecimal("its script"),
                amount=coins("what it holds"),
                confirmations=number("of its transaction"),
                witnessScript=optional(hexadecimal("the script behind a witness hash")),
                spendable=boolean("always true: the wallet has the keys"),
                solvable=boolean("always true"),
                desc=text("its descriptor"),
                safe=boolean("whether it is confirmed, or change of our own"),
            ),
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def listunspent(
        self,
        minconf: Annotated[int, INTEGER, "at least so many confirmations"] = 1,
        maxconf: Annotated[int, INTEGER, "at most so many"] = MAX_DEPTH,
        addresses: Annotated[list[Json], ARRAY, "of these addresses alone"] = [],  # noqa: B006
        include_unsafe: Annotated[bool, BOOLEAN, "those that others may take back, too"] = True,
        query_options: Annotated[
            dict[str, Json],
            OBJECT,
            "minimumAmount, maximumAmount, maximumCount, minimumSumAmount",
        ] = {},  # noqa: B006
    ) -> Json:
        """List the wallet's coins; coinbases that are too young are left out."""
        scripts = {script_of(str(each), self._chain.params) for each in addresses}
        if len(scripts) != len(addresses):
            raise invalid("Invalid parameter, duplicated address")
        limits = _limits(query_options)
        maturity = self._chain.params.coinbase_maturity
        labels = self._wallet.labels
        found: list[Json] = []
        total = 0
        for each in self._wallet.unspent():
            coin = each.coin
            if (
                not minconf <= each.confirmations <= maxconf
                or (scripts and coin.script_pubkey not in scripts)
                or (coin.is_coinbase and each.confirmations <= maturity)
                or (not include_unsafe and not coin.is_trusted)
                or not limits["minimumAmount"] <= coin.value <= limits["maximumAmount"]
            ):
                continue
            if len(found) >= limits["maximumCount"] or total >= limits["minimumSumAmount"]:
                break
            total += coin.value
            found.append(self._coin_json(each, labels))
        return found

    def _coin_json(self, each: Unspent, labels: dict[str, str]) -> dict[str, Json]:
        coin = each.coin
        own = self._wallet.keychain.scripts[coin.script_pubkey]
        address = address_from_script(coin.script_pubkey, self._chain.params)
        form: dict[str, Json] = {
            "txid": hash_hex(coin.point[:32]),
            "vout": outpoint_index(coin.point),
        }
        if address is not None:
            form |= {"address": address, "label": labels.get(address, "")}
        form |= {
            "scriptPubKey": coin.script_pubkey.hex(),
            "amount": amount(coin.value),
            "confirmations": each.confirmations,
        }
        if own.witness_script:
            form["witnessScript"] = own.witness_script.hex()
        form |= {
            "spendable": True,
            "solvable": True,
            "desc": own_descriptor(own),
            "safe": coin.is_trusted,
        }
        return form

    def _is_mine(self, address: str) -> bool:
        return self._wallet.is_mine(script_of(address, self._chain.params))


def _kind(name: str | None) -> AddressType | None:
    if name is None:
        return None
    try:
        return address_type_from_text(name)
    except ValueError:
        raise RpcError(
            RpcCode.INVALID_ADDRESS_OR_KEY, f"Unknown address type '{name[:40]}'"
        ) from None


def _limits(options: dict[str, Json]) -> dict[str, int]:
    limits = {
        "minimumAmount": 0,
        "maximumAmount": 1 << 63,
        "maximumCount": 1 << 63,
        "minimumSumAmount": 1 << 63,
    }
    for name, value in options.items():
        if name not in limits and name != "include_immature_coinbase":
            raise RpcError(RpcCode.TYPE_ERROR, f"Unexpected key {name[:40]}")
        if name == "maximumCount":
            if type(value) is not int or value < 0:
                raise RpcError(RpcCode.TYPE_ERROR, "maximumCount is no number")
            limits[name] = value or 1 << 63
        elif name in limits:
            limits[name] = sats_from_json(value)
    return limits
