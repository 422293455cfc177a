"""SQLite writer: one persistent connection in WAL mode, `BEGIN IMMEDIATE`."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar

from failaware.engine import derivation
from failaware.engine.base import Parameters, Row
from failaware.engine.derivation import Projection
from failaware.engine.sqlite.appending import Appender, alone
from failaware.engine.sqlite.errors import ITS_ERRORS, in_our_words, is_interrupt, raise_ours
from failaware.engine.sqlite.files import (
    BUSY_TIMEOUT_S,
    LOG_BYTES,
    READERS_WAIT_S,
    bring_up_to_date,
    companion,
    connect_read_write,
    identity,
    is_older,
    need_sqlite,
)
from failaware.engine.sqlite.lock_fairness import FairLock
from failaware.engine.sqlite.log_flush import FlushAfterLock, FlushUnderLock, open_log
from failaware.engine.sqlite.permissions import warn_if_exposed
from failaware.engine.sqlite.reader import FileStoreMixin
from failaware.errors import (
    StatementError,
    StoreError,
    StoreMissing,
    TransactionEnded,
    UsageError,
)

if TYPE_CHECKING:
    from failaware.engine.sqlite.watch import SqliteWatch

T = TypeVar("T")

_LOOK_AT_LOG, _LOOK_AT_LONG_LOG = 256, 8  # after so many commits
_SHORT_SNAPSHOT = 1_000  # pages that are written during it at most
_INHERITED: list[sqlite3.Connection] = []


class _Result(NamedTuple):
    """The result of a user's statement."""

    rowcount: int
    rows: list[Row]

    def fetchall(self) -> list[Row]:
        """All rows."""
        return self.rows


