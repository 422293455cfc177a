"""What can go wrong under an open store: each is said in a sentence, leaves nothing half-written, and passes."""

import random
import threading

import pytest

from failaware import Handlers, Store, Worker
from failaware.errors import StoreMissing
from failaware.facts import append
from failaware.model import NewReject
from tests.conftest import query
from tests.disk import FAILURES
from tests.remembering import must_hold
from tests.soak.faults import try_life


@pytest.mark.parametrize("what", FAILURES)
def test_a_disk_that_fails_now_and_then_loses_nothing(tmp_path, what):
    counts = try_life(tmp_path, random.Random(what), steps=30, whats=(what,))
    assert counts["faults"] > 0
    assert counts["told"] > 0 or what in {
        "delete",
        "truncate",
    }  # of the log, when it is not needed: nobody needs to know
    assert counts["acknowledged"] > 20


def idle():
    """Handlers for events that never come."""
    handlers = Handlers()
    handlers.on("never")(print)
    return handlers


def away(path):
    """The store and what belongs to it are moved to another folder; returns how to move them back."""
    other = path.parent / "elsewhere"
    other.mkdir()
    files = list(path.parent.glob(f"{path.name}*"))
    for file in files:
        file.rename(other / file.name)
    return lambda: [(other / file.name).rename(file) for file in files]


def replaced(path):
    """Another store lies where this one was."""
    back = away(path)
    Store.open(path).close()
    return lambda: [path.unlink(), back()]


def without_log(path):
    """The write-ahead log was taken away, which holds the newest facts."""
    log = path.with_name(path.name + "-wal")
    log.rename(path.parent / "log")
    return lambda: (path.parent / "log").rename(log)


@pytest.mark.parametrize("lose", [away, replaced, without_log])
def test_a_writer_notices_that_its_file_was_removed_or_replaced(path, lose):
    with Store.open(path) as store:
        store.record("before")
        back = lose(path)
        with pytest.raises(StoreMissing, match="open it again"):
            store.record("lost")
        with pytest.raises(StoreMissing):
            Worker(store, idle()).run(until_idle=True)
        with pytest.raises(StoreMissing):
            store.rebuild()
        back()
        store.record("after")
        assert [event for (event,) in query(store, "SELECT event_type FROM event_log")] == ["before", "after"]
    must_hold(path)


def test_a_commit_is_not_acknowledged_when_the_file_went_away_meanwhile(path):
    with Store.open(path) as store:
        store.record("before")

        def job(db):
            append.rejects(db, [NewReject("file", 1, "{", "no", 1)])
            away(path)

        with pytest.raises(StoreMissing):
            store.write(job)


def test_a_worker_that_waits_notices_that_its_file_is_gone(path):
    with Store.open(path) as store:
        threading.Timer(0.2, away, [path]).start()
        with pytest.raises(StoreMissing):
            Worker(store, idle()).run()
