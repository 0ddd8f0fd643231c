"""Figures, their text for Prometheus, and the page."""

import json
import re

from misocoin.work.figures import Figures, Gauges, Worker
from misocoin.work.metrics import metrics_text
from misocoin.work.page import StatusPage
from misocoin.work.watch import watch_application

GAUGES = Gauges(jobs=3, clients=2, connections=9, miners=4, idle=1, leases=5, banned=0)


WORKERS = (Worker("192.0.2.7", 4, 6e6, 2, 11, 3), Worker("token-ab", 5, 0.0, 0, 0, 0))

GET_STATUS = {"REQUEST_METHOD": "GET", "PATH_INFO": "/status.json"}


def filled():
    figures = Figures()
    for seconds in (0.001, 0.005, 0.3, 2.0, 5000.0):
        figures.solve(seconds)
    figures.fail("deadline")
    figures.fail("deadline")
    for step in range(4):
        figures.sample(GAUGES, 5.0 * step, 1_795_000_000 + 5.0 * step)
        figures.hashes += 5_000_000
    return figures


def test_rates_are_hashes_between_samples():
    figures = filled()
    assert [sample.rate for sample in figures.history] == [1e6, 1e6, 1e6]
    assert figures.rate == 1e6


def test_the_history_is_an_hour():
    figures = Figures()
    for step in range(2000):
        figures.sample(GAUGES, 5.0 * step, 5.0 * step)
    assert len(figures.history) == 720


def test_metrics():
    text = metrics_text(filled().snapshot(GAUGES, 1_795_000_015.0, 20.0))
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert values["misocoin_work_jobs"] == "3"
    assert values["misocoin_work_hash_rate"] == "1000000"
    assert values['misocoin_work_jobs_failed_total{code="deadline"}'] == "2"
    buckets = [
        int(value)
        for name, value in values.items()
        if name.startswith("misocoin_work_job_seconds_b")
    ]
    assert buckets == sorted(buckets)
    assert values['misocoin_work_job_seconds_bucket{le="0.005"}'] == "2"
    assert values['misocoin_work_job_seconds_bucket{le="600"}'] == "4"
    assert values['misocoin_work_job_seconds_bucket{le="+Inf"}'] == "5"
    assert values["misocoin_work_job_seconds_count"] == "5"
    described = re.findall(r"# TYPE (\S+) (?:gauge|counter|histogram)\n", text)
    assert len(described) == len(set(described)) == text.count("# HELP")
    for name in values:
        family = re.sub(r"\{.*|_bucket|_sum$|_count$", "", name)
        assert family in described, name


def test_the_page_has_figures_and_charts():
    page = StatusPage().html(filled().snapshot(GAUGES, 1_795_000_015.0, 20.0, WORKERS))
    assert page.count("<polyline") == 3
    assert "192.0.2.7" in page
    assert "6 MH/s" in page
    assert "And 2 slower ones" in page
    assert "1 MH/s" in page
    assert "deadline" in page
    assert "style=" not in page
    assert page.count("<script") == page.count("<script src=") == 1
    fresh = StatusPage().html(Figures().snapshot(GAUGES, 0.0, 0.0))
    assert "begins in a moment" in fresh
    assert "None is connected" in fresh


def test_programs_are_told_of_the_workers():
    snapshot = filled().snapshot(GAUGES, 1_795_000_015.0, 20.0, WORKERS)
    told = json.loads(b"".join(watch_application(lambda: snapshot)(GET_STATUS, lambda *_: None)))
    assert (told["miners"], told["solved"], told["hash_rate"]) == (4, 5, 1e6)
    assert told["workers"][0] == WORKERS[0]._asdict()


def test_a_static_file_may_be_kept_and_figures_may_not():
    snapshot = filled().snapshot(GAUGES, 1_795_000_015.0, 20.0)
    application = watch_application(lambda: snapshot)
    kept = {}
    for path in ("/", "/metrics", "/static/miso.css", "/static/../page.py", "/static/"):

        def start(status, headers, path=path):
            kept[path] = (status, dict(headers)["Cache-Control"])

        application({"REQUEST_METHOD": "GET", "PATH_INFO": path}, start)
    assert kept["/"] == kept["/metrics"] == ("200 OK", "no-store")
    assert "immutable" in kept["/static/miso.css"][1]
    assert kept["/static/../page.py"] == kept["/static/"] == ("404 Not Found", "no-store")
