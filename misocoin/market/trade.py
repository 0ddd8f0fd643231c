"""A trade: from the match of two bids to the one outcome that it has.

The rules are a table: who may send which arguments in which phase, and what comes after. Version 1
is BitWrk's; version 2 differs in the receipt, which is bound to trade and key, and in what a
rejected result leads to. All is pure: a trade and a message give a new trade, or an error.

| From | Arguments | Phases |
|---|---|---|
| buyer | workhash, worksecrethash | ESTABLISHING -> BUYER_ESTABLISHED; SELLER_ESTABLISHED -> TRANSMITTING |
| seller | workerurl | ESTABLISHING -> SELLER_ESTABLISHED; BUYER_ESTABLISHED -> TRANSMITTING |
| seller | buyersecret | BUYER_ESTABLISHED, TRANSMITTING -> WORKING |
| seller | rejectwork | SELLER_ESTABLISHED, TRANSMITTING, WORKING -> WORK_DISPUTED |
| seller | encresulthash, encresulthashsig, encresultkey (2: and resulthash) | WORKING -> UNVERIFIED |
| buyer | rejectresult | UNVERIFIED -> WORK_DISPUTED (2: RESULT_DISPUTED) |
| buyer | acceptresult | any -> FINISHED |
"""  # noqa: E501 - a table

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from misocoin.market.bids import Bid
from misocoin.market.documents import check_signed, message_document
from misocoin.market.errors import Malformed, NotAllowed, TooLate
from misocoin.market.matching import deal_of, is_new
from misocoin.market.moments import Moment
from misocoin.market.money import Money
from misocoin.market.receipts import receipt_document, work_secret_hash
from misocoin.market.times import BITWRK_TIMES, Times

RELAY_URL = "relay"
"""What a seller without open ports gives as workerurl in version 2."""

MAX_WORKER_URL = 255
"""Characters of a workerurl."""


class Phase(Enum):
    """Where a trade stands; the value is the name on the wire."""

    ESTABLISHING = "ESTABLISHING"
    BUYER_ESTABLISHED = "BUYER_ESTABLISHED"
    SELLER_ESTABLISHED = "SELLER_ESTABLISHED"
    TRANSMITTING = "TRANSMITTING"
    WORKING = "WORKING"
    UNVERIFIED = "UNVERIFIED"
    """The result's key is known; it pays at the timeout, if the buyer says nothing."""
    FINISHED = "FINISHED"
    WORK_DISPUTED = "WORK_DISPUTED"
    RESULT_DISPUTED = "RESULT_DISPUTED"
    """Version 2: the buyer rejects the result and must prove it wrong before the timeout."""
    REFUTED = "REFUTED"
    """Version 2: the result is wrong by proof or by vote."""
    UPHELD = "UPHELD"
    """Version 2: the buyer rejected a result and proved nothing."""


class TradeState(IntEnum):
    """Whether the trade still goes on; the numbers are those on the wire."""

    ACTIVE = 0
    RETIRED = 1


class Role(Enum):
    """A side of a trade."""

    BUYER = "buyer"
    SELLER = "seller"


class Outcome(Enum):
    """What a trade comes to."""

    PAID = "paid"
    """The seller gets the price and the market its fee."""
    REFUNDED = "refunded"
    """The buyer gets all back."""
    SELLER_LIED = "seller lied"
    """The buyer gets all back, and the seller's bond."""
    BUYER_LIED = "buyer lied"
    """The seller gets the price and the buyer's bond, the market its fee."""


class Receipt(NamedTuple):
    """The buyer's word that it has the encrypted result."""

    hash: str
    """SHA-256 of the encrypted result, hex."""
    signature: str
    """The buyer's, of `receipts.receipt_document`."""


