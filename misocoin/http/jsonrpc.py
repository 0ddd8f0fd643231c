"""A client of JSON-RPC over HTTP: ours, or bitcoind's."""

import base64
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import count
from typing import Any

from misocoin.http.client import Bounds, HttpClient
from misocoin.http.errors import HttpError, HttpRefused, RpcError


class JsonRpcClient:
    """Calls methods of one server. Threads may share it.

    Fractions in results are `Decimal`, so that amounts keep their digits; amounts are best sent
    as text.
    """

    def __init__(
        self,
        url: str,
        credentials: tuple[str, str] | None = None,
        http: HttpClient | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """`credentials` are name and password; a client of HTTP that is given stays open."""
        self._url = url
        self._own_http = HttpClient() if http is None else None
        self._http = http or self._own_http or HttpClient()
        self._bounds = bounds
        self._ids = count(1)
        self._headers = {"Content-Type": "application/json"}
        if credentials is not None:
            self.set_credentials(credentials)

    def set_credentials(self, credentials: tuple[str, str]) -> None:
        """Use this name and password from now on."""
        token = base64.b64encode(":".join(credentials).encode()).decode()
        self._headers = {**self._headers, "Authorization": f"Basic {token}"}

    def call(self, method: str, *params: Any, **named: Any) -> Any:
        """Call a method and return its result.

        Raises RpcError for an error of the method, HttpError where no answer came.
        """
        given: Any = {"args": list(params), **named} if named and params else named or list(params)
        return _result(self._exchange(self._request(method, given)))

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Make several calls in one request; a call that failed has its RpcError as result.

        Raises HttpError where no answer came, or not one for each call; RpcError where the batch
        as a whole was refused.
        """
        replies = self._exchange([self._request(method, list(given)) for method, given in calls])
        if not isinstance(replies, list):
            return [_result(replies)]
        by_id = {reply.get("id"): reply for reply in replies if isinstance(reply, dict)}
        if len(by_id) != len(calls):
            raise HttpError(f"{len(calls)} calls were answered with {len(by_id)} replies")
        results: list[Any] = []
        for _, reply in sorted(by_id.items()):
            try:
                results.append(_result(reply))
            except RpcError as error:
                results.append(error)
        return results

    def _request(self, method: str, params: Any) -> dict[str, Any]:
        return {"jsonrpc": "1.0", "id": next(self._ids), "method": method, "params": params}

    def _exchange(self, request: Any) -> Any:
        body = json.dumps(request).encode()
        response = self._http.post(self._url, body, self._headers, self._bounds)
        try:
            return json.loads(response.body, parse_float=Decimal)
        except (ValueError, RecursionError):
            text = response.body[:200].decode("utf-8", "replace").strip()
            raise HttpRefused(response.status, text) from None

    def close(self) -> None:
        """Close the connections, where the client of HTTP is its own."""
        if self._own_http is not None:
            self._own_http.close()


def _result(reply: Any) -> Any:
    if not isinstance(reply, Mapping):
        raise HttpError("the answer is not one of JSON-RPC")
    error = reply.get("error")
    if error is None:
        return reply.get("result")
    if not isinstance(error, Mapping):
        raise RpcError(-1, str(error)[:500])
    code = error.get("code")
    raise RpcError(code if isinstance(code, int) else -1, str(error.get("message"))[:10_000])
