"""The tables of the market's book. Times are microseconds, amounts base units."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 1
"""Raised when the tables change their meaning; a book of another version is refused."""

metadata = MetaData()

# SQLite counts up only a primary key of the type INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "market_meta",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

nonces = Table(
    "market_nonces",
    metadata,
    Column("nonce", String(32), primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
)

pools = Table("market_pools", metadata, Column("key", String(200), primary_key=True))
"""One row for each set of bids that can meet; whoever matches in it locks the row."""

bids = Table(
    "market_bids",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("type", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("pool", String(200), nullable=False),
    Column("article", String(150), nullable=False),
    Column("currency", String(8), nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("participant", String(100), nullable=False, index=True),
    Column("document", Text, nullable=False),
    Column("signature", String(200), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("matched", BigInteger),
    Column("trade", BigInteger),
    Column("version", Integer, nullable=False),
    Column("bond", BigInteger, nullable=False),
    Column("transit_key", String(64), nullable=False),
    Column("group_name", String(64), nullable=False),
    Column("agree", Integer, nullable=False),
    Index("market_bids_open", "pool", "state", "type", "price", "expires"),
    Index("market_bids_due", "state", "expires"),
)

trades = Table(
    "market_trades",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("revision", Integer, nullable=False),
    Column("buyer_bid", BigInteger, nullable=False, unique=True),
    Column("seller_bid", BigInteger, nullable=False, unique=True),
    Column("buyer", String(100), nullable=False, index=True),
    Column("seller", String(100), nullable=False, index=True),
    Column("article", String(150), nullable=False),
    Column("currency", String(8), nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("matched", BigInteger, nullable=False, index=True),
    Column("state", Integer, nullable=False),
    Column("phase", String(24), nullable=False),
    Column("timeout", BigInteger, nullable=False),
    Column("worker_url", String(255)),
    Column("work_hash", String(64)),
    Column("work_secret_hash", String(64)),
    Column("buyer_secret", String(64)),
    Column("receipt_hash", String(64)),
    Column("receipt_signature", String(200)),
    Column("result_key", String(64)),
    Column("version", Integer, nullable=False),
    Column("bond", BigInteger, nullable=False),
    Column("buyer_key", String(64), nullable=False),
    Column("seller_key", String(64), nullable=False),
    Column("group_name", String(64), nullable=False),
    Column("agree", Integer, nullable=False),
    Column("result_hash", String(64)),
    Index("market_trades_due", "state", "timeout"),
    Index("market_trades_group", "group_name", "buyer"),
)

accounts = Table(
    "market_accounts",
    metadata,
    Column("participant", String(100), primary_key=True),
    Column("currency", String(8), nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("blocked", BigInteger, nullable=False),
    Column("last_movement", BigInteger, nullable=False, comment="0 where there was none"),
    Column("deposit_address", String(100), nullable=False, unique=False, index=True),
    Column("deposit_info", Text, nullable=False),
)

movements = Table(
    "market_movements",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("time", BigInteger, nullable=False, index=True),
    Column("type", String(24), nullable=False),
    Column("currency", String(8), nullable=False),
    Column("available_account", String(100), nullable=False, index=True),
    Column("available", BigInteger, nullable=False),
    Column("blocked_account", String(100), nullable=False, index=True),
    Column("blocked", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("world", BigInteger, nullable=False),
    Column("bid", String(40), nullable=False),
    Column("trade", String(40), nullable=False),
    Column("deposit", String(80), nullable=False),
    Column("withdrawal", String(40), nullable=False),
    Column("available_predecessor", BigInteger, nullable=False),
    Column("blocked_predecessor", BigInteger, nullable=False),
)

relations = Table(
    "market_relations",
    metadata,
    Column("source", String(100), primary_key=True),
    Column("type", String(16), primary_key=True),
    Column("target", String(100), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("document", Text, nullable=False),
    Column("signature", String(200), nullable=False),
    Column("modified", BigInteger, nullable=False),
)

deposits = Table(
    "market_deposits",
    metadata,
    Column("uid", String(80), primary_key=True),
    Column("type", Integer, nullable=False),
    Column("account", String(100), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(8), nullable=False),
    Column("reference", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Column("signature", String(200), nullable=False),
    Column("created", BigInteger, nullable=False),
)
"""Money that the trusted account booked in; coins of the chain are in `coins`."""

coins = Table(
    "market_coins",
    metadata,
    Column("outpoint", String(80), primary_key=True, comment="txid:index, display order"),
    Column("account", String(100), nullable=False, comment="empty for the market's change"),
    Column("value", BigInteger, nullable=False),
    Column("script", String(200), nullable=False, comment="output script in hex"),
    Column("height", Integer, nullable=False, comment="of its block; -1 while in none"),
    Column("block", String(64), nullable=False, comment="its hash, display order; empty for none"),
    Column("credited", Boolean, nullable=False),
    Column("spent_by", BigInteger, nullable=False, index=True, comment="batch; 0 while unspent"),
)
"""Outputs on the chain that are the market's."""

blocks = Table(
    "market_blocks",
    metadata,
    Column("height", Integer, primary_key=True),
    Column("hash", String(64), nullable=False),
)
"""The last blocks that were searched for deposits, to notice when one leaves the chain."""

withdrawals = Table(
    "market_withdrawals",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("account", String(100), nullable=False, index=True),
    Column("address", String(100), nullable=False),
    Column("amount", BigInteger, nullable=False, comment="what leaves the account, fee included"),
    Column("requested", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("signature", String(200), nullable=False),
    Column("batch", BigInteger, nullable=False, index=True, comment="0 while in none"),
)

batches = Table(
    "market_batches",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("txid", String(64), nullable=False, comment="display order"),
    Column("raw", Text, nullable=False, comment="the signed transaction in hex"),
    Column("fee", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("sent", Boolean, nullable=False, comment="whether a node has taken it"),
    Column("height", Integer, nullable=False, comment="of its block; -1 while in none"),
)
"""Payments of the chain that pay withdrawals; a row is written before anybody sees the payment."""

relay = Table(
    "market_relay",
    metadata,
    Column("trade", BigInteger, primary_key=True),
    Column("slot", String(16), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
)
"""What buyers and sellers without open ports hand each other, sealed."""
