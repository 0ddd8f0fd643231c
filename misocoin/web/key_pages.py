"""The page of the wallet's keys: lock and unlock, passphrase, backup."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from misocoin.errors import MisocoinError, WalletError
from misocoin.wallet.wallet import Wallet
from misocoin.web.door import Door, Page
from misocoin.web.explorer import View
from misocoin.web.wallet_pages import add_form, add_page
from misocoin.web.wallet_views import WalletViews

log = logging.getLogger(__name__)

DONE: Final = MappingProxyType(
    {
        "locked": "The wallet is locked.",
        "unlocked": "The wallet is unlocked.",
        "encrypted": "The wallet is encrypted and locked. Make a new backup: older ones are not.",
        "changed": "The passphrase is changed, and the wallet is locked.",
    }
)
"""What is said when something was done."""

MAX_PASSPHRASE: Final = 1_000
"""Letters."""


class KeyPages:
    """Guards the keys."""

    def __init__(self, door: Door, page: Page, wallet: Wallet, views: WalletViews) -> None:
        self._door = door
        self._page = page
        self._wallet = wallet
        self._views = views

    def add_to(self, app: Flask) -> None:
        """Add them to Flask's application."""
        door = self._door
        add_page(app, door, self._page, "keys", self._view)
        add_form(app, door, "/keys/unlock", lambda: self._do("unlock", self._unlock))
        add_form(app, door, "/keys/lock", lambda: self._do("lock", self._lock))
        add_form(app, door, "/keys/encrypt", lambda: self._do("encrypt", self._encrypt))
        add_form(app, door, "/keys/change", lambda: self._do("change", self._change))
        add_form(app, door, "/keys/backup", self._backup)

    def _view(self) -> View:
        wallet = self._wallet
        return {
            **self._views.lock_state(),
            "has_words": bool(wallet.keychain.file.accounts),
            "addresses": len(wallet.addresses()),
            "done": DONE.get(request.args.get("done", ""), ""),
            "failed": "",
            "error": "",
        }

    def _do(self, name: str, act: Callable[[], str]) -> BaseResponse:
        try:
            done = act()
        except MisocoinError as error:
            return self._refuse(name, error)
        return redirect(f"/keys?done={done}", HTTPStatus.SEE_OTHER)

    def _refuse(self, name: str, error: MisocoinError) -> Response:
        view = {**self._view(), "failed": name, "error": str(error)}
        return self._page("keys.html", view, HTTPStatus.BAD_REQUEST)

    def _unlock(self) -> str:
        minutes = request.form.get("minutes", "")
        if not (minutes.isascii() and minutes.isdecimal() and 0 < int(minutes[:9]) <= 24 * 60):
            raise WalletError("unlock for 1 to 1,440 minutes")
        self._wallet.keeper.unlock(_secret("passphrase"), 60 * int(minutes[:9]))
        return "unlocked"

    def _lock(self) -> str:
        self._wallet.keeper.lock()
        return "locked"

    def _encrypt(self) -> str:
        self._wallet.keeper.encrypt(_new_passphrase())
        return "encrypted"

    def _change(self) -> str:
        self._wallet.keeper.change_passphrase(_secret("passphrase"), _new_passphrase())
        return "changed"

    def _backup(self) -> BaseResponse:
        try:
            data = self._wallet.keeper.backup_bytes()
        except MisocoinError as error:
            return self._refuse("backup", error)
        log.info("the wallet's backup was fetched from %s", request.remote_addr)
        name = f"misocoin-wallet-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
        response = Response(data, mimetype="application/json")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


def _secret(name: str) -> str:
    return request.form.get(name, "")[:MAX_PASSPHRASE]


def _new_passphrase() -> str:
    new = request.form.get("new", "")
    if len(new) > MAX_PASSPHRASE:
        raise WalletError(f"a passphrase has {MAX_PASSPHRASE} letters at most")
    if new != request.form.get("again", ""):
        raise WalletError("the two new passphrases differ")
    return new
