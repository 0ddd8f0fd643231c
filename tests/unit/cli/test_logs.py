"""How the daemon's messages look."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from misocoin.cli.logs import set_up_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    logger = logging.getLogger("misocoin")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def test_a_line_has_its_time_and_a_mark_where_something_is_amiss() -> None:
    out = io.StringIO()
    set_up_logging("info", is_json=False, stream=out)
    log = logging.getLogger("misocoin.some.part")
    log.info("block %d mined", 5)
    log.warning("disk nearly full")
    log.debug("not shown")
    first, second = out.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d block 5 mined", first)
    assert second.endswith(" warning: disk nearly full")


def test_json_has_fields_of_its_own() -> None:
    out = io.StringIO()
    set_up_logging("debug", is_json=True, stream=out)
    log = logging.getLogger("misocoin.some.part")
    log.info("block %d mined", 5, extra={"height": 5, "hash": b"\x00"})
    try:
        int("broken")
    except ValueError:
        log.exception("failed\nbadly")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["message"] == "block 5 mined"
    assert (first["level"], first["source"]) == ("info", "misocoin.some.part")
    assert first["height"] == 5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert second["level"] == "error"
    assert "ValueError: invalid literal" in second["traceback"]


def test_setting_it_up_again_shows_nothing_twice() -> None:
    out = io.StringIO()
    set_up_logging("info", is_json=False, stream=io.StringIO())
    set_up_logging("warning", is_json=False, stream=out)
    logging.getLogger("misocoin").warning("once")
    logging.getLogger("misocoin").info("not shown")
    assert out.getvalue().count("\n") == 1
