"""How PostgreSQL differs from SQLite. Our statements are written once, for both.

1. Parameters: `:name` and `?` become `$1`, `$2`, … (parameters.py).
2. Types: INTEGER becomes BIGINT, BLOB becomes BYTEA; TEXT is ordered, compared and lowered by bytes, as in SQLite
   (`COLLATE "C"`). STRICT and WITHOUT ROWID are removed: they do not apply to PostgreSQL. A SQLite index orders equal
   keys by rowid; in PostgreSQL the id has to be the last column of the index. `ddl` translates these definitions.
3. `PostgresDialect` has the fragments for the statements that need them.
4. `hex` and `json_valid` are functions in the store's schema.
5. A sum of BIGINT is NUMERIC, which is read as an integer.

The other modules of this package handle the rest: a table is emptied by TRUNCATE once DELETE has left many dead rows,
guards are functions with triggers, and a schema is described by the system catalogs.
"""

import re
from collections.abc import Mapping, Sequence

from failaware.engine.sql import Dialect

_JSON_VALID = "BEGIN PERFORM of::json; RETURN true; EXCEPTION WHEN data_exception THEN RETURN false; END"
PINNED = "SET search_path = pg_catalog, pg_temp"
"""For each function: a calling session cannot replace the server's operators or functions with its own."""
_HEX = "SELECT upper(encode(of, 'hex'))"
HELPERS = tuple(
    f"CREATE FUNCTION {{schema}}.{head} IMMUTABLE LANGUAGE {language} {PINNED} AS $${body}$$"
    for head, language, body in (
        ("hex(of bytea) RETURNS text", "sql", _HEX),
        ("json_valid(of text) RETURNS boolean", "plpgsql", _JSON_VALID),
    )
)
"""Functions created in the store's schema."""

FOLLOW = "SELECT setval('event_ids', (SELECT max(event_id) FROM event_log))"
"""SQL that makes the next id follow the newest one, after rows were inserted with ids of another store."""

COUNT = (
    "INSERT INTO last_commit AS others {rows} "
    "ON CONFLICT (writer) DO UPDATE SET recorded = others.recorded + excluded.recorded"
)
"""SQL that adds to the row of no writer; see lock.py."""

_TABLE = re.compile(r"^(CREATE (TEMP )?|ALTER )TABLE\b", re.MULTILINE)
_TYPE = re.compile(r"\b(INTEGER|TEXT|BLOB)\b")
_TYPES = {"INTEGER": "BIGINT", "TEXT": 'TEXT COLLATE "C"', "BLOB": "BYTEA"}
_INDEX = re.compile(r"^(CREATE INDEX \w+ ON stored_(?:state|unattempted) \()((?:(?!event_id)[\w, ])+)\)")
_SQLITE_ONLY = re.compile(r"\) (?:STRICT, WITHOUT ROWID|STRICT|WITHOUT ROWID)(?=;?\s*(?:--[^\n]*)?$)")
_COMMA = " || ',' || "
_COMMENT = re.compile(r"--[^\n]*")


class PostgresDialect(Dialect):
    """Fragments in PostgreSQL's SQL. JSON is composed from `to_json`, because its own functions insert spaces."""

    store = ""  # the search path of each session begins with its schema
    not_assigned = "event_id > (SELECT last_value FROM event_ids)"
    follow = FOLLOW
    last_change = "SELECT pg_current_snapshot()::text"

    recorded = "SELECT coalesce(sum(recorded), 0)::bigint FROM last_commit"
    count_recorded = COUNT.format(rows="VALUES ('', 0, 0, NULL, ?)")
    recorders = """
SELECT l.virtualtransaction FROM pg_locks l
 WHERE l.locktype = 'relation' AND l.relation = 'recording'::regclass AND l.granted AND l.mode <> 'AccessShareLock'
   AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
   AND l.pid <> pg_backend_pid()
UNION ALL
SELECT running::text  -- a standby does not know the primary's locks, only which transactions may still commit
  FROM (SELECT pg_current_snapshot() AS s WHERE pg_is_in_recovery()) AS standby
 CROSS JOIN generate_series(pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint - 1) AS running
"""

    def json_array(self, values: Sequence[str]) -> str:
        """The JSON array of these values, compact."""
        return f"('[' || {_COMMA.join(map(_json, values))} || ']')"

    def json_object(self, members: Mapping[str, str]) -> str:
        """The JSON object with these names and values, compact and in their order."""
        pairs = (f"'\"{name}\":' || {_json(value)}" for name, value in members.items())
        return f"('{{' || {_COMMA.join(pairs)} || '}}')"

    def bytes_of(self, text: str) -> str:
        """The bytes of a text, in UTF-8; CAST would interpret escapes in the text."""
        return f"convert_to({text}, 'UTF8')"

    def merged(self, selects: Sequence[str], order: str, most: str) -> str:
        """The first rows of several SELECTs: it would sort all their rows without these limits."""
        if len(selects) == 1:
            return super().merged(selects, order, most)
        each = (f"SELECT * FROM ({sql} ORDER BY {order} LIMIT {most}) AS s{n}" for n, sql in enumerate(selects))
        return super().merged(list(each), order, most)

    def indexed_by(self, table: str, index: str) -> str:  # noqa: ARG002 - it decides that itself
        """A table, to be read through an index."""
        return table


def _json(value: str) -> str:
    typed = f"{value}::text" if value.startswith("'") else value
    return f"coalesce(to_json({typed})::text, 'null')"


def ddl(sql: str) -> str:
    """Translate a definition of our schema."""
    if _TABLE.search(sql):
        sql = _SQLITE_ONLY.sub(")", _TYPE.sub(lambda match: _TYPES[match[1]], _COMMENT.sub("", sql).rstrip()))
    return _INDEX.sub(r"\1\2, event_id)", sql)
