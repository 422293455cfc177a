"""Transactional handlers: what they write and their attempt are committed together, or neither is."""

import pytest

from failaware import Handlers, Retry, Worker
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sync.helpers import run


def test_a_transactional_handler_commits_its_writes_with_its_attempt_or_not_at_all(store, path):
    store.write(lambda db: db.execute("CREATE TABLE ledger (event_id INTEGER PRIMARY KEY)"))

    def handle(event, transaction):
        transaction.execute("INSERT INTO ledger VALUES (?)", (event.event_id,))
        store.record("b.noted", event.event_id)
        if event.payload == "bad":
            raise ValueError("after the write")

    store.record_many([("a", "good"), ("a", "bad")])
    run(store, handle, pattern="a", transaction=True, retry=Retry(max_attempts=1))
    assert query(store, "SELECT event_id FROM ledger") == [(1,)]
    assert query(store, "SELECT sync_status FROM event_state ORDER BY event_id") == [
        ("SYNCED",),
        ("DEAD",),
        ("PENDING",),
    ]
    assert_rebuild_changes_nothing(store)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_whatever_a_transactional_handler_raises_takes_its_writes_back(store, inspector, error):
    store.write(lambda db: db.execute("CREATE TABLE ledger (event_id INTEGER PRIMARY KEY)"))

    def handle(event, transaction):
        transaction.execute("INSERT INTO ledger VALUES (?)", (event.event_id,))
        raise error("after the write")

    store.record("a", 1)
    run(store, handle, transaction=True)
    assert query(store, "SELECT count(*) FROM ledger") == [(0,)]
    assert inspector.event(1).attempts[0].error_type == error.__name__


def test_a_transactional_handler_whose_statement_is_refused_fails_alone(store, inspector):
    def handle(event, transaction):
        if event.payload == "bad":
            transaction.execute("DELETE FROM event_log")

    store.record_many([("a", "bad"), ("a", "good")])
    run(store, handle, transaction=True)
    assert inspector.event(1).sync_status == "FAILED"
    assert "append-only" in inspector.event(1).attempts[0].error_message
    assert inspector.event(2).sync_status == "SYNCED"


def test_a_transactional_event_that_another_worker_took_over_is_left_to_it(store, inspector):
    calls = []

    def handle(event, transaction):
        calls.append(event.event_id)
        transaction.execute("UPDATE lease SET leased_by = 'other:1' WHERE event_id = 2")  # we were taken for lost

    store.record_many([("a", 1), ("a", 2)])
    run(store, handle, transaction=True)
    assert calls == [1]
    assert [len(inspector.event(n).attempts) for n in (1, 2)] == [1, 0]
    assert query(store, "SELECT event_id, leased_by FROM lease") == [(2, "other:1")]


def test_stop_gives_back_transactional_events_that_have_not_begun(store, inspector):
    handlers = Handlers()

    @handlers.on("a", transaction=True)
    def handle(event, transaction):
        worker.stop()

    store.record_many(("a", n) for n in range(5))
    worker = Worker(store, handlers)
    worker.run()
    health = inspector.health()
    assert (health.synced, health.pending, health.in_hand) == (1, 4, 0)


def test_a_transactional_handler_that_returns_a_coroutine_leaves_no_write_behind(store, inspector):
    store.write(lambda db: db.execute("CREATE TABLE ledger (event_id INTEGER PRIMARY KEY)"))

    async def later():
        """Never awaited."""

    def handle(event, transaction):
        transaction.execute("INSERT INTO ledger VALUES (?)", (event.event_id,))
        return later()

    store.record("a", 1)
    run(store, handle, transaction=True, retry=Retry(max_attempts=1))
    assert inspector.event(1).sync_status == "DEAD"
    assert query(store, "SELECT event_id FROM ledger") == []
