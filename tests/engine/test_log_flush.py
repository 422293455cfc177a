"""Commits are flushed after the lock was released, where that is safe; elsewhere SQLite flushes them."""

import json
import os

import pytest

from failaware import Store
from failaware.engine.sqlite import log_flush
from failaware.engine.sqlite.log_flush import AFTER_THE_LOCK, UNDER_THE_LOCK, flush_mode
from tests import processes
from tests.cli.test_commands import failaware
from tests.conftest import assert_rebuild_changes_nothing, query

pytestmark = pytest.mark.sqlite("its log")

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw 0 0
/dev/vdb /home/ada/fast\\040disk xfs rw 0 0
overlay /srv overlay rw 0 0
host /srv/shared 9p rw 0 0
sshfs /mnt fuse.sshfs rw 0 0
"""


def synchronous(store):
    return query(store, "PRAGMA synchronous")


@pytest.mark.parametrize(
    ("place", "mode"),
    [
        ("/var/store.db", AFTER_THE_LOCK),
        ("/home/ada/store.db", UNDER_THE_LOCK),
        ("/home/ada/fast disk/store.db", AFTER_THE_LOCK),
        ("/home/ada/fast disks/store.db", UNDER_THE_LOCK),
        ("/srv/store.db", AFTER_THE_LOCK),
        ("/srv/shared/store.db", UNDER_THE_LOCK),
        ("/mnt/store.db", UNDER_THE_LOCK),
    ],
)
def test_the_file_system_decides(place, mode, tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(log_flush, "_MOUNTS", mounts)
    assert flush_mode(place) == mode


def test_without_a_list_of_mounts_or_on_another_system_sqlite_flushes(path, monkeypatch):
    monkeypatch.setattr(log_flush, "_MOUNTS", path.with_name("missing"))
    assert flush_mode(path) == UNDER_THE_LOCK
    monkeypatch.undo()
    monkeypatch.setattr(log_flush.sys, "platform", "darwin")
    assert flush_mode(path) == UNDER_THE_LOCK
    with Store.open(path) as store:
        store.record("a", 1)
        assert synchronous(store) == [(2,)]


def test_health_says_which(path, monkeypatch):
    Store.open(path).close()
    assert json.loads(failaware("health", "--json", db=path).stdout)["flush"] == flush_mode(path)


def test_a_log_that_cannot_be_flushed_by_us_is_flushed_by_sqlite(path, monkeypatch):
    def refuse(_path):
        raise OSError

    monkeypatch.setattr(log_flush, "_flush_folder", refuse)
    before = set(os.listdir("/proc/self/fd"))
    with Store.open(path) as store:
        assert synchronous(store) == [(2,)]
        store.record("a", 1)
    assert set(os.listdir("/proc/self/fd")) == before


def test_the_log_is_lengthened_once_and_read_as_before(path):
    log = path.with_name(path.name + "-wal")
    with Store.open(path) as store:
        store.record("a", 0)
        assert log.stat().st_size < 500_000
        store.record_many(("a", n) for n in range(3))
        for n in range(40):
            store.record("a", n)
        long = log.stat().st_size
        assert 4_000_000 < long < 5_000_000
        for n in range(1_500):  # the log is restarted from its beginning
            store.record("a", n)
        assert log.stat().st_size <= long + 500_000
        assert query(store, "SELECT count(*) FROM event_log") == [(1_544,)]
        copy = path.with_name("copy.db")
        copy.write_bytes(path.read_bytes())
        copy.with_name("copy.db-wal").write_bytes(log.read_bytes())  # as after a crash
    with Store.open(copy) as reopened:
        assert query(reopened, "SELECT count(*) FROM event_log") == [(1_544,)]
        assert_rebuild_changes_nothing(reopened)
    assert not log.exists()


def test_a_child_of_a_fork_flushes_on_its_own(path):
    program = f"""
import os
from failaware import Store
store = Store.open({str(path)!r})
store.record("parent", 1)
child = os.fork()
flushed, flush = [], os.fdatasync
os.fdatasync = lambda fd: (flushed.append(fd), flush(fd))
store.record("child" if child == 0 else "parent", 2)
assert len(flushed) == 1
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
store.close()
print(os.listdir("/proc/self/fd"))
"""
    done = processes.run([os.sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    with Store.open(path) as store:
        assert sorted(query(store, "SELECT event_type FROM event_log")) == [("child",), ("parent",), ("parent",)]


def test_closing_again_does_nothing(path):
    store = Store.open(path)
    store.record("a")
    store.close()
    store.close()
    with Store.open(path) as reopened:
        assert query(reopened, "SELECT count(*) FROM event_log") == [(1,)]
