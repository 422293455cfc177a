"""Workers whose leases expire while they live: on a busy machine, or because they were stopped for a while."""

import os
import signal
import sys

import pytest

from failaware import Store
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sizes import sized
from tests.worker.helpers import eventually

WORKER = """
import sys, time
from failaware import Handlers, Retry, Store, Worker
handlers = Handlers()
@handlers.on("*", retry=Retry(max_attempts=1_000, base=0))
def handle(event):
    open("begun", "a").close()
    until = time.thread_time() + float(sys.argv[2])  # longer than the lease, if others compete for the processor
    while time.thread_time() < until:
        pass
store = Store.open(sys.argv[1], synchronous="NORMAL")
Worker(store, handlers, concurrency=int(sys.argv[3]), lease=0.05).run(until_idle=True, patience=float(sys.argv[4]))
"""
SPINNING = "while True: pass"
EVENTS = sized(8, 100)


def start(path, folder, *, takes=0.01, concurrency=2, patience=0.5):
    arguments = [sys.executable, "-c", WORKER, str(path), str(takes), str(concurrency), str(patience)]
    return processes.Popen(arguments, cwd=folder)


def check_that_all_succeeded(path, events):
    with Store.open(path) as store:
        assert query(store, "SELECT sync_status, count(*) FROM event_state GROUP BY 1") == [("SYNCED", events)]
        assert query(store, "SELECT count(*) FROM lease") == [(0,)]
        assert query(store, "SELECT count(*) FROM attempt_log WHERE error_type <> 'WorkerLost'") == [(0,)]
        assert_rebuild_changes_nothing(store)


@pytest.mark.thinned
@pytest.mark.parametrize("concurrency", [3, 1])
def test_workers_with_leases_of_50_ms_end_on_a_busy_machine(path, tmp_path, concurrency):
    """Each loses its leases to others again and again, and all of them get their work done."""
    with Store.open(path) as store:
        store.record_many(("a", n) for n in range(EVENTS))
    spinning = [processes.Popen([sys.executable, "-c", SPINNING]) for _ in range(2)]
    try:
        workers = [start(path, tmp_path, concurrency=concurrency) for _ in range(3)]
        assert [worker.wait(50) for worker in workers] == [0, 0, 0]
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    check_that_all_succeeded(path, EVENTS)


def test_a_worker_that_was_stopped_for_a_while_goes_on_with_what_others_have_left(path, tmp_path):
    with Store.open(path) as store:
        store.record_many(("a", n) for n in range(12))
    first = start(path, tmp_path, takes=0.03)
    eventually((tmp_path / "begun").exists)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        second = start(path, tmp_path, takes=0.001)
        assert second.wait(40) == 0, "it makes the attempts of the stopped worker, and ends"
        with Store.open(path) as store:
            assert query(store, "SELECT count(*) FROM event_state WHERE sync_status <> 'SYNCED'") == [(0,)]
            assert query(store, "SELECT count(*) FROM attempt_log WHERE error_type = 'WorkerLost'") > [(0,)]
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.wait(40) == 0
    check_that_all_succeeded(path, 12)
