"""Checks that the facts of a store are intact: they match their seals, the chain is complete, references resolve.

Used by `verify`, and by a restore before it commits.
"""

from collections.abc import Callable

from failaware.derive.settings import archive_of, has_gaps, load_key
from failaware.engine import Reader
from failaware.ledger.id_ranges import Ranges, archived_ranges, digest_of_runs
from failaware.ledger.seals import KEPT, NO_SEAL, NOTHING, SEALED_AT_ONCE, Head, Seal, digests, head, seal_digest
from failaware.model import NEVER
from failaware.schema.catalogue import EVENT, FACTS, SEALED

Find = Callable[[str, str], None]
"""Called for each finding: the row, and what is wrong with it."""

MOST = 100
"""The maximum number of findings of one kind."""

_PAGE = 100  # seals per query

_WITHOUT_EVENT = (
    "SELECT {key} FROM {table} f WHERE NOT EXISTS (SELECT 1 FROM event_log e WHERE e.event_id = f.event_id)"
)
_LOST_TRACEBACKS = """
  SELECT DISTINCT traceback FROM attempt_log
   WHERE traceback IS NOT NULL AND traceback NOT IN (SELECT traceback_id FROM traceback_log)
"""
_UNDECIDED = """
  SELECT erasure_id FROM erasure_log x
   WHERE NOT EXISTS (SELECT 1 FROM decision_log d WHERE d.decision_id = x.decision_id AND d.decision = 'ERASE')
"""
_OF_ANOTHER = """
  SELECT x.erasure_id FROM erasure_log x JOIN decision_log d ON d.decision_id = x.decision_id AND d.decision = 'ERASE'
   WHERE NOT CASE x.of_table
     WHEN 'event_log' THEN x.row_id = d.event_id
     WHEN 'attempt_log'
     THEN EXISTS (SELECT 1 FROM attempt_log a WHERE a.attempt_id = x.row_id AND a.event_id = d.event_id)
     WHEN 'traceback_log'
     THEN EXISTS (SELECT 1 FROM attempt_log a WHERE a.event_id = d.event_id AND a.traceback = x.row_id)
     ELSE x.cluster_id IS NOT NULL AND EXISTS
       (SELECT 1 FROM attempt_log a JOIN erasure_log t ON t.of_table = 'traceback_log' AND t.row_id = a.traceback
         WHERE a.attempt_id = x.row_id AND t.decision_id = x.decision_id) END
"""
_NO_ARCHIVE = (
    "SELECT moved_id FROM moved_log m WHERE NOT EXISTS (SELECT 1 FROM archive_log a WHERE a.archive_id = m.archive_id)"
)
# Leases are not sealed, so only their form is checked: held by host and process, or by a task queue without an end. A
# CHECK would not help: SQLite does not evaluate constraints when reading a file.
_NO_LEASE = f"SELECT event_id FROM {{store}}lease WHERE leased_by NOT LIKE '%:%' AND leased_until <> {NEVER}"
_CONTRADICTIONS = (
    # table, SQL for the rows, problem
    ("event_key", _WITHOUT_EVENT.format(key="key", table="event_key"), "its event does not exist"),
    ("attempt_log", _WITHOUT_EVENT.format(key="attempt_id", table="attempt_log"), "its event does not exist"),
    ("decision_log", _WITHOUT_EVENT.format(key="decision_id", table="decision_log"), "its event does not exist"),
    ("traceback_log", _LOST_TRACEBACKS, "is missing, but an attempt refers to it"),
    ("erasure_log", _UNDECIDED, "has no ERASE decision"),
    ("erasure_log", _OF_ANOTHER, "its decision is about another event"),
    ("moved_log", _NO_ARCHIVE, "its archive does not exist"),
    ("lease", _NO_LEASE, "is not held by a worker"),
)
_GAPS = """
  SELECT before, id
    FROM (SELECT {key} AS id, lag({key}, 1, :end) OVER (ORDER BY {key}) AS before
            FROM {table} WHERE {key} > :end) AS pair
   WHERE id <> before + 1
"""
_NOT_MOVED_HERE = """
  SELECT f.{key} FROM {table} f
   WHERE NOT EXISTS (SELECT 1 FROM moved_log m
                      WHERE m.archive_id = :archive AND m.of_table = '{table}' AND m.last_id >= f.{key}
                        AND m.first_id = (SELECT max(n.first_id) FROM moved_log n
                                           WHERE n.of_table = '{table}' AND n.first_id <= f.{key}))
   ORDER BY f.{key} LIMIT {most}
"""
_UNRESOLVED = """
  SELECT event_id FROM {store}event_state WHERE sync_status <> 'SYNCED' AND dismissed = 0 ORDER BY event_id LIMIT {most}
"""
_CHANGED = "was changed since it was sealed"
_COPIES = ("traceback_log", "archive_log", "moved_log", "erasure_log", "correction_log")
"""Tables of which an archive may hold rows that are not archived."""


