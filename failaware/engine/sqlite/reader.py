"""SQLite, read: a connection whose file handle itself refuses to write."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NoReturn

from failaware.engine.base import Parameters, Reader, Row
from failaware.engine.derivation import MARK, check_readable
from failaware.engine.sqlite.errors import ITS_ERRORS, in_our_words, is_interrupt, raise_ours
from failaware.engine.sqlite.files import (
    BUSY_TIMEOUT_S,
    at_rest,
    check_version,
    connect_read_only,
    identity,
    need_sqlite,
)
from failaware.engine.sqlite.permissions import warn_if_exposed
from failaware.engine.sqlite.schema_check import check_tables, own_views
from failaware.errors import StoreBusy, StoreMissing


class OfAFile:
    """What is the same of every file."""

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """The time (µs): all who have this file go by the same machine's."""
        return machine

    def role(self) -> str:
        """Who may do what, the file's permissions say."""
        return ""

    def size(self: Reader) -> int:
        """The file's bytes, as SQLite counts them."""
        sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return int(self.query(sql)[0][0])

    def defects(self: Reader) -> Iterator[tuple[str, str]]:
        """What is wrong with the schema or the file, and which of the two."""
        from failaware.engine.sqlite.schema_check import differences, integrity

        for difference in differences(self):
            yield "schema", difference
        for problem in integrity(self):
            yield "file", problem


class SqliteConnection:
    """What reading is on any connection of SQLite's; `path` is what it is called in errors."""

    path: str | Path
    _db: sqlite3.Connection
    _interrupted = False  # by `interrupt`, not by a signal

    def _follow(self) -> None:
        """Make the connection usable before a query or a snapshot."""

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT."""
        try:
            self._follow()
            return self._db.execute(sql, parameters).fetchall()
        except ITS_ERRORS as error:
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        if is_interrupt(error) and not self._interrupted:
            raise KeyboardInterrupt from None  # a signal's handler raised it, within SQLite
        self._interrupted = False
        raise_ours(error, self.path)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, all queries see the same moment; one within another is the outer one."""
        with in_our_words(self.path):
            begun_outside = self._db.in_transaction
        if begun_outside:
            yield
            return
        with in_our_words(self.path):
            self._follow()
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:  # a statement that was interrupted, or failed, may have ended it
                    self._db.execute("COMMIT")

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of a snapshot: nothing to do, since a statement that fails does not end the snapshot."""
        return nullcontext()

    def interrupt(self) -> None:
        """End the query that runs now, from another thread."""
        self._interrupted = True
        with suppress(sqlite3.ProgrammingError):  # it was closed meanwhile
            self._db.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


class SqliteReader(SqliteConnection, OfAFile):
    """A connection opened `mode=ro`: the file handle itself refuses to write."""

    path: Path
    COMES_BACK = True
    """Whether it may connect again in the middle: not where it has tables of its own."""
    READS_DERIVED = True
    """Whether the store's derived tables have to be as our statements know them."""

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        need_sqlite()
        with in_our_words(path):
            self._file = identity(path)
            self._timeout_s, self._opened = busy_timeout_s, 0
            self._connect()
        warn_if_exposed(path)

    def _connect(self) -> None:
        self._db, self._rest = connect_read_only(self.path, self._timeout_s)
        self._opened += 1
        try:
            check_version(self._db, self.path)
            is_ours = check_tables(self._db, self.path)
            if self.READS_DERIVED:
                check_readable(self._db.execute(MARK).fetchall(), str(self.path))
                for sql in () if is_ours else own_views():  # in front of another version's, which are never read
                    self._db.execute(sql)
        except BaseException:
            self._db.close()
            raise

    def _follow(self) -> None:
        """A store that was read as one at rest is opened again once somebody has written to it."""
        if self._rest is None or self._db.in_transaction or at_rest(self.path) == self._rest:
            return
        if not self.COMES_BACK:
            raise StoreBusy(f"{self.path} was written to while it was read without a lock; ask again")
        self._db.close()
        self._connect()

    def _raise(self, error: Exception) -> NoReturn:
        if not is_interrupt(error) and self._rest is not None and at_rest(self.path) != self._rest:
            raise StoreBusy(f"{self.path} was written to while it was read without a lock; ask again") from error
        super()._raise(error)

    def change_token(self) -> int:
        """SQLite's data_version: differs when another connection has committed.

        A file that was deleted or replaced would answer from its old self for ever: that raises StoreMissing.
        """
        if identity(self.path) != self._file:
            raise StoreMissing(f"{self.path} was deleted or replaced while it was open; open it again")
        with in_our_words(self.path):
            self._follow()
            return int(self._db.execute("PRAGMA data_version").fetchone()[0]) + (self._opened << 32)
