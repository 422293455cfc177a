"""Statements of a write transaction: queued, sent together, and their errors in our words."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
from psycopg import RawCursor, errors
from psycopg.pq import TransactionStatus

from failaware.engine.base import Parameters, Row
from failaware.engine.postgres.cancel import Cancelable
from failaware.engine.postgres.errors import in_our_words
from failaware.engine.postgres.parameters import positional
from failaware.engine.postgres.pipeline import Pipeline
from failaware.engine.postgres.reader import PostgresReader
from failaware.schema.catalogue import EVENT

_FEW = 4  # rows up to which INSERT is used: COPY needs two more round trips
_LEFT_BEHIND = 2_000  # deleted rows after which a working table is truncated


class StatementWriter(PostgresReader):
    """A connection that may write. Statements without results are sent with the next one that has some."""

    READ_ONLY = False

    def _prepare(self) -> None:
        super()._prepare()
        self._db.add_notice_handler(self._handle_notice)
        self._pipeline = Pipeline(self._db)
        self._waits = Cancelable(self._db)
        self._began = RawCursor(self._db)  # the statement that takes the lock
        self._deleted: dict[str, list[RawCursor[Row]]] = {}
        self._idled: psycopg.Error | None = None  # the error if the server ended the current transaction for being idle
        self._not_begun: psycopg.Error | None = None  # why the current transaction never got the lock

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a SELECT or of a statement with RETURNING."""
        if self._in_transaction:
            cursor = self._pipeline.add(sql, parameters)
            self._send()
            return cursor.fetchall()
        return super().query(sql, parameters)

    def _fetch(self, sql: str, parameters: Parameters) -> list[Row]:
        return self._run(sql, parameters).fetchall()

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Queue one statement: it is sent with the next one that returns rows, or with the commit."""
        self._pipeline.add(sql, parameters)

    def run_all(self, statements: Iterable[str]) -> None:
        """Run statements in PostgreSQL's SQL, one by one, in one round trip; the errors are the server's."""
        pipeline = Pipeline(self._db)
        for sql in statements:
            pipeline.add(sql)
        pipeline.send()

    def run_untranslated(self, sql: str, parameters: Parameters = ()) -> RawCursor[Row]:
        """Run a user's statement; only its parameters are converted."""
        cursor = self._pipeline.add(sql, parameters)
        self._send()
        return cursor

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of parameters."""
        self._send()
        with self._in_our_words():
            self._cursor.executemany(positional(sql), rows)

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows: a few by INSERT, more by COPY."""
        self._insert(table, ", ".join(columns), rows)
        if table == EVENT.table and rows:  # with ids of another store, which the next id must follow
            self._pipeline.add(self.dialect.follow)
            self._pipeline.add(self.dialect.count_recorded, (len(rows),))

    def _insert(self, table: str, names: str, rows: Sequence[Sequence[Any]]) -> None:
        if len(rows) < _FEW:
            for row in rows:
                self._pipeline.add(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", row)
            return
        self._send()
        with self._in_our_words(), self._cursor.copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def clear(self, *tables: str) -> None:
        """Empty working tables. Deleted rows slow down every scan, so TRUNCATE removes them once there are many."""
        for table in tables:
            deleted = self._deleted.setdefault(table, [])
            if sum(max(cursor.rowcount, 0) for cursor in deleted) < _LEFT_BEHIND:
                deleted.append(self._pipeline.add(f"DELETE FROM {table}"))
            else:
                self._pipeline.add(f"TRUNCATE {table}")
                deleted.clear()

    def end_wait(self) -> None:
        """End the wait for the lock in a call to the server, from another thread."""
        self._waits.cancel()

    def _send(self) -> None:
        """Send all queued statements and read their results, in one round trip."""
        waits = self._in_transaction and self._began.pgresult is None
        with self._in_our_words():
            try:
                with self._waits if waits else nullcontext():
                    self._pipeline.send()
                if waits:
                    self._check_wait()
            except psycopg.Error as error:
                if waits and (self._began.pgresult is None or self._waits.was_canceled):
                    self._not_begun = self._not_begun or error
                raise

    def _check_wait(self) -> None:
        """Discard the result of a wait that was ended: the cancel request may still arrive on this connection."""
        if self._waits.was_canceled:
            raise errors.QueryCanceled("the wait for the lock was ended")

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        """Translate exceptions of PostgreSQL within the block into our errors.

        If the server ended the transaction for being idle, only one statement gets that error (in a pipeline, a
        notice), and the others that the connection is lost. All of them raise the first error here.
        """
        with in_our_words(self.path):
            try:
                yield
            except psycopg.Error as error:
                if isinstance(error, errors.IdleInTransactionSessionTimeout):
                    self._idled = error
                elif self._idled is not None:
                    raise self._idled.with_traceback(None) from None
                raise

    def _handle_notice(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.sqlstate == errors.IdleInTransactionSessionTimeout.sqlstate:
            self._idled = errors.IdleInTransactionSessionTimeout(notice.message_primary or "")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Isolate a part of the transaction: an exception rolls back only that part."""
        begun = self._pipeline.add("SAVEPOINT part")
        try:
            yield
            self._pipeline.add("RELEASE part")
            self._send()  # raises the error of any statement in this part
        except BaseException:
            if self._pipeline.take_back(begun):
                pass  # none of its statements were sent
            elif begun.pgresult is not None and self._db.info.transaction_status != TransactionStatus.ACTIVE:
                self._pipeline.clear()
                self._pipeline.add("ROLLBACK TO part")
                self._pipeline.add("RELEASE part")
                self._send()
            raise
