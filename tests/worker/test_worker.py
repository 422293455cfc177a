"""The worker: claims, runs, records; what it does with slow, async, failing and forbidden handlers."""

import math
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from failaware import Handlers, Permanent, Retry, RetryAfter, Store, UsageError, Worker
from failaware.errors import HandlerError
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, plain, query
from tests.worker.helpers import eventually, handlers_of, run


def test_a_handler_gets_the_event_as_it_was_recorded(store):
    seen = []
    store.record(
        "a.b", {"n": [1, None]}, key="k", source="s", occurred_at=datetime(1970, 1, 1, microsecond=5, tzinfo=UTC)
    )
    run(store, seen.append)
    (event,) = seen
    assert (event.event_id, event.event_type, event.payload, event.attempt_no) == (1, "a.b", {"n": [1, None]}, 1)
    assert (event.key, event.source, event.occurred_at) == ("k", "s", 5)
    assert query(store, "SELECT sync_status FROM event_state") == [("SYNCED",)]


def test_failures_are_retried_with_backoff_until_dead_and_each_is_kept(store, inspector, clock):
    def fails(event):
        raise ConnectionError(f"try {event.attempt_no}")

    store.record("a", 1)
    for _ in range(20):
        run(store, fails, retry=Retry(max_attempts=3, base=10, jitter=0))
        clock.advance(5)
    attempts = inspector.event(1).attempts
    assert [attempt.error_message for attempt in attempts] == ["try 1", "try 2", "try 3"]
    assert [attempt.error_type for attempt in attempts] == ["ConnectionError"] * 3
    assert [b.finished_at - a.finished_at for a, b in pairwise(attempts)] == [
        10_000_000,
        20_000_000,
    ]
    assert attempts[0].traceback.count("  File ") == 1
    assert 'raise ConnectionError(f"try {event.attempt_no}")\nConnectionError: try 1\n' in attempts[0].traceback
    assert query(store, "SELECT count(*) FROM traceback_log") == [(1,)]
    assert inspector.event(1).sync_status == "DEAD"


@pytest.mark.parametrize(
    ("error", "status", "because"),
    [
        (Permanent("never"), "DEAD", "Permanent"),
        (RetryAfter(77, "slow down"), "FAILED", "RetryAfter, 77 s"),
        (SystemExit(3), "FAILED", "attempt 1 of 5"),
        (KeyboardInterrupt(), "FAILED", "attempt 1 of 5"),
    ],
)
def test_what_a_handler_raises_decides(store, inspector, error, status, because):
    def raises(event):
        raise error

    store.record("a", 1)
    run(store, raises)
    event = inspector.event(1)
    assert event.sync_status == status
    assert because in event.attempts[0].retry_reason


@pytest.mark.parametrize("seconds", ["30", float("inf"), 1e300, float("nan"), -5, "soon", None])
def test_no_retry_after_whatever_is_in_it_ends_the_worker(store, inspector, seconds):
    def raises(event):
        raise RetryAfter(seconds, "slow down")

    store.record("a", 1)
    run(store, raises)
    event = inspector.event(1)
    assert (event.sync_status, len(event.attempts)) == ("FAILED", 1)
    assert event.due_at > event.attempts[0].finished_at
    assert_rebuild_changes_nothing(store)


def test_a_wait_that_no_clock_could_hold_is_bounded(store, inspector):
    def fails(event):
        raise ValueError

    store.record("a", 1)
    run(store, fails, retry=Retry(base=1e200, cap=1e300))
    assert inspector.event(1).sync_status == "FAILED"


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "error",
    [
        Unprintable(),
        ValueError("\ud800\x00\x1b[31m"),
        ValueError("x" * 1_000_000),
        ExceptionGroup("g", [OSError("inner")]),
    ],
)
def test_no_error_whatever_is_in_it_ends_the_worker(store, inspector, error):
    def raises(event):
        raise error

    store.record("a", 1)
    run(store, raises)
    (attempt,) = inspector.event(1).attempts
    assert attempt.error_type == type(error).__name__ or attempt.error_type.endswith("Unprintable")
    assert len(attempt.error_message) <= 10_000
    assert_rebuild_changes_nothing(store)


def test_an_event_without_a_handler_stays_pending_and_health_says_so(store, inspector):
    store.record("mine", 1)
    store.record("nobodys", 1)
    run(store, lambda event: None, pattern="mine")
    health = inspector.health()
    assert (health.synced, health.pending) == (1, 1)
    assert health.waiting == (("nobodys", 1),)


