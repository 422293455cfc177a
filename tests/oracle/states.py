"""What the facts of one event mean: its state, its severity and why (README, docs/policy.md, docs/schema.md)."""

from functools import cached_property


class State:
    """One event."""

    def __init__(self, facts, event_id):
        self.event = facts.events[event_id]
        self.policy = facts.policy
        self.attempts = facts.attempts[event_id]
        self.all_decisions = facts.decisions[event_id]
        self.decisions = [decision for decision in self.all_decisions if decision.kind != "ERASE"]
        self.failures = [attempt for attempt in self.attempts if attempt.failed]

    @cached_property
    def last(self):
        """The last attempt, by number."""
        return self.attempts[-1] if self.attempts else None

    @cached_property
    def last_decision(self):
        return self.decisions[-1] if self.decisions else None

    @cached_property
    def count(self):
        return self.last.number if self.last else 0

    @cached_property
    def last_success(self):
        """The number of the last attempt that succeeded; 0 if none did."""
        return max((attempt.number for attempt in self.attempts if not attempt.failed), default=0)

    @cached_property
    def status(self):
        requeued = self.last_decision and self.last_decision.kind == "REQUEUE"
        if not self.last or (requeued and self.last_decision.after >= self.count):
            return "PENDING"
        if not self.last.failed:
            return "SYNCED"
        return "DEAD" if self.last.retry_at is None else "FAILED"

    @cached_property
    def dismissed(self):
        """Until a later attempt succeeds."""
        if not self.last_decision or self.last_decision.kind != "DISMISS" or (self.last and not self.last.failed):
            return False
        return self.last_success <= self.last_decision.after

    @cached_property
    def unresolved(self):
        return self.status in ("FAILED", "DEAD") and not self.dismissed

    @cached_property
    def decided(self):
        """The decisions between its first failed attempt and its last one."""
        first = self.failures[0].number if self.failures else self.count
        return [decision.kind for decision in self.decisions if first <= decision.after < self.count]

    @cached_property
    def recovered(self):
        """It succeeded on a later attempt, without a decision."""
        return bool(self.failures) and not self.last.failed and not self.decided

    @cached_property
    def retries(self):
        """Attempts that followed a failed one."""
        return sum(attempt is not self.last for attempt in self.failures)

    @cached_property
    def budget_from(self):
        """The attempts up to the last SYNCED one or the last requeue."""
        requeued = (decision.after for decision in self.decisions if decision.kind == "REQUEUE")
        return max([self.last_success, *requeued])

    @cached_property
    def failed_attempts(self):
        """Since it was last SYNCED or requeued."""
        return sum(attempt.number > self.budget_from for attempt in self.failures)

    @cached_property
    def rule(self):
        if not self.unresolved:
            return None
        if self.status == "DEAD":
            return "dead"
        retries = self.failed_attempts - 1
        return "repeatedly-failing" if retries >= self.policy.repeated_retries else "retrying"

    @property
    def evidence(self):
        """(rule, severity, whether it holds, numbers that it looks at; ... is a threshold) of each rule, in order."""
        unresolved, retries = self.unresolved, self.failed_attempts - 1
        numbers = {"sync_status": self.status, "dismissed": int(self.dismissed)}
        counted = numbers | {"failed_attempts": self.failed_attempts, "repeated_retries": ...}
        often, failed = retries >= self.policy.repeated_retries, unresolved and self.status == "FAILED"
        return [
            ("dead", "HIGH", unresolved and self.status == "DEAD", numbers),
            ("repeatedly-failing", "MEDIUM", failed and often, counted),
            ("retrying", "LOW", failed and not often, counted),
        ]

    @property
    def behind(self):
        """(number, kind, ids of its facts, the newest last)."""
        return [
            ("attempts", "attempt", [attempt.attempt_id for attempt in self.attempts]),
            ("decisions", "decision", [decision.decision_id for decision in self.all_decisions]),
        ]

    @property
    def how(self):
        """Its state, as `diff` reports it."""
        if self.recovered and not self.dismissed:
            return "recovered"
        return "requeued" if self.shown_status == "PENDING" else self.shown_status.lower()

    @cached_property
    def severity(self):
        return {"dead": "HIGH", "repeatedly-failing": "MEDIUM", "retrying": "LOW"}.get(self.rule)

    @cached_property
    def reason(self):
        if not self.rule:
            return None
        noun = "attempt" if self.failed_attempts == 1 else "attempts"
        what = "none will follow" if self.status == "DEAD" else "another is due"
        because = self.failures[-1].retry_reason
        return f"{self.failed_attempts} {noun} failed, {what}" + (f": {because}" if because else "")

    @cached_property
    def due_at(self):
        if self.dismissed:
            return None
        if self.status == "PENDING":
            return self.last_decision.at if self.last_decision else self.event.detected_at
        return self.last.retry_at if self.status == "FAILED" else None

    @cached_property
    def first_failed_at(self):
        return min((attempt.finished_at for attempt in self.failures), default=None)

    @cached_property
    def last_failed_at(self):
        return max((attempt.finished_at for attempt in self.failures), default=None)

    @cached_property
    def failing_since(self):
        """Its first failure since it was last SYNCED."""
        after = (attempt.finished_at for attempt in self.failures if attempt.number > self.last_success)
        return min(after, default=None)

    @cached_property
    def changed_at(self):
        """Its newest fact."""
        times = [self.event.detected_at, *(a.finished_at for a in self.attempts), *(d.at for d in self.decisions)]
        return max(times)

    @cached_property
    def cluster(self):
        """That of its last failure."""
        return self.failures[-1].cluster if self.failures else None

    @cached_property
    def clusters(self):
        """All that it ever failed with."""
        return {attempt.cluster for attempt in self.failures}

    @cached_property
    def shown_status(self):
        return "DISMISSED" if self.dismissed else self.status

    @cached_property
    def erased(self):
        return len(self.all_decisions) > len(self.decisions)

    def accepts(self, decision):
        """Whether the event's state allows a decision."""
        if decision == "ERASE":
            return self.due_at is None and not self.erased
        if decision == "REQUEUE":
            return not self.erased and self.status != "SYNCED" and (self.status != "PENDING" or self.dismissed)
        return self.status != "SYNCED" and not self.dismissed

    def next_success(self, attempt):
        """When the next attempt that succeeded ended; None: none has."""
        return next((a.finished_at for a in self.attempts if not a.failed and a.number > attempt.number), None)
