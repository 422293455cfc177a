"""One fold: whatever the order and the batches in which facts arrive, they mean the same, and what the design says."""

import itertools
import tempfile
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Store, UsageError
from failaware.derive import fold
from failaware.derive.rules import Policy, default_policy
from failaware.facts import append
from failaware.model import NEVER, DecisionKind, Failure, NewAttempt
from tests.conftest import HOUR, MINUTE, START, assert_rebuild_changes_nothing, query
from tests.sizes import sized

EVENTS = 6
ERRORS = [Failure("A", "first", None), Failure("B", "second thing", "a traceback")]

moments = st.one_of(st.integers(0, 18).map(lambda n: n * 20 * MINUTE), st.integers(0, 6 * HOUR))  # ties are likely
attempts = st.tuples(
    st.integers(1, EVENTS),
    st.sampled_from([None, None, *ERRORS]),
    moments,  # when it finished
    st.booleans(),  # given up
)
decisions = st.tuples(st.integers(1, EVENTS), st.sampled_from(DecisionKind), moments)
histories = st.lists(st.one_of(attempts, attempts, attempts, decisions), max_size=30)
batch_sizes = st.lists(st.integers(1, 5), max_size=10)
policies = st.builds(Policy, **{name: st.integers(1, 3) for name in Policy._fields})


def meaning(store):
    """What is derived, without what the append order shows through: ids of attempts."""
    return {
        "state": query(
            store,
            "SELECT event_id, sync_status, attempts, retry_count, budget_from, failed_attempts, dismissed, cluster_id, "
            "first_failed_at, failing_since, last_failed_at, due_at, severity, rule, changed_at FROM event_state "
            "ORDER BY 1",
        ),
        "clusters": query(
            store,
            "SELECT cluster_id, failures, events, recovered, episodes, comebacks, first_failed_at, last_failed_at, "
            "severity, rule, reason, changed_at FROM failure_cluster ORDER BY 1",
        ),
        "members": query(store, "SELECT * FROM event_cluster ORDER BY 1, 2"),
        "hours": query(store, "SELECT * FROM cluster_hour ORDER BY 1, 2"),
        "tally": query(store, "SELECT * FROM tally ORDER BY 1, 2, 3, 4, 5"),
    }


def new_attempt(event, failure, at, dead):
    """An attempt as a fact; its number is given when it is appended."""
    retry_at = None if dead or not failure else START + at + HOUR
    return NewAttempt(event, failure, "w", START + at, START + at, retry_at, None)


def batches_of(history, sizes):
    """The history cut into batches of these sizes; a decision is a batch of its own."""
    sizes, batch = iter(sizes), []
    room = next(sizes, len(history))
    for fact in history:
        if len(fact) == 3:
            yield batch
            yield fact
            batch = []
            continue
        batch.append(new_attempt(*fact))
        if len(batch) >= room:
            yield batch
            batch, room = [], next(sizes, len(history))
    yield batch


def append_batch(store, batch):
    if isinstance(batch, list):
        store.session.write(lambda db: append.attempts(db, batch, store.session.policy))
        return
    event, kind, at = batch
    new = {"by": "p", "reason": "r", "now": START + at, "policy": store.session.policy}
    with suppress(UsageError):  # it makes no sense now, so that it is no fact
        store.session.write(lambda db: append.decisions(db, kind, [event], **new))


