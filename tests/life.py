"""Random histories of a store, lived through its public names on a clock that is moved by hand."""

import json
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

from hypothesis import strategies as st

from failaware import Handlers, Inspector, NotFound, Permanent, Retry, Store, UsageError, Worker
from failaware.ingest.lines import ingest_lines
from tests.conftest import HOUR, Clock

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
erasures = st.tuples(st.just("erase"), st.integers(1, 6))
waits = st.sampled_from([1e-6, 1, 20 * MINUTE_S, 61 * MINUTE_S, 3 * 60 * MINUTE_S])
histories = st.lists(st.tuples(steps, waits), min_size=1, max_size=12)
histories_with_erasures = st.lists(st.tuples(st.one_of(steps, steps, steps, erasures), waits), min_size=1, max_size=12)
"""What is erased is erased at every moment, so that reports as of one before it say something else than they did."""


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
            raise error.with_traceback(None)  # one error is raised many times, and would gather frames

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

    def erase(self, event_id):
        with suppress(UsageError, NotFound):
            self.store.erase([event_id], because="dice")

    def ingest(self, ago):
        at = (self.clock.now - ago) / 1_000_000
        line = {"type": "a.x", "occurred_at": at, "error": {"type": "ValueError", "message": "bad value 9"}}
        ingest_lines(self.store.session, [json.dumps(line).encode()], origin="elsewhere")

    def reject(self):
        ingest_lines(self.store.session, [b"{"], origin="elsewhere")


@contextmanager
def lived(history):
    """A life in a folder of its own, with this history behind it, and its inspector."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        life = Life(path)
        with life.store, Inspector.open(path, clock=life.clock) as inspector:
            for step, wait in history:
                life.step(*step)
                life.clock.advance(wait)
            yield life, inspector
