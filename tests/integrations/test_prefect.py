"""Prefect's tasks, run with a real server: each run is one event, and each try of it an attempt."""

import json
import os
import signal
import subprocess

import pytest

from tests import environments
from tests.conftest import assert_rebuild_changes_nothing
from tests.integrations.killed import WAITS_FOR_STARTS, assert_lost
from tests.integrations.prefect_server import prefect_server

FLOWS = (
    WAITS_FOR_STARTS
    + """
import asyncio, os, signal, sys, time
import cloudpickle
from prefect import flow, task
from prefect.states import Failed
from failaware.integrations.prefect import Recorder

recorder = Recorder(os.environ["STORE"])
left = {"recovers": 1}

@recorder
@task
def charge(order, api_token=None):
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error

@recorder
@task(retries=2, retry_delay_seconds=[0.01, 60])
def recovers():
    left["recovers"] -= 1
    if left["recovers"] >= 0:
        raise OSError("not yet")

@recorder
@task(retries=1)
def exhausts():
    raise OSError("not yet")

@recorder
@task(retries=3, retry_condition_fn=lambda task, task_run, state: False)
def is_not_worth_it():
    raise OSError("not yet")

@recorder
@task(timeout_seconds=0.5)
def hangs():
    time.sleep(60)

@recorder
@task(timeout_seconds=0.5, retries=1)
async def hangs_twice():
    await asyncio.sleep(60)

@recorder
@task
async def works(number):
    return number

@recorder
@task
def returns_a_failure():
    return Failed(message="the ledger is closed")

@recorder
@task
def exits():
    sys.exit(3)

@recorder
@task
def dies():
    os.kill(os.getpid(), signal.SIGKILL)

@flow
def shop():
    charge(17, api_token="abcdef123456", return_state=True)
    for each in (recovers, exhausts, is_not_worth_it, hangs, returns_a_failure):
        each(return_state=True)
    works.submit(1).wait()

@flow
async def later():
    await hangs_twice(return_state=True)
    await works(3)
    assert await works.with_options(name="copied")(2) == 2
    assert await cloudpickle.loads(cloudpickle.dumps(works))(4) == 4  # as it is sent to another process

@flow
def ends():
    try:
        exits()
    finally:
        dies()

@flow
def deployed():
    exhausts(return_state=True)
    recovers()

if __name__ == "__main__":
    assert recovers.fn.__name__ == "recovers"
    shop()
    asyncio.run(later())
    ends()
"""
)

DEPLOY = """
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments import run_deployment

with get_client(sync_client=True) as client:
    client.create_work_pool(WorkPoolCreate(name="local", type="process"))
for name in ("deployed", "ends"):
    deployed = flow.from_source(source=".", entrypoint=f"flows.py:{name}")
    deployed.deploy(name="nightly", work_pool_name="local", ignore_warnings=True)
    run_deployment(f"{name}/nightly", timeout=0)
"""


@pytest.mark.sqlite
@pytest.mark.large
def test_tasks_are_recorded_with_every_try(path, store, inspector, clock, tmp_path):
    program = tmp_path / "flows.py"
    program.write_text(FLOWS)
    command = [environments.interpreter("prefect"), str(program)]
    with prefect_server() as settings:
        env = {**os.environ, **settings, "STORE": str(path)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    assert "Running hook" not in done.stdout + done.stderr  # of Prefect's log for hooks, which are not used

    events = [inspector.event(each.event_id) for each in inspector.events()]
    assert sorted((event.event_type, event.sync_status, len(event.attempts)) for event in events) == [
        ("ends.dies", "PENDING", 0),
        ("ends.exits", "DEAD", 1),
        ("later.copied", "SYNCED", 1),
        ("later.hangs_twice", "DEAD", 2),
        ("later.works", "SYNCED", 1),
        ("later.works", "SYNCED", 1),
        ("shop.charge", "DEAD", 1),
        ("shop.exhausts", "DEAD", 2),
        ("shop.hangs", "DEAD", 1),
        ("shop.is_not_worth_it", "DEAD", 1),
        ("shop.recovers", "SYNCED", 2),
        ("shop.returns_a_failure", "DEAD", 1),
        ("shop.works", "SYNCED", 1),
    ]
    by_type = {event.event_type: event for event in events}
    assert_charge_is_complete(by_type["shop.charge"])
    first = by_type["shop.recovers"].attempts[0]
    assert first.retry_reason == "Prefect tries again in 0.01 s: retry 1 of 2"
    assert first.retry_at == first.finished_at + 10_000
    assert by_type["shop.exhausts"].attempts[0].retry_reason == "Prefect tries again: retry 1 of 1"
    for hung in (*by_type["shop.hangs"].attempts, *by_type["later.hangs_twice"].attempts):
        message = "the task did not end within its timeout of 0.5 s"
        assert (hung.error_type, hung.error_message) == ("TimeoutError", message)
    assert by_type["shop.returns_a_failure"].attempts[0].error_message == "the ledger is closed"
    assert by_type["ends.exits"].attempts[0].error_type == "SystemExit"
    assert_lost(store, inspector, clock, "ends.dies", "prefect")
    assert_rebuild_changes_nothing(store)


@pytest.mark.sqlite
@pytest.mark.large
def test_tasks_of_deployed_flows_are_recorded_by_the_processes_that_prefects_worker_starts(
    path, store, inspector, clock, tmp_path
):
    (tmp_path / "flows.py").write_text(FLOWS)
    python = environments.interpreter("prefect")
    worker = ["-m", "prefect", "worker", "start", "--pool", "local", "--run-once"]
    with prefect_server() as settings:
        env = {**os.environ, **settings, "STORE": str(path)}
        for words in (["-c", DEPLOY], worker):
            done = subprocess.run(
                [python, *words], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
    events = [inspector.event(each.event_id) for each in inspector.events()]
    assert sorted((event.event_type, event.sync_status, len(event.attempts)) for event in events) == [
        ("deployed.exhausts", "DEAD", 2),
        ("deployed.recovers", "SYNCED", 2),
        ("ends.dies", "PENDING", 0),
        ("ends.exits", "DEAD", 1),
    ]
    assert_lost(store, inspector, clock, "ends.dies", "prefect")


def assert_charge_is_complete(charge):
    assert charge.source == "prefect"
    assert json.loads(charge.event_payload)["parameters"] == {"order": 17, "api_token": "[masked]"}
    (attempt,) = charge.attempts
    assert (attempt.error_type, attempt.error_message) == ("RuntimeError", "order 17 is not charged")
    assert attempt.cause == "ConnectionError: connection reset"
    assert "/prefect/" not in attempt.traceback
    assert attempt.retry_reason == "Prefect does not try it again"
