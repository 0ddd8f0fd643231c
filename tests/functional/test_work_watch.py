"""What can be seen of the work service: metrics, the status page, structured logs."""

import json
import random
import re

import pytest
import requests

from tests.functional.framework.daemon import wait_until
from tests.functional.framework.work import (
    Program,
    WorkService,
    base64_text,
    random_hash,
    target_for,
)


@pytest.fixture
def watched(tmp_path, reserve_port):
    port = reserve_port()
    service = WorkService(tmp_path, f"-watchport={port}", "-logjson", "-loglevel=debug")
    yield service, f"http://127.0.0.1:{port}"
    service.stop()
    for line in service.log.text.splitlines():
        assert json.loads(line).keys() >= {"time", "level", "source", "message"}


def metrics(url):
    """The figures by name, from Prometheus' text format."""
    answer = requests.get(f"{url}/metrics", timeout=60)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            name, value = re.fullmatch(r"(\w+(?:\{\w+=\"[^\"]*\"\})?) (\S+)", line).groups()
            assert name not in found
            found[name.removeprefix("misocoin_work_")] = float(value)
    return found


def test_figures_follow_what_happens(watched, tmp_path):
    service, url = watched
    chance = random.Random(1)
    assert metrics(url)["jobs_solved_total"] == 0
    miner = Program(tmp_path, "mine", f"localhost:{service.port}")
    with service.framed() as client:
        for number in range(5):
            initial_hash = base64_text(random_hash(chance))
            client.send(
                id=number, method="do_pow", target=target_for(100), initialHash=initial_hash
            )
        for number in range(5):
            assert client.answer_to(number, "done")["status"] == "done"
        hard = base64_text(random_hash(chance))
        client.send(id=9, method="do_pow", target=target_for(1 << 40), initialHash=hard)
        job = client.answer_to(9)["job"]
        wait_until(lambda: metrics(url)["jobs"] == 1, "the open job is seen")
        client.send(id=10, method="cancel", job=job)
        assert client.answer_to(9)["error"]["code"] == "cancelled"
        wait_until(lambda: metrics(url)["jobs"] == 0, "its end is seen")
    found = metrics(url)
    assert found["jobs_accepted_total"] == 6
    assert found["jobs_solved_total"] == found["job_seconds_count"] == 5
    assert found['job_seconds_bucket{le="+Inf"}'] == 5
    assert found['jobs_failed_total{code="cancelled"}'] == 1
    assert found["miners"] == 1
    assert found["hashes_total"] > 5
    assert '"level": "info"' in service.log.text
    assert f'"job": "{job}"' in service.log.text
    miner.close()


def test_the_page_stands_alone_under_a_strict_policy(watched):
    _, url = watched
    page = requests.get(url, timeout=60)
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert page.text.count("<script") == page.text.count("<script src=") == 1
    assert "style=" not in page.text
    for address in re.findall(r'(?:src|href)="([^"#]+)"', page.text):
        assert address.startswith("/"), address
        assert requests.get(url + address, timeout=60).status_code == 200
    assert "Hash rate" in page.text
    assert requests.get(f"{url}/other", timeout=60).status_code == 404
    assert requests.post(url, timeout=60).status_code == 405
    assert requests.head(url, timeout=60).text == ""
