"""Database access: connections, transactions, schema creation and migration, change detection.

May touch: sqlite3, psycopg, the database's file, the schema. Knows nothing about what the rows mean. The only entry
points are `open_reader`, whose handle can only query, `open_private_copy`, which reads a store and derives into private
tables, `open_empty_tables`, and `open_writer`. A place is a SQLite file or the URL of a PostgreSQL database.
"""

from pathlib import Path

from failaware.engine.base import KeyTaken, PrivateCopy, ProjectionWriter, Reader, Row, Watch, Writer
from failaware.engine.derivation import Projection
from failaware.errors import UsageError
from failaware.place import resolve
from failaware.text import is_url, shown_place

__all__ = [
    "KeyTaken",
    "PrivateCopy",
    "Projection",
    "ProjectionWriter",
    "Reader",
    "Row",
    "Watch",
    "Writer",
    "is_postgres",
    "open_empty_tables",
    "open_private_copy",
    "open_reader",
    "open_writer",
]

_POSTGRES = ("postgresql", "postgres")


def open_reader(place: str | Path, *, busy_timeout_s: float = 30.0) -> Reader:
    """Open an existing store for reading; nothing can be written through the handle.

    `busy_timeout_s` is how long a query waits for a program that has locked the store exclusively.

    Raises:
        StoreError: missing, foreign, newer, corrupt, busy or unreadable; the message says which.
    """
    place = resolve(place)
    if is_postgres(place):
        from failaware.engine.postgres.reader import PostgresReader

        return PostgresReader(str(place), busy_timeout_s=busy_timeout_s)
    from failaware.engine.sqlite.reader import SqliteReader

    return SqliteReader(Path(place), busy_timeout_s=busy_timeout_s)


def open_private_copy(place: str | Path, *, facts: bool = False) -> PrivateCopy:
    """Open a store for reading, with empty private derived tables that shadow the store's.

    With `facts`, empty private fact tables shadow the store's as well, which remain available as `main.event_log` etc.

    Raises:
        StoreError: as `open_reader`.
    """
    from failaware.engine.sqlite.private_copy import PrivateCopyFromServer, PrivateCopyOfFile

    place = resolve(place)
    if is_postgres(place):
        from failaware.engine.postgres.reader import PostgresReader

        return PrivateCopyFromServer(PostgresReader(str(place), reads_derived=False), facts=facts)
    return PrivateCopyOfFile(Path(place), facts=facts)


def open_empty_tables() -> ProjectionWriter:
    """Open private, empty tables that belong to no store and disappear when they are closed."""
    from failaware.engine.sqlite.private_copy import EmptyTables

    return EmptyTables()


def open_writer(place: str | Path, *, synchronous: str, projection: Projection, go_back: bool = False) -> Writer:
    """Open a store for writing; create it, or migrate an older one, if necessary.

    Rows derived by an older version of failaware are derived again by the `projection`, in one transaction. A store
    derived by a newer version is refused, unless `go_back` is true.

    Raises:
        StoreError: foreign, newer, corrupt, busy or not writable; the message says which.
    """
    place = resolve(place)
    if is_postgres(place):
        from failaware.engine.postgres.writer import PostgresWriter

        return PostgresWriter(str(place), synchronous=synchronous, projection=projection, go_back=go_back)
    from failaware.engine.sqlite.writer import SqliteWriter

    return SqliteWriter(Path(place), synchronous=synchronous, projection=projection, go_back=go_back)


def is_postgres(place: str | Path) -> bool:
    """Return whether a place is a PostgreSQL database; otherwise it is a SQLite file.

    Raises:
        UsageError: it is neither, or psycopg is not installed.
    """
    text = str(place)
    if not is_url(text):
        return False
    scheme, _, _ = text.partition("://")
    if scheme not in _POSTGRES:
        raise UsageError(f"'{scheme}://' is no kind of store; name a SQLite file, or postgresql://user@host/database")
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise UsageError(
            f"{shown_place(place)} needs psycopg, which is not installed: pip install 'failaware[postgres]'"
        ) from None
    return True
