"""A hand-written minimum on plain sqlite3 for the same work.

It has no keys, limits, masking, guards or derivation: an event row and a state row with a due index; a committed lease
per batch, one transaction for its results, and an attempt row with a traceback made by a walk over the frames.
"""

import json
import linecache
import sqlite3
import time

from benchmarks.work import EVENT_TYPE, as_json

BATCH = 50
CHUNK = 1_000
_SCHEMA = """
CREATE TABLE event (id INTEGER PRIMARY KEY, type TEXT, payload TEXT, at INTEGER);
CREATE TABLE state (id INTEGER PRIMARY KEY, status INTEGER, attempts INTEGER, due INTEGER, lease INTEGER);
CREATE INDEX due ON state (due, id) WHERE status < 2;
CREATE TABLE attempt (id INTEGER PRIMARY KEY, event INTEGER, no INTEGER, ok INTEGER, type TEXT, message TEXT,
                      traceback TEXT, began INTEGER, ended INTEGER);
"""
_EVENT = "INSERT INTO event (type, payload, at) VALUES (?, ?, ?)"
_STATE = "INSERT INTO state VALUES (?, 0, 0, ?, 0)"
_CLAIM = (
    "UPDATE state SET lease = ? WHERE id IN (SELECT id FROM state WHERE status < 2 AND due <= ? AND lease < ? "
    "ORDER BY due LIMIT ?) RETURNING id"
)
_ATTEMPT = "INSERT INTO attempt (event, no, ok, type, message, traceback, began, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_lines = {}


def now():
    """Return the time in µs."""
    return time.time_ns() // 1_000


class Minimum:
    """The hand-written minimum as a System."""

    def __init__(self, folder, synchronous):
        self.db = sqlite3.connect(folder / "minimum.db", isolation_level=None, timeout=30)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA synchronous = {synchronous}")
        if not self.db.execute("SELECT 1 FROM sqlite_master").fetchone():
            self.db.executescript(_SCHEMA)

    def record(self, payload):
        """One event, one transaction."""
        at = now()
        self.db.execute("BEGIN IMMEDIATE")
        event = self.db.execute(_EVENT, (EVENT_TYPE, as_json(payload), at)).lastrowid
        self.db.execute(_STATE, (event, at))
        self.db.execute("COMMIT")

    def record_many(self, payloads):
        """A thousand events per transaction."""
        rows = [(EVENT_TYPE, as_json(payload), now()) for payload in payloads]
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            self.db.execute("BEGIN IMMEDIATE")
            first = self.db.execute("SELECT coalesce(max(id), 0) + 1 FROM event").fetchone()[0]
            self.db.executemany(_EVENT, chunk)
            self.db.executemany(_STATE, [(first + n, row[2]) for n, row in enumerate(chunk)])
            self.db.execute("COMMIT")

    def work(self, handler):
        """Lease 50 events, run them outside any transaction, write the results in one."""
        while batch := self._claim():
            self._write([self._attempt(handler, *row) for row in batch])

    def _claim(self):
        at = now()
        self.db.execute("BEGIN IMMEDIATE")
        ids = [row[0] for row in self.db.execute(_CLAIM, (at + 60_000_000, at, at, BATCH)).fetchall()]
        self.db.execute("COMMIT")
        marks = ",".join("?" * len(ids))
        return self.db.execute(
            f"SELECT e.id, e.payload, s.attempts FROM event e JOIN state s ON s.id = e.id WHERE e.id IN ({marks})", ids
        ).fetchall()

    def _attempt(self, handler, event, payload, attempts):
        began, error = now(), None
        try:
            handler(json.loads(payload))
        except Exception as raised:  # noqa: BLE001 - any exception is a failure
            error = raised
        description = (
            (None, None, None) if error is None else (type(error).__name__, str(error), format_traceback(error))
        )
        return (event, attempts + 1, int(error is None), *description, began, now())

    def _write(self, attempts):
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany(_ATTEMPT, attempts)
        self.db.executemany(
            "UPDATE state SET status = ?, attempts = ?, due = ?, lease = 0 WHERE id = ?",
            [(2 if row[2] else 1, row[1], row[7], row[0]) for row in attempts],
        )
        self.db.execute("COMMIT")

    def close(self):
        """Close the connection."""
        self.db.close()


def format_traceback(error):
    """Format a traceback, with cached source lines: far cheaper than the traceback module."""
    parts = ["Traceback (most recent call last):\n"]
    current = error.__traceback__
    while current is not None:
        place = (current.tb_frame.f_code, current.tb_lineno)
        if place not in _lines:
            code, number = place
            source = linecache.getline(code.co_filename, number).strip()
            _lines[place] = f'  File "{code.co_filename}", line {number}, in {code.co_name}\n    {source}\n'
        parts.append(_lines[place])
        current = current.tb_next
    return "".join(parts) + f"{type(error).__name__}: {error}\n"
