"""The start of a queue's task is recorded, without holding up the task."""

import time

import pytest

from failaware.integrations.task_log import TaskLog
from tests.conftest import assert_rebuild_changes_nothing, plain_sqlite, query


@pytest.fixture
def log(store):
    return TaskLog(store, "mailer")


def test_a_task_that_runs_is_leased_to_its_process_and_its_end_ends_the_lease(log, store, inspector, clock):
    log.begin("1", "mail.send", {"to": "a@b"})
    begun = inspector.event(1)
    assert (begun.sync_status, begun.attempts, begun.key) == ("PENDING", (), "mailer:1")
    assert begun.leased_by.endswith("#mailer")
    log.write("1", "mail.send", {}, error=OSError("not yet"), retry_at=clock.now + 1)
    assert (inspector.event(1).sync_status, inspector.event(1).leased_by) == ("FAILED", "mailer")
    log.begin("1", "mail.send", {})
    assert inspector.event(1).leased_by.endswith("#mailer")
    log.write("1", "mail.send", {})
    assert (inspector.event(1).sync_status, inspector.event(1).leased_by) == ("SYNCED", None)
    assert_rebuild_changes_nothing(store)


def test_a_task_that_is_deferred_waits_for_its_queue_and_goes_on_elsewhere(log, store, inspector, clock):
    log.begin("1", "sensor.poke", {})
    log.defer("1")
    log.defer("unknown")
    assert (inspector.event(1).sync_status, inspector.event(1).leased_by) == ("PENDING", "mailer")
    clock.advance(3_600)
    TaskLog(store, "next").begin("2", "next", {})
    assert inspector.event(1).attempts == ()  # no worker was lost
    log.begin("1", "sensor.poke", {})
    log.write("1", "sensor.poke", {})
    assert (inspector.event(1).sync_status, inspector.event(1).leased_by) == ("SYNCED", None)
    assert len(inspector.event(1).attempts) == 1
    assert_rebuild_changes_nothing(store)


@pytest.mark.sqlite
def test_a_locked_store_does_not_hold_up_tasks_and_what_ended_meanwhile_is_not_leased(log, store, path, clock):
    with plain_sqlite(path) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        for number in range(100):
            log.begin(str(number), "mail.send", {})
            log.end(str(number))
        log.begin("runs", "mail.send", {})
        assert time.monotonic() - began < 10  # it would be 20 s if each had waited 0.2 s
        other.execute("ROLLBACK")
    deadline = time.monotonic() + 60
    while not query(store, "SELECT 1 FROM lease") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert query(store, "SELECT key FROM event_key") == [("mailer:runs",)]
