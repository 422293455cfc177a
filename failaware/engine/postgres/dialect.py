"""Where PostgreSQL speaks otherwise than SQLite. Our statements are written once, for both; these are all differences.

1. Parameters: `:name` and `?` are `$1`, `$2`, …
2. Types: INTEGER is BIGINT, BLOB is BYTEA; TEXT is ordered, compared and lowered by its bytes, as SQLite does
   (`COLLATE "C"`). STRICT and WITHOUT ROWID have no counterpart: it always is the one and has nothing to leave out.
3. Places: `main.` is the store's schema.
4. `CAST(… AS BLOB)`, the bytes of a text, is `convert_to`; CAST would read escapes in it.
5. `json_array` and `json_object` are put together from `to_json`, since PostgreSQL's own put blanks in between.
6. `+column` and `INDEXED BY`, which lead SQLite's planner, are left out: PostgreSQL has statistics.
7. `hex` and `json_valid` are functions that the store's schema brings along.
8. A sum of BIGINT is NUMERIC, which is read as an integer.
9. An index of SQLite has equal keys in the order of the rows' ids; here the id has to be its last column.

A table is emptied by TRUNCATE once DELETE has left much behind, guards are functions with triggers, and a schema is
described by the catalogue; that is in the modules beside this one.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from failaware.engine.base import Parameters

_JSON_VALID = "BEGIN PERFORM of::json; RETURN true; EXCEPTION WHEN data_exception THEN RETURN false; END"
PINNED = "SET search_path = pg_catalog, pg_temp"
"""Of each function: the session that calls it cannot put operators or functions of its own in place of the server's."""
_HEX = "SELECT upper(encode(of, 'hex'))"
HELPERS = tuple(
    f"CREATE FUNCTION {{schema}}.{head} IMMUTABLE LANGUAGE {language} {PINNED} AS $${body}$$"
    for head, language, body in (
        ("hex(of bytea) RETURNS text", "sql", _HEX),
        ("json_valid(of text) RETURNS boolean", "plpgsql", _JSON_VALID),
    )
)
"""What the store's schema brings along."""

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
    """A statement in PostgreSQL's words. `names` are those of its parameters in their order; None: they have none."""

    text: bytes
    names: tuple[str, ...] | None

    def values(self, parameters: Parameters) -> Sequence[Any] | None:
        """The parameters in their order; None where there are none."""
        if isinstance(parameters, Mapping):
            parameters = [parameters[name] for name in self.names or ()]
        return parameters or None


@lru_cache(maxsize=1_024)
def statement(sql: str, schema: str) -> Statement:
    """One of our statements in PostgreSQL's words; `schema` is the store's, as an identifier."""
    if _TABLE.search(sql):
        sql = _SQLITE_ONLY.sub(")", _TYPE.sub(lambda found: _TYPES[found[1]], _COMMENT.sub("", sql).rstrip()))
    sql = _INDEX.sub(r"\1\2, event_id)", sql)
    names: list[str] = []
    unnamed = 0

    def word(found: re.Match[str]) -> str:
        nonlocal unnamed
        if found["text"]:
            return found["text"]
        if found["name"]:
            if found["name"] not in names:
                names.append(found["name"])
            return f"${names.index(found['name']) + 1}"
        if found["place"]:
            unnamed += 1
            return f"${unnamed}"
        return f"{schema}." if found["main"] else ""

    text = _TOKEN.sub(word, _BYTES.sub(r"convert_to(\1, 'UTF8')", _json(sql)))
    return Statement(text.encode(), tuple(names) if not unnamed else None)


def _json(sql: str) -> str:
    """The innermost json_array or json_object first, then those around it."""
    while found := list(_JSON.finditer(sql)):
        call = found[-1]
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
    """The arguments of a call, and where it ends; no text in them holds a bracket or a comma."""
    depth, arguments, begun = 1, [], start
    for place in range(start, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[place], 0)
        if depth == 0 or (depth == 1 and sql[place] == ","):
            arguments.append(sql[begun:place].strip())
            begun = place + 1
        if depth == 0:
            return arguments, begun
    raise ValueError(f"a bracket is left open: {sql}")
