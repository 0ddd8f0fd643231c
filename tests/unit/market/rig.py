"""A book in memory or elsewhere, with a clock that a test turns, and shortcuts through a trade."""

from pathlib import Path

from misocoin.market.bank import Bank
from misocoin.market.book import Book, Rules
from misocoin.market.database import Database
from misocoin.market.documents import deposit_document, relation_document
from misocoin.market.moments import Moment
from misocoin.market.receipts import sha256_hex, work_secret_hash
from misocoin.market.schema import metadata
from misocoin.market.trade import Trade
from misocoin.market.watch import Watch
from tests.unit.market.builders import NOW, Participant

OPERATOR = Participant("operator")


class Rig:
    """Book and bank on one database."""

    def __init__(self, where: str | Path = "", **rules) -> None:
        self.time = NOW
        self.rules = Rules(trusted_account=OPERATOR.address, **rules)
        self.database = Database(where)
        self.watch = Watch()
        self.book = Book(self.database, self.rules, self.now, self.watch)
        self.bank = Bank(self.database, self.book, self.rules, self.now)
        self._uids = 0

    def now(self) -> Moment:
        """The time that a test has set."""
        return self.time

    def pass_time(self, seconds: float) -> None:
        """Turn the clock on and let end what is due."""
        self.time = Moment(self.time + int(seconds * 1_000_000))
        while self.book.expire_due():
            pass

    def close(self) -> None:
        self.database.close()

    def give(self, who: Participant, amount: str) -> None:
        """Book a deposit for somebody."""
        self._uids += 1
        fields = {
            "type": "0",
            "account": who.address,
            "amount": amount,
            "nonce": self.book.new_nonce(),
            "uid": f"deposit-{self._uids:05}",
            "ref": "",
        }
        document = deposit_document(
            fields["account"], amount, fields["nonce"], "", "0", fields["uid"]
        )
        self.bank.deposit({**fields, "signature": OPERATOR.sign(document)})

    def bid(self, who: Participant, *, nonce_again: str = "", **fields: str) -> str:
        """Place a bid; its key."""
        nonce = nonce_again or self.book.new_nonce()
        return self.book.place_bid(who.bid_form(nonce=nonce, **fields))

    def buy(self, who: Participant, price: str, **fields: str) -> str:
        return self.bid(who, type="BUY", price=price, **fields)

    def sell(self, who: Participant, price: str, **fields: str) -> str:
        return self.bid(who, type="SELL", price=price, **fields)

    def cancel(self, who: Participant, bid: str) -> None:
        """Take a bid back."""
        self.book.cancel_bid(bid, who.cancel_form(bid))

    def trade_of(self, bid: str) -> Trade:
        """The trade that a bid became."""
        key = self.book.get_bid(bid).transaction
        assert key is not None
        return self.book.get_trade(key)

    def say(self, who: Participant, trade: str, **arguments: str) -> Trade:
        """Send a message to a trade."""
        return self.book.send_message(trade, who.message_form(trade, **arguments), None)

    def deliver(
        self, buyer: Participant, seller: Participant, trade: str, work: bytes = b"work"
    ) -> Trade:
        """Do all that comes before the buyer's verdict, in version 1."""
        secret, encrypted = "5e" * 32, sha256_hex(b"encrypted" + work)
        work_hash = sha256_hex(work)
        self.say(
            buyer,
            trade,
            workhash=work_hash,
            worksecrethash=work_secret_hash(work_hash, secret),
        )
        self.say(seller, trade, workerurl="http://127.0.0.1:1/")
        self.say(seller, trade, buyersecret=secret)
        return self.say(
            seller,
            trade,
            encresulthash=encrypted,
            encresulthashsig=buyer.sign(encrypted),
            encresultkey="c0" * 32,
        )

    def holds(self, who: Participant) -> tuple[int, int]:
        """Available and blocked."""
        account = self.bank.account(who.address)
        return account.available, account.blocked

    def relate(self, kind: str, target: Participant, enabled: str = "true") -> None:
        """Have the operator say something of somebody."""
        nonce = self.book.new_nonce()
        source = OPERATOR.address
        self.bank.set_relation(
            {
                "source": source,
                "type": kind,
                "target": target.address,
                "enabled": enabled,
                "nonce": nonce,
                "signature": OPERATOR.sign(
                    relation_document(enabled, nonce, source, target.address, kind)
                ),
            }
        )

    def everything(self) -> dict[str, list]:
        """All rows but the used nonces."""
        with self.database.read() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(table.select())))
                for table in metadata.sorted_tables
                if table.name not in ("market_nonces", "market_pools")
            }
