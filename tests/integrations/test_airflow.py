"""Airflow's tasks, run by Airflow on SQLite: each is one event, and each try of it an attempt."""

import json
import os
import subprocess

import pytest

from tests import environments
from tests.conftest import assert_rebuild_changes_nothing
from tests.integrations.killed import WAITS_FOR_STARTS, assert_lost

DAGS = (
    WAITS_FOR_STARTS
    + """
import os, signal, time
from datetime import datetime, timedelta
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException

at_once = timedelta(seconds=0.1)
polled = []

@dag(schedule=None, start_date=datetime(2026, 1, 1))
def shop():
    @task
    def charge(order, api_token=None):
        try:
            raise ConnectionError("connection reset")
        except ConnectionError as error:
            raise RuntimeError(f"order {order} is not charged") from error

    @task(retries=1, retry_delay=at_once)
    def recovers(**context):
        if context["ti"].try_number == 1:
            raise OSError("not yet")

    @task(retries=1, retry_delay=at_once)
    def exhausts():
        raise OSError("not yet")

    @task(execution_timeout=timedelta(seconds=0.2))
    def hangs():
        time.sleep(60)

    @task
    def works(number):
        pass

    @task
    def skips():
        raise AirflowSkipException("nothing to do")

    @task.sensor(poke_interval=0.1, mode="reschedule")
    def waits():
        polled.append(1)
        return len(polled) == 2

    charge(17, api_token="abcdef123456"), recovers(), exhausts(), hangs(), skips(), waits()
    works.expand(number=[1, 2])

@dag(schedule=None, start_date=datetime(2026, 1, 1))
def last():
    @task
    def dies():
        os.kill(os.getpid(), signal.SIGKILL)

    dies()

in_shop, in_last = shop(), last()
"""
)
PLUGIN = """
import os
from airflow.plugins_manager import AirflowPlugin
from failaware.integrations.airflow import Recorder

class Failures(AirflowPlugin):
    name = "failures"
    listeners = [Recorder(os.environ["STORE"])]
"""
RUN = "import dags; dags.in_shop.test(); dags.in_last.test()"


@pytest.mark.sqlite
@pytest.mark.large
def test_tasks_are_recorded_with_every_try(path, store, inspector, clock, tmp_path):
    for name, text in {"dags/dags.py": DAGS, "plugins/failures.py": PLUGIN}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    python = environments.interpreter("airflow")
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    env |= {"STORE": str(path), "PYTHONPATH": str(tmp_path / "dags")}
    for words, status in ((["-m", "airflow", "db", "migrate"], 0), (["-c", RUN], -9)):
        done = subprocess.run([python, *words], env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == status, done.stdout + done.stderr

    events = [inspector.event(each.event_id) for each in inspector.events()]
    assert sorted((event.event_type, event.sync_status, len(event.attempts)) for event in events) == [
        ("last.dies", "PENDING", 0),
        ("shop.charge", "DEAD", 1),
        ("shop.exhausts", "DEAD", 2),
        ("shop.hangs", "DEAD", 1),
        ("shop.recovers", "SYNCED", 2),
        ("shop.skips", "SYNCED", 1),
        ("shop.waits", "SYNCED", 1),
        ("shop.works", "SYNCED", 1),
        ("shop.works", "SYNCED", 1),
    ]
    by_type = {event.event_type: event for event in events}
    assert_charge_is_complete(by_type["shop.charge"])
    first = by_type["shop.recovers"].attempts[0]
    assert first.retry_reason == "Airflow tries again in 0.1 s at the earliest"
    assert first.retry_at == first.finished_at + 100_000
    assert by_type["shop.hangs"].attempts[0].error_type == "airflow.sdk.exceptions.AirflowTaskTimeout"
    assert {event.key.rpartition(":")[2] for event in events if event.event_type == "shop.works"} == {
        "works[0]",
        "works[1]",
    }
    assert_lost(store, inspector, clock, "last.dies", "airflow")
    assert_rebuild_changes_nothing(store)


def assert_charge_is_complete(charge):
    assert charge.source == "airflow"
    assert charge.key.startswith("airflow:shop:manual__")
    payload = json.loads(charge.event_payload)
    assert (payload["op_args"], payload["op_kwargs"]) == ([17], {"api_token": "[masked]"})
    (attempt,) = charge.attempts
    assert (attempt.error_type, attempt.error_message) == ("RuntimeError", "order 17 is not charged")
    assert attempt.cause == "ConnectionError: connection reset"
    assert "airflow/sdk" not in attempt.traceback
    assert attempt.retry_reason == "Airflow does not try it again"
