"""arq's jobs, run by real workers on a server that speaks Redis: each is one event, and every try of it an attempt."""

import json
import os
import subprocess

import pytest

from tests import environments
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.integrations.killed import WAITS_FOR_STARTS, assert_lost
from tests.integrations.redis import redis_server

JOBS = (
    WAITS_FOR_STARTS
    + """
import asyncio, os, signal, time
from arq import Retry, cron, func
from arq.connections import RedisSettings
from failaware import Store
from failaware.integrations.arq import JobRecorder

left = {"recovers": 1}

async def charge(ctx, order, api_token=None):
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error

async def recovers(ctx):
    left["recovers"] -= 1
    if left["recovers"] >= 0:
        raise Retry(defer=0.01)

async def exhausts(ctx):
    try:
        raise OSError("not yet")
    except OSError as error:
        raise Retry() from error

async def works(ctx):
    return 42

async def hangs(ctx):
    await asyncio.sleep(60)

async def waits(ctx):
    await asyncio.sleep(60)

async def stops(ctx):
    if ctx["job_try"] == 1:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

async def dies(ctx):
    os.kill(os.getpid(), signal.SIGKILL)

async def nightly(ctx):
    raise LookupError("no ledger")

started, ended = [], []
async def on_job_start(ctx):
    started.append(ctx["job_id"])
    if ctx["job_id"] == "waits":  # the loop is busy as the time limit begins
        asyncio.get_running_loop().call_soon(time.sleep, 0.05)
async def after_job_end(ctx):
    ended.append(ctx["job_id"])
async def on_shutdown(ctx):
    print(len(started), len(ended))

class Settings:
    functions = [charge, recovers, func(exhausts, max_tries=2), works, func(hangs, timeout=0.1)]
    functions += [func(waits, timeout=0.1), stops, dies]
    cron_jobs = [cron(nightly, hour=3, run_at_startup=True)]
    redis_settings = RedisSettings(unix_socket_path=os.environ["SOCKET"])
    max_tries = 3
    poll_delay = 0.02
    on_job_start = on_job_start
    after_job_end = after_job_end
    on_shutdown = on_shutdown

JobRecorder(Store.open(os.environ["STORE"]), Settings)
"""
)
SEND = """
import asyncio, sys
from arq import create_pool
from jobs import Settings
async def main():
    redis = await create_pool(Settings.redis_settings)
    for name in sys.argv[1:]:
        args, kwargs = ((17,), {"api_token": "abcdef123456"}) if name == "charge" else ((), {})
        await redis.enqueue_job(name, *args, _job_id=name, **kwargs)
asyncio.run(main())
"""


@pytest.fixture
def arq(path, tmp_path):
    """Runs the environment's Python with a server: arq("-c", program, …)."""
    (tmp_path / "jobs.py").write_text(JOBS)
    python = environments.interpreter("arq")
    with redis_server() as socket:
        env = {**os.environ, "STORE": str(path), "PYTHONPATH": str(tmp_path), "SOCKET": socket}

        def run(*words, status=0):
            done = subprocess.run(
                [python, *words], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == status, done.stderr
            return done

        yield run


def events_of(inspector):
    return {event.event_type: event for event in (inspector.event(each.event_id) for each in inspector.events())}


@pytest.mark.sqlite
def test_a_worker_records_every_job_with_every_try(arq, store, inspector):
    arq("-c", SEND, "charge", "recovers", "exhausts", "works", "hangs", "waits")
    done = arq("-m", "arq", "--burst", "jobs.Settings")
    events = events_of(inspector)
    assert {name: [each.outcome for each in event.attempts] for name, event in events.items()} == {
        "charge": ["FAILED"],
        "recovers": ["FAILED", "SYNCED"],
        "exhausts": ["FAILED", "FAILED"],
        "works": ["SYNCED"],
        "hangs": ["FAILED"],
        "waits": ["FAILED"],
        "cron:nightly": ["FAILED"],
    }
    assert {name for name, event in events.items() if event.sync_status == "SYNCED"} == {"recovers", "works"}
    charge = events["charge"]
    assert (charge.sync_status, charge.source, charge.key) == ("DEAD", "arq", "arq:charge")
    (attempt,) = charge.attempts
    assert (attempt.error_type, attempt.error_message) == ("RuntimeError", "order 17 is not charged")
    assert attempt.cause == "ConnectionError: connection reset"
    assert "arq/worker.py" not in attempt.traceback
    assert "failaware/" not in attempt.traceback
    assert (attempt.retry_reason, attempt.retry_at) == ("arq does not try it again", None)
    payload = json.loads(charge.event_payload)
    assert (payload["args"], payload["kwargs"]) == ([17], {"api_token": "[masked]"})
    first = events["recovers"].attempts[0]
    assert (first.error_type, first.retry_reason) == ("arq.worker.Retry", "arq tries again in 0.01 s: try 2 of 3")
    assert first.retry_at == first.finished_at + 10_000
    last = events["exhausts"].attempts[1]
    assert (last.cause, last.retry_reason) == ("OSError: not yet", "arq gives up after 2 tries")
    for hung in (events["hangs"].attempts[0], events["waits"].attempts[0]):
        assert hung.error_type == "TimeoutError"
        assert hung.error_message == "the job did not end within its timeout of 0.1 s"
    assert done.stdout == "9 9\n"  # the settings' own hooks are called at each attempt
    assert query(store, "SELECT count(*) FROM lease") == [(0,)]
    assert_rebuild_changes_nothing(store)


@pytest.mark.sqlite
@pytest.mark.large
def test_a_job_of_a_stopped_worker_is_run_again_by_the_next_one(arq, inspector, tmp_path):
    alone = JOBS.replace("    cron_jobs = [cron(nightly, hour=3, run_at_startup=True)]\n", "")
    assert alone != JOBS  # a second job that is canceled as it begins would make arq end without waiting for the first
    (tmp_path / "jobs.py").write_text(alone)
    arq("-c", SEND, "stops")
    arq("-m", "arq", "--burst", "jobs.Settings")
    event = events_of(inspector)["stops"]
    assert (event.sync_status, event.leased_by) == ("FAILED", "arq")
    arq("-m", "arq", "--burst", "jobs.Settings")
    event = events_of(inspector)["stops"]
    assert [each.error_type for each in event.attempts] == ["WorkerStopped", None]
    assert event.sync_status == "SYNCED"


@pytest.mark.sqlite
@pytest.mark.large
def test_a_job_whose_worker_is_killed_is_recorded(arq, store, inspector, clock):
    arq("-c", SEND, "dies")
    arq("-m", "arq", "--burst", "jobs.Settings", status=-9)
    assert_lost(store, inspector, clock, "dies", "arq")


@pytest.mark.sqlite
def test_a_worker_that_is_given_another_hook_runs_its_jobs_as_before(arq, inspector):
    arq("-c", SEND, "works")
    program = "from arq.worker import run_worker; from jobs import Settings; "
    done = arq("-c", program + "run_worker(Settings, burst=True, cron_jobs=[], on_job_start=None)")
    assert "Traceback" not in done.stderr
    assert events_of(inspector)["works"].sync_status == "SYNCED"
