"""Jobs of APScheduler: each run is one event."""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from multiprocessing import resource_tracker

import pytest
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from failaware.integrations import apscheduler
from failaware.integrations.apscheduler import JobRecorder
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing
from tests.integrations.killed import assert_lost, lease_of

DIES = """
import os, sys
from apscheduler.schedulers.blocking import BlockingScheduler
from failaware import Store
from failaware.integrations.apscheduler import JobRecorder

def dies():
    sys.stdin.readline()  # the scheduler announces a run while it runs
    os.kill(os.getpid(), 9)

scheduler = BlockingScheduler()
JobRecorder(Store.open(sys.argv[1]), scheduler)
scheduler.add_job(dies)
scheduler.start()
"""


def fails(order, api_token=None):
    del api_token
    raise LookupError(f"order {order} has no address")


def dies():
    os.kill(os.getpid(), 9)


def unpicklable():
    return threading.Lock()


@pytest.fixture
def scheduler(store):
    resource_tracker.ensure_running()  # for the pool of processes; it lives as long as this process
    processes.long_lived.add(resource_tracker._resource_tracker._pid)
    executors = {"default": ThreadPoolExecutor(2), "children": ProcessPoolExecutor(1)}
    scheduler = BackgroundScheduler(executors=executors, job_defaults={"misfire_grace_time": 50})
    scheduler.add_job(fails, "interval", hours=1, id="before", name="billing.sync", args=[16])
    JobRecorder(store, scheduler)
    scheduler.start()
    yield scheduler
    if scheduler.running:
        scheduler.shutdown()


def runs_of(jobs, inspector):
    """Wait until each of these jobs has run; returns the newest run of each."""
    deadline, runs = time.monotonic() + 120, {}
    while not jobs <= runs.keys() and time.monotonic() < deadline:
        time.sleep(0.02)
        events = [inspector.event(each.event_id) for each in inspector.events(limit=10_000)]
        runs = {event.key.split(":")[1]: event for event in events if event.attempts}
    return runs


@pytest.mark.sqlite
def test_every_run_is_an_event(store, inspector, scheduler):
    release = threading.Event()
    past = datetime.now(UTC) - timedelta(seconds=60)
    scheduler.add_job(fails, id="once", args=[17], kwargs={"api_token": "abcdef123456"})
    scheduler.add_job(fails, id="child", args=[18], executor="children")
    scheduler.add_job(print, id="works", name="report", args=[""])
    scheduler.add_job(print, "date", run_date=past, id="missed", misfire_grace_time=1)
    scheduler.add_job(release.wait, "interval", seconds=0.2, id="slow", args=[20], next_run_time=datetime.now(UTC))
    runs = runs_of({"once", "child", "works", "missed", "slow"}, inspector)
    release.set()
    once = runs["once"]
    assert (once.event_type, once.sync_status, once.source) == ("fails", "DEAD", "apscheduler")
    (attempt,) = once.attempts
    assert (attempt.error_type, attempt.error_message) == ("LookupError", "order 17 has no address")
    assert attempt.retry_reason == "APScheduler does not try it again"
    assert attempt.traceback.count("File ") == 1
    payload = json.loads(once.event_payload)
    assert (payload["args"], payload["kwargs"], payload["job"]) == ([17], {"api_token": "[masked]"}, "once")
    (attempt,) = runs["child"].attempts
    assert (attempt.error_type, attempt.error_message) == ("LookupError", "order 18 has no address")
    assert "raise LookupError" in attempt.traceback
    assert (runs["works"].event_type, runs["works"].sync_status) == ("report", "SYNCED")
    assert runs["missed"].attempts[0].error_type == "JobMissed"
    assert runs["slow"].attempts[0].error_type == "MaxInstances"
    scheduler.shutdown()
    assert_rebuild_changes_nothing(store)


@pytest.mark.sqlite
@pytest.mark.large
def test_a_run_is_recorded_although_its_process_of_a_pool_is_killed(store, inspector, scheduler):
    scheduler.add_job(dies, id="dies", executor="children")
    lost = runs_of({"dies"}, inspector)["dies"]
    assert (lost.sync_status, lost.leased_by) == ("DEAD", None)
    (attempt,) = lost.attempts
    assert attempt.error_type == "concurrent.futures.process.BrokenProcessPool"
    assert attempt.retry_reason == "APScheduler does not try it again"
    scheduler.add_job(unpicklable, id="unpicklable", executor="children")
    (attempt,) = runs_of({"unpicklable"}, inspector)["unpicklable"].attempts
    assert "pickle" in attempt.error_message
    scheduler.shutdown()
    assert_rebuild_changes_nothing(store)


@pytest.mark.sqlite
def test_a_run_that_is_lost_before_its_submission_is_announced_is_recorded(store, inspector, scheduler):
    recorder = JobRecorder(store, scheduler)
    begun = datetime(2026, 11, 29, tzinfo=UTC)
    recorder._lose("x", OSError("gone"))
    recorder._submitted(("x", begun))
    recorder._submitted(("x", begun + timedelta(seconds=1)))  # which goes on
    done, running = [inspector.event(event.event_id) for event in inspector.events()][::-1]
    assert (done.key, done.attempts[0].error_message) == (f"apscheduler:x:{begun.isoformat()}", "gone")
    assert (running.attempts, running.sync_status) == ((), "PENDING")


@pytest.mark.sqlite
def test_a_job_that_was_there_before_has_its_name(store, inspector, scheduler):
    scheduler.modify_job("before", next_run_time=datetime.now(UTC))
    assert runs_of({"before"}, inspector)["before"].event_type == "billing.sync"


@pytest.mark.sqlite
def test_what_is_kept_of_jobs_that_ran_once_is_bounded(store, scheduler, monkeypatch):
    monkeypatch.setattr(apscheduler, "_MOST", 10)
    recorder = JobRecorder(store, scheduler)
    for number in range(25):
        scheduler.add_job(print, "date", run_date=datetime(2100, 1, 1, tzinfo=UTC), id=str(number))
    assert list(recorder._jobs) == [str(number) for number in range(15, 25)]


@pytest.mark.sqlite
def test_a_run_whose_process_is_killed_is_recorded(tmp_path, store, path, inspector, clock):
    program = [sys.executable, "-c", DIES, str(path)]
    with processes.Popen(program, stdin=subprocess.PIPE, cwd=tmp_path) as scheduler:
        lease_of(inspector, "dies", scheduler)
        scheduler.communicate(b"now\n", timeout=60)
    assert scheduler.returncode == -9
    assert_lost(store, inspector, clock, "dies", "apscheduler")
