"""Statements that wait in the client to be sent together: one round trip for many."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import psycopg
from psycopg import RawCursor

from failaware.engine.base import Parameters, Row
from failaware.engine.postgres.parameters import numbered


class _Queued(NamedTuple):
    """A statement in the queue."""

    cursor: RawCursor[Row]
    text: bytes
    values: Sequence[Any] | None


class Pipeline:
    """The queue of one connection."""

    def __init__(self, db: psycopg.Connection[Row]) -> None:
        self._db = db
        self._queue: list[_Queued] = []

    def add(self, sql: str, parameters: Parameters = ()) -> RawCursor[Row]:
        """Queue a statement; `send` fills the returned cursor."""
        cursor = RawCursor(self._db)
        self._queue.append(_Queued(cursor, *numbered(sql, parameters)))
        return cursor

    def send(self) -> None:
        """Send all queued statements and read their results.

        Raises:
            psycopg.Error: of the first statement that failed; the later ones were not run.
        """
        queue, self._queue = self._queue, []
        failed: psycopg.Error | None = None
        try:
            with self._db.pipeline() if len(queue) > 1 else nullcontext():
                try:
                    for cursor, text, values in queue:
                        cursor.execute(text, values)
                except psycopg.Error as error:  # if the exception left the pipeline, it would log further errors
                    failed = error
        except psycopg.Error as error:  # a statement after the failed one; the first error is the cause
            failed = failed or error
        if failed is not None:
            raise failed

    def take_back(self, first: RawCursor[Row]) -> bool:
        """Remove a statement and those after it from the queue; false if it is not in the queue any more."""
        waiting = [queued.cursor for queued in self._queue]
        if first not in waiting:
            return False
        del self._queue[waiting.index(first) :]
        return True

    def clear(self) -> None:
        """Remove all statements from the queue."""
        self._queue.clear()
