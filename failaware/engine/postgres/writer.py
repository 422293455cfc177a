"""PostgreSQL writer: one write transaction at a time across all hosts, repeated if the connection is lost during it."""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import RawCursor, errors
from psycopg.pq import TransactionStatus

from failaware.engine import derivation
from failaware.engine.base import Parameters, Row
from failaware.engine.derivation import Projection
from failaware.engine.postgres import lock, roles, schema
from failaware.engine.postgres.dialect import ddl
from failaware.engine.postgres.errors import UNKNOWN, foreign, in_our_words
from failaware.engine.postgres.parameters import numbered, positional
from failaware.engine.postgres.reader import PostgresReader
from failaware.engine.postgres.watch import PostgresWatch
from failaware.errors import StoreBusy, StoreError, UsageError
from failaware.schema import versions
from failaware.schema.ddl import work_tables

T = TypeVar("T")

_MAX_ATTEMPTS = 5  # at one job, if the connection is lost each time
_FEW = 4  # rows up to which INSERT is used: COPY needs two more round trips
_LEFT_BEHIND = 2_000  # deleted rows after which a working table is truncated
_ALONG_INDEXES = {
    "enable_hashjoin": "off",  # few new rows are joined with many stored ones: use an index, even if the tables are
    "enable_mergejoin": "off",  # small when the plan is made
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
}
_SYNCHRONOUS = {"FULL": "on", "NORMAL": "off"}
_INHERITED: list[psycopg.Connection[Row]] = []


class _Queued(NamedTuple):
    """A statement in the send queue."""

    cursor: RawCursor[Row]
    text: bytes
    values: Sequence[Any] | None


