"""One fold: whatever the order and the batches in which facts arrive, they mean the same."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Store
from failaware.facts import append
from failaware.model import Failure, NewAttempt
from tests.conftest import HOUR, START, assert_rebuild_changes_nothing, query

EVENTS = 6
ERRORS = [Failure("A", "first", None), Failure("B", "second thing", "a traceback")]

attempts = st.lists(
    st.tuples(
        st.integers(1, EVENTS),  # event
        st.sampled_from([None, None, *ERRORS]),
        st.integers(0, 6 * HOUR),  # when it finished
        st.booleans(),  # given up
    ),
    max_size=25,
)


def meaning(store):
    """What is derived, without what the append order shows through: ids of attempts."""
    return {
        "state": query(
            store,
            "SELECT event_id, sync_status, attempts, cluster_id, first_failed_at, last_failed_at, due_at, severity, "
            "rule, changed_at FROM event_state ORDER BY 1",
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


def facts_of(history):
    """Attempts as facts; each event's are numbered in the order of the list, whenever they are appended."""
    return [
        NewAttempt(
            event, failure, "w", at + START, at + START, None if dead or not failure else at + START + HOUR, None
        )
        for event, failure, at, dead in history
    ]


def play(history, batches, check_each=False):
    """Append the history in batches of these sizes; returns what it means."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "s.db", synchronous="NORMAL", clock=lambda: START) as store,
    ):
        store.record_many(("payment.capture", n) for n in range(EVENTS))
        waiting = facts_of(history)
        sizes = iter(batches)
        while waiting:
            size = next(sizes, len(waiting))
            batch, waiting = waiting[:size], waiting[size:]
            store.write(lambda db, batch=batch: append.attempts(db, batch, store.policy))
            if check_each:
                assert_rebuild_changes_nothing(store)
        assert_rebuild_changes_nothing(store)
        return meaning(store)


@given(attempts, st.lists(st.integers(1, 5), max_size=10))
@settings(max_examples=40, deadline=None)
def test_live_equals_rebuilt_after_every_batch(history, batches):
    play(history, batches, check_each=True)


@given(attempts, st.lists(st.integers(1, 5), max_size=10))
@settings(max_examples=40, deadline=None)
def test_the_size_of_batches_does_not_matter(history, batches):
    assert play(history, []) == play(history, batches)


@given(attempts, st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_order_of_arrival_does_not_matter(history, random):
    shuffled = list(range(len(history)))
    random.shuffle(shuffled)
    # An event's own attempts keep their order, which gives them their numbers; events arrive in any order.
    queues = {event: [item for item in history if item[0] == event] for event in range(1, EVENTS + 1)}
    mixed = [queues[history[position][0]].pop(0) for position in shuffled]
    assert play(history, []) == play(mixed, [1] * len(mixed))
