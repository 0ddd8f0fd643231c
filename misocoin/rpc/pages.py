"""Flask's application: all that the port answers besides JSON-RPC."""

from collections.abc import Callable

from flask import Flask, Response

_WELCOME = """\
This is a Misocoin node. It speaks JSON-RPC: POST to / or /jsonrpc, or type

    misocoin-cli help
"""


def make_flask(extend: Callable[[Flask], None] | None = None) -> Flask:
    """Make the application; `extend` adds routes to it."""
    app = Flask("misocoin", static_folder=None)
    if extend is not None:
        extend(app)
    if not any(rule.rule == "/" for rule in app.url_map.iter_rules()):
        app.add_url_rule("/", "welcome", _welcome)
    return app


def _welcome() -> Response:
    return Response(_WELCOME, mimetype="text/plain")
