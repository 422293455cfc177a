"""A column is added to a fact in a copy of the code, as docs/architecture.md says, and nothing overlooks it."""

import subprocess
import sys
from pathlib import Path

import pytest

from failaware import Store
from failaware.ledger.sealing import seal_all
from tests.ledger.test_copy import other  # noqa: F401 - a fixture
from tests.test_recipes import applied

ROOT = Path(__file__).parents[2]
SCRIPT = """
import io, json, pathlib, sys, psycopg, sqlite3
place, other, root = sys.argv[1:]
sys.path.append(root)
import failaware
assert failaware.__file__.startswith(str(pathlib.Path.cwd()))
from failaware import Inspector, Store, StoreError
from failaware.ledger.export import Export
from failaware.ledger.proof import Proof
from failaware.ledger.restore import restore_export
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.model import NewEvent, EventWithAttempts
from tests.conftest import plain, query

def columns(place, names):
    with Store.open(place) as store:
        return query(store, f"SELECT {names} FROM event_log ORDER BY event_id")

def copied(place, target):
    with Store.open(place) as store:
        return store.copy_to(target).differences

def archived(place, file):
    with Store.open(place) as store:
        store.archive(file, before=store.session.clock(), because="old")

def wrong(place):
    found = []
    with Inspector.open(place) as inspector:
        Proof(inspector.db, lambda where, _problem: found.append(where)).run()
    return found

def refused(place, sql):
    with plain(place) as db:
        try:
            db.execute(sql)
        except (sqlite3.Error, psycopg.Error) as error:
            assert "append-only" in str(error), error
            return True
"""
FOLLOWS = (
    SCRIPT
    + """
with Store.open(place) as store:  # an older version made it, with an event under a seal
    for key, given in (("k2", {"host": "web1"}), ("k3", {"contact": "ann"})):
        store.session.ingest([EventWithAttempts(NewEvent("a", "null", key, None, 5, 6, **given))], [])
    store.record("a", 4)
    store.dismiss([1, 2, 3], because="known")
    seal_all(store.session, store.session.clock())
appended = [(None, None), ("web1", None), (None, "ann"), (None, None)]
assert columns(place, "host, contact") == appended
assert verify(place).findings == ()  # its schema as well

for column in ("host", "contact"):
    assert refused(place, f"UPDATE event_log SET {column} = 'x' WHERE event_id = 2"), column

with Inspector.open(place) as inspector:
    lines = [line.encode() + b"\\n" for line in Export(inspector.db).lines()]
assert b'"host":"web1"' in b"".join(lines)
with Store.open("restored.db") as store:
    restore_export(store.session, lines, origin="export")
assert columns("restored.db", "host, contact") == appended

assert copied(place, other) == ()
assert columns(other, "host, contact") == appended

for column, number in (("host", 2), ("contact", 3), ("host", 1), ("contact", 4)):
    for value in ("'tampered'", "NULL"):
        before = dict(columns(other, f"event_id, {column}"))[number]
        with plain(other, guarded=False) as db:
            db.execute(f"UPDATE event_log SET {column} = {value} WHERE event_id = {number}")
        expected = [] if (before, value) == (None, "NULL") else [f"event_log {number}"]
        assert wrong(other) == expected, (column, number, value)
        with plain(other, guarded=False) as db:
            db.execute(f"UPDATE event_log SET {column} = ? WHERE event_id = {number}", (before,))
with plain(other, guarded=False) as db:  # from one column to the other
    db.execute("UPDATE event_log SET host = NULL, contact = host WHERE event_id = 2")
assert wrong(other) == ["event_log 2"]

with Store.open(place) as store:
    store.erase([3], because="asked", by="ann")
assert columns(place, "host, contact")[2] == (None, "[erased]")
assert wrong(place) == []
assert refused(place, "UPDATE event_log SET host = 'x' WHERE event_id = 3")

archived(place, "old.db")
assert columns(place, "event_id, host") == [(3, None), (4, None)]
with Inspector.open("old.db") as inspector:
    assert inspector.db.query("SELECT event_id, host FROM event_log ORDER BY 1") == [(1, None), (2, "web1")]
assert verify(place).findings == ()
print("done")
"""
)
FORGOTTEN = (
    SCRIPT
    + """
with Store.open(place) as store:
    store.record("a", 1)
    with plain(place) as db:
        db.execute("INSERT INTO event_log (event_id, event_type, event_payload, occurred_at, detected_at, host) "
                   "VALUES (2, 'a', '2', 5, 6, 'web1')")
        if place.startswith("postgresql"):
            db.execute("SELECT nextval('event_ids')")
    store.rebuild()
    store.record("a", 3)
    store.dismiss([1, 2, 3], because="known")
assert copied(place, other) == ("event_log 2 differs",)
try:
    archived(place, "old.db")
except StoreError as error:
    refusal = str(error)
assert refusal == "the archive has no complete copy of event_log 2; nothing was archived"
assert columns(place, "host") == [(None,), ("web1",), (None,)]
print("done")
"""
)


def replace(file, before, after):
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture
def run(path, other, tmp_path):  # noqa: F811
    def run(script):
        (tmp_path / "script.py").write_text(script, encoding="utf-8")
        command = [sys.executable, "script.py", str(path), str(other), str(ROOT)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.mark.thinned
@pytest.mark.large
def test_all_that_the_page_says_follows_from_one_line(path, tmp_path, run):
    with Store.open(path) as store:
        store.record("a", 1, key="k1")
        seal_all(store.session, store.session.clock())
    applied("architecture.md", "A column of a fact", tmp_path)
    schema, line = tmp_path / "failaware" / "schema", 'Column("host", nullable=True, added=True),\n'
    replace(schema / "facts.sql", "-- where it was detected\n", ", contact TEXT\n")  # another one, that can be erased
    replace(
        schema / "catalogue.py", line, f'{line}Column("contact", nullable=True, added=True, text=True, mark=ERASED),\n'
    )
    replace(
        schema / "versions.py",
        "ADD COLUMN host TEXT",
        'ADD COLUMN host TEXT", "ALTER TABLE event_log ADD COLUMN contact TEXT',
    )
    replace(
        tmp_path / "failaware" / "model" / "facts.py", "    host: str", "    contact: str | None = None\n    host: str"
    )
    done = run(FOLLOWS)
    assert done.stdout == "done\n", done.stderr


@pytest.mark.thinned
@pytest.mark.large
def test_a_column_that_the_catalogue_lacks_is_neither_copied_unnoticed_nor_deleted(tmp_path, run):
    applied("architecture.md", "A column of a fact", tmp_path)
    replace(tmp_path / "failaware" / "schema" / "catalogue.py", 'Column("host", nullable=True, added=True),', "")
    done = run(FORGOTTEN)
    assert done.stdout == "done\n", done.stderr
