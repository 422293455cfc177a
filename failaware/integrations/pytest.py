"""A plugin for pytest: with `pytest --failaware=PATH` each test of a run is an event, SYNCED or DEAD.

The event's type is the node id, and its key the node id and the run: a flaky test is one cluster, which recurs. Skips
and expected failures are not recorded. With xdist, workers describe exceptions and only the controller writes.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from failaware.model import EventWithAttempts, Failure, NewAttempt
    from failaware.store import Store

_ATTRIBUTE = "failaware"  # the attribute of a report with the failure of its exception
_MAX_CAPTURED = 16_384  # characters kept of each captured stream
_MAX_PENDING = 10_000  # tests that are kept while the store cannot be written
_BATCH = 500  # of them in one transaction
_PAUSE_FACTOR = 10  # after a failed write, the next one is this many times as long in the future as it took
_NS, _MONOTONIC = (time.time_ns,), (time.monotonic,)  # in tuples: tests may patch the modules


def pytest_addoption(parser: pytest.Parser) -> None:
    """pytest: add --failaware."""
    group = parser.getgroup("failaware")
    group.addoption("--failaware", metavar="PATH", help="record each test of the run in this failaware store")


def pytest_configure(config: pytest.Config) -> None:
    """pytest: start recording if a path is given."""
    path = config.getoption("failaware")
    if not path:
        return
    config.pluginmanager.register(_Describer(), "failaware-describer")
    if not hasattr(config, "workerinput"):  # xdist sets it in its workers
        from failaware.errors import FailawareError
        from failaware.store import Store
        from failaware.text import is_url

        clock = None if is_url(path) else lambda: _NS[0]() // 1_000
        try:
            with warnings.catch_warnings(record=True) as warned:  # they may be errors in this run
                warnings.simplefilter("always")
                store = Store.open(path, synchronous="NORMAL", clock=clock)
        except FailawareError as error:
            raise pytest.UsageError(f"--failaware: {error}") from None
        recorder = _Recorder(store, path, config, [str(warning.message) for warning in warned])
        config.pluginmanager.register(recorder, "failaware-recorder")


def _guarded_hook(hook: Callable[..., None]) -> Callable[..., None]:
    """Make a hook that never raises, and does nothing in a process that a test forked."""

    @wraps(hook)
    def run(self: "_Recorder", *args: Any, **kwargs: Any) -> None:
        if os.getpid() != self.pid:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                hook(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001
            from failaware.capture.guarded import short_name, text_of

            self.lost = f"{short_name(type(error))}: {text_of(error)}"

    return run


class _Describer:
    """Adds to a report what is known only in the process of the test: the exception's type, message and root cause."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        report = yield
        if report.failed and call.excinfo is not None:
            with suppress(Exception):
                from failaware.capture.exceptions import describe

                setattr(report, _ATTRIBUTE, describe(call.excinfo.value)._replace(traceback=None)._asdict())
        return report


