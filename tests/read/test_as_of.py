"""As of a moment, every report says exactly what it said then."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Handlers, Inspector, NotFound, Permanent, Retry, Store, UsageError, Worker
from failaware.ingest.lines import ingest_lines
from tests.conftest import HOUR, START, Clock, plain_sqlite

MINUTE_S = 60
ERRORS = (ValueError("bad value 7"), ConnectionError("10.0.0.3 refused"), Permanent("never"))

steps = st.one_of(
    st.tuples(st.just("record"), st.sampled_from(["a.x", "a.y", "b"]), st.integers(1, 3)),
    st.tuples(st.just("work"), st.lists(st.sampled_from([None, *ERRORS]), min_size=1, max_size=4)),
    st.tuples(st.just("work"), st.lists(st.sampled_from([None, *ERRORS]), min_size=1, max_size=4)),
    st.tuples(st.just("decide"), st.sampled_from(["requeue", "dismiss"]), st.integers(1, 6)),
    st.tuples(st.just("ingest"), st.integers(-9 * HOUR, 9 * HOUR)),
    st.tuples(st.just("reject")),
)
waits = st.sampled_from([1e-6, 1, 20 * MINUTE_S, 61 * MINUTE_S, 3 * 60 * MINUTE_S])
histories = st.lists(st.tuples(steps, waits), min_size=1, max_size=12)


class Life:
    """A store whose clock is moved by hand, and what happens to it."""

    def __init__(self, path):
        self.clock = Clock()
        self.store = Store.open(path, synchronous="NORMAL", clock=self.clock)
        self.dice = iter(())
        handlers = Handlers()
        handlers.on("*", retry=Retry(max_attempts=3, base=MINUTE_S, jitter=0))(self.handle)
        self.worker = Worker(self.store, handlers)

    def handle(self, _event):
        self.clock.advance(0.5)
        if (error := next(self.dice, None)) is not None:
            raise error

    def step(self, what, *how):
        getattr(self, what)(*how)

    def record(self, event_type, count):
        self.store.record_many((event_type, {"n": n}) for n in range(count))

    def work(self, dice):
        self.dice = iter(dice)
        self.worker.run(until_idle=True, patience=0)

    def decide(self, which, event_id):
        with suppress(UsageError, NotFound):
            getattr(self.store, which)([event_id], because="dice")

    def ingest(self, ago):
        at = (self.clock.now - ago) / 1_000_000
        line = {"type": "a.x", "occurred_at": at, "error": {"type": "ValueError", "message": "bad value 9"}}
        ingest_lines(self.store, [json.dumps(line).encode()], origin="elsewhere")

    def reject(self):
        ingest_lines(self.store, [b"{"], origin="elsewhere")


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
        "timeline": inspector.timeline(),
    }


def lived(folder, history):
    """A store with this history, and what the reports said at each moment of it."""
    path = Path(folder) / "s.db"
    life = Life(path)
    said = []
    with life.store, Inspector.open(path, clock=life.clock) as inspector:
        for step, wait in history:
            life.step(*step)
            said.append((life.clock.now, reports(inspector)))
            life.clock.advance(wait)
    return path, said


@given(histories, st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_reports_say_what_they_said(history, random):
    with tempfile.TemporaryDirectory() as folder:
        path, said = lived(folder, history)
        before = path.read_bytes()
        with Inspector.open(path, clock=lambda: 0) as inspector, inspector.as_of(START - 1) as then:
            assert then.health().total_events == 0
            for at, words in said:  # forward, each step on from the one before
                then.move(at)
                assert reports(then) == words
            random.shuffle(said)
            for at, words in said:  # back and forth
                then.move(at)
                assert reports(then) == words
        assert path.read_bytes() == before


def test_changes_are_found_one_after_the_other(tmp_path):
    path, _ = lived(tmp_path, [(("record", "a", 1), 60), (("record", "a", 1), 60), (("decide", "dismiss", 1), 60)])
    moments = [START, START + 60_000_000, START + 120_000_000]
    with Inspector.open(path) as inspector, inspector.as_of(START - 1) as then:
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


def test_nothing_can_be_written_through_it(store, path, clock):
    event_id = store.record("a", 1).event_id
    with Inspector.open(path) as inspector, inspector.as_of(clock.now) as then:
        for statement in ("DELETE FROM main.event_log", "UPDATE main.event_state SET attempts = 9"):
            with pytest.raises(Exception, match="read-only"):
                then.db.execute(statement)
    with plain_sqlite(path) as db:
        assert db.execute("SELECT event_id, attempts FROM event_state").fetchall() == [(event_id, 0)]
