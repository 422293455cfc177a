"""Records the tasks of a task queue: each task is one event, with the queue's attempts.

The queue decides whether and when a task is retried. Until it succeeds or the queue gives up, the event is delegated to
the queue: no failaware worker claims it.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from failaware.capture.record import as_name
from failaware.errors import KeyConflict
from failaware.facts import append
from failaware.identity import this_process
from failaware.integrations.task_starts import TaskStarts
from failaware.model import Failure
from failaware.recording import ReportedAttempt, reported_event

if TYPE_CHECKING:
    from failaware.store import Store

_log = logging.getLogger("failaware")
_Hook = TypeVar("_Hook", bound=Callable[..., Any])


def logged(hook: _Hook) -> _Hook:
    """Decorate what a queue calls: errors, such as a store that cannot be opened, are logged and never raised."""

    @wraps(hook)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return hook(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the task and its queue must not be affected
            _log.error("an attempt is not recorded: %s", error)
            return None

    return cast("_Hook", call)


@dataclass(slots=True)
class Attempt:
    """An attempt at a task; times in µs."""

    task_id: str
    name: str
    payload: Mapping[str, Any]
    started_at: int
    number: int | None = None
    error: BaseException | Failure | None = None
    finished_at: int | None = None
    retry_in_s: float | None = None
    """Seconds from its end until the queue tries again; None: it does not."""


class TaskLog:
    """Writes the attempts of one queue's tasks, synchronously: the process may end at any moment.

    Args:
        store: the store to record in.
        queue: the queue's name as its users write it: "Celery". In lower case it is that of its package.
    """

    def __init__(self, store: "Store", queue: str) -> None:
        self._store, self._name, self._queue = store, queue, queue.lower()
        self._starts = TaskStarts(store, self._queue)
        self.masker = store.session.recorder.masker

    def now(self) -> int:
        """Return the time in µs since the epoch."""
        return self._store.session.clock()

    def begin(self, task_id: str, name: str, payload: Mapping[str, Any], *, number: int | None = None) -> Attempt:
        """Return an attempt that begins now, after `start`."""
        attempt = Attempt(task_id, name, payload, self.now(), number)
        self.start(attempt)
        return attempt

    def start(self, attempt: Attempt) -> None:
        """Record that an attempt has begun, so that a killed worker is seen. Errors are logged."""
        recorder, about = self._store.session.recorder, self._about(attempt.task_id)
        try:
            about["started_at"] = at = attempt.started_at
            self._starts.begin(attempt.task_id, reported_event(attempt.name, attempt.payload, about, recorder, now=at))
        except Exception as error:  # noqa: BLE001 - the task and its queue must not be affected
            _log.error("the start of task %s[%s] is not recorded: %s", attempt.name, attempt.task_id, error)

    def finish(self, attempt: Attempt, retry: str = "", *, reason: str | None = None) -> None:
        """Write an attempt that has ended.

        Args:
            attempt: it ends now, if its `finished_at` is None.
            retry: more about the next attempt: ": retry 1 of 3".
            reason: why there is none, if more is known about it.
        """
        finished_at, retry_at = self.now() if attempt.finished_at is None else attempt.finished_at, None
        reason = reason or f"{self._name} does not try it again"
        if attempt.error is not None and attempt.retry_in_s is not None:
            retry_at = finished_at + int(attempt.retry_in_s * 1_000_000)
            delay = f" in {attempt.retry_in_s:g} s" if attempt.retry_in_s else ""
            reason = f"{self._name} tries again{delay}{retry}"
        self.write(
            attempt.task_id,
            attempt.name,
            attempt.payload,
            error=attempt.error,
            started_at=attempt.started_at,
            finished_at=finished_at,
            number=attempt.number,
            retry_at=retry_at,
            reason=reason,
        )

    def end(self, task_id: str) -> None:
        """Note that an attempt has ended; `write` does it too."""
        self._starts.end(task_id)

    def defer(self, task_id: str) -> None:
        """Note that an attempt goes on later, maybe in another process; until then the event is delegated."""
        self._starts.defer(task_id)

    def _about(self, task_id: str) -> ReportedAttempt:
        return {
            "key": f"{self._queue}:{task_id}",
            "delegated_to": self._queue,
            "worker": f"{this_process()}#{self._queue}",
        }

    def write(
        self,
        task_id: str,
        name: str,
        payload: Mapping[str, Any],
        *,
        unless_attempted_by: str | None = None,
        **attempt: Unpack[ReportedAttempt],
    ) -> None:
        """Record an attempt at a task. Errors are logged, never raised.

        Args:
            task_id: the queue's id of the task, part of the key.
            name: the task's name, which is the event's type.
            payload: the task's arguments and properties.
            unless_attempted_by: the name of a worker process that is gone: if it recorded an attempt, write nothing.
            attempt: further arguments of `Store.report_attempt`.
        """
        self._starts.end(task_id)
        key, attempt = f"{self._queue}:{task_id}", self._about(task_id) | attempt
        try:
            if unless_attempted_by is not None and self._was_attempted_by(key, unless_attempted_by):
                return
            try:
                self._store.report_attempt(name, payload, **attempt)
            except KeyConflict:  # a task that replaced another one has the same id
                self._store.report_attempt(name, payload, **attempt | {"key": f"{key} {name}"})
        except Exception as error:  # noqa: BLE001 - the task and its queue must not be affected
            _log.error("task %s[%s] is not recorded: %s", name, task_id, error)

    def _was_attempted_by(self, key: str, worker: str) -> bool:
        recorder = self._store.session.recorder
        stored_key = recorder.masked_key(as_name(key, recorder))
        return self._store.session.read(lambda db: append.was_attempted_by(db, stored_key, worker))
