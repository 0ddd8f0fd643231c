"""The wallet's pages: balance, history, names. Whoever asks for them has logged in."""

from collections.abc import Callable
from http import HTTPStatus

import orjson
from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from misocoin.errors import MisocoinError, NotFoundError
from misocoin.wallet.wallet import Wallet
from misocoin.web.door import Door, Page
from misocoin.web.explorer import View, hash_from_text
from misocoin.web.wallet_views import WalletViews


class WalletPages:
    """Shows the wallet, and takes down what its owner calls things."""

    def __init__(self, door: Door, page: Page, wallet: Wallet, views: WalletViews) -> None:
        self._door = door
        self._page = page
        self._wallet = wallet
        self._views = views

    def add_to(self, app: Flask) -> None:
        """Add them to Flask's application."""
        views = self._views
        add_page(app, self._door, self._page, "wallet", self._overview)
        add_page(app, self._door, self._page, "history", lambda: views.history(page_number()))
        add_page(app, self._door, self._page, "names", self._names)
        add_form(app, self._door, "/history/note", self._note)
        add_form(app, self._door, "/names", self._name)

    def _overview(self) -> View:
        sent = request.args.get("sent", "")
        try:
            is_ours = bool(sent) and self._wallet.find(hash_from_text(sent)) is not None
        except NotFoundError:
            is_ours = False
        return {**self._views.overview(), "sent": sent if is_ours else ""}

    def _names(self) -> View:
        return {**self._views.names(), "address": "", "label": "", "error": "", "done": ""}

    def _note(self) -> BaseResponse:
        page = request.form.get("page", "")
        number = int(page) if page.isascii() and page.isdecimal() and len(page) < 12 else 1
        txid = request.form.get("txid", "")
        note = request.form.get("note", "").strip()
        try:
            self._wallet.set_note(hash_from_text(txid), note)
        except MisocoinError as error:
            view = self._views.history(number)
            tried = {"error_txid": txid, "error": str(error), "tried": note}
            return self._page("history.html", {**view, **tried}, HTTPStatus.BAD_REQUEST)
        return redirect(f"/history?page={number}#tx-{txid}", HTTPStatus.SEE_OTHER)

    def _name(self) -> BaseResponse:
        address = request.form.get("address", "").strip()
        label = request.form.get("label", "").strip()
        try:
            if not label and "remove" not in request.form:
                raise NotFoundError("write what the address is to be called")
            self._wallet.set_label(address, "" if "remove" in request.form else label)
        except MisocoinError as error:
            view = self._views.names()
            tried = {"address": address, "label": label, "error": str(error), "done": ""}
            return self._page("names.html", {**view, **tried}, HTTPStatus.BAD_REQUEST)
        goal = request.form.get("from", "")
        return redirect("/receive" if goal == "receive" else "/names", HTTPStatus.SEE_OTHER)


def add_page(app: Flask, door: Door, page: Page, name: str, view: Callable[[], View]) -> None:
    """Add a page for those who are logged in, of the name's path and template, and its JSON."""

    def show() -> BaseResponse:
        return page(f"{name}.html", view(), HTTPStatus.OK)

    def tell() -> BaseResponse:
        return Response(orjson.dumps(view()), mimetype="application/json")

    app.add_url_rule(f"/{name}", name, door.protect(show), methods=["GET"])
    app.add_url_rule(f"/{name}.json", f"{name}.json", door.protect(tell), methods=["GET"])


def add_form(app: Flask, door: Door, path: str, act: Callable[[], BaseResponse]) -> None:
    """Add what a form of those who are logged in does."""
    app.add_url_rule(path, f"post {path}", door.protect(act), methods=["POST"])


def page_number() -> int:
    """The page that the query asks for."""
    text = request.args.get("page", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 1
