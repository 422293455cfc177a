"""Archiving moves old facts that are resolved to a file that is a store, and proves that none was lost on the way."""

import itertools
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

import psycopg
import pytest
from hypothesis import given, settings

from failaware import Handlers, Inspector, NotFound, Permanent, Retry, Store, UsageError, Worker
from failaware.cli.main import main
from failaware.ledger import archive
from failaware.ledger.id_ranges import digest_of_runs
from failaware.ledger.sealing import seal_all, seal_what_is_due
from failaware.ledger.verify import verify
from failaware.model import NewReject
from failaware.schema.catalogue import FACTS
from tests import processes
from tests.conftest import HOUR, START, assert_rebuild_changes_nothing, plain, query
from tests.oracle.history import CORRECTING, History, seeds
from tests.sizes import sized

_numbers = itertools.count(1)
MOVABLE = sorted({facts.archived_with for facts in FACTS.values()} - {""})


def work(store, *, fails=(), retry=None):
    """Try what is due; events whose payload is among `fails` fail."""
    handlers = Handlers()

    @handlers.on("*", retry=retry or Retry(max_attempts=2, base=1, jitter=0))
    def handle(event):
        if event.payload in fails:
            raise Permanent(f"no {event.payload}")

    Worker(store, handlers).run(until_idle=True, patience=0)


@pytest.fixture
def full(store, clock):
    """Two days ago: one SYNCED, one dismissed, one DEAD, a reject; now, one SYNCED and one DEAD."""
    for day in range(2):
        for name in ("good", "bad", "worse"):
            store.record("job", name, key=f"{name}{day}")
        work(store, fails=("bad", "worse"))
        store.session.ingest([], [NewReject("file", 1, "{", "no JSON", clock())])
        store.dismiss([3 * day + 2], because="known")
        clock.advance(24 * 3600)
    return store


def facts(place):
    """All facts of a store, with all columns."""
    with plain(place) as db:
        return {table: set(db.execute(f"SELECT * FROM {table}").fetchall()) for table in FACTS}


def move(path, file, before, because="old"):
    return main(["--db", str(path), "archive", "--before", before, "--to", str(file), "--because", because])


def go_by(monkeypatch, clock):
    """Let the command line go by the test's clock."""
    opened = Store.open
    monkeypatch.setattr(Store, "open", classmethod(lambda cls, path, **how: opened(path, **{"clock": clock, **how})))


def test_what_is_old_and_settled_moves_and_both_verify(full, path, clock, tmp_path, monkeypatch, capsys):
    seal_all(full.session, clock())
    head = verify(path).head
    before = facts(path)
    go_by(monkeypatch, clock)
    file = tmp_path / "old.db"
    assert move(path, file, "36h") == 0
    assert "2 events with 2 attempts archived" in capsys.readouterr().out
    here, there = facts(path), facts(file)
    assert {row[0] for row in there["event_log"]} == {1, 2}
    assert {row[0] for row in here["event_log"]} == {3, 4, 5, 6}
    for table in MOVABLE:
        assert here[table] | there[table] == before[table], table
    for table in ("event_log", "event_key", "attempt_log", "decision_log", "reject_log"):
        assert not here[table] & there[table]
    for place in (path, file):
        result = verify(place, noted=head)
        assert result.findings == ()
        (archive,) = result.archives
        assert (archive.events, archive.reason, archive.here) == (2, "old", place == file)
    with Inspector.open(file) as inspector:
        assert inspector.health().total_events == 2
        assert inspector.health().archived == 0
        assert inspector.event(2).decisions[0].reason == "known"
        assert "Permanent" in inspector.event(2).attempts[0].traceback
    with Inspector.open(path) as inspector:
        assert inspector.health().archived == 2
        assert inspector.health().total_events == 4
    assert_rebuild_changes_nothing(full)
    assert list(tmp_path.glob("*.part*")) == []


