"""How to talk to a database: connect, transact, create and migrate the schema, tell whether something changed.

May touch: sqlite3, psycopg, the database's file, the schema. Knows no meaning. The only doors are `open_reader`, whose
handle can only query, `open_private_copy`, which derives in private tables from what it can only read, and
`open_writer`. A place is a SQLite file, or the URL of a PostgreSQL database.
"""

from pathlib import Path

from failaware.engine.base import PrivateCopy, ProjectionWriter, Reader, Row, Watch, Writer
from failaware.engine.derivation import Projection
from failaware.errors import UsageError
from failaware.place import resolve
from failaware.text import is_url, shown_place

__all__ = [
    "PrivateCopy",
    "Projection",
    "ProjectionWriter",
    "Reader",
    "Row",
    "Watch",
    "Writer",
    "is_postgres",
    "open_private_copy",
    "open_reader",
    "open_writer",
]

_POSTGRES = ("postgresql", "postgres")


def open_reader(place: str | Path, *, busy_timeout_s: float = 30.0) -> Reader:
    """Open a store that exists for reading; nothing can be written through it.

    `busy_timeout_s` is how long a query waits for a program that holds the store for itself.

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
    """Open a store for reading, with empty derived tables of one's own in place of the store's.

    With `facts`, the fact tables are one's own, too; the store's are then to be had as `main.event_log` and so on.

    Raises:
        StoreError: as `open_reader`.
    """
    from failaware.engine.sqlite.private_copy import PrivateCopyFromServer, PrivateCopyOfFile

    place = resolve(place)
    if is_postgres(place):
        from failaware.engine.postgres.reader import PostgresReader

        return PrivateCopyFromServer(PostgresReader(str(place), reads_derived=False), facts=facts)
    return PrivateCopyOfFile(Path(place), facts=facts)


def open_writer(place: str | Path, *, synchronous: str, projection: Projection, go_back: bool = False) -> Writer:
    """Open a store for writing; makes it, or brings an older one up to date, if need be.

    What an older failaware derived is derived again by the `projection`, in one transaction. What a newer one derived
    is refused, unless its user wants to `go_back` to this one.

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
    """Whether a place is a PostgreSQL database; otherwise it is a SQLite file.

    Raises:
        UsageError: it is neither, or what PostgreSQL needs is not installed.
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
