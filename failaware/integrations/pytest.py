"""A plugin for pytest: with `pytest --failaware=PATH` each test of a run is an event, SYNCED or DEAD.

A test is keyed by its node id and the run, and its type is the node id: a test that fails now and then is one cluster,
which recurs. Skips and expected failures are none. With xdist the workers describe, and only the controller writes.
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
    from failaware.model import Failure, NewAttempt, Observed
    from failaware.store import Store

_SAID = "failaware"  # the attribute under which a report carries what is known of its exception
_MAX_CAPTURED = 16_384  # characters of each captured stream that are kept
_MAX_PENDING = 10_000  # tests that wait for a store that cannot be written
_BATCH = 500  # of them in one transaction
_PAUSE_FACTOR = 10  # a store that made the run wait is not tried again for so many times as long
_NS, _MONOTONIC = (time.time_ns,), (time.monotonic,)  # in tuples: tests replace functions in modules, for good or ill


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


def _unnoticed(hook: Callable[..., None]) -> Callable[..., None]:
    """A hook of the recorder that cannot harm the run, and does nothing in a process that a test has forked."""

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
    """Adds what only the process knows in which a test failed: the exception's type, message and root cause."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        report = yield
        if report.failed and call.excinfo is not None:
            with suppress(Exception):
                from failaware.capture.exceptions import describe

                setattr(report, _SAID, describe(call.excinfo.value)._replace(traceback=None)._asdict())
        return report


class _Recorder:
    """Writes each test as soon as it has ended, so that a run that is killed leaves what it did."""

    def __init__(self, store: "Store", path: str, config: pytest.Config, warned: list[str]) -> None:
        from secrets import token_hex

        from failaware.text import moment

        self._store, self._path, self._warned = store, path, warned
        self.pid = os.getpid()
        self._run = f"{moment(store.session.clock())} {token_hex(4)}"
        self._by_worker = config.getoption("dist", "no") == "each"
        self._phases: dict[tuple[str, str], list[pytest.TestReport]] = {}
        self._tries: dict[tuple[str, str], list[NewAttempt]] = {}
        self._recorded = self._failed = 0
        self._pending: list[Observed] = []
        self._paused_until = 0.0
        self._unwritable = ""
        self.lost = ""

    @_unnoticed
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

    @_unnoticed
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """pytest: a file was collected, or cannot be."""
        if report.failed:
            self._end((report.nodeid, _worker(report)), [report])

    @_unnoticed
    def pytest_sessionfinish(self) -> None:
        """pytest: all tests have ended."""
        if self._pending:
            self._record_pending()

    @_unnoticed
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """pytest: the end."""
        from failaware.text import shown_place

        for warning in self._warned:
            terminalreporter.write_line(f"failaware: {warning}")
        summary = f"failaware: {self._recorded:,} tests in {shown_place(self._path)}, {self._failed:,} failed"
        if self._pending or self.lost:
            summary += f"; not all are recorded: {self.lost or self._unwritable}"
        terminalreporter.write_line(summary)

    @_unnoticed
    def pytest_unconfigure(self) -> None:
        """pytest: nothing more will come."""
        self._store.close()

    def _end(self, test: tuple[str, str], phases: list[Any]) -> None:
        tries = self._tries.pop(test, [])
        failed = [report for report in phases if report.failed]
        if failed or tries or not any(report.skipped for report in phases):
            self._write(test, phases, [*tries, self._attempt(phases)])

    def _attempt(self, phases: list[Any]) -> "NewAttempt":
        from failaware.capture.external import attempt
        from failaware.identity import this_process

        failed = [report for report in phases if report.failed or _is_rerun(report)]
        now = self._store.session.clock() / 1e6
        began = int(getattr(phases[0], "start", now) * 1e6)
        took = int(getattr(phases[-1], "stop", now) * 1e6) - began
        return attempt(self._failure(failed), worker=f"{this_process()}#pytest", started_at=began, took=took)

    def _failure(self, failed: list[Any]) -> "Failure | None":
        """What the failed phases say: a test may fail and then fail to clean up."""
        from failaware.capture.exceptions import failure
        from failaware.capture.guarded import text_of

        if not failed:
            return None
        text = "\n\n".join(text_of(report.longrepr) for report in failed)
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
            masker=self._store.session.recorder.masker,
        )

    def _write(self, test: tuple[str, str], phases: list[Any], tries: list["NewAttempt"]) -> None:
        from failaware.capture.external import event_of
        from failaware.capture.record import as_name
        from failaware.model import Observed

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
            occurred_at=tries[0].started_at,
        )
        if len(self._pending) < _MAX_PENDING:
            self._pending.append(Observed(event, tuple(tries)))
        else:
            self.lost = self._unwritable
        if _MONOTONIC[0]() >= self._paused_until:
            self._record_pending()

    def _record_pending(self) -> None:
        """Write the tests that have ended; a store that cannot be written holds up the run now and then only."""
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
            except Exception as error:  # noqa: BLE001 - one that no store takes must not keep out the others
                if len(batch) > 1:
                    most = 1
                    continue
                self.lost = f"{short_name(type(error))}: {text_of(error)}"
            else:
                self._recorded += len(batch)
                self._failed += sum(event.attempts[-1].failure is not None for event in batch)
            del self._pending[: len(batch)]


def _is_rerun(report: Any) -> bool:
    """Whether it is a failure that is not the last word."""
    return bool(report.outcome == "rerun")


def _worker(report: Any) -> str:
    """The worker of xdist that made a report; "" without xdist."""
    node = getattr(report, "node", None)
    return "" if node is None else str(node.gateway.id)


def _payload(phases: list[Any], worker: str) -> dict[str, Any]:
    """Where the test stands, what it said of itself, and what it wrote when it failed."""
    from failaware.capture.guarded import text_of
    from failaware.text import bounded

    last = phases[-1]
    failed = [report for report in phases if report.failed]
    location = getattr(last, "location", None)
    said = {
        "where": f"{location[0]}:{(location[1] or 0) + 1}" if location else None,
        "phase": getattr(failed[0], "when", "collect") if failed else None,
        "properties": _pairs(getattr(last, "user_properties", ())),
        "captured": {name: bounded(text_of(text), _MAX_CAPTURED) for name, text in _pairs(last.sections).items()}
        if failed
        else None,
        "python": ".".join(map(str, sys.version_info[:3])),
        "worker": worker,
    }
    return {name: value for name, value in said.items() if value}


def _pairs(pairs: Any) -> dict[str, Any]:
    """(name, value) pairs as a dict; what plugins put among them that is none is left out."""
    from failaware.capture.guarded import text_of

    return {text_of(pair[0]): pair[1] for pair in pairs if isinstance(pair, tuple | list) and len(pair) == 2}
