"""Core's methods that mine blocks, tell about mining, and estimate fees."""

import secrets
from collections.abc import Callable
from typing import Annotated

from misocoin.chain.fee_observer import FeeObserver
from misocoin.chain.mempool import Mempool
from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.chain.template import BlockTemplate, TemplateOptions, build_template, template_with
from misocoin.consensus.difficulty import calculate_network_difficulty, target_from_bits
from misocoin.consensus.tree import HeaderNode, next_bits
from misocoin.errors import AddressError, ValidationError
from misocoin.http.errors import RpcError
from misocoin.policy.fee_estimate import MAX_TARGET
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction
from misocoin.rpc.core.descriptors import expansion_of
from misocoin.rpc.core.forms import CHAIN_NAMES
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, amount, real
from misocoin.rpc.methods.mining import MAX_GENERATED
from misocoin.rpc.params import (
    ARRAY,
    BOOLEAN,
    INTEGER,
    LONG,
    STRING,
    invalid,
    transaction_from_hex,
    wrong_type,
)
from misocoin.rpc.schema import array, coins, fraction, hexadecimal, number, obj, optional, text
from misocoin.script.address import script_from_address

DEFAULT_LOOKUP = 120
"""Blocks over which the network's hash rate is told."""

MIN_TARGET = 2
"""Blocks: nobody can promise the very next one."""

MAX_SHOWN = 1000
"""Digits of a transaction that cannot be read which its refusal repeats."""

_ESTIMATE_MODES = ("unset", "economical", "conservative")