def play(history, sizes, *, policy=None, check_each=False, read=meaning):
    """Append the history in batches of these sizes; returns what it means."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "s.db", synchronous="NORMAL", clock=lambda: START) as store,
    ):
        if policy:
            store.rebuild(policy)
        store.record_many(("payment.capture", n) for n in range(EVENTS))
        for batch in batches_of(history, sizes):
            append_batch(store, batch)
            if check_each:
                assert_rebuild_changes_nothing(store)
        assert_rebuild_changes_nothing(store)
        return read(store)


@given(histories, batch_sizes)
@settings(max_examples=sized(10, 40), deadline=None)
def test_live_equals_rebuilt_after_every_batch(history, sizes):
    play(history, sizes, check_each=True)


@given(histories, batch_sizes)
@settings(max_examples=sized(10, 40), deadline=None)
def test_the_size_of_batches_does_not_matter(history, sizes):
    assert play(history, []) == play(history, sizes)


@given(histories, st.randoms())
@settings(max_examples=sized(15, 60), deadline=None)
def test_the_order_of_arrival_does_not_matter(history, random):
    shuffled = list(range(len(history)))
    random.shuffle(shuffled)
    # An event's own facts keep their order, which gives them their numbers; events arrive in any order.
    queues = {event: [fact for fact in history if fact[0] == event] for event in range(1, EVENTS + 1)}
    mixed = [queues[history[position][0]].pop(0) for position in shuffled]
    assert play(history, []) == play(mixed, [1] * len(mixed))


@given(st.lists(attempts, max_size=20), st.randoms(), batch_sizes)
@settings(max_examples=sized(15, 60), deadline=None)
def test_attempts_that_say_their_number_may_arrive_in_any_order(history, random, sizes):
    """A task queue's retry may be recorded before the try that asked for it."""
    counts, numbered = dict.fromkeys(range(1, EVENTS + 1), 0), []
    for event, failure, at, dead in history:
        counts[event] += 1
        numbered.append(new_attempt(event, failure, at, dead)._replace(number=counts[event]))
    shuffled = random.sample(numbered, len(numbered))
    sizes = iter([*sizes, len(shuffled) or 1])
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "s.db", synchronous="NORMAL", clock=lambda: START) as store,
    ):
        store.record_many(("payment.capture", n) for n in range(EVENTS))
        while shuffled:
            batch = [shuffled.pop(0) for _ in range(min(next(sizes, 1), len(shuffled)))]
            append_batch(store, batch)
        assert_rebuild_changes_nothing(store)
        assert meaning(store) == play(history, [])


@given(histories, batch_sizes, policies)
@settings(max_examples=sized(25, 100), deadline=None)
def test_the_fold_says_what_the_design_says(history, sizes, policy):
    events, clusters = play(history, sizes, policy=policy, read=what_counts)
    model = Model(history, policy)
    assert events == {event: model.state(event) for event in range(1, EVENTS + 1)}
    assert clusters == {error: model.cluster(error) for error in "AB" if model.entries(error)}


@given(histories, policies)
@settings(max_examples=sized(8, 30), deadline=None)
def test_another_policy_changes_severities_and_nothing_else(history, policy):
    def read(store):
        before = what_counts(store)
        store.rebuild(policy)
        after = what_counts(store)
        store.rebuild(default_policy())
        assert what_counts(store) == before
        return before, after

    before, after = play(history, [], read=read)
    for old, new in zip(before, after, strict=True):
        assert {key: row[:-1] for key, row in old.items()} == {key: row[:-1] for key, row in new.items()}


def what_counts(store):
    events = query(
        store,
        "SELECT event_id, sync_status, dismissed, attempts, attempts - budget_from, failed_attempts, retry_count, "
        "due_at, first_failed_at, failing_since, last_failed_at, rule FROM event_state",
    )
    clusters = query(
        store,
        "SELECT error_type, events, failures, recovered, episodes, comebacks, first_failed_at, last_failed_at, "
        "rule FROM failure_cluster",
    )
    return {row[0]: row[1:] for row in events}, {row[0]: row[1:] for row in clusters}


