"""Which headers of filters are true: nodes are compared, and where they differ, the block decides.

A filter's header commits to all filters before it, so one header of each node tells whether they
agree on everything. Where they do not, the first block they disagree on is fetched, with what it
spends: the block is proven by its header, what it spends by its signatures. From both the one
true filter follows, and with it who lied.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

from misocoin.consensus.deployments import script_flags_at
from misocoin.crypto.hashes import sha256d
from misocoin.errors import ParseError
from misocoin.filters.basic import (
    are_all_in_filter,
    basic_filter_from_block,
    calculate_filter_header,
    filter_header_from_hash,
    output_scripts,
)
from misocoin.params import Params
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import TxOut
from misocoin.script.inputs import verify_input
from misocoin.script.sighash import TxDigests
from misocoin.wallet.light.errors import NodeLied
from misocoin.wallet.light.pool import NodePool, Peer, Unanswered
from misocoin.wallet.light.ports import NodePort
from misocoin.wallet.light.store import LightStore

COUNT = 2000
"""Headers of filters to ask for at once: as many as a node gives."""


class Agreement:
    """Keeps the headers of filters in `store` true, as far as the nodes of `pool` allow.

    `warn` hears in one line of what cannot be decided and of what turned out to be false.
    """

    def __init__(
        self, params: Params, store: LightStore, pool: NodePool, warn: Callable[[str], None]
    ) -> None:
        self._params = params
        self._store = store
        self._pool = pool
        self._warn = warn
        self._silent: set[Peer] = set()  # without filters, or set aside as nothing was proven

    def establish(self) -> int:
        """Compare all nodes and go as far as they agree; returns how many have filters.

        A dispute that cannot be decided ends it, with a warning.
        """
        try:
            for peer in self._pool.usable:
                self._compare_past(peer)
            while self._store.filter_height < self._store.height and self._extend():
                pass
        except Unanswered as error:
            self._warn(str(error))
        return len(self._witnesses())

    def _witnesses(self) -> list[Peer]:
        """Nodes of our chain that may tell something about filters."""
        hash_at = self._store.hash_at
        return [
            peer
            for peer in self._pool.usable
            if peer not in self._silent
            and peer.tip is not None
            and hash_at(peer.tip.height) == peer.tip.hash
        ]

    def _ask(self, peer: Peer, height: int, count: int) -> Sequence[bytes]:
        """A node's headers of filters from `height` on; nothing where it gives none."""
        block_hash = self._store.hash_at(height)
        if block_hash is None:
            return ()

        def question(node: NodePort) -> Sequence[bytes]:
            answer = node.filter_headers(block_hash, count)
            if len(answer) > count:
                raise NodeLied(f"{node.name} answered with more headers of filters than asked for")
            return answer

        return self._pool.try_one(peer, question) or ()

    # -- the past -----------------------------------------------------------------------------

    def _compare_past(self, peer: Peer) -> None:
        """See whether a node agrees with what others said before."""
        if peer not in self._witnesses() or peer.tip is None:
            return
        height = min(self._store.filter_height, peer.tip.height)
        theirs = self._ask(peer, height, 1)
        if not theirs:
            self._silent.add(peer)
            return
        if theirs[0] == self._known(height):
            return
        first = self._first_difference(peer, height)
        if first is None:
            return
        known = self._known(first)
        (claim,) = self._ask(peer, first, 1) or (known,)
        truth = self._decide(first, {claim: [peer], known: []})
        if truth is None:
            self._silent.add(peer)
            self._warn(
                f"{peer.name} says of the filter of block {first} otherwise than others did, and "
                "it cannot be told who is right"
            )
        elif truth != known:
            self._warn(f"what nodes said earlier of block {first} was false: searching again")
            self._store.cut_filter_headers(first - 1)

    def _known(self, height: int) -> bytes:
        return self._store.filter_headers(height, 1)[0]

    def _first_difference(self, peer: Peer, height: int) -> int | None:
        """The first height at which a node differs; it does at `height`. None if it stops."""
        low, high = -1, height
        while low + 1 < high:
            middle = (low + high) // 2
            theirs = self._ask(peer, middle, 1)
            if not theirs:
                return None
            if theirs[0] == self._known(middle):
                low = middle
            else:
                high = middle
        if high == 0:
            self._pool.condemn(peer, f"{peer.name} has another filter of the first block")
            return None
        return high

    # -- the present --------------------------------------------------------------------------

    def _extend(self) -> bool:
        """Take in the next headers as far as all agree; tells whether to go on."""
        start = self._store.filter_height + 1
        count = min(COUNT, self._store.height + 1 - start)
        answers = {peer: self._ask(peer, start, count) for peer in self._witnesses()}
        answers = {peer: answer for peer, answer in answers.items() if answer}
        if not answers:
            return False
        agreed = _common_prefix(list(answers.values()))
        self._store.set_filter_headers(start, agreed)
        at = len(agreed)
        claims: dict[bytes, list[Peer]] = {}
        for peer, answer in answers.items():
            if at < len(answer):
                claims.setdefault(answer[at], []).append(peer)
        if not claims:
            return True
        height = start + at
        if self._decide(height, claims) is None:
            names = " and ".join(peers[0].name for peers in claims.values())
            raise Unanswered(
                f"{names} disagree about the filter of block {height}, and it cannot be told who "
                "is right"
            )
        return True

    # -- who is right -------------------------------------------------------------------------

    def _decide(self, height: int, claims: Mapping[bytes, Sequence[Peer]]) -> bytes | None:
        """The true header of the filter at `height`; whoever claims another is condemned.

        None where it cannot be told. All agree on the header before it. A claim that nobody
        stands for any more is what was said earlier.
        """
        block_hash = self._store.hash_at(height)
        if block_hash is None:
            return None
        block = self._pool.block(block_hash, height, self._params)
        previous = self._known(height - 1)
        proven = self._proven_headers(block, height, previous)
        supported = proven & claims.keys()
        if len(supported) == 1:
            (truth,) = supported
        elif len(proven) == 1:
            (truth,) = proven
        else:
            open_claims = [
                claim
                for claim, peers in claims.items()
                if not peers
                or any(self._is_possible(peer, block, height, previous, claim) for peer in peers)
            ]
            if len(open_claims) != 1:
                return None
            (truth,) = open_claims
        for claim, peers in claims.items():
            if claim != truth:
                for peer in peers:
                    self._pool.condemn(
                        peer,
                        f"{peer.name} has a false filter of block {height}: payments in it "
                        "could be hidden",
                    )
        return truth

    def _proven_headers(self, block: Block, height: int, previous: bytes) -> set[bytes]:
        """The headers that follow from the block and what nodes show that it spends.

        There is one where signatures prove all of that; none without evidence; perhaps several
        where anybody could spend an output, as nothing binds its script.
        """
        found = set()
        for peer in self._pool.usable:
            spent = self._pool.try_one(peer, lambda node: node.spent_outputs(block.hash))
            if spent is not None and are_spent_by(block, spent, height, self._params):
                scripts = [output.script_pubkey for outputs in spent for output in outputs]
                data = basic_filter_from_block(block, scripts)
                found.add(calculate_filter_header(data, previous))
        return found

    def _is_possible(
        self, peer: Peer, block: Block, height: int, previous: bytes, claim: bytes
    ) -> bool:
        """Whether the filter behind a claim holds at least what the block itself pays to."""

        def question(node: NodePort) -> bytes:
            return next((f.data for f in node.filters(block.hash, 1)), b"")

        data = self._pool.try_one(peer, question)
        if data is None or filter_header_from_hash(sha256d(data), previous) != claim:
            return False
        try:
            return are_all_in_filter(output_scripts(block), data, block.hash)
        except ParseError:
            return False


