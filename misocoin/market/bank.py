"""Accounts from outside: what they hold, money in and out, and who trusts whom.

Coins of the chain come and go through `chain_deposits` and `payouts`; here are the requests.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from misocoin.market.accounts import LockedAccounts, insert_if_new, make_account
from misocoin.market.book import Book, Rules
from misocoin.market.database import Database
from misocoin.market.documents import (
    address_request_document,
    check_participant,
    check_signed,
    deposit_document,
    deposit_info_document,
    withdrawal_document,
)
from misocoin.market.errors import Malformed, NotAllowed, NotPaidFor, TooLate, Unknown
from misocoin.market.ledger import Movement, MovementType, References
from misocoin.market.moments import Moment
from misocoin.market.money import MAX_AMOUNT, Currency, Money, money_from_text, text_from_money
from misocoin.market.relations import (
    Relation,
    relation_document_from_form,
    relation_type_from_name,
)
from misocoin.market.rows import MOVEMENT, WITHDRAWAL, Keys, relation_from_row
from misocoin.market.schema import (
    accounts,
    batches,
    deposits,
    movements,
    pools,
    relations,
    withdrawals,
)
from misocoin.market.wire import Account, MovementRecord

MIN_WITHDRAWAL = 10_000
"""Base units: less would not outlast its own fee."""

_FEES = "fees"
_UID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_REFERENCE = re.compile(r"[A-Za-z0-9-]{0,64}", re.ASCII)


class ChainPort(NamedTuple):
    """What the bank needs of a node's wallet; both raise a MisocoinError where it is away."""

    new_address: Callable[[], str]
    """A new address of the wallet."""
    check_address: Callable[[str], object]
    """Raises AddressError for what is no address of the chain."""


class Deposit(NamedTuple):
    """Money that the trusted account booked in."""

    uid: str
    type: int
    """0: injection, which may be negative; 1: bitcoin."""
    account: str
    amount: Money
    reference: str
    document: str
    signature: str
    created: Moment


class Withdrawal(NamedTuple):
    """Coins that a participant asked for."""

    key: str
    account: str
    address: str
    amount: int
    """Base units that left the account; the payment's share of the fee is taken from them."""
    requested: Moment
    txid: str
    """Of the payment, display order; empty while no node has taken it."""
    height: int
    """Of the payment's block; -1 while in none."""


