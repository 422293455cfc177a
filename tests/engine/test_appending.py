"""How a file's writer appends: one event by one statement, many rows by a few."""

import itertools

import pytest

from failaware.errors import StoreError, UsageError
from failaware.model import NEVER, NewReject
from tests.conftest import plain_sqlite

pytestmark = pytest.mark.sqlite("statements of its writer")


@pytest.fixture
def statements(store):
    """The statements that the store's writer runs, by their first word."""
    seen = []
    store.session.read(lambda db: db._db.set_trace_callback(lambda sql: seen.append(sql.split()[0])))
    return seen


def test_an_event_without_a_key_is_one_statement(store, statements):
    store.record("a", 1)  # the first transaction of a writer reads the store's mark
    statements.clear()
    assert store.record("a", 2, source="web").event_id == 2
    assert set(statements) == {"INSERT"}  # its trigger is traced, too


@pytest.mark.parametrize("about", [{"key": "k"}, {"key": "k", "source": "web"}])
def test_an_event_with_a_key_is_a_transaction(store, statements, about):
    store.record("a", 1)
    statements.clear()
    assert store.record("a", 2, **about).event_id == 2
    assert statements[0] == "BEGIN"
    assert statements[-1] == "COMMIT"


def test_nothing_is_recorded_once_another_version_has_derived_the_store(store, path):
    store.record("a", 1)
    with plain_sqlite(path) as db:
        db.execute("UPDATE setting SET value = '99.0 x y z' WHERE name = 'derivation'")
    for about in ({}, {"key": "k"}):
        with pytest.raises(StoreError, match="99"):
            store.record("a", 2, **about)
    with plain_sqlite(path) as db:
        assert db.execute("SELECT count(*) FROM event_log").fetchall() == [(1,)]


@pytest.mark.parametrize("count", [1, 39, 40, 41, 85])
@pytest.mark.parametrize("size", [1, 5_000])
def test_rows_are_inserted_whatever_is_null_in_them(store, path, count, size):
    sources, fingerprints = itertools.cycle((None, None, "web")), itertools.cycle((None, "f"))
    events = [
        {"type": "a", "payload": "x" * size, "source": next(sources), "fingerprint": next(fingerprints)}
        for _ in range(count)
    ]
    store.record_many(events)
    store.session.ingest([], [NewReject("file", n, "{", "not JSON", 0) for n in range(count)])
    with plain_sqlite(path) as db:
        rows = db.execute("SELECT length(event_payload) - 2, source, fingerprint FROM event_log ORDER BY event_id")
        assert rows.fetchall() == [(size, event["source"], event["fingerprint"]) for event in events]
        assert db.execute("SELECT line_no FROM reject_log ORDER BY reject_id").fetchall() == [
            (n,) for n in range(count)
        ]


def test_an_event_after_the_last_id_is_refused(store, path):
    with plain_sqlite(path) as db:
        db.execute("INSERT INTO event_log VALUES (?, 'a', null, '1', 0, 0, null)", (NEVER - 1,))
    with pytest.raises(UsageError, match="there is none after it"):
        store.record_many([("a", 1), ("a", 2)])
    with plain_sqlite(path) as db:
        assert db.execute("SELECT count(*) FROM event_log").fetchall() == [(1,)]
