"""Core's methods that read blocks and headers."""

from typing import Annotated

from misocoin.chain.state import ChainState
from misocoin.consensus.difficulty import calculate_network_difficulty
from misocoin.consensus.tree import HeaderNode, fork_point
from misocoin.errors import NotFoundError
from misocoin.http.errors import RpcError
from misocoin.rpc.core.block_stats import BLOCK_STATS, calculate_block_stats
from misocoin.rpc.core.deployments import DEPLOYMENT_INFO, deployments_json
from misocoin.rpc.core.forms import CHAIN_INFO, chain_info_json
from misocoin.rpc.declare import Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import HEADER_FIELDS, hash_hex, header_json
from misocoin.rpc.json import Json, real
from misocoin.rpc.params import (
    ARRAY,
    BOOLEAN,
    CORE_HEIGHT_OR_HASH,
    HASH,
    INTEGER,
    STRING,
    hash_called,
    invalid,
    wrong_type,
)
from misocoin.rpc.schema import (
    array,
    boolean,
    either,
    fraction,
    hexadecimal,
    mapping,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.store.records import BlockStatus

MONTH = 30 * 24 * 3600
"""Seconds of the window of `getchaintxstats`, unless told otherwise."""


class CoreBlocks:
    """Blocks of the active chain and beside it."""

    def __init__(self, chain: ChainState) -> None:
        self._chain = chain
        # A block and the transactions up to it, where the last count ended.
        self._counted = (chain.tree.genesis, 1)

    @core_method(Category.CHAIN, result=CHAIN_INFO)
    def getblockchaininfo(self) -> Json:
        """Tell where the chain stands."""
        return chain_info_json(self._chain)

    @core_method(Category.CHAIN, result=number("the tip's height"))
    def getblockcount(self) -> Json:
        """Tell the height of the active chain's last block; genesis has 0."""
        return self._chain.height

    @core_method(
        Category.CHAIN,
        result=hexadecimal("the block's hash"),
        examples=("1000",),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def getblockhash(self, height: Annotated[int, INTEGER, "height on the active chain"]) -> Json:
        """Tell the hash of the active chain's block at a height."""
        try:
            return hash_hex(self._chain.at_height(height).hash)
        except NotFoundError:
            raise invalid("Block height out of range") from None

    @core_method(
        Category.CHAIN,
        result=either(
            "by `verbose`", obj("the header", **HEADER_FIELDS), hexadecimal("its 80 bytes")
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def getblockheader(
        self,
        blockhash: Annotated[bytes, hash_called("hash"), "the block's hash"],
        verbose: Annotated[bool, BOOLEAN, "an object, or the bytes in hex"] = True,
    ) -> Json:
        """Show a block's header."""
        chain = self._chain
        node = chain.find(blockhash)
        if not verbose:
            return node.header.serialize().hex()
        return header_json(node, chain.tip, chain.tx_count(node), chain.params)

    @core_method(Category.CHAIN, result=fraction("how much harder than the easiest target it is"))
    def getdifficulty(self) -> Json:
        """Tell the difficulty of the active chain's last block."""
        return real(calculate_network_difficulty(self._chain.tip.header.bits, self._chain.params))

    @core_method(
        Category.CHAIN,
        result=array(
            "the ends of all branches",
            obj(
                "",
                height=number("of the last block"),
                hash=hexadecimal("of the last block"),
                branchlen=number("blocks behind the fork; 0 for the active chain"),
                status=text("active, valid-fork, valid-headers, headers-only or invalid"),
            ),
        ),
    )
    def getchaintips(self) -> Json:
        """List the ends of all known branches, the active one included."""
        chain = self._chain
        with chain.lock:
            tip = chain.tip
            inner = {node.parent for node in chain.tree}
            ends = {node for node in chain.tree if node not in inner} | {tip}
        forms = []
        for node in sorted(ends, key=lambda node: (-node.height, node.hash)):
            length = node.height - fork_point(node, tip).height
            forms.append(
                {
                    "height": node.height,
                    "hash": node.header.hash_hex,
                    "branchlen": length,
                    "status": "active" if node is tip else self._branch_status(node),
                }
            )
        return forms

    def _branch_status(self, node: HeaderNode) -> str:
        chain = self._chain
        if chain.status(node) & BlockStatus.FAILED:
            return "invalid"
        if not chain.has_bodies(node):
            return "headers-only"
        connected = chain.status(node) & BlockStatus.CONNECTED
        return "valid-fork" if connected else "valid-headers"

    @core_method(
        Category.CHAIN,
        result=obj(
            "",
            time=timestamp("of the window's last block"),
            txcount=number("transactions up to that block"),
            window_final_block_hash=hexadecimal("that block's hash"),
            window_final_block_height=number("that block's height"),
            window_block_count=number("blocks in the window"),
            window_interval=optional(number("seconds it spans")),
            window_tx_count=optional(number("transactions in it")),
            txrate=optional(fraction("transactions a second")),
        ),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def getchaintxstats(
        self,
        nblocks: Annotated[
            int | None, INTEGER, "blocks in the window; a month's if left out"
        ] = None,
        blockhash: Annotated[bytes | None, HASH, "where it ends; the tip if left out"] = None,
    ) -> Json:
        """Count transactions, in all and over a window of blocks."""
        chain = self._chain
        last = chain.tip if blockhash is None else chain.find(blockhash)
        if not chain.is_active(last):
            raise invalid("Block is not in main chain")
        if nblocks is None:
            count = max(0, min(MONTH // chain.params.target_spacing, last.height - 1))
        elif nblocks >= 0 and (nblocks == 0 or nblocks < last.height):
            count = nblocks
        else:
            raise invalid("Invalid block count: should be between 0 and the block's height - 1")
        first = last.ancestor(last.height - count)
        total = self._transactions_up_to(last)
        form: dict[str, Json] = {
            "time": last.header.time,
            "txcount": total,
            "window_final_block_hash": last.header.hash_hex,
            "window_final_block_height": last.height,
            "window_block_count": count,
        }
        if count:
            seconds = last.median_time_past - first.median_time_past
            inside = total - self._transactions_up_to(first)
            form["window_interval"] = seconds
            form["window_tx_count"] = inside
            if seconds > 0:
                form["txrate"] = real(inside / seconds)
        return form

    def _transactions_up_to(self, node: HeaderNode) -> int:
        start, total = self._counted
        if not start.is_ancestor_of(node):
            start, total = self._chain.tree.genesis, 1
        total += sum([self._chain.tx_count(each) for each in node.back_to(start)])
        if node.height > self._counted[0].height:
            self._counted = (node, total)
        return total

    @core_method(
        Category.CHAIN,
        result=BLOCK_STATS,
        examples=("1000", "1000 '[\"txs\"]'"),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def getblockstats(
        self,
        hash_or_height: Annotated[int | bytes, CORE_HEIGHT_OR_HASH, "the block"],
        stats: Annotated[list[Json], ARRAY, "names of the figures wanted; all if left out"] = [],  # noqa: B006 - never changed
    ) -> Json:
        """Tell figures of a block: fees, rates, sizes, coins."""
        chain = self._chain
        if isinstance(hash_or_height, int):
            node = self._at_height(hash_or_height)
        else:
            node = chain.find(hash_or_height)
        block, undo = chain.get_block(node), chain.get_undo(node)
        found = calculate_block_stats(block, undo, node, chain.params)
        for name in stats:
            if not isinstance(name, str):
                raise wrong_type(name, "string")
            if name not in found:
                raise invalid(f"Invalid selected statistic '{name}'")
        return {name: found[name] for name in found if name in stats} if stats else found

    def _at_height(self, height: int) -> HeaderNode:
        tip = self._chain.tip
        if height < 0:
            raise invalid(f"Target block height {height} is negative")
        if height > tip.height:
            raise invalid(f"Target block height {height} after current tip {tip.height}")
        return tip.ancestor(height)

    @core_method(
        Category.CHAIN,
        result=DEPLOYMENT_INFO,
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def getdeploymentinfo(
        self,
        blockhash: Annotated[bytes | None, HASH, "at which block; the tip if left out"] = None,
    ) -> Json:
        """Tell which soft forks hold for the block after one."""
        node = self._chain.tip if blockhash is None else self._chain.find(blockhash)
        return deployments_json(node, self._chain.params)

    @core_method(
        Category.CHAIN,
        result=obj(
            "the filter",
            filter=hexadecimal("as BIP158 encodes it"),
            header=hexadecimal("what commits to it and to all before it (BIP157)"),
        ),
        errors=(RpcCode.MISC_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def getblockfilter(
        self,
        blockhash: Annotated[bytes, HASH, "the block"],
        filtertype: Annotated[str, STRING, "the kind of filter"] = "basic",
    ) -> Json:
        """Show a block's filter, with which light wallets find their payments."""
        if filtertype != "basic":
            raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, "Unknown filtertype")
        chain = self._chain
        if chain.filters is None:
            raise RpcError(RpcCode.MISC_ERROR, "Index is not enabled for filtertype basic")
        node = chain.find(blockhash)
        found = chain.filters.get(node)
        if found is not None:
            return {"filter": found.data.hex(), "header": hash_hex(found.header)}
        if chain.status(node) & BlockStatus.CONNECTED:
            raise RpcError(
                RpcCode.MISC_ERROR,
                "Filter not found. Block filters are still in the process of being indexed.",
            )
        raise RpcError(
            RpcCode.INVALID_ADDRESS_OR_KEY,
            "Filter not found. Block was not connected to active chain.",
        )

    @core_method(
        Category.UTIL,
        result=mapping(
            "by index",
            obj(
                "",
                synced=boolean("whether it has come up to the tip"),
                best_block_height=number("up to where it has come"),
            ),
        ),
    )
    def getindexinfo(self, index_name: Annotated[str, STRING, "only this one"] = "") -> Json:
        """Tell which indexes there are, and how far they have come."""
        found = self._chain.indexes()
        return {
            name: {"synced": height >= self._chain.height, "best_block_height": height}
            for name, height in found.items()
            if index_name in ("", name)
        }


def block_in_chain(chain: ChainState, block_hash: bytes) -> HeaderNode:
    """The active chain's block of that hash; raises RpcError."""
    node = chain.tree.get(block_hash)
    if node is None or not chain.is_active(node):
        raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, "Block not found in chain")
    return node