class CoreMining:
    """The node as a miner's source of figures, and blocks at once on regtest."""

    def __init__(
        self,
        chain: ChainState,
        pool: TransactionPool,
        fees: FeeObserver,
        options: TemplateOptions,
        generate: Callable[[int, bytes], list[bytes]],
        search: Callable[[BlockTemplate, int], Block | None],
    ) -> None:
        """`generate` mines blocks, `search` finds the nonce of one."""
        self._chain = chain
        self._pool = pool
        self._fees = fees
        self._options = options
        self._generate = generate
        self._search = search

    @property
    def _mempool(self) -> Mempool:
        return self._pool.mempool

    @core_method(
        Category.MINING,
        result=obj(
            "",
            blocks=number("height of the tip"),
            bits=hexadecimal("target of the tip in compact form"),
            difficulty=fraction("of the tip"),
            target=hexadecimal("target of the tip"),
            networkhashps=fraction("hashes a second of all miners together, estimated"),
            pooledtx=number("transactions in the mempool"),
            blockmintxfee=coins("per 1,000 virtual bytes: who pays less is not mined"),
            chain=text("the network: main, regtest or miso"),
            next=obj(
                "the next block",
                height=number("its height"),
                bits=hexadecimal("its target in compact form"),
                difficulty=fraction("its difficulty"),
                target=hexadecimal("its target"),
            ),
            warnings=array("what the user should know", text("a sentence")),
        ),
    )
    def getmininginfo(self) -> Json:
        """Tell figures about mining."""
        chain = self._chain
        tip, params = chain.tip, chain.params
        bits, following = tip.header.bits, next_bits(tip, params)
        return {
            "blocks": tip.height,
            "bits": f"{bits:08x}",
            "difficulty": real(calculate_network_difficulty(bits, params)),
            "target": f"{target_from_bits(bits):064x}",
            "networkhashps": real(_hashes_a_second(tip, DEFAULT_LOOKUP)),
            "pooledtx": len(self._mempool),
            "blockmintxfee": amount(self._options.min_feerate),
            "chain": CHAIN_NAMES[params.name],
            "next": {
                "height": tip.height + 1,
                "bits": f"{following:08x}",
                "difficulty": real(calculate_network_difficulty(following, params)),
                "target": f"{target_from_bits(following):064x}",
            },
            "warnings": [],
        }

    @core_method(
        Category.MINING, result=fraction("hashes a second"), errors=(RpcCode.INVALID_PARAMETER,)
    )
    def getnetworkhashps(
        self,
        nblocks: Annotated[
            int, INTEGER, "over so many blocks; -1: since the last change of the target"
        ] = DEFAULT_LOOKUP,
        height: Annotated[int, INTEGER, "up to this height; -1: the tip"] = -1,
    ) -> Json:
        """Estimate the hash rate of all miners together, from the blocks they found."""
        tip = self._chain.tip
        if nblocks < -1 or nblocks == 0:
            raise invalid("Invalid nblocks. Must be a positive number or -1.")
        if height < -1 or height > tip.height:
            raise invalid("Block does not exist at specified height")
        last = tip if height == -1 else tip.ancestor(height)
        if nblocks == -1:
            nblocks = last.height % self._chain.params.retarget_interval + 1
        return real(_hashes_a_second(last, nblocks))

    @core_method(
        Category.MINING,
        access=Access.AUTH,
        waits=True,
        result=array("the new blocks", hexadecimal("a hash")),
        errors=(RpcCode.MISC_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def generatetodescriptor(
        self,
        num_blocks: Annotated[int, INTEGER, "how many blocks"],
        descriptor: Annotated[str, STRING, "whom they pay"],
        maxtries: Annotated[int, LONG, "not looked at: blocks cost nothing here"] = 1_000_000,
    ) -> Json:
        """Mine blocks at once, on regtest, that pay a descriptor's script."""
        del maxtries
        self._check_regtest()
        if num_blocks > MAX_GENERATED:
            raise invalid(f"num_blocks must be {MAX_GENERATED} at most")
        script = self._script(descriptor, allows_address=False)
        return [hash_hex(block_hash) for block_hash in self._generate(max(0, num_blocks), script)]

    @core_method(
        Category.MINING,
        access=Access.AUTH,
        waits=True,
        result=obj(
            "the block",
            hash=hexadecimal("its hash"),
            hex=optional(hexadecimal("its bytes, where it was not submitted")),
        ),
        errors=(
            RpcCode.MISC_ERROR,
            RpcCode.INVALID_ADDRESS_OR_KEY,
            RpcCode.INVALID_PARAMETER,
            RpcCode.VERIFY_ERROR,
            RpcCode.DESERIALIZATION_ERROR,
        ),
    )
    def generateblock(
        self,
        output: Annotated[str, STRING, "an address or a descriptor: whom it pays"],
        transactions: Annotated[
            list[Json], ARRAY, "what it holds: ids of waiting transactions, or whole ones in hex"
        ],
        submit: Annotated[bool, BOOLEAN, "whether it becomes part of the chain"] = True,
    ) -> Json:
        """Mine a block of these transactions at once, on regtest; it collects no fees."""
        self._check_regtest()
        script = self._script(output, allows_address=True)
        chain = self._chain
        with chain.lock:
            txs = [self._transaction(each) for each in transactions]
            empty = build_template(chain.tip, (), chain.params, chain.now(), script, self._options)
            template = template_with(empty, txs)
            try:
                chain.test_block(template.block())
            except ValidationError as error:
                raise RpcError(RpcCode.VERIFY_ERROR, f"TestBlockValidity failed: {error}") from None
        block = self._search(template, secrets.randbits(62))
        if block is None:  # the node stops
            raise RpcError(RpcCode.MISC_ERROR, "Failed to make block.")
        if not submit:
            return {"hash": block.header.hash_hex, "hex": block.serialize().hex()}
        chain.submit_block(block)
        return {"hash": block.header.hash_hex}

    def _check_regtest(self) -> None:
        if self._chain.params.name != "regtest":
            raise RpcError(
                RpcCode.MISC_ERROR, "this is for chain regtest, where blocks cost nothing"
            )

    def _script(self, text: str, *, allows_address: bool) -> bytes:
        params = self._chain.params
        if allows_address:
            try:
                return script_from_address(text, params)
            except AddressError:
                pass
        try:
            expansion = expansion_of(text, params)
        except RpcError as error:
            if allows_address and error.code == RpcCode.INVALID_ADDRESS_OR_KEY:
                raise RpcError(error.code, "Error: Invalid address or descriptor") from None
            raise
        scripts = [script for script, _ in expansion.outputs]
        # Of a combo Core pays the second, or the third if there is one.
        return scripts[2] if len(scripts) > 2 else scripts[-1]

    def _transaction(self, value: Json) -> Transaction:
        if not isinstance(value, str):
            raise wrong_type(value, "string")
        if len(value) == 64:
            try:
                entry = self._mempool.get(bytes.fromhex(value)[::-1])
            except ValueError:
                entry = None
            if entry is None:
                raise RpcError(
                    RpcCode.INVALID_ADDRESS_OR_KEY, f"Transaction {value} not in mempool."
                )
            return entry.tx
        refusal = (
            f"Transaction decode failed for {value[:MAX_SHOWN]}. Make sure the tx has at least one "
            "input."
        )
        return transaction_from_hex(value, refusal=refusal)

    @core_method(
        Category.UTIL,
        result=obj(
            "",
            feerate=optional(coins("per 1,000 virtual bytes")),
            errors=optional(array("why there is none", text("a sentence"))),
            blocks=number("for how many blocks it holds"),
        ),
        examples=("6",),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def estimatesmartfee(
        self,
        conf_target: Annotated[int, INTEGER, "within how many blocks, 1 to 1008"],
        estimate_mode: Annotated[
            str, STRING, "economical, or conservative: with a better chance"
        ] = "economical",
    ) -> Json:
        """Estimate what fee rate gets a transaction mined in time.

        It goes by the transactions that this node has seen come and be mined since it started.
        """
        if not 1 <= conf_target <= MAX_TARGET:
            raise invalid(f"Invalid conf_target, must be between 1 and {MAX_TARGET}")
        if estimate_mode.lower() not in _ESTIMATE_MODES:
            raise invalid(
                "Invalid estimate_mode parameter, must be one of: "
                '"unset", "economical", "conservative"'
            )
        target = max(conf_target, MIN_TARGET)
        conservative = estimate_mode.lower() == "conservative"
        rate = self._fees.estimate(target, conservative=conservative)
        if rate is None:
            return {"errors": ["Insufficient data or no feerate found"], "blocks": 0}
        with self._chain.lock:
            least = self._mempool.min_feerate(self._chain.now())
        return {"feerate": amount(FeeRate(max(rate, least))), "blocks": target}


def _hashes_a_second(last: HeaderNode, count: int) -> float:
    """The work of the last `count` blocks over the time they took."""
    count = min(count, last.height)
    if count == 0:
        return 0.0
    first = last.ancestor(last.height - count)
    times = [node.header.time for node in last.back_to(first)] + [first.header.time]
    seconds = max(times) - min(times)
    return (last.chain_work - first.chain_work) / seconds if seconds else 0.0
