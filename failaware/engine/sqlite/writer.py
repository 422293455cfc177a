"""SQLite, written: one kept connection, WAL, `BEGIN IMMEDIATE`."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from failaware.engine import derivation
from failaware.engine.base import Parameters, Row
from failaware.engine.derivation import Projection
from failaware.engine.sqlite.errors import ITS_ERRORS, in_our_words, is_interrupt, raise_ours
from failaware.engine.sqlite.files import (
    BUSY_TIMEOUT_S,
    LOG_BYTES,
    bring_up_to_date,
    companion,
    connect_read_write,
    identity,
    is_older,
    need_sqlite,
)
from failaware.engine.sqlite.lock_fairness import Turns
from failaware.engine.sqlite.permissions import warn_if_exposed
from failaware.engine.sqlite.reader import OfAFile
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

_LOOK_AT_LOG = 256  # commits
_READERS_WAIT_S = 0.05
_INHERITED: list[sqlite3.Connection] = []


class SqliteWriter(OfAFile):
    """The writing connection. It may be used from any thread, but by one at a time: the caller holds a lock."""

    waits_on_server = False

    def __init__(self, path: Path, *, synchronous: str, projection: Projection, go_back: bool = False) -> None:
        if synchronous not in ("FULL", "NORMAL"):
            raise UsageError(f"synchronous is 'FULL' or 'NORMAL', not {synchronous!r}")
        need_sqlite()
        self.path = path
        self._synchronous = synchronous
        self._suspended = self._closed = self._told_to_end = False
        self._opened = self._commits = 0
        self._turns = Turns()
        self.while_waiting: Callable[[], bool] = lambda: False
        self._long_log = LOG_BYTES
        self._projection = projection
        self._mark: object = None  # of the store, as it was last seen
        self._reopen()
        try:
            with in_our_words(path):
                if self._is_outdated(go_back=go_back):
                    self._transact(lambda: self._bring_up_to_date(go_back=go_back))
        except BaseException:
            self._db.close()
            raise
        warn_if_exposed(path)

    def _reopen(self) -> None:
        with in_our_words(self.path):
            self._db = connect_read_write(self.path, self._synchronous, self._projection.mark)
        self._file = identity(self.path)
        self._pid = os.getpid()
        self._suspended = False
        self._opened += 1

    def _is_outdated(self, *, go_back: bool) -> bool:
        return is_older(self._db, self.path) or derivation.is_outdated(
            self, self._projection.mark, str(self.path), go_back=go_back
        )

    def _bring_up_to_date(self, *, go_back: bool) -> None:
        if self._is_outdated(go_back=go_back):  # nobody else did it while we waited for the lock
            derivation.announce(self, str(self.path))
            bring_up_to_date(self._db)
            self._projection.derive(self)

    def suspend(self) -> None:
        """Close the connection until it is needed again: before a fork.

        A child that inherits an open one would share SQLite's notes about its locks, but not the locks: the parent's
        close would then delete the write-ahead log that the child still writes to.
        """
        if self._usable and not self._closed and not self._db.in_transaction:
            self._db.close()
            self._suspended = True

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
        """All rows of a SELECT or of a statement with RETURNING."""
        self._use()
        return self._run(sql, parameters).fetchall()

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run one statement."""
        self._run(sql, parameters)

    def run_untranslated(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run a statement of a user's; they are written in SQLite's SQL, as ours are."""
        return self._run(sql, parameters)

    def _run(self, sql: str, parameters: Parameters) -> sqlite3.Cursor:
        """Run one statement, waiting for its turn."""
        try:
            return self._turns.run(self._db, sql, parameters, patience_s=BUSY_TIMEOUT_S, paused=self._paused)
        except ITS_ERRORS as error:
            self._raise(error)

    def _paused(self, _db: sqlite3.Connection) -> sqlite3.Connection:
        self.while_waiting()
        self._use()
        return self._db

    def _raise(self, error: Exception) -> NoReturn:
        if is_interrupt(error) and not self._told_to_end:
            raise KeyboardInterrupt from None  # a signal's handler raised it, within SQLite
        self._told_to_end = False
        raise_ours(error, self.path)

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row of parameters."""
        try:
            self._db.executemany(sql, rows)
        except ITS_ERRORS as error:
            self._raise(error)

    def append(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Insert rows."""
        places = ", ".join("?" * len(columns))
        self.execute_many(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)

    def clear(self, *tables: str) -> None:
        """Empty work tables."""
        for table in tables:
            self.execute(f"DELETE FROM {table}")

    def run(self, job: Callable[[], T]) -> T:
        """Run a job under the write lock; commit at its end, roll back on any exception."""

        def checked() -> T:
            self._check_mark()
            return job()

        return self._transact(checked)

    def _check_mark(self) -> None:
        """Refuse to add to what another version of failaware has derived since this store was opened."""
        with in_our_words(self.path):
            marks = self._db.execute(derivation.MARK).fetchall()  # in a transaction that has the lock: no need to wait
        if marks != self._mark:
            derivation.check_unchanged(self._projection.mark, marks, str(self.path))
            self._mark = marks

    def _transact(self, job: Callable[[], T]) -> T:
        self._use()
        self._turns.let_others_go_first()
        try:
            # Inside the try: a signal that arrives while it waits is raised once it has succeeded, and must undo it.
            self.execute("BEGIN IMMEDIATE")
            result = job()
            self.execute("COMMIT")
        except BaseException:
            with in_our_words(self.path):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise
        self._must_stand_there()
        self._commits += 1
        if self._commits % _LOOK_AT_LOG == 0:
            self._keep_log_short()
        return result

    def _must_stand_there(self) -> None:
        """What is committed to a file that was deleted or replaced is gone: SQLite itself does not notice."""
        if identity(self.path) != self._file:
            self.suspend()  # whoever writes next begins with what stands there by then
            raise StoreMissing(
                f"{self.path} was deleted or replaced while it was open; what was written since is not in it"
            )

    def _keep_log_short(self) -> None:
        """Begin the log anew, where readers that take turns have kept it from that: it waits for those of this moment.

        Whoever holds a snapshot for long keeps it from that, too; then it is tried again later.
        """
        try:
            size = companion(self.path, "-wal").stat().st_size
        except OSError:
            return  # it is gone with the last reader, or the file is
        if size < self._long_log:
            self._long_log = LOG_BYTES
            return
        with suppress(StoreError):  # what was committed stays so
            ((_, pages, copied),) = self.query("PRAGMA wal_checkpoint(PASSIVE)")
            if copied < pages:
                return  # a snapshot holds it back, and all writers would wait for it in vain
            self.query(f"PRAGMA busy_timeout = {int(_READERS_WAIT_S * 1_000)}")
            ((prevented, *_),) = self.query("PRAGMA wal_checkpoint(RESTART)")
            self.query("PRAGMA busy_timeout = 0")
            self._long_log = 2 * size if prevented else LOG_BYTES

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that an exception rolls back alone."""
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
        """Within it, all queries see the same moment."""
        self._use()
        self.execute("BEGIN")
        try:
            yield
        finally:
            if self._db.in_transaction:  # as in a reader
                self.execute("COMMIT")

    def change_token(self) -> int:
        """SQLite's data_version, which counts anew in each connection: differs when another one has committed.

        Raises StoreMissing once the file was deleted or replaced, so that nobody waits at it for ever.
        """
        self._use()
        self._must_stand_there()
        return int(self.query("PRAGMA data_version")[0][0]) + (self._opened << 32)

    def watch(self) -> "SqliteWatch":
        """Looks at the write-ahead log, to which every commit writes."""
        from failaware.engine.sqlite.watch import SqliteWatch

        self.query("SELECT 1")  # a connection that is open keeps the log there
        return SqliteWatch(companion(self.path, "-wal"))

    def interrupt(self) -> None:
        """End the query that runs now, from another thread."""
        self._told_to_end = True
        self._db.interrupt()

    @contextmanager
    def wiping(self) -> Iterator[Callable[[], bool]]:
        """Around a transaction: what it removes is overwritten on the disk, and in the write-ahead log too."""
        self._use()
        was = self.query("PRAGMA secure_delete")[0][0]
        self.query("PRAGMA secure_delete = ON")
        self.query(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1_000)}")  # for those who read right now
        left: list[int] = [1]
        try:
            yield lambda: not left[0]
            left[0] = self.query("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        finally:
            self.query(f"PRAGMA secure_delete = {was}")
            self.query("PRAGMA busy_timeout = 0")

    def close(self) -> None:
        """Close the connection; the last one to close leaves a single file behind."""
        if self._usable:
            self._db.close()
        self._closed, self._suspended = True, False
