"""Sealing: now and then, away from where facts are appended, the facts since the last seals come under new ones.

The digests are made outside any transaction, since facts do not change; only the seals are written in one.
"""

from collections.abc import Collection
from typing import TypeVar

from failaware.derive.settings import seals_are_held
from failaware.engine import Reader, Writer
from failaware.engine.catalogue import SEAL, SEALED
from failaware.errors import UsageError
from failaware.ledger.seals import SEALED_AT_ONCE, Head, Seal, digests, head, make_seal
from failaware.session import Session

T = TypeVar("T")

RANGE = 2_048
"""Facts under one seal, at most."""

EVERY_US = 3_600_000_000
"""After this hour (µs) fewer are sealed too."""

_LATER = tuple(sealed.table for sealed in SEALED if sealed.table not in SEALED_AT_ONCE)

_REACHED = " UNION ALL ".join(
    f"SELECT '{sealed.table}', (SELECT coalesce(max(last_id), 0) FROM seal_log WHERE of_table = '{sealed.table}'), "
    f"(SELECT coalesce(max({sealed.key}), 0) FROM {sealed.table})"
    for sealed in SEALED
)


def seal_what_is_due(session: Session, now: int) -> None:
    """Seal, if that is due: a whole range waits, or the last seal is an hour old."""
    while session.read(lambda db: _is_due(db, now)) and seal_round(session, now):
        pass


def seal_all(session: Session, now: int) -> None:
    """Seal every fact that there is.

    Raises:
        UsageError: facts are being taken over from another store, with their seals.
    """
    while seal_round(session, now):
        pass
    session.read(must_not_be_held)


def seal_round(session: Session, now: int) -> bool:
    """Seal the next range of each table; false when nothing is left to seal."""
    seals = session.read(lambda db: next_seals(db, now))
    if seals:
        session.write(lambda db: append(db, seals))
    return bool(seals)


def seal_archive(db: Writer, now: int) -> None:
    """Seal the rows that say what an archive holds, in the transaction that deletes these facts here.

    Raises:
        UsageError: facts are being taken over from another store, with their seals.
    """
    must_not_be_held(db)
    while seals := next_seals(db, now, SEALED_AT_ONCE):
        append(db, seals)


def next_seals(db: Reader, now: int, tables: Collection[str] = _LATER) -> list[Seal]:
    """The seals over the next range of each table that has unsealed facts; none while facts are taken over."""
    if seals_are_held(db):
        return []
    before, seals, reached = head(db), [], _reached(db)
    for sealed in SEALED:
        last, newest = reached[sealed.table]
        if newest > last and sealed.table in tables:
            ids = (last + 1, min(newest, last + RANGE))
            facts = digests(db, sealed, *ids)
            if not facts:  # someone else gave a number far beyond, which `verify` tells; the way there has no end
                continue
            seals.append(make_seal(before, sealed, ids, now, facts))
            before = Head(seals[-1].seal_id, seals[-1].digest, now)
    return seals


def append(db: Writer, seals: list[Seal]) -> None:
    """Append seals to the chain, unless another process has been quicker, or has begun to take facts over."""
    if head(db).seal_id == seals[0].seal_id - 1 and not seals_are_held(db):
        db.append("seal_log", SEAL.column_names, seals)


def must_not_be_held(db: Reader) -> None:
    """For whoever needs all facts to be sealed.

    Raises:
        UsageError: facts are being taken over from another store, with their seals.
    """
    if seals_are_held(db):
        raise UsageError("an export is being taken back into this store; take it to its end, then its facts are sealed")


def _is_due(db: Reader, now: int) -> bool:
    if seals_are_held(db):
        return False
    reached = _reached(db)
    waiting = max(newest - last for last, newest in map(reached.__getitem__, _LATER))
    return waiting >= RANGE or (waiting > 0 and now >= head(db).sealed_at + EVERY_US)


def _reached(db: Reader) -> dict[str, tuple[int, int]]:
    """Of each table, the last fact that is sealed, and the newest one."""
    return {table: (last, newest) for table, last, newest in db.query(_REACHED)}
