"""huey's tasks, run by a real consumer: each is one event, and every try of it an attempt."""

import json
import os
import sys

import pytest

from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.integrations.killed import WAITS_FOR_STARTS, assert_lost

TASKS = (
    WAITS_FOR_STARTS
    + """
import os, signal, time
from huey import SqliteHuey
from huey.exceptions import CancelExecution, RetryTask
from failaware import Store
from failaware.integrations.huey import TaskRecorder

huey = SqliteHuey("shop", filename="queue.db")
TaskRecorder(Store.open(os.environ["STORE"]), huey)
left = {"recovers": 1, "asks": 1}

@huey.task(name="charge", retries=2)
def charge(order, api_token=None):
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error

@huey.task(name="recovers", retries=1)
def recovers():
    left["recovers"] -= 1
    if left["recovers"] >= 0:
        raise OSError("not yet")

@huey.task(name="works")
def works():
    return 42

@huey.task(name="asks")
def asks():
    left["asks"] -= 1
    if left["asks"] >= 0:
        raise RetryTask()

@huey.task(name="cancels", retries=3)
def cancels():
    raise CancelExecution(retry=False)

@huey.task(name="waits", expires=0.001)
def expires():
    pass

@huey.task(name="revoked")
def revoked():
    pass

@huey.task(name="vetoed", retries=1)
def vetoed():
    pass

@huey.pre_execute()
def veto(task):
    if task.name == "vetoed":
        raise CancelExecution()

@huey.task(name="hangs", timeout=0.1, context=True)
def hangs(task=None):
    while True:
        time.sleep(0.02)
        task.check_timeout()

@huey.task(name="dies")
def dies():
    os.kill(os.getpid(), 9)

@huey.task(name="last")
def last():
    if huey.pending_count() or huey.scheduled_count():
        last.schedule(delay=0.1)
    else:
        os.kill(os.getpid(), signal.SIGTERM)
"""
)
SEND = """
from tasks import *
charge(17, api_token="abcdef123456"), recovers(), works(), asks(), cancels(), vetoed(), expires(), hangs()
task = revoked.s()
huey.revoke(task)
huey.enqueue(task)
last()
"""


@pytest.mark.sqlite
def test_a_consumer_records_every_task_with_every_try(tmp_path, store, path, inspector):
    (tmp_path / "tasks.py").write_text(TASKS)
    options = {"cwd": tmp_path, "env": os.environ | {"STORE": str(path), "PYTHONPATH": str(tmp_path)}, "timeout": 60}
    processes.run([sys.executable, "-c", SEND], check=True, **options)
    consumer = [sys.executable, "-m", "huey.bin.huey_consumer", "tasks.huey", "-d", "0.05", "-s", "1"]
    done = processes.run(consumer, capture_output=True, text=True, check=False, **options)
    events = {event.event_type: event for event in (inspector.event(each.event_id) for each in inspector.events())}
    assert {name: [each.outcome for each in event.attempts] for name, event in events.items()} == {
        "charge": ["FAILED"] * 3,
        "recovers": ["FAILED", "SYNCED"],
        "works": ["SYNCED"],
        "asks": ["FAILED", "SYNCED"],
        "cancels": ["FAILED"],
        "waits": ["FAILED"],
        "revoked": ["FAILED"],
        "vetoed": ["FAILED"],
        "hangs": ["FAILED"],
        "last": ["SYNCED"],
    }, done.stderr
    charge = events["charge"]
    assert (charge.sync_status, charge.source) == ("DEAD", "huey")
    first, _, last = charge.attempts
    assert (first.error_type, first.error_message) == ("RuntimeError", "order 17 is not charged")
    assert first.cause == "ConnectionError: connection reset"
    assert "huey/api.py" not in first.traceback
    assert first.retry_reason == "huey tries again: 2 of its retries left"
    assert (last.retry_reason, last.retry_at) == ("huey does not try it again", None)
    payload = json.loads(charge.event_payload)
    assert (payload["args"], payload["kwargs"]) == ([17], {"api_token": "[masked]"})
    assert events["asks"].attempts[0].error_type == "RetryTask"
    assert events["cancels"].attempts[0].error_type == "CancelExecution"
    assert events["waits"].attempts[0].error_type == "Expired"
    assert events["hangs"].attempts[0].error_type == "TaskTimeout"
    assert events["revoked"].attempts[0].error_type == "Revoked"
    assert query(store, "SELECT count(*) FROM lease") == [(0,)]
    assert_rebuild_changes_nothing(store)


@pytest.mark.sqlite
@pytest.mark.large
def test_a_task_whose_consumer_is_killed_is_recorded(tmp_path, store, path, inspector, clock):
    (tmp_path / "tasks.py").write_text(TASKS)
    options = {"cwd": tmp_path, "env": os.environ | {"STORE": str(path), "PYTHONPATH": str(tmp_path)}, "timeout": 60}
    processes.run([sys.executable, "-c", "from tasks import *; dies()"], check=True, **options)
    consumer = [sys.executable, "-m", "huey.bin.huey_consumer", "tasks.huey", "-d", "0.05"]
    assert processes.run(consumer, capture_output=True, check=False, **options).returncode == -9
    assert_lost(store, inspector, clock, "dies", "huey")