class PostgresWriter(PostgresReader):
    """The writing connection. Any thread may use it, but only one at a time: the caller holds a lock.

    A write transaction starts by taking the store's lock. As on SQLite, only one runs at a time across all hosts: ids
    increase in commit order, and rows that the fold has read do not change until it ends.
    """

    READ_ONLY = False

    def __init__(self, url: str, *, synchronous: str, projection: Projection, go_back: bool = False) -> None:
        if synchronous not in _SYNCHRONOUS:
            raise UsageError(f"synchronous is 'FULL' or 'NORMAL', not {synchronous!r}")
        self._synchronous = _SYNCHRONOUS[synchronous]
        self.while_waiting: Callable[[], bool] = lambda: False
        self._suspended = self._closed = False
        self._queue: list[_Queued] = []
        self._deleted: dict[str, list[RawCursor[Row]]] = {}
        self._writer = secrets.token_hex(16)
        self._ticket = 0  # of the last transaction
        self._not_begun: psycopg.Error | None = None  # why the current transaction never got the lock
        self._idled: psycopg.Error | None = None  # the error if the server ended the current transaction for being idle
        self._projection = projection
        self._mark: object = None  # the store's mark when it was last checked
        self._is_derived = False  # by this version: from then on each commit checks that it still is
        super().__init__(url)
        older = self._version() < versions.current()
        if older:
            self._make_missing_lock()
        if older or derivation.is_outdated(self, self._projection.mark, self.path, go_back=go_back):
            self.run(lambda: self._bring_up_to_date(go_back=go_back))
        self._is_derived = True

    def _prepare(self) -> None:
        self._settings |= {"synchronous_commit": self._synchronous, **_ALONG_INDEXES}
        super()._prepare()
        self._db.add_notice_handler(self._handle_notice)
        self._queue = []
        self._deleted = {}
        for sql in work_tables():
            self.raw(ddl(sql))
        self._suspended = False

    def _check_version(self) -> None:
        if self._version() > 0:
            return
        if self.raw(schema.RESERVED.format(schema=self._schema)):
            raise UsageError(f"a store's schema cannot be '{self._schema}', which is a word of SQL; name another one")
        creation = ";\n".join(("BEGIN READ WRITE", *schema.creation(self._schema, self._projection.mark), "COMMIT"))
        for _ in range(_MAX_ATTEMPTS):
            try:
                self.raw(creation)
            except schema.MADE_BY_ANOTHER:
                self._roll_back()
                if self._version() > 0:
                    return
            except BaseException:
                self._roll_back()
                raise
            else:
                return
        raise foreign(self.path, self._schema)

    def _make_missing_lock(self) -> None:
        with in_our_words(self.path):
            for sql in schema.missing_lock(self._schema):
                try:
                    self.raw(sql)
                except schema.MADE_BY_ANOTHER:
                    self._roll_back()
                except BaseException:
                    self._roll_back()
                    raise

    def _bring_up_to_date(self, *, go_back: bool) -> None:
        self._send()
        version = self._version()
        older = version < versions.current()
        if not older and not derivation.is_outdated(self, self._projection.mark, self.path, go_back=go_back):
            return  # another process did it while this one waited for the lock
        derivation.announce(self, self.path)
        if older or derivation.has_other_tables(self):  # only their owner can create them
            with self._in_our_words():
                for sql in schema.bringing_up_to_date(self._schema, version):
                    self.raw(sql)
                for sql in roles.privileges_of_those_there(self._schema):
                    self.raw(sql)
        self._projection.derive(self)

    def suspend(self) -> None:
        """Close the connection until it is needed again: before a fork, because two processes cannot share one."""
        if self._pid != os.getpid():
            self._in_transaction, self._queue = False, []
        elif not self._suspended and not self._closed and not self._in_transaction:
            self._db.close()
            self._suspended = True

    def _use(self) -> None:
        if self._pid != os.getpid() and not self._suspended:
            _INHERITED.append(self._db)  # after a fork the parent's connection must be neither used nor closed
            self._open(patiently=False)
        elif self._db.closed and not self._closed:
            self._open(patiently=True)

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a SELECT or of a statement with RETURNING."""
        if self._in_transaction:
            cursor = self._later(sql, parameters)
            self._send()
            return cursor.fetchall()
        return super().query(sql, parameters)

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Queue one statement: it is sent with the next one that returns rows, or with the commit."""
        self._later(sql, parameters)

    def run_untranslated(self, sql: str, parameters: Parameters = ()) -> RawCursor[Row]:
        """Run a user's statement; only its parameters are converted."""
        cursor = RawCursor(self._db)
        self._queue.append(_Queued(cursor, *numbered(sql, parameters)))
        self._send()
        return cursor

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of parameters."""
        self._send()
        with self._in_our_words():
            self._cursor.executemany(positional(sql), rows)

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows: a few by INSERT, more by COPY."""
        names = ", ".join(columns)
        if len(rows) < _FEW:
            places = ", ".join("?" * len(columns))
            for row in rows:
                self._later(f"INSERT INTO {table} ({names}) VALUES ({places})", row)
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
                deleted.append(self._later(f"DELETE FROM {table}"))
            else:
                self._later(f"TRUNCATE {table}")
                deleted.clear()

    def _later(self, sql: str, parameters: Parameters = ()) -> RawCursor[Row]:
        """Queue a statement for `_send`, which fills the returned cursor."""
        cursor = RawCursor(self._db)
        self._queue.append(_Queued(cursor, *numbered(sql, parameters)))
        return cursor

    def _send(self) -> None:
        """Send all queued statements and read their results, in one round trip."""
        queue, self._queue = self._queue, []
        failed: psycopg.Error | None = None
        with self._in_our_words():
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
                if self._in_transaction and self._began.pgresult is None:
                    self._not_begun = self._not_begun or failed
                raise failed

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

    def run(self, job: Callable[[], T]) -> T:
        """Run a job in a transaction under the store's lock; repeat it if the connection was lost before the commit.

        If the answer to a commit was lost, the writer's ticket shows whether it succeeded, so nothing is written twice.
        """
        while True:
            try:
                return self._run_once(job)
            except StoreError as error:
                ended = self._not_begun is not None and isinstance(error.__cause__, errors.QueryCanceled)
                if not ended or not self.while_waiting():
                    raise

    @property
    def waits_on_server(self) -> bool:
        """Whether it waits for the lock in a call to the server, which `interrupt` cancels."""
        return self._in_transaction and self._began.pgresult is None

    def _run_once(self, job: Callable[[], T]) -> T:
        self._begin_ticket()
        unanswered: list[T] = []  # the job's result, once the commit may have succeeded
        for _ in range(_MAX_ATTEMPTS):
            try:
                if unanswered and self._has_committed():
                    return unanswered[0]
                unanswered.clear()
                self._begin()
                unanswered.append(job())
                self._commit()
                return unanswered[0]
            except BaseException as error:
                self._roll_back()
                if isinstance(error, StoreBusy):
                    raise self._busy(error) from error
                if not isinstance(error, StoreError) or not self._is_lost(error.__cause__):
                    raise
                self._db.close()
                lost = error
            self._reopen(unanswered=bool(unanswered))
        raise StoreError(f"{lost}; {UNKNOWN}") if unanswered else lost

    def _begin_ticket(self) -> None:
        if self._pid != os.getpid():  # a child after a fork is another writer
            self._writer, self._ticket = secrets.token_hex(16), 0
        self._ticket += 1

    def _begin(self) -> None:
        self._use()
        self._in_transaction, self._idled, self._not_begun = True, None, None
        self._began = self._later(lock.BEGIN)
        if self._session.pooled:
            self._send()
            with self._in_our_words():
                self._session.check_same()
        self._began = self._later(lock.begin_write(self._schema), (self._writer, self._ticket))
        if self._ticket == 1:
            self._later(lock.forget_killed(self._schema))

    def _commit(self) -> None:
        if self._began.pgresult is None:
            self._send()  # take the lock before the answer to a commit can be lost
        if self._not_begun is not None:  # the jobs of a group commit have caught this error
            with self._in_our_words():
                raise self._not_begun
        now, _, mark = self._began.fetchall()[0][0].partition(" ")
        self._check_mark(mark)
        ended = self._later("COMMIT")
        self._send()
        if ended.statusmessage != "COMMIT":
            raise StoreError(f"{self.path}: the transaction had failed before, and nothing of it was written")
        self._in_transaction = False
        self._server_time(int(now))

    def _check_mark(self, mark: object) -> None:
        """Refuse to write if another version of failaware has derived the store since it was opened."""
        if self._is_derived and mark != self._mark:
            derivation.check_unchanged(self._projection.mark, [(mark,)], self.path)
            self._mark = mark

    def _reopen(self, *, unanswered: bool) -> None:
        try:
            self._open(patiently=True)
        except StoreError as error:
            if not unanswered:
                raise
            raise StoreError(f"{error}; {UNKNOWN}") from error

    def _has_committed(self) -> bool:
        """Return whether the transaction whose commit was not answered has committed; wait if it is still running."""
        try:
            with self._in_our_words():
                rows = self.raw(lock.last_ticket(self._schema, self._writer))
                self.raw("ROLLBACK")
        except StoreError as error:
            if self._is_lost(error.__cause__):
                raise
            raise StoreError(f"{error}; {UNKNOWN}") from error
        return rows == [(self._ticket,)]

    def _busy(self, error: StoreBusy) -> StoreBusy:
        """The error, with a description of the lock's holder if there still is one."""
        owner = None
        if isinstance(error.__cause__, errors.LockNotAvailable):
            with suppress(psycopg.Error):
                owner = lock.owner(self.raw, self._schema)
        return StoreBusy(f"{self.path} is locked: {owner}") if owner else error

    def _roll_back(self) -> None:
        """Roll back the open transaction; if a statement was interrupted, close the connection."""
        self._in_transaction = False
        self._queue.clear()
        try:
            if self._db.info.transaction_status == TransactionStatus.ACTIVE:
                self._db.close()
            elif not self._db.closed:
                self.raw("ROLLBACK")
        except psycopg.Error:
            self._db.close()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Isolate a part of the transaction: an exception rolls back only that part."""
        begun = self._later("SAVEPOINT part")
        try:
            yield
            self._later("RELEASE part")
            self._send()  # raises the error of any statement in this part
        except BaseException:
            waiting = [queued.cursor for queued in self._queue]
            if begun in waiting:  # none of its statements were sent
                del self._queue[waiting.index(begun) :]
            elif begun.pgresult is not None and self._db.info.transaction_status != TransactionStatus.ACTIVE:
                self._queue.clear()
                self._later("ROLLBACK TO part")
                self._later("RELEASE part")
                self._send()
            raise

    def watch(self) -> PostgresWatch:
        """Listen for the notification that every commit sends."""
        return PostgresWatch(self._place.conninfo, self._schema)

    @contextmanager
    def wiping(self) -> Iterator[Callable[[], bool]]:
        """Wrap a transaction. What it removes stays in the server's files until VACUUM FULL, and in its backups."""
        yield lambda: False

    def close(self) -> None:
        """Close the connection."""
        if self._pid == os.getpid():
            if self._ticket and not self._db.closed and not self._in_transaction:
                with suppress(psycopg.Error):
                    self.raw(lock.forget(self._schema, self._writer))
            self._db.close()
        self._closed = True