def test_life_goes_on_with_new_numbers_and_the_next_archive_takes_the_next(full, path, clock, tmp_path, monkeypatch):
    go_by(monkeypatch, clock)
    assert move(path, tmp_path / "one.db", "36h") == 0
    assert full.record("job", "new", key="good0").event_id == 7  # its key went with the event
    work(full)
    full.dismiss([3, 6], because="known")
    clock.advance(48 * 3600)
    full.record("job", "newest")
    assert move(path, tmp_path / "two.db", "2h") == 0
    everything = [facts(place) for place in (path, tmp_path / "one.db", tmp_path / "two.db")]
    assert sorted(row[0] for each in everything for row in each["event_log"]) == list(range(1, 9))
    for place in (path, tmp_path / "one.db", tmp_path / "two.db"):
        assert verify(place).findings == ()
    assert_rebuild_changes_nothing(full)


def test_an_archive_takes_no_facts(full, path, clock, tmp_path, monkeypatch, capsys):
    go_by(monkeypatch, clock)
    file = tmp_path / "old.db"
    move(path, file, "36h")
    with pytest.raises(UsageError, match="archive"):
        Store.open(file)
    assert main(["--db", str(file), "requeue", "1", "--because", "r"]) == 2
    assert "archive" in capsys.readouterr().err
    with pytest.raises(NotFound):
        full.requeue([2], because="r")


def test_what_was_not_moved_cannot_be_deleted_and_what_was_moved_needs_an_archive(
    full, path, clock, tmp_path, monkeypatch
):
    go_by(monkeypatch, clock)
    move(path, tmp_path / "old.db", "36h")
    with plain(path) as db:
        for table in MOVABLE:
            key = FACTS[table].key
            with pytest.raises((sqlite3.Error, psycopg.Error), match="append-only"):
                db.execute(f"DELETE FROM {table} WHERE {key} = (SELECT max({key}) FROM {table})")
        with pytest.raises((sqlite3.Error, psycopg.Error), match="append-only"):
            db.execute("INSERT INTO moved_log VALUES (99, 99, 'event_log', 3, 3)")


@pytest.mark.thinned
@pytest.mark.parametrize(
    ("here", "sql", "which", "problem"),
    [
        (True, "DELETE FROM attempt_log WHERE event_id = 3", "attempt_log 3", "was deleted"),
        (True, "UPDATE event_log SET source = 'x' WHERE event_id = 4", "event_log 4", "was changed"),
        (True, "INSERT INTO reject_log VALUES (1, 'f', 1, '{', 'no', 5)", "reject_log 1", "is in the store again"),
        (True, "DELETE FROM moved_log", "event_log 1", "was deleted"),
        (True, "DELETE FROM archive_log", "archive_log 1", "was deleted"),
        (False, "DELETE FROM attempt_log WHERE event_id = 1", "attempt_log 1", "was deleted"),
        (False, "UPDATE event_log SET source = 'x' WHERE event_id = 1", "event_log 1", "was changed"),
        (False, "INSERT INTO event_log VALUES (3, 'job', NULL, '1', 1, 1, NULL)", "event_log 3", "was changed"),
    ],
)
def test_whatever_is_changed_in_one_of_the_two_is_found(
    full, path, clock, tmp_path, monkeypatch, here, sql, which, problem
):
    go_by(monkeypatch, clock)
    file = tmp_path / "old.db"
    move(path, file, "36h")
    seal_all(full.session, clock())
    place = path if here else file
    assert verify(place).findings == ()
    with plain(place, guarded=False) as db:
        db.execute(sql)
    result = {finding.where: finding.problem for finding in verify(place, facts_only=True).findings}
    assert problem in result[which]


