"""The book: bids come in, meet, and become trades that end. The shell around the rules.

Every method that changes something is one transaction, or raises and leaves all as it was. Two
servers may work on one PostgreSQL: who matches in a pool holds its row, and accounts are locked in
the order of their names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update

from misocoin.errors import MisocoinError
from misocoin.market.accounts import LockedAccounts, insert_if_new
from misocoin.market.articles import (
    DEFAULT_ARTICLES,
    TRUSTED,
    Article,
    ArticleRegistry,
    articles_from_text,
)
from misocoin.market.bids import (
    Bid,
    BidRequest,
    BidState,
    BidType,
    bid_request_from_form,
    calculate_fee,
)
from misocoin.market.checkers import CHECKERS
from misocoin.market.database import Database
from misocoin.market.disputes import check_refuted, proof_from_bytes
from misocoin.market.documents import (
    cancel_document,
    check_participant,
    check_signed,
    upload_document,
)
from misocoin.market.errors import Malformed, NotAllowed, TooLate, Unknown
from misocoin.market.ledger import (
    bid_movements,
    expiry_movements,
    match_movements,
    settlement_movements,
)
from misocoin.market.matching import Pool, deal_of, find_counterpart, pool_of
from misocoin.market.moments import MINUTE, Moment
from misocoin.market.money import Money
from misocoin.market.nonces import expiry_of, new_nonce
from misocoin.market.parcels import PROOF_SLOT
from misocoin.market.receipts import sha256_hex
from misocoin.market.relations import RelationType
from misocoin.market.rows import BID, TRADE, Keys, changes_from_trade, row_from_bid, row_from_trade
from misocoin.market.schema import bids, nonces, pools, relations, trades
from misocoin.market.times import BITWRK_TIMES, Times
from misocoin.market.trade import (
    Phase,
    Trade,
    TradeState,
    apply_message,
    expire,
    message_from_form,
    outcome_of,
    outvoted,
    refute,
    trade_of,
)
from misocoin.market.watch import Watch

KEEP_UNMET = 24 * 60 * MINUTE
"""Microseconds that a bid is shown which expired without a trade."""

_PAGE = 16
_DUE = 200

_GET_BID = select(bids).where(bids.c.id == bindparam("number"))
_GET_TRADE = select(trades).where(trades.c.id == bindparam("number"))
_LOCK_TRADE = _GET_TRADE.with_for_update()
_LOCK_POOL = select(pools.c.key).where(pools.c.key == bindparam("pool")).with_for_update()
_ADD_BID = insert(bids).returning(bids.c.id)
_ADD_TRADE = insert(trades).returning(trades.c.id)
_MATCH_BID = (
    update(bids)
    .where(bids.c.id == bindparam("number"))
    .values(
        state=int(BidState.MATCHED), matched=bindparam("at_moment"), trade=bindparam("to_trade")
    )
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator decides."""

    articles: ArticleRegistry = field(default_factory=lambda: articles_from_text(DEFAULT_ARTICLES))
    prefixes: frozenset[str] = frozenset({"miso"})
    """Human-readable parts of our kind of addresses that participants may have."""
    trusted_account: str = ""
    """The address that vouches for sellers of `~trusted` articles and books deposits."""
    any_worker_host: bool = False
    """Whether a seller's workerurl may name another host than its own (needed behind a proxy)."""


