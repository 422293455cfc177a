"""What the facts show over time: each answer is compared with one computed from the history itself."""

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Handlers, Inspector, Permanent, Retry, Store, Worker
from failaware.errors import FilterError, NotFound
from failaware.integrations.task_log import TaskLog
from failaware.model import DecisionKind
from failaware.model.patterns import DueType, with_all
from failaware.read.retry_schedule import _DUE, MINUTE, bursts_in
from failaware.rules import default_policy
from tests.conftest import HOUR, START, query
from tests.derive.test_fold import ERRORS, EVENTS, append_batch, batches_of, histories
from tests.oracle import facts
from tests.oracle.compare import compare, numbers_of
from tests.oracle.documents import Documents
from tests.oracle.reports import Oracle
from tests.sizes import sized

ALL = range(1, EVENTS + 1)
A, B = ERRORS
REQUEUE, DISMISS = DecisionKind.REQUEUE, DecisionKind.DISMISS


@contextmanager
def stored(history, now=START + 6 * HOUR):
    """An inspector on a store with this history, and the documents that the oracle expects of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        with Store.open(path, synchronous="NORMAL", clock=lambda: START) as store:
            store.record_many(("payment.capture", n) for n in range(EVENTS))
            for batch in batches_of(history, []):
                append_batch(store, batch)
        with Inspector.open(path, clock=lambda: now) as inspector:
            oracle = Oracle(facts.read(inspector.db, default_policy(), now))
            yield inspector, Documents(oracle, numbers_of(inspector.db, oracle))


hours = st.integers(0, 9).map(lambda n: n * HOUR)
synced_often = st.lists(
    st.tuples(st.integers(1, EVENTS), st.sampled_from([A, B, None]), hours, st.just(False)), max_size=30
)


COURSES = (
    [(1, A, 0, False), (1, A, 0, False), (1, REQUEUE, 0), (1, A, 0, False), (1, None, 0, False)],
    [(1, None, 0, False), (1, B, 0, False), (1, None, 0, False), (1, None, 0, False)],
    [(1, A, 0, False), (1, B, 0, False), (1, A, 0, True), (2, None, 0, False), (2, A, 0, False), (2, REQUEUE, 0)],
    [(1, A, 0, False), (1, None, 0, False), (1, B, 0, False), (3, A, 0, True), (3, DISMISS, 0)],
    [(1, A, 0, False), (1, REQUEUE, 0), (1, None, 9, False), (2, B, 0, True), (2, DISMISS, 0), (2, None, 5, False)],
    [(1, A, 9, False), (1, None, 0, False), (2, DISMISS, 0), (2, REQUEUE, 0), (2, A, 0, False), (2, None, 7, False)],
    [(1, A, 0, True), (2, A, 0, False), (3, A, 0, False), (3, B, 0, False), (1, REQUEUE, 0), (4, B, 0, True)],
)


@pytest.mark.parametrize("history", COURSES)
@pytest.mark.thinned
def test_the_reports_say_what_the_oracle_says_of_a_course(history):
    with stored(history, START + HOUR) as (inspector, documents):
        compare(inspector, documents, Random(0))


@pytest.mark.large
@given(st.one_of(histories, synced_often), st.integers(0, 8 * HOUR))
@settings(max_examples=sized(30, 120), deadline=None)
def test_the_reports_say_what_the_oracle_says(history, later):
    with stored(history, START + later) as (inspector, documents):
        compare(inspector, documents, Random(later))


@pytest.mark.parametrize("page", [1, 2, 3])
def test_what_recovered_is_the_same_in_pages_of_any_size(page, monkeypatch):
    failing = [(event, error, 0, False) for event in ALL for error in (A, B, A)]
    with stored([*failing, *((event, None, event, False) for event in ALL)]) as (inspector, _):
        at_once = inspector.patterns.recovered()
        assert (at_once.total.recovered, at_once.total.attempts) == (EVENTS, 3 * EVENTS)
        monkeypatch.setattr("failaware.read.recovered._PAGE", page)
        assert inspector.patterns.recovered() == at_once


@pytest.mark.parametrize(
    ("spikes", "bursts"),
    [
        ({}, []),
        ({30: 9}, []),
        ({30: 10}, [30]),
        ({0: 40}, [0]),
        ({59: 40}, [59]),
        ({20: 40, 21: 40}, [20, 21]),
    ],
)
def test_a_burst_is_far_more_than_the_minutes_around_it(spikes, bursts):
    minutes = [spikes.get(at, at % 3) for at in range(60)]
    assert [at for at, _ in bursts_in(minutes)] == bursts
    assert all(usual == 1 for _, usual in bursts_in(minutes))


@pytest.mark.parametrize("level", [3, 50, 1_000])
def test_many_retries_in_every_minute_are_no_burst(level):
    minutes = [level] * 60
    assert bursts_in(minutes) == []
    minutes[7] = 4 * level - 1
    assert bursts_in(minutes) == []
    minutes[7] = 4 * level
    assert bursts_in(minutes) == [(7, level)]


def test_a_burst_says_where_it_comes_from(store, inspector, clock):
    handlers = Handlers()

    @handlers.on("payment", retry=Retry(max_attempts=3, base=600, jitter=0))
    def payment(event):
        raise TimeoutError("gateway timed out") if event.payload % 4 else ConnectionError("refused")

    store.record_many(("payment", n) for n in range(20))
    store.record("new", 1)
    Worker(store, handlers).run(until_idle=True, patience=0)
    (burst,) = inspector.patterns.calendar().bursts
    assert (burst.event_type, burst.retries, burst.usual) == ("payment", 20, 0)
    assert burst.minute_at == (clock() + 600_000_000) // MINUTE * MINUTE
    assert [(c.error_type, c.template, c.retries) for c in burst.clusters] == [
        ("TimeoutError", "gateway timed out", 15),
        ("ConnectionError", "refused", 5),
    ]
    assert inspector.patterns.calendar().pending == 1


def test_clusters_with_equally_many_retries_of_a_burst_are_in_the_order_of_their_numbers(store, inspector):
    handlers = Handlers()
    words = ("apple", "birch", "cedar", "daisy", "elder", "fern", "grass", "hazel", "iris", "juniper", "kale", "lime")

    @handlers.on("payment", retry=Retry(max_attempts=3, base=600, jitter=0))
    def payment(event):
        raise TimeoutError(words[event.payload])

    store.record_many(("payment", n) for n in range(len(words)))
    Worker(store, handlers).run(until_idle=True, patience=0)
    (burst,) = inspector.patterns.calendar().bursts
    numbers = [cluster.cluster_id for cluster in burst.clusters]
    assert len(numbers) == len(words)
    assert numbers == sorted(numbers)


@pytest.mark.sqlite("its query plans")
def test_the_calendar_does_not_look_at_what_is_due_later(store):
    values = {"now": 0, "minute": MINUTE, "first": 0, "until": 60 * MINUTE}
    plan = [row[3] for row in query(store, f"EXPLAIN QUERY PLAN {_DUE}", values)]
    assert any("USING INDEX event_due (event_type=?" in step and "due_at<?)" in step for step in plan)
    assert not any(re.match("SCAN s( |$)", step) for step in plan)


def test_all_types_together():
    one = DueType("a", 1, (1, 2), 3)
    assert with_all((one,)) == (one,)
    assert with_all((one, one))[0] == DueType("all", 2, (2, 4), 6)


def test_errors_of_one_type_are_told_apart_by_their_template(store, inspector):
    handlers = Handlers()
    raised = iter(
        [OSError("disk full"), OSError("disk full"), OSError("host is gone"), TimeoutError("late"), Permanent("no")]
    )

    @handlers.on("*", retry=Retry(max_attempts=9, base=0))
    def fails(event):
        raise next(raised)

    store.record("a")
    Worker(store, handlers).run(until_idle=True)
    words = [run.words for run in inspector.patterns.runs(1)]
    assert words == ["disk full ×2", "host is gone ×1", "TimeoutError ×1", "Permanent ×1", "DEAD"]
    store.requeue([1], because="again", by="ada")
    assert [run.words for run in inspector.patterns.runs(1)][-2:] == ["requeued by ada", "PENDING"]
    store.dismiss([1], because="no more", by="bob")
    assert [run.words for run in inspector.patterns.runs(1)][-2:] == ["dismissed by bob", "DISMISSED"]


def test_what_there_is_not_is_said(inspector):
    patterns = inspector.patterns
    for ask in (patterns.runs, patterns.transitions, patterns.impact):
        with pytest.raises(NotFound, match="there is no"):
            ask(99)
    with pytest.raises(FilterError, match="no field"):
        patterns.recovered("foo:1")
    assert patterns.recovered().clusters == ()
    assert patterns.recovered("type:x").total.recovered == 0
    assert patterns.calendar().types == ()


def test_the_nearest_attempts_are_before_and_after_where_a_queue_left_numbers_out(store, inspector, clock):
    log = TaskLog(store, "celery")
    for number, error in ((1, ConnectionError("refused")), (3, PermissionError("wrong token")), (7, None)):
        log.write("17", "shop.charge", {}, error=error, retry_at=clock() + 1 if error else None, number=number)
    sides = {cluster.error_type: inspector.patterns.transitions(cluster.cluster_id) for cluster in inspector.clusters()}
    moves = {
        name: [move.error_type or move.kind for side in (result.before, result.after) for move in side]
        for name, result in sides.items()
    }
    assert moves == {"ConnectionError": ["FIRST", "PermissionError"], "PermissionError": ["ConnectionError", "SYNCED"]}
