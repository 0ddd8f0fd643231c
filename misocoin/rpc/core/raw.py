"""Core's methods that show transactions and scripts, and try transactions on the mempool."""

from typing import Annotated, Any

from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.mempool_rules import TOO_HIGH_FEE
from misocoin.chain.package import MAX_PACKAGE_COUNT, PackageResult
from misocoin.chain.package_rules import PackageError
from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.crypto.hashes import hash160, sha256
from misocoin.errors import MissingInputsError, NotFoundError, ValidationError
from misocoin.http.errors import RpcError
from misocoin.params import Params
from misocoin.policy.feerate import FeeRate, feerate_from_fee
from misocoin.primitives.transaction import Transaction
from misocoin.rpc.building import unsigned_from_json
from misocoin.rpc.core.kinds import COINS, OUTPUTS
from misocoin.rpc.core.util import script_of
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.finder import Found, TransactionFinder
from misocoin.rpc.forms import SCRIPT_PUBKEY, TX_FIELDS, hash_hex, script_json, tx_json
from misocoin.rpc.json import Json, amount
from misocoin.rpc.methods.transactions import DEFAULT_MAX_FEERATE, check_burn
from misocoin.rpc.params import (
    ARRAY,
    BOOLEAN,
    HASH,
    HEX,
    LONG,
    STRING,
    UNSIGNED,
    bounded_level,
    hash_called,
    invalid,
    transaction_from_hex,
    transaction_in_either_form,
)
from misocoin.rpc.schema import (
    array,
    boolean,
    coins,
    either,
    hexadecimal,
    mapping,
    number,
    obj,
    optional,
    text,
    timestamp,
)
from misocoin.script.address import address_from_script
from misocoin.script.descriptor_text import is_inferred, multi_text, with_checksum
from misocoin.script.opcodes import OP_CHECKSIGADD, OP_SUCCESS
from misocoin.script.script import is_unspendable, operations
from misocoin.script.templates import (
    ScriptKind,
    has_valid_operations,
    p2sh_script,
    p2wpkh_script,
    p2wsh_script,
    template_from_script,
)
from misocoin.units import Sats

NO_BURN = Sats(0)

MAX_FEERATE = 100_000_000
"""Base units per 1,000 virtual bytes: nobody means to pay a whole coin for them."""

MAX_SHOWN_SCRIPT = 100_000
"""Bytes; a longer one could not be spent, and to show it would cost whoever is asked dearly."""

INPUTS_HELP = 'what to spend: objects {"txid", "vout", "sequence"}'
OUTPUTS_HELP = 'what to pay: {"address": amount, ...}, or an array of such; {"data": hex}'

_FEES = obj(
    "",
    **{
        "base": coins("what it pays"),
        "effective-feerate": optional(coins("per 1,000 virtual bytes, by which it was judged")),
        "effective-includes": optional(
            array("those that were judged together", hexadecimal("a witness id"))
        ),
    },
)

_WRAPPABLE = frozenset(
    {
        ScriptKind.MULTISIG,
        ScriptKind.NONSTANDARD,
        ScriptKind.P2PK,
        ScriptKind.P2PKH,
        ScriptKind.P2WPKH,
        ScriptKind.P2WSH,
    }
)
_WITNESS_WRAPPABLE = frozenset(
    {ScriptKind.MULTISIG, ScriptKind.NONSTANDARD, ScriptKind.P2PK, ScriptKind.P2PKH}
)

_TAPSCRIPT_ONLY = OP_SUCCESS | {OP_CHECKSIGADD}
"""Operations that mean something in tapscript alone."""


