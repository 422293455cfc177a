"""The derivation mark: a row of `setting`, written with the derived rows, that identifies the version that wrote them.

When a release changes a rule or the projection, the facts stay the same, but rows derived before differ from those that
the new release derives. The mark distinguishes this from corruption. It consists of digests, which need no manually
incremented number, and of failaware's version, which orders two marks.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from failaware.engine.base import ProjectionWriter, Reader, Row
from failaware.engine.sql import digest_of
from failaware.errors import StoreError, StoreNewer, StoreOlder
from failaware.schema.ddl import statements
from failaware.warn import warn

NAME = "derivation"
"""The mark's name in `setting`."""

MARK = f"SELECT value FROM setting WHERE name = '{NAME}'"
"""SQL for the mark."""

CURRENT, OLDER, NEWER = "current", "older", "newer"
"""How a store's mark compares with ours: the same digests, or others by an older or a newer version."""

_MANY = 100_000  # attempts from which a rebuild is announced: it takes a second or more
_PER_SECOND = 80_000
_RELEASE = re.compile(r"\d+(?:\.\d+)*")
_VIEW = "CREATE VIEW "


class Derivation(NamedTuple):
    """A mark: failaware's version, and digests of the derived tables, of the views, and of how they are filled."""

    failaware: str
    tables: str
    views: str
    projection: str

    def __str__(self) -> str:
        return " ".join(self)

    def compared(self, stored: "Derivation | None") -> str:
        """Compare a store's mark with this one, ours. A store without a mark predates marks.

        Another derivation by the same version of failaware, as from a development checkout, counts as older.
        """
        if stored is None:
            return OLDER
        if stored[1:] == self[1:]:
            return CURRENT
        return NEWER if _release(stored.failaware) > _release(self.failaware) else OLDER


class Projection(NamedTuple):
    """How a store's derived tables are filled: `derive` fills them and writes the mark."""

    mark: Derivation
    derive: Callable[[ProjectionWriter], None]


def mark(failaware: str, projection: str) -> Derivation:
    """This failaware's own mark; `projection` is the digest of how the derived tables are filled."""
    return Derivation(failaware, tables_digest(), _views_digest(), projection)


def stored_mark(db: Reader, *, private: bool = False) -> Derivation | None:
    """The mark of a store, or of private tables in front of it; None if it is missing or malformed."""
    return _parsed(db.query(MARK if private else MARK.replace("setting", f"{db.dialect.store}setting")))


def _parsed(marks: Sequence[Row]) -> Derivation | None:
    text = marks[0][0] if marks else None
    words = text.split() if isinstance(text, str) else []
    return Derivation(*words) if len(words) == len(Derivation._fields) else None


def check_readable(marks: Sequence[Row], place: str) -> None:
    """Refuse to read derived tables whose columns or indexes differ from those that our statements use.

    `marks` is the result of `MARK`.

    Raises:
        StoreOlder, StoreNewer: an older or a newer version of failaware made them.
    """
    from failaware.version import __version__

    stored = _parsed(marks)
    if stored is None or stored.tables == tables_digest():
        return
    if _release(stored.failaware) > _release(__version__):
        raise StoreNewer(f"{place} was derived by a newer failaware ({stored.failaware}); upgrade failaware")
    raise StoreOlder(
        f"{place} was derived by an older failaware ({stored.failaware}), whose derived tables differ; "
        "a user who may write to it brings it up to date with 'failaware rebuild'"
    )


def is_outdated(db: Reader, ours: Derivation, place: str, *, go_back: bool) -> bool:
    """Return whether a writer has to derive the store again with its own version.

    Raises:
        StoreNewer: a newer version derived it and `go_back` is false; otherwise two versions that write to one store
            would derive it in turns forever.
    """
    stored = stored_mark(db)
    state = ours.compared(stored)
    if stored is not None and state == NEWER and not go_back:
        raise StoreNewer(
            f"{place} was derived by a newer failaware ({stored.failaware}, this is {ours.failaware}); upgrade "
            "failaware, or go back for good: 'failaware rebuild' derives it by this one"
        )
    return state != CURRENT


def check_unchanged(ours: Derivation, marks: Sequence[Row], place: str) -> None:
    """Refuse to write if another version has derived the store since it was opened; `marks` is the result of `MARK`.

    Raises:
        StoreNewer, StoreError: another version has derived it; nothing is written.
    """
    stored = _parsed(marks)
    state = ours.compared(stored)
    if state == CURRENT:
        return
    by = stored.failaware if stored else "unknown"
    kind, advice = StoreError, "open it again, and it is derived by this one"
    if state == NEWER:
        kind, advice = StoreNewer, "upgrade failaware here as well, and start this program again"
    raise kind(
        f"{place} was derived by another version of failaware ({by}, this is {ours.failaware}) since it was opened; "
        f"nothing was written; {advice}"
    )


def announce(db: Reader, place: str) -> None:
    """Warn that a large store is about to be derived again, because other writers have to wait."""
    ((attempts,),) = db.query("SELECT coalesce(max(attempt_id), 0) FROM attempt_log")
    if attempts >= _MANY:
        warn(
            f"{place} was derived by an older version of failaware; everything is derived again, from {attempts:,} "
            f"attempts, which takes about {attempts // _PER_SECOND:,} s, and other writers wait",
            RuntimeWarning,
        )


def has_other_tables(db: Reader) -> bool:
    """Return whether the mark, if there is one, says that the store's derived tables or views differ from ours."""
    return are_of_another_version(db.query(MARK.replace("setting", f"{db.dialect.store}setting")))


def are_of_another_version(marks: Sequence[Row]) -> bool:
    """As `has_other_tables`, for the result of `MARK`."""
    stored = _parsed(marks)
    return stored is not None and (stored.tables, stored.views) != (tables_digest(), _views_digest())


@cache
def tables_digest() -> str:
    """The digest of our derived tables and their indexes."""
    return digest_of(sql for sql in statements("derived.sql") if _VIEW not in sql)


@cache
def _views_digest() -> str:
    views = (sql for name in ("derived.sql", "views.sql") for sql in statements(name) if _VIEW in sql)
    return digest_of(views)


def _release(version: str) -> tuple[int, ...]:
    """A version's numbers; empty for a version without numbers, which is never released."""
    numbers = _RELEASE.match(version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def noted(ours: Derivation) -> str:
    """SQL that writes the mark into a new store, which has nothing to derive yet."""
    return f"INSERT INTO setting (name, value) VALUES ('{NAME}', '{ours}')"
