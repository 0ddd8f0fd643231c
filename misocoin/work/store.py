"""The queue in a database: what was accepted outlives the server, and servers share it.

`QueueStore` does what it is told in one thread, each batch in one transaction. In SQLite it has the
file to itself. In PostgreSQL servers take jobs past each other (`FOR UPDATE SKIP LOCKED`) and hear
of new and ended ones (`LISTEN`, see `notices`).
"""

import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    URL,
    Connection,
    Row,
    case,
    create_engine,
    delete,
    event,
    exists,
    func,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from misocoin.errors import ConfigError, ParseError, StoreError
from misocoin.packages import package_missing
from misocoin.pow.puzzles import Puzzle
from misocoin.work.answers import ErrorCode
from misocoin.work.desk import Solution
from misocoin.work.framing import object_from_bytes
from misocoin.work.jobs import fields_from_puzzle, job_id_of, puzzle_from_fields
from misocoin.work.scheduler import Range
from misocoin.work.schema import (
    HAS_BEGUN,
    IS_OPEN,
    SCHEMA_VERSION,
    claims,
    jobs,
    meta,
    metadata,
)

log = logging.getLogger(__name__)

LANES: Final = 256
"""Parts that a job's nonces are divided into, so that servers can search it together."""

CLAIM_SECONDS: Final = 5.0
"""How long a claim lasts; a server renews its own several times as often."""

HARD: Final = float(1 << 26)
"""Expected hashes from which on servers search a job together while others are idle."""

KEEP_SECONDS: Final = 86_400.0
"""How long an ended job's outcome is kept."""

CHANNEL: Final = "misocoin_work"
"""Where PostgreSQL's notices go: `new`, or `ended:` and a job's id."""

SOLVED: Final = "solved"
"""The outcome of a job that has a nonce."""


class StoredJob(NamedTuple):
    """An open job as the store has it."""

    id: str
    puzzle: Puzzle
    client: str
    priority: int
    tag: float
    deadline: float
    """Unix time."""
    nonces: Range | None
    """The lane that is now this server's; None where it has none."""


Found = StoredJob | Solution | ErrorCode | None
"""What there is of a job: open, solved, failed, or unknown."""


class NewJob(NamedTuple):
    """A job to be kept."""

    puzzle: Puzzle
    client: str
    priority: int
    deadline: float
    """Unix time."""
    takes: bool
    """Whether this server claims it at once."""


class Ended(NamedTuple):
    """A job that has ended."""

    job: str
    outcome: str
    """`SOLVED`, or an error's code."""
    nonce: int | None


Operation = Callable[[Connection], Any]
"""Something to do inside a transaction."""


