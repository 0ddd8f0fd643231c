"""A real browser without a screen: Debian's Chromium, driven by Playwright.

Everything that pages ask for, say on the console or are refused is noted, so that a test can end
with `check_clean`.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
"""Names of the browser, in the order in which they are tried."""

OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
"""It calls nobody by itself, and can find nobody but this machine."""

DEADLINE_MS = 60_000
"""Milliseconds for anything that a page does."""

PHONE, DESKTOP = (390, 844), (1280, 900)
"""Sizes of a window."""

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


class Chromium:
    """The browser; each `window` has cookies of its own."""

    def __init__(self, browser: "playwright.Browser") -> None:
        self._browser = browser

    @contextmanager
    def window(self, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Iterator["Window"]:
        """A window of a size and colour scheme, closed at the end."""
        width, height = size
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB"
        )
        context.set_default_timeout(DEADLINE_MS)
        try:
            yield Window(context)
        finally:
            context.close()


class Window:
    """A window, and what was heard from it."""

    def __init__(self, context: "playwright.BrowserContext") -> None:
        self.context = context
        self.requests: list[str] = []
        self.complaints: list[str] = []
        """Errors and warnings on the console (the content security policy's among them), errors
        that no script caught, and requests that failed."""
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("console", self._note)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page = context.new_page()

    def _note(self, message: "playwright.ConsoleMessage") -> None:
        if message.type in {"error", "warning", "assert"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def check_clean(self) -> None:
        """Nothing was complained of, and nothing asked of another machine."""
        assert self.complaints == []
        assert self.requests
        hosts = {urlsplit(url).hostname for url in self.requests}
        assert hosts <= {"127.0.0.1"}, hosts


@contextmanager
def open_chromium() -> Iterator[Chromium]:
    """Start the browser; the test is skipped where there is none, or one that does not start."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(PROGRAMS)} is installed")
    with playwright.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(
                executable_path=program, args=list(OPTIONS), timeout=DEADLINE_MS
            )
        except playwright.Error as error:
            pytest.skip(f"{program} does not start: {error.message[:300]}")
        try:
            yield Chromium(browser)
        finally:
            browser.close()
