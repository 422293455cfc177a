"""Assign a cluster to each new failure, in the order in which they were appended, and learn variables on the way.

A new template may complete a variable (grouping/learned.py); then clusters become one, before the fold reads the rows
of earlier facts. These stay where they are: the cluster of a row is that of the part under which it is stored.
"""

from collections.abc import Iterable
from functools import cache, lru_cache, partial

from failaware.derive.corrections import load_corrections, merged_clusters, renamed
from failaware.derive.grouping.fingerprint import cluster_id
from failaware.derive.grouping.groups import Group, GroupingRules, Subject, erased_group, group, overflow
from failaware.derive.grouping.learned import VARIABLE, Slot, slots, variables
from failaware.derive.scope import STATEMENTS, Scope
from failaware.derive.settings import load_grouping
from failaware.engine import ProjectionWriter, Row
from failaware.schema.catalogue import ERASED

PAGE = 5_000
"""Failures assigned at a time."""

_MERGE = (
    *("merge_parts", "merge_members", "merge_hours", "drop_merged_hours", "correct_merged_hours"),
    *("drop_merged_members", "update_merged_members", "merge_counts", "drop_merged_counts", "merge_clusters"),
    "drop_merged_clusters",
)
_KNOWN = "SELECT admitted, template, error_type FROM known_fingerprint WHERE fingerprint_id = ?"
_ADMITTED = "SELECT count(*) FROM known_fingerprint WHERE event_type = ? AND admitted = 1"
_FINAL = """
  SELECT k.cluster_id, c.template, c.error_type
    FROM known_fingerprint k JOIN known_fingerprint c ON c.fingerprint_id = k.cluster_id
   WHERE k.fingerprint_id = ?
"""
_CLASSES = """
  SELECT fingerprint_id, variables FROM fingerprint
   WHERE fingerprint_id IN (SELECT cluster_id FROM fingerprint WHERE fingerprint_id IN ({}))
"""


def assign_clusters(db: ProjectionWriter, scope: Scope) -> frozenset[int]:
    """Assign a cluster to every new failure; return the ids of clusters into which others were merged."""
    after, finder = 0, None
    merged: set[int] = set()
    full = True
    while full:
        rows = db.query(_scoped(scope.ctes, "unfingerprinted"), {**scope.parameters, "after": after, "page": PAGE})
        if not rows:
            break
        finder = finder or Finder(db)
        groups = [finder.find(row) for row in rows]
        merged |= merge(db, finder.take_merged())
        groups = [finder.final(each) for each in groups]
        clusters: dict[int, tuple[int, str, str | None, str, int]] = {}
        for row, cluster in zip(rows, groups, strict=True):
            named = clusters.get(cluster.cluster_id)
            # The first failure names the cluster, in a batch too; an erased one only until another is there.
            if named is None or (named[3] == ERASED and cluster.template != ERASED):
                clusters[cluster.cluster_id] = (
                    *(cluster.cluster_id, row[2], cluster.error_type, cluster.template),
                    row[0],
                )
        db.execute_many(
            STATEMENTS["new_failure"], [(row[0], each.cluster_id) for row, each in zip(rows, groups, strict=True)]
        )
        db.execute_many(STATEMENTS["new_part"], [(number, number) for number in sorted(clusters)])
        db.execute_many(STATEMENTS["new_cluster"], [clusters[number] for number in sorted(clusters)])
        after, full = rows[-1][0], len(rows) == PAGE
    return frozenset(merged)


def merge(db: ProjectionWriter, merged: dict[int, int]) -> set[int]:
    """Merge clusters into those that they belong to now; return the ids of these."""
    stored = "SELECT 1 FROM failure_cluster WHERE cluster_id = ?"
    merged = {old: new for old, new in merged.items() if db.query(stored, (old,))}  # others have no rows yet
    if merged:
        new = set(merged.values())
        db.execute_many(
            "INSERT INTO merging (old_id, new_id) VALUES (?, ?)",
            [*merged.items(), *((number, number) for number in new)],
        )
        db.execute_many(STATEMENTS["new_part"], [(number, number) for number in sorted(new)])
        for name in _MERGE:
            db.execute(STATEMENTS[name])
        db.clear("merging", "merged_member")
    return set(merged.values())


