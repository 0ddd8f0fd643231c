"""Work from another node: `getblocktemplate` as a miner reads it (BIP22, BIP23, BIP145). Pure.

The answer comes from outside. What it says is read into our own block template, the coinbase is
built here (BIP34's height, an extra nonce, the witness commitment of BIP141), and ids are computed
from the transactions' bytes, never taken from the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from misocoin.chain.template import (
    EXTRA_NONCE_SIZE,
    MAX_COINBASE_SCRIPT_SIZE,
    BlockTemplate,
    TemplateTransaction,
)
from misocoin.consensus.block_rules import (
    WITNESS_COMMITMENT_HEADER,
    calculate_witness_commitment,
)
from misocoin.consensus.difficulty import target_from_bits
from misocoin.consensus.merkle import calculate_merkle_branch
from misocoin.consensus.tx_rules import MAX_BLOCK_WEIGHT
from misocoin.errors import ParseError, ValidationError
from misocoin.params import Params
from misocoin.primitives.transaction import Transaction, transaction_from_bytes
from misocoin.script.script import push_data, push_int

CAPABILITIES: Final = ("coinbasevalue", "longpoll", "proposal", "workid")
"""What this miner can do, as BIP22 names it."""

RULES: Final = ("segwit",)
"""The rules whose consequences it knows (BIP9); Core gives no template without this one."""

MAX_TRANSACTIONS: Final = MAX_BLOCK_WEIGHT // 240
"""More than fit into a block."""

_KNOWN_RULES: Final = frozenset({"csv", "segwit", "taproot", "testdummy"})
_WITNESS_RESERVED: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class RemoteWork:
    """A template of another node's."""

    template: BlockTemplate
    long_poll_id: str
    """Hands back a request until there is other work; empty where the node does not wait."""
    work_id: str
    """To be handed in with the block; empty for none."""


def template_request(long_poll_id: str = "") -> dict[str, Any]:
    """The one parameter of `getblocktemplate`; with an id it is answered when work changes."""
    request: dict[str, Any] = {"capabilities": list(CAPABILITIES), "rules": list(RULES)}
    if long_poll_id:
        request["longpollid"] = long_poll_id
    return request


def work_from_json(
    answer: object, params: Params, script_pubkey: bytes, tag: bytes = b""
) -> RemoteWork:
    """Read an answer of `getblocktemplate`; the coinbase pays `script_pubkey`.

    `tag` goes into the coinbase's script. Raises ParseError for what is no template, and for one
    that asks for rules not known here.
    """
    fields = _Fields(answer)
    for rule in fields.texts("rules"):
        if rule.startswith("!") and rule[1:] not in _KNOWN_RULES:
            raise ParseError(f"the template follows the rule {rule[1:][:40]!r}, unknown here")
    height = fields.integer("height", 1, 0x7FFFFFFF)
    bits = int.from_bytes(fields.hexadecimal("bits", 4), "big")
    try:
        target_from_bits(bits)
    except ValidationError as error:
        raise ParseError(f"the template's bits: {error}") from None
    transactions = _transactions(fields)
    others = [each.tx for each in transactions]
    prefix = push_int(height) + bytes((EXTRA_NONCE_SIZE,))
    aux = fields.aux()
    room = MAX_COINBASE_SCRIPT_SIZE - len(prefix) - EXTRA_NONCE_SIZE - len(aux)
    if room < 0:
        raise ParseError("the template's coinbaseaux is too long")
    text = tag[: max(0, room - 2)]
    template = BlockTemplate(
        params=params,
        height=height,
        version=fields.integer("version", -(1 << 31), (1 << 31) - 1),
        prev_hash=fields.hexadecimal("previousblockhash", 32)[::-1],
        bits=bits,
        time=fields.integer("curtime", 0, 0xFFFFFFFF),
        min_time=fields.integer("mintime", 0, 0xFFFFFFFF, 0),
        transactions=transactions,
        # What is subsidy in the whole value, the answer does not say, and nobody here asks.
        fees=0,
        subsidy=fields.integer("coinbasevalue", 0, (1 << 63) - 1),
        weight=0,
        sigop_cost=0,
        script_pubkey=script_pubkey,
        coinbase_prefix=prefix,
        coinbase_suffix=aux + (push_data(text) if text else b""),
        witness_commitment=b"",
        merkle_branch=calculate_merkle_branch([bytes(32), *[tx.txid for tx in others]], 0),
    )
    given = fields.optional_hex("default_witness_commitment")
    if given is not None or any(tx.has_witness for tx in others):
        whole = (template.coinbase(), *others)
        root = calculate_witness_commitment(whole, _WITNESS_RESERVED)
        commitment = WITNESS_COMMITMENT_HEADER + root
        if given is not None and given[: len(commitment)] != commitment:
            raise ParseError("the template's witness commitment is not that of its transactions")
        template = replace(template, witness_commitment=given or commitment)
    return RemoteWork(template, fields.text("longpollid"), fields.text("workid"))


def _transactions(fields: "_Fields") -> tuple[TemplateTransaction, ...]:
    found: list[TemplateTransaction] = []
    for item in fields.items("transactions", MAX_TRANSACTIONS):
        each = _Fields(item)
        data = each.hexadecimal("data")
        tx: Transaction = transaction_from_bytes(data)
        found.append(TemplateTransaction(tx, each.integer("fee", -(1 << 63), 1 << 63, 0), 0, ()))
    return tuple(found)


class _Fields:
    """A JSON object from outside."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, Mapping):
            raise ParseError("a template is an object")
        self._value = value

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        value = self._value.get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise ParseError(f"the template's {name} is no number from {low} to {high}")
        return value

    def text(self, name: str) -> str:
        value = self._value.get(name, "")
        if not isinstance(value, str) or len(value) > 1000:
            raise ParseError(f"the template's {name} is no text")
        return value

    def hexadecimal(self, name: str, size: int | None = None) -> bytes:
        value = self._value.get(name)
        try:
            data = bytes.fromhex(value) if isinstance(value, str) and value.isalnum() else None
        except ValueError:
            data = None
        if data is None or (size is not None and len(data) != size):
            raise ParseError(f"the template's {name} is not hex of its length")
        return data

    def optional_hex(self, name: str) -> bytes | None:
        return self.hexadecimal(name) if name in self._value else None

    def items(self, name: str, most: int) -> Sequence[object]:
        value = self._value.get(name, [])
        if not isinstance(value, list) or len(value) > most:
            raise ParseError(f"the template's {name} is no list of at most {most}")
        return value

    def texts(self, name: str) -> list[str]:
        found = [item for item in self.items(name, 1000) if isinstance(item, str)]
        if len(found) != len(self._value.get(name, [])):
            raise ParseError(f"the template's {name} are not texts")
        return found

    def aux(self) -> bytes:
        """What the coinbase's script has to hold, as the answer's `coinbaseaux` says."""
        value = self._value.get("coinbaseaux", {})
        if not isinstance(value, Mapping):
            raise ParseError("the template's coinbaseaux is no object")
        named = _Fields(value)
        return b"".join([named.hexadecimal(name) for name in value if value[name] != ""])
