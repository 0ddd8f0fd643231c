"""PostgreSQL's notices (`LISTEN`): how servers of one queue hear of each other's doings."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from misocoin.work.store import CHANNEL, QueueStore

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
"""How long it is waited before a broken connection is made anew."""


class Notices:
    """Listens until it is cancelled; comes back after the database was away."""

    def __init__(
        self, store: QueueStore, heard: Callable[[str], None], missed: Callable[[], None]
    ) -> None:
        """`heard` gets each notice; `missed` is called whenever some may have been lost."""
        self._store = store
        self._heard = heard
        self._missed = missed

    async def run(self) -> None:
        """Listen."""
        import psycopg

        while True:
            try:
                await self._listen(psycopg)
            except psycopg.Error as error:
                log.debug("no notices from %s: %s", self._store.name, error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, psycopg: Any) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._store.connection_text, autocommit=True, connect_timeout=5
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._missed()
            async for notice in connection.notifies():
                self._heard(notice.payload)
