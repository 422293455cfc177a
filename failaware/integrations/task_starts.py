"""Records that a queue's tasks have begun, so that a killed worker is seen although it cannot report.

A running task's event is leased to its process, which renews the lease from a thread. If the process is killed, the
lease expires after a minute, and the next process that runs a task of any queue, `failaware exec` or a worker of
failaware records the lost attempt.
"""

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from weakref import ref

from failaware.errors import KeyConflict, StoreError
from failaware.facts import append, claim
from failaware.identity import this_process
from failaware.model import NewEvent

if TYPE_CHECKING:
    from failaware.engine import Writer
    from failaware.store import Store

_WAIT_S = 0.2  # longest wait of a task until its start is written
_PAUSE_S = 2.0  # after a start was not written in time, further ones are not waited for


@dataclass(slots=True, eq=False)
class _Start:
    """A task that runs in this process."""

    event: NewEvent
    event_id: int | None = None
    written: threading.Event = field(default_factory=threading.Event)


class TaskStarts:
    """The tasks of one queue that run in this process; a forked child begins with none."""

    def __init__(self, store: "Store", queue: str) -> None:
        self._store, self._queue = store, queue
        self._processes: dict[int, _Process] = {}

    def begin(self, task_id: str, event: NewEvent) -> None:
        """Record that an attempt at a task begins. Waits for the write, but only 0.2 s for a locked store."""
        new = _Process(self._store, self._queue)
        process = self._processes.setdefault(os.getpid(), new)
        if process is new:
            threading.Thread(target=process.write, daemon=True, name="failaware-starts").start()
        process.begin(task_id, event)

    def end(self, task_id: str) -> None:
        """Note that the attempt has ended, before it is recorded."""
        if (process := self._processes.get(os.getpid())) is not None:
            process.running.pop(task_id, None)

    def defer(self, task_id: str) -> None:
        """Note that the attempt goes on later, maybe in another process: until then, its event has no process.

        Errors are ignored: then the attempt counts as lost a minute later.
        """
        process = self._processes.get(os.getpid())
        start = None if process is None else process.running.pop(task_id, None)
        if start is not None and (event_id := start.event_id) is not None:
            with suppress(StoreError):
                self._store.session.write(lambda db: claim.delegate(db, event_id, self._queue))


class _Process:
    """The running tasks of one process, and what the thread does that writes for it."""

    def __init__(self, store: "Store", queue: str) -> None:
        self._store, self._name = ref(store), f"{this_process()}#{queue}"
        self.running: dict[str, _Start] = {}
        self._new: SimpleQueue[_Start] = SimpleQueue()
        self._renew_at = self._impatient_until = 0.0

    def begin(self, task_id: str, event: NewEvent) -> None:
        self.running[task_id] = start = _Start(event)
        self._new.put(start)
        if time.monotonic() >= self._impatient_until and not start.written.wait(_WAIT_S):
            self._impatient_until = time.monotonic() + _PAUSE_S

    def write(self) -> None:
        """Write new starts at once, and renew the leases of the running tasks; return when the store is gone."""
        while True:
            starts = self._wait()
            store = self._store()
            if store is None:
                return
            try:
                self._write_once(store)
            except Exception:  # noqa: BLE001 - the next time; the end of a task is recorded or reported anyway
                self._renew_at = 0.0
            for start in starts:
                start.written.set()
            del store

    def _wait(self) -> list[_Start]:
        starts: list[_Start] = []
        with suppress(Empty):
            starts.append(self._new.get(timeout=claim.RENEW_S))
            while True:
                starts.append(self._new.get_nowait())
        return starts

    def _write_once(self, store: "Store") -> None:
        session, renews = store.session, time.monotonic() >= self._renew_at
        if not self.running and not session.read(lambda db: claim.is_lost_elsewhere(db, session.clock())):
            return

        def job(db: "Writer") -> list[tuple[_Start, int]]:
            now = session.clock()
            append.attempts(db, claim.lost_elsewhere(db, now), session.policy)
            leased = []
            for start in list(self.running.values()):  # what has ended meanwhile must not be leased again
                if start.event_id is None:
                    with suppress(KeyConflict):  # of a task that replaced another one: it is recorded when it ends
                        append.check_key(db, start.event)
                        ((event_id, _),) = append.events(db, [start.event])
                        claim.release_elsewhere(db, event_id)
                        leased.append((start, event_id))
                elif renews:
                    leased.append((start, start.event_id))
            for _, event_id in leased:
                claim.hold(db, event_id, self._name, now=now, until=now + claim.LEASE_US)
            return leased

        for start, event_id in session.write(job):
            start.event_id = event_id
        if renews:
            self._renew_at = time.monotonic() + claim.RENEW_S
