"""What the reports say (docs/patterns.md, docs/history.md, docs/api.md), from states and clusters."""

from collections import Counter, defaultdict

from tests.oracle.clusters import Cluster
from tests.oracle.facts import NEVER
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
        stands = Counter(state.stands for state in self.states.values())
        unresolved = [state for state in self.states.values() if state.unresolved]
        retried = max(self.states.values(), key=lambda s: (s.retries, s.event.event_id), default=None)
        due = [state.due_at for state in self.states.values() if state.due_at is not None]
        idle = [s for s in self.states.values() if s.stands == "PENDING" and s.event.event_id not in self.facts.leases]
        workers = [e for e, (until, by) in self.facts.leases.items()
                   if self.now <= until < NEVER and not by.endswith("#exec")]  # fmt: skip
        return {
            "total_events": len(self.states),
            "pending": stands["PENDING"],
            "failed": stands["FAILED"],
            "dead": stands["DEAD"],
            "synced": stands["SYNCED"],
            "dismissed": stands["DISMISSED"],
            "due_now": sum(at <= self.now for at in due),
            "in_hand": len(self.facts.leases),
            "next_due": min(due, default=None),
            "oldest_unresolved": min((state.failing_since for state in unresolved), default=None),
            "most_retried": (retried.event.event_id, retried.retries) if retried and retried.retries else None,
            "waiting": Counter(state.event.event_type for state in idle if not state.attempts),
            "requeued": Counter(state.event.event_type for state in idle if state.attempts),
            "attended": {self.facts.events[event_id].event_type for event_id in workers},
            "last_fact_at": self.last_fact_at(),
        }

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
        """How many events or clusters stand at each severity."""
        entities = self.states if kind == "events" else self.clusters
        counts = Counter(entity.severity for entity in entities.values())
        return {severity: counts[severity] for severity in RANKS if severity}

    def impact(self, cluster):
        last = [state for state in cluster.members if state.cluster == cluster.name]
        stands = Counter(state.stands for state in last)
        since = min((state.failing_since for state in cluster.unresolved), default=None)
        return {
            "events": len(cluster.members),
            "attempts": len(cluster.attempts),
            "dead": stands["DEAD"],
            "waiting": stands["FAILED"] + stands["PENDING"],
            "oldest_age": None if since is None else max(self.now - since, 0),
        }

    def healed(self, clusters):
        """(healed, helped, attempts, sorted delays) of the events that failed with any of these clusters."""
        healed = helped = attempts = 0
        delays = []
        for state in {state.event.event_id: state for cluster in clusters for state in cluster.members}.values():
            if state.last.failed:
                continue
            helped += "REQUEUE" in state.decided
            if state.recovered:
                mine = [cluster for cluster in clusters if state in cluster.members]
                healed += 1
                attempts += sum(len(cluster.failures(state)) for cluster in mine)
                began, ended = min(cluster.recovery(state) for cluster in mine)
                delays.append(max(ended - began, 0))
        return healed, helped, attempts, sorted(delays)

    def runs(self, event_id):
        """(kind, cluster or None, times) of each step."""
        state = self.states[event_id]
        steps = [(a.number, 0, "FAILED" if a.failed else "SYNCED", a.cluster) for a in state.attempts]
        steps += [(decision.after, 1, decision.kind, None) for decision in state.decisions]
        runs = []
        for _, decided, kind, cluster in sorted(steps, key=lambda step: step[:2]):
            if runs and not decided and runs[-1][:2] == (kind, cluster):
                runs[-1] = (kind, cluster, runs[-1][2] + 1)
            else:
                runs.append((kind, cluster, 1))
        if state.status != "SYNCED" or runs[-1][0] != "SYNCED":
            runs.append(("STATE", state.stands, 1))
        return runs

    def transitions(self, cluster):
        """What came before the first failure with it, and after the last one: (kind, cluster), and how many events."""
        before, after = Counter(), Counter()
        still = {"PENDING": "REQUEUED", "FAILED": "RETRYING"}
        for state in cluster.members:
            first, last = (state.attempts.index(cluster.failures(state)[end]) for end in (0, -1))
            before[step(state.attempts[first - 1]) if first else ("FIRST", None)] += 1
            following = state.attempts[last + 1 :]
            stands = still.get(state.stands, state.stands), None
            after[step(following[0]) if following else stands] += 1
        return before, after

    def calendar(self):
        """By type: overdue, minute by minute from now, later; of FAILED events that are not dismissed."""
        first, types = self.now // MINUTE, defaultdict(lambda: [0, Counter(), 0])
        for state in self.states.values():
            if state.stands == "FAILED":
                row = types[state.event.event_type]
                minute = state.due_at // MINUTE - first
                if state.due_at <= self.now:
                    row[0] += 1
                elif minute < 60:
                    row[1][minute] += 1
                else:
                    row[2] += 1
        return {name: (overdue, dict(minutes), later) for name, (overdue, minutes, later) in types.items()}


def step(attempt):
    return ("FAILED", attempt.cluster) if attempt.failed else ("SYNCED", None)


def diff(before, after, kind):
    """What changed between two moments: {entity: (change, severity then, severity later, how)}."""
    found = {}
    for number, entity in (after.states if kind == "event" else after.clusters).items():
        if kind == "event" and not entity.failures:
            continue
        was = (before.states if kind == "event" else before.clusters).get(number)
        if kind == "event" and was is not None and not was.failures:
            was = None
        if kind == "event":
            how = "requeued" if entity.stands == "PENDING" else entity.stands.lower()
            how = "recovered" if entity.recovered and not entity.dismissed else how
        else:
            how = "unresolved" if entity.unresolved else "nothing unresolved"
        if was is None:
            change = "new"
        elif bool(entity.unresolved) != bool(was.unresolved):
            change = "back" if entity.unresolved else "gone"
        elif entity.severity != was.severity:
            change = "worse" if RANKS[entity.severity] > RANKS[was.severity] else "better"
        else:
            continue
        found[number] = change, was and was.severity, entity.severity, how
    return found
