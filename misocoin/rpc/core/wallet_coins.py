"""Core's methods on what the wallet holds: balances, coins, and coins that are held back."""

import time
from typing import Annotated, NamedTuple

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.crypto.hashes import hash160
from misocoin.http.errors import RpcError
from misocoin.primitives.transaction import OutPoint, outpoint, outpoint_index
from misocoin.rpc.amounts import sats_from_number
from misocoin.rpc.core.util import script_of
from misocoin.rpc.core.wallet import INVALID_ADDRESS
from misocoin.rpc.core.wallet_texts import own_descriptor, parent_descriptor
from misocoin.rpc.core.wallets import WalletNames
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import ARRAY, BOOLEAN, HASH, INTEGER, OBJECT, STRING, invalid, json_type
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    either,
    hexadecimal,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.script.address import address_from_script
from misocoin.script.templates import p2wpkh_script
from misocoin.wallet.addresses import AddressType
from misocoin.wallet.views import Unspent
from misocoin.wallet.wallet import Wallet

MAX_DEPTH = 9_999_999
"""Confirmations that nothing has, Core's default for a maximum."""

BLOCK = obj(
    "the last block that is counted", hash=hexadecimal("its hash"), height=number("its height")
)

_POINT = {"txid": hexadecimal("whose output it is"), "vout": number("which output")}


class _Held(NamedTuple):
    """Base units."""

    trusted: int
    pending: int
    immature: int


def block_json(tip: HeaderNode) -> dict[str, Json]:
    """The block up to which the wallet has followed the chain."""
    return {"hash": tip.header.hash_hex, "height": tip.height}


def check_avoid_reuse(avoid_reuse: bool | None) -> None:
    """Refuse what only a wallet can do that tells addresses apart that were paid before."""
    if avoid_reuse:
        raise RpcError(
            RpcCode.WALLET_ERROR, 'wallet does not have the "avoid reuse" feature enabled'
        )