@pytest.mark.parametrize("later", [False, True])
def test_an_archive_that_somebody_else_invents_is_found(full, path, clock, later):
    """With the right counts and the right digest, and by statements that no guard refuses."""
    seal_all(full.session, clock())
    runs = [("event_log", 1, 2), ("attempt_log", 1, 2)]
    with plain(path) as db:
        forged = (1, "old.db", 2, clock(), "ann", "old", clock(), digest_of_runs(runs))
        db.execute("INSERT INTO archive_log VALUES (?, ?, ?, ?, ?, ?, ?, ?)", forged)
        for number, run in enumerate(runs, start=1):
            db.execute("INSERT INTO moved_log VALUES (?, 1, ?, ?, ?)", (number, *run))
        for statement in ("event_key WHERE event_id", "attempt_log WHERE attempt_id", "event_log WHERE event_id"):
            db.execute(f"DELETE FROM {statement} IN (1, 2)")
    if later:  # a later seal does not make it true
        clock.advance(24 * 3600)
        full.record("job", "new")
        seal_what_is_due(full.session, clock())
        seal_all(full.session, clock())
    result = {finding.where: finding.problem for finding in verify(path, facts_only=True).findings}
    for where in ("archive_log 1", "moved_log 1", "moved_log 2"):
        assert "was not inserted by failaware" in result[where]


@pytest.mark.parametrize("way", ["restore", "copy"])
@pytest.mark.thinned
def test_an_archive_comes_back_from_its_export_and_its_copy_as_an_archive(
    full, path, clock, tmp_path, monkeypatch, way
):
    go_by(monkeypatch, clock)
    file, other = tmp_path / "old.db", tmp_path / "other.db"
    move(path, file, "36h")
    if way == "restore":
        assert main(["--db", str(file), "export", "--out", str(tmp_path / "x")]) == 0
        assert main(["--db", str(other), "restore", str(tmp_path / "x")]) == 0
    else:
        assert main(["copy", str(file), str(other)]) == 0
    assert facts(other) == facts(file)
    result = verify(other)
    assert result == verify(file)
    assert (result.findings, result.archives[0].here) == ((), True)
    with pytest.raises(UsageError, match="archive"):
        Store.open(other)


@pytest.mark.parametrize(
    ("archive", "problem"), [("9", "which does not exist"), ("x", "whole number"), ("0", "whole number")]
)
def test_an_export_that_says_of_itself_that_it_is_an_archive_has_to_be_one(
    full, path, tmp_path, archive, problem, capsys
):
    main(["--db", str(path), "export", "--out", str(tmp_path / "x")])
    lines = (tmp_path / "x").read_text().splitlines()
    lines.insert(1, json.dumps({"fact": "setting", "name": "archive", "value": archive}))
    (tmp_path / "y").write_text("".join(f"{line}\n" for line in lines))
    assert main(["--db", str(tmp_path / "new.db"), "restore", str(tmp_path / "y")]) == 2
    assert problem in capsys.readouterr().err


def test_nothing_old_a_file_that_exists_and_the_future_move_nothing(full, path, clock, tmp_path, monkeypatch, capsys):
    go_by(monkeypatch, clock)
    before = facts(path)
    assert move(path, tmp_path / "old.db", "2000-01-01") == 0
    assert "No SYNCED or dismissed event" in capsys.readouterr().out
    (tmp_path / "there.db").write_text("mine")
    assert move(path, tmp_path / "there.db", "36h") == 2
    assert move(path, tmp_path / "old.db", "2099-01-01") == 2
    assert move(path, tmp_path / "old.db", "36h", because=" ") == 2
    assert move(path, tmp_path / "nowhere" / "old.db", "36h") == 2
    after = facts(path)
    assert {table: rows for table, rows in after.items() if table != "seal_log"} == {
        table: rows for table, rows in before.items() if table != "seal_log"
    }
    assert (tmp_path / "there.db").read_text() == "mine"
    assert not (tmp_path / "old.db").exists()


def test_what_someone_decides_meanwhile_stays(full, path, clock, tmp_path, monkeypatch, capsys):
    go_by(monkeypatch, clock)
    filled = archive.fill

    def slowly(*args):
        filled(*args)
        full.requeue([2], because="fixed")

    monkeypatch.setattr("failaware.ledger.archive.fill", slowly)
    assert move(path, tmp_path / "old.db", "36h") == 2
    assert "archive again" in capsys.readouterr().err
    assert not (tmp_path / "old.db").exists()
    assert verify(path).findings == ()
    assert query(full, "SELECT count(*) FROM event_log") == [(6,)]


