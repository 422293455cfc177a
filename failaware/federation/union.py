"""The clusters of several stores: the rows of each, joined in private tables that the usual statements answer from.

For example, two stores have 5 words each at one place of a template: neither has learned that it varies, but together
they have 10. The templates of both are learned from again, and the clusters become one, with the sums of their numbers.
Corrections are facts of all stores: a merge that a person decided in one of them applies to the clusters of all.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from failaware.derive.assign import Finder
from failaware.derive.corrections import load_corrections, merged_clusters
from failaware.derive.fold import update_cluster_severities
from failaware.derive.grouping.groups import Group
from failaware.derive.grouping.learned import VARIABLE
from failaware.derive.settings import load_policy, replace_rules
from failaware.engine import open_empty_tables
from failaware.federation.ids import Names
from failaware.federation.part import Part
from failaware.model import NEVER, HourCount
from failaware.model.stores import Aggregates, InStore, Overlap
from failaware.read.aggregates import CLUSTERS, CORRECTIONS, COUNTS, TEMPLATES

_SUMMED = ("failures", "events", "recovered")
_HIGHEST = ("episodes", "relapses", "last_failed_at", "changed_at")
_HOUR = 3_600_000_000
_ERASED = "[erased]"  # a template of which nothing is known any more

_Row = dict[str, Any]
AskOverlaps = Callable[[Mapping[Part, list[list[int]]]], Mapping[Part, list[Overlap]]]


class Union:
    """The joined clusters as of the last `update`."""

    def __init__(self) -> None:
        self.db = open_empty_tables()
        """Private tables with the joined clusters, for the modules of `read`."""
        self.stores: dict[int, tuple[InStore, ...]] = {}
        """The parts of each cluster, most failures first."""
        self.policies_differ = False
        self.aggregates: dict[Part, Aggregates] = {}
        """What each part has contributed."""
        self._final: dict[int, int] = {}
        self._members: dict[tuple[Part, int], list[int]] = {}
        self._overlaps: dict[tuple[Part, int], Overlap] = {}  # of parts with several clusters that are one here

    def update(self, aggregates: Mapping[Part, Aggregates], overlaps: AskOverlaps = lambda _: {}) -> None:
        """Join these; nothing is done if they are those of the last call.

        `overlaps` asks each part about groups of its own clusters that are one here.
        """
        same = aggregates.keys() == self.aggregates.keys()
        if same and all(self.aggregates[part] is own for part, own in aggregates.items()):
            return
        before, self.aggregates = self.aggregates, {}  # if this fails, what is joined is not known
        with self.db.snapshot():
            if _learned_from(aggregates) != _learned_from(before):
                self._correct(aggregates)
                self._learn(aggregates)
            self.aggregates = dict(aggregates)
            self._find_members()
            self._ask_overlaps(overlaps)
            self._join()

    def names(self, part: Part) -> Names:
        """The ids of a part in all its answers."""
        return Names(part.number, part.name, self._final)

    def members(self, part: Part, cluster_id: int) -> list[int]:
        """The ids of a part's own clusters that belong to a cluster of all."""
        return self._members.get((part, cluster_id), [])

    def own_ids(self, part: Part) -> list[int]:
        """The ids of all own clusters of a part."""
        return [row[0] for row in self.aggregates[part].clusters] if part in self.aggregates else []

    def alike(self) -> list[tuple[Part, Part]]:
        """Pairs of parts with the same failures at the same times: one store, or a copy of it."""
        first: dict[object, Part] = {}
        known = [(part, own.clusters) for part, own in self.aggregates.items() if own.clusters]
        pairs = [(first.setdefault(clusters, part), part) for part, clusters in known]
        return [pair for pair in pairs if pair[0] is not pair[1]]

    def titles(self, cluster_ids: Iterable[int]) -> dict[int, tuple[str | None, str]]:
        """The error type and template of each of these clusters that is known."""
        sql = "SELECT error_type, template FROM failure_cluster WHERE cluster_id = ?"
        rows = {cluster_id: self.db.query(sql, (cluster_id,)) for cluster_id in cluster_ids}
        return {cluster_id: tuple(known[0]) for cluster_id, known in rows.items() if known}

    def set_hours(self, hours: Mapping[Part, Iterable[HourCount]]) -> None:
        """Replace the failures by hour."""
        sums: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        for counts in hours.values():
            for count in counts:
                of = sums[self._final.get(count.cluster_id, count.cluster_id), count.hour_at // _HOUR]
                of[0] += count.failures
                of[1] += count.events
        for (part, final), overlap in self._overlaps.items():
            for hour, events in overlap.entries if part in hours else ():
                if (final, hour) in sums:  # a hour that was asked for
                    sums[final, hour][1] -= events
        self.db.clear("cluster_hour")
        rows = [(*of, *(max(min(number, NEVER), -NEVER) for number in sums[of])) for of in sums]
        self.db.execute_many("INSERT INTO cluster_hour VALUES (?, ?, ?, ?)", rows)

    def _correct(self, aggregates: Mapping[Part, Aggregates]) -> None:
        """Read the corrections of all stores, in the order in which they were decided."""
        rows = sorted((row for own in aggregates.values() for row in own.corrections), key=itemgetter(0))
        self.db.clear("correction_log")
        self.db.execute_many(
            f"INSERT INTO correction_log (correction_id, decided_by, reason, {', '.join(CORRECTIONS)}) "
            "VALUES (?, '', '', ?, ?, ?, ?, ?)",
            [(number, *row) for number, row in enumerate(rows, 1)],
        )

    def _learn(self, aggregates: Mapping[Part, Aggregates]) -> None:
        """Find the cluster of each template among those of all stores, as corrected."""
        self.db.clear("fingerprint", "template_slot")
        replace_rules(self.db, next(iter(aggregates.values())).settings.items() if aggregates else ())
        learned: defaultdict[tuple[str, str | None], dict[int, _Row]] = defaultdict(dict)
        sets: defaultdict[tuple[str, str | None], list[set[int]]] = defaultdict(list)
        rows: dict[int, _Row] = {}
        for own in aggregates.values():
            of_part: defaultdict[tuple[str, str | None], set[int]] = defaultdict(set)
            for row in (_row(TEMPLATES, values) for values in own.templates):
                if rows.setdefault(row["fingerprint_id"], row)["template"] is None:  # this store has erased it
                    rows[row["fingerprint_id"]] = row
                if row["template"] is not None and row["admitted"]:
                    key = row["event_type"], row["error_type"]
                    learned[key][row["fingerprint_id"]] = row
                    of_part[key].add(row["fingerprint_id"])
            for key, ids in of_part.items():
                sets[key].append(ids)
        merges, splits = load_corrections(self.db)
        words_split = any(by == VARIABLE for _, by in splits)  # the other stores may have learned that variable
        finder: Finder | None = None
        for key, templates in learned.items():
            if words_split or any(ids != sets[key][0] for ids in sets[key]):
                finder = finder or Finder(self.db)
                for number, row in sorted(templates.items()):
                    finder.admitted(key[0], Group(number, key[1], row["template"], "", "", learnable=True))
        again: dict[int, int] = dict(self.db.query("SELECT fingerprint_id, cluster_id FROM fingerprint"))
        own_clusters = {number: row["cluster_id"] for number, row in rows.items()} | again
        for row in rows.values():
            row["cluster_id"] = own_clusters.get(row["cluster_id"], row["cluster_id"])
        self.db.execute_many(
            f"INSERT INTO fingerprint ({', '.join(TEMPLATES)}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [tuple(row.values()) for number, row in rows.items() if number not in again],
        )
        merged_clusters(self.db, merges)
        self._final = dict(self.db.query("SELECT fingerprint_id, cluster_id FROM known_fingerprint"))

    def _find_members(self) -> None:
        self._members = {}
        for part in self.aggregates:
            for own_id in self.own_ids(part):
                self._members.setdefault((part, self._final.get(own_id, own_id)), []).append(own_id)

    def _ask_overlaps(self, ask: AskOverlaps) -> None:
        """An event that failed in several of these clusters counts once."""
        several = {of: ids for of, ids in self._members.items() if len(ids) > 1}
        groups: defaultdict[Part, list[list[int]]] = defaultdict(list)
        for (part, _), ids in several.items():
            groups[part].append(ids)
        answers = {part: iter(own) for part, own in (ask(groups) if groups else {}).items()}
        overlaps = {of: next(answers.get(of[0], iter(())), None) for of in several}
        self._overlaps = {of: overlap for of, overlap in overlaps.items() if overlap is not None}

    def _join(self) -> None:
        joined: defaultdict[int, list[tuple[Part, _Row]]] = defaultdict(list)
        counts: defaultdict[tuple[Any, ...], int] = defaultdict(int)
        for part, own in self.aggregates.items():
            for values in own.clusters:
                row = _row(CLUSTERS, values)
                own_id: int = row["cluster_id"]
                joined[self._final.get(own_id, own_id)].append((part, row))
            for event_type, status, dismissed, cluster_id, severity, events in own.counts:
                final = self._final.get(cluster_id, cluster_id)
                counts[event_type, status, dismissed, final, severity] += events
        unresolved = _unresolved(self.aggregates)
        self.stores = {final: _in_stores(rows, unresolved) for final, rows in joined.items()}
        settings = [own.settings for own in self.aggregates.values()]
        self.policies_differ = any(each != settings[0] for each in settings)
        db = self.db
        db.clear("failure_cluster", "stored_counts", "cluster_hour")
        replace_rules(db, settings[0].items() if settings else ())
        db.execute_many(
            f"INSERT INTO failure_cluster ({', '.join(CLUSTERS)}) VALUES ({', '.join('?' * len(CLUSTERS))})",
            [tuple(self._sum(final, rows)[name] for name in CLUSTERS) for final, rows in joined.items()],
        )
        db.execute_many(
            f"INSERT INTO stored_counts ({', '.join(COUNTS)}) VALUES (?, ?, ?, ?, ?, ?)",
            [(*of, events) for of, events in counts.items()],
        )
        update_cluster_severities(db, "failure_cluster", load_policy(db))

    def _sum(self, final: int, rows: list[tuple[Part, _Row]]) -> _Row:
        """One row of several: sums, minima and maxima, and the name that the first failure gave."""
        _, first = min(
            rows, key=lambda of: (of[1]["cluster_id"] != final, of[1]["template"] == _ERASED, of[1]["first_failed_at"])
        )
        part, newest = max(rows, key=lambda of: (of[1]["last_failed_at"], -of[0].number))
        one = dict(first)
        if first["cluster_id"] != final:
            names = self.db.query("SELECT template FROM fingerprint WHERE fingerprint_id = ?", (final,))
            one["template"] = (names and names[0][0]) or first["template"]
        one["cluster_id"] = final
        one["first_failed_at"] = min(row["first_failed_at"] for _, row in rows)
        one |= {name: sum(row[name] for _, row in rows) for name in _SUMMED}
        for of in {part for part, _ in rows}:
            if (overlap := self._overlaps.get((of, final))) is not None:
                for name in ("events", "recovered"):
                    own = [row[name] for each, row in rows if each is of]
                    one[name] -= min(max(getattr(overlap, name), 0), sum(own) - max(own))  # another host may be hostile
        one |= {name: max(row[name] for _, row in rows) for name in _HIGHEST}
        one["example_attempt"] = int(self.names(part).of(newest["example_attempt"]))
        return one


def _row(columns: tuple[str, ...], values: tuple[Any, ...]) -> _Row:
    return dict(zip(columns, values, strict=True))


def _learned_from(aggregates: Mapping[Part, Aggregates]) -> list[tuple[Any, ...]]:
    """What decides which templates are one cluster."""
    return [(own.templates, own.corrections) for own in aggregates.values()]


def _unresolved(aggregates: Mapping[Part, Aggregates]) -> dict[tuple[Part, int], int]:
    """The unresolved events of each part's own clusters."""
    counts: defaultdict[tuple[Part, int], int] = defaultdict(int)
    for part, own in aggregates.items():
        for row in (_row(COUNTS, values) for values in own.counts):
            if row["severity"]:
                counts[part, row["cluster_id"]] += row["events"]
    return counts


def _in_stores(rows: list[tuple[Part, _Row]], unresolved: Mapping[tuple[Part, int], int]) -> tuple[InStore, ...]:
    parts = [
        InStore(
            part.name,
            row["cluster_id"],
            row["events"],
            unresolved.get((part, row["cluster_id"]), 0),
            *(row[name] for name in ("failures", "episodes", "relapses", "last_failed_at")),
        )
        for part, row in rows
    ]
    return tuple(sorted(parts, key=lambda one: (-one.failures, one.store)))