class QueueStore:
    """One server's access to the queue at `where`: a path, or `postgresql://user@host/database`.

    Raises ConfigError for an address that is none, and StoreError where the database cannot be
    used or is of another version.
    """

    def __init__(self, where: str, server: str, clock: Callable[[], float] = time.time) -> None:
        self._server = server
        self._now = clock
        url = url_from_text(where)
        self.is_shared = url.get_backend_name() == "postgresql"
        """Whether other servers may use the queue, too."""
        self._insert: Any = postgresql.insert if self.is_shared else sqlite.insert
        self.name = url.render_as_string(hide_password=True) if self.is_shared else where
        """What it is called in messages; without its password."""
        plain = url.set(drivername="postgresql")
        self.connection_text = plain.render_as_string(hide_password=False)
        """Where the database is, as psycopg takes it; with its password."""
        if self.is_shared:
            self._engine = create_engine(
                url,
                pool_pre_ping=True,
                pool_size=1,
                max_overflow=0,
                connect_args={"connect_timeout": 5},
            )
        else:
            _make_private(where)
            self._engine = create_engine(
                url, poolclass=StaticPool, connect_args={"check_same_thread": False}
            )
            event.listen(self._engine, "connect", _prepare_sqlite)
        try:
            self.apply((self._prepare,))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())
            raise StoreError(f"{self.name} cannot be used: {cause}") from error

    def apply(self, operations: Sequence[Operation]) -> list[Any]:
        """Do all of it in one transaction; returns what each came to. All or nothing."""
        with self._transaction() as connection:
            return [operation(connection) for operation in operations]

    def _prepare(self, connection: Connection) -> None:
        if self.is_shared:
            # Two servers that start at once would make the tables at once.
            connection.execute(select(func.pg_advisory_xact_lock(0x4D49534F)))
        metadata.create_all(connection)
        version = connection.execute(select(meta.c.value).where(meta.c.key == "version")).scalar()
        if version is None:
            connection.execute(insert(meta).values(key="version", value=str(SCHEMA_VERSION)))
        elif version != str(SCHEMA_VERSION):
            raise StoreError(f"{self.name} was made by another version of this program")
        if not self.is_shared:
            # Nobody else has the file: whatever was claimed, its server is gone.
            connection.execute(update(claims).values(expires=0.0))

    # -- jobs in and out ----------------------------------------------------------------------

    def keep(self, connection: Connection, job: NewJob) -> Found:
        """Take in a job, or find it there already; a job that was given up is opened again."""
        job_id = job_id_of(job.puzzle)
        opening = {
            "client": job.client,
            "priority": job.priority,
            "tag": _tag(job),
            "outcome": "",
            "nonce": "",
            "added": self._now(),
            "deadline": job.deadline,
            "ended": 0.0,
        }
        values = {
            "id": job_id,
            "puzzle": json.dumps(fields_from_puzzle(job.puzzle)),
            "hashes": job.puzzle.expected_tries,
            "lanes": min(LANES, job.puzzle.space),
            "next_lane": 0,
            "is_shared": False,
            **opening,
        }
        # Another server may be handing in the same job at this moment.
        row = connection.execute(
            self._insert(jobs).values(values).on_conflict_do_nothing().returning(jobs)
        ).one_or_none()
        if row is None:
            known = self._row(connection, job_id)
            if known is None or known.outcome in (SOLVED, ErrorCode.EXHAUSTED.text):
                return None if known is None else _found(known, None)
            if not known.outcome:
                opening = {
                    "deadline": max(known.deadline, job.deadline),
                    "is_shared": known.is_shared or known.client != job.client,
                }
            change = update(jobs).where(jobs.c.id == job_id).values(opening).returning(jobs)
            row = connection.execute(change).one()
            if not known.outcome:
                return _found(row, None)
        if not job.takes:
            self._notify(connection, "new")
            return _found(row, None)
        (taken,) = self._claim(connection, [row])
        return _found(row, taken)

    def _row(self, connection: Connection, job_id: str) -> Row[Any] | None:
        return connection.execute(
            select(jobs).where(jobs.c.id == job_id).with_for_update()
        ).one_or_none()

    def finish(self, connection: Connection, ended: Ended) -> None:
        """Note how a job ended; one that others asked for, too, cannot be cancelled by one."""
        wanted: list[Any] = [jobs.c.id == ended.job, IS_OPEN]
        if ended.outcome == ErrorCode.CANCELLED.text:
            wanted.append(jobs.c.is_shared.is_(False))
        result = connection.execute(
            update(jobs)
            .where(*wanted)
            .values(
                outcome=ended.outcome,
                nonce="" if ended.nonce is None else str(ended.nonce),
                ended=self._now(),
            )
        )
        if result.rowcount:
            connection.execute(delete(claims).where(claims.c.job == ended.job))
            self._notify(connection, f"ended:{ended.job}")
        else:
            self.release(connection, (ended.job,))

    def find(self, connection: Connection, job_id: str) -> Found:
        """Look a job up."""
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        return None if row is None else _found(row, None)

    # -- claims -------------------------------------------------------------------------------

    def claim(self, connection: Connection, most: int, hashes: float) -> tuple[StoredJob, ...]:
        """Take jobs to search: those that nobody searches, or else a hard one together with others.

        At most so many, and no more than so many expected hashes, but for the first.
        """
        now = self._now()
        held = exists().where(claims.c.job == jobs.c.id, claims.c.expires > now)
        mine = exists().where(
            claims.c.job == jobs.c.id, claims.c.expires > now, claims.c.server == self._server
        )
        open_jobs = (
            select(jobs)
            .where(IS_OPEN, jobs.c.deadline > now)
            .order_by(jobs.c.tag)
            .with_for_update(skip_locked=True)
        )
        taken = self._claim_rows(connection, open_jobs.where(~held).limit(most), hashes)
        if not taken and self.is_shared:
            hard = open_jobs.where(jobs.c.hashes >= HARD, ~mine, jobs.c.next_lane < jobs.c.lanes)
            taken = self._claim_rows(connection, hard.limit(1), hashes)
        return taken

    def _claim_rows(
        self, connection: Connection, query: Any, hashes: float
    ) -> tuple[StoredJob, ...]:
        rows: list[Row[Any]] = []
        for row in connection.execute(query).all():
            hashes -= row.hashes
            if rows and hashes < 0.0:
                break
            rows.append(row)
        nonces = self._claim(connection, rows)
        found = [_found(row, taken) for row, taken in zip(rows, nonces, strict=True) if taken]
        return tuple(job for job in found if isinstance(job, StoredJob))

    def _claim(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Range | None]:
        """Claim a lane of each job, whose row is locked: a new one, or else one let go."""
        now = self._now()
        fresh = [row.id for row in rows if row.next_lane < row.lanes]
        if fresh:
            change = update(jobs).where(jobs.c.id.in_(fresh))
            connection.execute(change.values(next_lane=jobs.c.next_lane + 1))
        lanes = [
            row.next_lane if row.next_lane < row.lanes else self._free_lane(connection, row, now)
            for row in rows
        ]
        new = [
            {
                "job": row.id,
                "lane": lane,
                "server": self._server,
                "expires": now + CLAIM_SECONDS,
            }
            for row, lane in zip(rows, lanes, strict=True)
            if lane is not None
        ]
        if new:
            connection.execute(insert(claims), new)
        return [
            None if lane is None else _lane_range(row, lane)
            for row, lane in zip(rows, lanes, strict=True)
        ]

    def _free_lane(self, connection: Connection, row: Row[Any], now: float) -> int | None:
        """Take a lane whose claim is over off its claim."""
        over = (claims.c.job == row.id, claims.c.expires <= now)
        lane: int | None = connection.execute(select(claims.c.lane).where(*over).limit(1)).scalar()
        if lane is not None:
            connection.execute(delete(claims).where(claims.c.job == row.id, claims.c.lane == lane))
        return lane

    def extend(self, connection: Connection, job_id: str) -> Range | bool:
        """Give up the lane that was searched through, and claim another.

        Without another returns whether the job is exhausted: otherwise others still search it.
        """
        row = self._row(connection, job_id)
        if row is None or row.outcome:
            return False
        connection.execute(
            delete(claims).where(claims.c.job == job_id, claims.c.server == self._server)
        )
        (nonces,) = self._claim(connection, [row])
        if nonces is not None:
            return nonces
        left = select(func.count()).select_from(claims).where(claims.c.job == job_id)
        return connection.execute(left).scalar() == 0

    def renew(self, connection: Connection) -> None:
        """Keep this server's claims."""
        mine = claims.c.server == self._server
        connection.execute(update(claims).where(mine).values(expires=self._now() + CLAIM_SECONDS))

    def release(self, connection: Connection, job_ids: Sequence[str]) -> None:
        """Let go of jobs, for other servers."""
        connection.execute(
            update(claims)
            .where(claims.c.server == self._server, claims.c.job.in_(job_ids))
            .values(expires=0.0)
        )
        self._notify(connection, "new")

    def clean(self, connection: Connection) -> None:
        """Give up jobs whose time is up, and forget those that ended long ago."""
        now = self._now()
        late = select(jobs.c.id).where(IS_OPEN, jobs.c.deadline < now)
        for (job_id,) in connection.execute(late).all():
            self.finish(connection, Ended(job_id, ErrorCode.DEADLINE.text, None))
        old = (jobs.c.ended > 0.0, jobs.c.ended < now - KEEP_SECONDS)
        connection.execute(delete(jobs).where(*old))

    def _notify(self, connection: Connection, what: str) -> None:
        if self.is_shared:
            connection.execute(select(func.pg_notify(CHANNEL, what)))


