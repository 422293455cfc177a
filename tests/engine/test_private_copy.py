"""The private database in which facts are folded: what is fetched for it and when, and that nothing of it is left."""

import os
import signal
import sys
import threading
from contextlib import suppress
from functools import partial

import pytest

from failaware import Inspector, Store, StoreError
from failaware.engine.postgres.place import parse
from failaware.engine.postgres.roles import create
from failaware.engine.sqlite import private_copy
from failaware.errors import StoreCorrupt
from failaware.ledger.verify import verify
from failaware.rules import Policy
from tests.conftest import HOUR, plain
from tests.read.test_as_of import reports


def failing(store, clock, number):
    with suppress(ValueError), store.attempt("a", {"n": number}, key=f"k{number}"):
        clock.advance(1)
        raise ValueError(f"bad value {number}")


@pytest.fixture
def fetched(monkeypatch):
    """The tables of which rows are fetched, with their number, in order."""
    tables = []
    fetch = private_copy.PrivateCopyFromServer.fetch

    def noting(self, table, *words, **named):
        def count():
            return self.query(f"SELECT count(*) FROM main.{table}")[0][0]

        before = count()
        fetch(self, table, *words, **named)
        tables.append((table, count() - before))

    monkeypatch.setattr(private_copy.PrivateCopyFromServer, "fetch", noting)
    return tables


def temporary_files():
    """The names of SQLite's own temporary files that this process has open."""
    names = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            names.append(os.readlink(f"/proc/self/fd/{number}"))
    return [name for name in names if "etilqs_" in name]


@pytest.mark.postgres
def test_facts_are_fetched_once_and_then_only_newer_ones(store, path, clock, fetched):
    for number in range(3):
        failing(store, clock, number)
    with Inspector.open(path, clock=clock) as inspector, inspector.as_of(clock.now) as then:
        assert dict(fetched)["event_log"] == dict(fetched)["attempt_log"] == 3
        assert reports(then) == reports(inspector)
        fetched.clear()
        then.move(clock.now - 1_500_000)
        then.move(clock.now)
        assert fetched == []
        failing(store, clock, 4)
        then.move(clock.now)
        assert (dict(fetched)["event_log"], dict(fetched)["attempt_log"]) == (1, 1)
        assert reports(then) == reports(inspector)


def test_after_an_erasure_or_another_policy_all_is_derived_again(store, path, clock):
    for number in range(3):
        failing(store, clock, number)
    with Inspector.open(path, clock=clock) as inspector, inspector.as_of(clock.now) as then:
        store.dismiss([1], because="seen")
        store.erase([1], because="asked")
        then.move(clock.now)
        assert "bad value 0" not in repr(reports(then))
        assert reports(then) == reports(inspector)
        store.rebuild(Policy(*(1 for _ in Policy._fields)))
        then.move(clock.now)
        assert reports(then) == reports(inspector)


@pytest.fixture
def database(path, postgres):
    """The place of a store in a database of its own."""
    schema = parse(path).schema
    with plain(path) as db:
        db.execute(f"CREATE DATABASE {schema}")
        yield postgres.url(schema, database=schema)
        db.execute(f"DROP DATABASE {schema} WITH (FORCE)")


@pytest.mark.postgres
def test_a_role_that_may_only_read_needs_no_temporary_tables(database, clock):
    with Store.open(database, clock=clock) as store:
        failing(store, clock, 1)
    roles = create(database)
    schema = parse(database).schema
    with plain(database) as db:
        db.execute(f"ALTER ROLE {roles[1]} LOGIN")
        db.execute(f"REVOKE TEMPORARY ON DATABASE {schema} FROM PUBLIC, {roles[1]}")
        try:
            url = database.replace("postgres@", f"{roles[1]}@")
            with Inspector.open(url, clock=clock) as inspector, inspector.as_of(clock.now) as then:
                assert reports(then) == reports(inspector)
                assert inspector.explain("event/1", facts=True).since.after == "HIGH"
                assert then.diff(clock.now + HOUR).clusters == ()
            assert {finding.part for finding in verify(url).findings} == {
                "schema"
            }  # which is compared with such tables
        finally:
            for role in roles:
                db.execute(f"DROP OWNED BY {role}")
                db.execute(f"DROP ROLE {role}")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_spilled_to_files_is_gone_with_the_connection(store, path, clock, monkeypatch):
    store.record_many(("a", {"text": "x" * 1_000, "n": n}) for n in range(500))
    monkeypatch.setattr(private_copy, "_CACHE_KIB", 16)
    monkeypatch.setattr(private_copy, "_FETCHED_CACHE_KIB", 16)
    assert temporary_files() == []
    with Inspector.open(path, clock=clock) as inspector:
        with inspector.as_of(clock.now) as then:
            assert then.health().total_events == 500
            assert temporary_files()
            assert all(name.endswith(" (deleted)") for name in temporary_files())
        assert temporary_files() == []
        for stop in (KeyboardInterrupt, StoreError):
            with pytest.raises(stop):
                inspector.as_of(clock.now, progress=partial(stopping, inspector, stop))
            assert temporary_files() == []
        assert inspector.health().total_events == 500
    assert verify(path).findings == ()
    assert temporary_files() == []


def stopping(inspector, stop, *_):
    """Ctrl-C, or an interrupt from another thread, in the middle."""
    if stop is KeyboardInterrupt:
        signal.raise_signal(signal.SIGINT)
    else:
        thread = threading.Thread(target=inspector.connections.interrupt)
        thread.start()
        thread.join()
        raise StoreError("left")


@pytest.mark.postgres
def test_a_full_disk_is_told_from_damage(store, path, clock, monkeypatch):
    store.record_many(("a", {"text": "x" * 1_000, "n": n}) for n in range(500))
    connect = private_copy.connect_temporary

    def small():
        db = connect()
        db.execute("PRAGMA main.max_page_count = 60")
        return db

    monkeypatch.setattr(private_copy, "connect_temporary", small)
    with Inspector.open(path, clock=clock) as inspector:
        with pytest.raises(StoreError, match=r"the temporary copy of postgresql://.*: the disk is full") as full:
            inspector.as_of(clock.now)
        assert not isinstance(full.value, StoreCorrupt)
        assert inspector.health().total_events == 500
