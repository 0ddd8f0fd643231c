"""The node's pages: routes, templates, errors.

Every page is a view (plain values, see `explorer`) put into a template; the same path with `.json`
behind it answers the view itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import orjson
from flask import Flask, Response, redirect, request
from jinja2 import Environment
from markupsafe import Markup
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.errors import AddressError, MisocoinError, NotFoundError
from misocoin.face.charts import Chart, chart_svg
from misocoin.face.pages import SECURITY_HEADERS, STATIC_PATH, all_static_files, make_environment
from misocoin.peers.info import PeerInfo
from misocoin.script.address import script_from_address
from misocoin.web import history
from misocoin.web.addresses import address_view
from misocoin.web.explorer import Explorer, View, hash_from_text
from misocoin.web.flows import Stream, flow_svg
from misocoin.web.forks import branch_json, branches, tree_svg
from misocoin.web.peer_map import map_svg

NAVIGATION = (
    ("/", "Overview"),
    ("/blocks", "Blocks"),
    ("/charts", "Charts"),
    ("/forks", "Forks"),
    ("/peers", "Peers"),
    ("/wallet", "Wallet"),
    ("/machine", "Machine room"),
)
"""The pages that every page leads to."""

UNITS: Final = MappingProxyType({"miso": "MISO", "regtest": "BTC", "bitcoin": "BTC"})
"""What a coin of each network is called."""

_PACKAGE = "misocoin.web"
_CHARTS_KEPT = 16


class Pages:
    """Adds the explorer's pages to Flask's application."""

    def __init__(
        self,
        chain: ChainState,
        mempool: Mempool,
        peers: Callable[[], Sequence[PeerInfo]],
        csrf: Callable[[], str],
    ) -> None:
        """`peers` tells of the links with other nodes, `csrf` what a form has to send back.

        It is empty for who is not logged in.
        """
        self._chain = chain
        self._mempool = mempool
        self._peers = peers
        self._explorer = Explorer(chain, mempool)
        self._last_charts: tuple[bytes, list[Chart]] | None = None  # and the tip they are of
        self._static = all_static_files(_PACKAGE)
        self.templates: Environment = make_environment(_PACKAGE, "Misocoin", NAVIGATION)
        """To be used for all pages of the node."""
        self.templates.filters["chart"] = lru_cache(_CHARTS_KEPT)(chart_svg)
        self.templates.globals.update(
            chain=chain.params.name,
            unit=UNITS[chain.params.name],
            csrf=csrf,
            flow=_flow,
            peer_map=_peer_map,
        )

    def add_to(self, app: Flask) -> None:
        """Add them."""
        explorer, chain, mempool = self._explorer, self._chain, self._mempool
        self._add(app, "/", "overview.html", lambda: explorer.overview())
        self._add(app, "/blocks", "blocks.html", lambda: explorer.blocks(_number("from", 1 << 40)))
        self._add(
            app,
            "/block/<name>",
            "block.html",
            lambda name: explorer.block(explorer.node_from_text(name), _number("page", 1)),
        )
        self._add(app, "/tx/<txid>", "tx.html", self._transaction)
        self._add(
            app,
            "/address/<text>",
            "address.html",
            lambda text: address_view(chain, mempool, text, _number("page", 1)),
        )
        self._add(app, "/charts", "charts.html", self._charts)
        self._add(app, "/forks", "forks.html", self._forks)
        self._add(app, "/peers", "peers.html", self._peer_list)
        app.add_url_rule("/search", "search", self._search)
        app.add_url_rule(f"{STATIC_PATH}<name>", "static", self._serve_static)
        app.after_request(_secure)
        app.register_error_handler(NotFoundError, self._not_found)
        app.register_error_handler(HTTPException, self._http_error)
        # Compiling the templates of the front page takes longer than anything else about it.
        self.templates.get_template("overview.html")

    def _add(self, app: Flask, path: str, template: str, view: Callable[..., View]) -> None:
        """Add a page, and its view as JSON."""
        name = template.partition(".")[0]
        json_path = "/overview.json" if path == "/" else f"{path}.json"

        def page(**parts: str) -> Response:
            return self.page(template, view(**parts))

        def json(**parts: str) -> Response:
            told = {key: each for key, each in view(**parts).items() if type(each) is not Markup}
            body = orjson.dumps(told, _json_value, orjson.OPT_PASSTHROUGH_DATACLASS)
            return Response(body, mimetype="application/json")

        app.add_url_rule(path, name, page, methods=["GET"])
        app.add_url_rule(json_path, f"{name}.json", json, methods=["GET"])

    def page(self, template: str, view: View, status: int = 200) -> Response:
        """A view put into its template."""
        text = self.templates.get_template(template).render(
            view=view, here=request.path, query=request.args.get("q", "")
        )
        return Response(text, status, mimetype="text/html")

    # -- views that need more than the explorer ------------------------------------------------

    def _transaction(self, txid: str) -> View:
        return self._explorer.transaction(hash_from_text(txid))

    def _charts(self) -> View:
        chain = self._chain
        tip = chain.tip
        last = self._last_charts
        if last is None or last[0] != tip.hash:
            unit = UNITS[chain.params.name]
            made = history.charts(tip, chain.params, unit, self._explorer.traffic)
            last = self._last_charts = (tip.hash, made)
        return {"height": tip.height, "charts": last[1]}

    def _forks(self) -> View:
        chain = self._chain
        with chain.lock:
            tip = chain.tip
            found = branches(chain.tree, tip, chain.status)
        return {
            "height": tip.height,
            "now": chain.now(),
            "branches": [branch_json(branch, tip) for branch in found],
            "drawing": tree_svg(tip, found),
        }

    def _peer_list(self) -> View:
        return {
            "height": self._chain.height,
            "peers": [asdict(peer) for peer in self._peers()],
        }

    def _search(self) -> BaseResponse:
        text = request.args.get("q", "")[:200]
        try:
            return redirect(self._explorer.search(text, self._is_address), HTTPStatus.SEE_OTHER)
        except NotFoundError as error:
            return self._not_found(error)

    def _is_address(self, text: str) -> bool:
        try:
            script_from_address(text, self._chain.params)
        except AddressError:
            return False
        return True

    # -- files and errors ---------------------------------------------------------------------

    def _serve_static(self, name: str) -> Response:
        file = self._static.get(name)
        if file is None:
            return self._error(HTTPStatus.NOT_FOUND, "no such file")
        response = Response(file.data, content_type=file.content_type)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    def _not_found(self, error: MisocoinError) -> Response:
        return self._error(HTTPStatus.NOT_FOUND, str(error))

    def _http_error(self, error: HTTPException) -> BaseResponse:
        if error.code is None or error.code < 400:
            return error.get_response(request.environ)
        return self._error(HTTPStatus(error.code), error.description or "")

    def _error(self, status: HTTPStatus, message: str) -> Response:
        if request.path.endswith(".json"):
            body = orjson.dumps({"error": message})
            return Response(body, status.value, mimetype="application/json")
        if not request.accept_mimetypes.accept_html:
            return Response(f"{message}\n", status.value, mimetype="text/plain")
        view = {"status": status.value, "phrase": status.phrase, "message": message}
        return self.page("error.html", view, status.value)


def _secure(response: Response) -> Response:
    """Say what a page may do; answers that are no pages are not to be taken for one."""
    if response.mimetype == "text/html":
        response.headers.update(SECURITY_HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
    else:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def _json_value(value: object) -> object:
    """What stands in a page's JSON for what a page draws."""
    if isinstance(value, Chart):
        return history.chart_json(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def _number(name: str, default: int) -> int:
    """A number of the query; what is none counts as not given."""
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else default


def _flow(view: View) -> object:
    """A transaction's view, drawn."""
    if view["is_coinbase"]:
        incoming = [Stream("new coins and fees", view["output_sats"])]
    else:
        incoming = [
            Stream(
                _short(each["address"] or f"{each['txid']}"),
                each["value_sats"] or 0,
                f"/tx/{each['txid']}",
            )
            for each in view["inputs"]
        ]
    outgoing = [
        Stream(
            "data" if each["is_data"] else _short(each["address"] or each["kind"]),
            each["value_sats"],
            f"/address/{each['address']}" if each["address"] else "",
            "data" if each["is_data"] else "",
        )
        for each in view["outputs"]
    ]
    if view["fee_sats"]:
        outgoing.append(Stream("fee", view["fee_sats"], "", "fee"))
    return flow_svg(incoming, outgoing, view["output_sats"])


def _peer_map(view: View) -> object:
    return map_svg(view["height"], view["peers"])


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:12]}…{text[-9:]}"
