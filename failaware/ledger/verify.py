"""Verify that the schema is unchanged, the facts are intact, and derived rows equal a fresh derivation.

Nothing is written to the store. It is read in one snapshot, which delays checkpoints until the end.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from failaware.derive.fold import COMPARED, DERIVED, FOLDED, rebuild, stored_until
from failaware.derive.settings import copy_rules, load_policy
from failaware.derive.stored_version import derivation
from failaware.engine import PrivateCopy, open_private_copy
from failaware.engine.derivation import CURRENT
from failaware.errors import StoreCorrupt, StoreError, UsageError
from failaware.ledger.proof import MOST, Proof
from failaware.ledger.seals import NO_SEAL, Head, head
from failaware.schema.catalogue import SEALED
from failaware.schema.ddl import columns_and_keys

Progress = Callable[[str, int, int], None]
"""Called with the part being verified, and the number of rows done and in total."""

UNVERIFIED = "could not be verified"
"""The beginning of a finding about a check that could not finish, such as when the server closed the connection."""

PARTS = ("schema", "facts", "derived")
"""The parts, in the order in which they are verified."""

_LISTED = MOST  # findings listed per part

_DIFFERENT = """
  SELECT {both} FROM main.{table} o LEFT JOIN temp.{table} n ON {same} WHERE {differ} ORDER BY {order} LIMIT {most}
"""
_MISSING = """
  SELECT {keys} FROM temp.{table} n WHERE NOT EXISTS (SELECT 1 FROM main.{table} o WHERE {same})
   ORDER BY {keys} LIMIT {most}
"""
_LOST = """
  SELECT {keys} FROM main.{table} o
   WHERE o.part_id <> 0 AND NOT EXISTS (SELECT 1 FROM main.cluster_part p WHERE p.part_id = o.part_id)
   ORDER BY {keys} LIMIT {most}
