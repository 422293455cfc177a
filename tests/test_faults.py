"""Disks, files and clocks that misbehave: one clear error, nothing half-written, and on it goes afterwards."""

import os
import random
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from failaware import Handlers, Inspector, Retry, Store, StoreError, Worker
from failaware.engine.sqlite import log_flush
from failaware.errors import StoreMissing
from tests import processes
from tests.conftest import HOUR, START, assert_rebuild_changes_nothing, query
from tests.disk import NOTHING_GOT_THROUGH, PowerCut, faulty_disk, lay_out
from tests.remembering import facts, must_hold
from tests.sizes import sized
from tests.soak.faults import try_life

pytestmark = pytest.mark.sqlite("its disk and its file")


@pytest.mark.parametrize("seed", range(sized(2, 4)))
@pytest.mark.large
def test_a_disk_that_fails_now_and_then(path, seed):
    counts = try_life(path, random.Random(seed), synchronous=("FULL", "NORMAL")[seed % 2], steps=60)
    assert counts["errors raised"] >= 5
    assert counts["facts lost"] == 0


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("full", "the disk is full; the write was rolled back"),
        ("write", "the disk reports an I/O error"),
    ],
)
def test_what_could_not_be_written_is_not_there_and_can_be_tried_again(path, what, message):
    with faulty_disk() as disk, Store.open(path) as store:
        store.record("a", 1, key="k")
        with disk.failing(what, times=100), pytest.raises(StoreError, match=message):
            store.record_many([("b", 2)] * 50)
        assert query(store, "SELECT event_type FROM event_log") == [("a",)]
        assert store.record("b", 2).event_id == 2
        assert_rebuild_changes_nothing(store)


def test_a_flush_that_fails_in_the_transaction_undoes_it(path, monkeypatch):
    """On a file system where SQLite itself flushes."""
    monkeypatch.setattr(log_flush, "_LOCAL", set())
    with faulty_disk() as disk, Store.open(path) as store:
        store.record("a", 1)
        with disk.failing("sync", times=100), pytest.raises(StoreError, match="the disk reports an I/O error"):
            store.record_many([("b", 2)] * 50)
        assert query(store, "SELECT event_type FROM event_log") == [("a",)]
        assert store.record("b", 2).event_id == 2
        assert_rebuild_changes_nothing(store)


def test_a_flush_that_fails_after_the_transaction_is_an_error_and_with_a_key_it_can_be_tried_again(path):
    with faulty_disk() as disk, Store.open(path) as store:
        store.record("a", 1)
        with disk.failing("sync", times=100):
            with pytest.raises(StoreError, match="can be read, but may be lost in a power cut"):
                store.record("b", 2, key="k")
            for _ in range(2):  # nothing is acknowledged while the disk fails
                with pytest.raises(StoreError, match="I/O error"):
                    store.record("c", 3)
        assert store.record("b", 2, key="k").event_id == 2
        assert store.record("c", 3).event_id == 3
        assert_rebuild_changes_nothing(store)


