"""Payments drawn at random, by the rules of the mempool and against each of them.

A `Purse` knows the coins that nodes have: of blocks, of transactions that wait, and those that some
transaction spends. What it draws is signed where that is needed, and most of it is nearly right.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from misocoin.crypto.hashes import hash160, sha256
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from misocoin.script.script import push_data
from misocoin.script.sighash import TxDigests
from misocoin.script.templates import (
    P2A_SCRIPT,
    nulldata_script,
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
    witness_script,
)
from tests.builders import COIN, make_outpoint
from tests.unit.script.random_spends import PAYABLE_LOCKS, Lock, unlocked
from tests.unit.script.spends import KEYS

# -- outputs that anyone can spend --------------------------------------------------------------

_TRUE = b"\x51"
_SIGOPS = b"\x51\x00\x63" + b"\xac" * 15 + b"\x68"
"""A script that holds and counts 15 signature operations, none of which runs."""


def _unlock(
    script_sig: bytes = b"", *witness: bytes
) -> Callable[[TxDigests, int], tuple[bytes, tuple[bytes, ...]]]:
    return lambda _digests, _index: (script_sig, witness)


def _p2sh(kind: str, script: bytes) -> Lock:
    return Lock(kind, p2sh_script(hash160(script)), _unlock(push_data(script)))


def _p2wsh(kind: str, script: bytes) -> Lock:
    return Lock(kind, p2wsh_script(sha256(script)), _unlock(b"", script))


FREE = _p2wsh("free", _TRUE)
ANCHOR = Lock("anchor", P2A_SCRIPT, _unlock())
SIMPLE = (
    FREE,
    FREE,
    ANCHOR,
    _p2sh("free P2SH", _TRUE),
    _p2sh("15 sigops", _SIGOPS),
    _p2sh("16 sigops", _SIGOPS + b"\xac\x51"),
    _p2wsh("60 sigops", b"\x51\x00\x63" + b"\xac" * 60 + b"\x68"),
    Lock("bare", _TRUE, _unlock()),
    Lock("witness version 2", witness_script(2, bytes(32)), _unlock(b"", b"\x01")),
)

MAX_SCRIPT = 34
"""Bytes of an output's script: Knots, and not Core, takes no longer ones but of data."""

VALUES = (0, 0, 0, 1, 100, 239, 240, 293, 294, 329, 330, 539, 540, 545, 546, 1000)
"""Dust, or just not, of one kind or another."""


def draw_output_script(random: Random) -> bytes:
    """A script of any kind that nobody here will spend."""
    key = random.choice(KEYS)
    kinds: list[Callable[[], bytes]] = [
        lambda: p2pkh_script(hash160(key.public_key)),
        lambda: p2sh_script(random.randbytes(20)),
        lambda: p2wpkh_script(random.randbytes(20)),
        lambda: p2tr_script(key.xonly_public_key),
        lambda: nulldata_script(random.randbytes(random.choice([0, 1, 40, 79, 80, 81, 90]))),
        lambda: b"\x6a" + random.randbytes(random.randrange(84)),
        lambda: b"\x6a" + b"\x01x" * random.randrange(44),
        lambda: witness_script(random.choice([1, 2, 16]), random.randbytes(random.randint(2, 32))),
        lambda: random.randbytes(random.randrange(MAX_SCRIPT)),
        lambda: b"\x51\xac",
    ]
    return random.choice(kinds)()


class Paid(NamedTuple):
    """An output that may be spent, and how."""

    point: OutPoint
    value: int
    lock: Lock


