"""Verify: the schema is as it was made, the facts are intact, and what is derived equals a fresh derivation.

Nothing is written to the store. All of it is read at one moment, which holds back checkpoints for as long as it takes.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from failaware.derive.fold import DERIVED, FOLDED, rebuild
from failaware.derive.settings import copy_rules, load_policy
from failaware.derive.stored_version import derivation
from failaware.engine import PrivateCopy, open_private_copy
from failaware.engine.catalogue import SEALED
from failaware.engine.derivation import CURRENT
from failaware.engine.schema import columns_and_keys
from failaware.errors import StoreCorrupt, StoreError, UsageError
from failaware.ledger.proof import MOST, Proof
from failaware.ledger.seals import NO_SEAL, Head, head

Progress = Callable[[str, int, int], None]
"""Told what is being verified, and how many of how many rows are done."""

UNVERIFIED = "could not be verified"
"""How a finding begins that says nothing about the store: a query ended too early, or the server went away."""

PARTS = ("schema", "facts", "derived")
"""What is verified, in this order."""

_LISTED = MOST  # findings of one part that are listed

_DIFFERENT = """
  SELECT {both} FROM main.{table} o LEFT JOIN temp.{table} n ON {same} WHERE {differ} ORDER BY {order} LIMIT {most}
"""
_MISSING = """
  SELECT {keys} FROM temp.{table} n WHERE NOT EXISTS (SELECT 1 FROM main.{table} o WHERE {same})
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
    findings that are not listed. `archives` are those that facts were moved to. `derivation` is current, or by an older
    or newer version of failaware, `derived_by`, than this one: then what is derived is no part that is looked at, since
    another version derives other rows from the same facts.
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
        noted: a seal as `ID:DIGEST`, noted elsewhere earlier: that it is still there, unchanged, is proved too.
        facts_only: schema and facts, in a third of the time; what is derived is not derived anew.
        progress: told how far it is.

    Raises:
        StoreError: it cannot be opened.
        UsageError: what was noted is no seal.
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
        raise UsageError(f"'{text[:80]}' is no seal; it is written ID:DIGEST, as 'failaware seal' prints it")
    return Head(int(number), digest, 0)


class _Verifier:
    """One run: what it reads, and what it has found so far."""

    def __init__(self, db: PrivateCopy, progress: Progress) -> None:
        self._db = db
        self._store = db.store
        self._progress = progress
        self._findings: list[Finding] = []
        self._found: Counter[str] = Counter()

    def run(self, noted: Head | None, *, facts_only: bool) -> Verification:
        with self._store.snapshot():
            head(self._store)  # the moment is that of the first thing read, and not that of the first progress reported
            read = self._read(noted, facts_only=facts_only)
            is_fetched = "derived" in read.parts and self._fetch()
        if is_fetched:  # a server's snapshot has ended: it must not wait for what is computed here
            with self._part("derived"):
                self._derived()
        listed = tuple(self._findings)
        return read._replace(findings=listed, more=sum(self._found.values()) - len(listed))

    def _read(self, noted: Head | None, *, facts_only: bool) -> Verification:
        """What the store itself says, and what is wrong with its schema and its facts."""
        with self._part("schema"):
            self._schema()
        proof: Proof | None = None
        with self._part("facts"):
            total = sum(self._count(sealed.table) for sealed in SEALED)
            proof = Proof(self._store, partial(self._find, "facts"), lambda done: self._progress("facts", done, total))
            proof.run(noted)
        state, derived_by = CURRENT, None
        with self._part("derived"):
            state, derived_by = derivation(self._store, of="main.")
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
        self._found[part] += 1
        if self._found[part] <= _LISTED:
            self._findings.append(Finding(part, where, problem))

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        """What cannot even be read is a finding, and the other parts go on."""
        try:
            with self._store.savepoint():
                yield
        except StoreCorrupt as error:
            self._find(name, "file", str(error))
        except StoreError as error:
            self._find(name, "file", f"{UNVERIFIED}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever cannot be made sense of does not verify
            self._find(name, "file", f"what it holds makes no sense ({type(error).__name__}: {error})")

    def _schema(self) -> None:
        self._progress("schema", 0, 1)
        for where, problem in self._store.defects():
            self._find("schema", where, problem)

    def _fetch(self) -> bool:
        """Fetch what the derived rows follow from, and the rows themselves; whether that went well."""
        failed = self._found["derived"]
        with self._part("derived"):
            self._progress("derived", 0, 1)
            copy_rules(self._db)
            for table in (*FOLDED, *DERIVED):
                self._db.fetch(table)
        return self._found["derived"] == failed

    def _derived(self) -> None:
        rebuild(self._db, load_policy(self._db), partial(self._progress, "derived"))
        for table in DERIVED:
            self._compare(table)

    def _compare(self, table: str) -> None:
        """A derived table against its fresh derivation, along their keys."""
        columns, keys = columns_and_keys(table)
        names = {
            "table": table,
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
            self._find("derived", where, _both(old, new, there=new[keys[0]] is not None))
        for row in self._db.query(_MISSING.format(**names)):
            self._find("derived", f"{table} {', '.join(map(str, row))}", "is missing")

    def _count(self, table: str) -> int:
        return int(self._store.query(f"SELECT count(*) FROM {table}")[0][0])


def _both(old: dict[str, object], new: dict[str, object], *, there: bool) -> str:
    if not there:
        return "follows from no fact"
    differ = [
        f"{name} is {old[name]!r}, a fresh derivation says {new[name]!r}" for name in old if old[name] != new[name]
    ]
    return "; ".join(differ)
