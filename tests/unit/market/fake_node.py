"""A chain and a wallet in memory, as the market sees them; blocks hold what a test puts there."""

from collections.abc import Callable, Iterable

from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import PrivateKey
from misocoin.http.errors import RpcError
from misocoin.market.node_wallet import PaymentRefused, Tip
from misocoin.market.payouts import point_from_text
from misocoin.params import params_by_name
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import (
    NULL_OUTPOINT,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    transaction_from_bytes,
)
from misocoin.script.address import address_from_script, script_from_address
from misocoin.script.signing import KeyRing, sign_transaction
from misocoin.script.templates import p2wpkh_script

PARAMS = params_by_name("regtest")

NOTHING = TxOut(0, b"")


class FakeNode:
    """One branch of blocks, a mempool, and a wallet's keys."""

    def __init__(self) -> None:
        self.blocks: list[Block] = [self._block([], b"\0" * 32, 0)]
        self.pool: dict[bytes, Transaction] = {}
        self.keys: list[PrivateKey] = []
        self.sent: list[bytes] = []
        """Ids of all payments that were ever handed in."""
        self.before_call: Callable[[str], None] = lambda _name: None
        self.held: set[OutPoint] = set()
        self._funded = 0

    # -- what the market calls ------------------------------------------------------------

    def tip(self) -> Tip:
        self.before_call("tip")
        return Tip(len(self.blocks) - 1, self.blocks[-1].header.hash_hex)

    def block_hash(self, height: int) -> str:
        return self.blocks[height].header.hash_hex

    def block(self, hash_hex: str) -> Block:
        return next(block for block in self.blocks if block.header.hash_hex == hash_hex)

    def new_address(self) -> str:
        self.before_call("new_address")
        self.keys.append(PrivateKey(sha256(b"key%d" % len(self.keys))))
        script = p2wpkh_script(hash160(self.keys[-1].public_key))
        address = address_from_script(script, PARAMS)
        assert address is not None
        return address

    def script_of(self, address: str) -> bytes:
        return script_from_address(address, PARAMS)

    def sign(self, tx: Transaction) -> Transaction:
        self.before_call("sign")
        coins = self.coins()
        if any(txin.prevout not in coins for txin in tx.vin):
            raise RpcError(-5, "input not found or already spent")
        return sign_transaction(
            tx, [coins[txin.prevout] for txin in tx.vin], KeyRing.build(self.keys)
        )

    def send(self, raw_hex: str) -> None:
        self.before_call("send")
        tx = transaction_from_bytes(bytes.fromhex(raw_hex))
        if tx.txid in self.pool or any(tx in block.transactions for block in self.blocks):
            return
        coins = self.coins()
        if not all(txin.prevout in coins for txin in tx.vin):
            raise PaymentRefused(-25, "bad-txns-inputs-missingorspent")
        young = {block.transactions[0].txid for block in self.blocks[-99:]}
        if any(txin.prevout[:32] in young for txin in tx.vin):
            raise PaymentRefused(-26, "bad-txns-premature-spend-of-coinbase")
        self.pool[tx.txid] = tx
        self.sent.append(tx.txid)
        self.before_call("sent")

    def fee_rate(self) -> int:
        return 1_000

    def hold(self, points: Iterable[OutPoint]) -> None:
        self.held |= set(points)

    def value_of_unspent(self, point_hex: str, *, with_mempool: bool) -> int | None:
        found = self.coins(with_mempool=with_mempool).get(point_from_text(point_hex))
        return None if found is None else found.value

    # -- what a test does -----------------------------------------------------------------

    def coins(self, *, with_mempool: bool = True) -> dict[OutPoint, TxOut]:
        """All unspent outputs."""
        held: dict[OutPoint, TxOut] = {}
        pool = self.pool.values() if with_mempool else ()
        for tx in (*(tx for block in self.blocks for tx in block.transactions), *pool):
            for txin in tx.vin:
                held.pop(txin.prevout, None)
            for index, txout in enumerate(tx.vout):
                held[tx.outpoint(index)] = txout
        return held

    def pay(self, address: str, value: int) -> Transaction:
        """A payment from nowhere, into the mempool."""
        self._funded += 1
        origin = TxIn(OutPoint(sha256(b"%d" % self._funded) + bytes(4)))
        tx = Transaction.build(2, [origin], [TxOut(value, self.script_of(address))], 0)
        self.pool[tx.txid] = tx
        return tx

    def mine(self, count: int = 1, salt: int = 0, reward: TxOut = NOTHING) -> None:
        """Blocks on the tip, whose coinbases pay `reward`; the first takes the mempool."""
        for _ in range(count):
            parent = self.blocks[-1].header.hash
            self.blocks.append(self._block(list(self.pool.values()), parent, salt, reward))
            self.pool.clear()

    def unmine(self, count: int, *, keep: bool = True) -> None:
        """Take blocks off; what they held waits again, or is lost."""
        for block in self.blocks[-count:]:
            if keep:
                self.pool |= {tx.txid: tx for tx in block.transactions[1:]}
        del self.blocks[-count:]

    def received(self, script: bytes) -> int:
        """Base units that an output script holds."""
        return sum(txout.value for txout in self.coins().values() if txout.script_pubkey == script)

    def _block(
        self, transactions: list[Transaction], parent: bytes, salt: int, reward: TxOut = NOTHING
    ) -> Block:
        height = len(self.blocks) if parent.strip(b"\0") else 0
        coinbase = Transaction.build(
            1, [TxIn(NULL_OUTPOINT, b"%d %d" % (height, salt))], [reward], 0
        )
        header = BlockHeader.build(1, parent, sha256(coinbase.txid), 0, 0, salt)
        return Block(header, (coinbase, *transactions))