class Model:
    """The design in the plainest words, of one event and one cluster after the other: nothing here is incremental."""

    def __init__(self, history, policy):
        self.policy = policy
        self.tries = {event: [] for event in range(1, EVENTS + 1)}
        self.decisions = {event: [] for event in range(1, EVENTS + 1)}
        for fact in history:
            if len(fact) == 4:
                self.tries[fact[0]].append(new_attempt(*fact))
            elif fact[1] is not DecisionKind.ERASE and self.makes_sense(*fact[:2]):  # an erasure changes no state
                event, kind, at = fact
                self.decisions[event].append((kind, len(self.tries[event]), START + at))

    def makes_sense(self, event, kind):
        status, dismissed = self.status(event), self.dismissed(event)
        if kind is DecisionKind.REQUEUE:
            return status != "SYNCED" and (status != "PENDING" or dismissed)
        return status != "SYNCED" and not dismissed

    def last(self, event):
        return self.tries[event][-1] if self.tries[event] else None

    def synced(self, event):
        return self.last(event) is not None and self.last(event).failure is None

    def last_decision(self, event):
        return self.decisions[event][-1] if self.decisions[event] else (None, -1, None)

    def status(self, event):
        kind, after, _ = self.last_decision(event)
        if not self.tries[event] or (kind == "REQUEUE" and after == len(self.tries[event])):
            return "PENDING"
        if self.synced(event):
            return "SYNCED"
        return "FAILED" if self.last(event).retry_at is not None else "DEAD"

    def dismissed(self, event):
        kind, after, _ = self.last_decision(event)
        return kind == "DISMISS" and all(attempt.failure for attempt in self.tries[event][after:])

    def unresolved(self, event):
        return self.status(event) in ("FAILED", "DEAD") and not self.dismissed(event)

    def due(self, event):
        kind, _, at = self.last_decision(event)
        if self.dismissed(event):
            return None
        if self.status(event) == "PENDING":
            return at if kind == "REQUEUE" else START
        return self.last(event).retry_at if self.status(event) == "FAILED" else None

    def rule(self, event):
        if not self.unresolved(event):
            return None
        if self.status(event) == "DEAD":
            return "dead"
        often = self.failed_attempts(event) > self.policy.repeated_retries
        return "repeatedly-failing" if often else "retrying"

    def budget_from(self, event):
        """The attempts up to the last success and the last requeue."""
        succeeded = (no for no, attempt in enumerate(self.tries[event], 1) if not attempt.failure)
        requeued = (after for kind, after, _ in self.decisions[event] if kind == "REQUEUE")
        return max(itertools.chain(succeeded, requeued), default=0)

    def failed_attempts(self, event):
        return sum(attempt.failure is not None for attempt in self.tries[event][self.budget_from(event) :])

    def state(self, event):
        failed = [attempt.finished_at for attempt in self.tries[event] if attempt.failure]
        count = len(self.tries[event])
        since_success = list(itertools.takewhile(lambda attempt: attempt.failure, reversed(self.tries[event])))
        return (
            self.status(event),
            int(self.dismissed(event)),
            count,
            count - self.budget_from(event),
            self.failed_attempts(event),
            sum(attempt.failure is not None for attempt in self.tries[event][:-1]),
            self.due(event),
            min(failed, default=None),
            min((attempt.finished_at for attempt in since_success), default=None),
            max(failed, default=None),
            self.rule(event),
        )

    def failures(self, error):
        """When each event failed with this error."""
        return {
            event: [attempt.finished_at for attempt in tries if attempt.failure and attempt.failure.error_type == error]
            for event, tries in self.tries.items()
        }

    def entries(self, error):
        """(when it entered, event) for each event that failed with this error."""
        return sorted((min(failed), event) for event, failed in self.failures(error).items() if failed)

    def spells(self, error, event):
        """(from when, until when) for each time that an event was failing with this error.

        From the first failure, or a later one, to the next attempt that succeeded.
        """
        began, tries = min(self.failures(error)[event], default=None), self.tries[event]
        for number, attempt in enumerate(tries):
            if attempt.failure and attempt.failure.error_type == error:
                recovered = (later.finished_at for later in tries[number:] if not later.failure)
                yield attempt.finished_at if began is None else began, next(recovered, NEVER)
                began = None

    def cluster(self, error):
        entries, failed = self.entries(error), sorted(itertools.chain(*self.failures(error).values()))
        hours = {entered // HOUR for entered, _ in entries}
        episodes = sum(hour - 1 not in hours for hour in hours)
        spells = [(began, event, until) for event in self.tries for began, until in self.spells(error, event)]
        comebacks = sum(
            all(until < entry[0] for began, other, until in spells if (began, other) < entry) for entry in entries[1:]
        )
        recovered = sum(self.synced(event) and not self.decided(event) for _, event in entries)
        return (
            len(entries),
            len(failed),
            recovered,
            episodes,
            comebacks,
            failed[0],
            failed[-1],
            self.cluster_rule(error, len(entries), episodes, comebacks),
        )

    def decided(self, event):
        first = next(number for number, attempt in enumerate(self.tries[event], 1) if attempt.failure)
        return any(first <= after < len(self.tries[event]) for _, after, _ in self.decisions[event])

    def cluster_rule(self, error, events, episodes, comebacks):
        last_errors = {
            event: [attempt.failure.error_type for attempt in tries if attempt.failure][-1:]
            for event, tries in self.tries.items()
        }
        still = [event for event, last in last_errors.items() if last == [error] and self.unresolved(event)]
        if events < self.policy.multiple_events or not still:
            return None
        return "recurring" if episodes >= self.policy.recurring_episodes or comebacks else "multiple"


@given(histories, st.integers(1, 4))
@settings(max_examples=sized(20, 80), deadline=None)
def test_a_rebuild_in_pages_of_any_size_means_the_same(history, page):
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "s.db", synchronous="NORMAL") as store:
        store.record_many(("t", n) for n in range(EVENTS))
        for batch in batches_of(history, []):
            with suppress(UsageError):
                append_batch(store, batch)
        with patch.object(fold, "_REBUILD_PAGES", dict.fromkeys(fold._REBUILD_PAGES, page)):
            assert_rebuild_changes_nothing(store)
