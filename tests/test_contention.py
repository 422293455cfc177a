"""Eight processes write and four read at once: none fails, and none waits for long."""

import os
import threading
import time
import warnings

import pytest

from failaware import Inspector, Store
from failaware.engine.sqlite import files, reader, writer
from tests.conftest import plain_sqlite, query
from tests.sizes import sized
from tests.soak import contention


@pytest.mark.large
def test_eight_writers_and_four_readers():
    counts = contention.run(sized(1, 3), None)
    assert counts["facts lost"] == 0
    assert counts["records"] > sized(100, 500)
    assert counts["largest log, MB"] < 100


@pytest.mark.large
@pytest.mark.sqlite("its log")
def test_a_reader_with_a_long_snapshot_holds_up_no_writer_and_the_log_is_short_again_afterwards(path):
    log = path.with_name("store.db-wal")
    with Store.open(path, synchronous="NORMAL") as store, Inspector.open(path) as inspector:
        store.record("a", 0)
        with inspector.snapshot():
            before = inspector.health()
            began = time.monotonic()
            for _ in range(40):
                store.record_many(("a", "x" * 2_000) for _ in range(1_000))
            assert time.monotonic() - began < 60
            assert inspector.health() == before
            grown = os.path.getsize(log)
            assert grown > 80_000_000
        for _ in range(2):
            store.record_many(("a", "x" * 2_000) for _ in range(3_000))
        assert os.path.getsize(log) < 40_000_000
        assert inspector.health().total_events == 46_001


@pytest.fixture
def short_log(monkeypatch):
    """A log is long from 1 MB on, and a writer looks at it soon."""
    for module in (files, reader, writer):
        monkeypatch.setattr(module, "LOG_BYTES", 1 << 20)
    monkeypatch.setattr(writer, "_LOOK_AT_LOG", 8)


@pytest.mark.parametrize("readers", [(0.06,), (0.06, 0.02, 0.02)])
@pytest.mark.sqlite("its log")
@pytest.mark.large
def test_snapshots_without_a_pause_between_them_do_not_let_the_log_grow(short_log, path, readers):
    """Of one reader, and of several, of which one or the other always reads."""
    log, largest, snapshots, ended = path.with_name("store.db-wal"), 0, [], threading.Event()

    def reads(held_s):
        with Inspector.open(path) as inspector:
            while not ended.is_set():
                with inspector.snapshot():
                    before = inspector.health()
                    time.sleep(held_s)
                    assert inspector.health().total_events == before.total_events
                snapshots.append(held_s)

    with Store.open(path, synchronous="NORMAL") as store:
        store.record("a", 0)
        threads = [threading.Thread(target=reads, args=(held_s,)) for held_s in readers]
        for thread in threads:
            thread.start()
        try:
            for _ in range(80):
                store.record_many(("a", "x" * 2_000) for _ in range(100))
                largest = max(largest, os.path.getsize(log))
                time.sleep(0.003)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        assert snapshots.count(0.06) >= 3
        assert largest < 12_000_000  # of 23 MB written


@pytest.mark.sqlite("its log")
def test_a_reader_does_not_pause_for_a_writer_that_writes_nothing(short_log, path):
    log = path.with_name("store.db-wal")
    with Store.open(path, synchronous="NORMAL") as store, Inspector.open(path) as inspector:
        with inspector.snapshot():
            store.record_many(("a", "x" * 2_000) for _ in range(1_000))
            time.sleep(0.06)
        assert os.path.getsize(log) > 1 << 20
        began = time.monotonic()
        with inspector.snapshot():
            pass
        assert time.monotonic() - began < 0.8


def test_a_writer_that_must_wait_gets_its_turn(path):
    with Store.open(path, synchronous="NORMAL") as one, Store.open(path, synchronous="NORMAL") as other:
        took = []

        def write(db):
            began = time.monotonic()
            thread.start()
            time.sleep(0.5)
            took.append(time.monotonic() - began)

        thread = threading.Thread(target=lambda: other.record("b", 1))
        one.session.write(write)
        thread.join(5)
        assert not thread.is_alive()
        assert query(one, "SELECT event_type FROM event_log") == [("b",)]


@pytest.mark.sqlite("PostgreSQL's server has the time limit")
def test_a_locked_store_holds_up_a_program_for_no_longer_than_documented(path, monkeypatch):
    """Once the time limit for one thread, twice for several: who comes while one waits is with the next."""
    monkeypatch.setattr("failaware.engine.sqlite.writer.BUSY_TIMEOUT_S", 0.4)
    took = []

    def attempt():
        begun = time.monotonic()
        with store.attempt("job"):
            pass
        took.append(time.monotonic() - begun)

    with Store.open(path, synchronous="NORMAL") as store, plain_sqlite(path) as other, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other.execute("BEGIN IMMEDIATE")
        attempt()
        assert 0.4 <= took.pop() < 1.5
        threads = [threading.Thread(target=attempt) for _ in range(6)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        for thread in threads:
            thread.join(20)
        other.execute("ROLLBACK")
        assert len(took) == 6
        assert max(took) < 2 * 0.4 + 0.8  # in turn they would wait six times as long
