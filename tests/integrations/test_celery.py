"""Celery's tasks, run by real workers and eagerly: each is one event, and every try of it an attempt."""

import json
import os
import subprocess
import sys
from functools import partial

import pytest

from failaware import Handlers, Worker
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.integrations.killed import WAITS_FOR_STARTS, assert_lost
from tests.integrations.redis import redis_server

APP = (
    WAITS_FOR_STARTS
    + """
import os, signal, sys, time
import celery
from celery.contrib.testing.worker import start_worker
from failaware import Store
from failaware.integrations.celery import TaskRecorder
store = Store.open(os.environ["STORE"])
recorder = TaskRecorder(store)
broker = os.environ.get("BROKER")
app = celery.Celery("shop", broker=broker or "memory://", backend=broker or "cache+memory://")
app.conf.broker_connection_retry_on_startup = True
app.conf.broker_transport_options = {"polling_interval": 0.01}

@app.task(bind=True, name="shop.charge", max_retries=2, default_retry_delay=0.01)
def charge(self, order, api_token=None, succeeds_at=None):
    if self.request.retries == succeeds_at:
        return "charged"
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise self.retry(exc=RuntimeError(f"order {order} is not charged").with_traceback(error.__traceback__))

@app.task(name="shop.auto", autoretry_for=(ValueError,), retry_backoff=False, default_retry_delay=0.01, max_retries=1)
def auto(n):
    raise ValueError(f"no {n}")

@app.task(bind=True, name="shop.again", max_retries=1)
def again(self):
    raise self.retry(countdown=0.01)

@app.task(bind=True, name="shop.unraised", max_retries=1)
def unraised(self):
    raise self.retry(exc=OSError("not yet"), countdown=0.01)

@app.task(name="shop.breaks")
def breaks():
    raise KeyError("amount")

@app.task(bind=True, name="shop.waits")
def waits(self):
    raise self.retry(exc=RuntimeError("not yet"), countdown=3600)

@app.task(name="shop.dies")
def dies():
    os.kill(os.getpid(), signal.SIGKILL)

@app.task(name="shop.sleeps")
def sleeps():
    open("asleep", "w").close()
    time.sleep(60)

@app.task(name="shop.hangs", time_limit=1)
def hangs():
    time.sleep(60)
"""
)
ODD = """
from dataclasses import dataclass
import celery.exceptions

@dataclass(frozen=True)
class Frozen(Exception):
    sku: str

class ApiError(Exception):
    def __getattr__(self, name):
        return getattr(self.response, name)

class ShopError(Exception):
    pass

class Unpicklable(ShopError):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")

class Wrapped(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")

class Unprintable(Exception):
    def __str__(self):
        raise LookupError("no session")

def raising(name, error, **options):
    @app.task(name=name, bind=True, **options)
    def run(self, *args, **kwargs):
        if options:
            try:
                raise error()
            except Exception as raised:
                raise self.retry(exc=raised)
        raise error()
    return run

def circular():
    value = {}
    value["self"] = value
    return value

raised = {"frozen": lambda: Frozen("A-1"), "unprintable": lambda: Unprintable("x"),
    "near": lambda: Unpicklable("a", "b"), "wrapped": lambda: Wrapped("a", "b"),
    "rejected": lambda: celery.exceptions.Reject("no stock", requeue=False)}
tasks = [raising("odd." + name, error) for name, error in raised.items()]
tasks.append(raising("odd.retried", lambda: Wrapped("a", "b"), max_retries=1, default_retry_delay=0))

@app.task(bind=True, name="odd.ignored", max_retries=1)
def ignored(self):
    if self.request.retries:
        raise celery.exceptions.Ignore
    raise self.retry(exc=OSError("not yet"), countdown=0)
tasks.append(ignored)

@app.task(bind=True, name="odd.far")
def far(self, what):
    raise self.retry(exc=OSError("not yet"), countdown=1e12)
"""
ODD_EAGER = """
for task in (far, raising("odd.api", lambda: ApiError("boom"))):
    try:
        task.apply((circular(),))
    except BaseException:  # with some exceptions Celery itself cannot go on
        pass
with start_worker(app, pool=sys.argv[1], perform_ping_check=False):
    for task in tasks:
        task.delay()
    deadline = time.monotonic() + 120
    count = "SELECT count(*) FROM attempt_log"
    while store.session.read(lambda db: db.query(count))[0][0] < 14 and time.monotonic() < deadline:
        time.sleep(0.01)
"""
IN_MEMORY = """
with start_worker(app, pool=sys.argv[1], perform_ping_check=False):
    sent = [charge.delay(17, api_token="abcdef123456"), charge.delay(18, succeeds_at=1), auto.delay(1), again.delay()]
    sent += [unraised.delay()]
    sent += [breaks.delay(), breaks.apply_async(expires=-1)]
    app.send_task("shop.no_such", (17,))
    for result in sent:
        try:
            result.get(timeout=120)
        except Exception:
            pass
"""
EAGER = """
charge.apply((17,), task_id="fails")
charge.apply((18,), {"succeeds_at": 2}, task_id="recovers")
app.conf.task_always_eager = True
app.conf.task_eager_propagates = True
try:
    breaks.apply_async(task_id="propagates")
except KeyError:
    pass
"""


