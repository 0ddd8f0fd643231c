"""A node as the notary asks it: to pay from its wallet, and where a payment was mined."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from misocoin.cli.command import UsageError
from misocoin.config_values import COOKIE_FILE, default_folder
from misocoin.core_options import place_from_text
from misocoin.errors import NotFoundError, ParseError, WalletError
from misocoin.http.errors import RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.option_table import DEFAULT_PORT
from misocoin.options import Option
from misocoin.params import Params
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import Transaction, transaction_from_bytes
from misocoin.rpc.errors import RpcCode
from misocoin.units import text_from_sats

GROUP = "A node that pays"

PAYER = Option(
    "payer",
    GROUP,
    "Have the wallet of this node pay, not a key of yours; it may be a bitcoind's.",
    place_from_text,
    placeholder="host:port",
)
USER = Option("user", GROUP, "Name for the node, with -password.", placeholder="name")
PASSWORD = Option("password", GROUP, "Password for the node.", placeholder="password", secret=True)
COOKIE = Option(
    "cookie",
    GROUP,
    "The node's cookie file, instead of name and password.",
    Path,
    placeholder="file",
    default_text="that of a node on this machine",
)

PAYER_OPTIONS = (PAYER, USER, PASSWORD, COOKIE)

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_HASH = re.compile("[0-9a-f]{64}")


def payer_from(values: Mapping[str, Any], params: Params) -> "NodeWallet":
    """The node that is to pay, one of this chain. Raises UsageError, WalletError or HttpError."""
    if (values["user"] is None) != (values["password"] is None):
        raise UsageError("-user and -password go together")
    place = values["payer"]
    port = DEFAULT_PORT if place.port is None else place.port
    host = f"[{place.host}]" if ":" in place.host else place.host
    credentials = None if values["user"] is None else (values["user"], values["password"])
    if credentials is None and values["cookie"] is not None:
        credentials = _from_cookie(values["cookie"])
    elif credentials is None and place.host in _THIS_MACHINE:
        cookie = default_folder(values["chain"], port) / COOKIE_FILE
        credentials = _from_cookie(cookie) if cookie.exists() else None
    return NodeWallet(JsonRpcClient(f"http://{host}:{port}/", credentials), params)


def _from_cookie(path: Path) -> tuple[str, str]:
    try:
        name, _, password = path.read_text("ascii").partition(":")
    except (OSError, UnicodeDecodeError):
        raise WalletError(f"{path}: no cookie of a node can be read there") from None
    return name, password


class NodeWallet:
    """Pays through Bitcoin Core's methods, which ours has too. Raises WalletError or HttpError."""

    def __init__(self, client: JsonRpcClient, params: Params) -> None:
        self._client = client
        if self._call("getblockhash", 0) != params.genesis.header.hash_hex:
            raise WalletError(f"the node that shall pay is not of chain {params.name}")

    def _call(self, method: str, *given: object) -> Any:
        try:
            return self._client.call(method, *given)
        except RpcError as error:
            raise WalletError(f"the node does not pay: {error.message}") from error

    def sign(self, data: bytes, rate: int | None) -> Transaction:
        """A signed payment that stores `data`, not sent yet; `rate` in base units."""
        bare = self._call("createrawtransaction", [], {"data": data.hex()})
        options = {} if rate is None else {"feeRate": text_from_sats(FeeRate(rate))}
        funded = self._call("fundrawtransaction", bare, options)
        signed = self._call("signrawtransactionwithwallet", _field(funded, "hex"))
        if not isinstance(signed, dict) or signed.get("complete") is not True:
            raise WalletError("the node does not pay: its wallet cannot sign")
        try:
            return transaction_from_bytes(bytes.fromhex(_field(signed, "hex")))
        except ValueError as error:
            raise ParseError("the node answered what is no transaction") from error

    def send(self, tx: Transaction) -> None:
        """Hand the payment in; the node's wallet sends it again until it is mined."""
        self._call("sendrawtransaction", tx.serialize().hex())

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _field(answer: object, name: str) -> str:
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, str):
        raise ParseError(f"the node's answer has no {name!r}")
    return value


def find_block(client: JsonRpcClient, txid: bytes) -> bytes:
    """The hash of the block that a node says a transaction is in, wire order.

    Raises NotFoundError where it tells none, or HttpError.
    """
    txid_hex = txid[::-1].hex()
    try:
        answer = client.call("get_tx", txid_hex)
    except RpcError as error:
        if error.code != RpcCode.METHOD_NOT_FOUND:
            raise NotFoundError(error.message) from error
        answer = _ask_core(client, txid_hex)
    found = answer.get("block_hash", answer.get("blockhash")) if isinstance(answer, dict) else None
    if not isinstance(found, str) or not _HASH.fullmatch(found):
        raise NotFoundError("it is in no block yet")
    return bytes.fromhex(found)[::-1]


def _ask_core(client: JsonRpcClient, txid_hex: str) -> object:
    try:
        return client.call("getrawtransaction", txid_hex, True)
    except RpcError as error:
        raise NotFoundError(error.message) from error
