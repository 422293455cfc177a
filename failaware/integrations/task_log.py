"""Records the tasks of a task queue: each task is one event, with the queue's attempts.

The queue decides whether and when a task is retried. Until it succeeds or the queue gives up, the event is delegated to
the queue: no failaware worker claims it.
"""

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from failaware.capture.exceptions import describe
from failaware.capture.external import event_of
from failaware.capture.guarded import traceback_of
from failaware.capture.record import as_name
from failaware.engine import Writer
from failaware.errors import KeyConflict
from failaware.facts import append, claim
from failaware.model import UNNUMBERED, EventWithAttempts, Failure, NewAttempt

if TYPE_CHECKING:
    from failaware.store import Store

_log = logging.getLogger("failaware")


class TaskLog:
    """Writes the attempts of one queue's tasks, synchronously: the process may end at any moment.

    Args:
        store: the store to record in.
        queue: the queue's name, which is also that of its package: "celery".
    """

    def __init__(self, store: "Store", queue: str) -> None:
        self._store, self._queue = store, queue

    def now(self) -> int:
        """Return the time in µs since the epoch."""
        return self._store.session.clock()

    def write(
        self,
        task_id: str,
        name: str,
        payload: dict[str, Any],
        attempts: Sequence[NewAttempt],
        *,
        unless_attempted_by: str | None = None,
    ) -> None:
        """Record attempts of a task, in their order. Errors are logged, never raised.

        Args:
            task_id: the queue's id of the task, part of the key.
            name: the task's name, which is the event's type.
            payload: the task's arguments and properties.
            attempts: UNNUMBERED attempts; one with a `retry_at` will be followed by another.
            unless_attempted_by: the name of a worker process that is gone: if it recorded an attempt, write nothing.
        """
        recorder = self._store.session.recorder
        try:
            event = event_of(
                recorder,
                as_name(name, recorder),
                payload,
                now=self.now(),
                key=as_name(f"{self._queue}:{task_id}", recorder),
                source=self._queue,
                occurred_at=attempts[0].started_at,
            )
            try:
                self._store.session.write(self._job(EventWithAttempts(event, tuple(attempts)), unless_attempted_by))
            except KeyConflict:  # a task that replaced another one has the same id
                event = event._replace(key=recorder.masked_key(as_name(f"{self._queue}:{task_id} {name}", recorder)))
                self._store.session.write(self._job(EventWithAttempts(event, tuple(attempts)), unless_attempted_by))
        except Exception as error:  # noqa: BLE001 - the task and its queue must not be affected
            _log.error("task %s[%s] is not recorded: %s", name, task_id, error)

    def _job(self, observed: EventWithAttempts, unless_attempted_by: str | None) -> Callable[[Writer], None]:
        def job(db: Writer) -> None:
            if unless_attempted_by is not None and append.was_attempted_by(db, observed.event.key, unless_attempted_by):
                return
            ((event_id, _),) = append.observed(db, [observed], self._store.session.policy, at_known=True)
            claim.delegate(db, event_id, self._queue)

        return job

    def attempt(
        self,
        failed: BaseException | Failure | None,
        *,
        worker: str,
        started_at: int,
        retry_at: int | None = None,
        retry_reason: str | None = None,
        raised_at: TracebackType | None = None,
    ) -> NewAttempt:
        """Return an attempt that ends now.

        Args:
            failed: the exception or the failure; None if the task succeeded.
            worker: the name of the worker process.
            started_at: µs since the epoch.
            retry_at: when the queue will retry, in µs since the epoch; None if it will not.
            retry_reason: why the queue retries then, or why it gives up.
            raised_at: a traceback for an exception that was never raised.
        """
        failure = self._describe(failed, raised_at) if isinstance(failed, BaseException) else failed
        ended = max(started_at, self.now())
        return NewAttempt(UNNUMBERED, failure, worker, started_at, ended, retry_at, retry_reason)

    def _describe(self, error: BaseException, raised_at: TracebackType | None) -> Failure:
        """Describe an exception, with a traceback that start in the task and not in the queue's own frames."""
        start = traceback_of(error) or raised_at
        while start is not None and start.tb_next is not None and self._is_of_queue(start):
            start = start.tb_next
        return describe(error, masker=self._store.session.recorder.masker, traceback=start)

    def _is_of_queue(self, traceback: TracebackType) -> bool:
        module = traceback.tb_frame.f_globals.get("__name__")
        return type(module) is str and module.partition(".")[0] == self._queue