class Book:
    """Bids and trades of one market. Threads may share it."""

    def __init__(
        self, database: Database, rules: Rules, now: Callable[[], Moment], watch: Watch
    ) -> None:
        self._database = database
        self.rules = rules
        self._now = now
        self._watch = watch
        self._keys = Keys(database.tag)
        self._secret = database.secret

    # -- nonces ---------------------------------------------------------------------------

    def new_nonce(self) -> str:
        """A text to sign once, within three minutes."""
        return new_nonce(self._secret, self._now())

    @contextmanager
    def nonce_spent(self, nonce: str) -> Iterator[None]:
        """See to it that a nonce is used up also where what is done inside is refused."""
        try:
            yield
        except (MisocoinError, OSError):
            with suppress(TooLate):
                self._database.write(lambda connection: self.spend_nonce(connection, nonce))
            raise

    def spend_nonce(self, connection: Connection, nonce: str) -> None:
        """Use a nonce up. Raises TooLate for one that cannot be, any more."""
        expires = expiry_of(self._secret, nonce)
        fresh = expires > self._now()
        if not fresh or not insert_if_new(connection, nonces, nonce=nonce, expires=expires):
            raise TooLate("nonce was not given out here, is used up, or has expired")

    # -- bids -----------------------------------------------------------------------------

    def place_bid(self, form: Mapping[str, str]) -> str:
        """Take a bid, and let it meet another where one fits; returns its key.

        Raises a MarketError or AmountError; then only the nonce is gone.
        """
        now = self._now()
        with self.nonce_spent(form.get("nonce", "")):
            request = bid_request_from_form(form)
            self._check_request(request, form.get("signature", ""))

            def change(connection: Connection) -> tuple[str, list[str]]:
                self.spend_nonce(connection, request.nonce)
                return self._place(connection, request, form["signature"], now)

            key, changed = self._database.write(change)
        self._watch.wake(changed)
        return key

    def _check_request(self, request: BidRequest, signature: str) -> None:
        if self.article(request.article) is None:
            raise Unknown(f"article {request.article[:60]!r} is not traded here")
        check_participant(request.participant, self.rules.prefixes)
        check_signed(request.participant, signature, request.document)

    def article(self, name: str) -> Article | None:
        """The registry's entry for an article; None for what is not traded."""
        return self.rules.articles.find(name)

    def _times(self, name: str) -> Times:
        article = self.article(name)
        return BITWRK_TIMES if article is None else article.times

    def _place(
        self, connection: Connection, request: BidRequest, signature: str, now: Moment
    ) -> tuple[str, list[str]]:
        if request.type is BidType.SELL and request.article.endswith(TRUSTED):
            self._check_vouched(connection, request.participant)
        new = Bid(
            key="",
            order=0,
            type=request.type,
            state=BidState.PLACED,
            article=request.article,
            price=request.price,
            fee=calculate_fee(request.price.amount),
            participant=request.participant,
            document=request.document,
            signature=signature,
            created=now,
            expires=Moment(now + self._times(request.article).bid),
            terms=request.terms,
        )
        self._lock_pool(connection, pool_of(new).market)
        number = connection.execute(_ADD_BID, row_from_bid(new)).scalar_one()
        bid = replace(new, key=self._keys.key(BID, number), order=number)
        other = self._find_counterpart(connection, bid, now)
        names = [bid.participant] if other is None else [bid.participant, other.participant]
        locked = LockedAccounts(connection, names)
        locked.check_funds(bid.participant, Money(bid.reserved, bid.price.currency))
        locked.move(bid_movements(bid), now)
        if other is None:
            return bid.key, [bid.key]
        trade = self._match(connection, bid, other, locked, now)
        return bid.key, [bid.key, other.key, trade.key]

    def _check_vouched(self, connection: Connection, seller: str) -> None:
        trusted = connection.execute(
            select(relations.c.enabled).where(
                relations.c.source == self.rules.trusted_account,
                relations.c.type == RelationType.TRUSTS.value,
                relations.c.target == seller,
            )
        ).scalar()
        if not trusted:
            raise NotAllowed(f"only trusted sellers may sell {TRUSTED} articles")

    def _lock_pool(self, connection: Connection, key: str) -> None:
        if connection.execute(_LOCK_POOL, {"pool": key}).first() is None:
            insert_if_new(connection, pools, key=key)
            connection.execute(_LOCK_POOL, {"pool": key}).first()

    def _find_counterpart(self, connection: Connection, bid: Bid, now: Moment) -> Bid | None:
        def taken(buy: Bid) -> set[str]:
            return self._sellers_of(connection, buy)

        def best_of(pool: Pool) -> Bid | None:
            start = 0
            # Those that are preferred come first, so the first page that has one has the best.
            while page := self._opposite(connection, bid, pool, now, start):
                found = find_counterpart(bid, page, now, taken)
                if found is not None:
                    return found
                start += _PAGE
            return None

        best = [found for pool in pool_of(bid).meets if (found := best_of(pool)) is not None]
        return find_counterpart(bid, best, now, taken)

    def _opposite(
        self, connection: Connection, bid: Bid, pool: Pool, now: Moment, start: int
    ) -> list[Bid]:
        query = _OPPOSITE[bid.type]
        rows = connection.execute(
            query, {"pool": pool.key, "price": bid.price.amount, "now": now, "start": start}
        )
        return [self._keys.bid(row) for row in rows]

    def _sellers_of(self, connection: Connection, buy: Bid) -> set[str]:
        """Who works for the group of a buying bid already."""
        if buy.terms is None or not buy.terms.group:
            return set()
        rows = connection.execute(
            select(trades.c.seller).where(
                trades.c.group_name == buy.terms.group, trades.c.buyer == buy.participant
            )
        )
        return set(rows.scalars())

    def _match(
        self, connection: Connection, bid: Bid, other: Bid, locked: LockedAccounts, now: Moment
    ) -> Trade:
        buy, sell = (bid, other) if bid.type is BidType.BUY else (other, bid)
        trade = trade_of("", buy, sell, now, self._times(buy.article))
        row = {**row_from_trade(trade), "buyer_bid": buy.order, "seller_bid": sell.order}
        number = connection.execute(_ADD_TRADE, row).scalar_one()
        trade = replace(trade, key=self._keys.key(TRADE, number))
        for each in (buy, sell):
            connection.execute(
                _MATCH_BID, {"number": each.order, "at_moment": now, "to_trade": number}
            )
        locked.move(match_movements(buy, sell, deal_of(buy, sell), trade.key), now)
        return trade

    def get_bid(self, key: str) -> Bid:
        """A bid. Raises Unknown."""
        with self._database.read() as connection:
            row = connection.execute(_GET_BID, {"number": self._keys.number(BID, key)}).first()
        if row is None:
            raise Unknown("no such bid")
        return self._keys.bid(row)

    def cancel_bid(self, key: str, form: Mapping[str, str]) -> None:
        """Let its owner take back a bid that has met nobody; to do so again changes nothing.

        Raises a MarketError.
        """
        if set(form) != {"cancel", "address", "signature"} or form["cancel"] != "on":
            raise Malformed("a bid is taken back with cancel=on, address and signature")
        bid, now = self.get_bid(key), self._now()
        if form["address"] != bid.participant:
            raise NotAllowed("only who has placed a bid can take it back")
        check_signed(bid.participant, form["signature"], cancel_document(key))

        def change(connection: Connection) -> None:
            live = self._lock_bid(connection, bid)
            if live.state is BidState.MATCHED:
                raise TooLate("the bid has been matched")
            if live.state is BidState.PLACED:
                self._end_bid(connection, live, Moment(min(now, live.expires)))

        self._database.write(change)
        self._watch.wake([key])

    # -- trades ---------------------------------------------------------------------------

    def get_trade(self, key: str) -> Trade:
        """A trade. Raises Unknown."""
        with self._database.read() as connection:
            row = connection.execute(_GET_TRADE, {"number": self._keys.number(TRADE, key)}).first()
        if row is None:
            raise Unknown("no such transaction")
        return self._keys.trade(row)

    def send_message(self, key: str, form: Mapping[str, str], caller: str | None) -> Trade:
        """Take a message to a trade; `caller` is where it comes from. Raises a MarketError."""
        message = message_from_form(form, key)
        host = None if self.rules.any_worker_host else caller

        def step(trade: Trade, now: Moment) -> Trade:
            return apply_message(trade, message, now, host, self._times(trade.article))

        return self._advance(key, step)

    def prove(self, key: str, proof: bytes, address: str, signature: str) -> Trade:
        """Take a buyer's proof that a result is wrong. Raises a MarketError."""
        work, encrypted = proof_from_bytes(proof)
        check_signed(address, signature, upload_document(sha256_hex(proof), PROOF_SLOT, key))

        def step(trade: Trade, now: Moment) -> Trade:
            if address != trade.buyer:
                raise NotAllowed("only the buyer can prove a result wrong")
            refuted = refute(trade, now)
            article = self.article(trade.article)
            name = article.checker if article else None
            check_refuted(trade, work, encrypted, CHECKERS[name] if name else None)
            return refuted

        return self._advance(key, step)

    def _advance(self, key: str, step: Callable[[Trade, Moment], Trade]) -> Trade:
        """Change a trade, and settle what ends by it."""
        now = self._now()

        def change(connection: Connection) -> tuple[Trade, list[str]]:
            number = self._keys.number(TRADE, key)
            row = connection.execute(_GET_TRADE, {"number": number}).first()
            if row is None:
                raise Unknown("no such transaction")
            group = self._lock_group(connection, row.group_name, row.buyer)
            locked = connection.execute(_LOCK_TRADE, {"number": number}).one()
            trade = step(self._keys.trade(locked), now)
            changed = [trade]
            if group and trade.phase is Phase.UNVERIFIED:
                others = [each for each in group if each.key != key]
                beaten = outvoted([trade, *others])
                changed = [trade, *(each for each in beaten if each.key != key)]
                changed = [refute(each, now) if each in beaten else each for each in changed]
            self._save(connection, changed, now)
            return changed[0], [each.key for each in changed]

        trade, keys = self._database.write(change)
        self._watch.wake(keys)
        return trade

    def _lock_group(self, connection: Connection, group: str, buyer: str) -> list[Trade]:
        if not group:
            return []
        rows = connection.execute(
            select(trades)
            .where(trades.c.group_name == group, trades.c.buyer == buyer)
            .order_by(trades.c.id)
            .with_for_update()
        )
        return [self._keys.trade(row) for row in rows]

    def _save(self, connection: Connection, changed: Iterable[Trade], now: Moment) -> None:
        ended = []
        for trade in changed:
            connection.execute(
                update(trades)
                .where(trades.c.id == self._keys.number(TRADE, trade.key))
                .values(**changes_from_trade(trade))
            )
            if trade.state is TradeState.RETIRED:
                ended.append(trade)
        if ended:
            names = {name for trade in ended for name in (trade.buyer, trade.seller)}
            locked = LockedAccounts(connection, names)
            for trade in ended:
                locked.move(settlement_movements(trade, outcome_of(trade)), now)

    # -- time -----------------------------------------------------------------------------

    def expire_due(self) -> int:
        """Let bids and trades end whose time is up; how many did."""
        now = self._now()
        with self._database.read() as connection:
            due_bids = [self._keys.bid(row) for row in connection.execute(_DUE_BIDS, {"now": now})]
            due_trades = connection.execute(_DUE_TRADES, {"now": now}).scalars().all()
        ended = 0
        for bid in due_bids:
            ended += self._expire_bid(bid)
        for number in due_trades:
            try:
                self._advance(self._keys.key(TRADE, number), expire)
                ended += 1
            except TooLate:
                continue  # a message, or another server, was first
        return ended

    def _expire_bid(self, bid: Bid) -> bool:
        def change(connection: Connection) -> bool:
            live = self._lock_bid(connection, bid)
            if live.state is not BidState.PLACED:
                return False
            self._end_bid(connection, live, live.expires)
            return True

        is_expired = self._database.write(change)
        self._watch.wake([bid.key])
        return is_expired

    def _lock_bid(self, connection: Connection, bid: Bid) -> Bid:
        """A bid as it is now, when nobody else can match it any more."""
        self._lock_pool(connection, pool_of(bid).market)
        return self._keys.bid(connection.execute(_GET_BID, {"number": bid.order}).one())

    def _end_bid(self, connection: Connection, bid: Bid, expires: Moment) -> None:
        """Let a bid end that has met nobody, and give back what it had put up."""
        end = {"state": int(BidState.EXPIRED), "expires": expires}
        connection.execute(update(bids).where(bids.c.id == bid.order).values(**end))
        LockedAccounts(connection, [bid.participant]).move(expiry_movements(bid), self._now())

    def forget_old(self) -> None:
        """Forget nonces that nobody may use any more, and bids that met nobody long ago."""
        now = self._now()

        def change(connection: Connection) -> None:
            connection.execute(delete(nonces).where(nonces.c.expires <= now))
            connection.execute(
                delete(bids).where(
                    bids.c.state == int(BidState.EXPIRED), bids.c.expires <= now - KEEP_UNMET
                )
            )

        self._database.write(change)


def _opposite_of(kind: BidType) -> Select[Any]:
    price, ahead = (
        (bids.c.price <= bindparam("price"), bids.c.price.asc())
        if kind is BidType.BUY
        else (bids.c.price >= bindparam("price"), bids.c.price.desc())
    )
    return (
        select(bids)
        .where(
            bids.c.pool == bindparam("pool"),
            bids.c.state == int(BidState.PLACED),
            bids.c.type == int(BidType.SELL if kind is BidType.BUY else BidType.BUY),
            bids.c.expires > bindparam("now"),
            price,
        )
        .order_by(ahead, bids.c.expires, bids.c.id)
        .limit(_PAGE)
        .offset(bindparam("start"))
    )


_OPPOSITE = {kind: _opposite_of(kind) for kind in BidType}
_DUE_BIDS = (
    select(bids)
    .where(bids.c.state == int(BidState.PLACED), bids.c.expires <= bindparam("now"))
    .limit(_DUE)
)
_DUE_TRADES = (
    select(trades.c.id)
    .where(trades.c.state == int(TradeState.ACTIVE), trades.c.timeout <= bindparam("now"))
    .limit(_DUE)
)
