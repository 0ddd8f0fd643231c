"""The node behind a market, and its wallet, by JSON-RPC: ours, or a bitcoind."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from misocoin.errors import ConfigError, ParseError
from misocoin.http.client import Bounds
from misocoin.http.errors import HttpError, RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.params import Params, params_by_name
from misocoin.primitives.block import Block, block_from_bytes
from misocoin.primitives.transaction import (
    OutPoint,
    Transaction,
    outpoint_index,
    transaction_from_bytes,
)
from misocoin.script.address import script_from_address
from misocoin.script.templates import ScriptKind, template_from_script
from misocoin.units import sats_from_text

T = TypeVar("T")

RELAY_RATE = 1_000
"""Base units per 1,000 virtual bytes that every node relays at."""

_INVALID_PARAMETER = -8
_ALREADY_IN_CHAIN = -27
_REFUSED = frozenset({-25, -26})


class Tip(NamedTuple):
    """The active chain's last block."""

    height: int
    hash_hex: str


class PaymentRefused(RpcError):
    """The node does not take a payment; it may have been made in another way."""


class NodeWallet:
    """A node's chain and wallet. Raises HttpError or RpcError where the node is of no help."""

    def __init__(self, client: JsonRpcClient) -> None:
        self._client = client
        self._params: Params | None = None

    @property
    def params(self) -> Params:
        """The rules of the node's chain."""
        if self._params is None:
            name = str(self._client.call("getblockchaininfo")["chain"])
            self._params = params_by_name({"main": "bitcoin"}.get(name, name))
        return self._params

    def tip(self) -> Tip:
        """The last block."""
        info = self._client.call("getblockchaininfo")
        return Tip(int(info["blocks"]), str(info["bestblockhash"]))

    def block_hash(self, height: int) -> str:
        """The hash of the active chain's block at a height."""
        return str(self._client.call("getblockhash", height))

    def block(self, hash_hex: str) -> Block:
        """A block."""
        return _parsed(block_from_bytes, self._client.call("getblock", hash_hex, 0))

    def new_address(self) -> str:
        """A new address of the wallet, P2WPKH."""
        address = str(self._client.call("getnewaddress", "market", "bech32"))
        if template_from_script(self.script_of(address)).kind is not ScriptKind.P2WPKH:
            raise ConfigError("the node's wallet must give P2WPKH addresses")
        return address

    def script_of(self, address: str) -> bytes:
        """The output script of an address. Raises AddressError."""
        return script_from_address(address, self.params)

    def sign(self, tx: Transaction) -> Transaction:
        """The transaction, signed by the wallet."""
        signed = self._client.call("signrawtransactionwithwallet", tx.serialize().hex())
        if not signed["complete"]:
            raise HttpError("the node's wallet cannot sign for the market's coins")
        return _parsed(transaction_from_bytes, signed["hex"])

    def send(self, raw_hex: str) -> None:
        """Hand in a payment; one that the node has already is fine. Raises PaymentRefused."""
        try:
            self._client.call("sendrawtransaction", raw_hex, 0)
        except RpcError as error:
            if error.code == _ALREADY_IN_CHAIN or "already" in error.message:
                return
            if error.code in _REFUSED:
                raise PaymentRefused(error.code, error.message) from None
            raise

    def value_of_unspent(self, point_hex: str, *, with_mempool: bool) -> int | None:
        """What an output `txid:index` holds; None where it is spent or unknown."""
        txid, _, index = point_hex.partition(":")
        found = self._client.call("gettxout", txid, int(index), with_mempool)
        return None if found is None else _sats(found["value"])

    def fee_rate(self) -> int:
        """Base units per 1,000 virtual bytes that the node asks for at least."""
        return max(RELAY_RATE, _sats(self._client.call("getmempoolinfo")["mempoolminfee"]))

    def hold(self, points: Iterable[OutPoint]) -> None:
        """Have no other payment of the wallet spend these coins (`lockunspent`).

        Coins that the wallet does not know, or that are spent, are left alone.
        """
        held = {(each["txid"], each["vout"]) for each in self._client.call("listlockunspent")}
        for point in points:
            coin = (point[31::-1].hex(), outpoint_index(point))
            if coin in held:
                continue
            try:
                named = [{"txid": coin[0], "vout": coin[1]}]
                self._client.call("lockunspent", False, named, True)
            except RpcError as error:
                if error.code != _INVALID_PARAMETER:
                    raise

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _parsed(parse: Callable[[bytes], T], text: object) -> T:
    try:
        return parse(bytes.fromhex(str(text)))
    except (ValueError, ParseError):
        raise HttpError("the node's answer is not what was asked for") from None


def _sats(coins: Any) -> int:
    """Base units of an amount in an answer, which is a `Decimal` or an integer of coins."""
    return sats_from_text(f"{coins:f}")


class CookieClient(JsonRpcClient):
    """A client that reads the node's cookie anew for each call: a restarted node has another."""

    def __init__(self, url: str, cookie: Path, bounds: Bounds | None = None) -> None:
        super().__init__(url, bounds=bounds)
        self._cookie = cookie

    def call(self, method: str, *params: Any, **named: Any) -> Any:
        """As `JsonRpcClient.call`; HttpError, too, where the cookie cannot be read."""
        try:
            name, _, password = self._cookie.read_text("ascii").strip().partition(":")
        except (OSError, UnicodeDecodeError):
            raise HttpError(f"the node's cookie {self._cookie} cannot be read") from None
        self.set_credentials((name, password))
        return super().call(method, *params, **named)
