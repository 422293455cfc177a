"""The example of worker/dispatch.py, step by step."""

import pytest

from failaware import Retry
from failaware.worker.attempt import HandlerResult
from failaware.worker.dispatch import Dispatch
from failaware.worker.handlers import Handlers
from tests.worker.helpers import run

SECOND = 1_000_000


@pytest.fixture
def handlers():
    handlers = Handlers()
    handlers.on("mail")(print)
    handlers.on("report", retry=Retry(max_attempts=9))(print)
    return handlers


class Steps:
    """Claims of one worker, whose attempts all succeed."""

    def __init__(self, store, clock, handlers):
        self.session, self.clock = store.session, clock
        self.dispatch = Dispatch(handlers, concurrency=2, batch=50)
        self.batch = []

    def claim(self):
        """The types of the events that are claimed, and whether their leases are marked as begun."""
        until = self.clock() + 60 * SECOND
        batch = self.session.write(lambda db: self.dispatch.claim(db, worker="w:1", now=self.clock(), until=until))
        self.dispatch.add(batch, self.clock())
        self.batch += batch
        return [(claimed.event.event_type, claimed.begun) for claimed in batch]

    def end(self, took_s):
        """All claimed events are SYNCED, each in so many seconds."""
        ended, took_us = self.clock() + int(took_s * SECOND), int(took_s * SECOND)
        self.clock.advance(took_s)
        for claimed in self.batch:
            self.dispatch.remove(claimed.event.event_id)
        handlers = [self.dispatch.handler(claimed.event.event_type) for claimed in self.batch]
        self.dispatch.learn(
            [
                HandlerResult(claimed, handler, None, None, ended - took_us, ended, took_s)
                for claimed, handler in zip(self.batch, handlers, strict=True)
            ]
        )
        self.session.write(lambda db: db.execute("DELETE FROM lease"))
        self.batch = []


def test_the_example(store, clock, handlers):
    store.record("report")
    assert Steps(store, clock, handlers).claim() == [("report", True)]  # by a worker that dies
    clock.advance(61)
    run(store, pytest.fail, retry=Retry(base=10))  # records the lost attempt
    store.record_many(("mail", n) for n in range(40))
    steps = Steps(store, clock, handlers)
    for _ in range(8):
        assert steps.claim() == [("mail", True)] * 2
        steps.end(0.001)
    assert steps.claim() == [("mail", False)] * 16
    clock.advance(10)  # the report is due again
    assert steps.claim() == []  # 14 of the events wait for a handler
    steps.end(0.001)
    clock.advance(2)
    assert steps.claim() == [("report", True)]
    assert not steps.dispatch.can_claim("mail")
    steps.end(5)
    assert steps.claim() == [("mail", False)] * 32
