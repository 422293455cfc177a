"""Verify names what was done to a store behind its back, and nothing else."""

import re
import shutil
import sqlite3
from functools import cache

import pytest

from failaware import Handlers, Inspector, Retry, Store, UsageError, Worker
from failaware.derive.fold import DERIVED
from failaware.engine.postgres.place import parse
from failaware.ingest.lines import ingest_lines
from failaware.ledger.proof import Proof
from failaware.ledger.sealing import seal_all, seal_archive
from failaware.ledger.seals import Head
from failaware.ledger.verify import verify
from failaware.schema.catalogue import FACTS
from failaware.schema.ddl import columns_and_keys, permanent_tables
from tests.conftest import plain, plain_sqlite, query
from tests.sizes import sized

EVENTS = 12


@pytest.fixture
def sealed(store, path):
    """A store with all kinds of facts, all sealed; and the newest seal."""
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=1))
    def handle(event):
        if event.payload["n"] % 2:
            raise ValueError(f"bad value {event.payload['n']}")

    store.record_many({"type": "a", "payload": {"n": n}, "key": f"k{n}"} for n in range(EVENTS))
    Worker(store, handlers).run(until_idle=True, patience=0)
    store.dismiss([2], because="seen")
    ingest_lines(store.session, [b"{", b"[", b"}"], origin="file")
    store.erase([4], because="asked to")
    ((cluster,),) = query(store, "SELECT cluster_id FROM failure_cluster")
    (split,) = store.split_cluster(cluster, split_by="frame", because="two places")
    store.undo_correction(split, because="one place")
    with plain(path) as db:
        db.execute("INSERT INTO archive_log VALUES (1, 'old.db', 0, 5, 'me', 'old', 7, NULL)")
        db.execute("INSERT INTO moved_log VALUES (1, 1, 'reject_log', 1000077, 1000088)")
    store.session.write(lambda db: seal_archive(db, store.session.clock()))
    seal_all(store.session, store.session.clock())
    result = verify(path)
    assert result.findings == ()
    assert result.sealed == result.facts
    assert [(erased.event_id, erased.reason) for erased in result.erased] == [(4, "asked to")]
    return result.head


@pytest.fixture
def tamper(sealed, path, tmp_path, engine):
    """Does something to a copy of the store, with the guards dropped, and says what verify finds."""

    def run(*statements, noted=None, guards=True):
        change = _change_file if engine == "sqlite" else _change_schema
        place = change(path, tmp_path, statements, guards=guards)
        result = verify(place, noted=noted)
        first = reversed([finding for finding in result.findings if finding.part != "derived"])
        return {finding.where: finding.problem for finding in first}

    yield run
    if engine == "postgres":
        with plain(path) as db:
            db.execute(f"DROP SCHEMA IF EXISTS {parse(path).schema}_copy CASCADE")


def _change_file(path, tmp_path, statements, *, guards):
    with plain(path) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    with plain(copy) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for _, sql in triggers if guards else ():
            db.execute(sql)
    return copy


def _change_schema(path, _tmp_path, statements, *, guards):
    name = parse(path).schema
    copy = path.replace(name, f"{name}_copy")
    with plain(path) as db:
        db.execute(f"DROP SCHEMA IF EXISTS {name}_copy CASCADE")
    Store.open(copy).close()
    with plain(copy, guarded=False) as db:
        db.execute("DELETE FROM setting")
        for table in (*FACTS, *DERIVED, "setting"):
            db.execute(f"INSERT INTO {table} SELECT * FROM {name}.{table}")
        db.execute(f"SELECT setval('event_ids', (SELECT last_value FROM {name}.event_ids))")
        db.execute("DELETE FROM last_commit")
        db.execute(f"INSERT INTO last_commit SELECT * FROM {name}.last_commit")
        for statement in statements:
            db.execute(statement)
        if not guards:
            db.execute("DROP TRIGGER event_log_refuses_update ON event_log")
    return copy


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE event_log SET event_payload = '{\"n\":9}' WHERE event_id = 5", "event_log 5"),
        ("UPDATE event_log SET detected_at = detected_at + 1 WHERE event_id = 5", "event_log 5"),
        ("UPDATE event_key SET key = 'other' WHERE event_id = 5", "event_log 5"),
        ("UPDATE attempt_log SET error_message = 'bad value 8' WHERE attempt_id = 2", "attempt_log 2"),
        ("UPDATE attempt_log SET retry_at = 1 WHERE attempt_id = 2", "attempt_log 2"),
        ("UPDATE attempt_log SET cause = '' WHERE attempt_id = 2", "attempt_log 2"),
        ("UPDATE traceback_log SET text = text || ' '", "traceback_log 1"),
        ("UPDATE decision_log SET decided_by = 'eve' WHERE decision_id = 1", "decision_log 1"),
        ("UPDATE reject_log SET raw = 'x' WHERE reject_id = 1", "reject_log 1"),
        ("UPDATE erasure_log SET cluster_id = 1 WHERE erasure_id = 2", "erasure_log 2"),
    ],
)
def test_one_changed_value(tamper, statement, where):
    assert tamper(statement) == {where: "was changed since it was sealed"}


