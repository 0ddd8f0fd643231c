"""A browser without a screen: it keeps cookies and sends forms as pages do."""

import re
from html import unescape
from typing import Any

import requests

from tests.functional.framework.daemon import Daemon


class Browser:
    """Visits the pages of one node."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.origin = f"http://127.0.0.1:{daemon.port}"
        self.http = requests.Session()
        self.http.trust_env = False
        self.csrf = ""

    def get(self, path: str, **options: Any) -> requests.Response:
        options = {"headers": {"Accept": "text/html"}, "timeout": 60, **options}
        return self._seen(self.http.get(self.origin + path, **options))

    def post(
        self, path: str, fields: dict[str, Any] | None = None, **options: Any
    ) -> requests.Response:
        """Send a form as a page of the node does."""
        headers = {"Accept": "text/html", "Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        options = {"headers": headers, "timeout": 60, **options}
        data = {"csrf": self.csrf, **(fields or {})}
        return self._seen(self.http.post(self.origin + path, data=data, **options))

    def log_in(self) -> "Browser":
        code = self.daemon.rpc.login_code()["code"]
        assert self.post("/login", {"code": code}).status_code == 200
        assert self.csrf
        return self

    def _seen(self, answer: requests.Response) -> requests.Response:
        token = field(answer.text, "csrf") if "html" in answer.headers["Content-Type"] else None
        if token:
            self.csrf = token
        return answer


def field(page: str, name: str) -> str | None:
    """The value of a page's first hidden field of that name."""
    found = re.search(rf'type="hidden" name="{name}" value="([^"]*)"', page)
    return None if found is None else unescape(found[1])


def text_of(page: str) -> str:
    """The words of a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())
