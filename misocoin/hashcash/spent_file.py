"""A file of spent stamps of version 1, for `hashcash check -spent=FILE`."""

import sqlite3
from contextlib import closing
from pathlib import Path

from misocoin.errors import StoreError
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.hashcash.stamp import Stamp
from misocoin.units import UnixTime

_WAIT_SECONDS = 10.0


def spend_in_file(path: Path, stamp: Stamp, expires: UnixTime, now: UnixTime) -> None:
    """Note a stamp down; raises StampError if it is there already, StoreError for a bad file.

    What has expired is forgotten. Any number of processes may use the file.
    """
    try:
        with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS)) as file, file:
            file.execute("CREATE TABLE IF NOT EXISTS spent (stamp TEXT PRIMARY KEY, expires INT)")
            file.execute("DELETE FROM spent WHERE expires < ?", (now,))
            try:
                file.execute("INSERT INTO spent VALUES (?, ?)", (stamp.text, expires))
            except sqlite3.IntegrityError:
                raise StampError(StampFault.SPENT) from None
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be used: {error}") from None
