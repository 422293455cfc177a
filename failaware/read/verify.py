"""Verify: the schema is as it was made, the facts are intact, and what is derived equals a fresh derivation.

Nothing is written to the store. All of it is read at one moment, which holds back checkpoints for as long as it takes.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from failaware.derive import FINGERPRINT_VERSION
from failaware.derive.fold import DERIVED, rebuild
from failaware.derive.moved import Ranges, moved
from failaware.derive.seals import BY_TABLE, KEPT, NO_SEAL, NOTHING, SEALED, Head, Seal, digests, head, seal_digest
from failaware.derive.settings import archive_of, load_policy
from failaware.engine import Deriver, open_beside
from failaware.engine.guards import FACTS
from failaware.engine.schema import columns_and_keys
from failaware.errors import StoreCorrupt, StoreError, UsageError
from failaware.model import NEVER

Progress = Callable[[str, int, int], None]
"""Told what is being verified, and how many of how many rows are done."""

UNVERIFIED = "could not be verified"
"""How a finding begins that says nothing about the store: a query ended too early, or the server went away."""

PARTS = ("schema", "facts", "derived")
"""What is verified, in this order."""

_LISTED = 100  # findings of one part that are listed
_PAGE = 100  # seals read at a time

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
# No fact proves a lease, so it must at least be one: by a host and its process, or by a task queue for ever. A CHECK
# would not do: SQLite does not hold a file that is opened for reading against those.
_NO_LEASE = f"SELECT event_id FROM main.lease WHERE leased_by NOT LIKE '%:%' AND leased_until <> {NEVER}"
_CONTRADICTIONS = (
    # in which table, which rows, and what is wrong with them
    ("event_key", _WITHOUT_EVENT.format(key="key", table="event_key"), "its event does not exist"),
    ("attempt_log", _WITHOUT_EVENT.format(key="attempt_id", table="attempt_log"), "its event does not exist"),
    ("decision_log", _WITHOUT_EVENT.format(key="decision_id", table="decision_log"), "its event does not exist"),
    ("traceback_log", _LOST_TRACEBACKS, "is missing, though an attempt has it"),
    ("erasure_log", _UNDECIDED, "no person decided it"),
    ("lease", _NO_LEASE, "is none of a worker's"),
)
_GAPS = """
  SELECT before, id
    FROM (SELECT {key} AS id, lag({key}, 1, :end) OVER (ORDER BY {key}) AS before
            FROM {table} WHERE {key} > :end) AS pair
   WHERE id <> before + 1
"""
_DIFFERENT = "SELECT {both} FROM main.{table} o LEFT JOIN temp.{table} n ON {same} WHERE {differ} LIMIT {most}"
_MISSING = "SELECT {keys} FROM temp.{table} n WHERE NOT EXISTS (SELECT 1 FROM main.{table} o WHERE {same}) LIMIT {most}"
_ERASED = """
  SELECT d.event_id, d.decided_by, d.reason, d.decided_at,
         sum(CASE x.of_table WHEN 'attempt_log' THEN 1 ELSE 0 END),
         sum(CASE x.of_table WHEN 'traceback_log' THEN 1 ELSE 0 END)
    FROM erasure_log x JOIN decision_log d ON d.decision_id = x.decision_id
   GROUP BY d.decision_id ORDER BY d.decision_id