@pytest.mark.thinned
@pytest.mark.large
def test_killed_at_any_moment_nothing_is_lost(full, path, tmp_path):
    """Facts are in the store, or in an archive that is whole, or in both; run again, it ends."""
    full.record_many(("bulk", {"n": n}) for n in range(sized(1_500, 3_000)))
    work(full)
    full.record("last")
    before = {table: rows for table, rows in facts(path).items() if table != "seal_log"}
    full.close()
    program = [sys.executable, "-m", "failaware", "--db", str(path), "archive", "--before", "now", "--because", "r"]
    delay, number = 0.2, 0
    while True:
        number += 1
        file = tmp_path / f"{number}.db"
        running = processes.Popen([*program, "--to", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, error = running.communicate(timeout=delay)
            assert running.returncode == 0, error
            break
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.communicate()
        delay *= 1.3
        held = facts(path)
        if file.exists():
            assert verify(file).findings == ()
            there = facts(file)
            held = {table: rows | there[table] for table, rows in held.items()}
        for table in ("event_log", "attempt_log", "decision_log", "reject_log", "event_key"):
            assert held[table] >= before[table], table
        if not facts(path)["event_log"] >= before["event_log"]:
            break  # it had archived them when it was killed
    assert verify(path).findings == ()
    assert verify(file).findings == ()
    assert facts(file)["event_log"] | facts(path)["event_log"] == before["event_log"]


@given(seeds)
@settings(max_examples=sized(6, 30), deadline=None)
def test_after_any_history_the_two_are_what_the_one_was(seed):
    with tempfile.TemporaryDirectory() as folder:
        live_and_archive(Path(folder) / "s.db", Path(folder) / "x.db", seed)


@pytest.mark.large
@given(seeds)
@settings(max_examples=sized(3, 10), deadline=None)
def test_after_any_history_the_two_are_what_the_one_was_on_postgres(postgres, seed):
    schema = f"archived{next(_numbers)}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            live_and_archive(postgres.url(schema), Path(folder) / "x.db", seed)
        finally:
            postgres.drop(schema)


def live_and_archive(path, file, seed):
    history = History(path, Random(seed), moves=CORRECTING)
    with history.store as store:
        history.live(12)
        seal_all(store.session, history.clock())
        before, head, now = facts(path), verify(path).head, history.clock()
        with Inspector.open(path) as inspector, inspector.snapshot():
            chosen = archive.choose(inspector.db, now - HOUR)
            new = archive.next_archive(inspector.db, "x", chosen, before=now - HOUR, by="me", reason="r", now=now)
            with Store.open(file, synchronous="NORMAL") as target:
                archive.fill(inspector.db, target.session, new, chosen, lambda _done, _total: None)
            proved = archive.prove(inspector.db, file, new, chosen)
        store.session.write(lambda db: archive.remove(db, proved, store.session.policy))
        here, there = facts(path), facts(file)
        for table in MOVABLE:
            assert here[table] | there[table] == before[table], table
        for place in (path, file):
            assert verify(place, noted=head).findings == ()
        assert_rebuild_changes_nothing(store)
        for move in ("record_many", "work", "try_task"):
            history.step(move)
        assert_rebuild_changes_nothing(store)
        seal_all(store.session, history.clock())
        assert verify(path).findings == ()


def test_health_counts_the_rejects_that_are_here(full, path, clock, tmp_path, monkeypatch):
    for _ in range(3):
        full.session.ingest([], [NewReject("file", 1, "{", "no JSON", clock())])
    seal_all(full.session, clock())
    go_by(monkeypatch, clock)

    def counted(place, as_of=None):
        with Inspector.open(place, clock=clock) as inspector:
            if as_of is not None:
                with inspector.as_of(as_of) as past:
                    return past.health().rejects, len(past.rejects())
            return inspector.health().rejects, len(inspector.rejects())

    assert counted(path) == (5, 5)
    assert move(path, tmp_path / "old.db", "1d") == 0
    assert counted(path) == (4, 4)
    assert counted(tmp_path / "old.db") == (1, 1)
    assert counted(path, as_of=START + 1) == (0, 0)
