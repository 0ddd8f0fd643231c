"""The data folder: made for its owner alone, used by one process at a time."""

import fcntl
import os
from pathlib import Path

from misocoin.errors import StoreError

LOCK_FILE = ".lock"


class DataFolder:
    """Makes the folder at `path` if need be and holds it until `close`.

    Raises StoreError where it cannot be used or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"the data folder {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StoreError(
                f"the data folder {path} is in use: is a misocoind running already?"
            ) from None

    def close(self) -> None:
        """Let others use the folder."""
        os.close(self._lock)
