"""Transfer of facts from another store or its export, with their ids and seals."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from failaware.derive.fold import fold, rebuild, store_unattempted
from failaware.derive.scope import just_appended
from failaware.derive.settings import (
    GAPS,
    allow_gaps,
    archive_of,
    drop_rules,
    has_gaps,
    hold_seals,
    load_policy,
    load_rules,
    mark_as_archive,
    release_seals,
    save_rule,
)
from failaware.engine import Reader, Writer
from failaware.errors import UsageError
from failaware.ledger.id_ranges import archived_ranges
from failaware.ledger.proof import Proof
from failaware.schema.catalogue import CORRECTION, EVENT, EXPORTED, SETTING, FactTable, selected
from failaware.session import Session

Fact = tuple[Any, ...]

_FOLDED = {"attempt": "attempts", "decision": "decisions"}


def take_over(store: Session, kind: FactTable, facts: Sequence[Fact]) -> int:
    """Append facts of one kind, in the order of their ids; return how many were in the store already.

    From the first new fact on, the store seals nothing until `finish`, or until a fact is refused.

    Raises:
        UsageError: the store has another fact with one of these ids, or a later id.
    """
    try:
        return store.write(lambda db: _settings(db, facts) if kind is SETTING else _restore(db, kind, facts))
    except UsageError:
        finish(store)  # this transfer can never be completed
        raise


def finish(session: Session, *, archive: int | None = None) -> None:
    """End the transfer: the store accepts new facts and seals again, or becomes this archive, which does not."""
    session.write(release_seals if archive is None else partial(mark_as_archive, archive_id=archive))


def _restore(db: Writer, kind: FactTable, facts: Sequence[Fact]) -> int:
    known = _append_new(db, kind, facts)
    if known < len(facts):
        hold_seals(db)
        new = facts[known:]
        if kind is EVENT:
            store_unattempted(db)
        elif kind is CORRECTION and db.query("SELECT 1 FROM attempt_log LIMIT 1"):
            rebuild(db, load_policy(db))
        elif kind.name in _FOLDED:
            fold(db, just_appended(**{_FOLDED[kind.name]: (new[0][0], new[-1][0])}), load_policy(db))
    return known


def _append_new(db: Writer, kind: FactTable, facts: Sequence[Fact]) -> int:
    """Append the facts that the store lacks, whose ids must be the highest; return how many it had."""
    existing = {row[0]: row for row in read(db, kind, facts[0][0], facts[-1][0])}
    new = [fact for fact in facts if fact[0] not in existing]
    for fact in facts:
        if existing.get(fact[0], fact) != fact:
            raise UsageError(
                f"this store has another {kind.name} {fact[0]} than the export; restore it into a new file"
            )
    if new:
        if new[0][0] <= newest(db, kind):
            raise UsageError(
                f"this store has other facts after {kind.name} {new[0][0]}; restore the export into a new file"
            )
        _insert(db, kind, new)
    return len(facts) - len(new)


def newest(db: Reader, kind: FactTable) -> int:
    """The last id of a kind of fact."""
    return int(db.query(f"SELECT coalesce(max({kind.key}), 0) FROM {kind.table}")[0][0])


def read(db: Reader, kind: FactTable, first: int, last: int) -> list[Fact]:
    """The facts of one kind in a range of ids, in order."""
    return db.query(
        f"SELECT {', '.join(map(selected, kind.columns))} FROM {kind.source} "
        f"WHERE f.{kind.key} BETWEEN ? AND ? ORDER BY f.{kind.key}",
        (first, last),
    )


class Restoring:
    """A restore within one transaction: first `settings`, then facts in order, then `finish`.

    `added` counts new facts, `known` those that were in the store already.
    """

    def __init__(self, db: Writer) -> None:
        """Begin a restore; all facts in the store must also be in the export."""
        self.added = self.known = 0
        self._db = db
        self._had = {kind: _count(db, kind) for kind in EXPORTED}
        self._known = dict.fromkeys(EXPORTED, 0)

    def settings(self, settings: Sequence[Fact]) -> None:
        """Adopt the policy, grouping rules and digest key of the export.

        Raises:
            UsageError: the store has facts and other settings.
        """
        _settings(self._db, settings)

    def append(self, kind: FactTable, facts: Sequence[Fact]) -> None:
        """Append the facts that the store lacks.

        Raises:
            UsageError: the store has another fact with one of these ids, or the database refuses a fact.
        """
        known = _append_new(self._db, kind, facts)
        self._db.query("SELECT 1")  # raises errors of the inserts now
        self._known[kind] += known
        self.known += known
        self.added += len(facts) - known

    def finish(self, *, lost: int) -> list[str]:
        """Fold all facts; return the findings of the checks.

        Raises:
            UsageError: the store has facts that the export lacks, or more facts are missing than were `lost`.
        """
        for kind, had in self._had.items():
            if self.added and had > self._known[kind]:
                raise UsageError(
                    f"this store has {had - self._known[kind]:,} of {kind.name} that the export does not have; "
                    "restore it into a new file"
                )
        archived = sum(ranges.count() for ranges in archived_ranges(self._db).values())
        without_gaps = [kind for kind in EXPORTED if not (kind is EVENT and has_gaps(self._db))]
        missing = sum(newest(self._db, kind) - _count(self._db, kind) for kind in without_gaps)
        if lost and missing > archived + lost:
            raise UsageError(f"the export says that {lost:,} facts were lost, but {missing - archived:,} are missing")
        if archive_of(self._db) is None:
            release_seals(self._db)
        else:  # an archive is never sealed
            hold_seals(self._db)
        if self.added:
            rebuild(self._db, load_policy(self._db))
        problems: list[str] = []
        Proof(self._db, lambda where, problem: problems.append(f"{where} {problem}")).run()
        return problems


def _count(db: Reader, kind: FactTable) -> int:
    return int(db.query(f"SELECT count(*) FROM {kind.table}")[0][0])


def _settings(db: Writer, facts: Sequence[Fact]) -> int:
    """Adopt the policy, the grouping rules and the digest key; return how many of them the store had."""
    if GAPS in facts:
        if not has_gaps(db):
            allow_gaps(db)
        return 1 + _settings(db, [fact for fact in facts if fact != GAPS])
    existing = set(load_rules(db))
    if different := existing.symmetric_difference(facts):
        if has_facts(db):
            name = min(different)[0]
            raise UsageError(f"this store has another {name} than the export; restore it into a new file")
        drop_rules(db)
        for name, text in facts:
            save_rule(db, name, text)
    return len(facts) - len(different)


def has_facts(db: Reader) -> bool:
    """Whether the store has any facts or seals."""
    return any(newest(db, kind) for kind in EXPORTED)


def _insert(db: Writer, kind: FactTable, facts: list[Fact]) -> None:
    for position, column in enumerate(kind.columns):
        if column.table:
            rows = [(fact[position], fact[0]) for fact in facts if fact[position] is not None]
            db.append(column.table, (column.name, kind.key), rows)
    own = [position for position, column in enumerate(kind.columns) if not column.table]
    db.append(kind.table, kind.column_names, [tuple(fact[position] for position in own) for fact in facts])
