"""After a fork parent and child each have a connection of their own, and nothing that either recorded is lost."""

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from failaware import Handlers, Store, Worker
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.worker.helpers import eventually


def fork(job):
    """Run the job in a forked child; returns a function that waits for it and asserts that all went well."""
    child = os.fork()
    if child == 0:
        try:
            job()
            os._exit(0)
        except BaseException:
            os._exit(1)

    def join():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    return join


def types(store):
    return [row[0] for row in query(store, "SELECT event_type FROM event_log ORDER BY event_id")]


class Gate:
    """Lets one process wait for another."""

    def __init__(self):
        self._read, self._write = os.pipe()

    def open(self):
        os.write(self._write, b"x")

    def wait(self):
        assert os.read(self._read, 1) == b"x"


def test_parent_and_children_write_in_turn(store):
    store.record("parent")
    fork(lambda: store.record("child"))()
    store.record("parent")
    fork(lambda: store.record("child"))()
    assert types(store) == ["parent", "child", "parent", "child"]
    assert_rebuild_changes_nothing(store)


def test_a_child_reads_through_a_connection_of_its_own(store):
    store.record("parent")
    inherited = store.session._db._db

    def job():
        assert types(store) == ["parent"]
        assert store.session._db._db is not inherited

    fork(job)()


def test_what_a_child_records_after_its_parent_closed_the_store_is_not_lost(path):
    recorded, closed = Gate(), Gate()
    with Store.open(path) as store:
        store.record("parent")

        def job():
            store.record("child")
            recorded.open()
            closed.wait()
            store.record("child")

        join = fork(job)
        recorded.wait()
    closed.open()
    join()
    with Store.open(path) as store:
        assert types(store) == ["parent", "child", "child"]


def test_a_fork_waits_for_the_commit_of_another_thread(store):
    begun, release = threading.Event(), threading.Event()

    def slow_job(db):
        db.execute("INSERT INTO setting VALUES ('note', 'x')")
        begun.set()
        assert release.wait(20)

    thread = threading.Thread(target=store.session.write, args=(slow_job,))
    thread.start()
    assert begun.wait(20)
    timer = threading.Timer(0.1, release.set)
    timer.start()
    fork(lambda: store.record("child"))()
    thread.join(20)
    timer.join()
    assert types(store) == ["child"]
    assert query(store, "SELECT value FROM setting WHERE name = 'note'") == [("x",)]


@pytest.mark.large
def test_forks_while_threads_record_neither_hang_nor_lose(store):
    done = threading.Event()
    recorded = []

    def record():
        while not done.is_set():
            recorded.append(store.record("thread").event_id)

    threads = [threading.Thread(target=record) for _ in range(3)]
    for thread in threads:
        thread.start()
    joins = [fork(lambda: store.record("child")) for _ in range(10)]
    for join in joins:
        join()
    done.set()
    for thread in threads:
        thread.join(20)
    assert len(set(recorded)) == len(recorded)
    assert types(store).count("child") == 10
    assert types(store).count("thread") == len(recorded)
    assert_rebuild_changes_nothing(store)


def test_a_thread_whose_job_is_taken_by_one_that_lets_another_fork_gets_its_result(store):
    commits, results = store.session._commits, []
    thread = threading.Thread(target=lambda: results.append(store.record("a").event_id), daemon=True)
    run = commits._db.run

    def makes_way(*args, **kwargs):
        del commits._db.run
        commits._forking = True
        threading.Timer(0.2, lambda: setattr(commits, "_forking", False)).start()
        commits._make_way()  # the lock is free meanwhile
        return run(*args, **kwargs)

    commits._lock.acquire()
    thread.start()
    eventually(lambda: len(commits._waiting) == 1)
    commits._waiting[0].woken.put(None)  # as the thread that had the lock before does
    commits._db.run = makes_way
    commits._commit_waiting()
    commits._release()
    thread.join(20)
    assert results == [1]


def test_a_child_in_another_folder_writes_to_the_same_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with Store.open("store.db") as store:

        def job():
            os.chdir("elsewhere")
            store.record("child")

        fork(job)()
        assert types(store) == ["child"]


def test_a_worker_of_the_parent_that_runs_in_children_has_a_name_in_each(store):
    handlers = Handlers()
    names = []

    @handlers.on("*")
    def handle(event):
        names.append(worker.name)

    worker = Worker(store, handlers)
    for _ in range(2):
        store.record("a")
        fork(lambda: worker.run(until_idle=True, patience=0))()
    store.record("a")
    worker.run(until_idle=True, patience=0)
    workers = [row[0] for row in query(store, "SELECT worker FROM attempt_log")]
    assert len(set(workers)) == 3
    assert names == workers[2:]


@pytest.mark.parametrize("step", ["record", "read"])
def test_a_closed_store_stays_closed_after_a_fork(path, step):
    store = Store.open(path)
    store.close()
    fork(lambda: None)()
    with pytest.raises(Exception, match="closed"):
        store.record("a") if step == "record" else types(store)


LOCKER = """
import sys
from tests import processes
from tests.conftest import plain
with plain(sys.argv[1]) as db:
    for statement in sys.argv[2:]:
        db.execute(statement)
    print("locked", flush=True)
    sys.stdin.read()
"""
LOCKS = {"sqlite": ["BEGIN IMMEDIATE"], "postgres": ["BEGIN", "LOCK TABLE recording IN EXCLUSIVE MODE"]}


@contextmanager
def locked(path, engine):
    """Another program has the store's write lock."""
    program = [sys.executable, "-c", LOCKER, str(path), *LOCKS[engine]]
    with processes.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as locker:
        assert locker.stdout.readline() == b"locked\n"
        yield
        locker.terminate()  # its input would not end: forked children have the pipe as well
        locker.wait(20)


@pytest.mark.thinned
@pytest.mark.parametrize("reentered", [False, True])
@pytest.mark.large
def test_a_fork_does_not_wait_for_a_store_that_another_program_has_locked(path, engine, reentered):
    """What the waiting thread writes is not lost, and the child has a store that works."""
    with Store.open(path, synchronous="NORMAL") as store:
        job = (
            (lambda: store.session.read(lambda _db: store.record("waited")))
            if reentered
            else lambda: store.record("waited")
        )
        with locked(path, engine):
            thread = threading.Thread(target=job)
            thread.start()
            time.sleep(0.2)  # it waits for the lock by now
            before = time.monotonic()
            go = Gate()

            def child():
                go.wait()
                store.record("child")

            joins = [fork(child) for _ in range(3)]
            took = time.monotonic() - before
        for _ in joins:
            go.open()
        for join in joins:
            join()
        thread.join(20)
        store.record("after")
        assert sorted(types(store)) == ["after", *["child"] * 3, "waited"]
        assert_rebuild_changes_nothing(store)
    assert took < 2
