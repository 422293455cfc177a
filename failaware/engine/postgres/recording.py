"""Recording events in one statement on the server: ids, keys and rows.

Event ids come from a sequence, so that recorders need not wait for each other. An id is greater than that of every
event that was recorded before; of two records at the same time, the one with the lower id may become visible later. A
transaction that fails leaves a gap.

A new event's key is inserted first. If another transaction is inserting the same key, this waits for it; then either
that event is the known one, or the key is free. Keys are inserted in order, so that two recorders of many keys cannot
wait for each other. Example: A records an event with the key x, B two events with the keys x and w, at the same time.

  A  takes id 5; event_key (x, 5); event_log 5; commits
  B  takes ids 6, 7; event_key (w, 7); waits for A at x, then skips it; event_log 7; answers "-5 7": 5 was known
"""

import json
from collections.abc import Sequence
from functools import cache
from struct import Struct
from typing import Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from failaware.engine.base import KeyTaken, Row
from failaware.engine.postgres import citus, lock
from failaware.engine.postgres.dialect import PINNED
from failaware.engine.postgres.parameters import positional
from failaware.engine.postgres.prepared import in_binary
from failaware.schema.catalogue import EVENT, TIME

SEQUENCE = "CREATE SEQUENCE event_ids AS bigint"
"""The ids of events."""

OTHER_TYPE = "FA002"
"""The SQLSTATE if a key belongs to an event of another type."""

_TYPES = {column.name: "bigint" if column.type == TIME else "text" for column in EVENT.columns[1:]}
"""What is given of each event, with its type on the server."""

_HEADER = Struct("!iiiii")  # of an array: dimensions, whether it may have nulls, the type's oid, size, first index
_NULL, _SIZE = b"\xff" * 4, 4  # the length of an element that is null; the bytes of a length

_OWN = [name for name in _TYPES if name != "key"]
"""The columns of event_log, without the id."""

_ON_ITS_OWN = """IF number IS NOT NULL THEN
    IF mark IS DISTINCT FROM ({stored_mark}) THEN
      RETURN NULL;
    END IF;
  END IF"""
_ANSWER = """IF number IS NOT NULL THEN
    {take_ticket};
  END IF;
  RETURN answer"""
_REFUSE = "RAISE EXCEPTION 'a key of another type' USING ERRCODE = '{other_type}', DETAIL = taken"

_RECORD = """
WITH id AS MATERIALIZED (
  SELECT nextval('{schema}.event_ids') AS event_id
   WHERE NOT EXISTS (SELECT FROM {schema}.recording FOR KEY SHARE) AND ({stored_mark}) = ?),
mine AS (
  INSERT INTO {schema}.last_commit AS mine
  SELECT ?, ?::bigint, {now}, concat({now}, ' ', id.event_id), 1 FROM id {take_ticket} RETURNING answer),
new AS (
  INSERT INTO {schema}.event_log (event_id, {own}) SELECT id.event_id, {own_places} FROM id, mine)
SELECT answer FROM mine
"""
"""Records one event without a key, which is quicker than by a function. It returns no row if the mark is another."""

_RECORD_MANY = """
CREATE FUNCTION {schema}.record_many(who text, number bigint, mark text, refuse boolean, {arrays}) RETURNS text
LANGUAGE plpgsql {pinned} AS $$DECLARE new bigint[]; ids bigint[]; answer text; added bigint; taken json; BEGIN
  IF {schema}.node() IS NULL THEN
    {share};
  END IF;
  {on_its_own};
  IF keys IS NULL THEN
    ids := {schema}.take_ids(cardinality(event_types));
    INSERT INTO {schema}.event_log (event_id, {own}) SELECT u.* FROM unnest(ids, {own_arrays}) AS u;
    answer := array_to_string(ids, ' ');
    added := cardinality(ids);
  ELSE
    -- ids in the order of the events, for those without a key, and for the first of each key that is not in use
    ids := ARRAY(
      SELECT CASE WHEN is_new THEN sum(is_new::int) OVER (ORDER BY place) END FROM (
        SELECT u.key IS NULL
               OR k.key IS NULL AND row_number() OVER (PARTITION BY u.key ORDER BY u.place) = 1 AS is_new, u.place
          FROM unnest(keys) WITH ORDINALITY AS u(key, place) LEFT JOIN {schema}.event_key k ON k.key = u.key) AS placed
       ORDER BY place);
    new := {schema}.take_ids((SELECT count(id) FROM unnest(ids) AS id)::int);
    ids := ARRAY(SELECT new[u.id] FROM unnest(ids) WITH ORDINALITY AS u(id, place) ORDER BY u.place);
    INSERT INTO {schema}.event_key (key, event_id)
    SELECT u.key, u.id FROM unnest(keys, ids) AS u(key, id)
     WHERE u.key IS NOT NULL AND u.id IS NOT NULL ORDER BY u.key ON CONFLICT (key) DO NOTHING;
    INSERT INTO {schema}.event_log (event_id, {own})
    SELECT u.id, {own_of_each} FROM unnest(ids, keys, {own_arrays}) AS u(id, key, {own})
      LEFT JOIN {schema}.event_key k ON k.key = u.key WHERE u.key IS NULL OR k.event_id = u.id;
    GET DIAGNOSTICS added = ROW_COUNT;
    SELECT string_agg((CASE WHEN u.key IS NULL OR k.event_id = u.id THEN u.id ELSE -k.event_id END)::text, ' '
                      ORDER BY u.place)
      FROM unnest(ids, keys) WITH ORDINALITY AS u(id, key, place)
      LEFT JOIN {schema}.event_key k ON k.key = u.key INTO answer;
    SELECT json_build_array(u.key, u.event_type, e.event_id, e.event_type)
      FROM unnest(keys, event_types) WITH ORDINALITY AS u(key, event_type, place)
      JOIN {schema}.event_key k ON k.key = u.key JOIN {schema}.event_log e ON e.event_id = k.event_id
     WHERE e.event_type <> u.event_type ORDER BY u.place LIMIT 1 INTO taken;
    IF refuse AND taken IS NOT NULL THEN
      {refuse};
    END IF;
  END IF;
  answer := concat({now}, ' ', answer);
  {answer};
END$$
"""

