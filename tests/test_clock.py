"""A clock that jumps back or ahead: facts keep their order, no duration is negative, delays are as computed."""

import pytest

from failaware import Handlers, Inspector, Retry, Store, Worker
from tests.conftest import query
from tests.remembering import must_hold

DAY = 86_400.0


@pytest.mark.parametrize("jump", [-400 * DAY, -1.0, 1.0, 400 * DAY])
@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.thinned
def test_the_clock_jumps_while_handlers_run(path, clock, jump, transactional):
    handlers = Handlers()

    def handle(event, *_db):
        clock.advance(jump)
        if event.event_id % 2:
            raise ValueError("no")

    handlers.on("job", retry=Retry(max_attempts=3, base=10, jitter=0), transaction=transactional)(handle)
    with Store.open(path, clock=clock) as store:
        for n in range(6):
            assert store.record("job", n).event_id == n + 1
            clock.advance(jump)
            Worker(store, handlers).run(until_idle=True, patience=0)
        with store.attempt("mine"):
            clock.advance(jump)
        clock.advance(5 * 400 * DAY)
        Worker(store, handlers).run(until_idle=True, patience=0)
        assert query(store, "SELECT event_payload FROM event_log WHERE event_type = 'job' ORDER BY event_id") == [
            (str(n),) for n in range(6)
        ]
        assert query(store, "SELECT started_at, finished_at FROM attempt_log WHERE finished_at < started_at") == []
        waits = query(store, "SELECT DISTINCT retry_at - finished_at FROM attempt_log WHERE retry_at IS NOT NULL")
        assert {(10_000_000,)} <= set(waits) <= {(10_000_000,), (20_000_000,)}
        store.rebuild()
    with Inspector.open(path, clock=clock) as inspector:
        assert inspector.health().total_events == 7
        inspector.clusters(), inspector.patterns.timeline(), inspector.event(1), inspector.patterns.recovered()
    must_hold(path)
