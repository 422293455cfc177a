"""Every SQLite error leaves the engine as one of our errors."""

import sqlite3

import pytest

from failaware import StoreError

WRONG = (
    ("SELEC 1", ()),
    ("SELECT nope FROM event_log", ()),
    ("SELECT * FROM nope", ()),
    ("SELECT ?", ()),
    ("SELECT ?", (object(),)),
    ("SELECT 1; SELECT 2 FROM", ()),
    ("SELECT nope(1)", ()),
    ("SELECT '\0'", ()),
    ("INSERT INTO event_log (event_id) VALUES (1, 2)", ()),
    ("SELECT 1" + "+1" * 2_000, ()),
    ("RELEASE nowhere", ()),
)


@pytest.mark.sqlite("PostgreSQL's are in test_postgres_surroundings.py")
@pytest.mark.parametrize("of", ["reader", "writer", "transaction"])
@pytest.mark.parametrize(("sql", "parameters"), WRONG)
def test_whatever_sqlite_says_against_a_statement_is_one_of_our_errors(store, inspector, of, sql, parameters):
    ask = {
        "reader": lambda: inspector.db.query(sql, parameters),
        "writer": lambda: store.session.read(lambda db: db.query(sql, parameters)),
        "transaction": lambda: store.session.write(lambda db: db.execute(sql, parameters)),
    }
    with pytest.raises(StoreError) as refused:
        ask[of]()
    assert isinstance(refused.value.__cause__, sqlite3.Error | sqlite3.Warning)
    assert store.record("a").event_id == 1
