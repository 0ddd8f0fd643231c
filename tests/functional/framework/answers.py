"""The same chain in our daemon and in a real bitcoind, and whether both answer the same.

    twins.same("getblockchaininfo", but={"$.size_on_disk": ignored("another store")})
    twins.same_get("/rest/chaininfo.json")

An answer is compared by its HTTP status, and its JSON by names and their order, by types and by
values; a number by how it is written, so that 1, 1.0 and 1.00000000 differ. What may differ is said
by path, with a reason; a path that says so in vain fails as well. What differs wherever a method is
called stands in `standing.py`.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from misocoin.http.client import Bounds, HttpClient
from misocoin.http.errors import RpcError
from tests.functional.framework.bitcoind import CREDENTIALS, Bitcoind
from tests.functional.framework.daemon import Daemon
from tests.functional.framework.differences import SHOWN, Buts, differences, read_json, show
from tests.functional.framework.standing import REST, STANDING

MOST = 20
"""Differences of one answer that are told."""


class Reply(NamedTuple):
    """An answer over HTTP."""

    status: int
    kind: str
    """Its Content-Type."""
    body: bytes


class Twins:
    """Our daemon and a real bitcoind, with the same blocks, transactions and time."""

    def __init__(self, ours: Daemon, theirs: Bitcoind) -> None:
        self.ours = ours
        self.theirs = theirs
        self._http = HttpClient(Bounds(read_seconds=60, total_seconds=120, body=1 << 28))

    def close(self) -> None:
        """Close the connections; the daemons are their fixtures'."""
        self._http.close()

    # -- the same call to both ------------------------------------------------------------------

    def same(
        self,
        method: str,
        /,
        *params: Any,
        but: Buts | None = None,
        standing: Buts | None = None,
        **named: Any,
    ) -> Any:
        """The result, or the error as an RpcError value, which both give; fails where they differ.

        Results and errors are compared with `$` for the whole (`$.code` and `$.message` of an
        error). Where theirs is the text of a method's help, ours must only be help as well.
        `standing` replaces what `standing.py` has of the method.
        """
        given: Any = {"args": list(params), **named} if named and params else named or list(params)
        ours, theirs = self.post({"id": 1, "method": method, "params": given})
        called = f"{method} {json.dumps(given)[:SHOWN]}"
        known = STANDING.get(method, {}) if standing is None else standing
        found = self._differ(ours, theirs, but or {}, known)
        assert not found, "\n".join([called, *found[:MOST]])
        answer = json.loads(theirs.body)
        if answer["error"] is not None:
            return RpcError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    @staticmethod
    def _differ(ours: Reply, theirs: Reply, but: Buts, standing: Buts) -> list[str]:
        one, other = read_json(ours.body), read_json(theirs.body)
        if one["error"] is not None and other["error"] is not None:
            if _is_help(one["error"]) and _is_help(other["error"]):
                return []
            found = differences(one["error"], other["error"], but, standing)
        elif one["error"] is None and other["error"] is None:
            found = differences(one["result"], other["result"], but, standing)
        else:
            found = [
                f"ours {show(one['error'] or one['result'])}, "
                f"theirs {show(other['error'] or other['result'])}"
            ]
        if ours.status != theirs.status:
            found.append(f"status: ours {ours.status}, theirs {theirs.status}")
        if ours.kind != theirs.kind:
            found.append(f"Content-Type: ours {ours.kind}, theirs {theirs.kind}")
        return found

    def post(
        self, body: Any, path: str = "/", *, with_password: bool = True, **headers: str
    ) -> tuple[Reply, Reply]:
        """Both answers to a body, which is sent as JSON unless it is bytes already."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        replies = []
        for url, credentials in (
            (self.ours.url, self.ours.credentials),
            (f"http://{self.theirs.address}", CREDENTIALS),
        ):
            token = base64.b64encode(":".join(credentials).encode()).decode()
            fields = {"Authorization": f"Basic {token}"} if with_password else {}
            answer = self._http.post(url + path, data, {**fields, **headers})
            kind = answer.headers.get("Content-Type", "")
            replies.append(Reply(answer.status, kind, answer.body))
        return replies[0], replies[1]

    @property
    def theirs_url(self) -> str:
        """Where theirs listens."""
        return f"http://{self.theirs.address}"

    def get(self, url: str, body: bytes | None = None) -> Reply:
        """The answer to a GET, or to a POST of a body, without a password."""
        answer = self._http.request("GET" if body is None else "POST", url, body)
        return Reply(answer.status, answer.headers.get("Content-Type", ""), answer.body)

    def same_get(
        self,
        path: str,
        body: bytes | None = None,
        *,
        but: Buts | None = None,
        standing: Buts | None = None,
    ) -> Reply:
        """Their answer to a GET (or POST, of `body`), as ours must be: JSON as by `same`, else
        byte for byte. `standing` replaces what `standing.py` has of REST."""
        ours, theirs = self.get(self.ours.url + path, body), self.get(self.theirs_url + path, body)
        found = []
        if ours.status != theirs.status:
            found.append(f"status: ours {ours.status}, theirs {theirs.status}")
        if ours.kind != theirs.kind:
            found.append(f"Content-Type: ours {ours.kind}, theirs {theirs.kind}")
        if theirs.kind == ours.kind == "application/json":
            if standing is None:
                standing = REST.get(re.split(r"[/.?]", path.removeprefix("/rest/"))[0])
            found += differences(read_json(ours.body), read_json(theirs.body), but, standing)
            if (ours.body[-1:] == b"\n") != (theirs.body[-1:] == b"\n"):
                found.append("one ends with a line feed")
        elif ours.body != theirs.body:
            found.append(f"body: ours {ours.body[:SHOWN]!r}, theirs {theirs.body[:SHOWN]!r}")
        assert not found, "\n".join([path, *found[:MOST]])
        return theirs

    # -- the same things in both ----------------------------------------------------------------

    def both(self, method: str, /, *params: Any) -> tuple[Any, Any]:
        """Results of a call that changes something in both (`setmocktime`, `invalidateblock`)."""
        return self.ours.rpc.client.call(method, *params), self.theirs.call(method, *params)

    def set_time(self, time: int) -> None:
        """Set the clocks of both, in seconds since 1970; 0 is the machine's again."""
        self.both("setmocktime", time)

    def grow(self, count: int, address: str) -> list[str]:
        """Mine blocks in theirs, with what its pool has, and hand them to ours; their hashes."""
        hashes: list[str] = self.theirs.call("generatetoaddress", count, address)
        self.hand_over(hashes)
        return hashes

    def hand_over(self, hashes: Sequence[str]) -> None:
        """Submit blocks of theirs to ours, and see that both have one tip then."""
        for each in hashes:
            answer = self.ours.rpc.submitblock(self.theirs.call("getblock", each, 0))
            assert answer in (None, "duplicate", "inconclusive"), (each, answer)
        self.check_tip()

    def hand_back(self, hashes: Sequence[str]) -> None:
        """Submit blocks of ours to theirs, and see that both have one tip then."""
        for each in hashes:
            answer = self.theirs.call("submitblock", self.ours.rpc.getblock(each, 0))
            assert answer in (None, "duplicate", "inconclusive"), (each, answer)
        self.check_tip()

    def check_tip(self) -> None:
        """See that both have the same best block."""
        ours, theirs = self.both("getbestblockhash")
        assert ours == theirs, (ours, theirs)

    def send(self, transaction_hex: str) -> str:
        """Put a transaction into the pools of both; its txid."""
        ours, theirs = self.both("sendrawtransaction", transaction_hex)
        assert ours == theirs
        return str(ours)

    def share_pool(self) -> None:
        """Give each the transactions that only the other has in its pool."""
        pools = self.ours.rpc.getrawmempool(), self.theirs.call("getrawmempool")
        missing = {txid: self.theirs.call("getrawtransaction", txid) for txid in pools[1]}
        for txid in pools[0]:
            missing.pop(txid, None)
        while missing:
            before = len(missing)
            for txid, raw in list(missing.items()):
                with suppress(RpcError):  # its parent has not come yet
                    self.ours.rpc.sendrawtransaction(raw, 0)
                    del missing[txid]
            assert len(missing) < before, f"ours does not take {missing}"
        for txid in pools[0]:
            if txid not in pools[1]:
                self.theirs.call("sendrawtransaction", self.ours.rpc.getrawtransaction(txid), 0)


def _is_help(error: Mapping[str, Any]) -> bool:
    return error["code"] == "-1" and "\n\nResult" in error["message"]
