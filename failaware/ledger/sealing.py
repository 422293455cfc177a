"""Sealing: extend the hash chain over new facts, apart from the transactions that append them.

Digests are computed outside any transaction, since facts do not change; only the seals are written in one.
"""

from collections.abc import Collection
from typing import TypeVar

from failaware.derive.fold import stored_until
from failaware.derive.settings import seals_are_held
from failaware.engine import Reader, Writer
from failaware.engine.settled import settled_event
from failaware.errors import StoreBusy, UsageError
from failaware.ledger.seals import SEALED_AT_ONCE, Head, Seal, digests, head, make_seal
from failaware.schema.catalogue import EVENT, SEAL, SEALED
from failaware.session import Session

T = TypeVar("T")

RANGE = 2_048
"""The maximum number of facts under one seal."""

_SETTLES_S = 1.0  # in which records under way end
_LONGEST_GAP = 1_000_000  # of ids without facts, which a server's failed transactions leave
EVERY_US = 3_600_000_000
"""After this time (µs) smaller ranges are sealed too."""

_LATER = tuple(sealed.table for sealed in SEALED if sealed.table not in SEALED_AT_ONCE)

_REACHED = " UNION ALL ".join(
    f"SELECT '{sealed.table}', (SELECT coalesce(max(last_id), 0) FROM seal_log WHERE of_table = '{sealed.table}'), "
    f"(SELECT coalesce(max({sealed.key}), 0) FROM {sealed.table})"
    for sealed in SEALED
)


def seal_what_is_due(session: Session, now: int) -> None:
    """Seal if a full range is unsealed, or if facts are unsealed and the last seal is an hour old."""
    while session.read(lambda db: _is_due(db, now)) and seal_round(session, now):
        pass


def seal_all(session: Session, now: int) -> None:
    """Seal all facts.

    Raises:
        UsageError: a restore or copy into this store is in progress.
    """
    while seal_round(session, now):
        pass
    session.read(check_not_held)


def seal_round(session: Session, now: int) -> bool:
    """Seal the next range of each table; false if nothing was unsealed.

    On a server, no seal covers an id whose event may still become visible. An id without an event is sealed as such.
    """
    seals = session.read(lambda db: next_seals(db, now))
    if seals:
        session.write(lambda db: append(db, seals))
    return bool(seals)


def seal_archive(db: Writer, now: int) -> None:
    """Seal the rows about an archive, in the transaction that deletes its facts.

    Raises:
        UsageError: a restore or copy into this store is in progress.
    """
    check_not_held(db)
    while seals := next_seals(db, now, SEALED_AT_ONCE):
        append(db, seals)


def next_seals(db: Reader, now: int, tables: Collection[str] = _LATER) -> list[Seal]:
    """The seals over the next range of each table that has unsealed facts; none during a restore or copy."""
    if seals_are_held(db):
        return []
    before, seals, settled, reached = head(db), [], _settled(db), _reached(db)
    for sealed in SEALED:
        last, newest = reached[sealed.table]
        newest = min(newest, settled) if sealed is EVENT else newest
        if newest > last and sealed.table in tables:
            ids = (last + 1, min(newest, last + RANGE))
            facts = digests(db, sealed, *ids)
            if not facts and newest > last + _LONGEST_GAP:  # a forged id far ahead; sealing the gap would not end
                continue
            seals.append(make_seal(before, sealed, ids, now, facts))
            before = Head(seals[-1].seal_id, seals[-1].digest, now)
    return seals


def append(db: Writer, seals: list[Seal]) -> None:
    """Append seals to the chain, unless another process has extended it or has begun a restore or copy."""
    if head(db).seal_id == seals[0].seal_id - 1 and not seals_are_held(db):
        db.append("seal_log", SEAL.column_names, seals)


def check_not_held(db: Reader) -> None:
    """Refuse while sealing is suspended.

    Raises:
        UsageError: a restore or copy into this store is in progress.
    """
    if seals_are_held(db):
        raise UsageError("a restore or copy into this store is in progress; finish it first, then its facts are sealed")


def _is_due(db: Reader, now: int) -> bool:
    if seals_are_held(db):
        return False
    reached = _reached(db)
    waiting = max(newest - last for last, newest in map(reached.__getitem__, _LATER))
    return waiting >= RANGE or (waiting > 0 and now >= head(db).sealed_at + EVERY_US)


def _reached(db: Reader) -> dict[str, tuple[int, int]]:
    """For each table, the last sealed id and the newest id."""
    return {table: (last, newest) for table, last, newest in db.query(_REACHED)}


def _settled(db: Reader) -> int:
    """The id of an event up to which facts can be sealed: on a server, none of them may become visible later."""
    try:
        return settled_event(db, patience_s=_SETTLES_S)
    except StoreBusy:
        return stored_until(db)