_TAKE_IDS = """
CREATE FUNCTION {schema}.take_ids(number int) RETURNS bigint[] LANGUAGE plpgsql {pinned}
AS $$DECLARE newest bigint; BEGIN
  IF {schema}.node() IS NULL THEN
    RETURN ARRAY(SELECT nextval('{schema}.event_ids') FROM generate_series(1, number));
  END IF;
  {take_ids};
  RETURN ARRAY(SELECT generate_series(newest - number + 1, newest));
END$$
"""


def functions(schema: str) -> tuple[str, str]:
    """SQL that creates the functions that take ids and that record."""
    parts = {
        "schema": schema,
        "stored_mark": lock.stored_mark(schema),
        "take_ticket": lock.take_ticket(schema, "answer", "added"),
        "other_type": OTHER_TYPE,
    }
    names = {
        "schema": schema,
        "pinned": PINNED,
        "share": lock.share(schema),
        "on_its_own": _ON_ITS_OWN.format(**parts),
        "answer": _ANSWER.format(**parts),
        "refuse": _REFUSE.format(**parts),
        "arrays": ", ".join(f"{name}s {sql_type}[]" for name, sql_type in _TYPES.items()),
        "own": ", ".join(_OWN),
        "own_of_each": ", ".join(f"u.{name}" for name in _OWN),
        "own_arrays": ", ".join(f"{name}s" for name in _OWN),
        "now": lock.NOW_US,
        "take_ids": citus.take_ids(schema),
    }
    return _TAKE_IDS.strip().format(**names), _RECORD_MANY.strip().format(**names)


def call(
    schema: str, rows: Sequence[Row], ticket: tuple[object, object], mark: object, *, refuse: bool
) -> tuple[str, list[Any]]:
    """The statement and its parameters, for rows in the order of the catalogue's columns, without the id.

    `ticket` is the writer's, and `mark` the derivation mark that the store must have; they are null under the exclusive
    lock. With `refuse`, nothing is recorded if a key belongs to an event of another type.
    """
    *own, keys = zip(*rows, strict=True)
    used = _array(keys, "text") if any(key is not None for key in keys) else None
    return _many(schema), [*ticket, mark, refuse, *map(_array, own, _TYPES.values()), used]


def one(schema: str) -> bytes:
    """The statement for one event without a key. Its parameters: the mark, the ticket, the row without its key."""
    text = _RECORD.strip().format(
        schema=schema,
        stored_mark=lock.stored_mark(schema),
        now=lock.NOW_US,
        take_ticket=lock.TAKE_TICKET,
        own=", ".join(_OWN),
        own_places=", ".join(f"?::{_TYPES[name]}" for name in _OWN),
    )
    return positional(text)


class _Array(bytes):
    """An array in the server's binary format: psycopg needs far longer for the arrays of many texts."""


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, array: Any) -> bytes:
        return bytes(array)


psycopg.adapters.register_dumper(_Array, _ArrayDumper)


def _array(values: Sequence[str | int | None], sql_type: str) -> _Array:
    first, count = values[0], len(values)
    is_constant = values.count(first) == count  # as types and times mostly are
    elements = _element(first) * count if is_constant else b"".join(map(_element, values))
    return _Array(_HEADER.pack(1, 1, psycopg.adapters.types[sql_type].oid, count, 1) + elements)


def _element(value: str | int | None) -> bytes:
    if value is None:
        return _NULL
    data = in_binary(value)
    return len(data).to_bytes(_SIZE) + data


@cache
def _many(schema: str) -> str:
    types = ("text", "bigint", "text", "boolean", *(f"{sql_type}[]" for sql_type in _TYPES.values()))
    return f"SELECT {schema}.record_many({', '.join(f'?::{sql_type}' for sql_type in types)})"


def key_taken(error: psycopg.Error) -> KeyTaken:
    """What the function says about a key that belongs to an event of another type."""
    return KeyTaken(*json.loads(error.diag.message_detail or "[]"))


def parsed(answer: str) -> tuple[int, list[int]]:
    """The server's time (µs), and for each event its id; for a key in use, the id of its event, negative."""
    now, *ids = map(int, answer.split())
    return now, ids