"""
_ARCHIVES = (
    "SELECT archive_id, name, events, before_at, archived_by, reason, archived_at FROM archive_log ORDER BY archive_id"
)


class Finding(NamedTuple):
    """Something that does not verify: which part of the store, the row or object it is about, and what is wrong."""

    part: str
    where: str
    problem: str


class Erased(NamedTuple):
    """An event whose payload and errors were erased, and by whose decision."""

    event_id: int
    erased_by: str
    reason: str
    erased_at: int
    attempts: int
    tracebacks: int


class Archived(NamedTuple):
    """An archive: the file as it was called, what was moved to it, and by whose decision.

    `here`: it is this very file.
    """

    archive_id: int
    name: str
    events: int
    before_at: int
    archived_by: str
    reason: str
    archived_at: int
    here: bool


class Verification(NamedTuple):
    """What verify found: nothing in `findings` means that all holds. Of each kind the first are listed.

    `facts` are all facts (a key counts with its event), `sealed` those under a seal; `head` is the newest seal as
    `ID:DIGEST`, to be noted elsewhere. `parts` are those looked at (schema, facts, derived); `more` counts the
    findings that are not listed. `archives` are those that facts were moved to.
    """

    facts: int
    sealed: int
    head: str | None
    sealed_at: int | None
    erased: tuple[Erased, ...]
    parts: tuple[str, ...]
    findings: tuple[Finding, ...]
    more: int
    archives: tuple["Archived", ...]


def verify(
    place: str | Path, *, noted: str | None = None, facts_only: bool = False, progress: Progress = lambda *_: None
) -> Verification:
    """Verify a store.

    Args:
        place: the store.
        noted: a seal as `ID:DIGEST`, noted elsewhere earlier: that it is still there, unchanged, is proved too.
        facts_only: schema and facts, in a third of the time; what is derived is not derived anew.
        progress: told how far it is.

    Raises:
        StoreError: it cannot be opened.
        UsageError: what was noted is no seal.
    """
    expected = None if noted is None else _noted(noted)
    db = open_beside(place)
    try:
        with db.snapshot():
            head(db)  # the moment is that of the first thing read, and not that of the first progress told
            return _Verifier(db, progress).run(expected, facts_only=facts_only)
    finally:
        db.close()


def _noted(text: str) -> Head:
    number, _, digest = text.strip().partition(":")
    if not number.isdecimal() or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise UsageError(f"'{text[:80]}' is no seal; it is written ID:DIGEST, as 'failaware seal' prints it")
    return Head(int(number), digest, 0)


class _Verifier:
    """One run: what it reads, and what it has found so far."""

    def __init__(self, db: Deriver, progress: Progress) -> None:
        self._db = db
        self._progress = progress
        self._findings: list[Finding] = []
        self._found: Counter[str] = Counter()
        self._ends: dict[str, int] = dict.fromkeys(BY_TABLE, 0)  # the last sealed id of each table
        self._sealed = 0
        self._archive: int | None = None  # where this is an archive, which one: what it has is what was moved to it
        self._moved: dict[str, Ranges] = {}

    def run(self, noted: Head | None, *, facts_only: bool) -> Verification:
        with self._part("schema"):
            self._schema()
        with self._part("facts"):
            self._archive = archive_of(self._db)
            self._moved = moved(self._db, self._archive)
            self._seals()
            self._chain_goes_on_from(noted)
            self._unsealed()
            self._contradictions()
            self._erasures_are_done()
        if not facts_only:
            with self._part("derived"):
                self._derived()
        newest, facts = NO_SEAL, 0
        erased: tuple[Erased, ...] = ()
        archives: tuple[Archived, ...] = ()
        with self._part("facts"):
            newest = head(self._db)
            facts = sum(self._count(table) for table in BY_TABLE)
            erased = tuple(Erased(*row) for row in self._db.query(_ERASED))
            archives = tuple(Archived._make((*row, row[0] == self._archive)) for row in self._db.query(_ARCHIVES))
        sealed_at = newest.sealed_at if newest.seal_id else None
        listed = tuple(self._findings)
        more = sum(self._found.values()) - len(listed)
        return Verification(
            facts,
            self._sealed,
            str(newest) if newest.seal_id else None,
            sealed_at,
            erased,
            PARTS[:2] if facts_only else PARTS,
            listed,
            more,
            archives,
        )

    def _find(self, part: str, where: str, problem: str) -> None:
        self._found[part] += 1
        if self._found[part] <= _LISTED:
            self._findings.append(Finding(part, where, problem))

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        """What cannot even be read is a finding, and the other parts go on."""
        try:
            with self._db.savepoint():
                yield
        except StoreCorrupt as error:
            self._find(name, "file", str(error))
        except StoreError as error:
            self._find(name, "file", f"{UNVERIFIED}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever cannot be made sense of does not verify
            self._find(name, "file", f"what it holds makes no sense ({type(error).__name__}: {error})")

    def _schema(self) -> None:
        self._progress("schema", 0, 1)
        for where, problem in self._db.defects():
            self._find("schema", where, problem)

    def _seals(self) -> None:
        total = sum(self._count(table) for table in BY_TABLE)
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
                self._progress("facts", self._sealed, total)

    def _seal(self, before: Head, seal: Seal) -> None:
        name = f"seal {seal.seal_id}"
        if seal.seal_id != before.seal_id + 1:
            self._find("facts", name, f"does not follow seal {before.seal_id}: there were others between them")
        if seal.of_table not in BY_TABLE:
            self._find("facts", name, f"is about {seal.of_table}, which is not sealed")
            return
        if seal.first_id != self._ends[seal.of_table] + 1 or seal.last_id < seal.first_id:
            self._find("facts", name, f"does not go on where the last seal of {seal.of_table} ended")
        self._ends[seal.of_table] = seal.last_id
        if seal_digest(before, seal) != seal.digest:
            self._find("facts", name, "was changed, or the seal before it")
        found = digests(self._db, BY_TABLE[seal.of_table], seal.first_id, seal.last_id)
        self._sealed += len(found)
        away = self._moved[seal.of_table]
        elsewhere = away.overlaps(seal.first_id, seal.last_id) or self._archive is not None
        if not elsewhere and b"".join(found.values()) == seal.facts:
            return
        for number in sorted({*range(seal.first_id, seal.first_id + len(seal.facts) // KEPT), *found}):
            position = number - seal.first_id
            was = seal.facts[position * KEPT : (position + 1) * KEPT]
            if problem := self._difference(was, found.get(number), moved=number in away):
                self._find("facts", f"{seal.of_table} {number}", problem)

    def _difference(self, was: bytes, digest: bytes | None, *, moved: bool) -> str:
        """What happened to a fact since it was sealed; "" if nothing did. An archive has only what it was given."""
        if digest is None:
            due = moved if self._archive is not None else not moved
            return "was deleted since it was sealed" if due and was != NOTHING else ""
        if moved and self._archive is None:
            return "stands here again, though it was moved to an archive"
        if was in (NOTHING, b""):
            return "was inserted where nothing was when it was sealed"
        return "was changed since it was sealed" if was != digest else ""

    def _chain_goes_on_from(self, noted: Head | None) -> None:
        if noted is None:
            return
        name, newest = f"seal {noted.seal_id}", head(self._db)
        if noted.seal_id > newest.seal_id:
            self._find("facts", name, f"was noted, but the store ends with seal {newest.seal_id}: its end was cut off")
            return
        rows = self._db.query("SELECT digest FROM seal_log WHERE seal_id = ?", (noted.seal_id,))
        if rows and rows[0][0] != noted.digest:
            self._find("facts", name, "is not the one that was noted: the history before it was written anew")

    def _unsealed(self) -> None:
        """Ids are given without gaps, so that what is missing after the last seal can be told."""
        for sealed in SEALED:
            end = self._ends[sealed.table]
            gaps = _GAPS.format(key=sealed.key, table=sealed.table)
            for before, number in self._db.query(gaps, {"end": end}):
                which = f"{before + 1}" if number == before + 2 else f"{before + 1} to {number - 1}"
                self._find("facts", f"{sealed.table} {which}", "is missing")
            below = self._db.query(f"SELECT {sealed.key} FROM {sealed.table} WHERE {sealed.key} < 1")
            for (number,) in below:
                self._find(
                    "facts", f"{sealed.table} {number}", "was inserted by someone else: its number is never given"
                )

    def _contradictions(self) -> None:
        for table, sql, problem in _CONTRADICTIONS:
            for (name,) in self._db.query(f"{sql} LIMIT {_LISTED + 1}"):
                self._find("facts", f"{table} {name}", problem)

    def _erasures_are_done(self) -> None:
        for table, guarded in FACTS.items():
            if guarded.erasable:
                key = guarded.keys[0]
                marks = " AND ".join(
                    f"coalesce(f.{name}, '{mark}') = '{mark}'" for name, mark in guarded.erasable.items()
                )
                rows = self._db.query(
                    f"SELECT x.row_id FROM erasure_log x JOIN {table} f ON f.{key} = x.row_id "
                    f"WHERE x.of_table = '{table}' AND NOT ({marks}) LIMIT {_LISTED}"
                )
                for (number,) in rows:
                    self._find("facts", f"{table} {number}", "was erased, but holds a text again")

    def _derived(self) -> None:
        self._progress("derived", 0, 1)
        (version,) = self._db.query("SELECT max(value) FROM main.setting WHERE name = 'fingerprint'")[0]
        if version is not None and version != str(FINGERPRINT_VERSION):
            self._find(
                "derived",
                "failure_cluster",
                f"the clusters come from version {version} of the fingerprint; 'failaware rebuild' makes them anew",
            )
            return
        self._db.execute("INSERT INTO setting SELECT name, value FROM main.setting")
        rebuild(self._db, load_policy(self._db))
        for number, table in enumerate(DERIVED):
            self._progress("derived", number + 1, len(DERIVED) + 1)
            self._compare(table)

    def _compare(self, table: str) -> None:
        """A derived table against its fresh derivation, along their keys."""
        columns, keys = columns_and_keys(table)
        names = {
            "table": table,
            "keys": ", ".join(keys),
            "same": " AND ".join(f"o.{key} = n.{key}" for key in keys),
            "differ": " OR ".join(f"o.{name} IS NOT n.{name}" for name in columns),
            "both": ", ".join(f"{side}.{name}" for side in "on" for name in columns),
            "most": _LISTED + 1,
        }
        for row in self._db.query(_DIFFERENT.format(**names)):
            old, new = dict(zip(columns, row, strict=False)), dict(zip(columns, row[len(columns) :], strict=True))
            where = f"{table} {', '.join(str(old[key]) for key in keys)}"
            self._find("derived", where, _both(old, new, there=new[keys[0]] is not None))
        for row in self._db.query(_MISSING.format(**names)):
            self._find("derived", f"{table} {', '.join(map(str, row))}", "is missing")

    def _count(self, table: str) -> int:
        return int(self._db.query(f"SELECT count(*) FROM {table}")[0][0])


def _both(old: dict[str, object], new: dict[str, object], *, there: bool) -> str:
    if not there:
        return "follows from no fact"
    differ = [
        f"{name} is {old[name]!r}, a fresh derivation says {new[name]!r}" for name in old if old[name] != new[name]
    ]
    return "; ".join(differ)
