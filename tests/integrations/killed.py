"""A task whose worker was killed: it has begun, and once its lease has expired, the attempt counts as failed."""

import time

from failaware.integrations.task_log import TaskLog

WAITS_FOR_STARTS = """
from failaware.integrations import task_starts
task_starts._WAIT_S = 60
"""
"""Programs begin with this if a task kills its worker: its start is written before, however slow the machine is."""


def lease_of(inspector, event_type, process=None):
    """Wait until a task of this type has begun, for as long as a process runs; returns its event."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        if any(event.event_type == event_type for event in inspector.events()):
            break
        time.sleep(0.02)
    (begun,) = (event for event in inspector.events() if event.event_type == event_type)
    return inspector.event(begun.event_id)


def assert_lost(store, inspector, clock, event_type, queue):
    """A killed worker is recorded by the next process that runs a task, when the lease has expired."""
    begun = lease_of(inspector, event_type)
    assert (begun.sync_status, begun.attempts) == ("PENDING", ())
    assert begun.leased_by.endswith(f"#{queue}")
    clock.now = begun.leased_until + 1
    TaskLog(store, "next").begin("1", "next", {})
    lost = inspector.event(begun.event_id)
    assert (lost.sync_status, lost.leased_by) == ("DEAD", None)
    assert [each.error_type for each in lost.attempts] == ["WorkerLost"]
    assert lost.attempts[0].worker == begun.leased_by
