"""Transactions, blocks and whole chains in memory, made by the rules or against them.

Coins of ANYONE need no signature, coins of KEY_SCRIPT one by KEY. Blocks are mined at regtest's
difficulty, two tries each. What the rules derive from a block is restated here in the simplest
way (`coins_after`), so that tests can hold the real code against it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from misocoin.chain.events import EventBus
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.state import ChainOptions, ChainState
from misocoin.consensus.block_rules import WITNESS_COMMITMENT_HEADER, calculate_witness_commitment
from misocoin.consensus.coins import Coin
from misocoin.consensus.difficulty import target_from_bits
from misocoin.consensus.merkle import calculate_merkle_root
from misocoin.consensus.subsidy import calculate_subsidy
from misocoin.consensus.tree import HeaderNode, next_bits
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.params import Params, regtest
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import (
    NULL_OUTPOINT,
    SEQUENCE_FINAL,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    outpoint,
)
from misocoin.script.script import push_data, push_int
from misocoin.script.signing import KeyRing, sign_transaction
from misocoin.script.templates import p2wpkh_script
from misocoin.store.store import Store

COIN = 100_000_000
SPACING = 600
LATE = 4_000_000_000
"""A network time after which no block here can be."""

ANYONE = b"\x51"
"""The output script OP_TRUE: anyone may spend it with an empty scriptSig."""

KEY = PrivateKey(bytes(31) + b"\x07")
KEY_SCRIPT = p2wpkh_script(hash160(KEY.public_key))
_RING = KeyRing.build([KEY])


def small_params(**changes: object) -> Params:
    """regtest, but coinbases may be spent after two blocks; `changes` replace other fields."""
    return replace(regtest(), **{"coinbase_maturity": 2, **changes})


# -- transactions -----------------------------------------------------------------------------


def make_outpoint(number: int, index: int = 0) -> OutPoint:
    """An outpoint of a transaction that exists nowhere."""
    return outpoint(number.to_bytes(32, "big"), index)


def make_output(output: int | TxOut) -> TxOut:
    """An output; a number pays that much to anyone."""
    return TxOut(output, ANYONE) if isinstance(output, int) else output


def spend(
    points: Iterable[OutPoint],
    outputs: Iterable[int | TxOut],
    *,
    sequence: int = SEQUENCE_FINAL,
    locktime: int = 0,
    version: int = 2,
    script_sig: bytes = b"",
) -> Transaction:
    """Spend coins of ANYONE."""
    return Transaction.build(
        version,
        [TxIn(point, script_sig, sequence) for point in points],
        map(make_output, outputs),
        locktime,
    )


def signed_spend(coins: Mapping[OutPoint, Coin], outputs: Iterable[int | TxOut]) -> Transaction:
    """Spend coins of KEY_SCRIPT."""
    return sign_transaction(spend(coins, outputs), list(coins.values()), _RING)


def with_witness(tx: Transaction, *witnesses: Sequence[bytes]) -> Transaction:
    """The same transaction with other witnesses, one for each input."""
    inputs = [
        txin._replace(witness=tuple(witness))
        for txin, witness in zip(tx.vin, witnesses, strict=True)
    ]
    return Transaction.build(tx.version, inputs, tx.vout, tx.locktime)


def with_bad_signature(tx: Transaction) -> Transaction:
    """The same transaction with one bit of its first signature's R changed."""
    signature, *rest = tx.vin[0].witness
    broken = signature[:10] + bytes((signature[10] ^ 1,)) + signature[11:]
    return with_witness(tx, (broken, *rest), *[txin.witness for txin in tx.vin[1:]])


def make_coinbase(
    height: int,
    outputs: Iterable[int | TxOut],
    *,
    tag: bytes = b"",
    witness: Sequence[bytes] = (),
    script_sig: bytes | None = None,
) -> Transaction:
    """A coinbase for `height`; `tag` makes it differ from others that pay the same."""
    if script_sig is None:
        script_sig = push_int(height) + push_data(tag)
    txin = TxIn(NULL_OUTPOINT, script_sig, SEQUENCE_FINAL, tuple(witness))
    return Transaction.build(2, [txin], map(make_output, outputs))


# -- blocks -----------------------------------------------------------------------------------


def mine(header: BlockHeader, *, fail: bool = False) -> BlockHeader:
    """The header with a nonce that meets its own bits (or, with `fail`, does not)."""
    target = target_from_bits(header.bits)
    while (int.from_bytes(header.hash, "little") <= target) is fail:
        header = header.build(*header[:5], header.nonce + 1)
    return header