class Finder:
    """Finds the clusters of failures, in the order in which they were appended: known ones, or new ones.

    An event type has as many templates as the rules allow; later ones share the overflow cluster, unless they fit a
    learned variable. Admitted templates stay admitted, so how facts are batched does not matter.
    """

    def __init__(self, db: ProjectionWriter) -> None:
        """Read the rules."""
        self._db = db
        self._rules: GroupingRules = load_grouping(db)
        self._remaining: dict[str, int] = {}
        self._known: set[int] = set()
        self._merged: set[int] = set()
        self._merges = load_corrections(db).merges
        self._finals: dict[int, tuple[int, str | None, str | None]] = {}
        self._text_of = lru_cache(maxsize=256)(self._read_text)

    def find(self, row: Row) -> Group:
        """The cluster of a row of `unfingerprinted` or `named_by`; `final` must follow once all are found."""
        _, traceback, event_type, error_type, message, cause, given, erased = row
        if erased is not None:
            own = erased_group(erased, event_type, error_type, self._rules)
        else:
            subject = Subject(event_type, error_type, message, cause, given, partial(self._text_of, traceback))
            own = group(subject, self._rules)
        return self.admitted(event_type, own)

    def final(self, own: Group) -> Group:
        """A group with the id and name of the cluster that it belongs to, after all merges."""
        if own.cluster_id not in self._finals:
            rows = self._db.query(_FINAL, (own.cluster_id,))
            self._finals[own.cluster_id] = rows[0] if rows else (own.cluster_id, None, None)  # the overflow cluster
        cluster, name, error_type = self._finals[own.cluster_id]
        if (cluster, name) == (own.cluster_id, own.template):
            return own
        if own.template == ERASED or name is None:  # without a name of its own, a failure of that fingerprint gives it
            name = own.template if cluster == own.cluster_id else ERASED
        if cluster == own.cluster_id:
            error_type = own.error_type
        return own._replace(cluster_id=cluster, error_type=error_type, template=name)

    def take_merged(self) -> dict[int, int]:
        """The clusters merged since the last call, by what was learned or by corrections: old id -> new id."""
        moved, self._merged = self._merged, set()
        if self._merges:
            moved |= merged_clusters(self._db, self._merges)
        if moved:
            self._finals.clear()
        return renamed(self._db, moved)

    def _read_text(self, traceback: int | None) -> str | None:
        rows = self._db.query("SELECT text FROM traceback_log WHERE traceback_id = ?", (traceback,))
        return rows[0][0] if rows else None

    def admitted(self, event_type: str, own: Group) -> Group:
        """The group itself, or the overflow cluster if its event type has too many; learns from its template."""
        if own.cluster_id in self._known:
            return own
        beyond = overflow(event_type, self._rules)
        if own.cluster_id == beyond.cluster_id:
            return own
        known = self._db.query(_KNOWN, (own.cluster_id,))
        learnable = own.learnable and self._rules.variable_after > 0
        if not known:
            if event_type not in self._remaining:
                ((admitted,),) = self._db.query(_ADMITTED, (event_type,))
                self._remaining[event_type] = self._rules.clusters_per_type - admitted
            if self._remaining[event_type] <= 0:
                return own if learnable and self._fits(event_type, own) else beyond
            self._remaining[event_type] -= 1
            self._add(event_type, own.error_type, own.cluster_id, None)
        if learnable and (not known or tuple(known[0][:2]) == (1, None)):  # the others of this template were erased
            self._learn(event_type, own)
        elif known and own.template != ERASED and known[0][2] != own.error_type:  # an erased failure came first
            self._db.execute(STATEMENTS["new_error_type"], (own.error_type, own.cluster_id))
        if own.template != ERASED:
            self._known.add(own.cluster_id)
        return own

    def _add(
        self, event_type: str, error_type: str | None, number: int, template: str | None, *, admitted: int = 1
    ) -> None:
        about = {
            "error_type": error_type,
            "variables": variables(template) if template else 0,
            "template": template,
            "admitted": admitted,
        }
        self._db.execute(STATEMENTS["new_fingerprint"], {"id": number, "event_type": event_type, **about})

    def _learn(self, event_type: str, own: Group) -> None:
        """Note the words of a new template, and derive the patterns that they complete."""
        self._add(event_type, own.error_type, own.cluster_id, own.template)
        todo = [own.template]
        while todo:
            template = todo.pop()
            number = cluster_id(event_type, own.error_type, template)
            for slot in slots(template, (event_type, own.error_type or "")):
                self._db.execute(STATEMENTS["new_slot_word"], (slot.slot_id, slot.word, number))
                same = self._members(slot)
                if len(same) >= self._rules.variable_after:
                    general = cluster_id(event_type, own.error_type, slot.general)
                    if (general, VARIABLE) in self._rules.splits:
                        continue
                    known = self._db.query(_KNOWN, (general,))
                    if not known or known[0][1] is None:
                        self._add(event_type, own.error_type, general, slot.general, admitted=0)
                        todo.append(slot.general)
                    self._unite({number, general, *same})

    def _members(self, slot: Slot) -> list[int]:
        sql = "SELECT fingerprint_id FROM template_slot WHERE slot_id = ? LIMIT ?"
        return [number for (number,) in self._db.query(sql, (slot.slot_id, self._rules.variable_after))]

    def _unite(self, fingerprints: Iterable[int]) -> None:
        """Make the clusters of these fingerprints one: the one whose template has the most variables."""
        classes = self._db.query(_CLASSES.format(", ".join(map(str, sorted(fingerprints)))))
        (new, _), *others = sorted(classes, key=lambda row: (-row[1], row[0]))
        for old, _ in others:
            self._db.execute("UPDATE fingerprint SET cluster_id = ? WHERE cluster_id = ?", (new, old))
            self._merged.add(old)

    def _fits(self, event_type: str, own: Group) -> bool:
        """Whether a template that is not admitted has a learned variable; if so, note its cluster."""
        for slot in slots(own.template, (event_type, own.error_type or "")):
            same = self._members(slot)
            if len(same) >= self._rules.variable_after:
                self._add(event_type, own.error_type, own.cluster_id, None, admitted=0)
                self._unite({own.cluster_id, *same})
                return True
        return False


@cache
def _scoped(ctes: str, name: str) -> str:
    return ctes + STATEMENTS[name]
