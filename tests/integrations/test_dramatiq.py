"""dramatiq's messages, processed by real workers on a server that speaks Redis: each is one event."""

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

ACTORS = (
    WAITS_FOR_STARTS
    + """
import os, time
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import SkipMessage
from failaware import Store
from failaware.integrations.dramatiq import Recorder

import redis
broker = RedisBroker(client=redis.Redis(unix_socket_path=os.environ["SOCKET"]))
broker.add_middleware(Recorder(Store.open(os.environ["STORE"])))
dramatiq.set_broker(broker)
left = {"recovers": 1}

@dramatiq.actor(max_retries=2, min_backoff=1, max_backoff=2)
def charge(order, api_token=None):
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error

@dramatiq.actor(max_retries=1, min_backoff=1)
def recovers():
    left["recovers"] -= 1
    if left["recovers"] >= 0:
        raise OSError("not yet")

@dramatiq.actor
def works():
    return None

@dramatiq.actor(throws=KeyError)
def throws():
    raise KeyError("expected")

@dramatiq.actor(time_limit=100, max_retries=0)
def hangs():
    for _ in range(200):
        time.sleep(0.05)

@dramatiq.actor
def dies():
    os.kill(os.getpid(), 9)

@dramatiq.actor(max_age=1)
def old():
    pass
"""
)
SEND = """
import time
from actors import *
old.send()
time.sleep(0.05)
charge.send(17, api_token="abcdef123456"), recovers.send(), works.send(), throws.send(), hangs.send()
"""
EXPECTED = {
    "charge": ["FAILED"] * 3,
    "recovers": ["FAILED", "SYNCED"],
    "works": ["SYNCED"],
    "throws": ["FAILED"],
    "hangs": ["FAILED"],
    "old": ["FAILED"],
}


@pytest.mark.large
@pytest.mark.sqlite
def test_a_worker_records_every_message_with_every_attempt(tmp_path, store, path, inspector):
    (tmp_path / "actors.py").write_text(ACTORS)
    with redis_server() as socket:
        env = os.environ | {"STORE": str(path), "PYTHONPATH": str(tmp_path), "SOCKET": socket}
        processes.run([sys.executable, "-c", SEND], cwd=tmp_path, env=env, check=True, timeout=60)
        worker = [sys.executable, "-m", "dramatiq", "actors", "-p", "1", "-t", "2"]
        with subprocess.Popen(worker, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as running:
            deadline = time.monotonic() + 60
            made = {}
            while made != EXPECTED and time.monotonic() < deadline and running.poll() is None:
                time.sleep(0.05)
                events = [inspector.event(each.event_id) for each in inspector.events()]
                made = {event.event_type: [each.outcome for each in event.attempts] for event in events}
            running.terminate()
            _, log = running.communicate(timeout=60)
    assert made == EXPECTED, log
    by_type = {event.event_type: event for event in events}
    charge = by_type["charge"]
    assert (charge.sync_status, charge.source) == ("DEAD", "dramatiq")
    first, _, last = charge.attempts
    assert (first.error_type, first.error_message) == ("RuntimeError", "order 17 is not charged")
    assert first.cause == "ConnectionError: connection reset"
    assert "dramatiq/worker.py" not in first.traceback
    assert first.retry_reason.startswith("dramatiq tries again in 0.00")
    assert (last.retry_reason, last.retry_at) == ("dramatiq does not try it again", None)
    payload = json.loads(charge.event_payload)
    assert (payload["args"], payload["kwargs"]) == ([17], {"api_token": "[masked]"})
    assert by_type["hangs"].attempts[0].error_type == "dramatiq.middleware.time_limit.TimeLimitExceeded"
    assert by_type["old"].attempts[0].error_type == "SkipMessage"
    assert query(store, "SELECT count(*) FROM lease") == [(0,)]
    assert_rebuild_changes_nothing(store)


@pytest.mark.large
@pytest.mark.sqlite
def test_a_message_whose_worker_is_killed_is_recorded(tmp_path, store, path, inspector, clock):
    (tmp_path / "actors.py").write_text(ACTORS)
    with redis_server() as socket:
        env = os.environ | {"STORE": str(path), "PYTHONPATH": str(tmp_path), "SOCKET": socket}
        options = {"cwd": tmp_path, "env": env}
        processes.run([sys.executable, "-c", "from actors import *; dies.send()"], check=True, timeout=60, **options)
        worker = [sys.executable, "-m", "dramatiq", "actors", "-p", "1", "-t", "1"]
        with subprocess.Popen(worker, stderr=subprocess.DEVNULL, **options) as running:
            lease_of(inspector, "dies", running)
            running.terminate()
            running.wait(timeout=60)
    assert_lost(store, inspector, clock, "dies", "dramatiq")