class TradeTerms(NamedTuple):
    """What a trade of version 2 has besides."""

    bond: int
    """Base units that each side has put up."""
    buyer_key: str
    """X25519 key of the buyer's bid, hex."""
    seller_key: str
    """X25519 key of the seller's bid, hex."""
    group: str = ""
    """Name of the buyer's group; empty for none."""
    agree: int = 0
    """How many equal results outvote others."""
    result_hash: str | None = None
    """SHA-256 of the result itself, hex."""


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as it stands after some messages."""

    key: str
    revision: int
    """Counts the changes."""
    buyer_bid: str
    seller_bid: str
    buyer: str
    seller: str
    article: str
    price: Money
    fee: int
    """Base units of the price's currency."""
    matched: Moment
    state: TradeState
    phase: Phase
    timeout: Moment
    """When it retires, if nothing comes before."""
    worker_url: str | None = None
    work_hash: str | None = None
    """SHA-256 of the work, hex."""
    work_secret_hash: str | None = None
    buyer_secret: str | None = None
    receipt: Receipt | None = None
    result_key: str | None = None
    """Key of the encrypted result, hex."""
    terms: TradeTerms | None = None
    """None for version 1."""

    @property
    def version(self) -> int:
        """1 or 2."""
        return 1 if self.terms is None else 2

    @property
    def bond(self) -> int:
        """Base units that each side has put up."""
        return 0 if self.terms is None else self.terms.bond


def trade_of(key: str, buy: Bid, sell: Bid, now: Moment, times: Times = BITWRK_TIMES) -> Trade:
    """The trade that two bids make."""
    deal = deal_of(buy, sell)
    terms = None
    if buy.terms is not None and sell.terms is not None and is_new(buy, sell):
        terms = TradeTerms(
            deal.bond,
            buy.terms.transit_key,
            sell.terms.transit_key,
            buy.terms.group,
            buy.terms.agree,
        )
    return Trade(
        key=key,
        revision=0,
        buyer_bid=buy.key,
        seller_bid=sell.key,
        buyer=buy.participant,
        seller=sell.participant,
        article=buy.article,
        price=Money(deal.price, buy.price.currency),
        fee=deal.fee,
        matched=now,
        state=TradeState.ACTIVE,
        phase=Phase.ESTABLISHING,
        timeout=Moment(now + times.establish),
        terms=terms,
    )


# -- messages ----------------------------------------------------------------------------------


class Message(NamedTuple):
    """A signed message to a trade."""

    transaction: str
    """Key of the trade."""
    arguments: Mapping[str, str]
    """What it says."""
    address: str
    """Who says so."""
    signature: str

    @property
    def document(self) -> str:
        """The text that is signed."""
        return message_document(self.arguments, self.transaction)


MAX_VALUE = 512
"""Characters of one argument of a message."""


def message_from_form(form: Mapping[str, str], transaction: str) -> Message:
    """Read a message that was sent to a trade. Raises Malformed."""
    arguments = dict(form)
    try:
        address, signature = arguments.pop("address"), arguments.pop("signature")
    except KeyError as error:
        raise Malformed(f"Missing argument: {error.args[0]}") from None
    if arguments.pop("txid", None) != transaction:
        raise Malformed("txid must be the key of this transaction")
    if any(len(value) > MAX_VALUE for value in arguments.values()):
        raise Malformed(f"an argument has {MAX_VALUE} characters at most")
    return Message(transaction, arguments, address, signature)


def apply_message(
    trade: Trade,
    message: Message,
    now: Moment,
    caller: str | None = None,
    times: Times = BITWRK_TIMES,
) -> Trade:
    """The trade after a message. Raises Malformed, NotAllowed or TooLate.

    `caller` is the IP address from which the message came, where a seller's workerurl must name
    that host; None where it may name any.
    """
    roles = [
        role
        for role, address in ((Role.BUYER, trade.buyer), (Role.SELLER, trade.seller))
        if address == message.address
    ]
    if not roles:
        raise NotAllowed("only buyer and seller may send messages to a transaction")
    check_signed(message.address, message.signature, message.document)
    if trade.state is TradeState.RETIRED or trade.timeout <= now:
        raise TooLate("Transaction no longer active")
    rule = _rule_for(trade, message.arguments, roles)
    if trade.phase not in rule.phases:
        raise TooLate(f"{_names(rule.arguments)} cannot be said in phase {trade.phase.value}")
    fields = rule.read(trade, message.arguments)
    if rule.arguments == _WORKER_URL:
        _check_worker_host(message.arguments["workerurl"], caller)
    return _enter(replace(trade, **fields), rule.phases[trade.phase], now, times)


def expire(trade: Trade, now: Moment) -> Trade:
    """The trade after its timeout: retired, in the phase that says how it ended.

    Raises TooLate where it is not over, or has been retired already.
    """
    if trade.state is TradeState.RETIRED or trade.timeout > now:
        raise TooLate("Transaction does not expire now")
    if trade.phase is Phase.RESULT_DISPUTED:
        return _enter(trade, Phase.UPHELD, now)
    return replace(trade, state=TradeState.RETIRED, revision=trade.revision + 1)