class Purse:
    """The coins, and what is drawn of them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.coins: dict[OutPoint, Paid] = {}
        """Of blocks."""
        self.waiting: dict[OutPoint, Paid] = {}
        """Of transactions that came into the mempool."""
        self.spent: dict[OutPoint, Paid] = {}
        """That a transaction spends which was drawn."""
        self.made: dict[bytes, list[Paid]] = {}
        """By txid, what a transaction pays."""
        self.young: list[Paid] = []
        """Rewards that are not mature."""
        self.height = 0
        self.time = 0
        """Median time past."""

    def taken(self, tx: Transaction) -> None:
        """Note that it came into the mempool."""
        for txin in tx.vin:
            self.waiting.pop(txin.prevout, None)
            self.coins.pop(txin.prevout, None)
        self.waiting |= {paid.point: paid for paid in self.made.get(tx.txid, ())}

    def fund(self, coin: Paid, locks: Sequence[Lock]) -> Transaction:
        """Divide a coin of FREE among locks; the purse has what comes of it."""
        share = (coin.value - COIN // 100) // len(locks)
        outputs = [TxOut(share, lock.script_pubkey) for lock in locks]
        tx = self._signed([coin], [TxIn(coin.point)], outputs, 2, 0)
        for index, lock in enumerate(locks):
            self.coins[tx.outpoint(index)] = Paid(tx.outpoint(index), share, lock)
        return tx

    # -- one transaction ------------------------------------------------------------------------

    def draw(
        self,
        among: Sequence[Paid] = (),
        *,
        version: int | None = None,
        fee_rate: int | None = None,
        wild: float = 0.3,
    ) -> Transaction:
        """A transaction that spends some coins, those `among` first.

        `wild` is how often something is odd about it.
        """
        random = self.random
        inputs = self._inputs(among)
        if version is None:
            version = random.choice([2] * 12 + [1, 1] + [3] * 8 + random.choice([[0, 4, -1], []]))
        locktime = 0
        sequences = [random.choice([0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD]) for _ in inputs]
        if random.random() < 0.1 * wild:
            near = [self.height + step for step in (0, 1, 2)]
            locktime = random.choice([*near, self.time - 1, self.time, self.time + 600])
            sequences[0] = 0xFFFFFFFE
        if random.random() < 0.2 * wild:
            ages = [0, 1, 2, 5, 20, 1 << 22, 1 << 22 | 1, 1 << 22 | 9, 1 << 31]
            sequences[0] = random.choice(ages)
        locks = self._locks(wild)
        odd = self._odd_outputs(wild)
        size = 60 + 70 * len(inputs) + 43 * len(locks) + sum(9 + len(o.script_pubkey) for o in odd)
        fee = self._fee(size) if fee_rate is None else fee_rate * size // 1000
        if any(out.value < 330 for out in odd) and random.random() < 0.5:
            fee = 0
        left = sum(coin.value for coin in inputs) - fee - sum(out.value for out in odd)
        share = max(left // len(locks), -1)
        first = max(left - share * (len(locks) - 1), -1)
        whole = [(TxOut(share, lock.script_pubkey), lock) for lock in locks]
        whole[0] = (whole[0][0]._replace(value=first), locks[0])
        whole += [(out, ANCHOR if out.script_pubkey == P2A_SCRIPT else FREE) for out in odd]
        random.shuffle(whole)
        vin = [TxIn(coin.point, b"", at) for coin, at in zip(inputs, sequences, strict=True)]
        tx = self._signed(inputs, vin, [out for out, _ in whole], version, locktime)
        if random.random() < 0.1 * wild:
            tx = self._stuffed(tx)
        self.made[tx.txid] = [
            Paid(tx.outpoint(at), out.value, lock)
            for at, (out, lock) in enumerate(whole)
            if lock.script_pubkey == out.script_pubkey
        ]
        self.spent |= {coin.point: coin for coin in inputs}
        return tx

    def _inputs(self, among: Sequence[Paid]) -> list[Paid]:
        random = self.random
        chosen = list(among)
        for _ in range(random.choice([1, 1, 1, 2, 2, 3, 5]) - len(chosen)):
            draw = random.random()
            if draw < 0.45 or not self.waiting or not self.spent:
                chosen.append(self.coins[random.choice(list(self.coins))])
            else:
                chosen.append(self._late(self.waiting if draw < 0.8 else self.spent))
        if random.random() < 0.01:
            chosen.append(Paid(make_outpoint(random.randrange(1 << 30)), COIN, FREE))
        if random.random() < 0.01:
            chosen.append(random.choice(self.young))
        if random.random() < 0.95:
            chosen = list({coin.point: coin for coin in chosen}.values())
        return chosen

    def _late(self, coins: Mapping[OutPoint, Paid]) -> Paid:
        """One of the latest, most likely."""
        back = 1 + int(self.random.expovariate(0.1))
        return coins[list(coins)[-min(back, len(coins))]]

    def _locks(self, wild: float) -> list[Lock]:
        random = self.random
        locks = []
        # Beside few outputs as many as make about 1,000 virtual bytes, or 10,000 (BIP431).
        many = random.choice([1, 1, 30, *[random.randint(14, 24)] * 3, random.randint(225, 234)])
        for _ in range(random.choice([1, 1, 2, 2, 2, 3, 3, many])):
            draw, lock = random.random(), FREE
            if draw < 0.15:
                lock = random.choice(SIMPLE)
            elif draw < 0.15 + 0.1 * wild:
                lock = random.choice(PAYABLE_LOCKS)(random)
            locks.append(lock if len(lock.script_pubkey) <= MAX_SCRIPT else FREE)
        return locks

    def _odd_outputs(self, wild: float) -> list[TxOut]:
        random = self.random
        odd = []
        if random.random() < wild:
            for _ in range(random.choice([1, 1, 1, 2])):
                script = draw_output_script(random) if random.random() < 0.7 else P2A_SCRIPT
                odd.append(TxOut(random.choice(VALUES), script))
        if random.random() < 0.15:
            script = random.choice([P2A_SCRIPT, FREE.script_pubkey])
            odd.append(TxOut(random.choice(VALUES), script))
        return odd

    def _fee(self, size: int) -> int:
        random = self.random
        return random.choice(
            [
                *[size * random.randint(1, 40)] * 4,
                *[size + random.randrange(2000)] * 3,
                *[0, size - 20, size, size + 10, size * 2, size * 100, 100_000],
                random.choice([COIN // 10, size * 3, size * 3]),
                random.choice([-1, size * 5, size * 5]),
            ]
        )

    def _signed(
        self,
        coins: Sequence[Paid],
        vin: Sequence[TxIn],
        vout: Sequence[TxOut],
        version: int,
        locktime: int,
    ) -> Transaction:
        digests = TxDigests(
            Transaction.build(version, vin, vout, locktime),
            tuple(TxOut(coin.value, coin.lock.script_pubkey) for coin in coins),
        )
        for index, coin in enumerate(coins):
            digests = unlocked(coin.lock, digests, index)
        return digests.tx

    def _stuffed(self, tx: Transaction) -> Transaction:
        """An input's witness or scriptSig changed."""
        random = self.random
        at = random.randrange(len(tx.vin))
        txin = tx.vin[at]
        script_sig, witness = txin.script_sig, txin.witness
        item = bytes(random.choice([0, 1, 80, 81, 520, 521]))
        match random.randrange(8):
            case 0:
                witness = (*witness, item)
            case 1:
                witness = (item, *witness)
            case 2:
                witness = (b"",) * random.randint(98, 101) + witness
            case 3:
                witness = ()
            case 4:
                script_sig += b"\x61"
            case 5:
                script_sig = push_data(bytes(520)) * random.choice([1, 3, 4]) + script_sig
            case 6:
                witness = (*witness, b"\x50annex")
            case _:
                witness = (bytes(3601),)
        vin = list(tx.vin)
        vin[at] = txin._replace(script_sig=script_sig, witness=witness)
        return Transaction.build(tx.version, vin, tx.vout, tx.locktime)

    # -- packages -------------------------------------------------------------------------------

    def draw_package(self) -> list[Transaction]:
        """Parents and a child that spends them, or nearly so."""
        random = self.random
        version = random.choice([2, 2, 2, 3, 3, 3, None])
        parents: list[Transaction] = []
        for _ in range(random.choice([1, 1, 1, 1, 1, 2, 2, 3])):
            rate = random.choice([0, 0, 0, 500, 1000, 1100, None])
            chain = bool(parents) and random.random() < 0.1
            among = self.made[parents[-1].txid][:1] if chain else ()
            parents.append(self.draw(among, version=version, fee_rate=rate, wild=0.15))
        package = [*parents, self._child(parents, version)]
        if random.random() < 0.1:
            package.append(self._child(package[-1:], version))
        if random.random() < 0.05:
            random.shuffle(package)
        if random.random() < 0.03:
            package.append(random.choice(package))
        if random.random() < 0.05:
            del package[random.randrange(len(package))]
        return package

    def _child(self, parents: Sequence[Transaction], version: int | None) -> Transaction:
        random = self.random
        among: list[Paid] = []
        for parent in parents:
            dust = [coin for coin in self.made[parent.txid] if coin.value < 330]
            more = [coin for coin in self.made[parent.txid] if coin.value >= 330]
            among += dust if random.random() < 0.8 else []
            among += more[:1] if not dust or random.random() < 0.8 else []
        if random.random() < 0.1:
            version = random.choice([2, 3])
        rate = random.choice([None, 2000, 5000, 20_000, 60_000, 60_000])
        return self.draw(among, version=version, fee_rate=rate, wild=0.1)
