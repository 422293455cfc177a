"""Opening a store for writing: it is created, or migrated and derived again, if necessary."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from failaware.engine import derivation
from failaware.engine.base import ProjectionWriter, Row
from failaware.engine.derivation import Derivation, Projection
from failaware.engine.postgres import lock, roles, schema
from failaware.engine.postgres.errors import foreign, in_our_words
from failaware.errors import UsageError
from failaware.schema import versions

T = TypeVar("T")

_MAX_ATTEMPTS = 5  # at creating a schema that another process creates


class _Opened(ProjectionWriter, Protocol):
    """A connection that is being opened for writing."""

    path: str

    def raw(self, text: str) -> list[Row]:
        """Run statements in PostgreSQL's SQL."""

    def run_all(self, statements: Iterable[str]) -> None:
        """Run statements in PostgreSQL's SQL, one by one; the errors are the server's."""

    def stored_version(self) -> int:
        """The version of the store's schema; 0 if there is none."""

    def run(self, job: Callable[[], T]) -> T:
        """Run a job in a transaction under the store's lock."""


def create(db: _Opened, name: str, mark: Derivation) -> None:
    """Create a store in the schema of this name, unless another process does so meanwhile.

    Raises:
        UsageError: the name is a word of SQL.
        StoreForeign: the schema belongs to another program.
    """
    if db.raw(schema.RESERVED.format(schema=name)):
        raise UsageError(f"a store's schema cannot be '{name}', which is a word of SQL; name another one")
    creation = ("BEGIN READ WRITE", *schema.creation(name, mark), "COMMIT")
    for _ in range(_MAX_ATTEMPTS):
        if _made(db, *creation) or db.stored_version() > 0:
            return
    raise foreign(db.path, name)


def bring_up_to_date(db: _Opened, name: str, projection: Projection, *, go_back: bool) -> None:
    """Migrate an older store, and derive again what another version derived."""

    def is_outdated() -> bool:
        return derivation.is_outdated(db, projection.mark, db.path, go_back=go_back)

    def bring() -> None:
        db.execute(lock.exclude_recorders(name))
        db.query("SELECT 1")  # sends it
        version = db.stored_version()
        older = version < versions.current()
        if not older and not is_outdated():
            return  # another process did it while this one waited for the lock
        derivation.announce(db, db.path)
        if older or derivation.has_other_tables(db):  # only their owner can create them
            with in_our_words(db.path):
                for sql in (*schema.bringing_up_to_date(name, version), *roles.privileges_of_those_there(name)):
                    db.raw(sql)
        projection.derive(db)

    older = db.stored_version() < versions.current()
    if older:
        with in_our_words(db.path):
            for statements in schema.missing_locks(name):
                _made(db, *statements)
    if older or is_outdated():
        db.run(bring)


def _made(db: _Opened, *statements: str) -> bool:
    """Run statements that create objects; false if another process has made one of them."""
    try:
        db.run_all(statements)
    except BaseException as error:
        db.raw("ROLLBACK")
        if isinstance(error, schema.MADE_BY_ANOTHER):
            return False
        raise
    return True