class CoreWalletCoins:
    """What the node's wallet holds."""

    def __init__(
        self, chain: ChainState, mempool: Mempool, wallet: Wallet, names: WalletNames
    ) -> None:
        self._chain = chain
        self._mempool = mempool
        self._wallet = wallet
        self._names = names

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=coins("what can be spent"),
        errors=(RpcCode.METHOD_DEPRECATED, RpcCode.WALLET_ERROR),
    )
    def getbalance(
        self,
        dummy: Annotated[str, STRING, "must be * or left out"] = "*",
        minconf: Annotated[int, INTEGER, "count coins with so many confirmations"] = 0,
        include_watchonly: Annotated[bool, BOOLEAN, "not looked at"] = True,
        avoid_reuse: Annotated[bool | None, BOOLEAN, "must be false or left out"] = None,
    ) -> Json:
        """Tell what the wallet can spend."""
        if dummy != "*":
            raise RpcError(
                RpcCode.METHOD_DEPRECATED, 'dummy first argument must be excluded or set to "*".'
            )
        check_avoid_reuse(avoid_reuse)
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
            birthtime=timestamp("from when on it may have been paid; 1 if unknown"),
            flags=array("what it is", text("a flag")),
            lastprocessedblock=BLOCK,
        ),
    )
    def getwalletinfo(self) -> Json:
        """Tell how the wallet is."""
        wallet = self._wallet
        with self._chain.lock:
            keychain, tip = wallet.keychain, self._chain.tip
            ahead = sum([account.gap for account in keychain.file.accounts])
            birth = keychain.file.birth
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
            "private_keys_enabled": True,
            "avoid_reuse": False,
            "scanning": False
            if progress is None
            else {"duration": 0, "progress": progress[0] / max(1, progress[1])},
            "descriptors": True,
            "external_signer": False,
            "blank": False,
            "birthtime": max(1, birth),
            "flags": ["last_hardened_xpub_cached", "descriptor_wallet"],
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
                **_POINT,
                address=optional(text("its address")),
                label=optional(text("the address's, unless it is for change")),
                scriptPubKey=hexadecimal("its script"),
                amount=coins("what it holds"),
                confirmations=number("of its transaction"),
                ancestorcount=optional(number("unconfirmed transactions it stands on, own too")),
                ancestorsize=optional(number("their virtual bytes")),
                ancestorfees=optional(number("their fees in base units, as mining counts them")),
                redeemScript=optional(hexadecimal("the script behind a script hash")),
                witnessScript=optional(hexadecimal("the script behind a witness hash")),
                spendable=boolean("always true: the wallet has the keys"),
                solvable=boolean("always true"),
                desc=text("its descriptor"),
                parent_descs=array("of the row of addresses it is of", text("a descriptor")),
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
            "minimumAmount, maximumAmount, maximumCount, minimumSumAmount, "
            "include_immature_coinbase",
        ] = {},  # noqa: B006
    ) -> Json:
        """List the wallet's coins; those that are locked, and coinbases too young, are left out."""
        scripts: set[bytes] = set()
        for address in addresses:
            name = _string(address)
            script = script_of(name, self._chain.params, f"{INVALID_ADDRESS}: {name}")
            if script in scripts:
                raise invalid(f"Invalid parameter, duplicated address: {name}")
            scripts.add(script)
        limits = _limits(query_options)
        with_young = query_options.get("include_immature_coinbase") is True
        maturity = self._chain.params.coinbase_maturity
        labels = self._wallet.labels
        found: list[Json] = []
        total = 0
        for each in self._wallet.unspent():
            coin = each.coin
            if (
                not minconf <= each.confirmations <= maxconf
                or (scripts and coin.script_pubkey not in scripts)
                or (coin.is_coinbase and each.confirmations <= maturity and not with_young)
                or each.is_locked
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
            form["address"] = address
            if not self._wallet.is_change(coin.script_pubkey):
                form["label"] = labels.get(address, "")
        if own.kind is AddressType.NESTED:
            form["redeemScript"] = p2wpkh_script(hash160(own.origins[0][0])).hex()
        if own.witness_script:
            form["witnessScript"] = own.witness_script.hex()
        form |= {
            "scriptPubKey": coin.script_pubkey.hex(),
            "amount": amount(coin.value),
            "confirmations": each.confirmations,
            **self._ancestry(coin.point[:32]),
        }
        form |= {
            "spendable": True,
            "solvable": True,
            "desc": own_descriptor(own),
            "parent_descs": [
                parent_descriptor(coin.script_pubkey, self._wallet.keychain, self._chain.params)
            ],
            "safe": coin.is_trusted,
        }
        return form

    def _ancestry(self, txid: bytes) -> dict[str, Json]:
        entry = self._mempool.get(txid)
        if entry is None:
            return {}
        return {
            "ancestorcount": entry.ancestor_count,
            "ancestorsize": entry.ancestor_vsize,
            "ancestorfees": entry.ancestor_fee,
        }

    # -- coins held back ----------------------------------------------------------------------

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        result=boolean("always true"),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def lockunspent(
        self,
        unlock: Annotated[bool, BOOLEAN, "true to let coins go, false to hold them back"],
        transactions: Annotated[
            list[Json] | None,
            ARRAY,
            'the coins: objects {"txid", "vout"}; left out, all are let go, or none held back',
        ] = None,
        persistent: Annotated[bool, BOOLEAN, "hold them back after a restart, too"] = False,
    ) -> Json:
        """Hold coins back from payments, or let them go; what spends them ends it as well."""
        if transactions is None:
            if unlock:
                self._wallet.locks.remove()
            return True
        with self._chain.lock:
            locked = set(self._wallet.locks.points())
            points = [self._lockable(each, locked, unlock, persistent) for each in transactions]
            if unlock:
                self._wallet.locks.remove(points)
            else:
                self._wallet.locks.add(points, lasts=persistent)
        return True

    def _lockable(
        self, given: Json, locked: set[OutPoint], unlock: bool, persistent: bool
    ) -> OutPoint:
        point = point_from_json(given)
        entry = self._wallet.find(point[:32])
        if entry is None:
            raise invalid("Invalid parameter, unknown transaction")
        if outpoint_index(point) >= len(entry.tx.vout):
            raise invalid("Invalid parameter, vout index out of bounds")
        if self._wallet.ledger.is_spent(point):
            raise invalid("Invalid parameter, expected unspent output")
        if unlock and point not in locked:
            raise invalid("Invalid parameter, expected locked output")
        if not unlock and point in locked and not persistent:
            raise invalid("Invalid parameter, output already locked")
        return point

    @core_method(
        Category.WALLET, access=Access.AUTH, result=array("those held back", obj("", **_POINT))
    )
    def listlockunspent(self) -> Json:
        """List the coins that are held back from payments."""
        return [
            {"txid": hash_hex(point[:32]), "vout": outpoint_index(point)}
            for point in self._wallet.locks.points()
        ]


def point_from_json(given: Json) -> OutPoint:
    """Read `{"txid", "vout"}`; raises RpcError in Core's words."""
    if not isinstance(given, dict):
        raise RpcError(
            RpcCode.TYPE_ERROR,
            f"JSON value of type {json_type(given)} is not of expected type object",
        )
    for name in ("txid", "vout"):
        if name not in given:
            raise RpcError(RpcCode.TYPE_ERROR, f"Missing {name}")
    txid, index = given["txid"], given["vout"]
    for name, value, kind in (("txid", txid, "string"), ("vout", index, "number")):
        if json_type(value) != kind:
            raise RpcError(
                RpcCode.TYPE_ERROR,
                f"JSON value of type {json_type(value)} for field {name} is not of expected type "
                f"{kind}",
            )
    if type(index) is not int:
        raise RpcError(RpcCode.MISC_ERROR, "JSON integer out of range")
    if index < 0:
        raise invalid("Invalid parameter, vout cannot be negative")
    point_hash = HASH.parse(txid, "txid")
    return outpoint(point_hash, min(index, 0xFFFFFFFF))


def _string(value: Json) -> str:
    if isinstance(value, str):
        return value
    raise RpcError(
        RpcCode.TYPE_ERROR, f"JSON value of type {json_type(value)} is not of expected type string"
    )


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
            limits[name] = sats_from_number(value)
    return limits
