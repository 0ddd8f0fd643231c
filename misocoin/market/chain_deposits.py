"""Coins that come in: blocks are searched for payments to the participants' addresses.

Each block is one transaction of the book. A deposit is credited when it is some blocks deep; one
whose block leaves the chain before that is forgotten. What was credited stays so, however deep the
chain is replaced; the audit then tells whether the coins came back.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from sqlalchemy import Connection, delete, func, select, update

from misocoin.errors import ConfigError, StoreError
from misocoin.market.accounts import LockedAccounts, insert_if_new
from misocoin.market.database import Database, get_meta, set_meta
from misocoin.market.errors import NotAllowed
from misocoin.market.ledger import Movement, MovementType, References
from misocoin.market.moments import Moment
from misocoin.market.money import Currency, Money, text_from_money
from misocoin.market.node_wallet import Tip
from misocoin.market.schema import accounts, batches, blocks, coins
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction

log = logging.getLogger(__name__)

MIN_DEPOSIT = 10_000
"""Base units: smaller payments cost more to spend than they bring, and are not credited."""

KEPT_BLOCKS = 2_000
"""Blocks whose hashes are kept; a deeper replacement of the chain is not followed."""

BIRTH_DEPTH = 100
"""Blocks below the tip at which the search begins, so that their replacement is noticed."""

COINBASE_MATURITY = 100
"""Blocks after which what a coinbase pays may be spent (consensus, on every network)."""

PASS_BLOCKS = 100
"""Blocks of one pass, so that other work gets its turn."""


class ChainReader(Protocol):
    """What is needed of a node."""

    def tip(self) -> Tip:
        """The last block."""

    def block_hash(self, height: int) -> str:
        """The hash of the active chain's block at a height."""

    def block(self, hash_hex: str) -> Block:
        """A block."""

    def script_of(self, address: str) -> bytes:
        """The output script of an address."""


