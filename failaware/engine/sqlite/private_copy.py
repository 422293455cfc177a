"""A private SQLite database to derive in: empty derived tables of one connection that shadow the store's.

A file is read in place: it is the connection's `main`, opened read-only, and the private tables are temporary. For a
store on a server, `main` is a temporary database into which `fetch` copies the rows needed; the server only runs
SELECTs. SQLite keeps temporary databases in memory up to a limit and the rest in files that it unlinks when it opens
them, so they disappear with the process even if it is killed.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn

from failaware.engine.base import Parameters, Reader, Row, ServerReader
from failaware.engine.sqlite.errors import ITS_ERRORS
from failaware.engine.sqlite.files import BUSY_TIMEOUT_S, connect_temporary
from failaware.engine.sqlite.reader import SqliteConnection, SqliteReader
from failaware.errors import StoreCorrupt
from failaware.schema.ddl import columns_and_keys, fetched_schema, private_schema, work_tables

_CACHE_KIB = 262_144  # memory for private tables; the rest goes to a temporary file
_FETCHED_CACHE_KIB = 65_536
_REPORTED = 10_000  # rows after which progress is reported


class _PrivateTables(SqliteConnection):
    """A connection that can change only its temporary tables and the rows fetched into `main`."""

    def _make_tables(self, *, facts: bool) -> None:
        self.execute(f"PRAGMA temp.cache_size = -{_CACHE_KIB}")
        self.query("PRAGMA temp.journal_mode = OFF")  # after an error the tables are discarded anyway
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
        """Report a constraint violation as corruption: failaware does not write facts that the fold rejects."""
        if isinstance(error, sqlite3.IntegrityError):
            raise StoreCorrupt(f"{self.path} is damaged: its facts contradict each other ({error})") from error
        super()._raise(error)


class PrivateCopyOfFile(_PrivateTables, SqliteReader):
    """A store's file, opened read-only, with private tables."""

    RECONNECTS = False
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
        """The store, read by the same connection."""
        return self

    def fetch(
        self, table: str, where: str = "", parameters: Parameters = (), *, progress: Callable[[int], None] | None = None
    ) -> None:
        """Nothing to do: the store's tables are in `main`."""

    def forget(self, *tables: str) -> None:
        """Nothing to do."""


class PrivateCopyFromServer(_PrivateTables):
    """Private tables, and in `main` the rows fetched from a store on a server."""

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
        """Remove the fetched rows of these tables."""
        self.clear(*(f"main.{table}" for table in tables))

    def change_token(self) -> object:
        """The store's change token."""
        return self.store.change_token()

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """The store's time (µs)."""
        return self.store.clock(machine)

    def flush_mode(self) -> str:
        """That of the store."""
        return self.store.flush_mode()

    def role(self) -> str:
        """The database role that reads the store."""
        return self.store.role()

    def size(self) -> int:
        """The size of the store in bytes."""
        return self.store.size()

    def defects(self) -> Iterator[tuple[str, str]]:
        """The defects of the store's schema."""
        return self.store.defects()

    def interrupt(self) -> None:
        """Cancel the query running here or on the server, from another thread."""
        super().interrupt()
        self.store.interrupt()

    def close(self) -> None:
        """Close both connections, which also removes the temporary database."""
        super().close()
        self.store.close()


class EmptyTables(_PrivateTables):
    """Private tables of no store, facts included: for rows of several stores."""

    path = "the temporary tables of several stores"

    def __init__(self) -> None:
        self._db = connect_temporary()
        self._make_tables(facts=True)

    def change_token(self) -> object:
        """Nobody else writes here."""
        return 0

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """The machine's."""
        return machine

    def flush_mode(self) -> str:
        """Nothing is flushed."""
        return ""

    def role(self) -> str:
        """Empty: there is no server."""
        return ""

    def size(self) -> int:
        """No facts are held."""
        return 0

    def defects(self) -> Iterator[tuple[str, str]]:
        """None are looked for."""
        return iter(())


def _counted(rows: Iterable[Row], progress: Callable[[int], None]) -> Iterator[Row]:
    number = 0
    for number, row in enumerate(rows, 1):
        yield row
        if number % _REPORTED == 0:
            progress(number)
    progress(number)