WAITING = """
with start_worker(app, pool="solo", perform_ping_check=False):
    waits.delay()
    while not store.session.read(lambda db: db.query("SELECT 1 FROM attempt_log")):
        time.sleep(0.01)
"""
KILLED = """
with start_worker(app, pool="solo", perform_ping_check=False):
    dies.delay().get(timeout=120)
"""
OVERTAKING = """
@celery.signals.task_retry.connect(weak=False)
def dawdle(**_):
    time.sleep(1)
with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False):
    charge.delay(18, succeeds_at=1).get(timeout=120)
    while store.session.read(lambda db: db.query("SELECT count(*) FROM attempt_log")) != [(2,)]:
        time.sleep(0.01)
"""
SENDING = """
import celery.exceptions
for result in [dies.delay(), hangs.delay(), breaks.delay(), charge.delay(18, succeeds_at=1)]:
    try:
        result.get(timeout=60)
    except Exception as error:
        print(type(error).__name__)
unwanted = sleeps.delay()
while not os.path.exists("asleep"):
    time.sleep(0.01)
unwanted.revoke(terminate=True, signal="SIGKILL")
revoked = "SELECT 1 FROM attempt_log WHERE error_type = 'Revoked'"
while not store.session.read(lambda db: db.query(revoked)):
    time.sleep(0.01)
"""


@pytest.fixture
def run(path, tmp_path):
    return partial(_run, tmp_path, path)


