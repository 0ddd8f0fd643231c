"""What a client must remember over a restart: small JSON documents by kind and key, in SQLite."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from misocoin.errors import StoreError

Form = dict[str, Any]
"""A document."""

Change = tuple[str, str, Mapping[str, Any] | None]
"""Kind, key and document; None to forget it."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, key TEXT NOT NULL, form TEXT NOT NULL,
    number INTEGER PRIMARY KEY AUTOINCREMENT, UNIQUE (kind, key)
)
"""
_PUT = (
    "INSERT INTO documents (kind, key, form) VALUES (?, ?, ?) "
    "ON CONFLICT (kind, key) DO UPDATE SET form = excluded.form"
)


class Journal:
    """Documents in a file. Threads may share it; every method raises StoreError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def change(self, *changes: Change) -> None:
        """Write documents, all or none; they outlast the process when this returns."""
        rows = [
            (kind, key, None if form is None else json.dumps(form)) for kind, key, form in changes
        ]
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                for kind, key, text in rows:
                    if text is None:
                        self._database.execute(
                            "DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key)
                        )
                    else:
                        self._database.execute(_PUT, (kind, key, text))
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise self._unusable(error) from error

    def all(self, kind: str) -> list[tuple[str, Form]]:
        """The documents of a kind with their keys, oldest first."""
        with self._lock:
            try:
                rows: Iterable[tuple[str, str]] = self._database.execute(
                    "SELECT key, form FROM documents WHERE kind = ? ORDER BY number", (kind,)
                ).fetchall()
            except sqlite3.Error as error:
                raise self._unusable(error) from error
        return [(key, json.loads(form)) for key, form in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _unusable(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"the client's journal {self._path} cannot be used: {error}")
