"""A plugin for pytest: with `pytest --failaware=PATH` each test of a run is an event, SYNCED or DEAD.

A test is keyed by its node id and the run, and its type is the node id: a test that fails now and then is one cluster,
which recurs. Skips and expected failures are none. With xdist the workers describe, and only the controller writes.
"""

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from failaware.model import Failure, NewAttempt
    from failaware.store import Store

_SAID = "failaware"  # the attribute under which a report carries what is known of its exception
_MAX_CAPTURED = 16_384  # characters of each captured stream that are kept


def pytest_addoption(parser: pytest.Parser) -> None:
    """pytest: --failaware."""
    group = parser.getgroup("failaware")
    group.addoption("--failaware", metavar="PATH", help="record each test of the run in this failaware store")


def pytest_configure(config: pytest.Config) -> None:
    """pytest: begin, when a path is given."""
    path = config.getoption("failaware")
    if not path:
        return
    config.pluginmanager.register(_Describer(), "failaware-describer")
    if not hasattr(config, "workerinput"):  # which xdist gives to its workers
        from failaware.errors import FailawareError
        from failaware.store import Store

        try:
            store = Store.open(path, synchronous="NORMAL")
        except FailawareError as error:
            raise pytest.UsageError(f"--failaware: {error}") from None
        config.pluginmanager.register(_Recorder(store, path, config), "failaware-recorder")


class _Describer:
    """Adds what only the process knows in which a test failed: the exception's type, message and root cause."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        report = yield
        if report.failed and call.excinfo is not None:
            from failaware.capture.exceptions import describe

            setattr(report, _SAID, describe(call.excinfo.value)._replace(traceback=None)._asdict())
        return report


class _Recorder:
    """Writes each test as soon as it has ended, so that a run that is killed leaves what it did."""

    def __init__(self, store: "Store", path: str, config: pytest.Config) -> None:
        from secrets import token_hex

        from failaware.text import moment

        self._store, self._path = store, path
        self._run = f"{moment(store.clock())} {token_hex(4)}"
        self._by_worker = config.getoption("dist", "no") == "each"
        self._phases: dict[tuple[str, str], list[pytest.TestReport]] = {}
        self._tries: dict[tuple[str, str], list[NewAttempt]] = {}
        self._recorded = self._failed = 0
        self._unwritten: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """pytest: a phase of a test has ended; the test has with its clean-up, or with the worker it was on."""
        test = (report.nodeid, _worker(report))
        phases = self._phases.setdefault(test, [])
        if report.when == "setup" and phases:
            self._again(test, phases)
        phases.append(report)
        if report.when in {"setup", "call"}:
            return
        if any(_is_rerun(phase) for phase in phases):
            self._again(test, phases)
        else:
            del self._phases[test]
            self._end(test, phases)

    def _again(self, test: tuple[str, str], phases: list[pytest.TestReport]) -> None:
        """What pytest-rerunfailures will run again was one try; some of its versions do not report the clean-up."""
        made = self._attempt(phases)
        self._tries.setdefault(test, []).append(made._replace(retry_at=made.finished_at, because="run again"))
        phases.clear()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """pytest: a file was collected, or cannot be."""
        if report.failed:
            self._end((report.nodeid, _worker(report)), [report])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """pytest: the end."""
        from failaware.text import shown_place

        place = shown_place(self._path)
        said = f"failaware: {self._recorded:,} tests in {place}, {self._failed:,} failed"
        if self._unwritten is not None:
            said += f"; not all are recorded: {self._unwritten}"
        terminalreporter.write_line(said)

    def pytest_unconfigure(self) -> None:
        """pytest: nothing more will come."""
        self._store.close()

    def _end(self, test: tuple[str, str], phases: list[Any]) -> None:
        tries = self._tries.pop(test, [])
        failed = [report for report in phases if report.failed]
        if failed or tries or not any(report.skipped for report in phases):
            self._write(test, phases, [*tries, self._attempt(phases)])

    def _attempt(self, phases: list[Any]) -> "NewAttempt":
        from failaware.ingest.observed import attempt
        from failaware.store import this_worker

        failed = [report for report in phases if report.failed or _is_rerun(report)]
        now = self._store.clock() / 1e6
        began = int(getattr(phases[0], "start", now) * 1e6)
        took = int(getattr(phases[-1], "stop", now) * 1e6) - began
        return attempt(self._failure(failed), worker=f"{this_worker()}#pytest", started_at=began, took=took)

    def _failure(self, failed: list[Any]) -> "Failure | None":
        """What the failed phases say: a test may fail and then fail to clean up."""
        from failaware.capture.exceptions import failure

        if not failed:
            return None
        text = "\n\n".join(str(report.longrepr) for report in failed)
        said = getattr(failed[0], _SAID, None) or {
            "error_type": "WorkerCrashed" if getattr(failed[0], "when", None) == "???" else "Failed",
            "error_message": next(iter(text.splitlines()), ""),
        }
        return failure(
            said["error_type"],
            said["error_message"],
            text,
            cause=said.get("cause"),
            fingerprint=said.get("fingerprint"),
            masker=self._store.recorder.masker,
        )

    def _write(self, test: tuple[str, str], phases: list[Any], tries: list["NewAttempt"]) -> None:
        from failaware.errors import FailawareError
        from failaware.ingest.observed import event_of
        from failaware.ingest.record import as_name
        from failaware.model import Observed

        nodeid, worker = test
        try:
            event = event_of(
                self._store.recorder,
                as_name(nodeid),
                _payload(phases, worker) | {"run": self._run},
                now=self._store.clock(),
                key=as_name(f"pytest:{self._run} {nodeid}" + (f" {worker}" if self._by_worker else "")),
                source="pytest",
                occurred_at=tries[0].started_at,
            )
            self._store.ingest([Observed(event, tuple(tries))], [])
        except FailawareError as error:  # the run must not fail because of us
            self._unwritten = str(error)
            return
        self._recorded += 1
        self._failed += tries[-1].failure is not None


def _is_rerun(report: Any) -> bool:
    """Whether it is a failure that is not the last word."""
    return bool(report.outcome == "rerun")


def _worker(report: Any) -> str:
    """The worker of xdist that made a report; "" without xdist."""
    node = getattr(report, "node", None)
    return "" if node is None else str(node.gateway.id)


def _payload(phases: list[Any], worker: str) -> dict[str, Any]:
    """Where the test stands, what it said of itself, and what it wrote when it failed."""
    from failaware.capture.json_values import as_json
    from failaware.text import bounded

    last = phases[-1]
    failed = [report for report in phases if report.failed]
    location = getattr(last, "location", None)
    said = {
        "where": f"{location[0]}:{(location[1] or 0) + 1}" if location else None,
        "phase": getattr(failed[0], "when", "collect") if failed else None,
        "properties": {str(name): as_json(value) for name, value in getattr(last, "user_properties", ())},
        "captured": {name: bounded(text, _MAX_CAPTURED) for name, text in last.sections} if failed else None,
        "python": ".".join(map(str, sys.version_info[:3])),
        "worker": worker,
    }
    return {name: value for name, value in said.items() if value}
