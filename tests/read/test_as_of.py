"""As of a moment, every report says exactly what it said then."""

import contextlib
import tempfile
import threading
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Handlers, Inspector, StoreError, UsageError, Worker
from failaware.ingest.lines import ingest_lines
from tests.conftest import START, assert_rebuild_changes_nothing, plain
from tests.oracle.history import FACTS, FORWARD_S, History, seeds, store_in
from tests.sizes import sized


def reports(inspector):
    """What every report says."""
    clusters = inspector.clusters(limit=100)
    events = inspector.events(limit=100)
    return {
        "health": inspector.health(),
        "severity": inspector.severity(),
        "clusters": clusters,
        "cluster": [inspector.cluster(cluster.cluster_id) for cluster in clusters],
        "example": [inspector.attempt(cluster.example_attempt) for cluster in clusters],
        "events": events,
        "filtered": inspector.events("status:unresolved since:2h", limit=100),
        "count": inspector.count_events("severity:HIGH+"),
        "event": [inspector.event(event.event_id) for event in events],
        "explain event": [inspector.explain(f"event/{event.event_id}") for event in events],
        "explain cluster": [inspector.explain(f"cluster/{cluster.cluster_id}") for cluster in clusters],
        "rejects": inspector.rejects(),
        "timeline": inspector.patterns.timeline(),
        "hours": inspector.patterns.hours(),
        "courses": [inspector.patterns.runs(event.event_id) for event in events],
        "transitions": [inspector.patterns.transitions(cluster.cluster_id) for cluster in clusters],
        "impact": [inspector.patterns.impact(cluster.cluster_id) for cluster in clusters],
        "recovered": inspector.patterns.recovered(),
        "calendar": inspector.patterns.calendar(),
    }


def filled_store(folder, seed):
    """A store with a history, and what the reports said at each moment of it."""
    history, answers_then = History(store_in(folder), Random(seed), moves=FACTS, waits=FORWARD_S), []
    with history.store, Inspector.open(history.path, clock=history.clock) as inspector:
        for _ in range(12):
            history.move()
            answers_then.append((history.clock.now, reports(inspector)))
            history.wait()
    return history.path, answers_then


@given(seeds, st.randoms())
@settings(max_examples=sized(15, 60), deadline=None)
@pytest.mark.large
def test_the_reports_say_what_they_said(seed, random):
    with tempfile.TemporaryDirectory() as folder:
        path, answers_then = filled_store(folder, seed)
        before = path.read_bytes()
        with Inspector.open(path, clock=lambda: 0) as inspector, inspector.as_of(START - 1) as then:
            assert then.health().total_events == 0
            for at, words in answers_then:  # forward, each step on from the one before
                then.move(at)
                assert reports(then) == words
            random.shuffle(answers_then)
            for at, words in answers_then:  # back and forth
                then.move(at)
                assert reports(then) == words
        assert path.read_bytes() == before


def test_changes_are_found_one_after_the_other(store, inspector, clock):
    moments = [START, START + 60_000_000, START + 120_000_000]
    for change in (lambda: store.record("a"), lambda: store.record("a"), lambda: store.dismiss([1], because="r")):
        change()
        clock.advance(60)
    with inspector.as_of(START - 1) as then:
        for moment in moments:
            assert then.neighbour(1) == moment
            then.move(moment)
        assert then.neighbour(1) is None
        assert then.neighbour(-1) == moments[1]
        then.move(moments[0])
        assert then.neighbour(-1) is None


def test_what_is_appended_meanwhile_counts_from_the_next_move_on(store, clock, path):
    store.record("a", 1)
    clock.advance(60)
    with Inspector.open(path) as inspector, inspector.as_of(clock.now) as then:
        store.record("a", 2)
        assert then.health().total_events == then.count_events() == 1
        then.move(clock.now)
        assert then.health().total_events == then.count_events() == 2
        # Appended late, with a time that we have passed: another process had been slow to commit.
        clock.advance(-30)
        store.record("a", 3)
        clock.advance(60)
        then.move(clock.now)
        assert then.health().total_events == then.count_events() == 3
        assert then.health() == then.as_of(clock.now).health()


