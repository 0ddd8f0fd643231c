"""What all pages share: the templates' environment, static files, and what a browser is told.

The node's pages, the market's and the work service's look alike since each makes its environment
here: its own templates extend `base.html` and use `parts.html`. Nothing is loaded from outside,
and no page holds a script or a style of its own: both are refused by `SECURITY_HEADERS`.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from misocoin.face.charts import chart_svg, si_text
from misocoin.face.words import (
    ago_text,
    coins_text,
    count_text,
    duration_text,
    rate_text,
    time_text,
)
from misocoin.version import VERSION

STATIC_PATH = "/static/"
"""Where static files are served."""

SECURITY_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
"""Every page goes out with these: nothing from outside, no frames, no inline code.

Under `no-referrer` a browser would hide the origin of our own forms as well.
"""

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class StaticFile(NamedTuple):
    """A file that pages refer to."""

    data: bytes
    content_type: str
    url: str
    """With the hash of its content, so that a browser may keep it for ever."""


@cache
def static_files(package: str) -> Mapping[str, StaticFile]:
    """The files in a package's folder `static`, by name; none where it has no such folder."""
    found: dict[str, StaticFile] = {}
    folder = files(package).joinpath("static")
    for each in folder.iterdir() if folder.is_dir() else ():
        kind = each.name.rpartition(".")[2]
        if kind in _TYPES:
            data = each.read_bytes()
            url = f"{STATIC_PATH}{each.name}?v={sha256(data).hexdigest()[:12]}"
            found[each.name] = StaticFile(data, _TYPES[kind], url)
    return MappingProxyType(found)


def all_static_files(package: str) -> dict[str, StaticFile]:
    """The shared files and those of a package of pages."""
    return {**static_files("misocoin.face"), **static_files(package)}


def make_environment(
    package: str, site: str, navigation: tuple[tuple[str, str], ...]
) -> Environment:
    """The environment of a package's pages; its templates are in its folder `templates`.

    `site` is the name above each page, `navigation` its links as (address, name).
    """
    # PackageLoader may be asked for files below its folder alone.
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("misocoin.face")])
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    static = all_static_files(package)
    environment.globals.update(
        site=site,
        navigation=navigation,
        version=VERSION,
        static={name: each.url for name, each in static.items()},
        # Pictures of our own stand in the page itself.
        logo=Markup(static["logo.svg"].data.decode()),  # noqa: S704
        asleep=Markup(static["asleep.svg"].data.decode()),  # noqa: S704
    )
    environment.filters.update(
        ago=ago_text,
        chart=chart_svg,
        coins=coins_text,
        count=count_text,
        duration=duration_text,
        rate=rate_text,
        si=si_text,
        time=time_text,
    )
    return environment
