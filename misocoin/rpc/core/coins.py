"""Core's methods that read coins, and proofs that a block holds transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Annotated, Any

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.consensus.coins import Coin
from misocoin.consensus.partial_merkle import (
    MerkleBlock,
    build_partial_merkle_tree,
    check_partial_merkle_tree,
    merkle_block_from_bytes,
)
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import NotFoundError, ParseError
from misocoin.http.errors import RpcError
from misocoin.primitives.transaction import OutPoint, outpoint, outpoint_index
from misocoin.rpc.core.blocks import block_in_chain
from misocoin.rpc.core.descriptors import descriptors_of, expansions_of, range_from_json
from misocoin.rpc.core.utxo_stats import SetHash, calculate_utxo_stats
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import SCRIPT_PUBKEY, hash_hex, script_json
from misocoin.rpc.json import Json, amount
from misocoin.rpc.params import (
    ANY,
    ARRAY,
    BOOLEAN,
    HASH,
    SOME_HEX,
    STRING,
    UNSIGNED,
    invalid,
    wrong_type,
)
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    either,
    hexadecimal,
    nullable,
    number,
    obj,
    optional,
    text,
)
from misocoin.script.descriptor_text import with_checksum

MAX_SCAN_OBJECTS = 1_000

MAX_NEEDLES = 4_000_000
"""Scripts that can be looked for at once."""

DEFAULT_SCAN_RANGE = (0, 1_000)
"""Numbers of a descriptor with a range that are looked for, both included."""


class CoreCoins:
    """The unspent outputs, and what is proven about transactions."""

    def __init__(self, chain: ChainState, mempool: Mempool) -> None:
        self._chain = chain
        self._mempool = mempool
        self._scan = _Scan()

    @core_method(
        Category.CHAIN,
        result=nullable(
            obj(
                "the output; null where it is spent or unknown",
                bestblock=hexadecimal("the tip's hash"),
                confirmations=number("blocks from its own to the tip; 0 in the mempool"),
                value=coins("what it holds"),
                scriptPubKey=SCRIPT_PUBKEY,
                coinbase=boolean("whether a coinbase made it"),
            )
        ),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def gettxout(
        self,
        txid: Annotated[bytes, HASH, "the transaction"],
        n: Annotated[int, UNSIGNED, "which of its outputs, from 0 on"],
        include_mempool: Annotated[bool, BOOLEAN, "count what the mempool makes and spends"] = True,
    ) -> Json:
        """Show an unspent output."""
        point = outpoint(txid, n)
        with self._chain.lock:
            tip = self._chain.tip
            view = self._mempool if include_mempool else self._chain
            coin = view.get_coins((point,)).get(point)
        if coin is None:
            return None
        return {
            "bestblock": tip.header.hash_hex,
            "confirmations": max(0, tip.height - coin.height + 1),
            "value": amount(coin.value),
            "scriptPubKey": script_json(coin.script_pubkey, self._chain.params),
            "coinbase": coin.is_coinbase,
        }

    @core_method(
        Category.CHAIN,
        access=Access.AUTH,
        waits=True,
        result=obj(
            "",
            height=number("of the tip"),
            bestblock=hexadecimal("the tip's hash"),
            txouts=number("unspent outputs"),
            bogosize=number("a size of the set that depends on no database"),
            hash_serialized_3=optional(hexadecimal("a hash of the set")),
            muhash=optional(hexadecimal("a hash of the set that does not depend on its order")),
            total_amount=coins("what all hold"),
            transactions=number("that have an unspent output"),
            disk_size=number("bytes of the chain's database"),
        ),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def gettxoutsetinfo(
        self,
        hash_type: Annotated[
            str, STRING, "hash_serialized_3, muhash (0.4 ms a coin) or none"
        ] = "hash_serialized_3",
        hash_or_height: Annotated[Json, ANY, "only the tip can be told"] = None,
        use_index: Annotated[bool, BOOLEAN, "there is no such index"] = True,
    ) -> Json:
        """Tell figures of the set of unspent outputs; looks through all of them."""
        del use_index
        try:
            kind = SetHash(hash_type)
        except ValueError:
            raise invalid(f"'{hash_type}' is not a valid hash_type") from None
        if hash_or_height is not None:
            raise invalid("Querying specific block heights requires coinstatsindex")
        tip, found = self._chain.iterate_coins_at_tip()
        stats = calculate_utxo_stats(found, kind)
        form: dict[str, Json] = {
            "height": tip.height,
            "bestblock": tip.header.hash_hex,
            "txouts": stats.coins,
            "bogosize": stats.bogosize,
        }
        if kind is not SetHash.NONE:
            form[kind.value] = hash_hex(stats.hash)
        form["total_amount"] = amount(stats.total)
        form["transactions"] = stats.transactions
        form["disk_size"] = self._chain.size_on_disk()
        return form

    @core_method(
        Category.CHAIN,
        access=Access.AUTH,
        waits=True,
        result=either(
            "by action",
            obj(
                "start: what was found",
                success=boolean("false where it was aborted"),
                txouts=number("coins that were looked at"),
                height=number("of the tip"),
                bestblock=hexadecimal("the tip's hash"),
                unspents=array(
                    "",
                    obj(
                        "",
                        txid=hexadecimal("the transaction"),
                        vout=number("which of its outputs"),
                        scriptPubKey=hexadecimal("the output's script"),
                        desc=text("the descriptor it was found by"),
                        amount=coins("what it holds"),
                        coinbase=boolean("whether a coinbase made it"),
                        height=number("of its block"),
                        blockhash=hexadecimal("its block"),
                        confirmations=number("blocks from its own to the tip"),
                    ),
                ),
                total_amount=coins("what all found hold"),
            ),
            boolean("abort: whether there was a scan"),
            nullable(obj("status: of the scan; null without one", progress=number("per cent"))),
        ),
        examples=("start '[\"addr(bcrt1q…)\"]'",),
        errors=(RpcCode.MISC_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def scantxoutset(
        self,
        action: Annotated[str, STRING, "start, abort or status"],
        scanobjects: Annotated[
            list[Json] | None,
            ARRAY,
            'descriptors, or objects {"desc": descriptor, "range": end or [begin, end] (1000 '
            "without)}",
        ] = None,
    ) -> Json:
        """Find the coins of descriptors; looks through all coins."""
        if action == "status":
            return self._scan.status()
        if action == "abort":
            return self._scan.abort()
        if action != "start":
            raise invalid(f"Invalid action '{action}'")
        if scanobjects is None:
            raise RpcError(
                RpcCode.MISC_ERROR, "scanobjects argument is required for the start action"
            )
        needles = self._needles(scanobjects)
        with self._scan.running():
            return self._find(needles)

    def _needles(self, objects: list[Json]) -> dict[bytes, str]:
        """From each script that is looked for to its descriptor, without a checksum."""
        if len(objects) > MAX_SCAN_OBJECTS:
            raise invalid(f"at most {MAX_SCAN_OBJECTS} descriptors can be looked for at once")
        needles: dict[bytes, str] = {}
        for each in objects:
            for script, shown in self._needles_of(each):
                needles.setdefault(script, shown)  # as in Core the first one counts
                if len(needles) > MAX_NEEDLES:
                    raise invalid(f"at most {MAX_NEEDLES} scripts can be looked for at once")
        return needles

    def _needles_of(self, each: Json) -> Iterator[tuple[bytes, str]]:
        """The scripts that one object stands for, each with its descriptor."""
        params, ends = self._chain.params, DEFAULT_SCAN_RANGE
        shown = each
        if isinstance(each, dict):
            shown = each.get("desc")
            if each.get("range") is not None:
                ends = range_from_json(each["range"])
            if shown is None:
                raise invalid("Descriptor needs to be provided in scan object")
            if not isinstance(shown, str):
                raise wrong_type(shown, "string")
        if not isinstance(shown, str):
            raise invalid("Scan object needs to be either a string or an object")
        for descriptor in descriptors_of(shown, params):
            begin, end = ends if descriptor.is_range else (0, 0)
            for expansion in expansions_of(descriptor, params, begin, end):
                yield from expansion.outputs

    def _find(self, needles: dict[bytes, str]) -> Json:
        tip, every = self._chain.iterate_coins_at_tip()
        looked_at = 0
        found: list[tuple[OutPoint, Coin]] = []
        for point, coin in every:
            looked_at += 1
            if coin.script_pubkey in needles:
                found.append((point, coin))
            # Outpoints come in order, so the first bytes tell how far this has come.
            if not self._scan.goes_on(int.from_bytes(point[:2], "big") * 100 >> 16):
                break
        return {
            "success": not self._scan.is_aborted,
            "txouts": looked_at,
            "height": tip.height,
            "bestblock": tip.header.hash_hex,
            "unspents": [_unspent_json(point, coin, tip, needles) for point, coin in found],
            "total_amount": amount(sum([coin.value for _, coin in found])),
        }

    @core_method(
        Category.CHAIN,
        result=hexadecimal("the proof"),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def gettxoutproof(
        self,
        txids: Annotated[list[Json], ARRAY, "the transactions, all of one block"],
        blockhash: Annotated[
            bytes | None, HASH, "their block; without it it must be known (see getrawtransaction)"
        ] = None,
    ) -> Json:
        """Prove that a block holds transactions.

        The proof is a merkle block (BIP37): the header and a part of the merkle tree.
        """
        wanted: set[bytes] = set()
        for each in txids:
            if not isinstance(each, str):
                raise wrong_type(each, "string")
            txid = HASH.parse(each, "txid")
            if txid in wanted:
                raise invalid(f"Invalid parameter, duplicated txid: {each}")
            wanted.add(txid)
        if not wanted:
            raise invalid("Parameter 'txids' cannot be empty")
        node = self._chain.find(blockhash) if blockhash else self._block_of(wanted)
        ids = [tx.txid for tx in self._chain.get_block(node).transactions]
        if not wanted <= set(ids):
            raise NotFoundError("Not all transactions found in specified or retrieved block")
        tree = build_partial_merkle_tree(ids, frozenset(wanted))
        return MerkleBlock(node.header, tree).serialize().hex()

    def _block_of(self, txids: set[bytes]) -> HeaderNode:
        for txid in txids:
            node = self._chain.find_transaction_block(txid)
            if node is not None:
                return node
        raise NotFoundError("Transaction not yet in block")

    @core_method(
        Category.CHAIN,
        result=array("the transactions that are proven", hexadecimal("an id")),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def verifytxoutproof(
        self, proof: Annotated[bytes, SOME_HEX, "as gettxoutproof answers"]
    ) -> Json:
        """Check a proof; tells the transactions it proves, none where it does not hold."""
        try:
            block = merkle_block_from_bytes(proof)
        except ParseError as error:
            raise RpcError(RpcCode.MISC_ERROR, str(error)) from None
        try:
            proven = check_partial_merkle_tree(block.tree)
        except ParseError:
            return []
        if proven.root != block.header.merkle_root:
            return []
        node = block_in_chain(self._chain, block.header.hash)
        # With another number of transactions inner nodes would look like transactions.
        if self._chain.tx_count(node) != block.tree.tx_count:
            return []
        return [hash_hex(txid) for txid in proven.txids]


def _unspent_json(
    point: OutPoint, coin: Coin, tip: HeaderNode, needles: dict[bytes, str]
) -> dict[str, Any]:
    return {
        "txid": hash_hex(point[:32]),
        "vout": outpoint_index(point),
        "scriptPubKey": coin.script_pubkey.hex(),
        "desc": with_checksum(needles[coin.script_pubkey]),
        "amount": amount(coin.value),
        "coinbase": coin.is_coinbase,
        "height": coin.height,
        "blockhash": tip.ancestor(coin.height).header.hash_hex,
        "confirmations": tip.height - coin.height + 1,
    }


class _Scan:
    """The one scan that may run."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._percent: int | None = None  # None while there is no scan
        self.is_aborted = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the one; raises RpcError where there is one already."""
        with self._lock:
            if self._percent is not None:
                raise invalid('Scan already in progress, use action "abort" or "status"')
            self._percent = 0
            self.is_aborted = False
        try:
            yield
        finally:
            with self._lock:
                self._percent = None

    def goes_on(self, percent: int) -> bool:
        """Note how far it is; False when it is to end."""
        self._percent = percent
        return not self.is_aborted

    def status(self) -> Json:
        """How far it is."""
        percent = self._percent
        return None if percent is None else {"progress": percent}

    def abort(self) -> bool:
        """End it; False where there is none."""
        with self._lock:
            if self._percent is None:
                return False
            self.is_aborted = True
            return True