@pytest.mark.thinned
@pytest.mark.parametrize("table", [table for table in FACTS if table not in ("event_key", "seal_log")])
def test_one_deleted_row(tamper, table):
    key = FACTS[table].key
    result = tamper(f"DELETE FROM {table} WHERE {key} = 1")
    assert result[f"{table} 1"] == "was deleted since it was sealed"


def test_two_swapped_rows(tamper):
    result = tamper(
        "UPDATE reject_log SET reject_id = -1 WHERE reject_id = 1",
        "UPDATE reject_log SET reject_id = 1 WHERE reject_id = 3",
        "UPDATE reject_log SET reject_id = 3 WHERE reject_id = -1",
    )
    assert result == dict.fromkeys(("reject_log 1", "reject_log 3"), "was changed since it was sealed")


def test_a_row_inserted_in_the_middle(tamper):
    later = f"UPDATE event_log SET event_id = event_id + 1 WHERE event_id = {EVENTS}"
    new = f"INSERT INTO event_log SELECT {EVENTS}, 'a', 's', '1', 1, 1, NULL"
    result = tamper(later, new)
    assert result[f"event_log {EVENTS}"] == "was changed since it was sealed"
    result = tamper("INSERT INTO event_log SELECT -3, 'a', 's', '1', 1, 1, NULL")
    assert result["event_log -3"].startswith("was not inserted by failaware")


@pytest.mark.sqlite  # ids of events have gaps on a server; those of other facts have none
def test_a_gap_in_what_is_not_sealed_yet(tamper, store):
    store.record_many(("a", {"n": n}) for n in range(5))
    result = tamper(f"DELETE FROM event_log WHERE event_id IN ({EVENTS + 2}, {EVENTS + 3})")
    assert result[f"event_log {EVENTS + 2} to {EVENTS + 3}"] == "is missing"


def test_a_gap_in_other_facts_that_are_not_sealed_yet(tamper, store):
    ingest_lines(store.session, [b"{", b"[", b"}"], origin="another file")
    assert tamper("DELETE FROM reject_log WHERE reject_id = 5") == {"reject_log 5": "is missing"}


def test_what_was_erased_and_is_back(tamper):
    result = tamper("UPDATE event_log SET event_payload = '{\"n\":3}' WHERE event_id = 4")
    assert result == {"event_log 4": "was erased, but has a text again"}


@pytest.mark.thinned
def test_a_seal_that_was_changed(tamper):
    changes = (
        "sealed_at = 1",
        "digest = (SELECT digest FROM seal_log ORDER BY seal_id DESC LIMIT 1)",
        "facts = (SELECT facts FROM seal_log ORDER BY seal_id DESC LIMIT 1)",
        f"last_id = {2**62}",
    )
    for column in changes:
        result = tamper(f"UPDATE seal_log SET {column} WHERE seal_id = 1")
        assert result, column
        assert all(name.startswith(("seal", "event_log")) for name in result)
    assert "seal 3" in tamper("DELETE FROM seal_log WHERE seal_id = 2")


def test_an_end_that_was_cut_off_is_told_from_a_noted_seal(tamper, sealed, engine):
    noted = sealed
    cut = [f"DELETE FROM {table} WHERE {FACTS[table].key} > 3" for table in ("event_log", "attempt_log")]
    cut += ["DELETE FROM event_key WHERE event_id > 3", "DELETE FROM traceback_log", "DELETE FROM decision_log"]
    cut += ["DELETE FROM erasure_log", "DELETE FROM reject_log", "DELETE FROM seal_log"]
    cut += ["UPDATE last_commit SET recorded = (writer = '')::int * 3"] if engine == "postgres" else []
    assert [where for where in tamper(*cut) if where.startswith(("seal", "event"))] == []
    number = noted.partition(":")[0]
    assert tamper(*cut, noted=noted)[f"seal {number}"].endswith("the end of the history was cut off")
    assert f"seal {number}" not in tamper(noted=noted)
    forged = f"{number}:{'0' * 64}"
    assert tamper(noted=forged)[f"seal {number}"].endswith("the history before it was rewritten")
    with pytest.raises(UsageError, match="is not a seal"):
        verify("x", noted="7")


