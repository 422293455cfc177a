"""Reports of tests as their frameworks write them: JUnit XML and CTRF; reruns are attempts at one event."""

import io
import json
import tomllib
from pathlib import Path

import pytest

from failaware.ingest.files import ingest_file
from failaware.ingest.stream import Input
from tests.conftest import query
from tests.ingest.test_formats import INPUTS, ingest

EXPECTED = tomllib.loads((Path(__file__).parent / "expected_reports.toml").read_text())

ATTEMPTS = """
SELECT e.event_id, e.event_type, coalesce(a.error_type, ''), coalesce(a.error_message, ''), coalesce(a.cause, ''),
       a.error_type IS NOT NULL
FROM event_log e JOIN attempt_log a USING (event_id) ORDER BY e.event_id, a.attempt_id
"""


def recorded(store):
    """The events that failed at least once, as in the file of expectations; and the number of the others."""
    events = {}
    for event_id, *row in query(store, ATTEMPTS):
        events.setdefault(event_id, []).append(row)
    failed, passed = [], 0
    for attempts in events.values():
        outcomes = "".join("F" if attempt[4] else "S" for attempt in attempts)
        if "F" not in outcomes:
            passed += 1
            continue
        event_type, error_type, message, cause, _ = attempts[outcomes.rindex("F")]
        failed.append([event_type, outcomes, error_type, message, cause])
    return failed, passed


@pytest.mark.parametrize("name", EXPECTED)
def test_a_report_says_what_failed_and_what_was_run_again(store, name):
    done = ingest(store, INPUTS / name)
    failed, passed = recorded(store)
    expected = EXPECTED[name]
    assert failed == expected["events"]
    assert (passed, done.ignored, done.rejected) == (expected.get("passed", 0), expected.get("skipped", 0), 0)
    again = ingest(store, INPUTS / name)
    assert (again.recorded, again.known, again.rejected) == (0, done.recorded, 0)


def report(*tests, **more):
    results = {"tool": {"name": "jest"}, "summary": {"start": 1_795_000_000_000, "stop": 1_795_000_001_000}}
    return json.dumps({"reportFormat": "CTRF", "results": {**results, "tests": tests}, **more}).encode()


def of_test(**more):
    return {"name": "pays", "status": "failed", "duration": 5, "message": "boom", **more}


def read(store, data):
    return ingest_file(store.session, Input(io.BytesIO(data)), origin="report.json")


def test_a_test_in_ctrf_that_cannot_be_read_is_rejected_alone(store):
    done = read(store, report(of_test(), 17, {"status": "failed"}, of_test(name=["x"]), of_test(status="skipped")))
    assert (done.recorded, done.rejected, done.ignored) == (1, 3, 1)
    assert read(store, report("x", tests=[])).rejected == 1
    assert read(store, b'{"reportFormat": "CTRF", "results": {"tests": 1}}').rejected == 1


def test_tests_of_one_name_in_ctrf_are_two_and_another_run_is_another_event(store):
    for run in ("a", "b", "a"):
        read(store, report(of_test(), of_test(start=1_795_000_000), reportId=run))
    assert query(store, "SELECT count(*), count(DISTINCT occurred_at) FROM event_log") == [(4, 1)]
    assert query(store, "SELECT finished_at - started_at FROM attempt_log LIMIT 1") == [(5_000,)]


@pytest.mark.parametrize(
    "odd",
    [
        *({"retries": 10**9}, {"retries": "2"}, {"retryAttempts": [1, {}, {"status": "failed"}]}, {"duration": "x"}),
        *({"message": ["a"]}, {"trace": {"a": 1}}, {"suite": 5}, {"start": "x"}, {"stdout": [None]}, {"status": 5}),
    ],
)
def test_an_odd_value_in_ctrf_is_no_error_of_ours(store, odd):
    done = read(store, report(of_test(**odd)))
    assert (done.rejected, done.recorded + done.ignored) == (0, 1)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_report_in_ctrf_has_any_size_and_others_may_follow(store, monkeypatch, indent):
    """One test may be too long, and what identifies the report comes last."""
    monkeypatch.setattr("failaware.ingest.formats.ctrf_file.MAX_LINE", 20_000)
    many = [of_test(name=f"t{number}", message="x" * 900) for number in range(100)]
    values = json.loads(report(*many, of_test(message="x" * 21_000), reportId="a"))
    results = {"tests": values["results"].pop("tests"), **values["results"]}
    data = json.dumps({**values, "results": results}, indent=indent).encode()
    done = read(store, data + b"\n" + report(of_test(), reportId="b") + b'\n{"type": "own"}\n')
    assert (done.recorded, done.rejected) == (102, 1)
    assert (read(store, data).known, read(store, data[:-20]).rejected) == (100, 2)
