"""Core's method that takes descriptors with private keys into the wallet: importdescriptors."""

import re
from typing import Annotated, Any, Final

from misocoin.chain.state import ChainState
from misocoin.crypto.bip32 import ExtendedPrivateKey, extended_key_from_text, path_from_text
from misocoin.crypto.wif import key_from_wif
from misocoin.errors import MisocoinError, WalletError
from misocoin.http.errors import RpcError
from misocoin.rpc.core.descriptors import descriptors_of
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode, rpc_error_from_exception
from misocoin.rpc.json import Json
from misocoin.rpc.params import ARRAY, invalid, json_type
from misocoin.rpc.schema import array, boolean, number, obj, optional, text
from misocoin.script.descriptor_text import body_from_text
from misocoin.wallet.addresses import Account, AccountKey, AddressType, Branch, KeyOrigin
from misocoin.wallet.wallet import Wallet
from misocoin.wallet.walletfile import MAX_GAP, MAX_INDEX

_KINDS: Final = {
    "pkh": AddressType.LEGACY,
    "sh(wpkh": AddressType.NESTED,
    "tr": AddressType.TAPROOT,
    "wpkh": AddressType.BECH32,
}

_FORM = re.compile(r"(pkh|sh\(wpkh|tr|wpkh|pk|combo)\(([^(),]+)\)+")
_KEY = re.compile(r"(?:\[([0-9a-f]{8})([^\]]*)\])?(\w+)((?:/\d+['hH]?)*?)/(0|1|<0;1>)/\*")

MIN_GAP = 20
"""Addresses that are known ahead at least (BIP44)."""


class CoreWalletImport:
    """Takes descriptors into the wallet."""

    def __init__(self, chain: ChainState, wallet: Wallet) -> None:
        self._chain = chain
        self._wallet = wallet

    @core_method(
        Category.WALLET,
        access=Access.AUTH,
        waits=True,
        result=array(
            "in the order of the requests",
            obj(
                "",
                success=boolean("whether it was imported"),
                warnings=optional(array("what should be known", text("a sentence"))),
                error=optional(obj("", code=number("Core's code"), message=text("why not"))),
            ),
        ),
        errors=(RpcCode.WALLET_ERROR, RpcCode.WALLET_UNLOCK_NEEDED),
    )
    def importdescriptors(
        self,
        requests: Annotated[
            list[Json],
            ARRAY,
            'objects {"desc", "timestamp" ("now": no past is searched for), "active", '
            '"next_index", "range", "label"}',
        ],
    ) -> Json:
        """Take private keys of descriptors into the wallet, then search the chain for their past.

        A descriptor has one key: a WIF, all of whose forms are watched then, or an extended
        private key and `/0/*`, `/1/*` or `/<0;1>/*`, of which both rows are.
        """
        for each in requests:
            if not isinstance(each, dict) or "timestamp" not in each:
                raise RpcError(RpcCode.TYPE_ERROR, "Missing required timestamp field for key")
            stamp = each["timestamp"]
            if stamp != "now" and json_type(stamp) != "number":
                raise RpcError(
                    RpcCode.TYPE_ERROR,
                    'Expected number or "now" timestamp value for key. got type '
                    f"{json_type(stamp)}",
                )
        with self._chain.lock:
            self._wallet.keychain.ring_for(())  # of a locked wallet nothing is asked
        answers = [self._imported(each) for each in requests]
        if any(
            answer["success"] and each["timestamp"] != "now"
            for each, answer in zip(requests, answers, strict=True)
        ):
            self._wallet.rescan()
        return answers

    def _imported(self, request: dict[str, Any]) -> dict[str, Json]:
        try:
            self._take(request)
        except MisocoinError as error:
            found = rpc_error_from_exception(error)
            return {"success": False, "error": {"code": found.code, "message": found.message}}
        return {"success": True}

    def _take(self, request: dict[str, Any]) -> None:
        desc, label = request.get("desc"), request.get("label", "")
        if not isinstance(desc, str):
            raise invalid("Descriptor not found.")
        found = descriptors_of(desc, self._chain.params, require_checksum=True)
        if not found[0].has_private_keys:
            raise RpcError(
                RpcCode.WALLET_ERROR,
                "Cannot import descriptor without private keys to a wallet with private keys "
                "enabled",
            )
        form = _FORM.fullmatch(body_from_text(desc))
        if form is None:
            raise RpcError(RpcCode.WALLET_ERROR, "this wallet takes descriptors of one key alone")
        if not found[0].is_range:
            if request.get("active"):
                raise invalid("Active descriptors must be ranged")
            self._take_key(form[2], label)
            return
        if label:
            raise invalid("Ranged descriptors should not have a label")
        self._take_account(form[1], form[2], request)

    def _take_key(self, written: str, label: str) -> None:
        key = key_from_wif(written.rpartition("]")[2], self._chain.params.address.wif)
        with self._chain.lock:
            is_known = key.public_key in self._wallet.keychain.file.public_keys
        if not is_known:
            self._wallet.keeper.import_key(key, label)

    def _take_account(self, form: str, written: str, request: dict[str, Any]) -> None:
        match, kind = _KEY.fullmatch(written), _KINDS.get(form)
        if match is None or kind is None:
            raise RpcError(
                RpcCode.WALLET_ERROR,
                "this wallet's rows of addresses end with /0/* and /1/*, each of one type",
            )
        fingerprint, told, xprv, steps, branch = match.groups()
        _, root = extended_key_from_text(xprv)
        if not isinstance(root, ExtendedPrivateKey):
            raise WalletError("the key of a row of addresses is an extended private one")
        at = KeyOrigin(root.fingerprint, ())
        if fingerprint is not None:
            at = KeyOrigin(bytes.fromhex(fingerprint), path_from_text(told.removeprefix("/")))
        path = path_from_text(steps.removeprefix("/"))
        key = AccountKey(KeyOrigin(at.fingerprint, (*at.path, *path)), root.derive(path).public)
        following = _index(request.get("next_index", 0))
        indexes = [0, 0]
        for row in (Branch.RECEIVE, Branch.CHANGE) if branch == "<0;1>" else (int(branch),):
            indexes[row] = following
        account = Account(
            kind,
            (key,),
            gap=_gap(request.get("range"), following),
            next_indexes=(indexes[0], indexes[1]),
            preferred=request.get("active") is True,
        )
        self._wallet.keeper.import_account(account, (at, root))


def _index(value: Json) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INDEX:
        raise invalid("next_index is out of range")
    return value


def _gap(given: Json, following: int) -> int:
    """How many addresses are to be known ahead, by the range that was named."""
    end = given[-1] if isinstance(given, list) and given else given
    if end is not None and (type(end) is not int or not 0 <= end <= MAX_INDEX):
        raise invalid("Range is out of bounds")
    return min(MAX_GAP, max(MIN_GAP, (end or 0) + 1 - following))
