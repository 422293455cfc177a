"""What the reports say (docs/patterns.md, docs/history.md, docs/api.md), from states and clusters."""

from collections import Counter, defaultdict
from statistics import median

from tests.oracle.clusters import Cluster
from tests.oracle.states import State

MINUTE = 60_000_000
RANKS = {None: 0, "LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}


class Oracle:
    """All answers, from the facts that were known at one moment."""

    def __init__(self, facts):
        self.facts, self.now = facts, facts.now
        self.states = {number: State(facts, number) for number in facts.events}
        names = {name for state in self.states.values() for name in state.clusters}
        self.clusters = {name: Cluster(name, self.states, facts.policy) for name in names}

    def health(self):
        """Without the version that derived it."""
        counts = Counter(state.shown_status for state in self.states.values())
        unresolved = [state for state in self.states.values() if state.unresolved]
        retried = max(self.states.values(), key=lambda s: (s.retries, s.event.event_id), default=None)
        due = [state for state in self.states.values() if state.due_at is not None]
        first = min(due, key=lambda s: (s.due_at, s.event.event_type, s.event.event_id), default=None)
        idle = [
            s for s in self.states.values() if s.shown_status == "PENDING" and s.event.event_id not in self.facts.leases
        ]
        workers = [e for e, (until, _, begun) in self.facts.leases.items() if self.now <= until and begun < 2]
        oldest = self.oldest(unresolved)
        return {
            "total_events": len(self.states),
            **{name: counts[name.upper()] for name in ("pending", "failed", "dead", "synced", "dismissed")},
            "due_now": sum(state.due_at <= self.now for state in due),
            "running": len(self.facts.leases),
            "next_due": first and ref(first, first.due_at),
            "oldest_unresolved": oldest and ref(oldest, oldest.failing_since),
            "most_retried": ref(retried, retried.retries) if retried and retried.retries else None,
            "waiting": most_first(state.event.event_type for state in idle if not state.failures),
            "requeued": most_first(state.event.event_type for state in idle if state.failures),
            "attended": sorted({self.facts.events[event_id].event_type for event_id in workers}),
            "rejects": len(self.facts.rejects),
            "archived": self.facts.archived,
            "last_fact_at": self.last_fact_at(),
        }

    @staticmethod
    def oldest(unresolved):
        """The one that has been failing longest."""
        return min(unresolved, key=lambda state: (state.failing_since, state.event.event_id), default=None)

    def last_fact_at(self):
        """The newest of the last event, attempt and decision that were appended."""
        events = list(self.facts.events.values())
        attempts = [attempt for tried in self.facts.attempts.values() for attempt in tried]
        decisions = [decision for decided in self.facts.decisions.values() for decision in decided]
        times = [max(events, key=lambda e: e.event_id).detected_at] if events else []
        times += [max(attempts, key=lambda a: a.attempt_id).finished_at] if attempts else []
        times += [max(decisions, key=lambda d: d.decision_id).at] if decisions else []
        return max(times, default=None)

    def severity(self, kind):
        """The number of events or clusters at each severity."""
        entities = self.states if kind == "events" else self.clusters
        counts = Counter(entity.severity for entity in entities.values())
        return {severity: counts[severity] for severity in RANKS if severity}

    def impact(self, cluster):
        last = [state for state in cluster.members if state.cluster == cluster.name]
        counts = Counter(state.shown_status for state in last)
        oldest = self.oldest(cluster.unresolved)
        return {
            "events": len(cluster.members),
            "attempts": len(cluster.attempts),
            "dead": counts["DEAD"],
            "waiting": counts["FAILED"] + counts["PENDING"],
            "oldest_age": oldest and max(self.now - oldest.failing_since, 0),
        }

    def recovered(self, clusters):
        """(recovered, helped, attempts, sorted delays) of the events that failed with any of these clusters."""
        recovered = helped = attempts = 0
        delays = []
        for state in {state.event.event_id: state for cluster in clusters for state in cluster.members}.values():
            if state.last.failed:
                continue
            helped += "REQUEUE" in state.decided
            if state.recovered:
                mine = [cluster for cluster in clusters if state in cluster.members]
                recovered += 1
                attempts += sum(len(cluster.failures(state)) for cluster in mine)
                began, ended = min(cluster.recovery(state) for cluster in mine)
                delays.append(max(ended - began, 0))
        return recovered, helped, attempts, sorted(delays)

    @staticmethod
    def runs(state):
        """(kind, cluster or None, facts) of each step: attempts by their numbers, decisions where they were made."""
        steps = [(a.number, 0, "FAILED" if a.failed else "SYNCED", a) for a in state.attempts]
        steps += [(decision.after, 1, decision.kind, decision) for decision in state.decisions]
        runs = []
        for _, decided, kind, fact in sorted(steps, key=lambda step: step[:2]):
            of = None if decided else fact.cluster
            if runs and not decided and runs[-1][:2] == (kind, of):
                runs[-1][2].append(fact)
            else:
                runs.append((kind, of, [fact]))
        if state.status != "SYNCED" or runs[-1][0] != "SYNCED":
            runs.append(("STATE", None, []))
        return runs

    def transitions(self, cluster):
        """What came before the first failure with it, and after the last one: (kind, cluster), and how many events."""
        before, after = Counter(), Counter()
        still = {"PENDING": "REQUEUED", "FAILED": "RETRYING"}
        for state in cluster.members:
            first, last = (state.attempts.index(cluster.failures(state)[end]) for end in (0, -1))
            before[step(state.attempts[first - 1]) if first else ("FIRST", None)] += 1
            following = state.attempts[last + 1 :]
            end = still.get(state.shown_status, state.shown_status), None
            after[step(following[0]) if following else end] += 1
        return before, after

    def calendar(self):
        """The first minute; by type what is FAILED and not dismissed (overdue, minute by minute, later); the bursts."""
        first, types, sources = self.now // MINUTE, {}, defaultdict(Counter)
        for state in self.states.values():
            if state.shown_status != "FAILED":
                continue
            name, minute = state.event.event_type, state.due_at // MINUTE - first
            overdue, minutes, later = types.setdefault(name, (0, [0] * 60, 0))
            if state.due_at <= self.now:
                overdue += 1
            elif minute < 60:
                minutes[minute] += 1
                sources[name, minute][state.cluster] += 1
            else:
                later += 1
            types[name] = overdue, minutes, later
        bursts = []
        for (name, minute), clusters in sources.items():
            minutes = types[name][1]
            nearest = sorted((n for n in range(60) if n != minute), key=lambda n: (abs(n - minute), n < minute))[:10]
            usual = median(minutes[n] for n in nearest)
            if minutes[minute] >= max(10, 4 * usual):
                bursts.append((name, (first + minute) * MINUTE, minutes[minute], usual, clusters))
        return first * MINUTE, types, bursts

    def since(self, entity):
        """The last change of an entity's severity, fact by fact: (at, before, after, rule, event, what changed it)."""
        states = [entity] if isinstance(entity, State) else entity.members
        facts = []
        for state in states:
            event, number = state.event, state.event.event_id
            facts.append((event.detected_at, 0, number, f"event {number}", event))
            facts += [(max(a.finished_at, event.detected_at), 1, a.attempt_id,
                       f"attempt {a.number} of event {number}", a) for a in state.attempts]  # fmt: skip
            facts += [(max(d.at, event.detected_at), 2, d.decision_id,
                       f"the {d.kind} of event {number} by {d.by}", d) for d in state.decisions]  # fmt: skip
        facts.sort(key=lambda fact: fact[:3])
        change, before = None, None
        for played, (at, _, _, what, fact) in enumerate(facts, start=1):
            after = self._after([fact for *_, fact in facts[:played]], entity)
            severity, rule = (after.severity, after.rule) if after else (None, None)
            if severity != before:
                change = at, before, severity, rule, fact.event_id, what
            before = severity
        return change

    def _after(self, known, entity):
        """What an entity was when these facts were known, and no others."""
        numbers = {fact.attempt_id for fact in known if hasattr(fact, "attempt_id")}
        decided = {fact.decision_id for fact in known if hasattr(fact, "decision_id")}
        events = {fact.event_id: fact for fact in known if hasattr(fact, "detected_at")}
        facts = self.facts._replace(
            events=events,
            attempts={e: [a for a in self.facts.attempts[e] if a.attempt_id in numbers] for e in events},
            decisions={e: [d for d in self.facts.decisions[e] if d.decision_id in decided] for e in events},
        )
        then = Oracle(facts)
        return then.states[entity.event.event_id] if isinstance(entity, State) else then.clusters.get(entity.name)


def ref(state, value):
    return {"event_id": state.event.event_id, "event_type": state.event.event_type, "value": value}


def most_first(types):
    return sorted(([name, events] for name, events in Counter(types).items()), key=lambda of: (-of[1], of[0]))


def step(attempt):
    return ("FAILED", attempt.cluster) if attempt.failed else ("SYNCED", None)


def changes(before, after, kind):
    """What changed between two moments: {entity: (change, what it is later, what it was or None)}."""
    changed = {}
    for number, entity in (after.states if kind == "event" else after.clusters).items():
        was = (before.states if kind == "event" else before.clusters).get(number)
        if kind == "event":
            if not entity.failures:
                continue
            was = was if was and was.failures else None
        if was is None:
            change = "new"
        elif bool(entity.unresolved) != bool(was.unresolved):
            change = "back" if entity.unresolved else "gone"
        elif entity.severity != was.severity:
            change = "worse" if RANKS[entity.severity] > RANKS[was.severity] else "better"
        else:
            continue
        changed[number] = change, entity, was
    return changed
