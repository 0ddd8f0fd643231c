"""Core's methods that read the mempool, and the one that changes what is mined first."""

from typing import Annotated, Any

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.state import ChainState
from misocoin.errors import NotFoundError
from misocoin.policy.dust import dust_outputs
from misocoin.primitives.transaction import OutPoint, Transaction, outpoint, outpoint_index
from misocoin.rpc.core.forms import (
    ENTRY,
    MEMPOOL_INFO,
    asks_to_be_replaceable,
    entries_json,
    entry_json,
    mempool_info_json,
)
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json
from misocoin.rpc.params import (
    ARRAY,
    BOOLEAN,
    HASH,
    INTEGER,
    LONG,
    NUMBER,
    OBJECT,
    check_fields,
    hash_called,
    invalid,
    wrong_type,
)
from misocoin.rpc.schema import (
    array,
    boolean,
    either,
    hexadecimal,
    mapping,
    number,
    obj,
    optional,
)

MAX_DELTA = 21_000_000 * 100_000_000
"""Base units that a priority can be raised by: all there will ever be."""

_TXID = hash_called("parameter 1")

_IDS = array("ids", hexadecimal("an id"))
_ENTRIES = mapping("entries by id", ENTRY)


class CoreMempool:
    """The transactions that wait for a block."""

    def __init__(self, chain: ChainState, mempool: Mempool) -> None:
        self._chain = chain
        self._mempool = mempool

    @core_method(Category.CHAIN, result=MEMPOOL_INFO)
    def getmempoolinfo(self) -> Json:
        """Tell how full the mempool is, and what it asks of newcomers."""
        with self._chain.lock:
            return mempool_info_json(self._mempool, self._chain.now())

    @core_method(
        Category.CHAIN,
        result=either(
            "by the arguments",
            _IDS,
            _ENTRIES,
            obj("", txids=_IDS, mempool_sequence=number("of the next change")),
        ),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def getrawmempool(
        self,
        verbose: Annotated[bool, BOOLEAN, "entries, not ids alone"] = False,
        mempool_sequence: Annotated[bool, BOOLEAN, "with the number of the next change"] = False,
    ) -> Json:
        """List the waiting transactions, parents before children."""
        if verbose and mempool_sequence:
            raise invalid("Verbose results cannot contain mempool sequence values.")
        with self._chain.lock:
            if not verbose:
                ids = [hash_hex(txid) for txid in self._mempool.txids()]
                sequence = self._mempool.next_sequence
                return {"txids": ids, "mempool_sequence": sequence} if mempool_sequence else ids
            entries = self._mempool.entries()
        return entries_json(entries)

    @core_method(
        Category.CHAIN,
        result=ENTRY,
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def getmempoolentry(self, txid: Annotated[bytes, _TXID, "the transaction"]) -> Json:
        """Show a waiting transaction's entry."""
        with self._chain.lock:
            return self._form(self._entry(txid))

    @core_method(
        Category.CHAIN,
        result=either("by `verbose`", _IDS, _ENTRIES),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def getmempoolancestors(
        self,
        txid: Annotated[bytes, _TXID, "the transaction"],
        verbose: Annotated[bool, BOOLEAN, "entries, not ids alone"] = False,
    ) -> Json:
        """List the waiting transactions that one builds on."""
        with self._chain.lock:
            self._entry(txid)
            return self._forms(self._mempool.ancestors(txid), verbose)

    @core_method(
        Category.CHAIN,
        result=either("by `verbose`", _IDS, _ENTRIES),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def getmempooldescendants(
        self,
        txid: Annotated[bytes, _TXID, "the transaction"],
        verbose: Annotated[bool, BOOLEAN, "entries, not ids alone"] = False,
    ) -> Json:
        """List the waiting transactions that build on one."""
        with self._chain.lock:
            self._entry(txid)
            return self._forms(self._mempool.descendants(txid), verbose)

    def _entry(self, txid: bytes) -> MempoolEntry:
        entry = self._mempool.get(txid)
        if entry is None:
            raise NotFoundError("Transaction not in mempool")
        return entry

    def _forms(self, entries: tuple[MempoolEntry, ...], verbose: bool) -> Json:
        """In the order of ids as they are on the wire, as Core's sets have them."""
        ordered = sorted(entries, key=lambda entry: entry.txid)
        if not verbose:
            return [hash_hex(entry.txid) for entry in ordered]
        return {hash_hex(entry.txid): self._form(entry) for entry in ordered}

    def _form(self, entry: MempoolEntry) -> dict[str, Any]:
        family = (entry, *self._mempool.ancestors(entry.txid))
        is_replaceable = any(asks_to_be_replaceable(each.tx) for each in family)
        return entry_json(entry, is_replaceable=is_replaceable)

    @core_method(
        Category.CHAIN,
        result=array(
            "in the order they were asked for",
            obj(
                "",
                txid=hexadecimal("the output's transaction"),
                vout=number("which of its outputs"),
                spendingtxid=optional(hexadecimal("what spends it, if anything does")),
                spendingtx=optional(hexadecimal("the bytes of that, where they were asked for")),
                blockhash=optional(hexadecimal("the block that has it, if one has")),
            ),
        ),
        examples=('\'[{"txid":"…","vout":0}]\'',),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def gettxspendingprevout(
        self,
        outputs: Annotated[list[Json], ARRAY, 'outputs: objects {"txid", "vout"}'],
        options: Annotated[
            dict[str, Json],
            OBJECT,
            'object {"mempool_only", "return_spending_tx"}, both true or false; without the first '
            "the index of spends (-txospenderindex) is asked, too, where there is one",
        ] = {},  # noqa: B006 - never changed
    ) -> Json:
        """Tell which transactions spend outputs."""
        points = [_point(each) for each in outputs]
        if not points:
            raise invalid("Invalid parameter, outputs are missing")
        unknown = options.keys() - {"mempool_only", "return_spending_tx"}
        if unknown or not all(isinstance(value, bool) for value in options.values()):
            raise invalid('options are "mempool_only" and "return_spending_tx", true or false')
        has_index = self._chain.options.txospenderindex
        if options.get("mempool_only") is False and not has_index:
            raise invalid("Mempool lacks a relevant spend, and txospenderindex is unavailable.")
        asks_chain = has_index and not options.get("mempool_only", False)
        whole = bool(options.get("return_spending_tx"))
        return [self._spend(point, asks_chain, whole) for point in points]

    def _spend(self, point: OutPoint, asks_chain: bool, whole: bool) -> Json:
        form: dict[str, Json] = {"txid": hash_hex(point[:32]), "vout": outpoint_index(point)}
        tx: Transaction | None = None
        with self._chain.lock:
            entry = self._mempool.spender(point)
            found = self._chain.find_spend(point) if entry is None and asks_chain else None
        if entry is not None:
            form["spendingtxid"] = hash_hex(entry.txid)
            tx = entry.tx
        elif found is not None:
            txid, node = found
            form["spendingtxid"] = hash_hex(txid)
            if whole:
                transactions = self._chain.get_block(node).transactions
                tx = next(each for each in transactions if each.txid == txid)
            form["blockhash"] = node.header.hash_hex
        if whole and tx is not None:
            form["spendingtx"] = tx.serialize().hex()
        return form

    @core_method(
        Category.MINING,
        access=Access.AUTH,
        result=boolean("true"),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def prioritisetransaction(
        self,
        txid: Annotated[bytes, HASH, "the transaction, here or yet to come"],
        dummy: Annotated[float | None, NUMBER, "zero or null"] = None,
        fee_delta: Annotated[int | None, LONG, "base units it counts as paying more"] = None,
    ) -> Json:
        """Count a transaction as paying more, or less, than it does; the deltas add up."""
        if dummy:
            raise invalid(
                "Priority is no longer supported, dummy argument to prioritisetransaction must be "
                "0."
            )
        if fee_delta is None:
            raise invalid("fee_delta is missing: base units, as the third argument")
        with self._chain.lock:
            entry = self._mempool.get(txid)
            if entry is not None and dust_outputs(
                entry.tx, self._mempool.rules.policy.dust_feerate
            ):
                raise invalid("Priority is not supported for transactions with dust outputs.")
            if abs(self._mempool.fee_delta(txid) + fee_delta) > MAX_DELTA:
                raise invalid("that delta is more than there can ever be")
            self._mempool.prioritise(txid, fee_delta)
        return True

    @core_method(
        Category.MINING,
        result=mapping(
            "by id",
            obj(
                "",
                fee_delta=number("base units, all deltas together"),
                in_mempool=boolean("whether it is here"),
                modified_fee=optional(number("base units it counts as paying, if it is here")),
            ),
        ),
    )
    def getprioritisedtransactions(self) -> Json:
        """List what prioritisetransaction has changed."""
        forms = {}
        with self._chain.lock:
            for txid, delta in self._mempool.fee_deltas().items():
                entry = self._mempool.get(txid)
                forms[hash_hex(txid)] = {"fee_delta": delta, "in_mempool": entry is not None}
                if entry is not None:
                    forms[hash_hex(txid)]["modified_fee"] = entry.modified_fee
        return forms


def _point(value: Json) -> OutPoint:
    if not isinstance(value, dict):
        raise wrong_type(value, "object")
    check_fields(value, {"txid": "string", "vout": "number"})
    txid, index = HASH.parse(value["txid"], "txid"), INTEGER.parse(value["vout"], "vout")
    if index < 0:
        raise invalid("Invalid parameter, vout cannot be negative")
    return outpoint(txid, index)