def _tag(job: NewJob) -> Any:
    """A new job's place in the queue: as in `fairness`, but over all servers, in the database."""
    begun = select(jobs.c.tag).where(HAS_BEGUN).order_by(jobs.c.tag.desc()).limit(1)
    own = select(func.max(jobs.c.tag)).where(
        jobs.c.client == job.client, jobs.c.priority >= job.priority, IS_OPEN
    )
    clock = func.coalesce(begun.scalar_subquery(), 0.0)
    last = func.coalesce(own.scalar_subquery(), 0.0)
    return case((clock > last, clock), else_=last) + job.puzzle.expected_tries


def _lane_range(row: Row[Any], lane: int) -> Range:
    space = puzzle_from_fields(object_from_bytes(row.puzzle.encode())).space
    return Range(space * lane // row.lanes, space * (lane + 1) // row.lanes)


def url_from_text(where: str) -> URL:
    """Read where a queue is; raises ConfigError."""
    if "://" not in where:
        if not where or "\0" in where:
            raise ConfigError("-store: write a file's name or postgresql://user@host/database")
        return URL.create("sqlite", database=where)
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        raise ConfigError(
            "-store: that is no database's address: write postgresql://user@host/database"
        ) from None
    if url.drivername not in ("postgresql", "postgres"):
        raise ConfigError(f"no database of the kind {url.drivername[:40]!r}: use postgresql://")
    try:
        import psycopg  # noqa: F401 - is it here?
    except ImportError:
        raise package_missing("PostgreSQL", "psycopg[binary]") from None
    return url.set(drivername="postgresql+psycopg")


def _found(row: Row[Any], nonces: Range | None) -> Found:
    try:
        puzzle = puzzle_from_fields(object_from_bytes(row.puzzle.encode()))
    except ParseError as error:
        raise StoreError(f"the job {row.id} is damaged: {error}") from None
    if row.outcome == SOLVED:
        return Solution(puzzle, int(row.nonce))
    if row.outcome:
        known = {code.text: code for code in ErrorCode}
        return known.get(row.outcome, ErrorCode.CANCELLED)
    return StoredJob(row.id, puzzle, row.client, row.priority, row.tag, row.deadline, nonces)


def _make_private(where: str) -> None:
    """Have the file there before SQLite makes it, for its owner alone."""
    if where == ":memory:":
        return
    try:
        os.close(os.open(Path(where), os.O_RDWR | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR))
    except OSError as error:
        raise StoreError(f"{where} cannot be used: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # EXCLUSIVE: a second server on the same file is told at once that it is in use.
    for pragma in (
        "busy_timeout = 1000",
        "locking_mode = EXCLUSIVE",
        "journal_mode = WAL",
        "synchronous = FULL",
    ):
        connection.execute(f"PRAGMA {pragma}")