class _Recorder:
    """Writes each test when it ends: a run that is killed has recorded the tests before."""

    def __init__(self, store: "Store", path: str, config: pytest.Config, warned: list[str]) -> None:
        from secrets import token_hex

        from failaware.text import moment

        self._store, self._path, self._warned = store, path, warned
        self.pid = os.getpid()
        self._run = f"{moment(store.session.clock())} {token_hex(4)}"
        self._by_worker = config.getoption("dist", "no") == "each"
        self._phases: dict[tuple[str, str], list[pytest.TestReport]] = {}
        self._attempts: dict[tuple[str, str], list[NewAttempt]] = {}
        self._recorded = self._failed = 0
        self._pending: list[EventWithAttempts] = []
        self._paused_until = 0.0
        self._unwritable = ""
        self.lost = ""

    @_guarded_hook
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """pytest: a phase of a test has ended; the test itself ends with its teardown, or with its worker."""
        test = (report.nodeid, _worker(report))
        phases = self._phases.setdefault(test, [])
        if report.when == "setup" and phases:
            self._add_rerun(test, phases)
        phases.append(report)
        if report.when in {"setup", "call"}:
            return
        if any(_is_rerun(phase) for phase in phases):
            self._add_rerun(test, phases)
        else:
            del self._phases[test]
            self._end(test, phases)

    def _add_rerun(self, test: tuple[str, str], phases: list[pytest.TestReport]) -> None:
        """Add an attempt that pytest-rerunfailures will repeat; some of its versions do not report the teardown."""
        attempt = self._attempt(phases)
        attempt = attempt._replace(retry_at=attempt.finished_at, retry_reason="run again")
        self._attempts.setdefault(test, []).append(attempt)
        phases.clear()

    @_guarded_hook
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """pytest: a file was collected, or failed to be."""
        if report.failed:
            self._end((report.nodeid, _worker(report)), [report])

    @_guarded_hook
    def pytest_sessionfinish(self) -> None:
        """pytest: write what is pending."""
        if self._pending:
            self._record_pending()

    @_guarded_hook
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """pytest: report how many tests were recorded."""
        from failaware.text import shown_place

        for warning in self._warned:
            terminalreporter.write_line(f"failaware: {warning}")
        summary = f"failaware: {self._recorded:,} tests in {shown_place(self._path)}, {self._failed:,} failed"
        if self._pending or self.lost:
            summary += f"; not all are recorded: {self.lost or self._unwritable}"
        terminalreporter.write_line(summary)

    @_guarded_hook
    def pytest_unconfigure(self) -> None:
        """pytest: close the store."""
        self._store.close()

    def _end(self, test: tuple[str, str], phases: list[Any]) -> None:
        earlier = self._attempts.pop(test, [])
        failed = [report for report in phases if report.failed]
        if failed or earlier or not any(report.skipped for report in phases):
            self._write(test, phases, [*earlier, self._attempt(phases)])

    def _attempt(self, phases: list[Any]) -> "NewAttempt":
        from failaware.capture.external import attempt
        from failaware.identity import this_process

        failed = [report for report in phases if report.failed or _is_rerun(report)]
        now = self._store.session.clock() / 1e6
        began = int(getattr(phases[0], "start", now) * 1e6)
        took = int(getattr(phases[-1], "stop", now) * 1e6) - began
        return attempt(self._failure(failed), worker=f"{this_process()}#pytest", started_at=began, took=took)

    def _failure(self, failed: list[Any]) -> "Failure | None":
        """Return the failure of the failed phases: a test may fail, and then fail in its teardown."""
        from failaware.capture.exceptions import failure
        from failaware.capture.guarded import text_of

        if not failed:
            return None
        text = "\n\n".join(text_of(report.longrepr) for report in failed)
        described = getattr(failed[0], _ATTRIBUTE, None) or {
            "error_type": "WorkerCrashed" if getattr(failed[0], "when", None) == "???" else "Failed",
            "error_message": next(iter(text.splitlines()), ""),
        }
        return failure(
            described["error_type"],
            described["error_message"],
            text,
            cause=described.get("cause"),
            fingerprint=described.get("fingerprint"),
            masker=self._store.session.recorder.masker,
        )

    def _write(self, test: tuple[str, str], phases: list[Any], attempts: list["NewAttempt"]) -> None:
        from failaware.capture.external import event_of
        from failaware.capture.record import as_name
        from failaware.model import EventWithAttempts

        nodeid, worker = test
        event = event_of(
            self._store.session.recorder,
            as_name(nodeid, self._store.session.recorder),
            _payload(phases, worker) | {"run": self._run},
            now=self._store.session.clock(),
            key=as_name(
                f"pytest:{self._run} {nodeid}" + (f" {worker}" if self._by_worker else ""), self._store.session.recorder
            ),
            source="pytest",
            occurred_at=attempts[0].started_at,
        )
        if len(self._pending) < _MAX_PENDING:
            self._pending.append(EventWithAttempts(event, tuple(attempts)))
        else:
            self.lost = self._unwritable
        if _MONOTONIC[0]() >= self._paused_until:
            self._record_pending()

    def _record_pending(self) -> None:
        """Write the tests that have ended; after a failure, pause: a locked store must not slow every test."""
        from failaware.capture.guarded import short_name, text_of
        from failaware.errors import StoreError

        began, most = _MONOTONIC[0](), _BATCH
        while self._pending:
            batch = self._pending[:most]
            try:
                self._store.session.ingest(batch, [])
            except StoreError as error:
                now = _MONOTONIC[0]()
                self._paused_until = now + _PAUSE_FACTOR * (now - began)
                self._unwritable = str(error)
                return
            except Exception as error:  # noqa: BLE001 - an event that cannot be stored must not block the others
                if len(batch) > 1:
                    most = 1
                    continue
                self.lost = f"{short_name(type(error))}: {text_of(error)}"
            else:
                self._recorded += len(batch)
                self._failed += sum(event.attempts[-1].failure is not None for event in batch)
            del self._pending[: len(batch)]


def _is_rerun(report: Any) -> bool:
    """Whether a phase failed and the test will be repeated."""
    return bool(report.outcome == "rerun")


def _worker(report: Any) -> str:
    """Return the xdist worker of a report; "" without xdist."""
    node = getattr(report, "node", None)
    return "" if node is None else str(node.gateway.id)


def _payload(phases: list[Any], worker: str) -> dict[str, Any]:
    """Return where the test is, its properties, and its captured output if it failed."""
    from failaware.capture.guarded import text_of
    from failaware.text import bounded

    last = phases[-1]
    failed = [report for report in phases if report.failed]
    location = getattr(last, "location", None)
    payload = {
        "where": f"{location[0]}:{(location[1] or 0) + 1}" if location else None,
        "phase": getattr(failed[0], "when", "collect") if failed else None,
        "properties": _pairs(getattr(last, "user_properties", ())),
        "captured": {name: bounded(text_of(text), _MAX_CAPTURED) for name, text in _pairs(last.sections).items()}
        if failed
        else None,
        "python": ".".join(map(str, sys.version_info[:3])),
        "worker": worker,
    }
    return {name: value for name, value in payload.items() if value}


def _pairs(pairs: Any) -> dict[str, Any]:
    """Return (name, value) pairs as a dict, without other values that plugins may add."""
    from failaware.capture.guarded import text_of

    return {text_of(pair[0]): pair[1] for pair in pairs if isinstance(pair, tuple | list) and len(pair) == 2}
