"""Export: all facts as JSON Lines, which `failaware restore` turns into an equal store with the same seals.

Each line is a JSON object with the kind of fact (`fact`) and the columns in the catalogue; an event's payload is as
recorded. The first line identifies the format; the last one marks the end. A line refers only to earlier lines.

From a damaged file, all readable facts are exported; the others are left out and counted.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache

from failaware.derive.settings import load_exported
from failaware.engine import Reader
from failaware.engine.pages import next_id
from failaware.engine.sql import Dialect
from failaware.errors import StoreCorrupt
from failaware.schema.catalogue import BLOB, EVENT, EXPORTED, SETTING, Column, FactTable, selected
from failaware.text import json_harmless

FIRST = '{"failaware": "export", "version": 1}'
"""The first line of an export."""

_PAGE = 2_000
_line = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NEWEST = "SELECT max({key}) FROM {table}"
_SEALS = "SELECT max(last_id) FROM seal_log WHERE of_table = :table"
_INDEXES = {
    "attempt_log": "sqlite_autoindex_attempt_log_1",
    "traceback_log": "sqlite_autoindex_traceback_log_1",
    "decision_log": "decision_of",
    "seal_log": "seal_of",
}
"""Indexes that hold the ids of a table, for when the end of the table is damaged."""


class Export:
    """One export; `lost` counts the unreadable facts, and is final after the last line."""

    def __init__(self, db: Reader, progress: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        """Export the facts in the store now; `progress` is called with the number of facts done and in total."""
        self.lost = 0
        self._db = db
        self._progress = progress
        # Facts appended later are left out: all tables end at one moment, without a long snapshot.
        with db.snapshot():
            self._ends = {kind: self._end(kind) for kind in EXPORTED}

    def lines(self) -> Iterator[str]:
        """Yield all lines, without line ends."""
        yield FIRST
        total, done, facts = sum(self._ends.values()), 0, 0
        yield from self._settings()
        for kind, end in self._ends.items():
            for first, last in self._pages(kind, end):
                lines = self._read(kind, first, last)
                facts += len(lines)
                yield from map(_harmless, lines)
                self._progress(done + last, total)
            done += end
        yield f'{{"failaware": "end", "lost": {self.lost}, "facts": {facts}}}'

    def _end(self, kind: FactTable) -> int:
        """The last id of a kind of fact, from the first source that is readable."""
        for sql in (
            _NEWEST.format(key=kind.key, table=kind.table),
            *(_NEWEST.format(key=kind.key, table=source) for source in self._witnesses(kind)),
            _SEALS,
        ):
            try:
                ((newest,),) = self._db.query(sql, {"table": kind.table})
            except StoreCorrupt:
                continue
            return newest if isinstance(newest, int) else 0
        self.lost += 1
        return 0

    def _witnesses(self, kind: FactTable) -> Iterator[str]:
        """Other sources of a table's last id, for when the end of the table is damaged."""
        if kind is EVENT:
            yield from ("stored_state", "stored_unattempted")
        elif kind.table in _INDEXES:
            yield self._db.dialect.indexed_by(kind.table, _INDEXES[kind.table])

    def _pages(self, kind: FactTable, end: int) -> Iterator[tuple[int, int]]:
        """Yield pages of ids up to `end`. If the next existing id is unreadable, continue at the next number."""
        last = guessed = 0
        while last < end:
            try:
                first = next_id(self._db, kind.table, kind.key, last)
            except StoreCorrupt:
                if guessed > self._db.size():  # a damaged file may contain any id, but not more facts than bytes
                    self.lost += 1
                    return
                first = last + 1
                guessed += _PAGE
            if first is None or first > end:
                return
            last = min(first + _PAGE - 1, end)
            yield first, last

    def _settings(self) -> list[str]:
        try:
            return [
                json_harmless(_line({"fact": SETTING.name, "name": name, "value": text}))
                for name, text in load_exported(self._db)
            ]
        except (StoreCorrupt, TypeError):  # or the value is not a string
            self.lost += 1
            return []

    def _read(self, kind: FactTable, first: int, last: int) -> list[str]:
        """The lines of a range of facts; if it is damaged, of its halves, down to the unreadable rows."""
        try:
            return [line for (line,) in self._db.query(_sql(kind, self._db.dialect), (first, last))]
        except StoreCorrupt:
            if first == last:
                self.lost += 1
                return []
            middle = (first + last) // 2
            return self._read(kind, first, middle) + self._read(kind, middle + 1, last)


def _harmless(line: str) -> str:
    """The line with control characters escaped; a payload that has any is written as a string, to keep its bytes."""
    escaped = json_harmless(line)
    if escaped == line:
        return line
    head, payload, raw = line.partition(',"payload":')  # the last field; inside a string its quotes would be escaped
    if not payload:
        return escaped
    return f'{json_harmless(head)},"event_payload":{json.dumps(raw[:-1])}}}'


@cache
def _sql(kind: FactTable, dialect: Dialect) -> str:
    """A SELECT that returns the lines of a range of facts."""
    line = _object(kind, dialect)
    if kind is EVENT:  # the payload is written unchanged, to keep its bytes; one with line breaks as a string
        others = tuple(column for column in kind.columns if column.name != "event_payload")
        rest = _object(kind._replace(columns=others), dialect)
        line = f"""
          CASE WHEN json_valid(f.event_payload) AND f.event_payload NOT LIKE '%
%'
               THEN substr({rest}, 1, length({rest}) - 1) || ',"payload":' || f.event_payload || '}}'
               ELSE {line} END
        """
    return f"SELECT {line} FROM {kind.source} WHERE f.{kind.key} BETWEEN ? AND ? ORDER BY f.{kind.key}"


def _object(kind: FactTable, dialect: Dialect) -> str:
    members = {column.name: _value(column) for column in kind.columns}
    return dialect.json_object({"fact": f"'{kind.name}'", **members})


def _value(column: Column) -> str:
    value = selected(column)
    return f"lower(hex({value}))" if column.type == BLOB else value
