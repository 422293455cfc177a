"""Leases: renewal, workers that die, and events that may have killed one."""

import signal
import sys
import threading
import time

import pytest

from failaware import Handlers, Retry, Store, Worker
from failaware.facts import append, claim
from failaware.model import NewAttempt
from failaware.worker.dispatch import Dispatch
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.worker.helpers import handlers_of, run


def test_leases_are_renewed_while_a_handler_runs(path):
    with Store.open(path, synchronous="NORMAL") as store:
        check_that_leases_are_renewed(store)


def check_that_leases_are_renewed(store):
    store.record("a", 1)
    calls = []

    def handle(event):
        calls.append(event.attempt_no)
        time.sleep(1.0)

    workers = [Worker(store, handlers_of(handle), lease=0.3) for _ in range(2)]
    threads = [threading.Thread(target=w.run, kwargs={"until_idle": True, "patience": 2}) for w in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert calls == [1]
    assert query(store, "SELECT outcome FROM attempt_log") == [("SYNCED",)]


def lose_a_worker(store, clock, *, handlers=None, running=0):
    """Claim as a worker with four hands does, of which some still run something, then never come back."""
    dispatch = Dispatch(handlers or handlers_of(print, retry=Retry(max_attempts=9)), 4, 50)
    if running:
        dispatch.add(
            [claim.Claimed(claim.Event(0, "a", None, None, None, 0, 0), 0, 0, False, False, True, True)] * running,
            clock(),
        )
    now = clock()
    taken = store.session.write(lambda db: dispatch.claim(db, worker="gone:1", now=now, until=now + 60_000_000))
    return [claimed.event.event_id for claimed in taken]


def test_a_lost_worker_is_an_attempt_that_counts_until_the_event_is_dead(store, inspector, clock):
    store.record("a", 1)
    for _ in range(2):
        assert lose_a_worker(store, clock) == [1]
        run(store, lambda event: None, retry=Retry(max_attempts=2, base=10))  # the lease still holds
        clock.advance(61)
        run(store, pytest.fail, retry=Retry(max_attempts=2, base=10))  # recorded as lost; not due yet
        clock.advance(60)
    event = inspector.event(1)
    assert [(a.error_type, a.worker) for a in event.attempts] == [("WorkerLost", "gone:1")] * 2
    assert event.sync_status == "DEAD"
    assert_rebuild_changes_nothing(store)


def test_events_that_may_have_killed_a_worker_are_tried_one_at_a_time(store, clock):
    store.record_many(("a", n) for n in range(4))
    assert len(lose_a_worker(store, clock)) == 4
    clock.advance(61)
    run(store, pytest.fail, retry=Retry(base=10))
    clock.advance(60)
    store.record("a", "innocent")
    assert len(lose_a_worker(store, clock)) == 1
    assert len(lose_a_worker(store, clock)) == 1


def test_a_worker_with_something_in_hand_leaves_those_that_may_have_killed_another(store, clock):
    store.record_many(("a", n) for n in range(3))
    assert len(lose_a_worker(store, clock)) == 3
    clock.advance(61)
    run(store, pytest.fail, retry=Retry(base=10, jitter=0))
    clock.advance(10)
    innocent = store.record("a", "innocent").event_id
    assert lose_a_worker(store, clock, running=1) == [innocent]
    clock.advance(2)
    store.record("a", "another innocent")
    assert lose_a_worker(store, clock, running=1) == [], "they have waited long enough: its hands must get empty"
    assert len(lose_a_worker(store, clock)) == 1


def test_nothing_else_runs_beside_an_event_that_may_have_killed_a_worker(store, clock):
    running, together = set(), []

    def handle(event):
        running.add(event.event_id)
        together.append(set(running))
        time.sleep(0.02)
        running.discard(event.event_id)

    store.record_many(("a", n) for n in range(2))
    lose_a_worker(store, clock)
    clock.advance(61)
    run(store, pytest.fail, retry=Retry(base=10))
    clock.advance(60)
    store.record_many(("a", n) for n in range(6))
    Worker(store, handlers_of(handle), concurrency=4).run(until_idle=True, patience=0)
    assert query(store, "SELECT DISTINCT sync_status FROM event_state") == [("SYNCED",)]
    assert all(running_at_once in ({1}, {2}) for running_at_once in together if running_at_once & {1, 2})


def test_an_event_that_may_have_killed_a_worker_has_its_turn_however_many_others_come(path):
    """With concurrency 2 and endless other work, the worker claims nothing else until it has run that one alone."""
    with Store.open(path, synchronous="NORMAL") as store:
        store.record("poison_candidate", 0)
        lease = "INSERT INTO lease (event_id, leased_until, leased_by) VALUES (1, 1, 'gone:1')"
        store.session.write(lambda db: db.execute(lease))
        handlers, tried = Handlers(), threading.Event()
        handlers.on("poison_candidate", retry=Retry(max_attempts=5, base=0.01))(lambda event: tried.set())

        @handlers.on("flood")
        def flood(event):
            store.record("flood", event.payload)
            time.sleep(event.payload)

        for number in range(1, 13):  # of different lengths: something always runs
            store.record("flood", 0.03 * number)
        worker = Worker(store, handlers, concurrency=2)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            assert tried.wait(6)
        finally:
            worker.stop()
            thread.join()


def test_an_event_that_kills_its_worker_ends_dead_and_takes_no_other_with_it(path, tmp_path):
    program = (
        "import os, sys\nfrom failaware import Handlers, Retry, Store, Worker\n"
        "handlers = Handlers()\n"
        "@handlers.on('*', retry=Retry(max_attempts=3, base=0.001, jitter=0))\n"
        "def handle(event):\n    if event.payload == 'deadly': os._exit(9)\n"
        "Worker(Store.open(sys.argv[1]), handlers, batch=10, lease=0.05).run(until_idle=True, patience=0.2)\n"
    )
    with Store.open(path) as store:
        store.record_many(("a", "deadly" if n == 3 else n) for n in range(8))
        exits = []
        while 0 not in exits:
            exits.append(processes.run([sys.executable, "-c", program, path], check=False, timeout=60).returncode)
            assert len(exits) < 10
        assert exits == [9, 9, 9, 0]
        assert query(store, "SELECT event_id FROM event_state WHERE sync_status = 'DEAD'") == [(4,)]
        assert query(store, "SELECT count(*) FROM event_state WHERE sync_status = 'SYNCED'") == [(7,)]
        lost = "SELECT attempt_no, error_type FROM attempt_log WHERE event_id = 4 ORDER BY 1"
        assert query(store, lost) == [(n, "WorkerLost") for n in (1, 2, 3)]
        assert query(store, "SELECT max(attempt_no) FROM attempt_log WHERE event_id <> 4") == [(1,)]
        assert_rebuild_changes_nothing(store)


def test_a_late_result_leaves_the_lease_of_the_worker_that_took_over(store, clock):
    store.record("a", 1)
    assert lose_a_worker(store, clock) == [1]
    late = NewAttempt(1, None, "late:2", clock(), clock(), None, None)
    store.session.write(lambda db: append.attempts(db, [late], store.session.policy))
    assert query(store, "SELECT leased_by FROM lease") == [("gone:1",)]


def test_a_late_result_of_a_worker_that_was_taken_for_lost_is_kept_too(store, inspector, clock):
    begun, release = threading.Event(), threading.Event()

    def handle(event):
        begun.set()
        assert release.wait(20)

    store.record("a", 1)
    worker = Worker(store, handlers_of(handle), lease=30)
    thread = threading.Thread(target=worker.run, kwargs={"until_idle": True, "patience": 0})
    store.session.write(lambda db: db.execute("DELETE FROM lease"))
    thread.start()
    assert begun.wait(20)
    store.session.write(lambda db: db.execute("UPDATE lease SET leased_until = 1"))
    other = Worker(store, handlers_of(pytest.fail, retry=Retry(base=1000)))
    other.run(until_idle=True, patience=0)
    release.set()
    thread.join(20)
    assert [a.outcome for a in inspector.event(1).attempts] == ["FAILED", "SYNCED"]
    assert inspector.event(1).sync_status == "SYNCED"
    assert_rebuild_changes_nothing(store)


def test_leases_are_renewed_between_transactional_events(store, inspector, clock):
    ends = []
    handlers = Handlers()

    @handlers.on("a", transaction=True)
    def handle(event, transaction):
        ends.append(transaction.query("SELECT min(leased_until) FROM lease")[0][0] - clock())
        clock.advance(25)

    store.record_many(("a", n) for n in range(5))
    Worker(store, handlers, lease=60).run(until_idle=True, patience=0)
    assert inspector.health().synced == 5
    assert min(ends) > 0


KILLER = """
import os, sys, time
from failaware import Handlers, Retry, Store, Worker
handlers = Handlers()
@handlers.on("*", retry=Retry(max_attempts=int(sys.argv[2]), base=0.001, jitter=0))
def handle(event):
    os.write(1, f"{event.event_id}\\n".encode())
    time.sleep(float(sys.argv[4]))
    if event.payload == "deadly":
        os._exit(9)
Worker(Store.open(sys.argv[1]), handlers, concurrency=int(sys.argv[3]), lease=0.05).run(until_idle=True, patience=0.2)
"""


def run_until_it_lives(path, *arguments):
    """What begun events the workers named, one after the other; the last of them was not killed."""
    begun = []
    for _ in range(10):
        command = [sys.executable, "-c", KILLER, str(path), *map(str, arguments)]
        done = processes.run(command, check=False, timeout=60, capture_output=True, text=True)
        begun.append([int(line) for line in done.stdout.split()])
        if done.returncode == 0:
            return begun
        assert done.returncode == 9, done.stderr
    raise AssertionError("it kills for ever")


@pytest.mark.thinned
@pytest.mark.parametrize(("concurrency", "takes"), [(1, 0), (4, 0), (2, 0.03)])
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_killed_worker_charges_only_what_it_had_begun(path, concurrency, takes, attempts):
    with Store.open(path, synchronous="NORMAL") as store:
        store.record_many(("a", "deadly" if n == 59 else n) for n in range(80))
    begun = run_until_it_lives(path, attempts, concurrency, takes)
    with Store.open(path) as store:
        lost = query(store, "SELECT event_id, count(*) FROM attempt_log WHERE error_type = 'WorkerLost' GROUP BY 1")
        assert dict(lost)[60] == attempts
        all_begun = [event_id for events in begun for event_id in events]
        just_noted = {event_id for event_id, _ in lost} - {*all_begun}
        assert len(just_noted) < concurrency, "those whose threads were about to begin when another killed the process"
        dead = [number for (number,) in query(store, "SELECT event_id FROM event_state WHERE sync_status = 'DEAD'")]
        assert 60 in dead if (attempts, concurrency > 1) == (1, True) else dead == [60]
        if attempts == 1:
            assert max(map(all_begun.count, dead)) == 1, "never made twice"
        assert query(store, "SELECT count(*) FROM event_state WHERE sync_status = 'SYNCED'") == [(80 - len(dead),)]
        assert query(store, "SELECT count(*) FROM lease") == [(0,)]
        assert_rebuild_changes_nothing(store)


SUICIDAL = """
import os, signal, sys
from failaware import Handlers, Retry, Store, Worker
handlers = Handlers()
def on(name, **options):
    return handlers.on(name, retry=Retry(max_attempts=int(sys.argv[2]), base=0.001, jitter=0), **options)
def work(event):
    if event.payload == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
@on("plain")
def plain(event):
    work(event)
@on("async")
async def asynchronous(event):
    work(event)
@on("transactional", transaction=True)
def transactional(event, transaction):
    work(event)
lease = float(sys.argv[3])
Worker(Store.open(sys.argv[1]), handlers, lease=lease).run(until_idle=True, patience=2 * lease)
"""


@pytest.mark.parametrize(
    ("kind", "workers", "attempts"),
    [("plain", 1, 1), ("async", 1, 3), ("transactional", 1, 3), ("plain", 3, 3)],
)
@pytest.mark.thinned
def test_an_event_that_kills_its_worker_at_once_is_dead_after_one_kill_more_than_its_attempts(
    path, kind, workers, attempts
):
    """Under a supervisor that restarts each worker; the 40th event comes when its handler has proved to be quick."""
    with Store.open(path, synchronous="NORMAL") as store:
        store.record_many((kind, "deadly" if n == 39 else n) for n in range(60))

        def start():
            lease = 0.05 if workers == 1 else 1  # long enough that no slow worker is taken for lost by another
            return processes.Popen([sys.executable, "-c", SUICIDAL, str(path), str(attempts), str(lease)])

        running, kills = [start() for _ in range(workers)], 0
        while running:
            ended = running.pop(0)
            if ended.wait(60) == -signal.SIGKILL:
                kills += 1
                assert kills <= attempts + 1
                running.append(start())
            else:
                assert ended.returncode == 0
        assert kills >= attempts
        attempted = query(store, "SELECT event_id, sync_status, attempts FROM event_state ORDER BY event_id")
        assert attempted == [(n, "DEAD", attempts) if n == 40 else (n, "SYNCED", 1) for n in range(1, 61)]
        assert_rebuild_changes_nothing(store)


def test_workers_of_one_process_name_keep_their_hands_off_each_others_leases(store, monkeypatch):
    monkeypatch.setattr("failaware.worker.worker.this_process", lambda: "host:1")
    calls, begun, may_end = [], threading.Event(), threading.Event()

    def slow(event):
        calls.append(event.event_id)
        begun.set()
        assert may_end.wait(20)

    store.record("a", 1)
    first, second = Worker(store, handlers_of(slow)), Worker(store, handlers_of(slow))
    assert first.name != second.name
    thread = threading.Thread(target=first.run, kwargs={"until_idle": True, "patience": 0})
    thread.start()
    assert begun.wait(20)
    second.run(until_idle=True, patience=0)  # and gives back what is its own
    assert query(store, "SELECT leased_by FROM lease") == [(first.name,)]
    may_end.set()
    thread.join(20)
    assert calls == [1]


def test_a_result_of_an_event_that_is_no_longer_in_hand_is_recorded(store, inspector):
    def handle(event):
        worker._dispatch.remove(event.event_id)

    worker = Worker(store, handlers_of(handle))
    store.record_many([("a", 1), ("a", 2)])
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while inspector.health().synced == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert thread.is_alive()
    finally:
        worker.stop()
        thread.join(20)