class Proof:
    """One check of all facts of a store; `sealed` counts the sealed ones."""

    def __init__(self, db: Reader, find: Find, progress: Callable[[int], None] = lambda _sealed: None) -> None:
        """Prepare a check; `progress` is called with the number of facts compared with their seals."""
        self.sealed = 0
        self._reported = 0  # how many events are missing by findings, less those that were inserted
        self._db, self._find, self._progress = db, find, progress
        self._ends: dict[str, int] = {sealed.table: 0 for sealed in SEALED}  # the last sealed id of each table
        self.archive: int | None = None
        """The id of the archive that this store is; None if it is not one."""
        self._archived: dict[str, Ranges] = {}

    def run(self, noted: Head | None = None) -> None:
        """Run all checks; `noted` is a seal that must still be in the chain."""
        self.archive = archive_of(self._db)
        self._archived = archived_ranges(self._db, self.archive)
        if self.archive is not None:
            self._check_is_archive(self.archive)
        self._seals()
        self._check_noted(noted)
        self._unsealed()
        self._recorded()
        self._contradictions()
        self._check_erasures()
        self._archives()

    def _seals(self) -> None:
        before = NO_SEAL
        while rows := self._db.query(
            "SELECT seal_id, of_table, first_id, last_id, sealed_at, digest, facts FROM seal_log "
            "WHERE seal_id > ? ORDER BY seal_id LIMIT ?",
            (before.seal_id, _PAGE),
        ):
            for row in rows:
                seal = Seal(*row)
                self._seal(before, seal)
                before = Head(seal.seal_id, seal.digest, seal.sealed_at)
                self._progress(self.sealed)
        for (number,) in self._db.query(f"SELECT seal_id FROM seal_log WHERE seal_id < 1 LIMIT {MOST}"):
            self._find(f"seal {number}", "was not inserted by failaware: it never assigns this number")

    def _seal(self, before: Head, seal: Seal) -> None:
        name = f"seal {seal.seal_id}"
        if seal.seal_id != before.seal_id + 1:
            self._find(name, f"does not follow seal {before.seal_id}: seals between them are missing")
        if seal.of_table not in self._ends:
            self._find(name, f"is about {seal.of_table}, which is not sealed")
            return
        if seal.first_id != self._ends[seal.of_table] + 1 or seal.last_id < seal.first_id:
            self._find(name, f"does not start where the previous seal of {seal.of_table} ended")
        self._ends[seal.of_table] = seal.last_id
        if seal_digest(before, seal) != seal.digest:
            self._find(name, "was changed, or the seal before it was")
        current = digests(self._db, FACTS[seal.of_table], seal.first_id, seal.last_id)
        self.sealed += len(current)
        archived = self._archived[seal.of_table]
        is_partial = archived.overlaps(seal.first_id, seal.last_id) or self.archive is not None
        if not is_partial and b"".join(current.values()) == seal.facts:
            return
        for number in sorted({*range(seal.first_id, seal.first_id + len(seal.facts) // KEPT), *current}):
            position = number - seal.first_id
            sealed = seal.facts[position * KEPT : (position + 1) * KEPT]
            if problem := self._difference(sealed, current.get(number), archived=number in archived):
                self._find(f"{seal.of_table} {number}", problem)
                if seal.of_table == EVENT.table and problem != _CHANGED:
                    self._reported += 1 if number not in current else -1

    def _difference(self, sealed: bytes, digest: bytes | None, *, archived: bool) -> str:
        """How a fact changed since it was sealed; "" if it did not. An archive has only archived facts."""
        if digest is None:
            expected = archived if self.archive is not None else not archived
            return "was deleted since it was sealed" if expected and sealed != NOTHING else ""
        if archived and self.archive is None:
            return "is in the store again, although it was archived"
        if sealed in (NOTHING, b""):
            return "was inserted: there was no such fact when its range was sealed"
        return _CHANGED if sealed != digest else ""

    def _check_noted(self, noted: Head | None) -> None:
        if noted is None:
            return
        name, newest = f"seal {noted.seal_id}", head(self._db)
        if noted.seal_id > newest.seal_id:
            self._find(name, f"was noted, but the newest seal is {newest.seal_id}: the end of the history was cut off")
            return
        rows = self._db.query("SELECT digest FROM seal_log WHERE seal_id = ?", (noted.seal_id,))
        if [digest for (digest,) in rows] != [noted.digest]:
            self._find(name, "differs from the noted one: the history before it was rewritten")

    def _unsealed(self) -> None:
        """Check the facts after the last seal: a gap means a missing fact, but not among ids from a sequence."""
        for sealed in SEALED:
            end = self._ends[sealed.table]
            gaps = _GAPS.format(key=sealed.key, table=sealed.table)
            rows = [] if sealed is EVENT and has_gaps(self._db) else self._db.query(gaps, {"end": end})
            for before, number in rows:
                missing = f"{before + 1}" if number == before + 2 else f"{before + 1} to {number - 1}"
                self._find(f"{sealed.table} {missing}", "is missing")
            below = self._db.query(f"SELECT {sealed.key} FROM {sealed.table} WHERE {sealed.key} < 1")
            for (number,) in below:
                self._reported -= sealed is EVENT
                self._find(f"{sealed.table} {number}", "was not inserted by failaware: it never assigns this number")
        ahead = f"SELECT event_id FROM event_log WHERE {self._db.dialect.not_assigned} LIMIT {MOST}"
        for (number,) in self._db.query(ahead):
            self._reported -= 1
            self._find(f"event_log {number}", "was not inserted by failaware: it has not assigned this number yet")
        for table in SEALED_AT_ONCE:
            key, end = FACTS[table].key, self._ends[table]
            for number, archive in self._db.query(f"SELECT {key}, archive_id FROM {table} WHERE {key} > ?", (end,)):
                if archive != self.archive:  # an archive cannot hold the seal that came after it
                    self._find(f"{table} {number}", "was not inserted by failaware: archiving seals it at once")

    def _recorded(self) -> None:
        """Compare the number of events with how many were recorded, where an id that is missing may never have existed.

        The finding does not say which event is missing, only that it was not sealed.
        """
        if self._db.dialect.recorded and self.archive is None:
            counts = f"SELECT ({self._db.dialect.recorded}), (SELECT count(*) FROM event_log)"
            ((recorded, stored),) = self._db.query(counts)
            if missing := recorded - stored - self._reported:
                problem = "lacks events that were recorded" if missing > 0 else "has events that were not recorded"
                self._find(f"{EVENT.table} after {self._ends[EVENT.table]}", f"{problem} ({abs(missing):,})")

    def _contradictions(self) -> None:
        for table, sql, problem in _CONTRADICTIONS:
            for (name,) in self._db.query(f"{sql.format(store=self._db.dialect.store)} LIMIT {MOST + 1}"):
                self._find(f"{table} {name}", problem)

    def _check_erasures(self) -> None:
        """Check that marks replaced erased texts; null is valid only without a key, or in an added column."""
        has_key = load_key(self._db) is not None
        for table, facts in FACTS.items():
            if erasable := [column for column in facts.columns if column.mark]:
                null = {column: "" if has_key and not column.added else column.mark for column in erasable}
                marks = " AND ".join(
                    f"coalesce(f.{column.name}, '{null[column]}') = '{column.mark}'" for column in erasable
                )
                rows = self._db.query(
                    f"SELECT x.row_id FROM erasure_log x JOIN {table} f ON f.{facts.key} = x.row_id "
                    f"WHERE x.of_table = '{table}' AND NOT ({marks}) LIMIT {MOST}"
                )
                for (number,) in rows:
                    self._find(f"{table} {number}", "was erased, but has a text again")

    def _archives(self) -> None:
        """Check that `moved_log` lists exactly the facts of each archive."""
        for archive, events, digest in self._db.query("SELECT archive_id, events, digest FROM archive_log"):
            runs = self._db.query(
                "SELECT of_table, first_id, last_id FROM moved_log WHERE archive_id = ? ORDER BY moved_id",
                (archive,),
            )
            moved_events = sum(last - first + 1 for table, first, last in runs if table == "event_log")
            if moved_events != events or digest not in (None, digest_of_runs(runs)):
                self._find(f"archive_log {archive}", "does not match the facts that moved_log lists for it")

    def _check_is_archive(self, archive: int) -> None:
        """Check that an archive was recorded as one, and has only its own facts, all resolved."""
        if not self._db.query("SELECT 1 FROM archive_log WHERE archive_id = ?", (archive,)):
            self._find("setting archive", f"names archive {archive}, which does not exist")
        for sealed in SEALED:
            if sealed.table not in _COPIES:
                sql = _NOT_MOVED_HERE.format(table=sealed.table, key=sealed.key, most=MOST)
                for (number,) in self._db.query(sql, {"archive": archive}):
                    self._find(f"{sealed.table} {number}", "was never archived here")
        for (event,) in self._db.query(_UNRESOLVED.format(most=MOST, store=self._db.dialect.store)):
            self._find(f"event_state {event}", "is unresolved, but an archive has only resolved events")
