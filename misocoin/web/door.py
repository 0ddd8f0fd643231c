"""The door: who has to be logged in for a page, and which forms are taken."""

import logging
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from http import HTTPStatus
from time import sleep
from typing import Final
from urllib.parse import quote

import orjson
from flask import Flask, Response, abort, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from misocoin.http.errors import Overloaded
from misocoin.http.guard import Guard
from misocoin.http.server import PERMIT
from misocoin.web.explorer import View
from misocoin.web.sessions import Session, Sessions, is_own_form

log = logging.getLogger(__name__)

MAX_FORM: Final = 64_000
"""Bytes of a form."""

WRONG_SECONDS: Final = 0.25
"""How long the answer to a wrong password or code takes."""

HOME: Final = "/wallet"
"""Where a browser comes that has logged in and was on its way nowhere."""

Page = Callable[[str, View, int], Response]
"""Puts a view into a template, for an answer of that status."""

_PATH = re.compile(r"/[a-z][a-z/-]*", re.ASCII)


class Door:
    """Knows the session of a request, and lets nobody else in."""

    def __init__(self, sessions: Sessions, guard: Guard) -> None:
        self._sessions = sessions
        self._guard = guard

    @property
    def cookie(self) -> str:
        """The cookie's name; two nodes on one machine share cookies, so the port is in it."""
        return f"misocoin-{request.environ['SERVER_PORT']}"

    def session(self) -> Session | None:
        """The session of the request's browser."""
        # A page that keeps itself fresh says so: nobody may sit before it any more.
        is_use = "X-Live" not in request.headers
        return self._sessions.find(request.cookies.get(self.cookie, ""), is_use=is_use)

    def csrf(self) -> str:
        """What the forms of the request's browser have to send back; empty for a stranger."""
        token = request.cookies.get(self.cookie, "")
        session = self._sessions.find(token, is_use=False)
        return "" if session is None else session.csrf

    def protect(self, view: Callable[[], BaseResponse]) -> Callable[[], BaseResponse]:
        """Make a view one for those alone who are logged in; its forms must be our own."""

        def protected() -> BaseResponse:
            self.check_name()
            session = self.session()
            if request.method == "POST":
                self.check_form()
                if session is None:
                    abort(HTTPStatus.FORBIDDEN, "You were logged out meanwhile; nothing was done.")
                if not is_own_form(session, request.form.get("csrf", "")):
                    abort(HTTPStatus.FORBIDDEN, "That form was not made by this session.")
            elif session is None:
                return _turn_away()
            response = view()
            response.headers["Cache-Control"] = "no-store"
            return response

        return protected

    def check_name(self) -> None:
        """Refuse a request for what is the owner's alone under a name that is not this node's."""
        why = self._guard.misnaming(request.headers.get("Host"))
        if why is not None:
            abort(HTTPStatus.FORBIDDEN, why)

    def check_form(self) -> None:
        """Refuse a form that a page of another site sent, or no page, or that is too long.

        Every browser tells of a form's origin by at least one of the two fields.
        """
        length = request.content_length
        if length is None or length > MAX_FORM:
            abort(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        is_foreign = (origin is not None and not self._guard.is_own(request.host, origin)) or (
            site is not None and site != "same-origin"
        )
        if is_foreign or (origin is None and site is None):
            abort(HTTPStatus.FORBIDDEN, "Forms are taken from this node's own pages alone.")


class LoginPages:
    """Logging in and out."""

    def __init__(
        self,
        door: Door,
        sessions: Sessions,
        is_password: Callable[[str, str], bool],
        page: Page,
    ) -> None:
        """`is_password` knows the node's names and passwords."""
        self._door = door
        self._sessions = sessions
        self._is_password = is_password
        self._page = page

    def add_to(self, app: Flask) -> None:
        """Add them to Flask's application."""
        app.add_url_rule("/login", "login", self._show, methods=["GET"])
        app.add_url_rule("/login", "enter", self._enter, methods=["POST"])
        leave = self._door.protect(self._leave)
        app.add_url_rule("/logout", "leave", leave, methods=["POST"])

    def _show(self) -> BaseResponse:
        self._door.check_name()
        goal = _own_path(request.args.get("next", ""))
        if self._door.session() is not None:
            return redirect(goal, HTTPStatus.SEE_OTHER)
        return self._page("login.html", {"next": goal, "name": "", "error": ""}, HTTPStatus.OK)

    def _enter(self) -> BaseResponse:
        self._door.check_name()
        self._door.check_form()
        form = request.form
        goal, name = _own_path(form.get("next", "")), form.get("name", "")[:200]
        code = form.get("code", "")
        is_right = self._sessions.take_code(code) if code else False
        if name and not is_right:
            is_right = self._is_password(name, form.get("password", "")[:1000])
        if not is_right:
            return self._refuse(goal, name, with_code=bool(code))
        self._sessions.end(request.cookies.get(self._door.cookie, ""))
        response = redirect(goal, HTTPStatus.SEE_OTHER)
        response.set_cookie(
            self._door.cookie,
            self._sessions.begin(),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=request.headers.get("Origin", "").startswith("https:"),
        )
        log.info("logged in from %s", request.remote_addr)
        return response

    def _refuse(self, goal: str, name: str, *, with_code: bool) -> Response:
        log.warning("wrong login from %s", request.remote_addr)
        permit: Callable[[], AbstractContextManager[None]] = request.environ[PERMIT]
        with suppress(Overloaded), permit():
            sleep(WRONG_SECONDS)  # makes guessing slow; the permit bounds how many wait
        error = (
            "That code is wrong, has been used, or is too old: ask for another."
            if with_code
            else "That name and password are not the node's."
        )
        view = {"next": goal, "name": name, "error": error, "with_code": with_code}
        return self._page("login.html", view, HTTPStatus.FORBIDDEN)

    def _leave(self) -> BaseResponse:
        self._sessions.end(request.cookies.get(self._door.cookie, ""))
        response = redirect("/", HTTPStatus.SEE_OTHER)
        response.delete_cookie(self._door.cookie, path="/", httponly=True, samesite="Strict")
        return response


def _turn_away() -> BaseResponse:
    """Answer a stranger who asks for a page."""
    if request.path.endswith(".json"):
        body = orjson.dumps({"error": "log in first"})
        return Response(body, HTTPStatus.UNAUTHORIZED, mimetype="application/json")
    return redirect(f"/login?next={quote(request.path)}", HTTPStatus.SEE_OTHER)


def _own_path(text: str) -> str:
    """A path of our own to go on to."""
    return text if len(text) < 100 and _PATH.fullmatch(text) else HOME
