"""What a task queue tries is recorded: each task is one event, each of its tries an attempt.

The queue itself decides what is tried again and when. Until it gives up or succeeds, the event is entrusted to it, so
that no worker of ours tries it as well.
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
from failaware.model import UNNUMBERED, Failure, NewAttempt, Observed

if TYPE_CHECKING:
    from failaware.store import Store

_log = logging.getLogger("failaware")


class TaskLog:
    """Writes the tries of one queue's tasks, at once: the process may be gone in a moment.

    Args:
        store: where to.
        queue: the queue's name, which is that of its package: "celery".
    """

    def __init__(self, store: "Store", queue: str) -> None:
        self._store, self._queue = store, queue

    def now(self) -> int:
        """The time in µs."""
        return self._store.session.clock()

    def write(
        self,
        task_id: str,
        name: str,
        payload: dict[str, Any],
        tries: Sequence[NewAttempt],
        *,
        unless_tried_by: str | None = None,
    ) -> None:
        """Record tries of a task, in their order; what goes wrong is logged, and never raised.

        Args:
            task_id: the queue's; it makes the key.
            name: the task's; it is the event's type.
            payload: what it was called with.
            tries: UNNUMBERED attempts; with a `retry_at` the queue will try again.
            unless_tried_by: a process that ran this try and is gone; nothing is added to what it recorded itself.
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
                occurred_at=tries[0].started_at,
            )
            try:
                self._store.session.write(self._job(Observed(event, tuple(tries)), unless_tried_by))
            except KeyConflict:  # a task that replaced another one has its id
                event = event._replace(key=recorder.masked_key(as_name(f"{self._queue}:{task_id} {name}", recorder)))
                self._store.session.write(self._job(Observed(event, tuple(tries)), unless_tried_by))
        except Exception as error:  # noqa: BLE001 - the task and its queue must not suffer from it
            _log.error("task %s[%s] is not recorded: %s", name, task_id, error)

    def _job(self, observed: Observed, unless_tried_by: str | None) -> Callable[[Writer], None]:
        def job(db: Writer) -> None:
            if unless_tried_by is not None and append.was_tried_by(db, observed.event.key, unless_tried_by):
                return
            ((event_id, _),) = append.observed(db, [observed], self._store.session.policy, at_known=True)
            claim.entrust(db, event_id, self._queue)

        return job

    def attempt(
        self,
        failed: BaseException | Failure | None,
        *,
        worker: str,
        started_at: int,
        retry_at: int | None = None,
        because: str | None = None,
        raised_at: TracebackType | None = None,
    ) -> NewAttempt:
        """One try that ends now.

        Args:
            failed: the exception, or what is known of it; None when it succeeded.
            worker: who tried.
            started_at: µs.
            retry_at: when the queue will try again (µs).
            because: how the queue came to that, or why it gives up.
            raised_at: where that was, when the exception itself does not know, never having been raised.
        """
        failure = self._describe(failed, raised_at) if isinstance(failed, BaseException) else failed
        ended = max(started_at, self.now())
        return NewAttempt(UNNUMBERED, failure, worker, started_at, ended, retry_at, because)

    def _describe(self, error: BaseException, raised_at: TracebackType | None) -> Failure:
        """What is kept of an exception, with a traceback that begins in the task, not in the queue's own frames."""
        begins = traceback_of(error) or raised_at
        while begins is not None and begins.tb_next is not None and self._is_the_queues(begins):
            begins = begins.tb_next
        return describe(error, masker=self._store.session.recorder.masker, traceback=begins)

    def _is_the_queues(self, traceback: TracebackType) -> bool:
        module = traceback.tb_frame.f_globals.get("__name__")
        return type(module) is str and module.partition(".")[0] == self._queue
