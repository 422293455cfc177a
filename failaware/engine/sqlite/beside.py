"""SQLite: a store opened for reading, with derived tables of one's own that stand before the store's by their names."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NoReturn

from failaware.engine.base import Parameters
from failaware.engine.schema import private_schema, work_tables
from failaware.engine.sqlite.errors import ITS_ERRORS
from failaware.engine.sqlite.files import BUSY_TIMEOUT_S
from failaware.engine.sqlite.reader import SqliteReader
from failaware.errors import StoreCorrupt

_CACHE_KIB = 262_144  # of private tables that are kept in memory; what is more goes to a temporary file


class SqliteBeside(SqliteReader):
    """The file handle refuses to write as any reader's does; only this connection's temporary tables can change."""

    COMES_BACK = False
    READS_DERIVED = False

    def __init__(self, path: Path, *, facts: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        super().__init__(path, busy_timeout_s=busy_timeout_s)
        try:
            self.execute(f"PRAGMA temp.cache_size = -{_CACHE_KIB}")
            self.query("PRAGMA temp.journal_mode = OFF")  # after an error the tables are of no use anyway
            for statement in (*private_schema(facts=facts), *work_tables()):
                self.execute(statement)
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run one statement."""
        try:
            self._db.execute(sql, parameters)
        except ITS_ERRORS as error:
            self._raise(error)

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row of parameters."""
        try:
            with self.snapshot():  # or each row would be a transaction of its own
                self._db.executemany(sql, rows)
        except ITS_ERRORS as error:
            self._raise(error)

    def clear(self, *tables: str) -> None:
        """Empty tables of one's own."""
        for table in tables:
            self.execute(f"DELETE FROM {table}")

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of a snapshot: nothing to do, since a statement that fails does not end the snapshot."""
        return nullcontext()

    def _raise(self, error: Exception) -> NoReturn:
        """Facts that the tables they are folded into do not take were not written by us."""
        if isinstance(error, sqlite3.IntegrityError):
            raise StoreCorrupt(f"{self.path} is damaged: its facts contradict each other ({error})") from error
        super()._raise(error)