def test_what_is_recorded_while_a_worker_waits_is_picked_up(store, inspector):
    worker = Worker(store, handlers_of(lambda event: None))
    thread = threading.Thread(target=worker.run)
    thread.start()
    store.record("a", 1)
    eventually(lambda: inspector.health().synced == 1)
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_a_handler_may_record_further_events(store, inspector):
    def handle(event):
        if event.payload:
            store.record("a", event.payload - 1)

    store.record("a", 3)
    run(store, handle)
    assert inspector.health().synced == 4


def test_stop_finishes_what_has_begun_and_gives_back_the_rest(store, inspector):
    begun, release = threading.Event(), threading.Event()

    def handle(event):
        begun.set()
        assert release.wait(20)

    store.record_many(("a", n) for n in range(10))
    worker = Worker(store, handlers_of(handle))
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert begun.wait(20)
    worker.stop()
    time.sleep(0.05)
    release.set()
    thread.join(20)
    health = inspector.health()
    assert (health.synced, health.pending, health.running) == (1, 9, 0)
    assert_rebuild_changes_nothing(store)


def test_a_requeue_while_the_last_try_runs_gives_a_fresh_budget(store, inspector, clock):
    def fails(event):
        if event.attempt_no == 2:
            store.requeue([1], because="the other side is back")
        raise ConnectionError

    store.record("a", 1)
    for _ in range(2):
        run(store, fails, retry=Retry(max_attempts=2, base=10, jitter=0))
        clock.advance(20)
    event = inspector.event(1)
    assert event.sync_status == "FAILED"
    assert event.attempts[-1].retry_reason.startswith("attempt 1 of 2")
    assert_rebuild_changes_nothing(store)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_command_gracefully(path, tmp_path, number):
    (tmp_path / "slow.py").write_text(
        "import time\nfrom failaware import Handlers\nhandlers = Handlers()\n"
        "@handlers.on('a')\ndef slow(event):\n"
        "    open('begun', 'w').close()\n    time.sleep(0.5)\n"
    )
    with Store.open(path) as store:
        store.record_many(("a", n) for n in range(20))
    command = [sys.executable, "-m", "failaware", "--db", str(path), "run", "slow"]
    process = processes.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually((tmp_path / "begun").exists)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "1 synced" in out
    with plain(path) as db:
        assert db.execute("SELECT count(*) FROM lease").fetchone() == (0,)


@pytest.mark.parametrize("name", ["concurrency", "batch", "lease", "grace"])
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, "3", None, True, -1, 10**400, []], ids=lambda value: str(value)[:9]
)
def test_what_is_no_number_is_refused(store, name, value):
    with pytest.raises(UsageError, match=rf"{name} must be (a|[\d.]+ or more)"):
        Worker(store, handlers_of(print), **{name: value})


@pytest.mark.parametrize("patience", [math.nan, math.inf, -1, "3", None])
def test_a_patience_that_makes_no_sense_is_refused(store, patience):
    with pytest.raises(UsageError, match=r"patience must be (a|0 or more)"):
        Worker(store, handlers_of(print)).run(until_idle=True, patience=patience)


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"batch": 0}, {"lease": 0}])
def test_numbers_that_make_no_sense_are_refused(store, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Worker(store, handlers_of(print), **wrong)


def test_a_worker_without_handlers_is_refused(store):
    with pytest.raises(HandlerError, match="no handler"):
        Worker(store, Handlers())


def test_a_worker_can_run_again(store, inspector):
    worker = Worker(store, handlers_of(lambda event: None))
    for n in range(1, 4):
        store.record("a", n)
        worker.run(until_idle=True, patience=0)
        assert inspector.health().synced == n


def test_a_stop_before_the_thread_has_begun_to_run_is_not_lost(store, inspector):
    worker = Worker(store, handlers_of(lambda event: None))
    store.record("a", 1)
    worker.stop()
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert inspector.health().pending == 1
    worker.run(until_idle=True, patience=0)  # a stop ends one run
    assert inspector.health().synced == 1


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_run_that_an_error_ends_leaves_no_thread_behind(store, kind):
    def break_the_store():
        store.session.write(lambda db: db.execute("INSERT INTO setting VALUES ('policy', 'no such policy')"))

    async def waiting(_event):
        break_the_store()

    before = set(threading.enumerate())
    store.record("a", 1)
    with pytest.raises(UsageError, match="policy"):
        run(store, waiting if kind == "asyncio" else lambda _event: break_the_store())
    eventually(lambda: set(threading.enumerate()) <= before)
