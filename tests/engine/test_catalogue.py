"""The catalogue of facts describes the tables of both engines, and the digests of facts never change."""

import hashlib
import re

import pytest

from failaware.ledger.seals import digests
from failaware.schema import catalogue
from failaware.schema.catalogue import FACTS, Column
from failaware.schema.ddl import permanent_tables
from tests.conftest import plain, query

COLUMNS = {
    "sqlite": "SELECT name, type, \"notnull\" OR pk > 0 FROM pragma_table_info('{}') ORDER BY cid",
    "postgres": """
        SELECT attname::text, CASE format_type(atttypid, NULL)
               WHEN 'bigint' THEN 'INTEGER' WHEN 'text' THEN 'TEXT' WHEN 'bytea' THEN 'BLOB' END, attnotnull::int
          FROM pg_attribute WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    """,
}
UNIQUE = {
    "sqlite": """
        SELECT group_concat(c.name, ',') FROM pragma_index_list('{}') i, pragma_index_info(i.name) c
         WHERE i."unique" GROUP BY i.name
    """,
    "postgres": """
        SELECT string_agg(a.attname, ',' ORDER BY array_position(x.indkey::int[], a.attnum::int))
          FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey)
         WHERE x.indrelid = '{}'::regclass AND x.indisunique GROUP BY x.indexrelid
    """,
}


def described(store, engine):
    """Every column and unique key of the tables of facts, as the database has them."""
    columns, keys = set(), set()
    for table in FACTS:
        columns |= {
            (table, name, kind, bool(given)) for name, kind, given in query(store, COLUMNS[engine].format(table))
        }
        keys |= {(table, key) for (key,) in query(store, UNIQUE[engine].format(table))}
    return columns, keys


def listed():
    """The same as the catalogue has them."""
    columns, keys = set(), set()
    for table, facts in FACTS.items():
        columns |= {(table, c.name, c.sql_type, not c.nullable) for c in facts.columns if not c.table}
        keys |= {(table, ",".join(key)) for key in ((facts.key,), *facts.unique)}
    return columns, keys


def differences(store, engine):
    (there, unique), (here, keys) = described(store, engine), listed()
    if engine == "sqlite":  # has no index for a key that is the row's own id
        keys = {(table, key) for table, key in keys if table == "event_key" or key != FACTS[table].key}
    return (there ^ here) | (unique ^ keys)


def test_the_catalogue_lists_what_the_database_has(store, engine):
    assert differences(store, engine) == set()
    for facts in FACTS.values():
        names = [name for name, _, _ in query(store, COLUMNS[engine].format(facts.table))]
        assert facts.column_names == names  # in their order, by which they are sealed


def test_a_column_that_only_the_database_has_is_a_difference(store, path, engine):
    with plain(path) as db:
        db.execute("ALTER TABLE attempt_log ADD COLUMN host TEXT")
    assert differences(store, engine) == {("attempt_log", "host", "TEXT", False)}


def test_a_column_that_only_the_catalogue_has_is_a_difference(store, engine, monkeypatch):
    event = catalogue.EVENT._replace(columns=(*catalogue.EVENT.columns, Column("host", nullable=True)))
    monkeypatch.setitem(FACTS, "event_log", event)
    assert differences(store, engine) == {("event_log", "host", "TEXT", False)}


def test_the_words_of_a_column_are_those_that_the_ddl_allows():
    allowed = {}
    for sql in permanent_tables():
        for name, words in re.findall(r"CHECK \((\w+) IN \(([^)]*)\)\)", sql):
            allowed[re.search(r"CREATE TABLE (\w+)", sql)[1], name] = set(re.findall(r"'(\w+)'", words))
    listed = {(table, c.name): set(c.words) for table, facts in FACTS.items() for c in facts.columns if any(c.words)}
    assert listed == allowed


def test_every_table_of_facts_is_in_the_catalogue():
    tables = {re.search(r"CREATE TABLE (\w+)", sql)[1] for sql in permanent_tables() if "CREATE TABLE" in sql}
    assert set(FACTS) == tables - {"lease", "followed", "setting"}
    assert {facts.name for facts in FACTS.values()} == {"", *(facts.name for facts in catalogue.EXPORTED)}
    sealed = {facts.table for facts in catalogue.SEALED}
    assert set(FACTS) - sealed == {"event_key", "seal_log"}  # the one is sealed with its event, the other is the seals


