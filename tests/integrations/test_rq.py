"""RQ's jobs, run by real workers on a server that speaks Redis: each is one event, and every try of it an attempt."""

import json
import os
import sys

import pytest

from failaware import Handlers, Worker
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.integrations.redis import redis_server

WORKER = """
import os
import rq
from failaware import Store
from failaware.integrations.rq import Recorded

class Forking(Recorded, rq.Worker):
    store = Store.open(os.environ["STORE"])

class Simple(Recorded, rq.SimpleWorker):
    store = Forking.store
"""
JOBS = """
import os, signal, time
from dataclasses import dataclass
from pathlib import Path
from rq import Retry

def charge(order, api_token=None):
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error

def recovers(mark):
    if not Path(mark).exists():
        Path(mark).touch()
        raise OSError("not yet")

def works():
    return 42

def asks():
    return Retry(max=1)

def dies():
    os.kill(os.getpid(), signal.SIGKILL)

def hangs():
    time.sleep(60)

@dataclass(frozen=True)
class Frozen(Exception):
    sku: str

class ApiError(Exception):
    def __getattr__(self, name):
        return getattr(self.response, name)

class Unprintable(Exception):
    def __str__(self):
        raise LookupError("no session")

def raises(name, value=None):
    raise {"frozen": Frozen, "api": ApiError, "unprintable": Unprintable}[name]("boom")
"""
SEND = """
import sys, jobs
from redis import Redis
from rq import Queue, Retry
queue = Queue("shop", connection=Redis(unix_socket_path=sys.argv[1]))
queue.enqueue(jobs.charge, 17, api_token="abcdef123456", retry=Retry(max=2, interval=[0, 0]), job_id="charge")
queue.enqueue(jobs.recovers, "mark", retry=Retry(max=1), job_id="recovers")
queue.enqueue(jobs.works, job_id="works")
queue.enqueue(jobs.asks, job_id="asks")
queue.enqueue(jobs.hangs, job_id="hangs", job_timeout=1)
if sys.argv[2] == "Forking":
    queue.enqueue(jobs.dies, job_id="dies")
"""


