"""Appending to a file. Ids of events follow the newest, under the write lock; keys are looked up before.

An event's INSERT does not give its id: SQLite takes the one after the newest, and the guard need not look for that.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Any

from failaware.engine import derivation
from failaware.engine.base import ProjectionWriter, Row
from failaware.errors import UsageError
from failaware.model import NEVER
from failaware.schema.catalogue import EVENT, EVENT_KEY

_COLUMNS = EVENT.column_names[1:]
_REQUIRED = tuple(column.name for column in EVENT.columns[1:] if not column.nullable)
_NEWEST = "SELECT coalesce(max(event_id), 0) FROM event_log"
_INSERT_KEY = f"INSERT INTO event_key ({', '.join(EVENT_KEY.column_names)}) VALUES (?, ?)"
_MOST = 1_024  # values in one IN (...)
_WIDTH = 40  # rows in one statement, which makes a row a third cheaper
_LONG = 4_096  # characters of a row that is inserted alone: SQLite copies several first, if the table has a trigger


class Appender:
    """The part of the writer that appends facts."""

    def append(self: ProjectionWriter, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, many of them by one statement.

        Columns that are null in all rows are left out: the driver takes as long to bind four nulls as to insert a row.
        """
        if not rows:
            return
        filled = [place for place, value in enumerate(rows[0]) if value is not None or not _is_null(rows, place)]
        names = tuple(map(columns.__getitem__, filled))
        if len(filled) < len(columns):  # two or more of each of our tables are never null
            rows = list(map(itemgetter(*filled), rows))
        whole = 0 if _is_long(rows[0]) or _is_long(rows[-1]) else len(rows) - len(rows) % _WIDTH
        if whole:
            values, step = list(chain.from_iterable(rows[:whole])), _WIDTH * len(names)
            sql = _insert(table, names, _WIDTH)
            self.execute_many(sql, [values[first : first + step] for first in range(0, len(values), step)])
        if whole < len(rows):
            self.execute_many(_insert(table, names, 1), rows[whole:])

    def append_events(self: ProjectionWriter, rows: Sequence[Row], *, refuse: bool) -> list[int]:  # noqa: ARG002
        """Append events; the caller checks the types of known ones. The newest row is never archived."""
        event_id = int(self.query(_NEWEST)[0][0])
        if event_id > NEVER - len(rows):  # SQLite would look for an id that is free
            raise UsageError(f"{event_id} is the id of an event, and there is none after it; record in a new store")
        given = [row[-1] for row in rows if row[-1] is not None]
        if not given:
            Appender.append(self, "event_log", _COLUMNS, [row[:-1] for row in rows])
            return list(range(event_id + 1, event_id + 1 + len(rows)))
        by_key = _known(self, given)
        ids, new, keys = [], [], []
        for row in rows:
            key = row[-1]
            if key is not None and key in by_key:
                ids.append(-by_key[key])
                continue
            event_id += 1
            ids.append(event_id)
            new.append(row[:-1])
            if key is not None:
                by_key[key] = event_id
                keys.append((key, event_id))
        Appender.append(self, "event_log", _COLUMNS, new)
        if keys:
            self.execute_many(_INSERT_KEY, keys)
        return ids


def alone(row: Row, mark: str) -> tuple[str, list[object]]:
    """Return a statement that appends an event without a key, with its values.

    Unless the store has this mark, the statement fails: the event type, which comes first, is then null.
    """
    values = [value for value in row if value is not None]
    if len(values) == len(_REQUIRED):
        return _alone(_REQUIRED), [mark, *values]
    filled = tuple(name for name, value in zip(_COLUMNS, row, strict=False) if value is not None)
    return _alone(filled), [mark, *values]


@cache
def _alone(columns: tuple[str, ...]) -> str:
    marked = f"CASE ({derivation.MARK}) WHEN ? THEN ? END"
    return (
        f"INSERT INTO event_log (event_id, {', '.join(columns)}) VALUES ("
        f"{', '.join((f'({_NEWEST}) + 1', marked, *'?' * (len(columns) - 1)))})"
    )


@cache
def _insert(table: str, columns: tuple[str, ...], width: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * width)}"


def _is_null(rows: Sequence[Sequence[Any]], place: int) -> bool:
    return all(row[place] is None for row in rows)


def _is_long(row: Sequence[Any]) -> bool:
    return sum(len(value) for value in row if isinstance(value, str)) > _LONG


def _known(db: ProjectionWriter, keys: list[str]) -> dict[str, int]:
    known: dict[str, int] = {}
    for start in range(0, len(keys), _MOST):
        some = keys[start : start + _MOST]
        size = 1 << (len(some) - 1).bit_length()  # few statements are prepared
        sql = f"SELECT key, event_id FROM event_key WHERE key IN ({','.join('?' * size)})"
        known |= dict(db.query(sql, some + some[-1:] * (size - len(some))))
    return known
