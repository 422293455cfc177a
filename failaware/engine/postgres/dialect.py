"""Translation of SQLite's dialect to PostgreSQL's. Statements are written once, for SQLite; these are the differences.

1. Parameters: `:name` and `?` become `$1`, `$2`, …
2. Types: INTEGER becomes BIGINT, BLOB becomes BYTEA; TEXT is ordered, compared and lowered by bytes, as in SQLite
   (`COLLATE "C"`). STRICT and WITHOUT ROWID are removed: they do not apply to PostgreSQL.
3. Schema: `main.` becomes the store's schema.
4. `CAST(… AS BLOB)`, the bytes of a text, becomes `convert_to`; CAST would interpret escapes in the text.
5. `json_array` and `json_object` are composed from `to_json`, because PostgreSQL's own functions insert spaces.
6. `+column` and `INDEXED BY`, hints for SQLite's planner, are removed: PostgreSQL plans with statistics.
7. `hex` and `json_valid` are functions in the store's schema.
8. A sum of BIGINT is NUMERIC, which is read as an integer.
9. A SQLite index orders equal keys by rowid; in PostgreSQL the id has to be the last column of the index.

The other modules of this package handle the rest: a table is emptied by TRUNCATE once DELETE has left many dead rows,
guards are functions with triggers, and a schema is described by the system catalogs.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from failaware.engine.base import Parameters

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

_TOKEN = re.compile(
    r"(?P<text>'(?:[^']|'')*')"
    r"|(?<!:):(?P<name>[a-z_]\w*)"
    r"|(?P<place>\?)"
    r"|\b(?P<main>main\.)"
    r"|(?<=[\s(])(?P<hint>\+)(?=[a-z]\w*\.)"
    r"|(?P<index> INDEXED BY \w+)"
)
_BYTES = re.compile(r"CAST\(((?:(?!CAST\().)*?) AS BLOB\)", re.DOTALL)
_JSON = re.compile(r"\bjson_(array|object)\(")
_TABLE = re.compile(r"^(CREATE (TEMP )?|ALTER )TABLE\b", re.MULTILINE)
_TYPE = re.compile(r"\b(INTEGER|TEXT|BLOB)\b")
_TYPES = {"INTEGER": "BIGINT", "TEXT": 'TEXT COLLATE "C"', "BLOB": "BYTEA"}
_INDEX = re.compile(r"^(CREATE INDEX \w+ ON event_state \()((?:(?!event_id)[\w, ])+)\)")
_SQLITE_ONLY = re.compile(r"\) (?:STRICT, WITHOUT ROWID|STRICT|WITHOUT ROWID)(?=;?\s*(?:--[^\n]*)?$)")
_COMMENT = re.compile(r"--[^\n]*")


class Statement(NamedTuple):
    """A statement in PostgreSQL's SQL. `names` are its parameter names in order; None if parameters are positional."""

    text: bytes
    names: tuple[str, ...] | None

    def values(self, parameters: Parameters) -> Sequence[Any] | None:
        """The parameters in order; None if there are none."""
        if isinstance(parameters, Mapping):
            parameters = [parameters[name] for name in self.names or ()]
        return parameters or None


@lru_cache(maxsize=1_024)
def statement(sql: str, schema: str) -> Statement:
    """Translate one of our statements; `schema` is the store's, as an identifier."""
    if _TABLE.search(sql):
        sql = _SQLITE_ONLY.sub(")", _TYPE.sub(lambda match: _TYPES[match[1]], _COMMENT.sub("", sql).rstrip()))
    sql = _INDEX.sub(r"\1\2, event_id)", sql)
    names: list[str] = []
    unnamed = 0

    def translated(token: re.Match[str]) -> str:
        nonlocal unnamed
        if token["text"]:
            return token["text"]
        if token["name"]:
            if token["name"] not in names:
                names.append(token["name"])
            return f"${names.index(token['name']) + 1}"
        if token["place"]:
            unnamed += 1
            return f"${unnamed}"
        return f"{schema}." if token["main"] else ""

    text = _TOKEN.sub(translated, _BYTES.sub(r"convert_to(\1, 'UTF8')", _json(sql)))
    return Statement(text.encode(), tuple(names) if not unnamed else None)


def _json(sql: str) -> str:
    """Translate json_array and json_object, innermost calls first."""
    while calls := list(_JSON.finditer(sql)):
        call = calls[-1]
        arguments, end = _arguments(sql, call.end())
        if call[1] == "array":
            text = " || ',' || ".join(map(_value, arguments))
            text = f"('[' || {text} || ']')"
        else:
            pairs = zip(arguments[::2], arguments[1::2], strict=True)
            text = " || ',' || ".join(f"'\"{name[1:-1]}\":' || {_value(value)}" for name, value in pairs)
            text = f"('{{' || {text} || '}}')"
        sql = sql[: call.start()] + text + sql[end:]
    return sql


def _value(argument: str) -> str:
    typed = f"{argument}::text" if argument.startswith("'") else argument
    return f"coalesce(to_json({typed})::text, 'null')"


def _arguments(sql: str, start: int) -> tuple[list[str], int]:
    """The arguments of a call, and where it ends; strings in them must not contain parentheses or commas."""
    depth, arguments, begun = 1, [], start
    for place in range(start, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[place], 0)
        if depth == 0 or (depth == 1 and sql[place] == ","):
            arguments.append(sql[begun:place].strip())
            begun = place + 1
        if depth == 0:
            return arguments, begun
    raise ValueError(f"a bracket is left open: {sql}")
