"""What the facts show over time: each question beside the same one asked of the history itself, in plain words."""

import tempfile
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from failaware import Handlers, Inspector, Permanent, Retry, Store, Worker
from failaware.derive.rules import default_policy
from failaware.errors import FilterError, NotFound
from failaware.integrations.task_log import TaskLog
from failaware.model import DecisionKind
from failaware.model.patterns import DueType, Run, with_all
from failaware.read.retry_schedule import _DUE, MINUTE, bursts_in
from tests.conftest import HOUR, START, query
from tests.derive.test_fold import ERRORS, EVENTS, Model, append_batch, batches_of, histories
from tests.sizes import sized

ALL = range(1, EVENTS + 1)
A, B = ERRORS
REQUEUE, DISMISS = DecisionKind.REQUEUE, DecisionKind.DISMISS


@contextmanager
def told(history, now=START + 6 * HOUR):
    """An inspector on a store with this history, the history as the design reads it, and the clusters' ids by error."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        with Store.open(path, synchronous="NORMAL", clock=lambda: START) as store:
            store.record_many(("payment.capture", n) for n in range(EVENTS))
            for batch in batches_of(history, []):
                append_batch(store, batch)
        with Inspector.open(path, clock=lambda: now) as inspector:
            ids = {cluster.error_type: cluster.cluster_id for cluster in inspector.clusters()}
            yield inspector, Model(history, default_policy()), ids


def steps(model, event):
    """The course of an event: 'A', 'B', 'SYNCED', and decisions where they were made."""
    found = [(n, 0, t.failure.error_type if t.failure else "SYNCED") for n, t in enumerate(model.tries[event], 1)]
    found += [(after, 1, kind.value) for kind, after, _ in model.decisions[event]]
    return [step for _, _, step in sorted(found, key=lambda step: step[:2])]


def stands(model, event):
    return "DISMISSED" if model.dismissed(event) else model.status(event)


@given(histories)
@settings(max_examples=sized(10, 40), deadline=None)
@example([(1, A, 0, False), (1, A, 0, False), (1, REQUEUE, 0), (1, A, 0, False), (1, None, 0, False)])
@example([(1, None, 0, False), (1, B, 0, False), (1, None, 0, False), (1, None, 0, False)])
def test_the_course_of_an_event_says_every_attempt_and_decision_once_and_in_order(history):
    with told(history) as (inspector, model, ids):
        for event in ALL:
            runs = inspector.patterns.runs(event)
            said = [run.name if run.kind == "FAILED" else run.kind for run in runs for _ in range(run.times)]
            expected = steps(model, event)
            if stands(model, event) != "SYNCED":
                expected.append("STATE")
                assert runs[-1] == Run("STATE", stands(model, event))
            assert said == expected
            tried = [run for run in runs if run.first_attempt is not None]
            numbers = [n for run in tried for n in range(run.first_attempt, run.last_attempt + 1)]
            assert numbers == list(range(1, len(model.tries[event]) + 1))
            assert all(run.times == run.last_attempt - run.first_attempt + 1 for run in tried)
            assert all(run.cluster_id == ids[run.name] for run in runs if run.kind == "FAILED")
            for one, other in pairwise(runs):
                assert one.first_attempt is None or (one.kind, one.name) != (other.kind, other.name)


@given(histories)
@settings(max_examples=sized(15, 60), deadline=None)
@example([(1, A, 0, False), (1, B, 0, False), (1, A, 0, True), (2, None, 0, False), (2, A, 0, False), (2, REQUEUE, 0)])
@example([(1, A, 0, False), (1, None, 0, False), (1, B, 0, False), (3, A, 0, True), (3, DISMISS, 0)])
def test_what_came_before_and_after_a_cluster(history):
    after_all = {"PENDING": "REQUEUED", "FAILED": "RETRYING"}
    with told(history) as (inspector, model, ids):
        for error, cluster_id in ids.items():
            before, after = Counter(), Counter()
            for event in ALL:
                tries = [step for step in steps(model, event) if step not in ("REQUEUE", "DISMISS")]
                if error not in tries:
                    continue
                first, last = tries.index(error), len(tries) - 1 - tries[::-1].index(error)
                before[tries[first - 1] if first else "FIRST"] += 1
                stood = stands(model, event)
                after[tries[last + 1] if last + 1 < len(tries) else after_all.get(stood, stood)] += 1
            found = inspector.patterns.transitions(cluster_id)
            for side, expected in ((found.before, before), (found.after, after)):
                assert {move.error_type or move.kind: move.events for move in side} == expected
                assert [move.events for move in side] == sorted(expected.values(), reverse=True)
                assert sum(expected.values()) == inspector.cluster(cluster_id).events
                assert all(move.cluster_id == ids.get(move.error_type) for move in side)


def recovery_of(model, errors):
    """(recovered, helped, attempts, delays) of the events that failed with any of these errors."""
    recovered, helped, attempts, delays = 0, 0, 0, []
    for event in ALL:
        tries = model.tries[event]
        failed = [t.finished_at for t in tries if t.failure and t.failure.error_type in errors]
        if not failed or not model.synced(event):
            continue
        first = next(n for n, t in enumerate(tries, 1) if t.failure)
        between = [kind for kind, after, _ in model.decisions[event] if first <= after < len(tries)]
        helped += REQUEUE in between
        if not between:
            recovered += 1
            attempts += len(failed)
            began, ended = min(next(model.spells(error, event)) for error in errors if model.failures(error)[event])
            delays.append(max(ended - began, 0))
    return recovered, helped, attempts, sorted(delays)


def assert_recovery(found, recovered, helped, attempts, delays):
    assert (found.recovered, found.helped, found.attempts) == (recovered, helped, attempts)
    assert found.total_delay == sum(delays)
    rank = [-(-len(delays) * tenths // 10) for tenths in (5, 9, 10)]
    expected = [delays[n - 1] for n in rank] if delays else [None] * 3
    assert [found.median_delay, found.p90_delay, found.largest_delay] == expected


hours = st.integers(0, 9).map(lambda n: n * HOUR)
synced_often = st.lists(
    st.tuples(st.integers(1, EVENTS), st.sampled_from([A, B, None]), hours, st.just(False)), max_size=30
)


@given(st.one_of(histories, synced_often))
@settings(max_examples=sized(20, 80), deadline=None)
@example(
    [(1, A, 0, False), (1, REQUEUE, 0), (1, None, 9, False), (2, B, 0, True), (2, DISMISS, 0), (2, None, 5, False)]
)
@example(
    [(1, A, 9, False), (1, None, 0, False), (2, DISMISS, 0), (2, REQUEUE, 0), (2, A, 0, False), (2, None, 7, False)]
)
def test_what_recovered_and_what_that_cost(history):
    with told(history) as (inspector, model, ids):
        found = inspector.patterns.recovered()
        expected = {error: recovery_of(model, {error}) for error in ids}
        expected = {error: numbers for error, numbers in expected.items() if numbers[0] or numbers[1]}
        assert {row.error_type for row in found.clusters} == set(expected)
        for row in found.clusters:
            assert_recovery(row.recovery, *expected[row.error_type])
            cluster = inspector.cluster(row.cluster_id)
            assert (row.events, row.episodes, row.comebacks) == (cluster.events, cluster.episodes, cluster.comebacks)
        assert_recovery(found.total, *recovery_of(model, set(ids)))
        cost = [(row.recovery.attempts, row.recovery.total_delay) for row in found.clusters]
        assert cost == sorted(cost, reverse=True)
        for error in ids:
            only = inspector.patterns.recovered(f"error:{error}")
            assert [row for row in found.clusters if row.error_type == error] == list(only.clusters)
            assert_recovery(only.total, *recovery_of(model, {error}))


@pytest.mark.parametrize("page", [1, 2, 3])
def test_what_recovered_is_the_same_in_pages_of_any_size(page, monkeypatch):
    failing = [(event, error, 0, False) for event in ALL for error in (A, B, A)]
    with told([*failing, *((event, None, event, False) for event in ALL)]) as (inspector, _, _):
        at_once = inspector.patterns.recovered()
        assert (at_once.total.recovered, at_once.total.attempts) == (EVENTS, 3 * EVENTS)
        monkeypatch.setattr("failaware.read.recovered._PAGE", page)
        assert inspector.patterns.recovered() == at_once


@given(histories, st.integers(0, 6 * HOUR))
@settings(max_examples=sized(15, 60), deadline=None)
@example(
    [(1, A, 0, True), (2, A, 0, False), (3, A, 0, False), (3, B, 0, False), (1, REQUEUE, 0), (4, B, 0, True)], HOUR
)
def test_the_figures_of_an_impact_open_exactly_their_events(history, later):
    with told(history, START + later) as (inspector, model, ids):
        for error, cluster_id in ids.items():
            impact = inspector.patterns.impact(cluster_id)
            ever = {event for event in ALL if error in steps(model, event)}
            last = {event for event in ever if [s for s in steps(model, event) if s in "AB"][-1] == error}
            dead = {event for event in last if stands(model, event) == "DEAD"}
            waiting = {event for event in last if stands(model, event) in ("FAILED", "PENDING")}
            unresolved = [event for event in last if model.unresolved(event)]

            def listed(figure):
                return {event.event_id for event in inspector.events(figure.where)}

            assert (impact.events.value, listed(impact.events)) == (len(ever), ever)
            tries = [step for event in ever for step in steps(model, event) if step == error]
            assert (impact.attempts.value, listed(impact.attempts)) == (len(tries), ever)
            assert (impact.dead.value, listed(impact.dead)) == (len(dead), dead)
            assert (impact.waiting.value, listed(impact.waiting)) == (len(waiting), waiting)
            began = {event: model.state(event)[8] for event in unresolved}
            oldest = min(unresolved, key=lambda event: (began[event], event), default=None)
            assert listed(impact.oldest_age) == ({oldest} if oldest else set())
            age = max(START + later - began[oldest], 0) if oldest else None
            assert impact.oldest_age.value == age


@given(histories, st.integers(0, 8 * HOUR))
@settings(max_examples=sized(15, 60), deadline=None)
def test_the_calendar_holds_every_retry_once(history, later):
    now = START + later
    with told(history, now) as (inspector, model, _):
        calendar = inspector.patterns.calendar()
        due = [model.due(event) for event in ALL if stands(model, event) == "FAILED"]
        first = now // MINUTE * MINUTE
        assert (calendar.now, calendar.first_minute_at) == (now, first)
        assert calendar.pending == sum(stands(model, event) == "PENDING" for event in ALL)
        if not due:
            assert calendar.types == ()
            return
        minutes = tuple(
            sum(at > now and first + n * MINUTE <= at < first + (n + 1) * MINUTE for at in due) for n in range(60)
        )
        overdue, beyond = sum(at <= now for at in due), sum(at >= first + HOUR for at in due)
        assert calendar.types == (DueType("payment.capture", overdue, minutes, beyond),)


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


@pytest.mark.sqlite("its query plans")
def test_the_calendar_does_not_look_at_what_is_due_later(store):
    values = {"now": 0, "minute": MINUTE, "first": 0, "until": 60 * MINUTE}
    plan = [row[3] for row in query(store, f"EXPLAIN QUERY PLAN {_DUE}", values)]
    assert any("USING INDEX event_due (event_type=?" in step and "due_at<?)" in step for step in plan)
    assert not any("SCAN s" in step for step in plan)


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
        made = log.attempt(error, worker="w#celery", started_at=clock(), retry_at=clock() + 1 if error else None)
        log.write("17", "shop.charge", {}, [made._replace(number=number)])
    sides = {cluster.error_type: inspector.patterns.transitions(cluster.cluster_id) for cluster in inspector.clusters()}
    moves = {
        name: [move.error_type or move.kind for side in (found.before, found.after) for move in side]
        for name, found in sides.items()
    }
    assert moves == {"ConnectionError": ["FIRST", "PermissionError"], "PermissionError": ["ConnectionError", "SYNCED"]}
