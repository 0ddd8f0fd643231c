"""The tables of the chain's store. Hashes and outpoints are in wire order.

`headers` holds the whole tree in order of arrival; `blocks` and `undo` the bodies and what their
connection spent; `coins` the unspent outputs as of the block named in `meta` under `coins_tip`.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

SCHEMA_VERSION = 1
"""Raised when the tables change their meaning; a store of another version is refused."""

metadata = MetaData()

headers = Table(
    "headers",
    metadata,
    Column("id", Integer, primary_key=True, comment="order of arrival"),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("header", LargeBinary(80), nullable=False),
    Column("status", Integer, nullable=False, comment="bits of BlockStatus"),
    Column("tx_count", Integer, nullable=False, comment="0 while the body is unknown"),
)

blocks = Table(
    "blocks",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("data", LargeBinary, nullable=False, comment="the block as on the wire"),
)

undo = Table(
    "undo",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("data", LargeBinary, nullable=False, comment="consensus.connect.serialize_undo"),
)

coins = Table(
    "coins",
    metadata,
    Column("outpoint", LargeBinary(36), primary_key=True),
    Column("value", BigInteger, nullable=False, comment="base units"),
    Column("script", LargeBinary, nullable=False),
    Column("height", Integer, nullable=False),
    Column("coinbase", Integer, nullable=False, comment="0 or 1"),
    sqlite_with_rowid=False,
)

transactions = Table(
    "transactions",
    metadata,
    Column("txid", LargeBinary(32), primary_key=True),
    Column("block_hash", LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)
"""Which block of the active chain holds a transaction; filled with `-txindex` only."""

spends = Table(
    "spends",
    metadata,
    Column("outpoint", LargeBinary(36), primary_key=True),
    Column("txid", LargeBinary(32), nullable=False, comment="of what spends it"),
    Column("block_hash", LargeBinary(32), nullable=False, comment="where that is"),
    sqlite_with_rowid=False,
)
"""What spends an output; filled with `-txospenderindex` only."""

filters = Table(
    "filters",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True, comment="the block's"),
    Column("data", LargeBinary, nullable=False, comment="as BIP158 encodes it"),
    Column("header", LargeBinary(32), nullable=False, comment="BIP157's chain of filters"),
)
"""The filter of every block that was connected while filters were made; a block has one only
where its parent has."""

history = Table(
    "history",
    metadata,
    Column("script", LargeBinary(16), primary_key=True, comment="the beginning of its SHA-256"),
    Column("height", Integer, primary_key=True),
    Column("place", Integer, primary_key=True, comment="of the transaction in its block"),
    Column("txid", LargeBinary(32), nullable=False),
    Column("received", BigInteger, nullable=False, comment="base units"),
    Column("spent", BigInteger, nullable=False, comment="base units"),
    sqlite_with_rowid=False,
)
"""What the active chain's transactions did to each output script; filled with `-addressindex`."""

mempool = Table(
    "mempool",
    metadata,
    Column("id", Integer, primary_key=True, comment="order of arrival"),
    Column("txid", LargeBinary(32), nullable=False, unique=True),
    Column("data", LargeBinary, nullable=False, comment="the transaction as on the wire"),
    Column("time", Integer, nullable=False, comment="unix time of arrival"),
    Column("fee_delta", BigInteger, nullable=False, comment="base units"),
)

meta = Table(
    "meta",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
