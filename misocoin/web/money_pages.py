"""Pages that move money: send, with a look before, and receive."""

from http import HTTPStatus
from typing import Final

import segno
from flask import Flask, redirect, request
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from misocoin.errors import AddressError, MisocoinError
from misocoin.policy.feerate import KILO_VBYTE
from misocoin.units import sats_from_text
from misocoin.wallet.addresses import SINGLE_KEY_TYPES, address_type_from_text
from misocoin.wallet.wallet import Wallet
from misocoin.web.door import Door, Page
from misocoin.web.explorer import View
from misocoin.web.paying import Draft, Paying, SendForm
from misocoin.web.payment_uri import MAX_LABEL, PaymentRequest, uri_from_request
from misocoin.web.wallet_pages import add_form, add_page
from misocoin.web.wallet_views import WalletViews

MOST_ADDRESSES: Final = 100
"""Addresses on the page, the latest first."""

_MAX_TEXT = 2_000


class MoneyPages:
    """Send and receive."""

    def __init__(
        self, door: Door, page: Page, wallet: Wallet, views: WalletViews, paying: Paying
    ) -> None:
        self._door = door
        self._page = page
        self._wallet = wallet
        self._views = views
        self._paying = paying

    def add_to(self, app: Flask) -> None:
        """Add them to Flask's application."""
        add_page(app, self._door, self._page, "send", self._empty_form)
        add_page(app, self._door, self._page, "receive", self._receive_view)
        add_form(app, self._door, "/send", self._review)
        add_form(app, self._door, "/send/confirm", self._confirm)
        add_form(app, self._door, "/receive", self._new_address)

    # -- send -----------------------------------------------------------------------------------

    def _empty_form(self) -> View:
        return self._send_view(SendForm(to=request.args.get("to", "")[:_MAX_TEXT]), "")

    def _send_view(self, form: SendForm, error: str) -> View:
        rates = self._paying.rates()
        return {
            "form": form._asdict(),
            "error": error,
            "available_sats": self._wallet.balance().available,
            "names": [each["label"] for each in self._views.names()["names"]],
            "rates": {name: rate / KILO_VBYTE for name, rate in rates._asdict().items()},
        }

    def _show_form(self, form: SendForm, error: str) -> BaseResponse:
        status = HTTPStatus.BAD_REQUEST if error else HTTPStatus.OK
        return self._page("send.html", self._send_view(form, error), status)

    def _review(self) -> BaseResponse:
        form = _form_of_request()
        try:
            draft = self._paying.prepare(form, self._door.csrf())
        except MisocoinError as error:
            return self._show_form(form, str(error))
        return self._show_draft(draft, "")

    def _show_draft(self, draft: Draft, error: str) -> BaseResponse:
        plan = draft.plan
        view = {
            "token": draft.token,
            "address": draft.address,
            "label": draft.label,
            "amount_sats": draft.amount,
            "fee_sats": plan.fee,
            "change_sats": plan.change,
            "total_sats": draft.amount + plan.fee,
            "rate": draft.rate / KILO_VBYTE,
            "inputs": len(plan.tx.vin),
            "note": draft.note,
            "is_locked": self._wallet.keeper.is_locked,
            "error": error,
        }
        status = HTTPStatus.BAD_REQUEST if error else HTTPStatus.OK
        return self._page("send_review.html", view, status)

    def _confirm(self) -> BaseResponse:
        try:
            draft = self._paying.find(request.form.get("draft", ""), self._door.csrf())
        except MisocoinError as error:
            return self._show_form(SendForm(), str(error))
        if request.form.get("step") == "change":
            return self._show_form(draft.form, "")
        try:
            txid = self._paying.pay(draft, request.form.get("passphrase", ""))
        except MisocoinError as error:
            return self._show_draft(draft, f"Not sent: {error}")
        return redirect(f"/wallet?sent={txid[::-1].hex()}", HTTPStatus.SEE_OTHER)

    # -- receive --------------------------------------------------------------------------------

    def _receive_view(self) -> View:
        own = self._views.addresses()
        wanted = request.args.get("address", "")
        shown = next((each for each in own if each["address"] == wanted), None)
        error = ""
        if wanted and shown is None:
            error = "That address is none of the wallet's."
        shown = shown or own[0]
        amount_text = request.args.get("amount", "").strip()[:40]
        asker = request.args.get("label", "").strip()[:MAX_LABEL]
        amount = None
        try:
            amount = sats_from_text(amount_text) if amount_text else None
        except MisocoinError as problem:
            error = str(problem)
        return {
            **shown,
            "amount": amount_text,
            "asker": asker,
            "uri": uri_from_request(PaymentRequest(shown["address"], amount or None, asker)),
            "error": error,
            "kinds": [each.value for each in SINGLE_KEY_TYPES],
            "new_label": "",
            "new_error": "",
            "count": len(own),
            "addresses": own[:MOST_ADDRESSES],
        }

    def _new_address(self) -> BaseResponse:
        label = request.form.get("label", "").strip()
        try:
            try:
                kind = address_type_from_text(request.form.get("kind", "bech32"))
            except ValueError as error:
                raise AddressError(str(error)) from None
            address = self._wallet.new_address(label, kind)
        except MisocoinError as error:
            view = {**self._receive_view(), "new_label": label, "new_error": str(error)}
            return self._page("receive.html", view, HTTPStatus.BAD_REQUEST)
        return redirect(f"/receive?address={address}", HTTPStatus.SEE_OTHER)


def _form_of_request() -> SendForm:
    form = request.form
    return SendForm(
        form.get("to", "")[:_MAX_TEXT],
        form.get("amount", "")[:40],
        "everything" in form,
        form.get("fee", "normal"),
        form.get("rate", "")[:40],
        form.get("note", "")[:_MAX_TEXT],
    )


def qr_svg(text: str) -> Markup:
    """A QR code (ISO/IEC 18004) that holds a text, black on white in every scheme."""
    code = segno.make(text, error="m", micro=False)
    drawn = code.svg_inline(
        border=4, omitsize=True, light="#fff", svgclass="qr", lineclass=None, title="QR code"
    )
    return Markup(drawn.replace("<svg", '<svg role="img"', 1))  # noqa: S704 - modules alone