@pytest.fixture
def rq(path, tmp_path):
    """Runs programs with a server: rq("program …", …)."""
    folder = tmp_path
    (folder / "workers.py").write_text(WORKER)
    (folder / "jobs.py").write_text(JOBS)
    env = {**os.environ, "STORE": str(path), "PYTHONPATH": str(folder)}
    with redis_server() as socket:

        def run(*words, status=0):
            words = [word.replace("{socket}", socket) for word in words]
            done = processes.run(
                [sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == status, done.stderr
            return done

        yield run


def work(rq, kind, *more, status=0):
    command = ("-m", "rq.cli", "worker", "--burst", "--worker-class", f"workers.{kind}", "--url", "unix://{socket}")
    return rq(*command, *more, "shop", status=status)


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.parametrize("kind", ["Forking", "Simple"])
def test_a_worker_records_every_job_with_every_try(rq, store, inspector, kind):
    rq("-c", SEND, "{socket}", kind)
    work(rq, kind)
    result = {event.key: event for event in (inspector.event(summary.event_id) for summary in inspector.events())}
    charge = result["rq:charge"]
    assert (charge.event_type, charge.sync_status, charge.source) == ("jobs.charge", "DEAD", "rq")
    first, _, last = charge.attempts
    assert [attempt.error_type for attempt in charge.attempts] == ["RuntimeError"] * 3
    assert first.error_message == "order 17 is not charged"
    assert first.cause == "ConnectionError: connection reset"
    assert ", in charge\n    raise RuntimeError(" in first.traceback
    assert "rq/worker" not in first.traceback
    assert (first.retry_reason, first.retry_at is None) == ("RQ tries again: 2 of its retries left", False)
    assert (last.retry_reason, last.retry_at) == ("RQ does not try it again", None)
    assert first.worker.endswith("#rq")
    payload = json.loads(charge.event_payload)
    assert (payload["args"], payload["kwargs"], payload["queue"]) == ([17], {"api_token": "[masked]"}, "shop")
    assert [attempt.outcome for attempt in result["rq:recovers"].attempts] == ["FAILED", "SYNCED"]
    assert [attempt.outcome for attempt in result["rq:works"].attempts] == ["SYNCED"]
    asks = result["rq:asks"]
    assert [(attempt.error_type, attempt.retry_at is None) for attempt in asks.attempts] == [
        ("Retry", False),
        ("Retry", True),
    ]
    (hangs,) = result["rq:hangs"].attempts
    assert hangs.error_type == "rq.timeouts.JobTimeoutException"
    assert hangs.finished_at - hangs.started_at >= 900_000
    if kind == "Forking":
        (dies,) = result["rq:dies"].attempts
        assert dies.error_type == "WorkHorseKilled"
        assert "signal 9" in dies.error_message
    assert query(store, "SELECT count(*) FROM lease") == [(0,)]
    assert_rebuild_changes_nothing(store)


@pytest.mark.thinned
@pytest.mark.parametrize("kind", ["Forking", "Simple"])
@pytest.mark.large
def test_a_job_is_recorded_whatever_it_raises(rq, store, inspector, kind):
    send = SEND.partition("queue.enqueue")[0] + (
        "value = {}\nvalue['self'] = value\n"
        "for name in ('frozen', 'unprintable', 'api'):\n"
        "    queue.enqueue(jobs.raises, name, value, job_id=name)\n"
    )
    rq("-c", send, "{socket}")
    work(rq, kind, status=1 if kind == "Simple" else 0)  # with the last one RQ itself cannot go on
    made = {event.key: event.attempts for event in (inspector.event(each.event_id) for each in inspector.events())}
    assert {key: [(each.error_type, each.error_message) for each in attempts] for key, attempts in made.items()} == {
        "rq:frozen": [("jobs.Frozen", "boom")],
        "rq:unprintable": [("jobs.Unprintable", "<unprintable Unprintable>")],
        "rq:api": [("jobs.ApiError", "boom")],
    }


@pytest.mark.large
def test_what_rq_will_retry_is_not_for_our_workers(rq, store, inspector, clock):
    rq("-c", SEND.replace("interval=[0, 0]", "interval=3600"), "{socket}", "Simple")
    work(rq, "Simple")
    event = inspector.event(1)
    assert (event.key, event.sync_status, event.leased_by) == ("rq:charge", "FAILED", "rq")
    assert 3_590_000_000 < event.attempts[0].retry_at - event.attempts[0].finished_at < 3_610_000_000
    clock.now = event.due_at + 1
    tried = []
    handlers = Handlers()
    handlers.on("*")(lambda event: tried.append(event.event_id))
    Worker(store, handlers).run(until_idle=True)
    assert tried == []


@pytest.mark.large
def test_a_job_that_was_left_by_a_dead_worker_is_a_failure_too(rq, store, inspector):
    rq("-c", SEND, "{socket}", "Simple")
    abandon = """
import sys, time, jobs, workers
from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
redis = Redis(unix_socket_path=sys.argv[1])
queue = Queue("shop", connection=redis)
queue.empty()
job = queue.enqueue(jobs.works, job_id="left")
worker = workers.Simple([queue], connection=redis)
execution = worker.prepare_execution(queue.dequeue_any([queue], None, connection=redis)[0])
worker.prepare_job_execution(job)
redis.zadd(StartedJobRegistry("shop", connection=redis).key, {execution.composite_key: 1})
workers.Simple([queue], connection=redis).clean_registries()
"""
    rq("-c", abandon, "{socket}")
    (attempt,) = inspector.event(1).attempts
    assert attempt.error_type == "rq.exceptions.AbandonedJobError"
    assert inspector.event(1).sync_status == "DEAD"


@pytest.mark.large
def test_a_job_that_was_stopped_is_dead_whatever_retries_it_had(rq, store, inspector):
    stop = """
import subprocess, sys, time, jobs
from redis import Redis
from rq import Queue, Retry
from rq.command import send_stop_job_command
redis = Redis(unix_socket_path=sys.argv[1])
job = Queue("shop", connection=redis).enqueue(jobs.hangs, retry=Retry(max=3))
command = ["-m", "rq.cli", "worker", "--burst", "--worker-class", "workers.Forking", "--url", "unix://" + sys.argv[1]]
worker = subprocess.Popen([sys.executable, *command, "shop"])
while not job.is_started:
    time.sleep(0.01)
send_stop_job_command(redis, job.id)
worker.wait(timeout=60)
"""
    rq("-c", stop, "{socket}")
    (attempt,) = inspector.event(1).attempts
    assert (attempt.error_type, attempt.retry_reason) == ("JobStopped", "it was stopped")
    assert inspector.event(1).sync_status == "DEAD"


@pytest.mark.thinned
@pytest.mark.tour
@pytest.mark.large
def test_what_cannot_be_recorded_is_logged_and_the_worker_goes_on(rq, store, tmp_path):
    (tmp_path / "workers.py").write_text(WORKER + "\nForking.store.close()\n")
    rq("-c", SEND, "{socket}", "Simple")
    done = work(rq, "Simple")
    assert "jobs.works[works] is not recorded: " in done.stderr
    assert "Job OK (works)" in done.stdout + done.stderr
    assert query(store, "SELECT count(*) FROM event_log") == [(0,)]
