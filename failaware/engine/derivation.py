"""Which version of failaware made what is derived: a mark in the table `setting`, written with it.

Facts stay as they are when a release changes a rule or the projection; what was derived from them before then differs
from what the new release derives. The mark tells that from corruption. It is made of digests, so that whoever changes a
rule has no number to raise, and of failaware's version, which says which of two is the newer one.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from failaware.engine.base import ProjectionWriter, Reader, Row
from failaware.engine.schema import statements
from failaware.engine.sql import digest_of
from failaware.errors import StoreError, StoreNewer, StoreOlder
from failaware.warn import warn

NAME = "derivation"
"""The mark's name in `setting`."""

MARK = f"SELECT value FROM setting WHERE name = '{NAME}'"
"""SQL for the mark."""

CURRENT, OLDER, NEWER = "current", "older", "newer"
"""What a store's mark is to this failaware's: the same digests, or others by an older or a newer version."""

_MANY = 100_000  # attempts, from which on deriving them is announced: it takes a second or more
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
        """What a store's mark is to this one, which is ours. One without a mark was made before there were marks.

        Another derivation by a failaware of the same version, as of a checkout, is called older: nobody can tell.
        """
        if stored is None:
            return OLDER
        if stored[1:] == self[1:]:
            return CURRENT
        return NEWER if _release(stored.failaware) > _release(self.failaware) else OLDER


class Projection(NamedTuple):
    """How a store's derived tables are filled: by this mark, and by `derive`, which fills them and writes the mark."""

    mark: Derivation
    derive: Callable[[ProjectionWriter], None]


def mark(failaware: str, projection: str) -> Derivation:
    """This failaware's own mark; `projection` is the digest of how the derived tables are filled."""
    return Derivation(failaware, tables_digest(), _views_digest(), projection)


def stored_mark(db: Reader, *, of: str = "main.") -> Derivation | None:
    """The mark of a store; None where it has none, or no legible one. `of` is a schema, as before a table."""
    return _parsed(db.query(MARK.replace("setting", f"{of}setting")))


def _parsed(marks: Sequence[Row]) -> Derivation | None:
    text = marks[0][0] if marks else None
    words = text.split() if isinstance(text, str) else []
    return Derivation(*words) if len(words) == len(Derivation._fields) else None


def check_readable(marks: Sequence[Row], place: str) -> None:
    """Refuse, to a reader, derived tables that have other columns or indexes than our statements know.

    `marks` is what `MARK` gives.

    Raises:
        StoreOlder, StoreNewer: the mark says by whom they were made.
    """
    from failaware.version import __version__

    stored = _parsed(marks)
    if stored is None or stored.tables == tables_digest():
        return
    if _release(stored.failaware) > _release(__version__):
        raise StoreNewer(f"{place} was derived by a newer failaware ({stored.failaware}); upgrade failaware")
    raise StoreOlder(
        f"{place} was derived by an older failaware ({stored.failaware}), whose derived tables differ; "
        "whoever may write to it brings it up to date with 'failaware rebuild'"
    )


def is_outdated(db: Reader, ours: Derivation, place: str, *, go_back: bool) -> bool:
    """Whether a writer has to derive a store by its own version.

    Raises:
        StoreNewer: a newer failaware has derived it, and its user does not want to `go_back`: two versions that write
            would otherwise derive it in turns for ever.
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
    """Refuse to write where another version has derived the store since it was opened; `marks` is what `MARK` gives.

    Raises:
        StoreNewer, StoreError: so it is; nothing is written.
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
    """Say that a large store is about to be derived, since it takes a while and other writers wait."""
    ((attempts,),) = db.query("SELECT coalesce(max(attempt_id), 0) FROM attempt_log")
    if attempts >= _MANY:
        warn(
            f"{place} was derived by an older version of failaware; everything is derived again, from {attempts:,} "
            f"attempts, which takes about {attempts // _PER_SECOND:,} s, and other writers wait",
            RuntimeWarning,
        )


def has_other_tables(db: Reader) -> bool:
    """Whether a store has other derived tables or views than this failaware makes; by its mark, if it has one."""
    return are_of_another_version(db.query(MARK.replace("setting", "main.setting")))


def are_of_another_version(marks: Sequence[Row]) -> bool:
    """As `has_other_tables`, of what `MARK` gives."""
    stored = _parsed(marks)
    return stored is not None and (stored.tables, stored.views) != (tables_digest(), _views_digest())


@cache
def tables_digest() -> str:
    """The digest of the derived tables with their indexes, as our statements know them."""
    return digest_of(sql for sql in statements("derived.sql") if _VIEW not in sql)


@cache
def _views_digest() -> str:
    views = (sql for name in ("derived.sql", "views.sql") for sql in statements(name) if _VIEW in sql)
    return digest_of(views)


def _release(version: str) -> tuple[int, ...]:
    """A version's numbers; of one that has none, which nobody releases, nothing."""
    numbers = _RELEASE.match(version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def noted(ours: Derivation) -> str:
    """SQL that puts the mark into a store that is being made, in which nothing is to be derived yet."""
    return f"INSERT INTO setting (name, value) VALUES ('{NAME}', '{ours}')"