def outcome_of(trade: Trade) -> Outcome:
    """What a retired trade comes to."""
    return _OUTCOMES.get(trade.phase, Outcome.REFUNDED)


# -- disputes ----------------------------------------------------------------------------------


def refute(trade: Trade, now: Moment) -> Trade:
    """The trade after its result was shown to be wrong. Raises TooLate where that is settled."""
    if trade.state is TradeState.RETIRED or trade.timeout <= now:
        raise TooLate("Transaction no longer active")
    if trade.version == 1 or trade.phase not in (Phase.UNVERIFIED, Phase.RESULT_DISPUTED):
        raise TooLate(f"nothing can be proven in phase {trade.phase.value}")
    return _enter(trade, Phase.REFUTED, now)


def outvoted(trades: Iterable[Trade]) -> list[Trade]:
    """Those trades of one group whose result is another than enough sellers agree on.

    How many are enough is each trade's own to say: its seller agreed to that and no less. Where
    two results have enough, neither is outvoted.
    """
    votes: Counter[str] = Counter()
    judged: list[tuple[Trade, str, int]] = []
    for trade in trades:
        if trade.terms is None or trade.terms.result_hash is None or trade.phase is Phase.REFUTED:
            continue
        votes[trade.terms.result_hash] += 1
        is_open = trade.phase in (Phase.UNVERIFIED, Phase.RESULT_DISPUTED)
        if is_open and trade.state is TradeState.ACTIVE:
            judged.append((trade, trade.terms.result_hash, trade.terms.agree))
    return [
        trade
        for trade, result, agree in judged
        if votes[result] < agree <= max((n for r, n in votes.items() if r != result), default=0)
    ]


# -- the table ---------------------------------------------------------------------------------

_Reader = Callable[[Trade, Mapping[str, str]], dict[str, Any]]


class _Rule(NamedTuple):
    role: Role
    arguments: frozenset[str]
    phases: Mapping[Phase, Phase]
    read: _Reader
    versions: Collection[int] = (1, 2)


_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def _hex64(arguments: Mapping[str, str], name: str) -> str:
    if _HEX64.fullmatch(arguments[name]) is None:
        raise Malformed(f"{name} must be 64 hex digits in lower case")
    return arguments[name]


def _read_work(_trade: Trade, arguments: Mapping[str, str]) -> dict[str, Any]:
    return {
        "work_hash": _hex64(arguments, "workhash"),
        "work_secret_hash": _hex64(arguments, "worksecrethash"),
    }


def _read_worker_url(trade: Trade, arguments: Mapping[str, str]) -> dict[str, Any]:
    url = arguments["workerurl"]
    if url == RELAY_URL and trade.version == 2:
        return {"worker_url": url}
    if not url.startswith("http://") or len(url) > MAX_WORKER_URL or not url.isascii():
        raise Malformed(f"workerurl must begin with http:// and have {MAX_WORKER_URL} characters")
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    if not is_whole or not url.isprintable() or " " in url:
        raise Malformed("workerurl is no address of HTTP")
    return {"worker_url": url}


def _read_secret(trade: Trade, arguments: Mapping[str, str]) -> dict[str, Any]:
    secret = _hex64(arguments, "buyersecret")
    if trade.work_hash is None or trade.work_secret_hash is None:
        raise TooLate("the buyer has not said which work it is")
    if work_secret_hash(trade.work_hash, secret) != trade.work_secret_hash:
        raise NotAllowed("buyersecret does not fit worksecrethash")
    return {"buyer_secret": secret}


def _read_receipt(trade: Trade, arguments: Mapping[str, str]) -> dict[str, Any]:
    digest, key = _hex64(arguments, "encresulthash"), _hex64(arguments, "encresultkey")
    signature = arguments["encresulthashsig"]
    # In version 2 the buyer signed for this trade and for this key, so no other fits.
    document = digest if trade.version == 1 else receipt_document(digest, key, trade.key)
    try:
        check_signed(trade.buyer, signature, document)
    except NotAllowed:
        raise NotAllowed("encresulthashsig is not the buyer's receipt for that result") from None
    fields: dict[str, Any] = {"receipt": Receipt(digest, signature), "result_key": key}
    if trade.terms is not None:
        fields["terms"] = trade.terms._replace(result_hash=_hex64(arguments, "resulthash"))
    return fields