@pytest.mark.thinned
def test_guards_that_are_gone_or_others_that_came(tamper, engine):
    result = tamper("SELECT 1", guards=False)
    assert result["schema"]
    does = {"sqlite": "BEGIN SELECT 1; END", "postgres": "FOR EACH ROW EXECUTE FUNCTION event_log_refuses_update()"}
    spy = f"CREATE TRIGGER spy AFTER INSERT ON event_log {does[engine]}"
    assert tamper(spy)["schema"] == "there is a trigger spy on event_log that is not ours"
    assert tamper("CREATE TABLE mine (n INTEGER)") == {}
    assert tamper("DROP INDEX event_due")["schema"] == "the index event_due is missing"


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("statement", "where", "problem"),
    [
        ("UPDATE stored_state SET severity = 'LOW' WHERE event_id = 6", "stored_state 6", "severity is 'LOW'"),
        ("DELETE FROM stored_state WHERE event_id = 6", "stored_state 6", "is missing"),
        ("UPDATE failure_cluster SET failures = failures + 1", "failure_cluster", "failures is"),
        ("DELETE FROM stored_failure WHERE attempt_id = 2", "stored_failure 2", "is missing"),
        (
            "INSERT INTO stored_failure SELECT 1, part_id FROM cluster_part",
            "stored_failure 1",
            "does not follow from the facts",
        ),
        ("INSERT INTO stored_failure VALUES (1, 5)", "stored_failure 1", "does not belong to a cluster"),
        ("DELETE FROM cluster_part", "stored_state 6", "cluster_id is None"),
        ("UPDATE stored_counts SET events = events + 1", "stored_counts a, ", "a fresh derivation gives"),
        ("UPDATE cluster_hour SET events = 0", "cluster_hour", "events is 0"),
        ("UPDATE stored_member SET recovered_at = 5 WHERE event_id = 6", "stored_member 6", "recovered_at is 5"),
    ],
)
def test_a_derived_row_that_does_not_follow_from_the_facts(sealed, path, statement, where, problem):
    with plain(path) as db:
        db.execute(statement)
    result = verify(path).findings
    assert {finding.part for finding in result} == {"derived"}
    assert any(finding.where.startswith(where) and problem in finding.problem for finding in result)


@pytest.mark.parametrize(
    ("statement", "where", "problem"),
    [
        ("SELECT 1", None, None),
        ("DELETE FROM stored_unattempted WHERE event_id = 2", "stored_unattempted 2", "is missing"),
        ("UPDATE stored_until SET event_id = 299", "stored_unattempted 300", "does not follow from the facts"),
        ("UPDATE stored_until SET event_id = 301", "stored_unattempted 301", "is missing"),
        ("UPDATE stored_until SET event_id = 1000", "stored_until 1", "event_id is 1000"),
        ("DELETE FROM stored_until", "stored_until 1", "is missing"),
        ("UPDATE stored_counts SET events = 301", "stored_counts a, ", "events is 301, a fresh derivation gives 300"),
    ],
)
@pytest.mark.thinned
def test_events_without_attempts(store, path, statement, where, problem):
    store.record_many(("a", n) for n in range(300))
    for n in range(5):
        store.record("a", n)
    with plain(path) as db:
        assert db.execute("SELECT event_id FROM stored_until").fetchall() == [(300,)]
        db.execute(statement)
    findings = verify(path).findings
    if where is None:
        assert findings == ()
    else:
        assert any(finding.where.startswith(where) and problem in finding.problem for finding in findings), findings


def test_a_store_that_lives_on_meanwhile_verifies(path, clock):
    with Store.open(path, clock=clock) as store:
        store.record_many(("a", n) for n in range(100))

        def write_between(*_):
            store.record("a", 1)

        result = verify(path, progress=write_between)
        assert result.findings == ()
        assert result.facts == 100
        assert query(store, "SELECT count(*) FROM event_log")[0][0] > 100


def test_many_findings_are_counted(sealed, path):
    with plain(path, guarded=False) as db:
        db.execute("UPDATE event_log SET source = 'x'")
    result = verify(path)
    assert len([finding for finding in result.findings if finding.where.startswith("event_log")]) == EVENTS
    assert result.more == 0


def _columns():
    """Every column of every fact table except its id."""
    for table, guarded in FACTS.items():
        columns, _ = columns_and_keys(table)
        yield from ((table, column) for column in columns if column != guarded.key or table == "event_key")


OTHER_VALUES = (
    # SQL for another value of any column, by whether it is a number
    ("integer", "coalesce({0}, 0) + 1000"),
    ("integer", "NULL"),
    ("text", "coalesce({0}, '') || 'x'"),
    ("text", "NULL"),
    ("text", "upper({0})"),
    ("text", "''"),
    ("text", "'[erased]'"),
)


