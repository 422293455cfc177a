"""CTRF, the Common Test Report Format (JSON): each test of a run is an event, SYNCED or DEAD, as in a JUnit report.

A retry is an attempt at the event. Tests that were skipped are not recorded. https://ctrf.io
"""

from collections.abc import Iterator
from typing import Any

from failaware.capture.external import ParsedInput, event_of, reason
from failaware.capture.record import Recorder, as_name
from failaware.errors import FailawareError, UsageError
from failaware.ingest.formats.reported_test import Run, attempts, unexplained
from failaware.ingest.formats.test_failure import failure_of_test
from failaware.ingest.functions import stack, text, time
from failaware.model import EventWithAttempts
from failaware.text import bounded

_MAX_RAW = 65_536  # characters of a test that is rejected
_MAX_RETRIES = 100
_FAILED = ("failed", "other")
_LEFT_OUT = (
    "message",
    "trace",
    "retryAttempts",
    "steps",
    "snippet",
)  # of the payload: they are in the attempts, or large


def matches(values: dict[str, Any]) -> bool:
    """Whether it is a report in CTRF; the first versions had only `results`."""
    results = values.get("results")
    return isinstance(results, dict) and "tests" in results and ("reportFormat" in values or "tool" in results)


def parse(values: dict[str, Any], _raw: str, recorder: Recorder, now: int) -> ParsedInput:
    """Return the events of a report; a test that cannot be read is rejected alone.

    Raises:
        UsageError: it has no list of tests.
    """
    results = values["results"]
    tests = results["tests"]
    if not isinstance(tests, list):
        raise UsageError("the tests of a CTRF report must be an array")
    report = Report(values, recorder, now)
    events, ignored, rejected = [], 0, []
    for test in tests:
        try:
            event = report.event(test)
        except FailawareError as error:
            rejected.append((bounded(repr(test), _MAX_RAW).encode("utf-8", "backslashreplace"), reason(error)))
            continue
        events += [] if event is None else [event]
        ignored += event is None
    return ParsedInput(events, ignored, tuple(rejected))


class Report:
    """A report, whose tests become events."""

    def __init__(self, values: dict[str, Any], recorder: Recorder, now: int) -> None:
        results = values["results"]
        summary, tool = _object(results.get("summary")), _object(results.get("tool"))
        self._recorder, self._now = recorder, now
        self._tool = text(tool.get("name")) or "ctrf"
        self._environment = _object(results.get("environment"))
        self._began = summary.get("start") or values.get("timestamp")
        self._report_id = text(values.get("reportId")) or f"{self._tool} {summary.get('start')} {summary.get('stop')}"
        self._keys: dict[int, int] = {}  # by hash: a report may have very many tests

    def event(self, test: Any) -> EventWithAttempts | None:
        """Return the event of a test; None if it was not run."""
        if not isinstance(test, dict) or not isinstance(test.get("name"), str):
            raise UsageError("a test of a CTRF report must have a name")
        has_failed = test.get("status") in _FAILED and (test["status"] == "failed" or _problem(test) != ("", ""))
        if test.get("status") != "passed" and not has_failed:
            return None
        recorder = self._recorder
        name = as_name(_name(test), recorder)
        payload = {"test": {key: value for key, value in test.items() if key not in _LEFT_OUT}}
        if self._environment:
            payload["environment"] = self._environment
        event = event_of(
            recorder,
            name,
            payload,
            now=self._now,
            key=as_name(self._key(name), recorder),
            source=as_name(f"ctrf:{self._tool}", recorder),
            occurred_at=time(test.get("start")) or time(self._began),
        )
        runs = self._runs(test, has_failed=has_failed)
        return EventWithAttempts(event, tuple(attempts(runs, began=event.occurred_at, worker="observed")))

    def _key(self, name: str) -> str:
        """Return a key that is unique in the report: tests may have the same name."""
        number = self._keys[hash(name)] = self._keys.get(hash(name), 0) + 1
        return f"ctrf:{self._report_id} {name}" + (f" {number}" if number > 1 else "")

    def _runs(self, test: dict[str, Any], *, has_failed: bool) -> Iterator[Run]:
        """Yield the runs of a test: the retries that are described, those that are only counted, and the last one."""
        described = test.get("retryAttempts")
        earlier = [each for each in described if isinstance(each, dict)] if isinstance(described, list) else []
        retries = test.get("retries")
        count = retries if isinstance(retries, int) and 0 <= retries <= _MAX_RETRIES else 0
        for _ in range(count - len(earlier)):
            yield Run(unexplained(self._recorder))
        for attempt in earlier[:_MAX_RETRIES]:
            yield self._run(attempt, test, has_failed=attempt.get("status") != "passed")
        yield self._run(test, test, has_failed=has_failed)

    def _run(self, run: dict[str, Any], test: dict[str, Any], *, has_failed: bool) -> Run:
        duration = run.get("duration")
        took = int(duration * 1_000) if isinstance(duration, int | float) and 0 <= duration < 1e12 else 0
        if not has_failed:
            return Run(None, took)
        message, trace = _problem(run)
        if (message, trace) == ("", "") and run is not test:
            return Run(unexplained(self._recorder), took)
        problem = ("failure", {"message": message}, trace)
        return Run(failure_of_test({"name": test["name"]}, [problem], self._recorder, _output(run)), took)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _problem(run: dict[str, Any]) -> tuple[str, str]:
    """Return message and trace. Some reporters strip the blanks before each frame of Node.js."""
    message, trace = text(run.get("message")) or "", stack(run.get("trace")) or ""
    if trace.startswith("at "):
        trace = "\n".join([message.rstrip(), *(f"    {line}" for line in trace.split("\n"))])
    return message, trace


def _name(test: dict[str, Any]) -> str:
    """Return the suite and the name, unless the name has its suite already."""
    suite, name = test.get("suite"), str(test["name"])
    names = [str(each) for each in suite] if isinstance(suite, list) else [suite] if isinstance(suite, str) else []
    return name if not names or name.startswith(names[0]) else f"{' > '.join(names)}.{name}"


def _output(run: dict[str, Any]) -> str:
    return text(run.get("stderr")) or text(run.get("stdout")) or ""