def _read_nothing(_trade: Trade, _arguments: Mapping[str, str]) -> dict[str, Any]:
    return {}


_WORKER_URL = frozenset({"workerurl"})
_RECEIPT = frozenset({"encresulthash", "encresulthashsig", "encresultkey"})
_ANY_PHASE = MappingProxyType(dict.fromkeys(Phase, Phase.FINISHED))
_RESULT_COMES = MappingProxyType({Phase.WORKING: Phase.UNVERIFIED})
_P = Phase

_RULES = (
    _Rule(
        Role.BUYER,
        frozenset({"workhash", "worksecrethash"}),
        {_P.ESTABLISHING: _P.BUYER_ESTABLISHED, _P.SELLER_ESTABLISHED: _P.TRANSMITTING},
        _read_work,
    ),
    _Rule(
        Role.SELLER,
        _WORKER_URL,
        {_P.ESTABLISHING: _P.SELLER_ESTABLISHED, _P.BUYER_ESTABLISHED: _P.TRANSMITTING},
        _read_worker_url,
    ),
    _Rule(
        Role.SELLER,
        frozenset({"buyersecret"}),
        {_P.BUYER_ESTABLISHED: _P.WORKING, _P.TRANSMITTING: _P.WORKING},
        _read_secret,
    ),
    _Rule(
        Role.SELLER,
        frozenset({"rejectwork"}),
        dict.fromkeys((_P.SELLER_ESTABLISHED, _P.TRANSMITTING, _P.WORKING), _P.WORK_DISPUTED),
        _read_nothing,
    ),
    _Rule(Role.SELLER, _RECEIPT, _RESULT_COMES, _read_receipt, (1,)),
    _Rule(Role.SELLER, _RECEIPT | {"resulthash"}, _RESULT_COMES, _read_receipt, (2,)),
    _Rule(
        Role.BUYER,
        frozenset({"rejectresult"}),
        {_P.UNVERIFIED: _P.WORK_DISPUTED},
        _read_nothing,
        (1,),
    ),
    _Rule(
        Role.BUYER,
        frozenset({"rejectresult"}),
        {_P.UNVERIFIED: _P.RESULT_DISPUTED},
        _read_nothing,
        (2,),
    ),
    _Rule(Role.BUYER, frozenset({"acceptresult"}), _ANY_PHASE, _read_nothing),
)

_FINAL = frozenset({_P.FINISHED, _P.WORK_DISPUTED, _P.REFUTED, _P.UPHELD})
_OUTCOMES = MappingProxyType(
    {
        _P.UNVERIFIED: Outcome.PAID,
        _P.FINISHED: Outcome.PAID,
        _P.REFUTED: Outcome.SELLER_LIED,
        _P.UPHELD: Outcome.BUYER_LIED,
    }
)


def _rule_for(trade: Trade, arguments: Mapping[str, str], roles: Collection[Role]) -> _Rule:
    names = frozenset(arguments)
    fitting = [r for r in _RULES if r.arguments == names and trade.version in r.versions]
    if not fitting:
        raise Malformed(f"no message of a transaction has the arguments {_names(names)}")
    for rule in fitting:
        if rule.role in roles:
            return rule
    raise NotAllowed(f"{_names(names)} is for the {fitting[0].role.value} to say")


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))[:120] or "nothing"


def _check_worker_host(url: str, caller: str | None) -> None:
    if caller is None or url == RELAY_URL:
        return
    host = urlsplit(url).hostname
    if host != caller.removeprefix("::ffff:"):
        raise NotAllowed(f"the host of workerurl must be the seller's own address, {caller}")


def _enter(trade: Trade, phase: Phase, now: Moment, times: Times = BITWRK_TIMES) -> Trade:
    """The trade in its new phase, with the time it has there."""
    changed = replace(trade, phase=phase, revision=trade.revision + 1)
    if phase in _FINAL:
        # Two changes as in the original, whose clients expect a retired trade after the last.
        return replace(
            changed, state=TradeState.RETIRED, timeout=now, revision=changed.revision + 1
        )
    if phase is Phase.RESULT_DISPUTED:
        return replace(changed, timeout=Moment(now + times.dispute))
    added = {
        Phase.TRANSMITTING: times.transmit,
        Phase.WORKING: times.work,
        Phase.UNVERIFIED: times.verify,
    }
    return replace(changed, timeout=Moment(trade.timeout + added.get(phase, 0)))