def _kind(table, column):
    if (table, column) == ("seal_log", "facts"):
        return "blob"
    number = re.search(rf"\b{column}\s+(INTEGER|TEXT)", dict(_ddl())[table])
    return number[1].lower()


@cache
def _ddl():
    return tuple((re.search(r"CREATE TABLE (\w+)", sql)[1], sql) for sql in permanent_tables() if "CREATE TABLE" in sql)


def proof(path, noted):
    """What verify says of the facts, without what it says of the file."""
    number, _, digest = noted.partition(":")
    result = []
    with Inspector.open(path) as inspector:
        Proof(inspector.db, lambda where, _problem: result.append(where)).run(Head(int(number), digest, 0))
    return result


@pytest.mark.thinned
@pytest.mark.sqlite("the seals are the same; a changed table is quicker here")
@pytest.mark.parametrize(("table", "column"), list(_columns()))
def test_any_value_of_any_fact_that_is_changed_is_found_and_named(sealed, path, table, column):
    """Each row in turn, with the guards removed and restored."""
    kind = _kind(table, column)
    values = [sql for of, sql in OTHER_VALUES if of == kind] or ["zeroblob(length({0}))", "NULL"]
    key = FACTS[table].key if column != "key" else "event_id"
    changes = 0
    with plain_sqlite(path) as db:
        theirs = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
        guards = db.execute(theirs, (table,)).fetchall()
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA ignore_check_constraints = ON")
        for (row,) in db.execute(f"SELECT {key} FROM {table} ORDER BY 1").fetchall()[1 : sized(2, 4) : 2] or [(1,)]:
            for sql in values:
                where = f"WHERE {key} = ?"
                before = db.execute(f"SELECT {column} FROM {table} {where}", (row,)).fetchone()
                for name, _ in guards:
                    db.execute(f"DROP TRIGGER {name}")
                try:
                    db.execute(f"UPDATE {table} SET {column} = {sql.format(column)} {where}", (row,))
                    if db.execute(f"SELECT {column} FROM {table} {where}", (row,)).fetchone() == before:
                        continue
                except sqlite3.IntegrityError:  # NOT NULL, UNIQUE
                    continue
                finally:
                    for _, guard in guards:
                        db.execute(guard)
                changes += 1
                result = proof(path, sealed)
                assert any(where.startswith((table, "event_log", "seal")) for where in result), (row, sql, result)
                for name, _ in guards:
                    db.execute(f"DROP TRIGGER {name}")
                db.execute(f"UPDATE {table} SET {column} = ? {where}", (*before, row))
                for _, guard in guards:
                    db.execute(guard)
    assert changes
    assert proof(path, sealed) == []


@pytest.mark.sqlite("INSERT OR REPLACE is SQLite's")
@pytest.mark.parametrize("sealed_first", [False, True])
def test_a_fact_cannot_be_replaced_through_an_index_that_somebody_adds(store, path, sealed_first):
    store.record("pay", {"n": 1})
    if sealed_first:
        seal_all(store.session, store.session.clock())
    with plain_sqlite(path) as db:
        db.execute("CREATE UNIQUE INDEX zz ON event_log (event_type) WHERE event_type = 'pay'")
        assert "there is an index zz on event_log that is not ours" in {f.problem for f in verify(path).findings}
        db.execute("INSERT OR REPLACE INTO event_log VALUES (2, 'pay', NULL, '2', 1, 1, NULL)")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute("INSERT OR REPLACE INTO event_log VALUES (1, 'pay', NULL, '2', 1, 1, NULL)")
        db.execute("DROP INDEX zz")
    assert "event_log 1" in {finding.where for finding in verify(path).findings}


@pytest.mark.parametrize("comment", ["--", "/* */"])
@pytest.mark.sqlite("SQLite compares text")
def test_a_guard_with_a_comment_in_its_text_is_not_as_it_was_made(sealed, path, comment):
    with plain_sqlite(path) as db:
        name, sql = db.execute("SELECT name, sql FROM sqlite_master WHERE name = 'event_log_refuses_update'").fetchone()
        db.execute(f"DROP TRIGGER {name}")
        db.execute(sql.replace("'failaware: facts", f"'failaware:{comment}') WHERE 0 AND 'a' = ('\nfacts"))
    assert [finding.problem for finding in verify(path).findings] == [f"the trigger {name} is not as it was made"]


def test_a_view_that_is_not_ours_is_named(sealed, path):
    with plain(path) as db:
        db.execute("CREATE VIEW theirs AS SELECT * FROM event_log")
    assert [finding.where for finding in verify(path).findings] == ["schema"]
