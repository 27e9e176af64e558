"""Faults of the plan happen as planned; a wrong plan names its line."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path

import pytest

from pyf_scrapy.exceptions import ReplicaError
from pyf_scrapy.replica import Handle, Options, running_replica
from pyf_scrapy.replica.faults import Plan, load_plan, parse_plan

from .client import SIMPLE_JSON, get


def released(handle: Handle) -> str:
    """A project with several releases."""
    for name in handle.replica.names():
        project = handle.replica.project(name)
        if project and len(project.releases) > 2:
            return name
    raise AssertionError("no such project")


@pytest.mark.parametrize("status", [404, 429, 500, 502, 503, 418])
def test_statuses(replica: Handle, status: int) -> None:
    name = released(replica)
    replica.faults([{"match": name, "fault": f"status-{status}", "retry_after": 7}])
    for path in (f"/pypi/{name}/json", f"/simple/{name}/"):
        answer = get(replica.url, path)
        assert (answer.status, answer.headers["Retry-After"]) == (status, "7")
    assert get(replica.url, "/simple/").status == 200


def test_retry_after_as_a_date(replica: Handle) -> None:
    fixed = "Wed, 21 Oct 2026 07:28:00 GMT"
    replica.faults(
        [
            {"match": "/simple/", "fault": "status-503", "retry_after": fixed, "times": 1},
            {"match": "/simple/", "fault": "status-503", "retry_after": "date+90"},
        ]
    )
    assert get(replica.url, "/simple/").headers["Retry-After"] == fixed
    moment = parsedate_to_datetime(get(replica.url, "/simple/").headers["Retry-After"])
    assert 80 < (moment - datetime.now(UTC)).total_seconds() < 91


def test_times_count_for_each_path_or_for_the_rule(replica: Handle) -> None:
    first, second = replica.replica.names()[:2]
    paths = [f"/simple/{first}/", f"/simple/{second}/"] * 3
    replica.faults([{"match": "*", "fault": "status-500", "times": 2}])
    assert [get(replica.url, path).status for path in paths] == [500, 500, 500, 500, 200, 200]
    replica.faults([{"match": "*", "fault": "status-500", "times": 2, "per": "rule"}])
    assert [get(replica.url, path).status for path in paths] == [500, 500, 200, 200, 200, 200]
    replica.reset()
    assert [get(replica.url, path).status for path in paths[:3]] == [500, 500, 200]


def test_what_exceeds_so_many_requests_in_a_second() -> None:
    """Else no test could tell that workers keep a ceiling together. What is refused uses up nothing."""
    now = 100.0
    rules = parse_plan("[{match: '/pypi/*', fault: status-429, above: 2}]", "plan")
    plan = Plan(rules, clock=lambda: now)

    def refused() -> bool:
        return plan.next("/pypi/a/json", "a") is not None

    assert [refused() for _ in range(4)] == [False, False, True, True]
    assert plan.next("/simple/", None) is None
    now += 0.75
    assert refused()
    now += 0.25
    assert [refused() for _ in range(3)] == [False, False, True]
    assert plan.applied == {"status-429": 4}


def test_slow(replica: Handle) -> None:
    replica.faults([{"match": "/simple/", "fault": "slow", "delay": 0.4}])
    begun = time.monotonic()
    assert get(replica.url, "/simple/").status == 200
    assert time.monotonic() - begun >= 0.4


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("path", ["/simple/", "/pypi/{}/json"])
def test_cut(replica: Handle, path: str, encoding: str) -> None:
    path = path.format(released(replica))
    whole = get(replica.url, path, accept=SIMPLE_JSON, accept_encoding=encoding).body
    replica.faults([{"match": path, "fault": "cut"}])
    with pytest.raises(IncompleteRead) as caught:
        get(replica.url, path, accept=SIMPLE_JSON, accept_encoding=encoding)
    assert caught.value.partial == whole[: len(whole) // 2]


def test_disconnect(replica: Handle) -> None:
    replica.faults([{"match": "/simple/", "fault": "disconnect"}])
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        get(replica.url, "/simple/")
    assert replica.statistics()["statuses"] == {"0": 1}


def test_garbage_is_no_json(replica: Handle) -> None:
    name = released(replica)
    replica.faults([{"match": name, "fault": "garbage"}])
    answer = get(replica.url, f"/pypi/{name}/json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"."):
        json.loads(answer.body)


def test_html_page_with_status_200(replica: Handle) -> None:
    name = released(replica)
    replica.faults([{"match": f"/pypi/{name}/*", "fault": "html"}])
    answer = get(replica.url, f"/pypi/{name}/json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")


def test_stale_is_older_in_serial_and_content(replica: Handle) -> None:
    name = released(replica)
    now = json.loads(get(replica.url, f"/pypi/{name}/json").body)
    replica.faults([{"match": name, "fault": "stale", "serial_lag": 5}])
    for path in (f"/pypi/{name}/json", f"/simple/{name}/"):
        answer = get(replica.url, path, accept=SIMPLE_JSON)
        assert int(answer.headers["X-PyPI-Last-Serial"]) == now["last_serial"] - 5
    assert get(replica.url, f"/pypi/{name}/json", accept_encoding="gzip").status == 200
    stale = json.loads(get(replica.url, f"/pypi/{name}/json").body)
    assert stale["last_serial"] == now["last_serial"] - 5
    assert len(stale["releases"]) == len(now["releases"]) - 1


def test_a_stale_page_of_what_does_not_exist(replica: Handle) -> None:
    replica.faults([{"match": "*", "fault": "stale"}])
    assert get(replica.url, "/pypi/no-such-thing/json").status == 404


def test_stale_after_an_event_is_the_state_before_it(replica: Handle) -> None:
    name = released(replica)
    before = get(replica.url, f"/pypi/{name}/json").body
    replica.event({"event": "release", "project": name, "version": "77.0"})
    replica.faults([{"match": name, "fault": "stale", "times": 1}])
    assert get(replica.url, f"/pypi/{name}/json").body == before
    assert json.loads(get(replica.url, f"/pypi/{name}/json").body)["info"]["version"] == "77.0"


def test_stale_index_has_not_heard_of_the_last_events(replica: Handle) -> None:
    before = json.loads(get(replica.url, "/simple/", accept=SIMPLE_JSON).body)
    name = released(replica)
    replica.event(
        {"event": "create", "project": "Brand.New", "version": "1.0"},
        {"event": "release", "project": name, "version": "77.0"},
        {"event": "delete-project", "project": replica.replica.names()[-1]},
    )
    replica.faults([{"match": "/simple/", "fault": "stale", "serial_lag": 3, "times": 1}])
    assert json.loads(get(replica.url, "/simple/", accept=SIMPLE_JSON).body) == before
    after = json.loads(get(replica.url, "/simple/", accept=SIMPLE_JSON).body)
    assert after["meta"]["_last-serial"] == before["meta"]["_last-serial"] + 3
    assert {"_last-serial": before["meta"]["_last-serial"] + 1, "name": "Brand.New"} in after["projects"]


def test_first_rule_wins_until_it_is_used_up() -> None:
    plan = Plan(parse_plan("[{match: a*, fault: html, times: 1}, {match: '*', fault: cut}]", "plan"))
    rules = [plan.next("/pypi/abc/json", "abc") for _ in range(2)] + [plan.next("/simple/", None)]
    assert [rule.fault if rule else None for rule in rules] == ["html", "cut", None]
    assert plan.applied == {"html": 1, "cut": 1}


def test_rules_given_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([{"match": "/simple/", "fault": "status-503", "times": "always"}]))
    with running_replica(Options(projects=5), rules=load_plan(file)) as handle:
        assert get(handle.url, "/simple/").status == 503


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("match: x", "plan, line 1: a plan is a list"),
        ("- 5", "plan, line 1: a rule is a mapping"),
        (
            "- match: x\n  fault: cut\n- match: y\n  fualt: cut\n",
            "plan, line 4: unknown key 'fualt'; known: match",
        ),
        ("- match: x\n", "plan, line 1: fault is missing"),
        (
            "- match: x\n  fault: status-200\n",
            "plan, line 2: fault: unknown fault 'status-200'; known: status-NNN",
        ),
        (
            "- match: x\n  fault: cut\n  times: often",
            "plan, line 3: times: 'often' is neither a number nor always",
        ),
        ("- {match: x, fault: cut, per: week}", "line 1: per: 'week' is neither path nor rule"),
        ("- {match: x, fault: cut, retry_after: soon}", "'soon' is neither seconds, an HTTP date nor date"),
        ("- {match: x, fault: slow, delay: -1}", "delay: -1 is not between 0 and 3600 seconds"),
        ("- {match: x, fault: slow, delay: soon}", "delay: could not convert"),
        ("- {match: x, fault: stale, serial_lag: a}", "serial_lag: 'a' is not a number"),
        ("- {match: '', fault: cut}", "match: needs a glob"),
        ("- {match: [x], fault: cut}", "match is a single value"),
        ("- {match: x\n- [", "plan, line 2: "),
        ("\x00", "plan: "),
    ],
)
def test_wrong_plans_name_the_line(text: str, message: str) -> None:
    with pytest.raises(ReplicaError) as caught:
        parse_plan(text, "plan")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_plan_over_http_changes_nothing(replica: Handle) -> None:
    replica.faults([{"match": "/simple/", "fault": "status-503"}])
    with pytest.raises(ReplicaError, match="unknown fault 'explode'"):
        replica.faults([{"match": "*", "fault": "explode"}])
    assert get(replica.url, "/simple/").status == 503
    replica.faults([])
    assert get(replica.url, "/simple/").status == 200


def test_a_plan_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ReplicaError, match=r"none\.yaml: cannot be read"):
        load_plan(tmp_path / "none.yaml")
    assert parse_plan("# nothing\n", "plan") == []
