"""The file that known addresses and bans are kept in across restarts."""

import json
import logging
from pathlib import Path

from misocoin.peers.addresses import AddressBook
from misocoin.peers.bans import BanList

log = logging.getLogger(__name__)


def load_known(file: Path, book: AddressBook, bans: BanList, time: int) -> None:
    """Take in what was kept; a damaged file is passed over. `time` is unix time."""
    try:
        kept = json.loads(file.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        log.warning("known peers are lost: %s: %s", file, error)
        return
    if isinstance(kept, dict):
        addresses, banned = kept.get("addresses"), kept.get("bans")
        book.load(addresses if isinstance(addresses, list) else [], time)
        bans.load(banned if isinstance(banned, list) else [], time)


def save_known(file: Path, book: AddressBook, bans: BanList, time: int) -> None:
    """Keep them; the file is replaced in one step."""
    aside = file.with_suffix(".new")
    try:
        aside.write_text(json.dumps({"addresses": book.to_json(), "bans": bans.items(time)}))
        aside.replace(file)
    except OSError as error:
        log.warning("known peers cannot be kept: %s", error)