def _run(tmp_path, path, program, *args, status=0, **env):
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "main.py").write_text("from shop import *\n" + program)
    done = processes.run(
        [sys.executable, "main.py", *args],
        cwd=tmp_path,
        env={**os.environ, "STORE": str(path), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


def tasks(inspector):
    result = {}
    for summary in inspector.events():
        result.setdefault(summary.event_type, []).append(inspector.event(summary.event_id))
    return {name: sorted(events, key=lambda event: event.event_payload) for name, events in result.items()}


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_worker_records_every_task_with_every_try(inspector, store, pool, run):
    run(IN_MEMORY, pool)
    result = tasks(inspector)
    failed, recovered = result["shop.charge"]
    assert (failed.sync_status, failed.source) == ("DEAD", "celery")
    assert failed.key.startswith("celery:")
    assert [attempt.error_type for attempt in failed.attempts] == ["RuntimeError"] * 3
    first, _, last = failed.attempts
    assert first.error_message == "order 17 is not charged"
    assert ", in charge\n    raise ConnectionError(" in first.traceback
    assert first.retry_reason == "Celery tries again: retry 1 of 2"
    assert first.retry_at - first.finished_at < 1_000_000
    assert (last.retry_at, last.retry_reason) == (None, "Celery gives up after 2 retries")
    assert first.worker.endswith("#celery")
    payload = json.loads(failed.event_payload)
    assert (payload["args"], payload["kwargs"], payload["queue"]) == ([17], {"api_token": "[masked]"}, "celery")
    assert [attempt.outcome for attempt in recovered.attempts] == ["FAILED", "SYNCED"]
    assert recovered.sync_status == "SYNCED"
    (automatic,) = result["shop.auto"]
    assert automatic.attempts[0].traceback.startswith("Traceback (most recent call last):\n  File ")
    assert automatic.attempts[0].traceback.count("  File ") == 1  # the task's own, none of Celery's
    assert [attempt.error_message for attempt in automatic.attempts] == ["no 1", "no 1"]
    (asked,) = result["shop.again"]
    assert asked.attempts[0].error_type == "Retry"
    (waiting,) = result["shop.unraised"]
    assert ", in unraised\n    raise self.retry(" in waiting.attempts[0].traceback
    assert asked.sync_status == "DEAD"
    (unknown,) = result["shop.no_such"]
    assert (unknown.sync_status, unknown.attempts[0].error_type) == ("DEAD", "NotRegistered")
    assert json.loads(unknown.event_payload)["args"] == "(17,)"
    broken = {event.attempts[0].error_type: event for event in result["shop.breaks"]}
    assert set(broken) == {"KeyError", "Expired"}
    assert broken["KeyError"].attempts[0].retry_reason == "Celery does not try it again"
    assert query(store, "SELECT count(*) FROM lease") == [(0,)]
    assert_rebuild_changes_nothing(store)


@pytest.mark.thinned
@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_task_is_recorded_whatever_it_raises(inspector, store, pool, run):
    run(ODD + ODD_EAGER, pool)
    made = {name: events[0].attempts for name, events in tasks(inspector).items()}
    assert made.pop("odd.api")
    errors = {name: [(attempt.error_type, attempt.error_message) for attempt in each] for name, each in made.items()}
    assert errors == {
        "odd.frozen": [("Frozen", "A-1")],
        "odd.unprintable": [("Unprintable", "<unprintable Unprintable>")],
        "odd.near": [("Unpicklable", "a and b")],
        "odd.wrapped": [("Wrapped", "a and b")],
        "odd.retried": [("Wrapped", "a and b")] * 2,
        "odd.rejected": [("celery.exceptions.Reject", "('no stock', False)")],
        "odd.ignored": [("OSError", "not yet"), (None, None)],
        "odd.far": [("OSError", "not yet")] * 4,
    }
    assert all(", in run\n" in made[name][0].traceback for name in ("odd.frozen", "odd.near", "odd.wrapped"))
    assert_rebuild_changes_nothing(store)


def test_an_eager_tasks_tries_are_in_their_order_though_they_end_the_other_way_round(inspector, run):
    run(EAGER)
    result = {event.key: event for events in tasks(inspector).values() for event in events}
    assert [attempt.outcome for attempt in result["celery:recovers"].attempts] == ["FAILED", "FAILED", "SYNCED"]
    failed = result["celery:fails"]
    assert failed.sync_status == "DEAD"
    assert [attempt.retry_at is None for attempt in failed.attempts] == [False, False, True]
    assert [attempt.error_type for attempt in result["celery:propagates"].attempts] == ["KeyError"]


@pytest.mark.thinned
@pytest.mark.tour
def test_a_retry_that_overtakes_the_try_that_asked_for_it_has_the_last_word(inspector, store, run):
    run(OVERTAKING)
    event = inspector.event(1)
    assert [(attempt.attempt_no, attempt.outcome) for attempt in event.attempts] == [(1, "FAILED"), (2, "SYNCED")]
    assert event.attempts[0].attempt_id > event.attempts[1].attempt_id
    assert (event.sync_status, event.leased_by) == ("SYNCED", None)
    assert_rebuild_changes_nothing(store)


def test_what_celery_will_retry_is_not_for_our_workers_until_a_person_says_so(store, inspector, clock, run):
    run(WAITING)
    event = inspector.event(1)
    assert (event.sync_status, event.leased_by) == ("FAILED", "celery")
    assert inspector.health().running == 1
    clock.now = event.due_at + 1
    tried = []
    handlers = Handlers()
    handlers.on("*")(lambda event: tried.append(event.event_id))
    Worker(store, handlers).run(until_idle=True)
    assert tried == []
    store.dismiss([1], because="the customer cancelled")
    store.requeue([1], because="he has changed his mind")
    Worker(store, handlers).run(until_idle=True)
    assert tried == [1]
    assert inspector.event(1).sync_status == "SYNCED"


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.large
def test_a_forked_pool_records_too_and_the_main_process_what_its_children_cannot_say(
    path, store, inspector, run, tmp_path
):
    with redis_server() as socket:
        broker = f"redis+socket://{socket}"
        (tmp_path / "shop.py").write_text(APP)
        command = ["worker", "-P", "prefork", "-c", "2", "--without-gossip", "--without-mingle", "-l", "warning"]
        worker = processes.Popen(
            [sys.executable, "-m", "celery", "-A", "shop", *command],
            cwd=tmp_path,
            env={**os.environ, "STORE": str(path), "BROKER": broker},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            run(SENDING, BROKER=broker)
        finally:
            worker.terminate()
            worker.communicate(timeout=60)
    result = {name: events[0] for name, events in tasks(inspector).items()}
    assert {name: event.sync_status for name, event in result.items()} == {
        "shop.dies": "DEAD",
        "shop.hangs": "DEAD",
        "shop.breaks": "DEAD",
        "shop.charge": "SYNCED",
        "shop.sleeps": "DEAD",
    }
    (revoked,), (lost,), (hung,) = (result[name].attempts for name in ("shop.sleeps", "shop.dies", "shop.hangs"))
    assert (revoked.error_type, revoked.error_message) == ("Revoked", "the task was terminated by SIGKILL")
    assert lost.error_type == "billiard.exceptions.WorkerLostError"
    assert hung.error_type == "billiard.exceptions.TimeLimitExceeded"
    assert 900_000 < hung.finished_at - hung.started_at < 30_000_000
    assert len(result["shop.charge"].attempts) == 2
    assert_rebuild_changes_nothing(store)


def test_a_second_recorder_takes_the_place_of_the_first(store, run):
    run("TaskRecorder(store)\nbreaks.apply()\nTaskRecorder(store).close()\nrecorder.close()\nbreaks.apply()\n")
    assert query(store, "SELECT error_type FROM attempt_log") == [("KeyError",)]


def test_arguments_that_are_too_large_are_left_out_and_the_failure_is_kept(inspector, run):
    run("charge.apply(('x' * 2_000_000,), {'succeeds_at': 0})")
    payload = json.loads(inspector.event(1).event_payload)
    assert (payload["left_out"], payload["kwargs"]) == (["args"], {"succeeds_at": 0})


def test_what_cannot_be_recorded_is_logged_and_the_task_goes_on(store, run):
    done = run("store.close()\nassert charge.apply((18,), {'succeeds_at': 0}).get() == 'charged'")
    assert "is not recorded: " in done.stderr
    assert query(store, "SELECT count(*) FROM event_log") == [(0,)]


def test_a_task_whose_worker_is_killed_is_recorded(store, inspector, clock, run):
    run(KILLED, status=-9)
    assert_lost(store, inspector, clock, "shop.dies", "celery")