def solve(block: Block) -> Block:
    """The block with a nonce that meets its bits."""
    return Block(mine(block.header), block.transactions)


def merkle_root(transactions: Sequence[Transaction]) -> bytes:
    return calculate_merkle_root([tx.txid for tx in transactions])[0]


def with_transactions(block: Block, transactions: Sequence[Transaction]) -> Block:
    """The block with other transactions, its root put right, mined anew."""
    version, prev_hash, _, time, bits, nonce, _ = block.header
    root = merkle_root(transactions)
    header = BlockHeader.build(version, prev_hash, root, time, bits, nonce)
    return Block(mine(header), tuple(transactions))


def with_header(block: Block, **changes: int | bytes) -> Block:
    """The block with other header fields, mined anew."""
    fields = block.header._asdict()
    del fields["hash"]
    return Block(mine(BlockHeader.build(**{**fields, **changes})), block.transactions)


def with_commitment(
    coinbase: Transaction, others: Sequence[Transaction], reserved: bytes = bytes(32)
) -> Transaction:
    """The coinbase with an output that commits to all witnesses (BIP141)."""
    txin = coinbase.vin[0]._replace(witness=(reserved,))
    root = calculate_witness_commitment((coinbase, *others), reserved)
    output = TxOut(0, WITNESS_COMMITMENT_HEADER + root)
    return Transaction.build(coinbase.version, [txin], [*coinbase.vout, output])


def make_block(
    parent: HeaderNode,
    params: Params,
    transactions: Sequence[Transaction] = (),
    *,
    fees: int = 0,
    script: bytes = ANYONE,
    coinbase: Transaction | None = None,
    tag: bytes = b"",
    time: int | None = None,
    version: int = 0x20000000,
) -> Block:
    """A block on `parent` whose coinbase pays subsidy and `fees` to `script`.

    It commits to the witnesses if there are any. `tag` tells apart blocks that are else the same.
    """
    height = parent.height + 1
    if coinbase is None:
        value = calculate_subsidy(height, params) + fees
        coinbase = make_coinbase(height, [TxOut(value, script)], tag=tag)
        if any(tx.has_witness for tx in transactions):
            coinbase = with_commitment(coinbase, transactions)
    whole = (coinbase, *transactions)
    header = BlockHeader.build(
        version,
        parent.hash,
        merkle_root(whole),
        parent.header.time + SPACING if time is None else time,
        next_bits(parent, params),
        0,
    )
    return Block(mine(header), whole)


def grow(parent: HeaderNode, params: Params, count: int, *, tag: bytes = b"") -> list[Block]:
    """`count` blocks of a coinbase each, one on the other."""
    blocks = []
    for _ in range(count):
        block = make_block(parent, params, tag=tag)
        blocks.append(block)
        parent = HeaderNode(block.header, parent)
    return blocks


def coins_after(coins: Mapping[OutPoint, Coin], block: Block, height: int) -> dict[OutPoint, Coin]:
    """The coins once `block` has been put on those in `coins`, without any check."""
    after = dict(coins)
    for position, tx in enumerate(block.transactions):
        if position > 0:
            for txin in tx.vin:
                after.pop(txin.prevout, None)
        for index, (value, script) in enumerate(tx.vout):
            if not script.startswith(b"\x6a"):
                after[tx.txid + index.to_bytes(4, "little")] = Coin(
                    value, script, height, position == 0
                )
    return after


# -- chains -----------------------------------------------------------------------------------


def open_chain(
    params: Params,
    store: Store,
    *,
    now: Callable[[], int] = lambda: LATE,
    events: EventBus | None = None,
    options: ChainOptions | None = None,
    scripts: ScriptChecks | None = None,
) -> ChainState:
    """A chain over `store`, loaded."""
    chain = ChainState(
        params,
        store,
        scripts or ScriptChecks(1),
        events or EventBus(),
        now,
        options or ChainOptions(),
    )
    chain.load()
    return chain


@contextmanager
def memory_store(params: Params) -> Iterator[Store]:
    """A new store in memory."""
    with closing(Store(None, params.genesis.hash)) as store:
        yield store


@contextmanager
def memory_chain(params: Params, blocks: Iterable[Block] = ()) -> Iterator[ChainState]:
    """A new chain in memory that was given `blocks`."""
    with memory_store(params) as store:
        chain = open_chain(params, store)
        for block in blocks:
            chain.submit_block(block)
        yield chain


def stored_coins(chain: ChainState) -> dict[OutPoint, Coin]:
    """All coins, once flushed."""
    chain.flush()
    return dict(chain.iterate_coins())
