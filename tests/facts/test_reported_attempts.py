"""Attempts made elsewhere, such as by a task queue, that a program reports: one event for each task."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from failaware import Handlers, Store, Worker
from failaware.errors import KeyConflict, UsageError
from failaware.model import Failure
from tests.conftest import assert_rebuild_changes_nothing, query


def states(store):
    return query(store, "SELECT event_type, sync_status, attempts FROM event_state ORDER BY event_id")


@pytest.mark.tour
def test_attempts_with_one_key_belong_to_one_event(store, clock, inspector):
    for number in (1, 2):
        retry_at = clock() + 30_000_000
        store.report_attempt("mail", {"to": 7}, key="t1", error=TimeoutError("no answer"), retry_at=retry_at)
        assert states(store) == [("mail", "FAILED", number)]
        clock.advance(30)
    assert store.report_attempt("mail", key="t1") == 1
    assert states(store) == [("mail", "SYNCED", 3)]
    first = inspector.event(1).attempts[0]
    assert (first.error_type, first.error_message) == ("TimeoutError", "no answer")
    assert first.retry_reason == "it will be attempted again"
    assert_rebuild_changes_nothing(store)


def test_an_error_without_a_retry_is_dead(store, inspector, clock):
    began = clock() - 5_000_000
    store.report_attempt("mail", error="disk full", started_at=began, reason="the queue gives up", worker="w:1#q")
    (attempt,) = inspector.event(1).attempts
    assert states(store) == [("mail", "DEAD", 1)]
    assert (attempt.error_type, attempt.error_message) == ("Error", "disk full")
    assert (attempt.started_at, attempt.finished_at, attempt.worker) == (began, clock(), "w:1#q")
    assert attempt.retry_reason == "the queue gives up"


@pytest.mark.parametrize(
    "error",
    [
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\nshop.Lost: order 7\n',
        Failure("shop.Lost", "order 7", None),
    ],
)
def test_a_text_of_a_traceback_and_a_failure_keep_their_type(store, inspector, error):
    store.report_attempt("mail", error=error)
    (attempt,) = inspector.event(1).attempts
    assert (attempt.error_type, attempt.error_message) == ("shop.Lost", "order 7")


def test_secrets_are_masked_everywhere(store, inspector):
    secret = "ghp_" + "a1B2" * 9
    store.report_attempt(
        "mail",
        {"token": secret},
        error=Failure("E", f"with {secret}", f"at {secret}", f"E: {secret}", f"print {secret}"),
        reason=f"refused {secret}",
        worker=f"w {secret} {'x' * 600}",
        source=f"s {secret}",
        key=f"k {secret}",
    )
    for table in ("event_log", "event_key", "attempt_log", "traceback_log"):
        assert secret not in repr(query(store, f"SELECT * FROM {table}")), table


def test_an_event_of_a_queue_is_not_attempted_by_a_worker(store, clock):
    """Until the queue gives up, or a person requeues it."""
    made = []
    handlers = Handlers()
    handlers.on("*")(lambda event: made.append(event.event_id))
    worker = Worker(store, handlers)
    store.report_attempt("mail", key="t1", error="e", retry_at=clock() + 1, delegated_to="huey")
    store.report_attempt("mine", key="t2", error="e", retry_at=clock() + 1)
    clock.advance(60)
    worker.run(until_idle=True, patience=0)
    assert made == [2]
    store.report_attempt("mail", key="t1", error="e", delegated_to="huey")
    store.requeue([1], because="fixed")
    worker.run(until_idle=True, patience=0)
    assert made == [2, 1]


def test_frames_of_the_queue_are_left_out(store, inspector):
    code = compile("def call(function):\n    function()\n", "/lib/huey/api.py", "exec")
    exec(code, module := {"__name__": "huey.api"})

    def task():
        raise ValueError("x")

    try:
        module["call"](lambda: module["call"](task))
    except ValueError as error:
        store.report_attempt("mail", error=error.with_traceback(error.__traceback__.tb_next), delegated_to="huey")
        store.report_attempt("mail", error=error)
    with_queue, without = (inspector.event(number).attempts[0].traceback for number in (2, 1))
    assert with_queue.count("huey/api.py") == 2
    assert without.splitlines()[1].endswith("<lambda>")


def test_what_cannot_be_recorded_exactly_is_recorded_nevertheless(store):
    circle = []
    circle.append(circle)
    store.report_attempt("a\x00b" * 400, {"circle": circle, 7: object(), "large": "x" * 2_000_000}, key="k\n" * 400)
    ((payload,),) = query(store, "SELECT event_payload FROM event_log")
    assert json.loads(payload)["left_out"] == ["large"]
    assert states(store)[0][1:] == ("SYNCED", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"retry_at": 2**52}, "without an error has no retry_at"),
        ({"number": 0, "error": "e"}, "counts the attempts"),
        ({"started_at": 1_700_000_000}, "started_at is in microseconds"),
        ({"until": 3}, "an attempt has no until"),
    ],
)
def test_wrong_arguments_are_refused(store, arguments, message):
    with pytest.raises(UsageError, match=message):
        store.report_attempt("mail", **arguments)
    assert states(store) == []


def test_a_key_of_another_type_is_refused(store):
    store.report_attempt("mail", key="t1")
    with pytest.raises(KeyConflict, match="belongs to event 1"):
        store.report_attempt("sms", key="t1")


def test_an_attempt_may_be_reported_after_the_next_one(store, inspector):
    store.report_attempt("mail", key="t1", number=2)
    store.report_attempt("mail", key="t1", error="e", number=1)
    assert [(a.attempt_no, a.outcome) for a in inspector.event(1).attempts] == [(1, "FAILED"), (2, "SYNCED")]


def test_the_async_methods_leave_the_loop_free(path):
    """While another process holds the lock, the loop goes on; what was recorded is there after a cancellation, too."""
    with Store.open(path) as store, Store.open(path) as other:
        locked, release = threading.Event(), threading.Event()

        def hold(db):
            db.query("SELECT 1 FROM setting")  # on PostgreSQL, the lock is taken with the first query
            locked.set()
            assert release.wait(20)

        thread = threading.Thread(target=other.session.write, args=(hold,))

        async def program():
            tasks = [asyncio.create_task(store.arecord("order", {"n": 1}, key="o1"))]
            tasks.append(asyncio.create_task(store.areport_attempt("mail", {"n": 2}, error=ValueError("x"))))
            if str(path).startswith("postgresql:"):  # there, recorders do not wait for the lock
                await tasks[0]
            await asyncio.sleep(0.05)
            assert not tasks[1].done()
            tasks[1].cancel()
            release.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

        thread.start()
        assert locked.wait(20)
        event, cancelled = asyncio.run(program())
        thread.join()
        assert (event.event_type, event.key) == ("order", "o1")
        assert isinstance(cancelled, asyncio.CancelledError)
        assert sorted(row[:2] for row in states(store)) == [("mail", "DEAD"), ("order", "PENDING")]


def test_what_is_cancelled_before_its_thread_begins_is_recorded(store):
    release = threading.Event()

    async def program():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        loop.run_in_executor(None, release.wait)
        task = asyncio.create_task(store.arecord("order"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        release.set()

    asyncio.run(program())
    assert states(store) == [("order", "PENDING", 0)]