def test_after_an_error_no_answer_comes_from_half_a_past(store, clock, path):
    handlers = Handlers()

    @handlers.on("a")
    def fails(event):
        raise ValueError("no")

    store.record("a")
    Worker(store, handlers).run(until_idle=True, patience=0)
    with plain(path) as db:
        db.execute("INSERT INTO setting VALUES ('grouping', 'no TOML')")  # found out when the first failure is folded
    with Inspector.open(path) as inspector, inspector.as_of(START - 1) as then:
        with pytest.raises(UsageError, match="grouping rules is not TOML"):
            then.move(clock.now)
        for question in (then.health, then.severity, lambda: then.neighbour(1), lambda: then.move(clock.now + 1)):
            with pytest.raises(StoreError, match="closed"):
                question()
        then.db.interrupt()


def test_nothing_can_be_written_through_it(store, path, clock):
    event_id = store.record("a", 1).event_id
    with Inspector.open(path) as inspector, inspector.as_of(clock.now) as then:
        of = then.db.store.dialect.store
        for statement in (f"DELETE FROM {of}event_log", f"UPDATE {of}stored_state SET attempts = 9"):
            with pytest.raises(Exception, match="read-only"):
                then.db.store.query(statement)
    with plain(path) as db:
        assert db.execute("SELECT event_id, attempts FROM event_state").fetchall() == [(event_id, 0)]


@pytest.mark.parametrize("many", [False, True])
def test_a_change_of_private_tables_that_is_interrupted_is_told_as_that(store, inspector, clock, many):
    store.record("a")
    endless = (
        "INSERT INTO step WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999999999) "
        "SELECT 9, i FROM n WHERE i % 1000003 = ?"
    )
    with inspector.as_of(clock.now) as then:
        timer = threading.Timer(0.3, inspector.connections.interrupt)
        timer.start()
        with pytest.raises(StoreError, match="ended from outside"), then.snapshot():
            then.db.execute_many(endless, [(1,)]) if many else then.db.execute(endless, (1,))
        timer.join()
    assert inspector.health().total_events == 1


def test_rejects_are_counted_as_of_a_moment_where_the_clock_went_back(store, inspector, clock):
    for seconds in (60, -120, 0):  # the second is the oldest
        ingest_lines(store.session, [b"{"], origin=f"file of {clock()}")
        clock.advance(seconds)
    with inspector.as_of(START - 60_000_000) as then:
        assert then.health().rejects == len(then.rejects()) == 1
    with inspector.as_of(START) as then:
        assert then.health().rejects == len(then.rejects()) == 2


def test_an_erased_cluster_has_one_error_type_however_one_came_to_the_moment(store, inspector, clock):
    moments = []
    for seconds, error in ((300, KeyError), (-200, ValueError), (400, ConnectionError)):
        clock.advance(seconds)  # the second failure is earlier than the first
        with contextlib.suppress(error), store.attempt("job", fingerprint="same"):
            raise error
        moments.append(clock())
    clock.advance(600)
    store.erase([1, 2, 3], because="personal data")
    direct = []
    for moment in moments:
        with inspector.as_of(moment) as then:
            direct.append((then.clusters(), then.patterns.transitions(then.clusters()[0].cluster_id)))
    with inspector.as_of(moments[1]) as then:
        for at in sorted(moments):
            then.move(at)
            assert (then.clusters(), then.patterns.transitions(then.clusters()[0].cluster_id)) == direct[
                moments.index(at)
            ]
    assert [clusters[0].error_type for clusters, _ in direct] == [
        "KeyError",
        "ValueError",
        "KeyError",
    ]  # the first recorded
    assert inspector.clusters()[0].error_type == "KeyError"
    assert_rebuild_changes_nothing(store)
