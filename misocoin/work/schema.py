"""The tables of a kept queue, in SQLite or PostgreSQL.

`jobs` has every job, the ended ones for a day. A job's nonces are divided into lanes; a server that
searches a job has claimed one of its lanes, in `claims`, until a time that it moves on while it
lives. A claim whose time is over is free for any server. Times are unix seconds.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

SCHEMA_VERSION = 1
"""Raised when the tables change their meaning; a queue of another version is refused."""

metadata = MetaData()

meta = Table(
    "work_meta",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", String(40), nullable=False),
)

jobs = Table(
    "work_jobs",
    metadata,
    Column("id", String(32), primary_key=True, comment="follows from the puzzle"),
    Column("puzzle", Text, nullable=False, comment="its fields, JSON"),
    Column("client", String(80), nullable=False, comment="in whose share it is searched"),
    Column("priority", Integer, nullable=False),
    Column("tag", Float(53), nullable=False, comment="place in the queue, see fairness"),
    Column("hashes", Float(53), nullable=False, comment="expected"),
    Column("is_shared", Boolean, nullable=False, comment="more than one client asked for it"),
    Column("lanes", Integer, nullable=False, comment="how many there are"),
    Column("next_lane", Integer, nullable=False, comment="the first that nobody has claimed yet"),
    Column("outcome", String(20), nullable=False, comment="empty: open; solved; an error's code"),
    Column("nonce", String(20), nullable=False, comment="decimal, where it is solved"),
    Column("added", Float(53), nullable=False),
    Column("deadline", Float(53), nullable=False),
    Column("ended", Float(53), nullable=False, comment="0 while it is open"),
)

claims = Table(
    "work_claims",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", String(32), nullable=False),
    Column("lane", Integer, nullable=False),
    Column("server", String(32), nullable=False),
    Column("expires", Float(53), nullable=False),
    UniqueConstraint("job", "lane"),
)

IS_OPEN = text("outcome = ''")
"""Holds for jobs that have not ended. A literal: only so an index on open jobs alone is used."""

HAS_BEGUN = text("next_lane > 0")
"""Holds for jobs that some server has claimed at some time; a literal, too."""

Index("work_jobs_open", jobs.c.tag, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
Index(
    "work_jobs_client",
    jobs.c.client,
    jobs.c.priority,
    sqlite_where=IS_OPEN,
    postgresql_where=IS_OPEN,
)
Index("work_jobs_begun", jobs.c.tag, sqlite_where=HAS_BEGUN, postgresql_where=HAS_BEGUN)
Index("work_jobs_ended", jobs.c.ended)
Index("work_claims_server", claims.c.server)
