"""Records the tasks of a task queue: each task is one event, with the queue's attempts.

The queue decides whether and when a task is retried. Until it succeeds or the queue gives up, the event is delegated to
the queue: no failaware worker claims it.
"""

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from failaware.capture.record import as_name
from failaware.errors import KeyConflict
from failaware.facts import append
from failaware.identity import this_process
from failaware.integrations.task_starts import TaskStarts
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
            _log.error("an attempt of a task is not recorded: %s", error)
            return None

    return cast("_Hook", call)


class TaskLog:
    """Writes the attempts of one queue's tasks, synchronously: the process may end at any moment.

    Args:
        store: the store to record in.
        queue: the queue's name, which is also that of its package: "celery".
    """

    def __init__(self, store: "Store", queue: str) -> None:
        self._store, self._queue = store, queue
        self._starts = TaskStarts(store, queue)
        self.masker = store.session.recorder.masker

    def now(self) -> int:
        """Return the time in µs since the epoch."""
        return self._store.session.clock()

    def start(self, task_id: str, name: str, payload: Mapping[str, Any], *, started_at: int) -> None:
        """Record that an attempt at a task begins (µs), so that a killed worker is seen. Errors are logged."""
        recorder, about = self._store.session.recorder, self._about(task_id)
        try:
            about["started_at"] = started_at
            self._starts.begin(task_id, reported_event(name, payload, about, recorder, now=started_at))
        except Exception as error:  # noqa: BLE001 - the task and its queue must not be affected
            _log.error("the start of task %s[%s] is not recorded: %s", name, task_id, error)

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