def test_a_known_key_is_acknowledged_only_when_the_event_is_on_disk(path, monkeypatch):
    """Another process may have committed the event without having flushed it yet."""
    flushed = []
    with Store.open(path) as other, Store.open(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(log_flush.os, "fdatasync", lambda fd: None)
            other.record("a", 1, key="k")
        monkeypatch.setattr(log_flush.os, "fdatasync", flushed.append)
        assert store.record("a", 1, key="k").event_id == 1
        assert flushed


def test_after_a_flush_that_failed_everything_acknowledged_survives_a_power_cut(path):
    """The kernel forgets what it could not write, and its next flush succeeds all the same."""
    with faulty_disk() as disk:
        disk.noting = True
        with Store.open(path) as store:
            store.record("a", 1)
            with disk.failing("sync", only="-wal"), pytest.raises(StoreError):
                store.record("b", 2)
            acknowledged = {store.record("c", 3).event_id, 1}
            log = list(disk.log)
    power = PowerCut()
    for what, *values in log:
        power.play(what, *values)
    copy = path.with_name("copy")
    lay_out(power.left(NOTHING_GOT_THROUGH), copy)
    with Store.open(copy / path.name) as store:
        assert acknowledged <= set(facts(store)["event_log"])
    must_hold(copy / path.name)


def test_a_store_that_cannot_be_read_says_so_and_can_be_read_again(path):
    with Store.open(path) as store:
        store.record_many(("a", "x" * 500) for _ in range(2_000))
    with faulty_disk() as disk, Inspector.open(path) as inspector:
        with disk.failing("read", times=1_000_000), pytest.raises(StoreError, match="I/O error"):
            inspector.events(limit=2_000)
        assert len(inspector.events(limit=2_000)) == 2_000


@pytest.mark.large
def test_a_disk_that_fails_while_a_writer_reads_rows_is_one_of_our_errors(path):
    handlers, raised = Handlers(), []

    @handlers.on("ask", transaction=True)
    def ask(event, transaction):
        with disk.failing("read", nth=40, times=1_000_000):
            try:
                transaction.query("SELECT event_payload FROM event_log")
            except Exception as error:
                raised.append(error)
                raise

    with Store.open(path) as store:
        store.record_many(("a", "x" * 500) for _ in range(20_000))
        store.record("ask", 1)
    with faulty_disk() as disk, Store.open(path) as store:
        with disk.failing("read", nth=40, times=1_000_000), pytest.raises(StoreError, match="I/O error"):
            query(store, "SELECT event_payload FROM event_log")
        assert len(query(store, "SELECT event_payload FROM event_log")) == 20_001
        Worker(store, handlers).run(until_idle=True, patience=0)
        assert raised


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_deleted_or_replaced_while_it_is_open_is_noticed(path, tmp_path, replaced):
    with Store.open(path) as store:
        store.record("a", 1)
        other = tmp_path / "other.db"
        with Store.open(other) as another:
            another.record("other", 1)
        if replaced:
            os.replace(other, path)
            for end in ("-wal", "-shm"):
                path.with_name(path.name + end).unlink(missing_ok=True)
        else:
            for end in ("", "-wal", "-shm"):
                path.with_name(path.name + end).unlink(missing_ok=True)
        with pytest.raises(StoreMissing, match="deleted or replaced while it was open"):
            store.record("a", 2)
        store.record("a", 3)  # in the file that is there now
    with Inspector.open(path) as inspector:
        assert [event.event_type for event in inspector.events()] == ["a", "other"][: 1 + replaced]


def test_a_folder_that_is_gone_is_an_error_each_time(path, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    store = Store.open(folder / "store.db")
    store.record("a", 1)
    shutil.rmtree(folder)
    for _ in range(2):
        with pytest.raises(StoreMissing):
            store.record("a", 2)
    folder.mkdir()
    assert store.record("a", 3).event_id == 1
    store.close()


def test_a_clock_that_jumps_leaves_order_durations_and_due_times_sane(store, inspector, clock):
    handlers = Handlers()
    jumps = iter((-2 * HOUR, 300 * HOUR, -400 * HOUR, HOUR))

    @handlers.on("a", retry=Retry(max_attempts=3, base=60, jitter=0))
    def handle(event):
        clock.now += next(jumps, 0)
        raise TimeoutError("late")

    worker = Worker(store, handlers)
    for n in range(4):
        store.record("a", n)
        worker.run(until_idle=True, patience=0)
        clock.now += (-HOUR, HOUR)[n % 2]
    attempts = query(store, "SELECT event_id, started_at, finished_at, retry_at FROM attempt_log ORDER BY attempt_id")
    assert len(attempts) >= 4
    for event_id, started, finished, retry in attempts:
        assert finished >= started, event_id
        assert retry is None or retry - finished in {60_000_000, 120_000_000}
    assert [event.event_id for event in inspector.events()] == [4, 3, 2, 1]  # the order in which they were appended
    clock.now = START + 10_000 * HOUR
    worker.run(until_idle=True, patience=0)
    clock.now += HOUR
    worker.run(until_idle=True, patience=0)
    assert inspector.health().dead == 4
    assert_rebuild_changes_nothing(store)


@pytest.mark.large
def test_whoever_stops_reading_a_report_is_no_error(path):
    with Store.open(path) as store:
        store.record_many(("a", n) for n in range(5_000))
    report = f"{sys.executable} -m failaware --db {path} events --limit 5000"
    for command in (f"{report} | head -1", f"{report} --json | head -c 10"):
        done = processes.run(
            ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), command


def test_a_report_that_cannot_be_written_is_an_error(path):
    with Store.open(path) as store:
        store.record("a", 1)
    command = f"{sys.executable} -m failaware --db {path} events > /dev/full"
    done = processes.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["failaware: the output could not be written: No space left on device"]


def test_a_worker_that_waits_notices_that_its_file_is_gone(path):
    handlers = Handlers()
    handlers.on("a")(print)
    with Store.open(path) as store:
        threading.Timer(0.2, path.unlink).start()
        with pytest.raises(StoreMissing, match="deleted or replaced"):
            Worker(store, handlers).run()


PERMISSIONS = """
import os, sys
from failaware import Inspector, Store, StoreError
folder, path = sys.argv[1], sys.argv[1] + "/store.db"
for warm in range(2):  # what is imported late must be there before the user changes
    with Store.open(path) as store, Inspector.open(path) as inspector:
        store.record("warm"), inspector.health()
if os.geteuid() == 0:
    os.chown(folder, 65534, 65534), os.chown(path, 65534, 65534)
    os.seteuid(65534)  # nothing is forbidden to root
store = Store.open(path)
os.chmod(path, 0o400), os.chmod(folder, 0o500)
store.record("while it is open nothing has changed")
os.chmod(folder, 0o700)
store.close()
for mode in (0o400, 0o000):
    os.chmod(path, mode)
    try:
        Store.open(path).record("lost")
    except StoreError as error:
        print(error)
os.chmod(path, 0o600)
with Store.open(path) as store:
    print(store.record("after").event_id)
"""


def test_permission_is_lost_and_comes_back():
    with tempfile.TemporaryDirectory() as folder:  # one that other users can reach
        command = [sys.executable, "-c", PERMISSIONS, folder]
        done = processes.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        must_hold(Path(folder) / "store.db")
    forbidden, unreadable, after = done.stdout.splitlines()
    assert "cannot be written" in forbidden
    assert "cannot be" in unreadable
    assert after == "4"
