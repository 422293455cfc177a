"""What PostgreSQL says, in our words: one sentence that says what is wrong and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import psycopg
from psycopg import errors

from failaware.engine.schema import CONTRADICTS, is_derived
from failaware.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreMissing,
    TransactionEnded,
    UsageError,
)

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
    (
        errors.InvalidPassword,
        StoreError,
        "{place}: the password is wrong or missing; name it in the URL, in PGPASSWORD or in ~/.pgpass",
    ),
    (
        errors.InvalidAuthorizationSpecification,
        StoreError,
        "{place}: the server does not let this user in ({error})",
    ),
    (
        errors.InvalidCatalogName,
        StoreMissing,
        "{place}: there is no such database ({error}); make it with 'createdb', or name another",
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
    (errors.TooManyConnections, StoreBusy, "{place}: the server has no connection left; try again later"),
    (errors.DiskFull, StoreError, "{place}: the server's disk is full; nothing was half-written, make room"),
    (errors.DataCorrupted, StoreCorrupt, "{place} is damaged ({error}); restore a backup"),
    (errors.IndexCorrupted, StoreCorrupt, "{place} is damaged ({error}); REINDEX, or restore a backup"),
)


def raise_ours(error: Exception, place: str) -> NoReturn:
    """Raise what PostgreSQL says as one of our errors; what is a bug of ours passes as it is."""
    if isinstance(error, OverflowError | errors.NumericValueOutOfRange):
        raise UsageError("a number is larger than a store can hold, which is 2^63 - 1") from None
    said = " ".join(str(error).split())
    if isinstance(error, psycopg.DataError) and "NUL" in said:
        raise UsageError("a text holds a NUL character, which PostgreSQL cannot keep") from None
    if isinstance(error, errors.QueryCanceled):
        late = "timeout" in said
        why = "it took longer than statement_timeout allows" if late else "it was ended from outside"
        raise StoreError(f"{place}: the query did not end: {why}") from error
    for kind, ours, sentence in _BY_KIND:
        if isinstance(error, kind):
            raise ours(sentence.format(place=place, error=said)) from error
    if isinstance(error, psycopg.IntegrityError) and (table := error.diag.table_name) and is_derived(table):
        raise StoreCorrupt(CONTRADICTS.format(place=place, error=said)) from error
    if isinstance(error, psycopg.OperationalError):
        raise StoreError(f"{place} cannot be reached: {said}; is the server there?") from error
    raise error


def foreign(place: str, schema: str) -> StoreForeign:
    """The schema is somebody else's."""
    return StoreForeign(
        f"{place}: the schema {schema} is of another program; name another one with ?schema=NAME at the URL's end"
    )


@contextmanager
def in_our_words(place: str) -> Iterator[None]:
    """Within it, what PostgreSQL raises becomes one of our errors."""
    try:
        yield
    except (psycopg.Error, OverflowError) as error:
        raise_ours(error, place)
