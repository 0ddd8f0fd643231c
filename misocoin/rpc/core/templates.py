"""Core's methods for miners elsewhere: block templates, and what they find (BIP22, 23, 9, 145)."""

import re
from threading import Lock
from time import monotonic
from typing import Annotated, NamedTuple

import orjson

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.chain.template import BlockTemplate, TemplateOptions, build_template
from misocoin.consensus.block_rules import check_block, witness_commitment_index
from misocoin.consensus.difficulty import target_from_bits
from misocoin.consensus.tree import HeaderNode
from misocoin.consensus.tx_rules import (
    MAX_BLOCK_SIGOPS_COST,
    MAX_BLOCK_WEIGHT,
)
from misocoin.consensus.version_bits import SIGNALLED, DeploymentState, deployment_progress
from misocoin.errors import InvalidAncestorError, ParseError, ValidationError
from misocoin.http.errors import RpcError
from misocoin.primitives.block import HEADER_SIZE, Block, header_from_bytes, read_block
from misocoin.primitives.transaction import Transaction
from misocoin.rpc.core.forms import SYNC_GAP
from misocoin.rpc.declare import Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, bytes_from_json, json_from_bytes
from misocoin.rpc.params import HASH, OBJECT, STRING, invalid, wrong_type
from misocoin.rpc.schema import (
    array,
    either,
    hexadecimal,
    mapping,
    nothing,
    nullable,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.store.records import BlockStatus

FRESH_SECONDS = 5.0
"""How long a template serves although the mempool has changed (as in Core)."""

LONG_POLL_SECONDS = 60.0
"""After so long a long poll is answered when the mempool has changed, too."""

LONG_POLL_STEP = 10.0
"""Seconds between two looks at the mempool from then on."""

_ANYONE = b"\x51"
"""Stands where the miner's script will: as short as any."""

_DIGITS = re.compile(r"\d{1,20}", re.ASCII)

_TEMPLATE = obj(
    "the template",
    capabilities=array("what this node can do", text("a word")),
    version=number("the block's version"),
    rules=array("the soft forks that hold; one with ! must be understood", text("a name")),
    vbavailable=mapping("version bits that may be set", number("the bit")),
    vbrequired=number("version bits that must be set"),
    previousblockhash=hexadecimal("the block it builds on"),
    transactions=array(
        "without the coinbase, in their order",
        obj(
            "",
            data=hexadecimal("the transaction"),
            txid=hexadecimal("its id"),
            hash=hexadecimal("its id with witness"),
            depends=array("places (from 1 on) of those it spends", number("a place")),
            fee=number("base units"),
            sigops=number("signature operations, as BIP141 counts them"),
            weight=number("weight units"),
        ),
    ),
    coinbaseaux=mapping("what the coinbase should hold", text("")),
    coinbasevalue=number("base units that the coinbase may pay"),
    longpollid=text("to be given with the next request, which then waits for news"),
    target=hexadecimal("what the block's hash must not exceed"),
    mintime=timestamp("the earliest time the block may carry"),
    mutable=array("what the miner may change", text("a word")),
    noncerange=hexadecimal("the nonces that may be tried"),
    sigoplimit=number("signature operations of a block"),
    sizelimit=number("bytes of a block"),
    weightlimit=number("weight units of a block"),
    curtime=timestamp("now"),
    bits=hexadecimal("the target in compact form"),
    height=number("the block's height"),
    default_witness_commitment=optional(hexadecimal("the output script that commits to witnesses")),
)


def _is_proposal(params: Json) -> bool:
    """Whether a call may propose a block: to try one costs as much as a block, and no work."""
    request: Json = {}
    if isinstance(params, list):
        request = params[0] if params else {}
    elif "args" in params:
        return True
    else:
        request = params.get("template_request", {})
    if isinstance(request, str):  # typed
        try:
            request = json_from_bytes(request.encode())
        except ValueError:
            return True
    return not isinstance(request, dict) or request.get("mode") not in (None, "template")


class _Prepared(NamedTuple):
    """A template that was made, and what it was made of."""

    parent: HeaderNode
    sequence: int
    made_at: float
    template: BlockTemplate
    transactions: bytes
    """JSON of the array."""


class CoreTemplates:
    """Work for miners elsewhere. Any number of threads may ask at once."""

    def __init__(self, chain: ChainState, mempool: Mempool, options: TemplateOptions) -> None:
        self._chain = chain
        self._mempool = mempool
        self._options = options
        self._lock = Lock()
        self._prepared: _Prepared | None = None

    @core_method(
        Category.MINING,
        waits=True,
        guard=_is_proposal,
        result=either(
            "by mode",
            _TEMPLATE,
            nullable(text("proposal: why the block would be refused; null if it would not")),
        ),
        examples=('\'{"rules": ["segwit"]}\'',),
        errors=(
            RpcCode.INVALID_PARAMETER,
            RpcCode.CLIENT_NOT_CONNECTED,
            RpcCode.CLIENT_IN_INITIAL_DOWNLOAD,
            RpcCode.DESERIALIZATION_ERROR,
        ),
    )
    def getblocktemplate(
        self,
        template_request: Annotated[
            dict[str, Json],
            OBJECT,
            'object {"rules": ["segwit"], "mode", "capabilities", "longpollid", "data"}',
        ],
    ) -> Json:
        """Give a miner elsewhere what it needs to search for a block, or try one it proposes.

        A proposal wants the cookie or the password. With the `longpollid` of an earlier answer it
        waits for a new tip, or for better fees.
        """
        mode = template_request.get("mode")
        if mode is None:
            mode = "template"
        if mode == "proposal":
            return self._proposal(template_request.get("data"))
        if mode != "template":
            raise invalid("Invalid mode")
        rules = template_request.get("rules")
        for rule in rules if isinstance(rules, list) else ():
            if not isinstance(rule, str):
                raise wrong_type(rule, "string")
        if not isinstance(rules, list) or "segwit" not in rules:
            raise invalid(
                "getblocktemplate must be called with the segwit rule set (call with "
                '{"rules": ["segwit"]})'
            )
        chain = self._chain
        catching_up = chain.best_header.height - chain.tip.height > SYNC_GAP
        if catching_up and chain.params.name != "regtest":
            raise RpcError(
                RpcCode.CLIENT_IN_INITIAL_DOWNLOAD,
                "Misocoin is in initial sync and waiting for blocks...",
            )
        long_poll_id = template_request.get("longpollid")
        if long_poll_id is not None:
            self._wait_for_news(long_poll_id)
        return self._template_json(self._prepare())

    def _wait_for_news(self, long_poll_id: Json) -> None:
        chain = self._chain
        if isinstance(long_poll_id, str):
            known = HASH.parse(long_poll_id[:64], "longpollid")
            digits = _DIGITS.match(long_poll_id[64:])
            sequence = int(digits[0]) if digits else 0
        else:
            known, sequence = chain.tip.hash, self._mempool.sequence
        timeout = LONG_POLL_SECONDS
        while chain.wait_for_tip(known, timeout).hash == known:
            if chain.is_closing:
                raise RpcError(RpcCode.CLIENT_NOT_CONNECTED, "Shutting down")
            if self._mempool.sequence != sequence:
                return
            timeout = LONG_POLL_STEP

    def _prepare(self) -> _Prepared:
        """A template on the tip, the last one while it is fresh enough."""
        with self._lock:  # several miners who wait for one block need one template
            chain, last = self._chain, self._prepared
            with chain.lock:
                tip, sequence = chain.tip, self._mempool.sequence
                if last is not None and last.parent is tip:
                    age = monotonic() - last.made_at
                    if last.sequence == sequence or age < FRESH_SECONDS:
                        return last
                template = build_template(
                    tip, self._mempool.entries(), chain.params, chain.now(), _ANYONE, self._options
                )
            made = _Prepared(tip, sequence, monotonic(), template, _transactions_json(template))
            self._prepared = made
            return made

    def _template_json(self, prepared: _Prepared) -> Json:
        template = prepared.template
        deployments = self._chain.params.deployments
        states = {each: deployment_progress(prepared.parent, each).state for each in deployments}
        active = [each.name for each in deployments if states[each] is DeploymentState.ACTIVE]
        form: dict[str, Json] = {
            "capabilities": ["proposal"],
            "version": template.version,
            "rules": ["csv", "!segwit", *active, "taproot"],
            "vbavailable": {each.name: each.bit for each in states if states[each] in SIGNALLED},
            "vbrequired": 0,
            "previousblockhash": hash_hex(template.prev_hash),
            "transactions": orjson.Fragment(prepared.transactions),
            "coinbaseaux": {},
            "coinbasevalue": template.coinbase_value,
            "longpollid": f"{hash_hex(template.prev_hash)}{prepared.sequence}",
            "target": f"{target_from_bits(template.bits):064x}",
            "mintime": template.min_time,
            "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "sigoplimit": MAX_BLOCK_SIGOPS_COST,
            "sizelimit": MAX_BLOCK_WEIGHT,
            "weightlimit": MAX_BLOCK_WEIGHT,
            "curtime": max(template.min_time, self._chain.now()),
            "bits": f"{template.bits:08x}",
            "height": template.height,
        }
        if template.witness_commitment:
            form["default_witness_commitment"] = template.witness_commitment.hex()
        return form

    def _proposal(self, data: Json) -> str | None:
        if not isinstance(data, str):
            raise RpcError(RpcCode.TYPE_ERROR, "Missing data String key for proposal")
        block = _block_from_hex(data)
        known = self._known(block)
        if known is not None:
            return known
        try:
            self._chain.test_block(block)
        except ValidationError as error:
            return error.reason
        return None

    def _known(self, block: Block) -> str | None:
        """What is said of a block whose header is known."""
        node = self._chain.tree.get(block.hash)
        if node is None:
            return None
        status = self._chain.status(node)
        if status & BlockStatus.FAILED:
            return "duplicate-invalid"
        return "duplicate" if status & BlockStatus.CONNECTED else "duplicate-inconclusive"

    @core_method(
        Category.MINING,
        result=nullable(text("why it was refused, as BIP22 words it; null if it was not")),
        errors=(RpcCode.DESERIALIZATION_ERROR,),
    )
    def submitblock(
        self,
        hexdata: Annotated[str, STRING, "the block's bytes in hex"],
        dummy: Annotated[str, STRING, "not looked at"] = "",
    ) -> Json:
        """Hand in a mined block.

        The coinbase may come without its witness, where it commits to witnesses.
        """
        del dummy
        block = _block_from_hex(hexdata)
        known = self._known(block)
        if known in ("duplicate", "duplicate-invalid"):
            return known
        try:
            block = _with_witness(block)
            if not self._chain.knows(block.header.prev_hash):
                check_block(block, self._chain.params)  # Core tells first what is wrong with itself
            result = self._chain.offer_block(block.serialize())
        except InvalidAncestorError:
            return "inconclusive"  # this one was never looked at
        except ValidationError as error:
            return error.reason
        if not result.is_new:
            return "duplicate"
        # One that held may be off the chain again, because what waited on it did not.
        is_checked = self._chain.status(result.node) & BlockStatus.CONNECTED
        return None if is_checked else "inconclusive"

    @core_method(
        Category.MINING,
        result=nothing(),
        errors=(RpcCode.DESERIALIZATION_ERROR, RpcCode.VERIFY_ERROR),
    )
    def submitheader(self, hexdata: Annotated[str, STRING, "80 bytes in hex"]) -> Json:
        """Hand in the header of a block."""
        try:
            data = bytes.fromhex(hexdata)
            header = header_from_bytes(data)
        except (ValueError, ParseError):
            data = b""
        if len(data) < HEADER_SIZE:
            raise RpcError(RpcCode.DESERIALIZATION_ERROR, "Block header decode failed")
        if not self._chain.knows(header.prev_hash):
            raise RpcError(
                RpcCode.VERIFY_ERROR,
                f"Must submit previous header ({hash_hex(header.prev_hash)}) first",
            )
        try:
            self._chain.check_offer(header)
            self._chain.accept_headers([header])
        except ValidationError as error:
            raise RpcError(RpcCode.VERIFY_ERROR, error.reason) from None


def _block_from_hex(value: str) -> Block:
    """The block; what follows it is passed over, as in Core."""
    try:
        return read_block(bytes.fromhex(value))[0]
    except (ValueError, ParseError):
        raise RpcError(RpcCode.DESERIALIZATION_ERROR, "Block decode failed") from None


def _with_witness(block: Block) -> Block:
    """The block, its coinbase given the witness that a commitment asks for, if it has none."""
    if not block.transactions or not block.transactions[0].is_coinbase:
        return block
    coinbase, *others = block.transactions
    if coinbase.has_witness or witness_commitment_index(coinbase) is None:
        return block
    txin = coinbase.vin[0]._replace(witness=(bytes(32),))
    whole = Transaction.build(coinbase.version, [txin], coinbase.vout, coinbase.locktime)
    return Block(block.header, (whole, *others))


def _transactions_json(template: BlockTemplate) -> bytes:
    return bytes_from_json(
        [
            {
                "data": item.tx.serialize().hex(),
                "txid": hash_hex(item.tx.txid),
                "hash": hash_hex(item.tx.wtxid),
                "depends": list(item.depends),
                "fee": item.fee,
                "sigops": item.sigop_cost,
                "weight": item.tx.weight,
            }
            for item in template.transactions
        ]
    )