"""
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
    """A problem: the part of the store, the row or object, and what is wrong with it."""

    part: str
    where: str
    problem: str


class Erased(NamedTuple):
    """An event whose payload and errors were erased, with the decision."""

    event_id: int
    erased_by: str
    reason: str
    erased_at: int
    attempts: int
    tracebacks: int


class Archived(NamedTuple):
    """An archive: its file name when made, its facts, and the decision.

    `here` is true if the verified store is this archive.
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
    """The result of `verify`: the store is intact if `findings` is empty. The first findings of each part are listed.

    `facts` counts all facts (a key counts with its event), `sealed` the sealed ones. `head` is the newest seal as
    `ID:DIGEST`, to keep on another machine. `parts` are the verified ones (schema, facts, derived); `more` counts the
    findings that are not listed. `archives` are those that have its facts. `derivation` is current, or older or
    newer if another version of failaware (`derived_by`) derived the store: then derived rows are not verified, since
    versions may derive different rows from the same facts.
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
    derivation: str
    derived_by: str | None


def verify(
    place: str | Path, *, noted: str | None = None, facts_only: bool = False, progress: Progress = lambda *_: None
) -> Verification:
    """Verify a store.

    Args:
        place: the store.
        noted: a seal noted earlier, as `ID:DIGEST`: checks that it is still in the chain, unchanged.
        facts_only: verify only schema and facts, in a third of the time.
        progress: called with the part, and the number of rows done and in total.

    Raises:
        StoreError: the store cannot be opened.
        UsageError: `noted` is not a seal.
    """
    expected = None if noted is None else _noted(noted)
    db = open_private_copy(place)
    try:
        with db.snapshot():
            return _Verifier(db, progress).run(expected, facts_only=facts_only)
    finally:
        db.close()


def _noted(text: str) -> Head:
    number, _, digest = text.strip().partition(":")
    if not number.isdecimal() or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise UsageError(f"'{text[:80]}' is not a seal; write ID:DIGEST, as 'failaware seal' prints it")
    return Head(int(number), digest, 0)


class _Verifier:
    """One run of verify, with its findings."""

    def __init__(self, db: PrivateCopy, progress: Progress) -> None:
        self._db = db
        self._store = db.store
        self._progress = progress
        self._findings: list[Finding] = []
        self._counts: Counter[str] = Counter()

    def run(self, noted: Head | None, *, facts_only: bool) -> Verification:
        with self._store.snapshot():
            head(self._store)  # the first read sets the moment of the snapshot, before progress is reported
            read = self._read(noted, facts_only=facts_only)
            is_fetched = "derived" in read.parts and self._fetch()
        if is_fetched:  # outside the snapshot: a server must not keep it open during the computation
            with self._part("derived"):
                self._derived()
        listed = tuple(self._findings)
        return read._replace(findings=listed, more=sum(self._counts.values()) - len(listed))

    def _read(self, noted: Head | None, *, facts_only: bool) -> Verification:
        """Verify schema and facts, and read what the result reports about the store."""
        with self._part("schema"):
            self._schema()
        proof: Proof | None = None
        with self._part("facts"):
            total = sum(self._count(sealed.table) for sealed in SEALED)
            proof = Proof(self._store, partial(self._find, "facts"), lambda done: self._progress("facts", done, total))
            proof.run(noted)
        state, derived_by = CURRENT, None
        with self._part("derived"):
            state, derived_by = derivation(self._store, private=False)
        newest, facts = NO_SEAL, 0
        erased: tuple[Erased, ...] = ()
        archives: tuple[Archived, ...] = ()
        with self._part("facts"):
            newest = head(self._store)
            facts = sum(self._count(sealed.table) for sealed in SEALED)
            erased = tuple(Erased(*row) for row in self._store.query(_ERASED))
            here = None if proof is None else proof.archive
            archives = tuple(Archived._make((*row, row[0] == here)) for row in self._store.query(_ARCHIVES))
        return Verification(
            facts,
            0 if proof is None else proof.sealed,
            str(newest) if newest.seal_id else None,
            newest.sealed_at if newest.seal_id else None,
            erased,
            PARTS[:2] if facts_only or state != CURRENT else PARTS,
            (),
            0,
            archives,
            state,
            derived_by,
        )

    def _find(self, part: str, where: str, problem: str) -> None:
        self._counts[part] += 1
        if self._counts[part] <= _LISTED:
            self._findings.append(Finding(part, where, problem))

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        """Turn an error into a finding of this part, and continue with the other parts."""
        try:
            with self._store.savepoint():
                yield
        except StoreCorrupt as error:
            self._find(name, "file", str(error))
        except StoreError as error:
            self._find(name, "file", f"{UNVERIFIED}: {error}")
        except Exception as error:  # noqa: BLE001 - a damaged file may raise any error
            self._find(name, "file", f"its contents are invalid ({type(error).__name__}: {error})")

    def _schema(self) -> None:
        self._progress("schema", 0, 1)
        for where, problem in self._store.defects():
            self._find("schema", where, problem)

    def _fetch(self) -> bool:
        """Fetch the facts and the derived rows; return whether that succeeded."""
        failed = self._counts["derived"]
        with self._part("derived"):
            self._progress("derived", 0, 1)
            copy_rules(self._db)
            for table in (*FOLDED, *DERIVED):
                self._db.fetch(table)
        return self._counts["derived"] == failed

    def _derived(self) -> None:
        until = stored_until(self._db)
        rebuild(self._db, load_policy(self._db), partial(self._progress, "derived"), until=until)
        for table in DERIVED:
            if table in COMPARED:
                self._compare(table, *COMPARED[table])
                self._find_lost(table)
            elif table != "cluster_part":
                self._compare(table)

    def _find_lost(self, table: str) -> None:
        """Find the rows that no view shows, since they are stored under a part that does not exist."""
        _, keys = columns_and_keys(table)
        for row in self._db.query(_LOST.format(table=table, keys=", ".join(keys), most=_LISTED + 1)):
            self._find("derived", f"{table} {', '.join(map(str, row))}", "does not belong to a cluster")

    def _compare(self, table: str, view: str = "", keys: Sequence[str] = ()) -> None:
        """Compare a derived table, or a view of it with these keys, with its fresh derivation."""
        columns, table_keys = columns_and_keys(view or table)
        keys = keys or table_keys
        names = {
            "table": view or table,
            "keys": ", ".join(keys),
            "order": ", ".join(f"o.{key}" for key in keys),
            "same": " AND ".join(f"o.{key} = n.{key}" for key in keys),
            "differ": " OR ".join(f"o.{name} IS NOT n.{name}" for name in columns),
            "both": ", ".join(f"{side}.{name}" for side in "on" for name in columns),
            "most": _LISTED + 1,
        }
        for row in self._db.query(_DIFFERENT.format(**names)):
            old, new = dict(zip(columns, row, strict=False)), dict(zip(columns, row[len(columns) :], strict=True))
            where = f"{table} {', '.join(str(old[key]) for key in keys)}"
            self._find("derived", where, _problem(old, new, is_derived=new[keys[0]] is not None))
        for row in self._db.query(_MISSING.format(**names)):
            self._find("derived", f"{table} {', '.join(map(str, row))}", "is missing")

    def _count(self, table: str) -> int:
        return int(self._store.query(f"SELECT count(*) FROM {table}")[0][0])


def _problem(old: dict[str, object], new: dict[str, object], *, is_derived: bool) -> str:
    if not is_derived:
        return "does not follow from the facts"
    differ = [
        f"{name} is {old[name]!r}, a fresh derivation gives {new[name]!r}" for name in old if old[name] != new[name]
    ]
    return "; ".join(differ)
