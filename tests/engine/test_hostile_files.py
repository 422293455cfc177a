"""A store's file may be hostile or damaged: it is refused with one sentence, or read; Ctrl-C always works."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from failaware import Inspector, Store
from failaware.cli.main import main
from failaware.errors import StoreCorrupt, StoreError
from failaware.schema.ddl import tables_of
from tests.conftest import plain_sqlite

pytestmark = pytest.mark.sqlite("files")

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT "
TABLES = tables_of("facts.sql", "coordination.sql", "derived.sql")


@pytest.fixture
def filled(path):
    with Store.open(path) as store, pytest.raises(ValueError, match="bad"), store.attempt("a"):
        raise ValueError("bad")
    return path


def replace(path, table, sql):
    with plain_sqlite(path) as db:
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        db.execute("PRAGMA writable_schema = ON")
        db.execute("DELETE FROM sqlite_master WHERE tbl_name = ? AND type <> 'view'", (table,))
        db.execute("PRAGMA writable_schema = RESET")
    with plain_sqlite(path) as db:
        db.execute(sql.format(columns=", ".join(f"x AS {name}" for name in names), names=", ".join(names)))


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.thinned
def test_a_view_in_place_of_a_table_is_refused(filled, table, capsys):
    replace(filled, table, f"CREATE VIEW {table} AS {ENDLESS}{{columns}} FROM c")
    for command in ("health", "verify", "events", "export", "severity"):
        assert main(["--db", str(filled), command]) == 2
        assert f"'{table}' is not what failaware makes" in capsys.readouterr().err
    with pytest.raises(StoreError):
        Store.open(filled)


def test_a_computed_column_is_refused(filled):
    replace(filled, "stored_counts", "CREATE TABLE stored_counts (n INTEGER, event_type TEXT AS (hex(zeroblob(n))))")
    with pytest.raises(StoreCorrupt, match="'stored_counts' is not what"):
        Inspector.open(filled)


@pytest.mark.parametrize("view", ["known_fingerprint", "failure_severity"])
def test_another_view_under_the_name_of_one_of_ours_is_refused(filled, view):
    with plain_sqlite(filled) as db:
        db.execute(f"DROP VIEW {view}")
        db.execute(f"CREATE VIEW {view} AS {ENDLESS}x AS cluster_id, 'a' AS event_type FROM c")
    with pytest.raises(StoreCorrupt, match=f"'{view}' is not what"):
        Inspector.open(filled)


@pytest.mark.large
def test_a_value_of_any_length_takes_no_memory(filled):
    with plain_sqlite(filled) as db:
        db.execute("INSERT INTO reject_log VALUES (1, 'x', 1, CAST(zeroblob(200000000) AS TEXT), 'e', 1)")
    with Inspector.open(filled) as inspector, pytest.raises(StoreError, match="128 MiB"):
        inspector.rejects()


def test_ctrl_c_ends_a_query_that_does_not_end(filled):
    program = (
        "import sys; from failaware import Inspector\n"
        "inspector = Inspector.open(sys.argv[1]); print('here', flush=True)\n"
        f"inspector.db.query({ENDLESS + 'count(*) FROM c'!r})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(filled)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in output


def test_a_store_without_a_version_is_not_called_empty(filled):
    with plain_sqlite(filled) as db:
        db.execute("PRAGMA user_version = 0")
    for way in (Inspector.open, Store.open):
        with pytest.raises(StoreCorrupt, match="no version of its schema"):
            way(filled)


@pytest.mark.parametrize("umask", [0o777, 0o077, 0o000])
def test_a_new_store_is_its_owners_whatever_the_umask(path, umask):
    before = os.umask(umask)
    try:
        with Store.open(path) as store:
            store.record("a")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


SHARED = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be several users")
OWNER, READER = 61_001, 61_002


def as_user(user, *words):
    """Run a command as another user of the same group."""

    def become():
        os.setgroups([])
        os.setgid(62_000)
        os.setuid(user)

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            become()
            sys.stdout = sys.stderr = os.fdopen(write, "w")
            status = main([*words])
            sys.stdout.flush()
            os._exit(status)
        except BaseException:
            os._exit(99)
    os.close(write)
    with os.fdopen(read) as file:
        output = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output


@pytest.fixture
def shared(tmp_path_factory):
    """A store in a folder of a group, whose members may make files there, and which only its owner may write."""
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(dir="/tmp")
    place = os.path.join(folder, "x.db")
    with Store.open(place) as store:
        store.record("a", 1)
    os.chown(folder, OWNER, 62_000)
    os.chmod(folder, 0o2775)
    os.chown(place, OWNER, 62_000)
    os.chmod(place, 0o640)
    yield place
    shutil.rmtree(folder)


@SHARED
@pytest.mark.parametrize("command", ["health", "verify", "events", "export"])
def test_a_reader_of_another_user_leaves_nothing_behind(shared, command):
    status, output = as_user(READER, "--db", shared, command)
    assert status == 0, output
    assert os.listdir(os.path.dirname(shared)) == ["x.db"]
    status, output = as_user(OWNER, "--db", shared, "exec", "--", "true")
    assert "not recorded" not in output


@SHARED
def test_what_another_user_left_is_named_with_its_owner(shared):
    open(f"{shared}-wal", "w").close()
    os.chown(f"{shared}-wal", READER, 62_000)
    os.chmod(f"{shared}-wal", 0o640)
    status, output = as_user(OWNER, "--db", shared, "rebuild")
    assert status == 2
    assert f"x.db-wal belongs to user {READER}" in output


def test_a_reader_without_locks_sees_what_is_written_later(path, monkeypatch):
    from failaware.engine.sqlite import files

    with Store.open(path) as store:
        store.record("a", 1)
    monkeypatch.setattr(files, "_is_of_another_user", lambda _path: True)
    with Inspector.open(path) as inspector:
        before = inspector.db.change_token()
        assert inspector.health().total_events == 1
        with Store.open(path) as store:
            store.record("a", 2)
            assert inspector.db.change_token() != before
            assert inspector.health().total_events == 2
        with Store.open(path) as store:
            store.record("a", 3)
        assert inspector.health().total_events == 3
