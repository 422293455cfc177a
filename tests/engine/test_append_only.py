"""Facts are written once: the database itself refuses anything else, from any client."""

import shutil
import sqlite3

import pytest

from failaware import Handlers, Retry, Worker
from failaware.schema.catalogue import FACTS
from failaware.schema.guards import guard_statements
from tests import processes
from tests.conftest import plain_sqlite

pytestmark = pytest.mark.sqlite("its triggers; PostgreSQL's are in test_postgres")


@pytest.fixture
def full(store, path):
    """A store with a row in every fact table."""
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=1))
    def fails(event):
        raise ValueError("no")

    store.record("a.b", {"n": 1}, key="k")
    Worker(store, handlers).run(until_idle=True, patience=0)
    from failaware.model import NewReject

    store.session.ingest([], [NewReject("file", 1, "{", "not JSON", 0)])
    with plain_sqlite(path) as db:
        db.execute("INSERT INTO decision_log VALUES (1, 1, 'ERASE', 1, 'me', 'seen', 0)")
        db.execute("INSERT INTO erasure_log VALUES (1, 1, 'attempt_log', 99, '', NULL)")
        db.execute("INSERT INTO archive_log VALUES (1, 'old.db', 1, 5, 'me', 'old', 7, NULL)")
        db.execute("INSERT INTO moved_log VALUES (1, 1, 'reject_log', 77, 88)")
        db.execute("INSERT INTO correction_log VALUES (1, 'MERGE', 5, 6, NULL, NULL, 'me', 'one', 7)")
        db.execute("DROP TRIGGER seal_log_refuses_delete")
        db.execute("DELETE FROM seal_log WHERE seal_id > 1")  # the idle worker has sealed
        db.execute(next(statement for statement in guard_statements() if "seal_log_refuses_delete" in statement))
    return path


@pytest.mark.thinned
@pytest.mark.parametrize("table", FACTS)
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "REPLACE", "UPSERT"])
def test_the_database_refuses_to_change_a_fact(full, table, verb):
    with plain_sqlite(full) as db:
        refuses(db, table, verb)


def refuses(db, table, verb):
    (row,) = db.execute(f"SELECT * FROM {table}").fetchall()
    columns = [column[1] for column in db.execute(f"PRAGMA table_info({table})")]
    statements = {
        "UPDATE": (f"UPDATE {table} SET {columns[-1]} = {columns[-1]}", ()),
        "DELETE": (f"DELETE FROM {table}", ()),
        "REPLACE": (f"INSERT OR REPLACE INTO {table} VALUES ({marks(row)})", row),
        "UPSERT": (
            f"INSERT INTO {table} VALUES ({marks(row)}) ON CONFLICT DO UPDATE SET {columns[-1]} = {columns[-1]}",
            row,
        ),
    }
    with pytest.raises(sqlite3.IntegrityError, match=f"facts are append-only, {table} refuses"):
        db.execute(*statements[verb])
    assert db.execute(f"SELECT * FROM {table}").fetchall() == [row]


@pytest.mark.parametrize("table", FACTS)
def test_no_key_not_even_a_hidden_one_lets_a_fact_be_replaced(full, table):
    with plain_sqlite(full) as db:
        (before,) = db.execute(f"SELECT * FROM {table}").fetchall()
        columns = db.execute(f"PRAGMA table_info({table})").fetchall()
        fresh = {name: {"INTEGER": 99, "BLOB": b""}.get(kind, "other") for _, name, kind, *_ in columns}
        if "outcome" in fresh:
            fresh["outcome"] = "FAILED"
        if "correction" in fresh:
            fresh["correction"] = "MERGE"
        if "decision" in fresh:
            fresh["decision"] = "DISMISS"
        if "of_table" in fresh:
            fresh["of_table"] = "attempt_log"
        for alias in ("rowid", "_rowid_", "oid"):
            names = [alias, *(name for _, name, kind, _, _, key in columns if not (key and kind == "INTEGER"))]
            values = [1, *(fresh[name] for name in names[1:])]
            with pytest.raises(sqlite3.DatabaseError, match=r"append-only|no column named"):
                db.execute(f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES ({marks(values)})", values)
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(f"UPDATE OR REPLACE {table} SET {columns[0][1]} = {columns[0][1]}")
        assert db.execute(f"SELECT * FROM {table}").fetchall() == [before]


def marks(values):
    return ", ".join("?" * len(values))


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="no sqlite3 shell")
@pytest.mark.parametrize("table", FACTS)
@pytest.mark.thinned
def test_the_sqlite3_shell_is_refused_too(full, table):
    for statement in (f"DELETE FROM {table}", f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"):
        done = processes.run(["sqlite3", full, statement], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert f"facts are append-only, {table} refuses" in done.stderr


def test_a_refused_change_leaves_the_rest_of_its_transaction_to_the_client(full):
    with plain_sqlite(full) as db:
        db.execute("BEGIN")
        db.execute("INSERT INTO setting VALUES ('note', 'x')")
        with pytest.raises(sqlite3.IntegrityError):
            db.execute("DELETE FROM event_log")
        db.execute("COMMIT")
        assert db.execute("SELECT count(*) FROM setting WHERE name = 'note'").fetchone() == (1,)


def test_event_detected_shows_the_event_with_its_state_and_cannot_be_written(full):
    with plain_sqlite(full) as db:
        db.row_factory = sqlite3.Row
        (row,) = db.execute("SELECT * FROM event_detected").fetchall()
        assert row["event_type"] == "a.b"
        assert row["event_payload"] == '{"n":1}'
        assert (row["sync_status"], row["retry_count"], row["last_error"]) == ("DEAD", 0, "no")
        for change in (
            "UPDATE event_detected SET sync_status = 'SYNCED'",
            "DELETE FROM event_detected",
            "INSERT INTO event_detected (event_type) VALUES ('x')",
        ):
            with pytest.raises(sqlite3.OperationalError, match="view"):
                db.execute(change)
