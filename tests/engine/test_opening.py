"""Opening any kind of file says in one sentence what is wrong and what to do."""

import os
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import failaware.engine.sqlite.writer as engine
from failaware import Inspector, Store, UsageError
from failaware.engine.sqlite import files
from failaware.errors import StoreBusy, StoreCorrupt, StoreError, StoreForeign, StoreMissing, StoreNewer
from failaware.schema import versions
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, plain_sqlite, query
from tests.worker.helpers import eventually

pytestmark = pytest.mark.sqlite("its files; what a server says is in test_postgres")


def test_a_new_store_is_private(store, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(("level", "flushes"), [("FULL", 1), ("NORMAL", 0)])
def test_durability_is_as_asked(path, level, flushes, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    with Store.open(path, synchronous=level) as store:
        flushed.clear()
        store.record("a", 1)
        assert len(flushed) == flushes
        assert store.session.read(lambda db: db.query("PRAGMA synchronous")) == [(1,)]
        assert store.session.read(lambda db: db.query("PRAGMA journal_mode")) == [("wal",)]


def test_an_unknown_durability_is_refused(path):
    with pytest.raises(UsageError, match="FULL"):
        Store.open(path, synchronous="OFF")


def test_a_missing_store_is_not_made_by_a_reader(path):
    with pytest.raises(StoreMissing, match="there is no store"):
        Inspector.open(path)
    assert not path.exists()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StoreMissing, match="does not exist"):
        Store.open(tmp_path / "no" / "store.db")


def test_a_folder_is_not_a_store(tmp_path):
    with pytest.raises(StoreForeign, match="folder"):
        Inspector.open(tmp_path)
    with pytest.raises(StoreError):
        Store.open(tmp_path)


@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
def test_a_file_that_is_no_database_is_refused(path, opener):
    path.write_bytes(b"just some text, long enough to be looked at\n" * 100)
    with pytest.raises(StoreForeign, match="not a SQLite database"):
        opener(path)
    assert path.read_bytes().startswith(b"just some text")


@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
def test_another_programs_database_is_refused_and_left_alone(path, opener):
    with plain_sqlite(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreForeign, match="another program"):
        opener(path)
    with plain_sqlite(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
def test_a_newer_schema_is_refused(path, opener):
    Store.open(path).close()
    with plain_sqlite(path) as db:
        db.execute(f"PRAGMA user_version = {versions.current() + 1}")
    with pytest.raises(StoreNewer, match="upgrade failaware"):
        opener(path)


def test_an_empty_file_is_no_store_to_a_reader_and_becomes_one_for_a_writer(path):
    path.touch()
    with pytest.raises(StoreForeign, match="empty"):
        Inspector.open(path)
    path.chmod(0o600)
    with Store.open(path) as store:
        assert store.record("a").event_id == 1


@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
def test_a_damaged_file_is_called_damaged(path, opener):
    with Store.open(path) as store:
        store.record_many(("a", {"n": n}) for n in range(2_000))
    data = bytearray(path.read_bytes())
    data[100:4096] = b"\xff" * (4096 - 100)  # the schema's page
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt, match="damaged"):
        opener(path)


def test_a_store_that_is_locked_for_too_long_says_so(path, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.05)
    with Store.open(path) as store, plain_sqlite(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="locked"):
            store.record("a")
        other.execute("ROLLBACK")
        assert store.record("a").event_id == 1


def test_a_reader_cannot_write(store, inspector):
    store.record("a")
    with pytest.raises(StoreError, match="read-only"):
        inspector.db.query("DELETE FROM lease")


@pytest.mark.parametrize("closed", ["folder", "file"])
def test_what_is_not_writable_can_be_read_and_says_so_to_a_writer(tmp_path, closed):
    folder = tmp_path / "closed"
    folder.mkdir()
    with Store.open(folder / "store.db") as store:
        store.record("a", {"n": 1})
    program = (
        "import os, sys; os.getuid() or os.setuid(65534); from failaware import Inspector, Store, StoreError\n"
        "print(Inspector.open(sys.argv[1]).health().total_events)\n"
        "try: Store.open(sys.argv[1]).record('a')\n"
        "except StoreError as error: print(error)"
    )
    for part in (tmp_path, *tmp_path.parents):
        if part.stat().st_uid == os.getuid() and part != part.parent and "pytest" in str(part):
            part.chmod(0o755)
    (folder / "store.db").chmod(0o444 if closed == "file" else 0o644)
    folder.chmod(0o555 if closed == "folder" else 0o777)
    # Everything is imported before the user changes, whose files need not be readable by that user.
    preload = (
        "import tomllib, failaware.read.inspector, failaware.store, failaware.engine.sqlite.writer, "
        "failaware.engine.sqlite.migrations;"
    )
    done = processes.run(
        [sys.executable, "-c", preload + program, folder / "store.db"], capture_output=True, text=True, check=False
    )
    folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    events, refusal = done.stdout.splitlines()
    assert events == "1"
    assert "read-only" in refusal or "cannot be opened" in refusal


def test_a_store_that_is_created_while_it_is_looked_at_is_no_foreign_file(path):
    class Watched:
        """A connection after whose first statement another process creates the store."""

        def __init__(self, db):
            self._db, self._created = db, False

        def execute(self, sql):
            rows = self._db.execute(sql).fetchall()
            if not self._created:
                self._created = True
                Store.open(path).close()
            return self._db.execute("SELECT * FROM (VALUES (?, ?, ?))" if len(rows[0]) == 3 else "SELECT ?", rows[0])

    path.touch(mode=0o600)
    with plain_sqlite(path) as db:
        assert files._version(Watched(db), path) == 0
        assert files._version(db, path) == versions.current()


def test_two_processes_make_the_same_new_store_at_once(path):
    program = "import sys; from failaware import Store; print(Store.open(sys.argv[1]).record('a').event_id)"
    running = [
        processes.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    ids = sorted(int(process.communicate(timeout=60)[0]) for process in running)
    assert ids == [1, 2, 3, 4]


@pytest.mark.parametrize("opener", [Store.open, Inspector.open])
def test_a_damaged_page_of_data_is_called_damaged_when_it_is_met(path, opener):
    with Store.open(path) as store:
        store.record_many(("a", "x" * 500) for _ in range(500))
        ((root,),) = query(store, "SELECT rootpage FROM sqlite_master WHERE name = 'event_log'")
        ((size,),) = query(store, "PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    with opener(path) as handle, pytest.raises(StoreCorrupt, match="damaged"):
        handle.record("a") if isinstance(handle, Store) else handle.event(250)


def test_a_full_disk_refuses_what_does_not_fit_and_nothing_else(store):
    store.record("a", 1)
    ((pages,),) = query(store, "PRAGMA page_count")
    query(store, f"PRAGMA max_page_count = {pages + 3}")
    commits = store.session._commits
    with ThreadPoolExecutor(6) as pool:  # threads that share a transaction with the one that does not fit
        commits._lock.acquire()
        jobs = [pool.submit(store.record, "a", "x" * (500_000 if n == 3 else 5)) for n in range(6)]
        eventually(lambda: len(commits._waiting) == 6)
        commits._release()
    refused = [job.exception() for job in jobs if job.exception()]
    assert len(refused) == 1
    assert isinstance(refused[0], StoreError)
    assert "the disk is full" in str(refused[0])
    assert query(store, "SELECT count(*) FROM event_log") == [(6,)]
    query(store, f"PRAGMA max_page_count = {pages + 1000}")
    assert_rebuild_changes_nothing(store)


def test_ctrl_c_while_waiting_for_the_lock_does_not_keep_it(path):
    with Store.open(path) as store, plain_sqlite(path, check_same_thread=False) as other:
        other.execute("BEGIN IMMEDIATE")

        def interrupt():
            os.kill(os.getpid(), signal.SIGINT)
            other.execute("ROLLBACK")

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        timer = threading.Timer(0.1, interrupt)
        timer.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                store.record("interrupted")
        finally:
            signal.signal(signal.SIGINT, before)
            timer.join()
        other.execute("BEGIN IMMEDIATE")  # no process holds the lock
        other.execute("ROLLBACK")
        assert store.record("after").event_id == 1


def test_an_empty_path_and_a_url_are_refused_in_words():
    with pytest.raises(UsageError, match="empty"):
        Store.open("")
    with pytest.raises(UsageError, match="no kind of store"):
        Store.open("mysql://localhost/x")


def test_what_cannot_be_opened_leaves_no_file_open(path):
    Store.open(path).close()
    with plain_sqlite(path) as db:
        db.execute("INSERT INTO setting VALUES ('policy', 'no such policy')")
    with pytest.raises(UsageError, match="policy") as raised:
        Store.open(path)
    assert str(path) not in {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    assert raised.value  # which would keep it