def test_what_can_be_erased_is_a_text_of_a_seal():
    """Or its digest would change with it."""
    for facts in FACTS.values():
        assert all(column.text for column in facts.columns if column.mark)
        assert all(column.nullable for column in facts.columns if column.added)


ROWS = {
    "event_log": [(1, "a.b", "s", '{"n":"ä"}', 5, 6, "f"), (2, "a.b", None, "null", -7, 8, None)],
    "event_key": [("ключ", 1)],
    "traceback_log": [(1, "5e" * 32, "Traceback …\n⟨error⟩"), (2, "5f" * 32, "Traceback …\n⟨error⟩")],
    "attempt_log": [
        (1, 1, 1, "FAILED", "E", 'b"d', 1, "host:1", 7, 8, 9, "wait", "OSError: no", "mine"),
        (2, 1, 2, "FAILED", None, None, None, "host:1", 7, 8, None, None, None, None),
        (3, 1, 3, "SYNCED", None, None, None, "host:1", 7, 8, None, None, None, None),
        (4, 1, 4, "SYNCED", None, None, None, "host:1", 7, 8, None, None, "odd", None),
    ],
    "decision_log": [(1, 1, "ERASE", 2, "ann", "se\u2028en", 10)],
    "reject_log": [(1, "file", 3, "{\\", "no JSON", 11)],
    "erasure_log": [(1, 1, "traceback_log", 1, "ab" * 32, None), (2, 1, "failure", 1, "", -(2**62))],
    "archive_log": [(1, "old.db", 1, 5, "me", "old", 7, None), (2, "new.db", 1, 5, "me", "old", 7, "cd" * 32)],
    "moved_log": [(1, 1, "reject_log", 77, 88)],
    "correction_log": [
        (1, "MERGE", -5, 2**62, None, None, "ann", "one", 9),
        (2, "UNDO", -5, None, None, 1, "ann", "two", 9),
    ],
}
KNOWN = {
    "event_log": ["7db44c38be1d20cd8482ba249f48ca74", "1a4b7676adc6d55e32ab8faa78b0065d"],
    "traceback_log": ["d15a9cd1058514ce64ac1768747ae0cc", "c53834f87093e8d0163f9bffba699218"],
    "attempt_log": [
        "3b8a3a1ad29d31b7f6976b82715f5eb9",
        "1356fa78cb85c97b0eb2322bcc25e4a4",
        "71a17779475480b13a7517fbc969c244",
        "53d57d4ad6a5b66513d1220e471b7a3f",
    ],
    "decision_log": ["31f41dc4fc3f60619a1f3756460a7cdc"],
    "reject_log": ["ce0d700942ff606e06e443f41e290567"],
    "erasure_log": ["f4c71391ac5a77f34a238136f13d1b5e", "6ed46cf56cee4eb6966f5cee256626b4"],
    "archive_log": ["6b7dd8882d01fa83749a844bb0a07763", "31bcfec4643a5be0da95d374f6629c0c"],
    "moved_log": ["19dfe6417569e4e5548d035686b9cec3"],
    "correction_log": ["b656d87cd42c4a5b865e9f05c660ee0b", "b44cd3af8c277f7679752a529ec99c5a"],
}
WITHOUT_KEY = "29c2791e4719a7113e609bbfb2514846841052784293ab6c4cd16ec287b7ed20"


@pytest.mark.parametrize("key", ["5e" * 32, None])
def test_the_digest_of_each_kind_of_fact_never_changes(store, path, key):
    """Stored seals were made of them."""
    store.session.write(lambda db: db.execute("DELETE FROM setting WHERE name = 'key'"))
    if key:
        store.session.write(lambda db: db.execute("INSERT INTO setting (name, value) VALUES ('key', ?)", (key,)))
    with plain(path) as db:
        for table, rows in ROWS.items():
            for row in rows:
                db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    result = {
        table: [digest.hex() for digest in store.session.read(lambda db, f=facts: digests(db, f, 1, 10)).values()]
        for table, facts in FACTS.items()
        if table not in ("event_key", "seal_log")
    }
    if key:
        assert result == KNOWN
    else:
        del result["correction_log"]  # it came later, and has no texts
        assert hashlib.sha256(repr(result).encode()).hexdigest() == WITHOUT_KEY
