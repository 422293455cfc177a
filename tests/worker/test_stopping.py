"""SIGTERM ends a worker within its grace, even in a transaction or while the store is locked."""

import signal
import subprocess
import sys
import time

import pytest

from failaware import Inspector, Store
from failaware.worker import stopping
from failaware.worker.worker import GRACE_S
from tests import processes
from tests.conftest import plain_sqlite, query
from tests.worker.helpers import eventually

HANDLERS = """
import asyncio, time
from failaware import Handlers, Retry
handlers = Handlers()
def begin():
    open('begun', 'w').close()
@handlers.on("plain", retry=Retry(max_attempts=2, base=60))
def plain(event):
    begin()
    time.sleep(60)
@handlers.on("quick")
def quick(event):
    pass
@handlers.on("async", retry=Retry(max_attempts=2, base=60))
async def waits(event):
    begin()
    await asyncio.to_thread(time.sleep, 60)  # a thread that Python would wait for
@handlers.on("transactional", transaction=True)
def transactional(event, transaction):
    begin()
    transaction.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
"""


def start(path, tmp_path):
    (tmp_path / "slow.py").write_text(HANDLERS)
    command = [sys.executable, "-m", "failaware", "--db", str(path), "run", "slow", "--grace", "0.3"]
    return processes.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop(path, tmp_path, event_type):
    with Store.open(path) as store:
        store.record_many((event_type, n) for n in range(3))
    process = start(path, tmp_path)
    eventually((tmp_path / "begun").exists)
    return end(process)


def end(process):
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 15
    return process.returncode, err


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_handler_that_does_not_end_is_left_and_its_attempt_has_failed(path, tmp_path, kind):
    status, err = stop(path, tmp_path, kind)
    assert status == 0, err
    with Inspector.open(path) as inspector:
        (attempt,) = inspector.event(1).attempts
        assert (attempt.error_type, inspector.event(1).sync_status) == ("WorkerStopped", "FAILED")
        assert "0.3 s later" in attempt.error_message
        assert inspector.health().running == 0
        assert inspector.health().pending == 2


@pytest.mark.large
@pytest.mark.sqlite
def test_a_worker_held_up_in_a_transaction_ends_all_the_same(path, tmp_path):
    status, _ = stop(path, tmp_path, "transactional")
    assert status == 128 + signal.SIGTERM
    with Store.open(path) as store:
        assert query(store, "SELECT count(*) FROM attempt_log") == [(0,)]


def test_by_default_a_worker_ends_within_5_seconds():
    assert GRACE_S + stopping._LEEWAY_S <= 5


def test_an_idle_worker_ends_at_once(path, tmp_path):
    with Store.open(path) as store:
        store.record("quick", 1)
        process = start(path, tmp_path)
        eventually(lambda: query(store, "SELECT count(*) FROM attempt_log") == [(1,)])
    assert end(process)[0] == 0


@pytest.mark.sqlite("another program holds its lock")
def test_a_worker_that_waits_for_a_locked_store_ends(path, tmp_path):
    with Store.open(path) as store:
        store.record("quick", 1)
    process = start(path, tmp_path)
    with plain_sqlite(path) as db:
        eventually(lambda: db.execute("SELECT count(*) FROM attempt_log").fetchall() == [(1,)])
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO event_log VALUES (2, 'quick', null, '1', 0, 0, null)")
        status, _ = end(process)
        db.execute("ROLLBACK")
    assert status in (0, 128 + signal.SIGTERM)


def test_a_worker_that_runs_a_poison_candidate_alone_ends(path, tmp_path):
    with Store.open(path) as store:
        store.record_many(("plain", n) for n in range(3))
        lost = "INSERT INTO lease (event_id, leased_until, leased_by) VALUES (1, 1, 'gone:1')"
        store.session.write(lambda db: db.execute(lost))
        process = start(path, tmp_path)
        eventually((tmp_path / "begun").exists)
        assert end(process)[0] == 0
        assert query(store, "SELECT count(*) FROM lease") == [(0,)]
