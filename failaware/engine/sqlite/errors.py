"""SQLite's errors translated into ours: one sentence that says what is wrong and what to do."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from failaware.errors import StatementError, StoreBusy, StoreCorrupt, StoreError, StoreForeign, StoreFull, UsageError
from failaware.schema.ddl import CONTRADICTS, is_derived

_DAMAGED = (
    "{path} is damaged ({error}); keep a copy of it, 'failaware export' saves what can be read, and restore a backup"
)
_BY_CODE: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_NOTADB: (
        StoreForeign,
        "{path} is not a SQLite database; name a failaware store, or a new file",
    ),
    sqlite3.SQLITE_CORRUPT: (StoreCorrupt, _DAMAGED),
    sqlite3.SQLITE_BUSY: (
        StoreBusy,
        "{path} is locked: another program holds it for itself; try again when it is done",
    ),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "{path} is locked; try again"),
    sqlite3.SQLITE_READONLY: (
        StoreError,
        "{path} cannot be written: the file, its folder or its disk is read-only ({error})",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        StoreError,
        "{path} cannot be opened: {error}; is the folder there and writable?",
    ),
    sqlite3.SQLITE_FULL: (
        StoreFull,
        "{path}: the disk is full; the write was rolled back; free some space and try again",
    ),
    sqlite3.SQLITE_TOOBIG: (
        StoreFull,
        "{path}: a value has more than 128 MiB, which a store neither takes nor gives",
    ),
    sqlite3.SQLITE_IOERR: (StoreError, "{path}: the disk reports an I/O error ({error})"),
    sqlite3.SQLITE_INTERRUPT: (StoreError, "{path}: the query was ended from outside"),
}

_REFUSED = (StatementError, "{path}: SQLite refused a statement ({error})")

_NOT_AS_MADE = re.compile(
    "no such (table|column|index)|unsupported file format|malformed|unable to validate"
    "|JSON cannot hold|integer overflow"
)
"""How SQLite's message begins if the schema or a value is not what our statements expect."""

_BROKEN = re.compile(r"\w[\w ]* constraint failed: (\w+)")

_CLOSED = "Cannot operate on a closed database."

ITS_ERRORS = (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError)
"""The exceptions that a statement may raise."""


class NotAsMade(StoreCorrupt, StatementError):
    """A statement does not match the tables; if the statement is ours, the store is damaged."""


def is_busy(error: Exception) -> bool:
    """Return whether another connection holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def is_interrupt(error: Exception) -> bool:
    """Return whether a statement was interrupted: by `interrupt`, or by an exception raised in a signal handler."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_INTERRUPT


def raise_ours(error: Exception, path: str | Path) -> NoReturn:
    """Raise one of `ITS_ERRORS` as one of our errors."""
    if isinstance(error, OverflowError):
        raise UsageError("a number is larger than a store can hold, which is 2^63 - 1") from None
    if isinstance(error, UnicodeEncodeError):
        raise UsageError("a text holds half a character (a lone surrogate), which no store can hold") from None
    if isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in str(error):
        raise StoreCorrupt(_DAMAGED.format(path=path, error="it holds a text that is no UTF-8")) from None
    if _NOT_AS_MADE.match(str(error)):
        of_statement = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR
        raise (NotAsMade if of_statement else StoreCorrupt)(_DAMAGED.format(path=path, error=error)) from error
    if (broken := _BROKEN.match(str(error))) and is_derived(broken[1]):
        raise StoreCorrupt(CONTRADICTS.format(place=path, error=error)) from error
    if isinstance(error, sqlite3.IntegrityError):
        raise UsageError(f"{path} does not take such a row: {error}") from error
    if str(error) == _CLOSED:
        raise StoreError(f"{path} was closed; open it again") from error
    kind, sentence = _BY_CODE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _REFUSED)
    raise kind(sentence.format(path=path, error=error)) from error


@contextmanager
def in_our_words(path: str | Path) -> Iterator[None]:
    """Translate exceptions of SQLite within the block into our errors."""
    try:
        yield
    except ITS_ERRORS as error:
        raise_ours(error, path)
