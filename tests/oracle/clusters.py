"""What the failures of one cluster mean (docs/policy.md): events, episodes, relapses, hours, its severity and why."""

from collections import Counter
from datetime import UTC, datetime
from functools import cached_property

from tests.oracle.facts import NEVER
from tests.oracle.grouping import ERASED

HOUR = 3_600_000_000


class Cluster:
    """One cluster; `states` are those of all events."""

    def __init__(self, name, states, policy):
        self.name, self.policy = name, policy
        self.members = [state for state in states.values() if name in state.clusters]
        self.attempts = [a for state in self.members for a in state.failures if a.cluster == name]
        self.event_type = name[0]
        groups = [attempt.group for attempt in sorted(self.attempts, key=lambda attempt: attempt.attempt_id)]
        first = next((group for group in groups if group.template != ERASED), groups[0])
        self.error_type, self.template = first.error_type, first.template

    def failures(self, state):
        return [attempt for attempt in state.failures if attempt.cluster == self.name]

    def entered(self, state):
        return min(attempt.finished_at for attempt in self.failures(state))

    def failing(self, state):
        """(from when, until when) it was failing with it: from its entry, and from each later failure, to a success."""
        failures = self.failures(state)
        began = [self.entered(state), *(attempt.finished_at for attempt in failures[1:])]
        ended = [NEVER if (at := state.next_success(attempt)) is None else at for attempt in failures]
        return list(zip(began, ended, strict=True))

    def recovery(self, state):
        """(its first failure, the next success)."""
        return self.failing(state)[0]

    @cached_property
    def relapses(self):
        """The events that entered when each one before had succeeded, strictly earlier, after it had failed."""
        entries = sorted((self.entered(state), state.event.event_id) for state in self.members)
        spells = [
            (began, state.event.event_id, until) for state in self.members for began, until in self.failing(state)
        ]
        return [
            event_id
            for at, event_id in entries[1:]
            if all(
                until < at for began, other, until in spells if (began, other) < (at, event_id) and other != event_id
            )
        ]

    @cached_property
    def hours(self):
        """Failures and entries by hour."""
        failures = Counter(attempt.finished_at // HOUR for attempt in self.attempts)
        entries = Counter(self.entered(state) // HOUR for state in self.members)
        return {hour: (failures[hour], entries[hour]) for hour in failures | entries}

    @cached_property
    def episodes(self):
        hours = {hour for hour, (_, entries) in self.hours.items() if entries}
        return sum(hour - 1 not in hours for hour in hours)

    @cached_property
    def unresolved(self):
        """The events that are unresolved and failed with it last."""
        return [state for state in self.members if state.unresolved and state.cluster == self.name]

    @cached_property
    def example(self):
        """Its newest failure."""
        return max(self.attempts, key=lambda attempt: attempt.attempt_id)

    @cached_property
    def changed_at(self):
        """The newest fact of any of its events."""
        return max(state.changed_at for state in self.members)

    def standing(self, status):
        return sum(state.status == status for state in self.unresolved)

    @cached_property
    def recovered(self):
        return sum(state.recovered for state in self.members)

    @cached_property
    def first_failed_at(self):
        return min(attempt.finished_at for attempt in self.attempts)

    @cached_property
    def last_failed_at(self):
        return max(attempt.finished_at for attempt in self.attempts)

    @cached_property
    def rule(self):
        if len(self.members) < self.policy.multiple_events or not self.unresolved:
            return None
        again = self.episodes >= self.policy.recurring_episodes or self.relapses
        return "recurring" if again else "multiple"

    @property
    def evidence(self):
        """(rule, severity, whether it holds, numbers that it looks at; ... is a threshold) of each rule, in order."""
        numbers = {"events": len(self.members), "unresolved": len(self.unresolved), "multiple_events": ...}
        timeline = {"episodes": self.episodes, "relapses": len(self.relapses), "recurring_episodes": ...}
        return [
            ("recurring", "CRITICAL", self.rule == "recurring", numbers | timeline),
            ("multiple", "HIGH", self.rule is not None, numbers),
        ]

    @property
    def behind(self):
        """(number, kind, ids of its facts, the newest last); of an episode, the event that began it."""

        def ids(states, place):
            return [state.event.event_id for state in sorted(states, key=lambda s: (place(s), s.event.event_id))]

        def last(state):
            return state.last_failed_at

        began = {self.entered(state) // HOUR: state for state in
                 sorted(self.members, key=lambda s: (self.entered(s), s.event.event_id), reverse=True)}  # fmt: skip
        starts = [began[hour] for hour in sorted(began) if hour - 1 not in began]
        dead, retrying = ([s for s in self.unresolved if s.status == status] for status in ("DEAD", "FAILED"))
        return [
            ("events", "event", ids(self.members, self.entered)),
            ("unresolved", "event", ids(self.unresolved, last)),
            ("dead", "event", ids(dead, last)),
            ("retrying", "event", ids(retrying, last)),
            ("recovered", "event", ids([s for s in self.members if s.recovered], self.entered)),
            ("episodes", "event", [state.event.event_id for state in starts]),
            ("relapses", "event", ids([s for s in self.members if s.event.event_id in self.relapses], self.entered)),
            ("failures", "attempt", sorted(attempt.attempt_id for attempt in self.attempts)),
        ]

    @property
    def how(self):
        """Its state, as `diff` reports it."""
        return "unresolved" if self.unresolved else "nothing unresolved"

    @cached_property
    def severity(self):
        return {"recurring": "CRITICAL", "multiple": "HIGH"}.get(self.rule)

    @cached_property
    def reason(self):
        if not self.rule:
            return None
        since = datetime.fromtimestamp(self.first_failed_at // 1_000_000, UTC).strftime("%Y-%m-%d %H:%MZ")
        standing = [f"{n} {word}" for status, word in (("DEAD", "dead"), ("FAILED", "retrying"))
                    if (n := self.standing(status))]  # fmt: skip
        often = ""
        if self.rule == "recurring":
            often = f" in {counted(self.episodes, 'episode')}"
            if self.relapses:
                often += f" and came back {counted(len(self.relapses), 'time')} after it had recovered"
        fail = f"{counted(len(self.members), 'event')} of {self.event_type} fail with '{self.template}'"
        return f"{fail}{often} since {since}; {', '.join(standing)}"

    @cached_property
    def order(self):
        """Worst first, then the unresolved ones, then by newest failure."""
        rank = {"CRITICAL": 4, "HIGH": 3, "MEDIUM": 2, "LOW": 1, None: 0}[self.severity]
        return -rank, not self.unresolved, -self.last_failed_at


def counted(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")
