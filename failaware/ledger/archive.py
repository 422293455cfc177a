"""Archiving: move the facts of old resolved events to a new file, which is itself a store.

The facts are copied (`choose`, `fill`) and deleted (`remove`) only after the copy is verified (`prove`). After a crash
they are in the store, in the archive, or in both. The remaining facts are folded again, since rules see only the facts
in the store.

For example, events 1, 2 and 4 of 5 are SYNCED and old, with attempts 1, 2 and 5. `ranges` then has the ranges 1-2 and
4-4 of event_log, and 1-2 and 5-5 of attempt_log, which `moved_log` keeps. A traceback that event 3 shares is copied,
but not deleted. Decisions go with their event; an event that was erased, or decided on after the date, stays.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from failaware.derive.fold import rebuild
from failaware.derive.settings import load_rules
from failaware.engine import Reader, Writer, open_reader
from failaware.errors import StoreError, UsageError
from failaware.facts import append
from failaware.ledger.id_ranges import Ranges, digest_of_runs
from failaware.ledger.sealing import seal_all, seal_archive
from failaware.ledger.transfer import Fact, finish, newest, read, take_over
from failaware.ledger.verify import verify
from failaware.rules import Policy
from failaware.schema.catalogue import ARCHIVE, ARCHIVED, CORRECTION, EXPORTED, FACTS, SEAL, SETTING, FactTable
from failaware.schema.ddl import columns_and_keys
from failaware.session import Session

Progress = Callable[[int, int], None]
"""Called with how many facts of how many are done."""

_PAGE = 10_000
_COPIED = 2_000  # facts per transaction of the archive

_RESOLVED = """
SELECT e.event_id FROM event_log e JOIN stored_state s ON s.event_id = e.event_id
 WHERE e.event_id > :after AND e.event_id <= :event_log AND e.detected_at < :before
   AND (s.sync_status = 'SYNCED' OR s.dismissed = 1)
   AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.event_id = e.event_id)
   AND NOT EXISTS (SELECT 1 FROM attempt_log a WHERE a.event_id = e.event_id
                      AND (a.finished_at >= :before OR a.attempt_id > :attempt_log OR EXISTS
                           (SELECT 1 FROM erasure_log x
                             WHERE x.of_table = 'traceback_log' AND x.row_id = a.traceback)))
   AND NOT EXISTS (SELECT 1 FROM decision_log d WHERE d.event_id = e.event_id
                      AND (d.decided_at >= :before OR d.decision = 'ERASE' OR d.decision_id > :decision_log))
 ORDER BY e.event_id LIMIT :page