class ChainDeposits:
    """Follows the chain for one market."""

    def __init__(
        self, database: Database, node: ChainReader, now: Callable[[], Moment], confirmations: int
    ) -> None:
        """`confirmations`: how many blocks, its own included, a deposit needs."""
        self._database = database
        self._node = node
        self._now = now
        self._confirmations = confirmations
        self._scripts: dict[str, bytes] = {}

    def begin(self) -> None:
        """Begin the search some blocks below the chain's tip, if it has not begun.

        Must happen before the first address is given out; none can be paid in an earlier block.
        Raises ConfigError where the node is of another chain than the one this book began with.
        """
        genesis = self._node.block_hash(0)
        with self._database.read() as connection:
            known = get_meta(connection, "genesis")
        if known is not None:
            if known != genesis:
                raise ConfigError("the node is of another chain than this market's coins")
            return
        height = max(0, self._node.tip().height - BIRTH_DEPTH)
        first = self._node.block_hash(height)

        def change(connection: Connection) -> None:
            if get_meta(connection, "genesis") is None:
                set_meta(connection, "genesis", genesis)
                insert_if_new(connection, blocks, height=height, hash=first)

        self._database.write(change)

    def follow(self) -> int:
        """Search what is new on the chain; how many blocks went off or came on."""
        self.begin()
        steps = 0
        tip = self._node.tip()
        while steps < PASS_BLOCKS:
            last = self._last()
            if last is None or not self._step(last, tip):
                break
            steps += 1
        return steps

    def _last(self) -> Tip | None:
        with self._database.read() as connection:
            row = connection.execute(
                select(blocks.c.height, blocks.c.hash).order_by(blocks.c.height.desc()).limit(1)
            ).first()
        return None if row is None else Tip(row.height, row.hash)

    def _step(self, last: Tip, tip: Tip) -> bool:
        if last.height > tip.height or self._node.block_hash(last.height) != last.hash_hex:
            self._disconnect(last)
            return True
        if last.height == tip.height:
            return False
        following = self._node.block_hash(last.height + 1)
        block = self._node.block(following)
        if block.header.prev_hash[::-1].hex() != last.hash_hex:
            return False  # the chain changed while we looked
        self._connect(Tip(last.height + 1, following), block, self._ripened(last.height + 1))
        return True

    def _ripened(self, height: int) -> tuple[Tip, Transaction] | None:
        """The coinbase that can be spent in the block after `height`, with its place."""
        with self._database.read() as connection:
            row = connection.execute(
                select(blocks).where(blocks.c.height == height - COINBASE_MATURITY + 1)
            ).first()
        if row is None:
            return None
        return Tip(row.height, row.hash), self._node.block(row.hash).transactions[0]

    # -- forward --------------------------------------------------------------------------

    def _connect(self, place: Tip, block: Block, ripened: tuple[Tip, Transaction] | None) -> None:
        def change(connection: Connection) -> None:
            if not insert_if_new(connection, blocks, height=place.height, hash=place.hash_hex):
                return  # another server was first
            owners = self._owners(connection)
            # Coins of a coinbase count once they can be spent: paying withdrawals from younger ones
            # would hold up all that come after.
            noted = [(place, tx) for tx in block.transactions[1:]]
            for at, tx in (*noted, *([ripened] if ripened else [])):
                self._note_payment(connection, tx, at)
                for index, account, value, script in _payments(tx, owners):
                    point = f"{tx.txid_hex}:{index}"
                    _note_coin(connection, point, account, value, script, at)
            self._credit(connection, place.height)
            connection.execute(delete(blocks).where(blocks.c.height < place.height - KEPT_BLOCKS))

        self._database.write(change)

    def _owners(self, connection: Connection) -> dict[bytes, str]:
        """Accounts by the output script of their address."""
        owners = {}
        rows = connection.execute(
            select(accounts.c.deposit_address, accounts.c.participant).where(
                accounts.c.deposit_address != ""
            )
        )
        for address, participant in rows:
            if address not in self._scripts:
                self._scripts[address] = self._node.script_of(address)
            owners[self._scripts[address]] = participant
        return owners

    def _note_payment(self, connection: Connection, tx: Transaction, place: Tip) -> None:
        """Note that a payment of withdrawals, and its change, are in a block."""
        if not any(txin.witness for txin in tx.vin):
            return
        paid = connection.execute(
            update(batches).where(batches.c.txid == tx.txid_hex).values(height=place.height)
        )
        if paid.rowcount:
            points = [f"{tx.txid_hex}:{index}" for index in range(len(tx.vout))]
            connection.execute(
                update(coins)
                .where(coins.c.outpoint.in_(points))
                .values(height=place.height, block=place.hash_hex)
            )

    def _credit(self, connection: Connection, height: int) -> None:
        ripe = connection.execute(
            select(coins)
            .where(
                coins.c.credited.is_(False),
                coins.c.height >= 0,
                coins.c.height <= height - self._confirmations + 1,
            )
            .order_by(coins.c.height, coins.c.outpoint)
        ).all()
        if not ripe:
            return
        now = self._now()
        locked = LockedAccounts(connection, [coin.account for coin in ripe])
        for coin in ripe:
            try:
                locked.check_currency(coin.account, Currency.COIN)
            except NotAllowed:
                continue  # it is credited once the account is free of the other currency
            locked.move(
                [
                    Movement(
                        MovementType.DEPOSIT,
                        Currency.COIN,
                        coin.account,
                        coin.value,
                        world=-coin.value,
                        about=References(deposit=coin.outpoint),
                    )
                ],
                now,
            )
            connection.execute(
                update(coins).where(coins.c.outpoint == coin.outpoint).values(credited=True)
            )
            log.info("%s came in for %s", text_from_money(Money(coin.value)), coin.account)

    # -- back -----------------------------------------------------------------------------

    def _disconnect(self, last: Tip) -> None:
        def change(connection: Connection) -> None:
            gone = connection.execute(
                delete(blocks).where(blocks.c.height == last.height, blocks.c.hash == last.hash_hex)
            )
            if not gone.rowcount:
                return  # another server was first
            connection.execute(
                delete(coins).where(coins.c.block == last.hash_hex, coins.c.credited.is_(False))
            )
            lost = connection.execute(
                update(coins)
                .where(coins.c.block == last.hash_hex)
                .values(height=-1, block="")
                .returning(coins.c.outpoint, coins.c.account)
            ).all()
            for point, account in lost:
                if account:
                    log.warning("the chain was replaced below the credited deposit %s", point)
            connection.execute(
                update(batches).where(batches.c.height == last.height).values(height=-1)
            )
            if connection.execute(select(func.count()).select_from(blocks)).scalar_one() == 0:
                raise StoreError("the node's chain shares no block with the one that was followed")

        self._database.write(change)


def _payments(tx: Transaction, owners: dict[bytes, str]) -> Iterator[tuple[int, str, int, bytes]]:
    for index, txout in enumerate(tx.vout):
        account = owners.get(txout.script_pubkey)
        if account is not None and txout.value >= MIN_DEPOSIT:
            yield index, account, txout.value, txout.script_pubkey


def _note_coin(
    connection: Connection, point: str, account: str, value: int, script: bytes, place: Tip
) -> None:
    row = {
        "account": account,
        "value": value,
        "script": script.hex(),
        "height": place.height,
        "block": place.hash_hex,
        "credited": False,
        "spent_by": 0,
    }
    if not insert_if_new(connection, coins, outpoint=point, **row):
        connection.execute(
            update(coins)
            .where(coins.c.outpoint == point)
            .values(height=place.height, block=place.hash_hex)
        )