class Bank:
    """Accounts of one market. Threads may share it."""

    def __init__(
        self,
        database: Database,
        book: Book,
        rules: Rules,
        now: Callable[[], Moment],
        chain: ChainPort | None = None,
    ) -> None:
        self._database = database
        self._book = book
        self._rules = rules
        self._now = now
        self._chain = chain
        self._keys = Keys(database.tag)

    def check_participant(self, address: str) -> None:
        """Check that text is a participant's address; raises Malformed."""
        check_participant(address, self._rules.prefixes)

    # -- accounts and ledger --------------------------------------------------------------

    def account(self, participant: str) -> Account:
        """What a participant holds; all zero for one that never came. Raises Unknown."""
        try:
            self.check_participant(participant)
        except Malformed as error:
            raise Unknown(str(error)) from None
        with self._database.read() as connection:
            row = connection.execute(
                select(accounts).where(accounts.c.participant == participant)
            ).first()
        return Account(participant) if row is None else self._keys.account(row)

    def movement(self, key: str) -> MovementRecord:
        """An entry of the ledger. Raises Unknown."""
        number = self._keys.number(MOVEMENT, key)
        with self._database.read() as connection:
            row = connection.execute(select(movements).where(movements.c.id == number)).first()
        if row is None:
            raise Unknown("no such ledger entry")
        return self._keys.movement(row)

    # -- money by the trusted account -----------------------------------------------------

    def deposit(self, form: Mapping[str, str]) -> str:
        """Book money in (or, negative, out) as the trusted account says; returns the uid.

        The same deposit again changes nothing. Raises a MarketError or AmountError.
        """
        fields = _fields(form, "type", "account", "amount", "nonce", "uid", "ref", "signature")
        with self._book.nonce_spent(fields["nonce"]):
            new = self._deposit_from_fields(fields)

            def change(connection: Connection) -> None:
                self._book.spend_nonce(connection, fields["nonce"])
                self._book_deposit(connection, new)

            self._database.write(change)
        return new.uid

    def _deposit_from_fields(self, fields: Mapping[str, str]) -> Deposit:
        amount = money_from_text(fields["amount"])
        if fields["type"] not in ("0", "1"):
            raise Malformed("type must be 0 or 1")
        if fields["type"] == "1" and amount.amount <= 0:
            raise Malformed("amount must be more than zero")
        if _UID.fullmatch(fields["uid"]) is None or _REFERENCE.fullmatch(fields["ref"]) is None:
            raise Malformed("uid has 8 to 64 letters, digits or -, ref at most 64")
        self.check_participant(fields["account"])
        document = deposit_document(
            fields["account"],
            fields["amount"],
            fields["nonce"],
            fields["ref"],
            fields["type"],
            fields["uid"],
        )
        self._check_trusted(fields["signature"], document)
        if self._chain is not None and amount.currency is Currency.COIN:
            raise NotAllowed("coins come in over the chain only, so that the books show them all")
        return Deposit(
            fields["uid"],
            int(fields["type"]),
            fields["account"],
            amount,
            fields["ref"],
            document,
            fields["signature"],
            self._now(),
        )

    def _check_trusted(self, signature: str, document: str) -> None:
        if not self._rules.trusted_account:
            raise NotAllowed("this market has no trusted account")
        check_signed(self._rules.trusted_account, signature, document)

    def _book_deposit(self, connection: Connection, new: Deposit) -> None:
        row = new._asdict() | {"amount": new.amount.amount, "currency": new.amount.currency.value}
        if not insert_if_new(connection, deposits, **row):
            old = self._find_deposit(connection, new.uid)
            if old is None or (old.type, old.account, old.amount, old.reference) != (
                new.type,
                new.account,
                new.amount,
                new.reference,
            ):
                raise TooLate("there is another deposit with that uid")
            return
        amount, currency = new.amount
        locked = LockedAccounts(connection, [new.account])
        locked.check_funds(new.account, Money(max(-amount, 0), currency))
        if sum(locked.balance(new.account)) + amount > MAX_AMOUNT:
            raise NotAllowed("an account cannot hold as much")
        about = References(deposit=new.uid)
        entry = Movement(
            MovementType.DEPOSIT, currency, new.account, amount, world=-amount, about=about
        )
        locked.move([entry], new.created)

    def get_deposit(self, uid: str) -> Deposit:
        """A deposit. Raises Unknown."""
        with self._database.read() as connection:
            found = self._find_deposit(connection, uid)
        if found is None:
            raise Unknown("no such deposit")
        return found

    def _find_deposit(self, connection: Connection, uid: str) -> Deposit | None:
        row = connection.execute(select(deposits).where(deposits.c.uid == uid)).first()
        if row is None:
            return None
        return Deposit(
            row.uid,
            row.type,
            row.account,
            Money(row.amount, Currency(row.currency)),
            row.reference,
            row.document,
            row.signature,
            row.created,
        )

    # -- coins ----------------------------------------------------------------------------

    def request_deposit_address(self, form: Mapping[str, str]) -> str:
        """Give a participant an address of the chain to pay in to; always the same one.

        The request is signed by the participant or the trusted account. Raises a MisocoinError.
        """
        fields = _fields(form, "participant", "signer", "nonce", "signature")
        with self._book.nonce_spent(fields["nonce"]):
            self._check_address_request(fields)
            chain = self._chain
            if chain is None:
                raise NotAllowed("this market takes no coins: it has no node")
            address = self.account(fields["participant"]).deposit_address or chain.new_address()

            def change(connection: Connection) -> str:
                self._book.spend_nonce(connection, fields["nonce"])
                return _keep_address(connection, fields["participant"], address)

            return self._database.write(change)

    def _check_address_request(self, fields: Mapping[str, str]) -> None:
        self.check_participant(fields["participant"])
        if fields["signer"] not in (fields["participant"], self._rules.trusted_account):
            raise NotAllowed("only the participant may ask for its deposit address")
        document = address_request_document(
            fields["nonce"], fields["participant"], fields["signer"]
        )
        check_signed(fields["signer"], fields["signature"], document)

    def store_deposit_info(self, form: Mapping[str, str]) -> None:
        """Keep what the trusted account says of a way to pay in. Raises a MarketError."""
        names = ("participant", "depositaddress", "reference", "signer", "nonce", "signature")
        fields = _fields(form, *names)
        with self._book.nonce_spent(fields["nonce"]):
            info = json.dumps(self._deposit_info(fields))

            def change(connection: Connection) -> None:
                self._book.spend_nonce(connection, fields["nonce"])
                make_account(connection, fields["participant"])
                connection.execute(
                    update(accounts)
                    .where(accounts.c.participant == fields["participant"])
                    .values(deposit_info=info)
                )

            self._database.write(change)

    def _deposit_info(self, fields: Mapping[str, str]) -> dict[str, str]:
        self.check_participant(fields["participant"])
        if fields["signer"] != self._rules.trusted_account:
            raise NotAllowed("only the trusted account tells deposit addresses")
        document = deposit_info_document(
            fields["depositaddress"],
            fields["nonce"],
            fields["participant"],
            fields["reference"],
            fields["signer"],
        )
        self._check_trusted(fields["signature"], document)
        if any(len(fields[name]) > 200 for name in ("depositaddress", "reference")):
            raise Malformed("depositaddress and reference have 200 characters at most")
        return {
            "DepositAddress": fields["depositaddress"],
            "Reference": fields["reference"],
            "Document": document,
            "Signature": fields["signature"],
        }

    def withdraw(self, form: Mapping[str, str]) -> str:
        """Take coins off an account, to be paid with the next batch; returns the request's key.

        Raises a MisocoinError; then nothing was taken.
        """
        fields = _fields(form, "participant", "address", "amount", "nonce", "signature")
        with self._book.nonce_spent(fields["nonce"]):
            amount = self._check_withdrawal(fields)

            def change(connection: Connection) -> str:
                self._book.spend_nonce(connection, fields["nonce"])
                return self._book_withdrawal(connection, fields, amount)

            return self._database.write(change)

    def _book_withdrawal(
        self, connection: Connection, fields: Mapping[str, str], amount: int
    ) -> str:
        account, now = fields["participant"], self._now()
        locked = LockedAccounts(connection, [account])
        locked.check_funds(account, Money(amount))
        row = {
            "account": account,
            "address": fields["address"],
            "amount": amount,
            "requested": now,
            "document": _withdrawal_document(fields),
            "signature": fields["signature"],
            "batch": 0,
        }
        number = connection.execute(insert(withdrawals).returning(withdrawals.c.id), row)
        key = self._keys.key(WITHDRAWAL, number.scalar_one())
        about = References(withdrawal=key)
        entry = Movement(
            MovementType.WITHDRAWAL, Currency.COIN, account, -amount, world=amount, about=about
        )
        locked.move([entry], now)
        return key

    def collect_fees(self, address: str, amount: int) -> str:
        """Have the operator's earnings paid with the next batch; returns the request's key.

        Raises a MisocoinError; then nothing was taken.
        """
        if amount < MIN_WITHDRAWAL:
            raise Malformed(f"at least {MIN_WITHDRAWAL} base units can be withdrawn")
        now = self._now()

        def change(connection: Connection) -> str:
            # Whoever collects holds this row, so that two cannot take the same fees.
            insert_if_new(connection, pools, key=_FEES)
            connection.execute(select(pools.c.key).where(pools.c.key == _FEES).with_for_update())
            coin = movements.c.currency == Currency.COIN.value
            earned = connection.execute(select(func.sum(movements.c.fee)).where(coin)).scalar()
            if int(earned or 0) < amount:
                raise NotPaidFor(
                    f"only {text_from_money(Money(int(earned or 0)))} of fees are here"
                )
            row = {
                "account": "",
                "address": address,
                "amount": amount,
                "requested": now,
                "document": "",
                "signature": "",
                "batch": 0,
            }
            number = connection.execute(insert(withdrawals).returning(withdrawals.c.id), row)
            key = self._keys.key(WITHDRAWAL, number.scalar_one())
            about = References(withdrawal=key)
            entry = Movement(
                MovementType.FEE_PAYOUT, Currency.COIN, fee=-amount, world=amount, about=about
            )
            LockedAccounts(connection, []).move([entry], now)
            return key

        return self._database.write(change)

    def _check_withdrawal(self, fields: Mapping[str, str]) -> int:
        self.check_participant(fields["participant"])
        check_signed(fields["participant"], fields["signature"], _withdrawal_document(fields))
        amount = money_from_text(fields["amount"])
        if amount.currency is not Currency.COIN:
            raise Malformed("only coins can be withdrawn")
        if amount.amount < MIN_WITHDRAWAL:
            raise Malformed(f"at least {MIN_WITHDRAWAL} base units can be withdrawn")
        if self._chain is None:
            raise NotAllowed("this market pays no coins: it has no node")
        self._chain.check_address(fields["address"])
        return amount.amount

    def get_withdrawal(self, key: str) -> Withdrawal:
        """A withdrawal. Raises Unknown."""
        number = self._keys.number(WITHDRAWAL, key)
        with self._database.read() as connection:
            row = connection.execute(
                select(withdrawals, batches.c.txid, batches.c.sent, batches.c.height)
                .join(batches, batches.c.id == withdrawals.c.batch, isouter=True)
                .where(withdrawals.c.id == number)
            ).first()
        if row is None:
            raise Unknown("no such withdrawal")
        height = -1 if row.height is None else row.height
        is_sent = row.sent or height >= 0
        return Withdrawal(
            key,
            row.account,
            row.address,
            row.amount,
            row.requested,
            row.txid if is_sent else "",
            height,
        )

    # -- relations ------------------------------------------------------------------------

    def set_relation(self, form: Mapping[str, str]) -> Relation:
        """Keep what a participant says of another. Raises a MarketError."""
        document = relation_document_from_form(form)
        with self._book.nonce_spent(form["nonce"]):
            new = self._relation_from_form(form, document)
            key = {"source": new.source, "type": new.type.value, "target": new.target}
            said = {
                "enabled": new.enabled,
                "document": document,
                "signature": new.signature,
                "modified": new.modified,
            }

            def change(connection: Connection) -> None:
                self._book.spend_nonce(connection, form["nonce"])
                if not insert_if_new(connection, relations, **key, **said):
                    connection.execute(update(relations).filter_by(**key).values(**said))

            self._database.write(change)
        return new

    def _relation_from_form(self, form: Mapping[str, str], document: str) -> Relation:
        kind = relation_type_from_name(form["type"])
        for name in ("source", "target"):
            self.check_participant(form[name])
        signature = form.get("signature", "")
        check_signed(form["source"], signature, document)
        enabled = form["enabled"] in ("true", "on")
        return Relation(
            form["source"], kind, form["target"], enabled, document, signature, self._now()
        )

    def get_relation(self, source: str, kind: str, target: str) -> Relation:
        """A relation, as it was said last. Raises Unknown."""
        with self._database.read() as connection:
            row = connection.execute(
                select(relations).filter_by(source=source, type=kind, target=target)
            ).first()
        if row is None:
            raise Unknown("no such relation")
        return relation_from_row(row)


def _fields(form: Mapping[str, str], *names: str) -> dict[str, str]:
    """The named fields of a form. Raises Malformed where one is missing."""
    missing = sorted(set(names) - set(form))
    if missing:
        raise Malformed(f"Missing argument: {missing[0]}")
    return {name: form[name] for name in names}


def _withdrawal_document(fields: Mapping[str, str]) -> str:
    return withdrawal_document(
        fields["address"], fields["amount"], fields["nonce"], fields["participant"]
    )


def _keep_address(connection: Connection, participant: str, address: str) -> str:
    """Keep the address to which an account's coins are sent, if it has none; returns the kept."""
    make_account(connection, participant)
    is_own = accounts.c.participant == participant
    connection.execute(
        update(accounts)
        .where(is_own, accounts.c.deposit_address == "")
        .values(deposit_address=address)
    )
    kept: str = connection.execute(select(accounts.c.deposit_address).where(is_own)).scalar_one()
    return kept
