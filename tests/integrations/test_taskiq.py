"""taskiq's tasks, run by real workers on a server that speaks Redis: each is one event, every try of it an attempt."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.integrations.killed import WAITS_FOR_STARTS, assert_lost, lease_of
from tests.integrations.redis import redis_server

TASKS = (
    WAITS_FOR_STARTS
    + """
import asyncio, os, time
from taskiq import Context, SimpleRetryMiddleware, SmartRetryMiddleware, TaskiqDepends
from taskiq.exceptions import NoResultError
from taskiq_redis import ListQueueBroker
from failaware import Store
from failaware.integrations.taskiq import Recorder

broker = ListQueueBroker("unix://" + os.environ["SOCKET"])
RETRYING
left = {"recovers": 1, "requeues": 1}

@broker.task(task_name="charge", retry_on_error=True, max_retries=3)
async def charge(order, api_token=None):
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error

@broker.task(task_name="recovers", retry_on_error=True)
def recovers():
    left["recovers"] -= 1
    if left["recovers"] >= 0:
        raise OSError("not yet")

@broker.task(task_name="works")
async def works():
    return 42

@broker.task(task_name="requeues")
async def requeues(context: Context = TaskiqDepends()):
    left["requeues"] -= 1
    if left["requeues"] >= 0:
        await context.requeue()

@broker.task(task_name="silent")
async def silent():
    raise NoResultError

@broker.task(task_name="hangs", timeout=0.1)
async def hangs():
    await asyncio.sleep(60)

@broker.task(task_name="dies")
def dies():
    os.kill(os.getpid(), 9)
"""
)
SIMPLE = """
broker.add_middlewares(SimpleRetryMiddleware(), Recorder(Store.open(os.environ["STORE"])))
"""
SMART = """
broker.add_middlewares(Recorder(Store.open(os.environ["STORE"])), SmartRetryMiddleware(default_delay=0.01))
"""
SEND = """
import asyncio
from tasks import *
async def main():
    await broker.startup()
    await charge.kiq(17, api_token="abcdef123456")
    for task in (recovers, works, requeues, silent, hangs):
        await task.kiq()
asyncio.run(main())
"""
EXPECTED = {
    "charge": ["FAILED"] * 3,
    "recovers": ["FAILED", "SYNCED"],
    "works": ["SYNCED"],
    "requeues": ["FAILED", "SYNCED"],
    "silent": ["SYNCED"],
    "hangs": ["FAILED"],
}


def worked(command, inspector, expected, **options):
    """Run a worker until it has recorded what is expected; returns its events by type."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options) as worker:
        deadline, made = time.monotonic() + 60, {}
        while made != expected and time.monotonic() < deadline and worker.poll() is None:
            time.sleep(0.05)
            events = [inspector.event(each.event_id) for each in inspector.events()]
            made = {event.event_type: [each.outcome for each in event.attempts] for event in events}
        worker.terminate()
        _, log = worker.communicate(timeout=60)
    assert made == expected, log
    return {event.event_type: event for event in events}


@pytest.mark.thinned
@pytest.mark.sqlite
@pytest.mark.parametrize(("retrying", "delay"), [(SIMPLE, ""), (SMART, " in 0.01 s")])
@pytest.mark.large
def test_a_worker_records_every_task_with_every_try(tmp_path, store, path, inspector, retrying, delay):
    (tmp_path / "tasks.py").write_text(TASKS.replace("RETRYING", retrying))
    with redis_server() as socket:
        env = os.environ | {"STORE": str(path), "PYTHONPATH": str(tmp_path), "SOCKET": socket}
        options = {"cwd": tmp_path, "env": env}
        processes.run([sys.executable, "-c", SEND], check=True, timeout=60, **options)
        worker = [sys.executable, "-m", "taskiq", "worker", "tasks:broker", "--workers", "1"]
        events = worked(worker, inspector, EXPECTED, **options)
    charge = events["charge"]
    assert (charge.sync_status, charge.source) == ("DEAD", "taskiq")
    first, _, last = charge.attempts
    assert (first.error_type, first.error_message) == ("RuntimeError", "order 17 is not charged")
    assert first.cause == "ConnectionError: connection reset"
    assert "taskiq/receiver" not in first.traceback
    assert first.retry_reason == f"taskiq tries again{delay}: retry 1"
    assert (last.retry_reason, last.retry_at) == ("taskiq does not try it again", None)
    payload = json.loads(charge.event_payload)
    assert (payload["args"], payload["kwargs"]) == ([17], {"api_token": "[masked]"})
    assert events["hangs"].attempts[0].error_type == "TimeoutError"
    assert events["requeues"].attempts[0].error_type == "Requeued"
    assert query(store, "SELECT count(*) FROM lease") == [(0,)]
    assert_rebuild_changes_nothing(store)


@pytest.mark.large
@pytest.mark.sqlite
def test_a_task_whose_worker_is_killed_is_recorded(tmp_path, store, path, inspector, clock):
    (tmp_path / "tasks.py").write_text(TASKS.replace("RETRYING", SIMPLE))
    with redis_server() as socket:
        env = os.environ | {"STORE": str(path), "PYTHONPATH": str(tmp_path), "SOCKET": socket}
        options = {"cwd": tmp_path, "env": env}
        send = "import asyncio\nfrom tasks import *\nasyncio.run(dies.kiq())"
        processes.run([sys.executable, "-c", send], check=True, timeout=60, **options)
        worker = [sys.executable, "-m", "taskiq", "worker", "tasks:broker", "--workers", "1"]
        with subprocess.Popen(worker, stderr=subprocess.DEVNULL, **options) as running:
            lease_of(inspector, "dies", running)
            running.terminate()
            running.wait(timeout=60)
    assert_lost(store, inspector, clock, "dies", "taskiq")
