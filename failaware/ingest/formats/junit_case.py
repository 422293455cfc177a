"""A test case of a JUnit report: its name, when it ran, and an attempt for each of its runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from failaware.capture.record import Recorder
from failaware.errors import UsageError
from failaware.ingest.formats.reported_test import Run, unexplained
from failaware.ingest.formats.test_failure import Problem, failure_of_test, runs_of
from failaware.ingest.functions import time
from failaware.text import bounded

MAX_TEXT = 262_144
"""Characters read of one text; fewer are kept."""

FINAL = ("failure", "error")
"""Elements that say why the last run failed, or with Surefire's reruns the first one."""

PROBLEMS = (*FINAL, "flakyFailure", "flakyError", "rerunFailure", "rerunError")
"""Elements that say why a run failed."""

_MAX_PROBLEMS, _MAX_PROPERTIES, _MAX_RUNS = 100, 1_000, 100  # of one test
_MAX_OUTPUT = 16_384  # characters kept of a test's output
_PYTEST = "pytest"  # the name of its suites
_TEARDOWN = 'failed on teardown with "'  # pytest writes it as another case
_SKEW = 60_000_000  # µs by which a machine's clock may be ahead of ours


@dataclass(slots=True)
class Case:
    """A test case of a report, with its suite's own attributes; `again` are later runs of the same test."""

    attributes: dict[str, str]
    suite: dict[str, str]
    line_no: int
    problems: list[Problem] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    again: list["Case"] = field(default_factory=list)
    skipped: bool = False
    is_too_large: bool = False
    is_unique: bool = False
    """Whether another element of its name is another test."""

    def add_problem(self, kind: str, attributes: dict[str, str], text: str) -> None:
        """Add a failure, an error or a rerun."""
        self.is_too_large = self.is_too_large or len(self.problems) >= _MAX_PROBLEMS
        if not self.is_too_large:
            self.problems.append((kind, attributes, text))

    def add_property(self, attributes: dict[str, str]) -> None:
        """Add a property of the test."""
        self.is_too_large = self.is_too_large or len(self.properties) >= _MAX_PROPERTIES
        if not self.is_too_large:
            self.properties[attributes.get("name", "")] = attributes.get("value", "")

    def add_run(self, later: "Case") -> None:
        """Add a later run of the same test; an error in the teardown of the last run is part of that."""
        last = self.again[-1] if self.again else self
        message = later.problems[0][1].get("message", "") if later.problems else ""
        if message.startswith(_TEARDOWN) and last.problems:
            for problem in later.problems:
                last.add_problem(*problem)
        elif len(self.again) < _MAX_RUNS:
            self.again.append(later)
        else:
            self.is_too_large = True

    @property
    def may_be_run_again(self) -> bool:
        """Whether another element of its name is a later run: no test that has passed is run again.

        pytest-rerunfailures writes earlier runs as if they had passed.
        """
        last = self.again[-1] if self.again else self
        return not self.is_unique and (bool(last.problems) or self.suite.get("name") == _PYTEST)

    @property
    def name(self) -> str:
        """The type of its events."""
        return ".".join(part for part in (self.attributes.get("classname"), self.attributes.get("name")) if part)

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What is the same for all runs of the test in its suite."""
        return tuple(self.attributes.get(name) for name in ("classname", "name", "file", "line"))

    @property
    def size(self) -> int:
        """About how many characters it holds."""
        own = sum(len(text) for _, _, text in self.problems) + sum(map(len, self.texts.values())) + 1_000
        return own + sum(later.size for later in self.again)

    @property
    def content(self) -> tuple[Any, ...]:
        """What distinguishes it from the same test in another report."""
        return (self.attributes, self.suite, self.problems, *(case.content for case in self.again))

    @property
    def payload(self) -> dict[str, Any]:
        """What is kept in addition to the failure."""
        payload: dict[str, Any] = {"test": self.attributes, "suite": self.suite}
        if self.properties:
            payload["properties"] = self.properties
        return payload | {kind: bounded(text, _MAX_OUTPUT) for kind, text in self.texts.items() if text}

    def check_size(self) -> None:
        """Refuse a test that has too much of anything.

        Raises:
            UsageError: it has.
        """
        if self.is_too_large:
            most = f"{_MAX_PROBLEMS:,} failures, {_MAX_RUNS:,} runs and {_MAX_PROPERTIES:,} properties"
            raise UsageError(f"a test can have at most {most}")

    def time(self, now: int) -> int | None:
        """Return when it ran, in µs; None if the report has no time.

        A time without a zone is local in reports of pytest, googletest and CTest. Others write UTC, unless that would
        be in the future.
        """
        text = self.attributes.get("timestamp") or self.suite.get("timestamp")
        local, in_utc = _readings(text)
        if local is None or in_utc is None:  # it has a zone
            return local
        is_local = self.suite.get("name") == _PYTEST or "status" in self.attributes
        moment = local if (is_local and local <= now + _SKEW) or in_utc > now + _SKEW else in_utc
        return moment if moment > 0 else None

    def runs(self, recorder: Recorder) -> Iterator[Run]:
        """Yield the runs of the test, in their order."""
        cases = [self, *self.again]
        for case in cases:
            runs = list(case._own_runs(recorder))  # noqa: SLF001
            is_last = case is cases[-1]
            if not is_last and runs[-1].failure is None and self.suite.get("name") == _PYTEST:
                runs[-1] = runs[-1]._replace(failure=unexplained(recorder))  # pytest-rerunfailures
            yield from runs

    def _own_runs(self, recorder: Recorder) -> Iterator[Run]:
        """Yield the runs in this element: Surefire and nextest put reruns into one, Playwright into its text."""
        took = _span(self.attributes.get("time"))
        final = [problem for problem in self.problems if problem[0] in FINAL]
        again = [problem for problem in self.problems if problem[0] not in FINAL]
        if final:  # Surefire puts the first run there, and then the reruns
            first, *later = runs_of(final[0])
            yield self._run([first, *final[1:]], took, recorder)
            again = [*later, *again]
        for problem in again:
            yield self._run([problem], took, recorder)
        if not final:
            yield Run(None, took)

    def _run(self, problems: list[Problem], took: int, recorder: Recorder) -> Run:
        output = self.texts.get("system-err") or self.texts.get("system-out") or ""
        return Run(failure_of_test(self.attributes, problems, recorder, output), took)


@lru_cache(maxsize=256)
def _readings(text: str | None) -> tuple[int | None, int | None]:
    """Return a time, in µs, as a local one and as one in UTC; most tests of a report have that of their suite."""
    return time(text), time(f"{text} UTC")


def _span(seconds: str | None) -> int:
    try:
        took = float((seconds or "0").replace(",", ""))  # Surefire groups thousands
    except ValueError:
        return 0
    return int(took * 1_000_000) if 0 <= took < 1e9 else 0
