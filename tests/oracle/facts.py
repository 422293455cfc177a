"""The facts of a store, from the tables that docs/schema.md describes, and which of them were known at a moment."""

from typing import NamedTuple

from tests.oracle.grouping import Rules, group_all

NEVER = 2**63 - 1


class Event(NamedTuple):
    event_id: int
    event_type: str
    source: str | None
    event_payload: str
    occurred_at: int
    detected_at: int
    fingerprint: str | None
    key: str | None


class Attempt(NamedTuple):
    attempt_id: int
    event_id: int
    number: int
    failed: bool
    error_type: str | None
    message: str | None
    worker: str
    started_at: int
    finished_at: int
    retry_at: int | None
    retry_reason: str | None
    cause: str | None
    fingerprint: str | None
    text: str | None
    """The traceback as it is stored."""
    group: tuple | None = None
    """Its cluster, a `Group` of tests/oracle/grouping.py; None of a success."""

    @property
    def cluster(self):
        """What its cluster is known by."""
        return self.group and self.group.name

    @property
    def traceback(self):
        """With the attempt's own error in it."""
        error = self.error_type if self.message == "" else f"{self.error_type}: {self.message}"
        return self.text and self.text.replace("⟨error⟩", error)


class Decision(NamedTuple):
    decision_id: int
    event_id: int
    kind: str
    after: int
    by: str
    reason: str
    at: int


class Correction(NamedTuple):
    correction_id: int
    kind: str
    cluster_id: int
    into: int | None
    split_by: str | None
    undoes: int | None
    at: int


class Facts(NamedTuple):
    """All facts that were known at `now`, by the policy and the leases of then."""

    now: int
    policy: object
    events: dict
    attempts: dict
    """By event, in the order of their numbers."""
    decisions: dict
    """By event, in the order in which they were taken."""
    rejects: list
    leases: dict
    """Who has which event until when."""
    archived: int
    """How many events were archived."""
    rules: object
    corrections: list
    corrected: bool
    """Whether there are corrections, at any time."""
    kept: dict
    """The clusters that erased failures stay in."""

    def grouped(self, learned_from):
        """With the cluster of each failure; variables are learned from the failures of other facts."""
        undone = {correction.undoes for correction in self.corrections}
        active = [each for each in self.corrections if each.kind != "UNDO" and each.correction_id not in undone]
        splits = tuple((each.cluster_id, each.split_by) for each in active if each.kind == "SPLIT")
        rules = (self.rules or Rules())._replace(splits=splits)
        if learned_from.rules != rules:
            learned_from = self
        merges = [(each.cluster_id, each.into) for each in active if each.kind == "MERGE"]
        failures = [
            (learned_from.events[e], a) for e, tried in learned_from.attempts.items() for a in tried if a.failed
        ]
        groups = group_all(failures, rules, self.kept, merges)
        attempts = {
            e: [a._replace(group=groups.get(a.attempt_id)) for a in tried] for e, tried in self.attempts.items()
        }
        return self._replace(attempts=attempts, rules=rules)

    def as_of(self, at):
        """What was known at a moment: each fact from its own time on, not before its event. There are no leases."""
        events = {number: event for number, event in self.events.items() if event.detected_at <= at}
        then = self._replace(
            now=at,
            corrections=[each for each in self.corrections if each.at <= at],
            events=events,
            attempts={e: [a for a in self.attempts[e] if a.finished_at <= at] for e in events},
            decisions={e: [d for d in self.decisions[e] if d.at <= at] for e in events},
            rejects=[reject for reject in self.rejects if reject["rejected_at"] <= at],
            leases={},
        )
        return then.grouped(self) if self.corrected else then

    def under(self, policy):
        """The same facts under another policy."""
        return self._replace(policy=policy)


def read(db, policy, now, rules=None, kept=None):
    """The facts of a store, grouped by these rules; `kept` are the clusters that erased failures stay in."""
    rows = db.query(
        "SELECT e.event_id, event_type, source, event_payload, occurred_at, detected_at, fingerprint, key "
        "FROM event_log e LEFT JOIN event_key k ON k.event_id = e.event_id ORDER BY e.event_id"
    )
    events = {row[0]: Event(*row) for row in rows}
    attempts, decisions = {number: [] for number in events}, {number: [] for number in events}
    rows = db.query(
        "SELECT attempt_id, event_id, attempt_no, outcome, error_type, error_message, worker, started_at, finished_at, "
        "retry_at, retry_reason, cause, fingerprint, t.text "
        "FROM attempt_log a LEFT JOIN traceback_log t ON t.traceback_id = a.traceback ORDER BY event_id, attempt_no"
    )
    tried = [Attempt(*row[:3], row[3] == "FAILED", *row[4:]) for row in rows]
    for attempt in tried:
        attempts[attempt.event_id].append(attempt)
    for row in db.query(
        "SELECT decision_id, event_id, decision, after_attempt, decided_by, reason, decided_at "
        "FROM decision_log ORDER BY decision_id"
    ):
        decisions[row[1]].append(Decision(*row))
    columns = ("reject_id", "origin", "line_no", "raw", "error", "rejected_at")
    rejects = [
        dict(zip(columns, row, strict=True))
        for row in db.query(f"SELECT {', '.join(columns)} FROM reject_log ORDER BY 1")
    ]
    leases = {e: lease for e, *lease in db.query("SELECT event_id, leased_until, leased_by, begun FROM lease")}
    ((archived,),) = db.query("SELECT coalesce(sum(events), 0) FROM archive_log")
    columns = "correction_id, correction, cluster_id, into_cluster, split_by, undoes, decided_at"
    corrections = [Correction(*row) for row in db.query(f"SELECT {columns} FROM correction_log ORDER BY 1")]
    facts = Facts(now, policy, events, attempts, decisions, rejects, leases, archived, rules, corrections,
                  bool(corrections), kept or {})  # fmt: skip
    return facts.grouped(facts)
