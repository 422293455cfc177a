"""How to talk to a database: connect, transact, create and migrate the schema, tell whether something changed.

May touch: sqlite3, the database's file, the schema. Knows no meaning. The only doors are `open_reader`, whose handle
can only query, `open_beside`, which has tables of its own beside those it can only read, and `open_writer`.
"""

from pathlib import Path

from failaware.engine.base import Deriver, Reader, Row, Writer
from failaware.engine.watch import Watch
from failaware.errors import UsageError

__all__ = ["Deriver", "Reader", "Row", "Watch", "Writer", "open_beside", "open_reader", "open_writer"]


def open_reader(place: str | Path, *, busy_timeout_s: float = 30.0) -> Reader:
    """Open a store that exists for reading; nothing can be written through it.

    `busy_timeout_s` is how long a query waits for a program that holds the file for itself.

    Raises:
        StoreError: missing, foreign, newer, corrupt, busy or unreadable; the message says which.
    """
    from failaware.engine.sqlite import SqliteReader

    return SqliteReader(_path(place), busy_timeout_s=busy_timeout_s)


def open_beside(place: str | Path, *, facts: bool = False) -> Deriver:
    """Open a store for reading, with empty derived tables of one's own in place of the store's.

    With `facts`, the fact tables are one's own, too; the store's are then to be had as `main.event_log` and so on.

    Raises:
        StoreError: as `open_reader`.
    """
    from failaware.engine.beside import SqliteBeside

    return SqliteBeside(_path(place), facts=facts)


def open_writer(place: str | Path, *, synchronous: str) -> Writer:
    """Open a store for writing; makes it, or brings an older one up to date, if need be.

    Raises:
        StoreError: foreign, newer, corrupt, busy or not writable; the message says which.
    """
    from failaware.engine.sqlite import SqliteWriter

    return SqliteWriter(_path(place), synchronous=synchronous)


def _path(place: str | Path) -> Path:
    text = str(place)
    if not text:
        raise UsageError("the store's path is empty; name a file, such as failaware.db")
    if "://" in text:
        scheme = text.partition("://")[0]
        raise UsageError(f"'{scheme}://' stores are not supported by this version; name a SQLite file instead")
    return Path(text)
