"""What can go wrong under an open store: each is said in a sentence, leaves nothing half-written, and passes."""

import os
import random
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, suppress
from pathlib import Path

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
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        must_hold(Path(folder) / "store.db")
    forbidden, unreadable, after = done.stdout.splitlines()
    assert "cannot be written" in forbidden
    assert "cannot be" in unreadable
    assert after == "4"


def full_pipe():
    """A pipe that takes nothing more and does not wait; nobody reads it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    return open(reader, "rb"), open(writer, "wb")


def full_disk():
    """A file that takes nothing more."""
    return open(os.devnull, "rb"), open("/dev/full", "wb")


@pytest.mark.parametrize("full", [full_pipe, full_disk])
@pytest.mark.parametrize("words", ["health", "events --json", "export", "verify", "seal", "ingest /dev/null"])
def test_what_cannot_be_printed_is_said_in_a_sentence(path, full, words):
    with Store.open(path) as store:
        store.record_many(("a", {"n": n, "text": "x" * 200}) for n in range(300))
    unread, output = full()
    with closing(unread), closing(output):
        done = subprocess.run(
            [sys.executable, "-m", "failaware", "--db", str(path), *words.split()],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("failaware: not all could be printed")
    assert done.stderr.count("\n") == 1
