"""Everything that records exceptions records each misbehaving one, and continues."""

import logging

import pytest

from failaware import Handlers, Retry, Worker
from failaware.integrations.logging import FailureHandler
from failaware.integrations.task_log import TaskLog
from tests.capture.misbehaving import MISBEHAVING
from tests.conftest import query


@pytest.mark.tour
@pytest.mark.parametrize("kind", ["plain", "async", "transaction"])
@pytest.mark.thinned
def test_a_worker_records_any_exception_and_goes_on(store, kind):
    handlers = Handlers()

    def fail(event, *_):
        error = MISBEHAVING[event.payload]()
        raise error

    async def fail_async(event):
        fail(event)

    once = Retry(max_attempts=1)
    handlers.on("e", retry=once, transaction=kind == "transaction")(fail_async if kind == "async" else fail)
    store.record_many([("e", name) for name in MISBEHAVING])
    Worker(store, handlers, lease=5).run(until_idle=True, patience=0)
    undone = query(
        store, "SELECT event_payload FROM event_log JOIN event_state USING (event_id) WHERE sync_status <> 'DEAD'"
    )
    assert undone == []
    assert query(store, "SELECT count(*) FROM attempt_log") == [(len(MISBEHAVING),)]


@pytest.mark.sqlite
@pytest.mark.parametrize("name", MISBEHAVING)
@pytest.mark.thinned
def test_a_logged_exception_is_kept_whatever_it_is(store, name):
    handler = FailureHandler(store)
    error = MISBEHAVING[name]()
    fields = {"levelname": "ERROR", "msg": "charge failed", "exc_info": (type(error), error, None)}
    handler.handle(logging.makeLogRecord(fields))
    handler.close()
    assert handler.dropped == 0
    assert query(store, "SELECT sync_status FROM event_state") == [("DEAD",)]


@pytest.mark.sqlite
def test_a_task_queues_exception_is_described_whatever_it_is(store):
    log = TaskLog(store, "celery")
    for name, make in MISBEHAVING.items():
        log.write(name, "task", {"args": [make()]}, error=make())
    assert query(store, "SELECT count(*) FROM event_state WHERE sync_status = 'DEAD'") == [(len(MISBEHAVING),)]
