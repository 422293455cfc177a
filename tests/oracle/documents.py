"""The documents that reports print with --json (docs/json.md, docs/api.md), as the facts say that they must be."""

from collections import Counter
from functools import cached_property

import failaware
from tests.oracle.clusters import HOUR
from tests.oracle.reports import RANKS, Oracle, changes

LEVELS = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
DAYS_SHOWN = 7


class Documents:
    """All documents of one moment; `ids` has the number of each cluster."""

    def __init__(self, oracle, ids):
        self.oracle, self.ids, self.now = oracle, ids, oracle.now
        self.states = oracle.states

    def health(self):
        return self.oracle.health() | {"derivation": "current", "derived_by": failaware.__version__}

    def severity(self):
        events, clusters = (
            {level: self.oracle.severity(kind)[level] for level in LEVELS} for kind in ("events", "clusters")
        )
        return {level: events[level] + clusters[level] for level in LEVELS} | {"events": events, "clusters": clusters}

    @cached_property
    def worst_first(self):
        """The clusters in the order in which they are listed."""
        return sorted(self.oracle.clusters.values(), key=lambda c: (*c.order, self.ids[c.name]))

    def clusters(self, holds=lambda _: True):
        return [self._cluster(cluster) for cluster in self.worst_first if holds(cluster)]

    def _cluster(self, c):
        return {
            "cluster_id": self.ids[c.name], "event_type": c.event_type, "error_type": c.error_type,
            "template": c.template, "severity": c.severity, "rule": c.rule, "reason": c.reason,
            "events": len(c.members), "unresolved": len(c.unresolved), "dead": c.standing("DEAD"),
            "retrying": c.standing("FAILED"), "recovered": c.recovered, "failures": len(c.attempts),
            "episodes": c.episodes, "relapses": len(c.relapses), "first_failed_at": c.first_failed_at,
            "last_failed_at": c.last_failed_at, "example_attempt": c.example.attempt_id,
        }  # fmt: skip

    def cluster(self, cluster):
        since = self.now - DAYS_SHOWN * 24 * HOUR
        return self._cluster(cluster) | {
            "impact": self.impact(cluster),
            "transitions": self.transitions(cluster),
            "hours": [hour for hour in self.timeline(since) if hour["cluster_id"] == self.ids[cluster.name]],
            "example": self.attempt(cluster.example),
        }

    def impact(self, cluster):
        ever, last = f"cluster:{self.ids[cluster.name]}", f"last:{self.ids[cluster.name]}"
        values, oldest = self.oracle.impact(cluster), self.oracle.oldest(cluster.unresolved)
        lists = {
            "events": ever,
            "attempts": ever,
            "dead": f"{last} status:DEAD -status:DISMISSED",
            "waiting": f"{last} status:FAILED,PENDING -status:DISMISSED",
            "oldest_age": f"id:{oldest.event.event_id}" if oldest else f"{last} status:UNRESOLVED",
        }
        figures = {name: {"value": values[name], "where": where} for name, where in lists.items()}
        return {"cluster_id": self.ids[cluster.name], **figures}

    def transitions(self, cluster):
        before, after = self.oracle.transitions(cluster)
        return {"cluster_id": self.ids[cluster.name], "before": self._moves(before), "after": self._moves(after)}

    def _moves(self, moves):
        """Most frequent first."""
        listed = [
            {"kind": kind, "events": events, "cluster_id": self.ids.get(name), **self._called(name)}
            for (kind, name), events in moves.items()
        ]
        return sorted(listed, key=lambda move: (-move["events"], move["kind"], move["cluster_id"] or 0))

    def _called(self, name):
        cluster = self.oracle.clusters.get(name)
        return {"error_type": cluster and cluster.error_type, "template": cluster and cluster.template}

    def timeline(self, since=0):
        hours = [
            {"cluster_id": self.ids[name], "hour_at": hour * HOUR, "failures": failures, "events": events}
            for name, cluster in self.oracle.clusters.items()
            for hour, (failures, events) in cluster.hours.items()
            if hour >= since // HOUR
        ]
        return sorted(hours, key=lambda hour: (hour["hour_at"], hour["cluster_id"]))

    def event_severities(self):
        """Of the unresolved events, by the cluster that they failed with last."""
        counts = Counter((self.ids[s.cluster], s.severity) for s in self.oracle.states.values() if s.severity)
        rows = [dict(zip(("cluster_id", "severity", "events"), (*of, n), strict=True)) for of, n in counts.items()]
        return sorted(rows, key=lambda row: (row["cluster_id"], row["severity"]))

    def trends(self):
        """Of the failures of the last 24 clock hours and of the last 60 minutes."""
        trends = []
        for name, cluster in self.oracle.clusters.items():
            hours = [cluster.hours.get(self.now // HOUR - ago, (0, 0))[0] for ago in range(23, -1, -1)]
            within = 1 - (self.now % HOUR) / HOUR
            last_hour = int(hours[-1] + hours[-2] * within + 0.5)
            new = 0 <= self.now - cluster.first_failed_at < 24 * HOUR
            rising = last_hour >= 3 and last_hour >= 2 * sum(hours) / 24
            if sum(hours) or new:
                change = "new" if new else "rising" if rising else None
                row = {"cluster_id": self.ids[name], "hours": hours, "last_hour": last_hour, "change": change}
                trends.append(row)
        return sorted(trends, key=lambda trend: trend["cluster_id"])

    def events(self, holds=lambda _: True):
        """Newest first."""
        return [self._event(state) for _, state in sorted(self.states.items(), reverse=True) if holds(state)]

    def _event(self, state):
        event, last = state.event, state.failures[-1] if state.failures else None
        return {
            "event_id": event.event_id, "event_type": event.event_type, "sync_status": state.status,
            "dismissed": state.dismissed, "retry_count": state.retries, "attempts": state.count,
            "severity": state.severity, "rule": state.rule, "cluster_id": self.ids.get(state.cluster),
            "last_error_type": last and last.error_type, "last_error": last and last.message, "source": event.source,
            "occurred_at": event.occurred_at, "detected_at": event.detected_at,
            "first_failed_at": state.first_failed_at, "last_failed_at": state.last_failed_at, "due_at": state.due_at,
        }  # fmt: skip

    def event(self, state):
        event = state.event
        until, by, _ = self.oracle.facts.leases.get(event.event_id, (None,) * 3)
        return {
            "event_id": event.event_id, "event_type": event.event_type, "key": event.key, "source": event.source,
            "event_payload": event.event_payload, "occurred_at": event.occurred_at, "detected_at": event.detected_at,
            "sync_status": state.status, "dismissed": state.dismissed, "retry_count": state.retries,
            "due_at": state.due_at, "leased_by": by, "leased_until": until, "cluster_id": self.ids.get(state.cluster),
            "severity": state.severity, "rule": state.rule, "reason": state.reason,
            "attempts": [self.attempt(attempt) for attempt in state.attempts],
            "decisions": [
                {"decision_id": d.decision_id, "event_id": d.event_id, "decision": d.kind, "decided_by": d.by,
                 "reason": d.reason, "decided_at": d.at}
                for d in state.all_decisions
            ],
            "runs": self.runs(state),
        }  # fmt: skip

    def attempt(self, a):
        return {
            "attempt_id": a.attempt_id, "event_id": a.event_id, "attempt_no": a.number,
            "outcome": "FAILED" if a.failed else "SYNCED", "error_type": a.error_type, "error_message": a.message,
            "traceback": a.traceback, "worker": a.worker, "started_at": a.started_at, "finished_at": a.finished_at,
            "retry_at": a.retry_at, "retry_reason": a.retry_reason, "cluster_id": self.ids.get(a.cluster),
            "cause": a.cause, "fingerprint": a.fingerprint,
        }  # fmt: skip

    def runs(self, state):
        """The history of an event; an error is called by its type without the module, or by its template."""
        types = {name: (self.oracle.clusters[name].error_type or "").rpartition(".")[2] for name in state.clusters}
        several = Counter(types.values())
        steps = []
        for kind, what, facts in self.oracle.runs(state):
            name, first = kind, facts[0] if facts else None
            if kind == "FAILED":
                own = types[what]
                name = own if own and several[own] == 1 else self.oracle.clusters[what].template
            elif kind == "STATE":
                name = state.shown_status
            elif kind != "SYNCED":
                name = first.by
            numbers = [fact.number for fact in facts if kind in ("FAILED", "SYNCED")]
            times = [fact.finished_at if kind in ("FAILED", "SYNCED") else fact.at for fact in facts]
            ends = {"first_attempt": numbers, "last_attempt": numbers, "first_at": times, "last_at": times}
            ends = {key: of[-key.startswith("last")] if of else None for key, of in ends.items()}
            steps.append(
                {"kind": kind, "name": name, "times": max(len(facts), 1), "cluster_id": self.ids.get(what), **ends}
            )
        return steps

    def explain(self, entity, since):
        """All but the conditions, which are SQL, and the masked parts of the message."""
        kind = "event" if entity in self.states.values() else "cluster"
        example = entity.example if kind == "cluster" else entity.failures[-1] if entity.failures else None
        return {
            "entity_type": kind,
            "entity_id": entity.event.event_id if kind == "event" else self.ids[entity.name],
            "severity": entity.severity, "rule": entity.rule, "reason": entity.reason, "checks": self.checks(entity),
            "derivation": "current", "derived_by": failaware.__version__,
            "grouped": example and self.grouped(example), "behind": self.behind(entity), "since": since,
        }  # fmt: skip

    def checks(self, entity):
        policy = self.oracle.facts.policy._asdict()
        return [
            {"rule": rule, "severity": severity, "held": held,
             "numbers": {name: policy[name] if value is ... else value for name, value in numbers.items()}}
            for rule, severity, held, numbers in entity.evidence
        ]  # fmt: skip

    def grouped(self, attempt):
        """Why a failure is in its cluster."""
        by = attempt.group
        return {"by": by.by, "text": attempt.message or "" if "clusters_per_type" in by.by else by.text,
                "template": by.own_template or by.template, "learned": list(by.learned), "rules": [],
                "split_of": by.split_of}  # fmt: skip

    def behind(self, entity):
        """The newest ten facts behind each number that is not 0."""
        return [
            {"number": name, "value": len(facts), "kind": kind, "ids": facts[::-1][:10]}
            for name, kind, facts in entity.behind
            if facts
        ]

    def recovered(self, holds=lambda _: True):
        chosen = [cluster for cluster in self.oracle.clusters.values() if holds(cluster)]
        rows = []
        for c in chosen:
            recovery = self._recovery([c])
            if recovery["recovered"] or recovery["helped"]:
                rows.append(
                    {"cluster_id": self.ids[c.name], "event_type": c.event_type, "error_type": c.error_type,
                     "template": c.template, "events": len(c.members), "unresolved": len(c.unresolved),
                     "episodes": c.episodes, "relapses": len(c.relapses), "recovery": recovery}
                )  # fmt: skip

        def cost(row):
            recovery = row["recovery"]
            return -recovery["attempts"], -recovery["total_delay"], -recovery["helped"], row["cluster_id"]

        return {"clusters": sorted(rows, key=cost), "total": self._recovery(chosen)}

    def _recovery(self, clusters):
        """By nearest rank: the shortest delay that so many tenths did not exceed."""
        recovered, helped, attempts, delays = self.oracle.recovered(clusters)
        ranks = [delays[-(-len(delays) * tenths // 10) - 1] if delays else None for tenths in (5, 9, 10)]
        names = ("recovered", "helped", "attempts", "median_delay", "p90_delay", "largest_delay", "total_delay")
        return dict(zip(names, (recovered, helped, attempts, *ranks, sum(delays)), strict=True))

    def due(self):
        first, types, bursts = self.oracle.calendar()
        rows = [
            {"event_type": name, "overdue": overdue, "minutes": minutes, "later": later}
            for name, (overdue, minutes, later) in sorted(types.items())
        ]
        listed = [
            {"event_type": name, "minute_at": at, "retries": retries, "usual": usual, "clusters": sorted(
                ({"cluster_id": self.ids[of], **self._called(of), "retries": n} for of, n in clusters.items()),
                key=lambda of: (-of["retries"], of["cluster_id"]))}
            for name, at, retries, usual, clusters in bursts
        ]  # fmt: skip
        return {
            "now": self.now,
            "first_minute_at": first,
            "pending": sum(state.shown_status == "PENDING" for state in self.states.values()),
            "types": sorted(rows, key=lambda row: -row["overdue"] - sum(row["minutes"])),
            "bursts": sorted(listed, key=lambda burst: (burst["minute_at"], burst["event_type"])),
        }

    def rejects(self):
        return self.oracle.facts.rejects[::-1]

    def what_if(self, policy):
        other = Documents(Oracle(self.oracle.facts.under(policy)), self.ids)
        moves = []
        for kind, ours, theirs in (
            ("cluster", self.oracle.clusters, other.oracle.clusters),
            ("event", self.states, other.states),
        ):
            moved = [
                {"entity_type": kind, "entity_id": number if kind == "event" else self.ids[number],
                 "title": title(kind, was), "before": was.severity, "before_rule": was.rule,
                 "after": theirs[number].severity, "after_rule": theirs[number].rule}
                for number, was in ours.items() if was.severity != theirs[number].severity
            ]  # fmt: skip
            moves += sorted(moved, key=lambda move: (-RANKS[move["after"]], move["entity_id"]))
        return {"before": self.severity(), "after": other.severity(), "moves": moves, "more": 0}

    def diff(self, before):
        """Since an earlier moment, `before` being its documents."""
        listed = {kind: [] for kind in ("cluster", "event")}
        for kind, rows in listed.items():
            for number, (change, entity, was) in changes(before.oracle, self.oracle, kind).items():
                rows.append(
                    {"change": change, "entity_type": kind,
                     "entity_id": number if kind == "event" else self.ids[number],
                     "title": title(kind, entity), "before": was and was.severity, "after": entity.severity,
                     "rule": entity.rule, "how": entity.how}
                )  # fmt: skip
            kinds = ("new", "back", "worse", "better", "gone")
            rows.sort(key=lambda row: (kinds.index(row["change"]), -RANKS[row["after"]], -row["entity_id"]))
        counts = {
            kind: {change: sum(row["change"] == change for row in rows) for change in kinds}
            for kind, rows in listed.items()
        }
        return {
            "since": before.now, "until": self.now, "health_before": before.health(), "health_after": self.health(),
            "severity_before": before.severity(), "severity_after": self.severity(), "counts": counts,
            "clusters": listed["cluster"], "events": listed["event"],
        }  # fmt: skip


def title(kind, entity):
    return entity.event.event_type if kind == "event" else f"{entity.event_type}  {entity.template}"
