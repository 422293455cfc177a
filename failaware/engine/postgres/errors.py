"""PostgreSQL's errors translated into ours: one sentence that says what is wrong and what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import psycopg
from psycopg import errors

from failaware.engine.postgres import citus
from failaware.errors import (
    StatementError,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreMissing,
    TransactionEnded,
    UsageError,
)
from failaware.schema.ddl import CONTRADICTS, is_derived

_DAMAGED = "{place} is damaged ({error}); restore a backup"
_BY_KIND: tuple[tuple[type[psycopg.Error], type[StoreError], str], ...] = (
    (
        errors.LockNotAvailable,
        StoreBusy,
        "{place} is locked: another program has been writing for a long time; try again when it is done",
    ),
    (
        errors.IdleInTransactionSessionTimeout,
        TransactionEnded,
        "{place}: the server ended a transaction that did nothing for too long; nothing of it was written",
    ),
    *(
        (kind, TransactionEnded, "{place}: a statement in the transaction ended it")
        for kind in (errors.InvalidSavepointSpecification, errors.NoActiveSqlTransaction)
    ),
    (
        errors.QueryCanceled,
        StoreError,
        "{place}: the query did not end: it took longer than statement_timeout allows, or was ended from outside",
    ),
    (
        errors.InsufficientPrivilege,
        StoreError,
        "{place}: {error}; connect as a role that may, see 'failaware init --roles'",
    ),
    (
        errors.ReadOnlySqlTransaction,
        StoreError,
        "{place} cannot be written here: it was opened read-only, or the server is a standby ({error})",
    ),
    (
        errors.SerializationFailure,
        StoreBusy,
        "{place}: the server canceled a query that conflicts with other work ({error}); try again",
    ),
    (errors.DeadlockDetected, StoreBusy, "{place}: another program locks the store's tables ({error}); try again"),
    (errors.TooManyConnections, StoreBusy, "{place}: the server has no connection left; try again later"),
    (errors.DiskFull, StoreFull, "{place}: the server's disk is full; the write was rolled back; free some space"),
    (errors.OutOfMemory, StoreError, "{place}: the server has too little memory for this ({error})"),
    (errors.DataCorrupted, StoreCorrupt, _DAMAGED),
    (errors.IndexCorrupted, StoreCorrupt, "{place} is damaged ({error}); REINDEX, or restore a backup"),
)

_ON_CONNECTING: tuple[tuple[str, type[StoreError | UsageError], str], ...] = (
    (
        "password authentication failed|no password supplied",
        StoreError,
        "{place}: the password is wrong or missing; set it in the URL, in PGPASSWORD or in ~/.pgpass",
    ),
    (
        'database "[^"]*" does not exist',
        StoreMissing,
        "{place}: there is no such database ({error}); create it with 'createdb', or name another",
    ),
    (
        "role .* does not exist|pg_hba.conf|authentication failed|not permitted to log in|permission denied for data",
        StoreError,
        "{place}: the server does not let this user in ({error})",
    ),
    (
        "too many (clients|connections)|connection slots are reserved",
        StoreBusy,
        "{place}: the server has no connection left; try again later",
    ),
    ("invalid .* value|invalid integer|invalid (port|connection option)", UsageError, "{place}: {error}"),
    ("the connection is closed", StoreError, "{place} was closed; open it again"),
)
"""Errors of libpq, which have no SQLSTATE; messages in another language are quoted unchanged."""

UNKNOWN = (
    "it is unknown whether the current transaction was committed; events with a key can be recorded again without "
    "duplicates"
)
"""Part of the error if the answer to a commit was lost."""

ITS_ERRORS = (psycopg.Error, OverflowError, UnicodeError)
"""The exceptions that connecting or a statement may raise, other than programming errors."""


def raise_ours(error: Exception, place: str) -> NoReturn:
    """Raise one of `ITS_ERRORS` as one of our errors."""
    if isinstance(error, OverflowError | errors.NumericValueOutOfRange):
        raise UsageError("a number is larger than a store can hold, which is 2^63 - 1") from None
    if isinstance(error, UnicodeEncodeError):
        raise UsageError("a text holds half a character (a lone surrogate), which no store can hold") from None
    message = " ".join(str(error).split())
    if isinstance(error, psycopg.DataError) and "NUL" in message:
        raise UsageError("a text holds a NUL character, which PostgreSQL cannot keep") from None
    if isinstance(error, UnicodeError):
        raise StoreCorrupt(_DAMAGED.format(place=place, error="it holds a text that is no UTF-8")) from error
    for kind, error_class, sentence in _BY_KIND:
        if isinstance(error, kind):
            raise error_class(sentence.format(place=place, error=message)) from error
    if isinstance(error, psycopg.IntegrityError):
        if (table := error.diag.table_name) and is_derived(table):
            raise StoreCorrupt(CONTRADICTS.format(place=place, error=message)) from error
        raise UsageError(f"{place} does not take such a row: {message}") from error
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        _raise_operational(error, place, message)
    raise StatementError(f"{place}: the server refused a statement ({message})") from error


def _raise_operational(error: Exception, place: str, message: str) -> NoReturn:
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate == citus.ELSEWHERE:
        raise StoreError(citus.SENTENCE.format(place=place, node=message.partition(" ")[0])) from error
    for pattern, error_class, sentence in _ON_CONNECTING:
        if re.search(pattern, message):
            raise error_class(sentence.format(place=place, error=message)) from error
    if sqlstate and not isinstance(error, errors.AdminShutdown | errors.CrashShutdown):
        raise StoreError(f"{place}: the server ended the query or the connection ({message})") from error
    raise StoreError(f"{place} cannot be reached: {message}; is the server there?") from error


def foreign(place: str, schema: str) -> StoreForeign:
    """The error for a schema that belongs to another program."""
    return StoreForeign(
        f"{place}: the schema {schema} is of another program; name another one with ?schema=NAME at the URL's end"
    )


@contextmanager
def in_our_words(place: str) -> Iterator[None]:
    """Translate exceptions of PostgreSQL within the block into our errors."""
    try:
        yield
    except ITS_ERRORS as error:
        raise_ours(error, place)
