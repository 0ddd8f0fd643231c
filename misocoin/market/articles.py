"""What may be traded: a registry that the market's operator edits.

It is a TOML file of `[[article]]` tables. Each has a `name` or a `pattern` (a regular expression
that the whole name matches), and may name a `checker` for its results (see `checkers`) and have
times of its own (`times.Times`), in seconds: `work = 7200` for what takes up to two hours.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

from misocoin.errors import ConfigError
from misocoin.market.checkers import CHECKERS
from misocoin.market.moments import SECOND
from misocoin.market.times import LONGEST, Times

TRUSTED = "~trusted"
"""Suffix of an article whose sellers the market's trusted account must vouch for."""

MAX_NAME = 120
"""Characters of an article's name."""

DEFAULT_ARTICLES = r"""
# What this market trades. A `pattern` is a regular expression for the whole name; `checker` names
# the function that decides a dispute about a result: "bitmessage" or "hashcash". Seconds that bids
# and phases last are 120 for `bid`, 60 for `establish`, 120 for `transmit`, 300 for `work`, 900 for
# `verify` and 600 for `dispute`, where an article says nothing else.

[[article]]
name = "fnord"

[[article]]
name = "snafu"

[[article]]
name = "foobar"

[[article]]
name = "net.bitwrk/gorays/0"

[[article]]
pattern = 'net\.bitwrk/blender/0/2\.(69|7[0-9]|8[0-2])/(512M|2G|8G|32G)'

[[article]]
name = "net.misocoin/pow/bitmessage/0"
checker = "bitmessage"

[[article]]
name = "net.misocoin/pow/hashcash/0"
checker = "hashcash"

[[article]]
name = "net.misocoin/wasm/0"
""".lstrip()
"""The registry of a market whose operator gives none: BitWrk's articles and Misocoin's own."""


class Article(NamedTuple):
    """One entry: any number of articles that are treated alike."""

    pattern: re.Pattern[str]
    """Matches the whole name, without the suffix `~trusted`."""
    label: str
    """The entry as it was written."""
    checker: str | None
    """What decides whether a result is right; None where nothing but a comparison can."""
    times: Times


class ArticleRegistry(NamedTuple):
    """The entries; the first that matches counts."""

    articles: tuple[Article, ...]

    def find(self, name: str) -> Article | None:
        """The entry for an article's name, which may end in `~trusted`; None if not traded."""
        if len(name) > MAX_NAME:
            return None
        plain = name.removesuffix(TRUSTED)
        return next((item for item in self.articles if item.pattern.fullmatch(plain)), None)


def articles_from_text(text: str) -> ArticleRegistry:
    """Read a registry. Raises ConfigError, which names the entry that cannot be used."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the articles are not TOML: {error}") from None
    entries = tables.get("article", [])
    if set(tables) - {"article"} or not isinstance(entries, list) or not entries:
        raise ConfigError("the articles are [[article]] tables and nothing else")
    return ArticleRegistry(tuple(map(_article_from_table, entries)))


_TEXTS = frozenset({"name", "pattern", "checker"})


def _article_from_table(table: Any) -> Article:
    if not isinstance(table, dict) or set(table) - _TEXTS - set(Times._fields):
        raise ConfigError(f"an article has a name or a pattern, a checker, and times: {table}")
    if not all(isinstance(table[name], str) for name in _TEXTS & set(table)):
        raise ConfigError(f"an article's name, pattern and checker are texts: {table}")
    if ("name" in table) == ("pattern" in table):
        raise ConfigError(f"an article has a name or a pattern: {table}")
    checker = table.get("checker")
    if checker is not None and checker not in CHECKERS:
        raise ConfigError(f"checker {checker[:40]!r} is none of {', '.join(CHECKERS)}")
    label = table.get("name") or table["pattern"]
    try:
        pattern = re.compile(re.escape(label) if "name" in table else label, re.ASCII)
    except re.error as error:
        raise ConfigError(f"article pattern {label[:60]!r}: {error}") from None
    return Article(pattern, label, checker, _times_from_table(table))


def _times_from_table(table: Mapping[str, Any]) -> Times:
    times = {}
    for name in set(table) & set(Times._fields):
        seconds = table[name]
        if type(seconds) is not int or not 0 < seconds * SECOND <= LONGEST:
            raise ConfigError(f"{name} is a number of seconds, up to a week: {table}")
        times[name] = seconds * SECOND
    return Times(**times)
