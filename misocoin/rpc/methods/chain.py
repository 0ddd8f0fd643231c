"""Methods that read the chain, and the one that hands in a block."""

from collections.abc import Callable
from typing import Annotated

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.state import ChainState
from misocoin.chain.verify import Verification
from misocoin.consensus.difficulty import calculate_network_difficulty
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import NotFoundError
from misocoin.http.errors import RpcError
from misocoin.rpc.block_forms import BlockForms
from misocoin.rpc.declare import Access, Category, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import (
    BLOCK_FIELDS,
    HEADER_FIELDS,
    hash_hex,
    header_json,
)
from misocoin.rpc.json import Json, amount, real
from misocoin.rpc.params import BOOLEAN, HEIGHT_OR_HASH, HEX, LEVEL
from misocoin.rpc.schema import (
    anything,
    boolean,
    coins,
    either,
    fraction,
    hexadecimal,
    number,
    obj,
    text,
    timestamp,
)
from misocoin.version import VERSION


class ChainMethods:
    """What is known about blocks."""

    def __init__(
        self,
        chain: ChainState,
        mempool: Mempool,
        blocks: BlockForms,
        verify: Callable[[], Verification],
    ) -> None:
        self._chain = chain
        self._blocks = blocks
        self._mempool = mempool
        self._verify = verify

    @method(
        Category.CHAIN,
        result=obj(
            "the node at a glance",
            version=text("of this program"),
            chain=text("the network: miso, regtest or bitcoin"),
            height=number("height of the tip"),
            headers=number("height of the best known header"),
            best_block=hexadecimal("hash of the tip"),
            time=timestamp("time of the tip"),
            difficulty=fraction("of the tip"),
            chain_work=hexadecimal("expected hashes from genesis up to the tip"),
            mempool_transactions=number("that wait for a block"),
            min_fee_rate=coins("what a transaction must pay per 1,000 virtual bytes"),
        ),
    )
    def get_info(self) -> Json:
        """Tell where the node stands."""
        chain = self._chain
        with chain.lock:
            tip = chain.tip
            pool = self._mempool.info(chain.now())
        return {
            "version": VERSION,
            "chain": chain.params.name,
            "height": tip.height,
            "headers": chain.best_header.height,
            "best_block": tip.header.hash_hex,
            "time": tip.header.time,
            "difficulty": real(calculate_network_difficulty(tip.header.bits, chain.params)),
            "chain_work": f"{tip.chain_work:064x}",
            "mempool_transactions": pool.transactions,
            "min_fee_rate": amount(pool.min_feerate),
        }

    @method(
        Category.CHAIN,
        result=either(
            "by detail: the block in hex, the block with ids, or with transactions",
            hexadecimal("the bytes"),
            obj("the block", **BLOCK_FIELDS),
        ),
        examples=("5", "5 2"),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def get_block(
        self,
        block: Annotated[int | bytes, HEIGHT_OR_HASH, "height on the active chain, or hash"],
        detail: Annotated[
            int,
            LEVEL,
            "0: the bytes in hex; 1: transactions by id; 2: whole transactions; 3: with the coins "
            "that they spend",
        ] = 1,
    ) -> Json:
        """Show a block.

        The fields are Bitcoin Core's `getblock`'s.
        """
        if detail not in (0, 1, 2, 3):
            raise RpcError(RpcCode.INVALID_PARAMETER, "detail must be 0, 1, 2 or 3")
        node = self._at_height(block) if isinstance(block, int) else self._chain.find(block)
        return self._blocks.form(node, detail)

    def _at_height(self, height: int) -> HeaderNode:
        try:
            return self._chain.at_height(height)
        except NotFoundError as error:
            raise RpcError(RpcCode.INVALID_PARAMETER, str(error)) from None

    @method(Category.CHAIN, result=obj("the tip", **HEADER_FIELDS))
    def get_best_block(self) -> Json:
        """Show the header of the active chain's last block."""
        chain = self._chain
        tip = chain.tip
        return header_json(tip, tip, chain.tx_count(tip), chain.params)

    @method(
        Category.CHAIN,
        result=anything("ids, or an object of entries by id"),
        examples=("", "true"),
    )
    def get_mempool(
        self, verbose: Annotated[bool, BOOLEAN, "with size and fee of each"] = False
    ) -> Json:
        """List the transactions that wait for a block, parents before children."""
        with self._chain.lock:
            if not verbose:
                return [hash_hex(txid) for txid in self._mempool.txids()]
            entries = self._mempool.entries()
        return {hash_hex(entry.txid): _entry_json(entry) for entry in entries}

    @method(
        Category.CHAIN,
        result=obj(
            "what became of the block",
            hash=hexadecimal("its hash"),
            height=number("its height"),
            new=boolean("whether it was unknown before"),
            in_chain=boolean("whether it is part of the active chain now"),
        ),
        errors=(RpcCode.INVALID_PARAMETER, RpcCode.DESERIALIZATION_ERROR, RpcCode.VERIFY_REJECTED),
    )
    def submit_block(self, block: Annotated[bytes, HEX, "the block's bytes"]) -> Json:
        """Hand in a mined block.

        Breaking a rule is error -26 with Bitcoin Core's reject string.
        """
        result = self._chain.offer_block(block)
        return {
            "hash": result.node.header.hash_hex,
            "height": result.node.height,
            "new": result.is_new,
            "in_chain": result.in_chain,
        }

    @method(
        Category.CHAIN,
        access=Access.AUTH,
        waits=True,
        result=obj(
            "what the replay found",
            height=number("of the tip"),
            best_block=hexadecimal("the tip's hash"),
            transactions=number("in all blocks"),
            coins=number("unspent outputs"),
            supply=coins("that they hold"),
        ),
    )
    def verify_chain(self) -> Json:
        """Check every block from genesis anew, and the stored coins against what they make.

        Takes as long as a first sync. An error says what is wrong, and where.
        """
        found = self._verify()
        return {
            "height": found.height,
            "best_block": hash_hex(found.tip),
            "transactions": found.transactions,
            "coins": found.coins,
            "supply": amount(found.supply),
        }


def _entry_json(entry: MempoolEntry) -> Json:
    return {
        "vsize": entry.vsize,
        "weight": entry.tx.weight,
        "fee": amount(entry.fee),
        "time": entry.time,
        "height": entry.height,
        "ancestors": entry.ancestor_count,
        "descendants": entry.descendant_count,
        "depends": [hash_hex(txid) for txid in entry.parents],
        "spent_by": [hash_hex(txid) for txid in entry.children],
    }
