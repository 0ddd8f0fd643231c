"""A light chain for simulations: real headers and header rules, bodies that are just flags.

A block is a header and one small coinbase; it is invalid if the coinbase says so.
"""

from functools import cache

from misocoin.consensus.block_rules import check_header
from misocoin.consensus.tree import HeaderNode, HeaderTree
from misocoin.errors import MisocoinError, NotFoundError, ValidationError
from misocoin.params import Params, regtest
from misocoin.primitives.block import Block, BlockHeader, block_from_bytes
from misocoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxIn, TxOut

BITS = 0x207FFFFF
LIMIT = (1 << 255) - 1


def mine_header(parent: bytes, root: bytes, time: int, bits: int = BITS) -> BlockHeader:
    """A header with regtest's proof of work."""
    nonce = 0
    while True:
        header = BlockHeader.build(4, parent, root, time, bits, nonce)
        if int.from_bytes(header.hash, "little") <= LIMIT:
            return header
        nonce += 1


@cache
def coinbase(tag: bytes) -> Transaction:
    """A transaction like a coinbase, made unique by `tag`."""
    return Transaction.build(1, [TxIn(NULL_OUTPOINT, tag)], [TxOut(0, b"\x51")])


def make_block(parent: HeaderNode, tag: bytes, *, valid: bool = True) -> Block:
    """A block on `parent`; unique by `tag`."""
    tx = coinbase(tag + (b"" if valid else b"BAD"))
    return Block(mine_header(parent.hash, tx.txid, parent.header.time + 1), (tx,))


class FakeChain:
    """The parts of ChainState that the network uses, without coins or a store."""

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or regtest()
        self.tree = HeaderTree(self.params)
        genesis = self.tree.genesis
        self.tip = genesis
        self.best_header = genesis
        self._bodies: dict[bytes, bytes] = {genesis.hash: self.params.genesis.serialize()}
        self._failed: set[bytes] = set()
        self._refused: set[bytes] = set()
        self._linked = {genesis.hash}
        self._children: dict[bytes, list[HeaderNode]] = {}
        self.now = genesis.header.time + 10**8
        self.submitted = 0

    def get(self, block_hash: bytes) -> HeaderNode | None:
        return self.tree.get(block_hash)

    def has_body(self, node: HeaderNode) -> bool:
        return node.hash in self._bodies

    def is_failed(self, node: HeaderNode) -> bool:
        return node.hash in self._failed

    def is_refused(self, node: HeaderNode) -> bool:
        return node.hash in self._refused

    def get_block_bytes(self, node: HeaderNode) -> bytes:
        if node.hash not in self._bodies:
            raise NotFoundError("Block not available")
        return self._bodies[node.hash]

    def accept_headers(self, headers: tuple[BlockHeader, ...]) -> tuple[HeaderNode, ...]:
        return tuple([self._accept(header) for header in headers])

    def _accept(self, header: BlockHeader) -> HeaderNode:
        node = self.tree.get(header.hash)
        if node is None:
            check_header(header, self.params)
            parent = self.tree.get(header.prev_hash)
            if parent is not None and self.is_failed(parent):
                raise ValidationError("bad-prevblk")
            node = self.tree.add(header, self.now)
            self._children.setdefault(header.prev_hash, []).append(node)
            if node.chain_work > self.best_header.chain_work:
                self.best_header = node
        elif self.is_failed(node):
            raise ValidationError("duplicate-invalid")
        return node

    def submit(self, data: bytes | Block) -> Block:
        """Take a block; raises as ChainState.submit_block and the parser do."""
        block = block_from_bytes(data) if isinstance(data, bytes) else data
        self.submitted += 1
        node = self._accept(block.header)
        if node.hash in self._bodies:
            return block
        if block.transactions[0].txid != block.header.merkle_root:
            raise ValidationError("bad-txnmrklroot", mutated=True)
        if block.transactions[0].vin[0].script_sig.endswith(b"BAD"):
            self._condemn(node)
            raise ValidationError("bad-cb-amount")
        self._bodies[node.hash] = block.serialize()
        self._link(node)
        return block

    def _link(self, node: HeaderNode) -> None:
        ready = [node]
        while ready:
            node = ready.pop()
            if node.parent is None or node.parent.hash not in self._linked:
                continue
            self._linked.add(node.hash)
            if node.chain_work > self.tip.chain_work and not self.is_failed(node):
                self.tip = node
            ready += [c for c in self._children.get(node.hash, ()) if self.has_body(c)]

    def _condemn(self, node: HeaderNode) -> None:
        for other in self.tree:
            if node.is_ancestor_of(other):
                self._failed.add(other.hash)
        self._seek_best()

    def _seek_best(self) -> None:
        good = [n for n in self.tree if not self.is_failed(n)]
        self.best_header = max(good, key=lambda n: n.chain_work)
        self.tip = max((n for n in good if n.hash in self._linked), key=lambda n: n.chain_work)

    def invalidate(self, node: HeaderNode) -> None:
        """Refuse a block by hand, with all that builds on it."""
        self._refused |= {other.hash for other in self.tree if node.is_ancestor_of(other)}
        self._condemn(node)

    def reconsider(self, node: HeaderNode) -> None:
        """Take that back."""
        kin = {other.hash for other in self.tree if node.is_ancestor_of(other)}
        self._refused -= kin
        self._failed -= kin
        self._seek_best()


Outcome = MisocoinError | None