class SqliteWriter(FileStoreMixin, Appender):
    """The writing connection. Any thread may use it, but only one at a time: the caller holds a lock."""

    def __init__(self, path: Path, *, synchronous: str, projection: Projection, go_back: bool = False) -> None:
        if synchronous not in ("FULL", "NORMAL"):
            raise UsageError(f"synchronous is 'FULL' or 'NORMAL', not {synchronous!r}")
        need_sqlite()
        self.path = path
        self._name = str(path)
        self._synchronous = synchronous
        self._suspended = self._closed = self._interrupted = False
        self._opened = self._commits = 0
        self._looks_at_log = _LOOK_AT_LOG
        self._fair_lock = FairLock()
        self.while_waiting: Callable[[], bool] = lambda: False
        self._projection = projection
        self._marks: list[Row] = []  # the store's mark when it was last checked
        self._log: FlushUnderLock | FlushAfterLock = FlushUnderLock()
        self._reopen()
        try:
            with in_our_words(path):
                if self._is_outdated(go_back=go_back):
                    self._transact(
                        lambda: self._bring_up_to_date(go_back=go_back), lambda: self.execute("BEGIN IMMEDIATE")
                    )
        except BaseException:
            self._close_files()
            raise
        warn_if_exposed(path)

    def _reopen(self) -> None:
        with in_our_words(self.path):
            self._db = connect_read_write(self.path, self._synchronous, self._projection.mark)
        self._log = open_log(self._db, self.path, self._synchronous, is_doubtful=self._log.is_doubtful)
        self._file = identity(self.path)
        self._pid = os.getpid()
        self._suspended = False
        self._opened += 1

    def _is_outdated(self, *, go_back: bool) -> bool:
        return is_older(self._db, self.path) or derivation.is_outdated(
            self, self._projection.mark, str(self.path), go_back=go_back
        )

    def _bring_up_to_date(self, *, go_back: bool) -> None:
        if self._is_outdated(go_back=go_back):  # no other process did it while this one waited for the lock
            derivation.announce(self, str(self.path))
            bring_up_to_date(self._db)
            self._projection.derive(self)

    def suspend(self) -> None:
        """Close the connection until it is needed again: before a fork.

        A child that inherits an open connection shares SQLite's record of its locks, but not the locks themselves: when
        the parent closes, it would delete the write-ahead log that the child still writes to.
        """
        if self._usable and not self._closed and not self._db.in_transaction:
            self._close_files()
            self._suspended = True

    def _close_files(self) -> None:
        self._log.close()
        self._db.close()

    @property
    def _usable(self) -> bool:
        return not self._suspended and self._pid == os.getpid()

    def _use(self) -> None:
        if self._usable:
            return
        if not self._suspended:
            _INHERITED.append(self._db)  # after a fork the parent's connection must be neither used nor closed
        self._reopen()

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a SELECT or of a statement with RETURNING."""
        self._use()
        return self._fetched(self._run(sql, parameters))

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run one statement."""
        self._run(sql, parameters)

    def run_untranslated(self, sql: str, parameters: Parameters = ()) -> "_Result":
        """Run a user's statement, written in SQLite's SQL like ours."""
        cursor = self._run(sql, parameters)
        rows = self._fetched(cursor)
        return _Result(cursor.rowcount, rows)  # of a statement with RETURNING known only now

    def _fetched(self, cursor: sqlite3.Cursor) -> list[Row]:
        try:
            return cursor.fetchall()  # reads the disk, too
        except ITS_ERRORS as error:
            self._raise(error)

    def _run(self, sql: str, parameters: Parameters) -> sqlite3.Cursor:
        """Run one statement, waiting for the lock."""
        try:
            return self._fair_lock.run(self._db, sql, parameters, patience_s=BUSY_TIMEOUT_S, paused=self._paused)
        except ITS_ERRORS as error:
            self._raise(error)

    def _paused(self, _db: sqlite3.Connection) -> sqlite3.Connection:
        self.while_waiting()
        self._use()
        return self._db

    def _raise(self, error: Exception) -> NoReturn:
        if is_interrupt(error) and not self._interrupted:
            raise KeyboardInterrupt from None  # a signal's handler raised it, within SQLite
        self._interrupted = False
        raise_ours(error, self.path)

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row of parameters."""
        try:
            self._db.executemany(sql, rows)
        except ITS_ERRORS as error:
            self._raise(error)

    def clear(self, *tables: str) -> None:
        """Empty working tables."""
        for table in tables:
            self.execute(f"DELETE FROM {table}")

    def run(self, job: Callable[[], T], *, recording: bool = False, patient: bool = True) -> T:  # noqa: ARG002 - of servers
        """Run a job under the write lock; commit at its end, roll back on any exception.

        With `recording`, the transaction begins when the job appends events: one event without a key needs none.
        """
        return self._transact(job, self._nothing if recording else self._begin)

    def append_events(self, rows: Sequence[Row], *, refuse: bool) -> list[int]:
        """Append events; outside a transaction, begin one, or append a single event without a key by one statement."""
        if not self._db.in_transaction:
            if len(rows) == 1 and (event_id := self._append_alone(rows[0])):
                return [event_id]
            self._begin()
        return super().append_events(rows, refuse=refuse)

    def _append_alone(self, row: Row) -> int | None:
        """Append an event by a statement that is its own transaction, if possible; return its id.

        Another version's mark makes a null of a value that must not be null; what is wrong is found once more under the
        lock.
        """
        if row[-1] is not None or not self._marks or self._log.needs_lock():
            return None
        sql, values = alone(row, self._marks[0][0])
        try:
            return self._fair_lock.run(self._db, sql, values, patience_s=BUSY_TIMEOUT_S, paused=self._paused).lastrowid
        except sqlite3.IntegrityError:
            return None
        except ITS_ERRORS as error:
            self._raise(error)

    def _nothing(self) -> None:
        """Begin no transaction."""

    def _begin(self) -> None:
        self.execute("BEGIN IMMEDIATE")
        self._check_mark()

    def _check_mark(self) -> None:
        """Refuse to write if another version of failaware has derived the store since it was opened."""
        try:
            marks = self._db.execute(derivation.MARK).fetchall()  # in a transaction that has the lock: no need to wait
        except ITS_ERRORS as error:
            self._raise(error)
        if marks != self._marks:
            derivation.check_unchanged(self._projection.mark, marks, str(self.path))
            self._marks = marks

    def _transact(self, job: Callable[[], T], begin: Callable[[], None]) -> T:
        self._use()
        self._fair_lock.yield_to_others()
        if self._log.is_doubtful:
            with in_our_words(self.path):
                self._log.put_in_place()
        try:
            # Inside the try: if a signal arrives during the wait, its exception is raised after BEGIN has succeeded.
            begin()
            result = job()
            if self._db.in_transaction:
                self._log.before_commit()
                self.execute("COMMIT")
        except BaseException:
            with in_our_words(self.path):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise
        self._check_not_replaced()
        self._log.after_commit()
        self._commits += 1
        if self._commits >= self._looks_at_log:
            self._shorten_log()
        return result

    def _check_not_replaced(self) -> None:
        """Refuse to continue if the file was deleted or replaced: the commit is lost, and SQLite does not notice."""
        if identity(self._name) != self._file:
            self.suspend()  # the next write opens the new file
            raise StoreMissing(
                f"{self.path} was deleted or replaced while it was open; what was written since is not in it"
            )

    def _shorten_log(self) -> None:
        """Restart a long log from its beginning, waiting briefly for the current readers.

        Overlapping readers otherwise keep SQLite from restarting it. While a long snapshot prevents it, one of the next
        commits looks again, since its reader pauses only for a moment after it.
        """
        self._looks_at_log = self._commits + _LOOK_AT_LOG
        try:
            size = companion(self.path, "-wal").stat().st_size
        except OSError:
            return  # the log or the store was removed
        if size <= LOG_BYTES:
            return
        self._looks_at_log = self._commits + _LOOK_AT_LONG_LOG
        with suppress(StoreError):  # the commit has already succeeded
            ((_, pages, copied),) = self.query("PRAGMA wal_checkpoint(PASSIVE)")
            if pages - copied > _SHORT_SNAPSHOT:
                return  # all writers would wait in vain
            self.query(f"PRAGMA busy_timeout = {int(READERS_WAIT_S * 1_000)}")
            ((prevented, *_),) = self.query("PRAGMA wal_checkpoint(RESTART)")
            self.query("PRAGMA busy_timeout = 0")
            if prevented:
                self._looks_at_log = self._commits + _LOOK_AT_LOG

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Isolate a part of the transaction: an exception rolls back only that part."""
        self.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._end_part("ROLLBACK TO part")
            self._end_part("RELEASE part")
            raise
        self._end_part("RELEASE part")

    def _end_part(self, statement: str) -> None:
        try:
            self.execute(statement)
        except StatementError as error:
            if "no such savepoint" not in str(error):
                raise
            raise TransactionEnded(f"{self.path}: a statement in the transaction ended it") from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all queries within it see the same state."""
        self._use()
        self.execute("BEGIN")
        try:
            yield
        finally:
            if self._db.in_transaction:  # an interrupted or failed statement may have ended it
                self.execute("COMMIT")

    def change_token(self) -> int:
        """SQLite's data_version, combined with the number of this connection: differs if another one has committed.

        Raises StoreMissing if the file was deleted or replaced, because callers would wait forever.
        """
        self._use()
        self._check_not_replaced()
        return int(self.query("PRAGMA data_version")[0][0]) + (self._opened << 32)

    def watch(self) -> "SqliteWatch":
        """Watch the write-ahead log, to which every commit writes."""
        from failaware.engine.sqlite.watch import SqliteWatch

        self.query("SELECT 1")  # creates the log, which exists while a connection is open
        return SqliteWatch(companion(self.path, "-wal"))

    def interrupt(self) -> None:
        """Cancel the running query, from another thread."""
        self._interrupted = True
        self._db.interrupt()

    @contextmanager
    def wiping(self) -> Iterator[Callable[[], bool]]:
        """Wrap a transaction: overwrite what it removes, on disk and in the write-ahead log."""
        self._use()
        secure_delete = self.query("PRAGMA secure_delete")[0][0]
        self.query("PRAGMA secure_delete = ON")
        self.query(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1_000)}")  # for current readers
        busy: list[int] = [1]
        try:
            yield lambda: not busy[0]
            busy[0] = self.query("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        finally:
            self.query(f"PRAGMA secure_delete = {secure_delete}")
            self.query("PRAGMA busy_timeout = 0")

    def close(self) -> None:
        """Close the connection; when the last one closes, a single file remains."""
        if self._usable and not self._closed:
            self._close_files()
        self._closed, self._suspended = True, False
