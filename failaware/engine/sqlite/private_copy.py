"""A private SQLite database to derive in: empty derived tables of one connection, in front of the store's.

A store that is a file is read where it is: the file is the connection's `main`, opened read-only, and the tables are
temporary ones. Of a store on a server, `main` is a temporary database into which `fetch` copies what is needed; the
server only ever sees SELECTs. SQLite keeps temporary databases in memory up to a bound and the rest in files that it
removes as soon as they are open, so that they are gone with the process, however it ends.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from failaware.engine.base import Parameters, Reader, Row, ServerReader
from failaware.engine.schema import columns_and_keys, fetched_schema, private_schema, work_tables
from failaware.engine.sqlite.errors import ITS_ERRORS
from failaware.engine.sqlite.files import BUSY_TIMEOUT_S, connect_temporary
from failaware.engine.sqlite.reader import SqliteConnection, SqliteReader
from failaware.errors import StoreCorrupt

_CACHE_KIB = 262_144  # of private tables that are kept in memory; what is more goes to a temporary file
_FETCHED_CACHE_KIB = 65_536
_REPORTED = 10_000  # rows after which progress is reported


class _PrivateTables(SqliteConnection):
    """Only the connection's temporary tables can change, and what was fetched into `main`."""

    def _make_tables(self, *, facts: bool) -> None:
        self.execute(f"PRAGMA temp.cache_size = -{_CACHE_KIB}")
        self.query("PRAGMA temp.journal_mode = OFF")  # after an error the tables are of no use anyway
        for statement in (*private_schema(facts=facts), *work_tables()):
            self.execute(statement)

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
        """Empty private tables."""
        for table in tables:
            self.execute(f"DELETE FROM {table}")

    def _raise(self, error: Exception) -> NoReturn:
        """Facts that the tables they are folded into do not take were not written by us."""
        if isinstance(error, sqlite3.IntegrityError):
            raise StoreCorrupt(f"{self.path} is damaged: its facts contradict each other ({error})") from error
        super()._raise(error)


class PrivateCopyOfFile(_PrivateTables, SqliteReader):
    """A store's file, which refuses to be written to as for any reader, with private tables."""

    COMES_BACK = False
    READS_DERIVED = False

    def __init__(self, path: Path, *, facts: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        super().__init__(path, busy_timeout_s=busy_timeout_s)
        try:
            self._make_tables(facts=facts)
        except BaseException:
            self.close()
            raise

    @property
    def store(self) -> Reader:
        """The store, which this connection reads."""
        return self

    def fetch(
        self, table: str, where: str = "", parameters: Parameters = (), *, progress: Callable[[int], None] | None = None
    ) -> None:
        """Nothing to do: the store's tables are in `main`."""

    def forget(self, *tables: str) -> None:
        """Nothing to do."""


class PrivateCopyFromServer(_PrivateTables):
    """Private tables, and in `main` what was fetched from a store on a server."""

    def __init__(self, store: ServerReader, *, facts: bool = False) -> None:
        self.store = store
        self.path = f"the temporary copy of {store.path}"
        self._db = connect_temporary()
        try:
            self.execute(f"PRAGMA main.cache_size = -{_FETCHED_CACHE_KIB}")
            self.query("PRAGMA main.journal_mode = OFF")
            self.execute("PRAGMA main.synchronous = OFF")
            for statement in fetched_schema():
                self.execute(statement)
            self._make_tables(facts=facts)
        except BaseException:
            self.close()
            raise

    def fetch(
        self, table: str, where: str = "", parameters: Parameters = (), *, progress: Callable[[int], None] | None = None
    ) -> None:
        """Copy rows of the store into the same table of `main`."""
        columns, keys = columns_and_keys(table)
        sql = f"SELECT {', '.join(columns)} FROM {table}{where and f' WHERE {where}'} ORDER BY {', '.join(keys)}"
        places = ", ".join("?" * len(columns))
        with closing(self.store.stream(sql, parameters)) as rows:
            self.execute_many(
                f"INSERT INTO main.{table} ({', '.join(columns)}) VALUES ({places})",
                _counted(rows, progress) if progress else rows,
            )

    def forget(self, *tables: str) -> None:
        """Remove what was fetched of these tables."""
        self.clear(*(f"main.{table}" for table in tables))

    def change_token(self) -> object:
        """As of the store."""
        return self.store.change_token()

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """The store's time (µs)."""
        return self.store.clock(machine)

    def role(self) -> str:
        """As whom the store is read."""
        return self.store.role()

    def size(self) -> int:
        """The bytes of the store."""
        return self.store.size()

    def defects(self) -> Iterator[tuple[str, str]]:
        """What is wrong with the store's schema."""
        return self.store.defects()

    def interrupt(self) -> None:
        """End the query that runs now, here or on the server, from another thread."""
        super().interrupt()
        self.store.interrupt()

    def close(self) -> None:
        """Close both connections; the temporary database is gone with its own."""
        super().close()
        self.store.close()


def _counted(rows: Iterable[Row], progress: Callable[[int], None]) -> Iterator[Row]:
    number = 0
    for number, row in enumerate(rows, 1):
        yield row
        if number % _REPORTED == 0:
            progress(number)
    progress(number)