class CoreRaw:
    """Transactions as bytes."""

    def __init__(self, chain: ChainState, pool: TransactionPool, finder: TransactionFinder) -> None:
        self._chain = chain
        self._pool = pool
        self._finder = finder

    # -- making -------------------------------------------------------------------------------

    @core_method(
        Category.TRANSACTIONS,
        result=hexadecimal("the transaction's bytes, without signatures"),
        examples=('\'[{"txid":"…","vout":0}]\' \'{"bcrt1…":1.5}\'',),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def createrawtransaction(
        self,
        inputs: Annotated[list[Json], ARRAY, INPUTS_HELP],
        outputs: Annotated[list[Json] | dict[str, Json], OUTPUTS, OUTPUTS_HELP],
        locktime: Annotated[int, LONG, "first height or unix time of its block"] = 0,
        replaceable: Annotated[
            bool | None, BOOLEAN, "ask to be replaceable (BIP125); so it is if left out, too"
        ] = None,
        version: Annotated[int, UNSIGNED, "the transaction's version"] = 2,
    ) -> Json:
        """Make a transaction of inputs and outputs, unsigned.

        What the inputs hold beyond the outputs is the fee: there is no change but what you add.
        """
        params = self._chain.params
        tx = unsigned_from_json(
            inputs,
            outputs,
            locktime,
            version,
            lambda address: script_of(address, params),
            params.max_money,
            replaceable=replaceable,
        )
        return tx.serialize().hex()

    # -- showing ------------------------------------------------------------------------------

    @core_method(
        Category.TRANSACTIONS,
        result=either(
            "by verbosity",
            hexadecimal("the bytes"),
            obj(
                "the transaction",
                in_active_chain=optional(boolean("whether the block that was named is active")),
                **TX_FIELDS,
                blockhash=optional(hexadecimal("its block")),
                confirmations=optional(number("blocks from its own to the tip")),
                time=optional(timestamp("its block's time")),
                blocktime=optional(timestamp("the same")),
            ),
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def getrawtransaction(
        self,
        txid: Annotated[bytes, hash_called("parameter 1"), "the transaction"],
        verbosity: Annotated[
            int,
            bounded_level(2),
            "0: the bytes in hex; 1: an object; 2: with the fee and what is spent",
        ] = 0,
        blockhash: Annotated[bytes | None, HASH, "look in this block alone"] = None,
    ) -> Json:
        """Show a transaction of the mempool or of the chain.

        Without a block it is found while it waits, while an output of it is unspent, or with
        -txindex.
        """
        found = self._found(txid, blockhash)
        tx, node = found.tx, found.node
        if verbosity == 0:
            return tx.serialize().hex()
        form: dict[str, Json] = {}
        chain = self._chain
        tip = chain.tip
        is_active = node is not None and node.is_ancestor_of(tip)
        if blockhash is not None:
            form["in_active_chain"] = is_active
        spent = self._spent(found) if verbosity == 2 else None
        form |= tx_json(tx, chain.params, spent, with_prevouts=True)
        if node is not None:
            form["blockhash"] = node.header.hash_hex
            if is_active:
                form["confirmations"] = tip.height - node.height + 1
                form["time"] = form["blocktime"] = node.header.time
            else:
                form["confirmations"] = 0
        return form

    def _found(self, txid: bytes, block_hash: bytes | None) -> Found:
        chain = self._chain
        if txid == chain.params.genesis.transactions[0].txid:
            raise NotFoundError(
                "The genesis block coinbase is not considered an ordinary transaction and cannot "
                "be retrieved"
            )
        if block_hash is not None:
            node = chain.tree.get(block_hash)
            if node is None:
                raise NotFoundError("Block hash not found")
            found = self._finder.find_in(node, txid)
            missing = "No such transaction found in the provided block"
        else:
            found = self._finder.find(txid)
            missing = "No such mempool or blockchain transaction"
            if not chain.options.txindex:
                missing = (
                    "No such mempool transaction. Use -txindex or provide a block hash to enable "
                    "blockchain transaction queries"
                )
        if found is None:
            raise NotFoundError(f"{missing}. Use gettransaction for wallet transactions.")
        return found

    def _spent(self, found: Found) -> Any:
        """The coins a transaction spends, as far as they can be told."""
        tx, node, place = found
        if tx.is_coinbase:
            return None
        if node is not None:
            try:
                return self._chain.get_undo(node)[place - 1]
            except NotFoundError:
                return None
        with self._chain.lock:
            coins = self._pool.mempool.spent_coins(tx)
        return coins if len(coins) == len(tx.vin) else None

    @core_method(
        Category.TRANSACTIONS,
        result=obj("the transaction", **TX_FIELDS),
        errors=(RpcCode.DESERIALIZATION_ERROR,),
    )
    def decoderawtransaction(
        self,
        hexstring: Annotated[str, STRING, "the transaction's bytes in hex"],
        iswitness: Annotated[
            bool | None, BOOLEAN, "whether to read it with witnesses; tried both ways if left out"
        ] = None,
    ) -> Json:
        """Show a transaction's parts, whether anybody knows it or not."""
        tx = transaction_in_either_form(hexstring, iswitness, "TX decode failed")
        return tx_json(tx, self._chain.params, with_hex=False)

    @core_method(
        Category.TRANSACTIONS,
        result=obj(
            "the script",
            asm=text("its operations"),
            desc=text("its descriptor"),
            address=optional(text("its address, if it has one")),
            type=text("its form"),
            p2sh=optional(text("the address that pays to its hash")),
            segwit=optional(
                obj(
                    "the output that pays to it by witness",
                    **dict(SCRIPT_PUBKEY.fields),
                    **{"p2sh-segwit": text("the address that pays to that one's hash")},
                )
            ),
        ),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def decodescript(self, hexstring: Annotated[bytes, HEX, "the script's bytes"]) -> Json:
        """Show a script, and the outputs that can stand for it."""
        if len(hexstring) > MAX_SHOWN_SCRIPT:
            raise invalid(f"a script of more than {MAX_SHOWN_SCRIPT} bytes is not shown")
        script, params = hexstring, self._chain.params
        form = {name: value for name, value in script_json(script, params).items() if name != "hex"}
        template = template_from_script(script)
        if (
            template.kind not in _WRAPPABLE
            or is_unspendable(script)
            or not has_valid_operations(script)
            or any(opcode in _TAPSCRIPT_ONLY for opcode, _ in operations(script))
        ):
            return form
        form["p2sh"] = address_from_script(p2sh_script(hash160(script)), params)
        uncompressed = template.kind in (ScriptKind.P2PK, ScriptKind.MULTISIG) and any(
            len(key) != 33 for key in template.solutions
        )
        if template.kind in _WITNESS_WRAPPABLE and not uncompressed:
            form["segwit"] = self._segwit_form(script, params)
        return form

    def _segwit_form(self, script: bytes, params: Params) -> dict[str, Json]:
        template = template_from_script(script)
        if template.kind is ScriptKind.P2PK:
            program = p2wpkh_script(hash160(template.solutions[0]))
        elif template.kind is ScriptKind.P2PKH:
            program = p2wpkh_script(template.solutions[0])
        else:
            program = p2wsh_script(sha256(script))
        nested = address_from_script(p2sh_script(hash160(program)), params)
        form = {**script_json(program, params), "p2sh-segwit": nested}
        if template.kind is ScriptKind.MULTISIG and is_inferred(template):
            form["desc"] = with_checksum(f"wsh({multi_text(template)})")
        return form

    # -- trying -------------------------------------------------------------------------------

    @core_method(
        Category.TRANSACTIONS,
        access=Access.AUTH,
        result=array(
            "in the order they were given",
            obj(
                "",
                **{
                    "txid": hexadecimal("the transaction"),
                    "wtxid": hexadecimal("the id with witness"),
                    "package-error": optional(text("what is wrong with all together")),
                    "allowed": optional(boolean("whether it could enter; missing if not tried")),
                    "vsize": optional(number("virtual bytes")),
                    "fees": optional(_FEES),
                    "reject-reason": optional(text("why it could not")),
                    "reject-details": optional(text("the same with what was seen")),
                },
            ),
        ),
        errors=(RpcCode.INVALID_PARAMETER, RpcCode.DESERIALIZATION_ERROR),
    )
    def testmempoolaccept(
        self,
        rawtxs: Annotated[list[Json], ARRAY, "transactions in hex, parents before children"],
        maxfeerate: Annotated[
            Sats, COINS, "coins per 1,000 virtual bytes that it may pay at most; 0 for any"
        ] = DEFAULT_MAX_FEERATE,
    ) -> Json:
        """Tell whether transactions could enter the mempool, without letting them."""
        if not 1 <= len(rawtxs) <= MAX_PACKAGE_COUNT:
            raise invalid(f"Array must contain between 1 and {MAX_PACKAGE_COUNT} transactions.")
        limit = _feerate_limit(maxfeerate)
        txs = [_transaction(each) for each in rawtxs]
        results = self._pool.try_package(txs, limit)
        return [_trial_json(tx, result) for tx, result in zip(txs, results, strict=True)]

    @core_method(
        Category.TRANSACTIONS,
        result=obj(
            "what became of them",
            **{
                "package_msg": text("success, or what is wrong"),
                "tx-results": mapping(
                    "by witness id",
                    obj(
                        "",
                        **{
                            "txid": hexadecimal("the transaction"),
                            "other-wtxid": optional(
                                hexadecimal("the one of that id which is in the mempool")
                            ),
                            "vsize": optional(number("virtual bytes")),
                            "fees": optional(_FEES),
                            "error": optional(text("why it was refused")),
                        },
                    ),
                ),
                "replaced-transactions": array("those that went out", hexadecimal("an id")),
            },
        ),
        errors=(RpcCode.INVALID_PARAMETER, RpcCode.DESERIALIZATION_ERROR, RpcCode.VERIFY_ERROR),
    )
    def submitpackage(
        self,
        package: Annotated[
            list[Json], ARRAY, "transactions in hex: parents, and last the child of all of them"
        ],
        maxfeerate: Annotated[
            Sats, COINS, "coins per 1,000 virtual bytes that one may pay at most; 0 for any"
        ] = DEFAULT_MAX_FEERATE,
        maxburnamount: Annotated[
            Sats, COINS, "coins that one unspendable output may hold"
        ] = NO_BURN,
    ) -> Json:
        """Hand in a child with its parents: it may pay for those that pay too little alone."""
        if not 1 <= len(package) <= MAX_PACKAGE_COUNT:
            raise invalid(f"Array must contain between 1 and {MAX_PACKAGE_COUNT} transactions.")
        limit = _feerate_limit(maxfeerate)
        txs = [_transaction(each) for each in package]
        for tx in txs:
            check_burn(tx, maxburnamount)
        try:
            result = self._pool.submit_package(txs, limit)
        except ValidationError:
            raise RpcError(
                RpcCode.VERIFY_ERROR,
                "package topology disallowed. not child-with-parents or parents depend on each "
                "other.",
            ) from None
        return _package_json(txs, result)


def _transaction(value: Json) -> Transaction:
    text = STRING.parse(value, "rawtx")
    refusal = f"TX decode failed: {text} Make sure the tx has at least one input."
    return transaction_from_hex(text, refusal=refusal)


def _feerate_limit(sats: int) -> FeeRate | None:
    if sats >= MAX_FEERATE:
        raise invalid("Fee rates larger than or equal to 1BTC/kvB are not accepted")
    return FeeRate(sats) if sats else None


def _fees_json(entry: MempoolEntry, together: tuple[MempoolEntry, ...]) -> dict[str, Json]:
    rate = feerate_from_fee(
        sum([each.modified_fee for each in together]), sum([each.vsize for each in together])
    )
    return {
        "base": amount(entry.fee),
        "effective-feerate": amount(rate),
        "effective-includes": [hash_hex(each.tx.wtxid) for each in together],
    }


def _trial_json(tx: Transaction, result: MempoolEntry | ValidationError | None) -> dict[str, Json]:
    form: dict[str, Json] = {"txid": hash_hex(tx.txid), "wtxid": hash_hex(tx.wtxid)}
    if isinstance(result, MempoolEntry):
        form |= {"allowed": True, "vsize": result.vsize, "fees": _fees_json(result, (result,))}
    elif isinstance(result, PackageError):
        form["package-error"] = str(result)
    elif isinstance(result, MissingInputsError):
        form |= {"allowed": False, "reject-reason": "missing-inputs"}
    elif result is not None:
        form |= {"allowed": False, "reject-reason": result.reason}
        if result.reason != TOO_HIGH_FEE:
            form["reject-details"] = str(result)
    return form


def _package_json(txs: list[Transaction], result: PackageResult) -> dict[str, Json]:
    forms: dict[str, Json] = {}
    for tx in txs:
        form: dict[str, Json] = {"txid": hash_hex(tx.txid)}
        outcome = result.outcomes.get(tx.wtxid)
        if outcome is None:
            continue
        if isinstance(outcome, ValidationError):
            form["error"] = str(outcome)
        elif outcome.tx.wtxid != tx.wtxid:
            form["other-wtxid"] = hash_hex(outcome.tx.wtxid)
        else:
            form["vsize"] = outcome.vsize
            together = result.together if outcome in result.together else (outcome,)
            new = tx.wtxid in result.added
            fees = _fees_json(outcome, together)
            form["fees"] = fees if new else {"base": fees["base"]}
        forms[hash_hex(tx.wtxid)] = form
    return {
        "package_msg": result.message,
        "tx-results": forms,
        "replaced-transactions": [hash_hex(txid) for txid in result.replaced],
    }
