"""Export: all facts as JSON Lines that `failaware restore` takes back, into a store that means and proves the same.

Each line is a JSON object with `fact`, its kind, and the columns that the catalogue lists; an event's payload as it was
given. The first line says what this is, the last one that it is whole. A line refers only to lines before it.

What a damaged file still gives is saved: what cannot be read is left out, and counted.
"""

import json
from collections.abc import Callable, Iterator

from failaware.derive.settings import load_exported
from failaware.engine import Reader
from failaware.engine.catalogue import BLOB, EVENT, EXPORTED, SETTING, Column, FactTable, selected
from failaware.engine.pages import next_id
from failaware.errors import StoreCorrupt
from failaware.text import json_harmless

FIRST = '{"failaware": "export", "version": 1}'
"""The first line of an export."""

_PAGE = 2_000
_line = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NEWEST = "SELECT max({key}) FROM {table}"
_SEALS = "SELECT max(last_id) FROM seal_log WHERE of_table = :table"
_WITNESSES = {
    "event_log": ("SELECT max(event_id) FROM event_state",),
    "attempt_log": ("SELECT max(attempt_id) FROM attempt_log INDEXED BY sqlite_autoindex_attempt_log_1",),
    "traceback_log": ("SELECT max(traceback_id) FROM traceback_log INDEXED BY sqlite_autoindex_traceback_log_1",),
    "decision_log": ("SELECT max(decision_id) FROM decision_log INDEXED BY decision_of",),
    "seal_log": ("SELECT max(seal_id) FROM seal_log INDEXED BY seal_of",),
}
"""Who else knows the last id of a fact, where the end of its own table is damaged."""


class Export:
    """One export; `lost` counts the facts that could not be read, once all lines were taken."""

    def __init__(self, db: Reader, progress: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        """Export what the store holds now; `progress` is told how many facts of how many are done."""
        self.lost = 0
        self._db = db
        self._progress = progress
        # What is appended meanwhile is left out: one moment for all, though none is held.
        with db.snapshot():
            self._ends = {kind: self._end(kind) for kind in _SQL}

    def lines(self) -> Iterator[str]:
        """All lines, without their ends."""
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
        """The last id of a kind of fact; whoever can still be read is asked."""
        for sql in (
            _NEWEST.format(key=kind.key, table=kind.table),
            *_WITNESSES.get(kind.table, ()),
            _SEALS,
        ):
            try:
                ((newest,),) = self._db.query(sql, {"table": kind.table})
            except StoreCorrupt:
                continue
            return newest if isinstance(newest, int) else 0
        self.lost += 1
        return 0

    def _pages(self, kind: FactTable, end: int) -> Iterator[tuple[int, int]]:
        """Pages of ids up to the last one. Where the file cannot say which id is next, it is the next number."""
        last = guessed = 0
        while last < end:
            try:
                first = next_id(self._db, kind.table, kind.key, last)
            except StoreCorrupt:
                if guessed > self._db.size():  # a damaged file may name any id, but has no more facts than bytes
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
        except (StoreCorrupt, TypeError):  # or what stands there is no text
            self.lost += 1
            return []

    def _read(self, kind: FactTable, first: int, last: int) -> list[str]:
        """A range of facts; where the file is damaged, halves of it, down to the rows that cannot be read."""
        try:
            return [line for (line,) in self._db.query(_SQL[kind], (first, last))]
        except StoreCorrupt:
            if first == last:
                self.lost += 1
                return []
            middle = (first + last) // 2
            return self._read(kind, first, middle) + self._read(kind, middle + 1, last)


def _harmless(line: str) -> str:
    """The line in a form that no terminal obeys, and that means the same; a payload then as a text, to the byte."""
    escaped = json_harmless(line)
    if escaped == line:
        return line
    head, payload, raw = line.partition(',"payload":')  # which is last; within a text its quotes are escaped
    if not payload:
        return escaped
    return f'{json_harmless(head)},"event_payload":{json.dumps(raw[:-1])}}}'


def _sql(kind: FactTable) -> str:
    """A SELECT that makes the lines of a range of facts."""
    key = kind.key
    if kind is not EVENT:
        return f"SELECT {_object(kind)} FROM {kind.table} f WHERE f.{key} BETWEEN ? AND ? ORDER BY f.{key}"
    # The payload as it stands, so that it comes back to the byte; one that is no single line, as a text.
    rest = _object(kind._replace(columns=tuple(column for column in kind.columns if column.name != "event_payload")))
    return f"""
      SELECT CASE WHEN json_valid(f.event_payload) AND f.event_payload NOT LIKE '%
%'
                  THEN substr({rest}, 1, length({rest}) - 1) || ',"payload":' || f.event_payload || '}}'
                  ELSE {_object(kind)} END
        FROM {kind.source}
       WHERE f.event_id BETWEEN ? AND ? ORDER BY f.event_id
    """


def _object(kind: FactTable) -> str:
    values = [f"'{column.name}', {_value(column)}" for column in kind.columns]
    return f"json_object('fact', '{kind.name}', {', '.join(values)})"


def _value(column: Column) -> str:
    value = selected(column)
    return f"lower(hex({value}))" if column.type == BLOB else value


_SQL = {kind: _sql(kind) for kind in EXPORTED}
