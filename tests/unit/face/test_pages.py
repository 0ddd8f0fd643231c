"""The shared environment: files by content, and nothing that the security policy would refuse."""

import re
from pathlib import Path

from misocoin.face.pages import SECURITY_HEADERS, all_static_files, make_environment

PACKAGE = Path(__file__).resolve().parents[3] / "misocoin"


def test_a_page_names_its_files_by_content() -> None:
    environment = make_environment("misocoin.face", "Misocoin", (("/", "Home"), ("/a", "A")))
    page = environment.get_template("base.html").render(here="/a")
    files = all_static_files("misocoin.face")
    assert f'href="{files["miso.css"].url}"' in page
    assert re.fullmatch(r"/static/miso\.css\?v=[0-9a-f]{12}", files["miso.css"].url)
    assert '<a href="/a" aria-current="page">A</a>' in page
    assert '<html lang="en">' in page


def test_what_a_page_is_handed_is_escaped() -> None:
    environment = make_environment("misocoin.face", "<script>", ())
    page = environment.get_template("base.html").render(here="/")
    assert "<script>" not in page


def test_no_template_has_code_or_style_of_its_own_or_loads_from_outside() -> None:
    assert "'unsafe" not in SECURITY_HEADERS["Content-Security-Policy"]
    templates = [path for path in PACKAGE.rglob("*.html") if "templates" in path.parts]
    assert templates
    for path in templates:
        text = path.read_text()
        assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", text), path
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), path
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text), path


def test_no_style_sheet_loads_from_outside() -> None:
    for path in PACKAGE.rglob("static/*.css"):
        assert not re.search(r"@import|url\((?!['\"]?data:)", path.read_text()), path
