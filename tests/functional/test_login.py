"""Logging in to the pages of a real node, and who is kept out."""

from collections.abc import Iterator

import pytest
import requests

from tests.functional.conftest import MakeDaemon
from tests.functional.framework.browser import Browser
from tests.functional.framework.daemon import Daemon


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("login") / "node"
    daemon = Daemon(folder, "-rpcuser=me", "-rpcpassword=se:cret").start()
    yield daemon
    daemon.stop()


@pytest.fixture
def stranger(node: Daemon) -> Browser:
    return Browser(node)


def test_a_code_of_the_command_line_lets_in_once(node: Daemon, stranger: Browser) -> None:
    made = node.rpc.login_code()
    assert made["url"] == f"http://127.0.0.1:{node.port}/login"
    assert made["seconds"] == 300
    entered = stranger.post("/login", {"code": made["code"]}, allow_redirects=False)
    assert entered.status_code == 303
    assert entered.headers["Location"] == "/wallet"
    cookie = entered.headers["Set-Cookie"]
    assert cookie.startswith(f"misocoin-{node.port}=")
    for word in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert word in cookie
    again = Browser(node).post("/login", {"code": made["code"]})
    assert again.status_code == 403
    assert "wrong, has been used, or is too old" in again.text


@pytest.mark.parametrize(
    ("name", "password", "status"),
    [("me", "se:cret", 303), ("me", "secret", 403), ("me:se", "cret", 403), ("", "", 403)],
)
def test_name_and_password(stranger: Browser, name: str, password: str, status: int) -> None:
    fields = {"name": name, "password": password}
    answer = stranger.post("/login", fields, allow_redirects=False)
    assert answer.status_code == status
    assert "se:cret" not in answer.text


def test_a_wrong_login_takes_its_time_and_is_logged(node: Daemon, stranger: Browser) -> None:
    before = node.log.text.count("wrong login from 127.0.0.1")
    answer = stranger.post("/login", {"name": "me", "password": "nosuchpassword"})
    assert answer.status_code == 403
    assert answer.elapsed.total_seconds() >= 0.25
    assert not stranger.http.cookies
    assert node.log.text.count("wrong login from 127.0.0.1") == before + 1
    assert "nosuchpassword" not in node.log.text


def test_strangers_are_sent_to_the_login(stranger: Browser) -> None:
    answer = stranger.get("/wallet", allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/login?next=/wallet"
    assert stranger.get("/wallet.json").status_code == 401


@pytest.mark.parametrize("goal", ["//evil.test", "https://evil.test", "/\\evil.test", "/a?b"])
def test_the_login_leads_to_our_own_pages_alone(stranger: Browser, goal: str) -> None:
    fields = {"name": "me", "password": "se:cret", "next": goal}
    answer = stranger.post("/login", fields, allow_redirects=False)
    assert answer.headers["Location"] == "/wallet"


def test_logging_out(stranger: Browser) -> None:
    stranger.log_in()
    cookies = dict(stranger.http.cookies)
    assert stranger.post("/logout", allow_redirects=False).status_code == 303
    stranger.http.cookies.update(cookies)
    answer = stranger.get("/wallet", allow_redirects=False)
    assert answer.headers["Location"] == "/login?next=/wallet"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
def test_forms_of_other_sites_are_refused(stranger: Browser, headers: dict[str, str]) -> None:
    stranger.log_in()
    answer = stranger.post("/logout", headers=headers, allow_redirects=False)
    assert answer.status_code == 403
    assert stranger.get("/wallet", allow_redirects=False).status_code != 303
    answer = stranger.post("/login", {"name": "me", "password": "se:cret"}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("token", ["", "x", "é"])
def test_forms_need_the_sessions_token(stranger: Browser, token: str) -> None:
    stranger.log_in()
    assert stranger.post("/logout", {"csrf": token}).status_code == 403
    other = Browser(stranger.daemon).log_in()
    assert stranger.post("/logout", {"csrf": other.csrf}).status_code == 403


def test_long_forms_are_refused(stranger: Browser) -> None:
    assert stranger.post("/login", {"code": "A" * 100_000}).status_code == 413


def test_without_pages_there_is_no_code(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("-web=0").start()
    assert "-web=0" in daemon.cli("login_code").stderr
    answer = requests.get(f"http://127.0.0.1:{daemon.port}/login", timeout=60)
    assert answer.status_code == 404


def test_a_name_must_be_known_where_others_reach_the_port(make_daemon: MakeDaemon) -> None:
    """A page under a name that was rebound to this address would call the node by that name."""
    daemon = make_daemon("-host=0.0.0.0", "-webhost=node.example").start()
    owner = Browser(daemon).log_in()
    for name, status in ((f"evil.example:{daemon.port}", 403), ("node.example", 200)):
        headers = {"Host": name, "Accept": "text/html"}
        answers = [owner.get(path, headers=headers) for path in ("/wallet", "/login")]
        own = {**headers, "Origin": f"http://{name}"}
        code = daemon.rpc.login_code()["code"]
        answers.append(owner.post("/login", {"code": code}, headers=own))
        assert [answer.status_code for answer in answers] == [status] * 3
        assert ("-webhost=evil.example" in answers[0].text) is (status == 403)
        call = {"id": 1, "method": "get_info", "params": []}
        asked = owner.http.post(owner.origin, json=call, headers=own, timeout=20)
        assert asked.status_code == status
        # Nodes, command lines and scripts go by any name.
        plain = owner.http.post(owner.origin, json=call, headers={"Host": name}, timeout=20)
        assert plain.status_code == 200


def test_a_proxy_may_speak_https_for_a_known_name(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon("-webhost=node.example").start()
    browser = Browser(daemon)
    code = daemon.rpc.login_code()["code"]
    headers = {"Host": "node.example", "Origin": "https://node.example", "Accept": "text/html"}
    answer = browser.post("/login", {"code": code}, headers=headers, allow_redirects=False)
    assert answer.status_code == 303
    assert "Secure" in answer.headers["Set-Cookie"]