def _common_prefix(answers: Sequence[Sequence[bytes]]) -> list[bytes]:
    """What all say as far as they say anything, up to the first difference."""
    agreed = []
    for column in zip_longest(*answers):
        values = {value for value in column if value is not None}
        if len(values) > 1:
            break
        agreed.append(values.pop())
    return agreed


def are_spent_by(
    block: Block, spent: Sequence[Sequence[TxOut]], height: int, params: Params
) -> bool:
    """Whether the inputs of a block prove by their signatures that they spend these outputs.

    That says nothing about outputs that anybody may spend: another script would do as well.
    """
    if [len(outputs) for outputs in spent] != [
        0 if tx.is_coinbase else len(tx.vin) for tx in block.transactions
    ]:
        return False
    flags = script_flags_at(height, block.hash, params)
    own: dict[bytes, TxOut] = {}
    for tx, outputs in zip(block.transactions, spent, strict=True):
        for txin, output in zip(tx.vin, outputs, strict=False):
            if own.get(txin.prevout, output) != output or not 0 <= output.value <= params.max_money:
                return False
        if not tx.is_coinbase:
            digests = TxDigests(tx, outputs)
            if any(verify_input(digests, index, flags) for index in range(len(outputs))):
                return False
        own.update((tx.outpoint(index), output) for index, output in enumerate(tx.vout))
    return True
