"""Works and results on disk, called by their SHA-256; the least recently used go first."""

import os
import re
from collections import Counter, OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Lock

from misocoin.errors import StoreError
from misocoin.market.errors import TooLarge
from misocoin.market.receipts import sha256_hex

_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ContentStore:
    """Files in a folder, `limit` bytes of them at most. Threads may share it.

    Files that are held are never thrown away.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._lock = Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._held: Counter[str] = Counter()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
            for status, path in sorted(found, key=lambda item: item[0].st_mtime):
                if _NAME.fullmatch(path.name):
                    self._sizes[path.name] = status.st_size
                else:
                    path.unlink()  # a write that did not end
        except OSError as error:
            raise self._unusable(error) from None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        with self._lock:
            return sum(self._sizes.values())

    def put(self, data: bytes, *, held: bool = False) -> str:
        """Keep data, and hold it if asked; returns its name.

        Raises TooLarge where there is no room, StoreError where the disk fails.
        """
        name = sha256_hex(data)
        with self._lock:
            if name not in self._sizes:
                self._make_room(len(data))
                draft = self._folder / f"{name}.new"
                try:
                    with draft.open("wb") as file:
                        file.write(data)
                        file.flush()
                        os.fsync(file.fileno())
                    draft.rename(self._folder / name)
                except OSError as error:
                    with suppress(OSError):
                        draft.unlink()
                    raise self._unusable(error) from None
                self._sizes[name] = len(data)
            self._sizes.move_to_end(name)
            if held:
                self._held[name] += 1
        return name

    def get(self, name: str) -> bytes | None:
        """Read a file; None where there is none of that name, or not whole any more."""
        with self._lock:
            if name not in self._sizes:
                return None
            path = self._folder / name
            try:
                data = path.read_bytes()
                os.utime(path)
            except OSError:
                data = b""
            if sha256_hex(data) != name:
                del self._sizes[name]
                return None
            self._sizes.move_to_end(name)
            return data

    def hold(self, name: str) -> None:
        """Keep a file until it is released as often as it was held."""
        with self._lock:
            self._held[name] += 1

    def release(self, name: str) -> None:
        """Let a file go when room is needed."""
        with self._lock:
            self._held[name] -= 1
            self._held += Counter()

    def _make_room(self, size: int) -> None:
        total = sum(self._sizes.values()) + size
        for name in [name for name in self._sizes if not self._held[name]]:
            if total <= self._limit:
                return
            total -= self._sizes.pop(name)
            with suppress(OSError):
                (self._folder / name).unlink()
        if total > self._limit:
            raise TooLarge("there is no room for that in the client's store")

    def _unusable(self, error: OSError) -> StoreError:
        return StoreError(f"the client's files in {self._folder} cannot be used: {error.strerror}")