"""
_ATTEMPTS = "SELECT attempt_id, event_id, traceback FROM attempt_log WHERE attempt_id > ? ORDER BY attempt_id LIMIT ?"
_DECISIONS = "SELECT decision_id, event_id FROM decision_log WHERE decision_id > ? ORDER BY decision_id LIMIT ?"
_REJECTS = (
    "SELECT reject_id FROM reject_log WHERE reject_id > :after AND reject_id <= :reject_log AND rejected_at < :before "
    "ORDER BY reject_id LIMIT :page"
)
_SINCE = """
SELECT event_id FROM attempt_log WHERE attempt_id > ? UNION SELECT event_id FROM decision_log WHERE decision_id > ?
"""


class Chosen(NamedTuple):
    """The facts to archive. `tracebacks` also includes tracebacks that are only copied, since remaining facts use them.

    `newest` are the last attempt and the last decision at the time of choosing: later ones may concern these events.
    """

    ranges: dict[str, Ranges]
    tracebacks: set[int]
    newest: tuple[int, int]


class Archived(NamedTuple):
    """The number of archived facts; `archive_id` is None if there were none and no file was created."""

    archive_id: int | None
    events: int
    attempts: int
    decisions: int
    rejects: int
    tracebacks: int


class Archive(NamedTuple):
    """A row of `archive_log`: an archive, who made it and why. `digest` covers the ids of its facts."""

    archive_id: int
    name: str
    events: int
    before_at: int
    archived_by: str
    reason: str
    archived_at: int
    digest: str


class Proved(NamedTuple):
    """An archive verified by `prove`, whose originals may be deleted."""

    archive: Archive
    chosen: Chosen


def archive(session: Session, file: Path, *, before: int, by: str, reason: str, progress: Progress) -> Archived:
    """Move resolved facts older than `before` (µs) to a new file; see `Store.archive`."""
    if file.exists():
        raise UsageError(f"{file} exists already; name a new file")
    now = session.clock()
    if before > now:
        raise UsageError("the time before which facts are archived is in the future; give an earlier one")
    seal_all(session, now)
    db = open_reader(session.place)
    try:
        with db.snapshot():
            chosen = choose(db, before)
            new = next_archive(db, file.name, chosen, before=before, by=by, reason=reason, now=now)
            proved = _write(db, file, new, chosen, progress) if any(chosen.ranges.values()) else None
    finally:
        db.close()
    if proved:
        try:
            session.write(partial(remove, proved=proved, policy=session.policy))
        except BaseException:
            file.unlink()
            raise
    counts = {f"{table.removesuffix('_log')}s": ranges.count() for table, ranges in chosen.ranges.items()}
    return Archived(new.archive_id if proved else None, **counts)


def _write(db: Reader, file: Path, archive: Archive, chosen: Chosen, progress: Progress) -> Proved:
    """Write the archive under a temporary name, and link it to its own name once it is verified."""
    part = file.with_name(file.name + ".part")
    _unlink(part)  # left by a killed process
    try:
        with Session.open(part) as target:
            fill(db, target, archive, chosen, progress)
        proved = prove(db, part, archive, chosen)
        os.link(part, file)  # unlike a rename, it never replaces a file
    finally:
        _unlink(part)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return proved


def _unlink(part: Path) -> None:
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(f"{part}{end}")


def choose(db: Reader, before: int) -> Chosen:
    """Choose the events before a moment (µs) that are SYNCED or dismissed, with all their facts, and older rejects.

    Only sealed facts are chosen: the seals prove that they are unchanged. The newest row of each table remains, since
    the next id follows from it; so do events with erased parts, and their decisions.
    """
    ends = {table: _last_but_newest(db, table) for table in ("event_log", "attempt_log", "decision_log", "reject_log")}
    ranges = {table: Ranges() for table in (*ends, "traceback_log")}
    for (event_id,) in _pages(db, _RESOLVED, {**ends, "before": before}):
        ranges["event_log"].add(event_id, event_id)
    archived, remaining = set[int](), set[int]()
    attempt_id = decision_id = 0
    for attempt_id, event_id, traceback in _after(db, _ATTEMPTS):
        is_archived = event_id in ranges["event_log"]
        if is_archived:
            ranges["attempt_log"].add(attempt_id, attempt_id)
        if traceback is not None:
            (archived if is_archived else remaining).add(traceback)
    for decision_id, event_id in _after(db, _DECISIONS):
        if event_id in ranges["event_log"]:
            ranges["decision_log"].add(decision_id, decision_id)
    last = _last_but_newest(db, "traceback_log")
    for traceback in sorted(archived - remaining):
        if traceback <= last:
            ranges["traceback_log"].add(traceback, traceback)
    for (reject_id,) in _pages(db, _REJECTS, {"reject_log": ends["reject_log"], "before": before}):
        ranges["reject_log"].add(reject_id, reject_id)
    return Chosen(ranges, archived, (attempt_id, decision_id))


def next_archive(db: Reader, name: str, chosen: Chosen, *, before: int, by: str, reason: str, now: int) -> Archive:
    """The row of `archive_log` for an archive of these facts made now."""
    number, events = append.next_id(db, "archive_log", "archive_id"), chosen.ranges["event_log"].count()
    return Archive(number, name, events, before, by, reason, now, digest_of_runs(_runs(chosen)))


def fill(source: Reader, target: Session, archive: Archive, chosen: Chosen, progress: Progress) -> None:
    """Fill an empty store with the chosen facts, all seals, and all facts about archives, including this one.

    An archive accepts no new facts and is never sealed.
    """
    take_over(target, SETTING, load_rules(source))
    ids = {table: ranges for table, ranges in chosen.ranges.items() if table != "traceback_log"}
    ids["traceback_log"] = Ranges()
    for traceback in sorted(chosen.tracebacks):
        ids["traceback_log"].add(traceback, traceback)
    total = sum(ranges.count() for ranges in ids.values())
    done = 0
    for kind in EXPORTED:
        for facts in _facts(source, kind, ids[kind.table]) if kind.table in ids else ():
            take_over(target, kind, facts)
            done += len(facts)
            progress(done, total)
    new: dict[FactTable, list[Fact]] = {
        CORRECTION: [],
        ARCHIVE: [archive],
        ARCHIVED: [*_moved(source, archive, chosen)],
        SEAL: [],
    }
    for kind, added in new.items():
        for facts in (*_facts(source, kind, _all(source, kind)), added):
            if facts:
                take_over(target, kind, facts)
    finish(target, archive=archive.archive_id)


def _facts(source: Reader, kind: FactTable, ids: Ranges) -> Iterator[list[Fact]]:
    """Yield the facts with these ids in pages."""
    for first, last in ids.windows(_COPIED):
        facts = [fact for fact in read(source, kind, first, last) if fact[0] in ids]
        if facts:
            yield facts


def _all(source: Reader, kind: FactTable) -> Ranges:
    ids = Ranges()
    ids.add(1, newest(source, kind))
    return ids


def _moved(db: Reader, archive: Archive, chosen: Chosen) -> list[tuple[int, int, str, int, int]]:
    """The rows of `moved_log` that list the facts of an archive."""
    first_id = append.next_id(db, "moved_log", "moved_id")
    return [(number, archive.archive_id, *run) for number, run in enumerate(_runs(chosen), start=first_id)]


def _runs(chosen: Chosen) -> list[tuple[str, int, int]]:
    return [(table, first, last) for table, ranges in chosen.ranges.items() for first, last in ranges]


def prove(source: Reader, place: str | Path, archive: Archive, chosen: Chosen) -> Proved:
    """Verify a filled archive, and compare the facts to delete with it in every column of facts.sql.

    Seals cover only the columns in the catalogue; this comparison covers all.

    Raises:
        StoreError: the archive is not a complete copy.
    """
    findings = verify(place).findings
    if findings:
        raise StoreError(
            f"the archive does not verify ({findings[0].where}: {findings[0].problem}); nothing was archived"
        )
    copy = open_reader(place)
    try:
        for facts in FACTS.values():
            if facts.archived_with:
                _check_copied(source, copy, facts, chosen.ranges[facts.archived_with])
    finally:
        copy.close()
    return Proved(archive, chosen)


def _check_copied(source: Reader, copy: Reader, facts: FactTable, ids: Ranges) -> None:
    columns, _ = columns_and_keys(facts.table)
    number = columns.index(facts.number)
    sql = f"SELECT {', '.join(columns)} FROM {facts.table} WHERE {facts.number} BETWEEN ? AND ?"
    for window in ids.windows(_COPIED):
        originals, copies = ({row for row in db.query(sql, window) if row[number] in ids} for db in (source, copy))
        for row in originals - copies:
            raise StoreError(f"the archive has no complete copy of {facts.table} {row[number]}; nothing was archived")


def remove(db: Writer, proved: Proved, policy: Policy) -> None:
    """Record where the facts are, delete them from this store, and fold the remaining ones again.

    Raises:
        UsageError: one of the events has a new attempt or decision, or another archive was made meanwhile.
    """
    archive, chosen = proved
    events = chosen.ranges["event_log"]
    if any(event_id in events for (event_id,) in db.query(_SINCE, chosen.newest)):
        raise UsageError("one of these events has a new attempt or decision, so nothing was archived; archive again")
    if append.next_id(db, "archive_log", "archive_id") != archive.archive_id:
        raise UsageError("another archive was made meanwhile, so nothing was archived; archive again")
    db.append("archive_log", ARCHIVE.column_names, [archive])
    db.append("moved_log", ARCHIVED.column_names, _moved(db, archive, chosen))
    seal_archive(db, archive.archived_at)
    for facts in FACTS.values():
        if facts.archived_with:
            delete = f"DELETE FROM {facts.table} WHERE {FACTS[facts.archived_with].key} BETWEEN ? AND ?"
            db.execute_many(delete, list(chosen.ranges[facts.archived_with]))
    if count := db.dialect.count_recorded:
        db.execute(count, (-events.count(),))
    rebuild(db, policy)


def _last_but_newest(db: Reader, table: str) -> int:
    """The last sealed id of a table, excluding the newest id."""
    key = FACTS[table].key
    ((sealed,),) = db.query("SELECT coalesce(max(last_id), 0) FROM seal_log WHERE of_table = ?", (table,))
    ((newest,),) = db.query(f"SELECT coalesce(max({key}), 0) FROM {table}")
    return int(min(sealed, newest - 1))


def _pages(db: Reader, sql: str, parameters: dict[str, int]) -> Iterator[tuple[int]]:
    """Yield the ids that a query returns, in pages."""
    after, page = 0, [(0,)]
    while page:
        page = db.query(sql, {**parameters, "after": after, "page": _PAGE})
        yield from page
        after = page[-1][0] if page else after


def _after(db: Reader, sql: str) -> Iterator[tuple[int, ...]]:
    """Yield the rows that a query returns, in pages by id."""
    after, page = 0, [(0,)]
    while page:
        page = db.query(sql, (after, _PAGE))
        yield from page
        after = page[-1][0] if page else after
