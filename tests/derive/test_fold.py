"""One fold: the order and the batches in which facts arrive do not change what is derived."""

import tempfile
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Store, UsageError
from failaware.derive import fold
from failaware.facts import append
from failaware.model import NEVER, DecisionKind, Failure, NewAttempt
from failaware.rules import default_policy
from tests.conftest import COUNTED, HOUR, MINUTE, START, assert_rebuild_changes_nothing, query
from tests.oracle import facts
from tests.oracle.compare import compare_tables, numbers_of
from tests.oracle.history import policies
from tests.oracle.reports import Oracle
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
            "SELECT cluster_id, failures, events, recovered, episodes, relapses, first_failed_at, last_failed_at, "
            "severity, rule, reason, changed_at FROM failure_cluster ORDER BY 1",
        ),
        "members": query(store, "SELECT * FROM event_cluster ORDER BY 1, 2"),
        "hours": query(store, "SELECT * FROM cluster_hour ORDER BY 1, 2"),
        "event_counts": query(store, f"{COUNTED} ORDER BY 1, 2, 3, 4, 5"),
    }


def new_attempt(event, failure, at, dead):
    """An attempt as a fact; its number is given when it is appended."""
    retry_at = None if dead or not failure else START + at + HOUR
    return NewAttempt(event, failure, "w", START + at, START + at, retry_at, None)


def batches_of(history, sizes):
    """The history cut into batches of these sizes; a decision is a batch of its own."""
    sizes, batch = iter(sizes), []
    size = next(sizes, len(history))
    for fact in history:
        if len(fact) == 3:
            yield batch
            yield fact
            batch = []
            continue
        batch.append(new_attempt(*fact))
        if len(batch) >= size:
            yield batch
            batch, size = [], next(sizes, len(history))
    yield batch


def append_batch(store, batch):
    if isinstance(batch, list):
        store.session.write(lambda db: append.attempts(db, batch, store.session.policy))
        return
    event, kind, at = batch
    new = {"by": "p", "reason": "r", "now": START + at, "policy": store.session.policy}
    with suppress(UsageError):  # refused in this state: no fact
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
def test_the_fold_says_what_the_oracle_says(history, sizes, policy):
    play(history, sizes, policy=policy, read=compare_with_oracle)


def compare_with_oracle(store):
    oracle = Oracle(store.session.read(lambda db: facts.read(db, store.session.policy, START)))
    store.session.read(lambda db: compare_tables(db, oracle, numbers_of(db, oracle)))


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
        "SELECT error_type, events, failures, recovered, episodes, relapses, first_failed_at, last_failed_at, "
        "rule FROM failure_cluster",
    )
    return {row[0]: row[1:] for row in events}, {row[0]: row[1:] for row in clusters}


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


def test_the_example_in_the_projection(store, clock):
    """That of `collect_touched` in fold.sql, which lists these columns after each fact."""
    columns = "attempts, last_success, budget_from, failed_attempts, failing_since"
    began = clock()

    def state():
        ((*numbers, since),) = query(store, f"SELECT {columns} FROM event_state")
        return (*numbers, since and (since - began) // 60_000_000)

    def attempt(number, minute, error):
        clock.now = began + minute * 60_000_000
        store.report_attempt("a", key="k", number=number, error=error, started_at=clock.now)
        return state()

    assert attempt(1, 1, "e") == (1, 0, 0, 1, 1)
    assert attempt(2, 2, None) == (2, 2, 2, 0, None)
    assert attempt(3, 3, "e") == (3, 2, 2, 1, 3)
    assert attempt(5, 5, "e") == (5, 2, 2, 2, 3)
    store.requeue([1], because="the example")
    assert state() == (5, 2, 5, 0, 3)
    assert attempt(6, 7, "e") == (6, 2, 5, 1, 3)
    assert attempt(4, 8, None) == (6, 4, 5, 1, 5)
    assert query(store, "SELECT retry_count FROM event_state") == [(3,)]
    assert_rebuild_changes_nothing(store)


def test_the_example_of_entries_in_the_projection(store, clock):
    """That of `entries` in fold.sql, which lists these columns after each fact."""
    columns = "failures, first_attempt, recovered_at, recovered"
    began = clock()

    def after(number, minute, error):
        clock.now = began + minute * 60_000_000
        store.report_attempt("a", key="k", number=number, error=error, started_at=clock.now)
        ((*numbers, at, recovered),) = query(store, f"SELECT {columns} FROM event_cluster")
        return (*numbers, None if at == NEVER else (at - began) // 60_000_000, recovered)

    assert after(2, 2, "e") == (1, 2, None, 0)
    assert after(4, 4, None) == (1, 2, 4, 1)
    assert after(5, 5, "e") == (2, 2, 4, 0)
    assert after(3, 6, None) == (2, 2, 6, 0)
    assert after(1, 7, "e") == (3, 1, 6, 0)
    assert_rebuild_changes_nothing(store)
