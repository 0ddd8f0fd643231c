"""Which results this client can check by itself, article by article."""

import logging
from threading import Lock

from misocoin.http.errors import HttpError
from misocoin.market.articles import DEFAULT_ARTICLES, ArticleRegistry, articles_from_text
from misocoin.market.checkers import CHECKERS, Checker
from misocoin.market.client.calls import MarketCalls
from misocoin.market.errors import MarketError

log = logging.getLogger(__name__)


class Checking:
    """The checkers of articles. Threads may share it.

    The owner's registry counts alone where there is one. Else the market says what decides a
    dispute; where it names nothing, or nothing that is known here, what ships with this program
    looks at the results all the same.
    """

    def __init__(self, calls: MarketCalls, own: ArticleRegistry | None = None) -> None:
        self._calls = calls
        self._own = own
        self._shipped = articles_from_text(DEFAULT_ARTICLES)
        self._lock = Lock()
        self._told: dict[str, str | None] = {}

    def checker_of(self, article: str) -> Checker | None:
        """What tells whether a result is right; None where nothing but a comparison can."""
        if self._own is not None:
            return _named(self._own, article)
        name = self._market_says(article)
        if name is not None and name in CHECKERS:
            return CHECKERS[name]
        return _named(self._shipped, article)

    def _market_says(self, article: str) -> str | None:
        """The market's word, which is asked for once; None while it says nothing."""
        with self._lock:
            if article in self._told:
                return self._told[article]
        try:
            name = self._calls.checker_name(article)
        except (HttpError, MarketError) as error:
            log.debug("the market does not tell how %s is checked: %s", article, error)
            return None
        if name is not None and name not in CHECKERS:
            log.warning("%s: the market checks by %.40r, which is not known here", article, name)
        with self._lock:
            self._told[article] = name
        return name


def _named(registry: ArticleRegistry, article: str) -> Checker | None:
    entry = registry.find(article)
    return CHECKERS[entry.checker] if entry is not None and entry.checker else None
