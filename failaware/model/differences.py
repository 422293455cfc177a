"""Answers of what-if and diff: two policies over the same facts, two moments of one store."""

from typing import NamedTuple

from failaware.model.answers import Health, SeverityCounts
from failaware.model.facts import Severity

_STATES = ("pending", "failed", "dead", "synced", "dismissed")


class Correction(NamedTuple):
    """A person's decision on clusters: MERGE, SPLIT or UNDO.

    `cluster_id` is merged into `into_cluster`, or split by `split_by`. `undoes` is the correction that it undoes, and
    `undone_by` the one by which it was undone.
    """

    correction_id: int
    correction: str
    cluster_id: int
    into_cluster: int | None
    split_by: str | None
    undoes: int | None
    decided_by: str
    reason: str
    decided_at: int
    undone_by: int | None


class ClusterChange(NamedTuple):
    """What a correction would change in one cluster; one with 0 events before or after is not there then."""

    cluster_id: int
    event_type: str
    error_type: str | None
    template: str
    events_before: int
    events_after: int
    failures_before: int
    failures_after: int
    severity_before: str | None
    severity_after: str | None


class Move(NamedTuple):
    """An event or a cluster whose severity differs under another policy; `title` describes it.

    Each severity has the rule that gave it; both are None if no rule held.
    """

    entity_type: str
    entity_id: int
    title: str
    before: str | None
    before_rule: str | None
    after: str | None
    after_rule: str | None


class WhatIf(NamedTuple):
    """Two policies over the same facts: the counts of each severity, and what would change, worst first.

    `more` is how many further changes are not listed.
    """

    before: SeverityCounts
    after: SeverityCounts
    moves: tuple[Move, ...]
    more: int


class Changed(NamedTuple):
    """An event or a cluster that has changed: `change` is new, back, worse, better or gone.

    `before` is None if there was no severity then. `how` is the state at the later moment: of an event recovered
    (SYNCED without a decision), synced (after one), dismissed, requeued (PENDING), failed or dead; of a cluster
    unresolved or nothing unresolved.
    """

    change: str
    entity_type: str
    entity_id: int
    title: str
    before: str | None
    after: str | None
    rule: str | None
    how: str


class Diff(NamedTuple):
    """What changed between two moments (µs): clusters, then events, each worst first.

    `counts` has the number of each kind of change, by 'cluster' and 'event'; the lists may be shorter.
    """

    since: int
    until: int
    health_before: Health
    health_after: Health
    severity_before: SeverityCounts
    severity_after: SeverityCounts
    counts: dict[str, dict[str, int]]
    clusters: tuple[Changed, ...]
    events: tuple[Changed, ...]

    def numbers(self) -> list[tuple[str, str, int, int]]:
        """What is counted then and later: a severity or status, of 'clusters' or 'events', and both numbers.

        Severities that nothing has at either moment are left out.
        """
        severities = [
            (
                level.value,
                of,
                getattr(self.severity_before, of).get(level, 0),
                getattr(self.severity_after, of).get(level, 0),
            )
            for of in ("clusters", "events")
            for level in reversed(Severity)
        ]
        states = [
            (name.upper(), "events", getattr(self.health_before, name), getattr(self.health_after, name))
            for name in _STATES
        ]
        total = ("all", "events", self.health_before.total_events, self.health_after.total_events)
        return [*(row for row in severities if any(row[2:])), total, *states]
