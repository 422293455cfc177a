"""Records Airflow's tasks through a listener: every attempt of every task of every DAG, with its error.

A task instance is one event, keyed by its DAG, run, task and map index: SYNCED if it succeeds, FAILED while Airflow
will retry it, DEAD if it will not.
"""

import os
from datetime import timedelta
from functools import cached_property
from typing import Any

from pluggy import HookimplMarker

from failaware.integrations.task_log import Attempt, TaskLog, logged
from failaware.model import Failure
from failaware.store import Store

_hook = HookimplMarker("airflow")  # what airflow.listeners.hookimpl is


class Recorder:
    """A listener for a plugin: `listeners = [Recorder("failaware.db")]`.

    Airflow calls its methods with the task instance, its previous state and the error.

    An attempt is written in the process that made it, or by the scheduler if that process is lost. If it cannot be
    written, an error is logged to the logger `failaware`, and the task is not affected.

    Args:
        store: the path or URL of the store, which each process opens with its first record.
    """

    def __init__(self, store: str | os.PathLike[str]) -> None:
        self._path = os.fspath(store)
        self._running: dict[str, Attempt] = {}  # in this process

    @cached_property
    def _tasks(self) -> TaskLog:
        return TaskLog(Store.open(self._path), "Airflow")

    @_hook
    @logged
    def on_task_instance_running(self, task_instance: Any) -> None:
        """Record that an attempt begins, or goes on after it was deferred."""
        task = _task(task_instance)
        self._running[task[0]] = self._tasks.begin(*task)

    @_hook
    def on_task_instance_success(self, task_instance: Any) -> None:
        """Write an attempt that succeeded."""
        self._write(task_instance, None)

    @_hook
    def on_task_instance_skipped(self, task_instance: Any) -> None:
        """Write an attempt that ended because there was nothing to do."""
        self._write(task_instance, None)

    @_hook
    def on_task_instance_failed(
        self, previous_state: Any, task_instance: Any, error: BaseException | str | None
    ) -> None:
        """Write an attempt that failed; a text comes from the scheduler, or from a person who marked it as failed."""
        kind = "MarkedFailed" if previous_state is None else "WorkerLost"
        text = "the task failed without an exception" if error is None else str(error)
        self._write(task_instance, error if isinstance(error, BaseException) else Failure(kind, text, None))

    @_hook
    @logged
    def before_stopping(self) -> None:
        """Note that this process ends: attempts that have not ended were deferred, and go on in another process."""
        for task_id in list(self._running):
            self._tasks.defer(task_id)

    @logged
    def _write(self, instance: Any, error: BaseException | Failure | None) -> None:
        task_id, name, payload = _task(instance)
        attempt = self._running.pop(task_id, None) or Attempt(task_id, name, payload, self._tasks.now())
        attempt.payload, attempt.error = payload, error
        if instance.state == "up_for_retry":
            delay = getattr(getattr(instance, "task", None), "retry_delay", timedelta(0))
            attempt.retry_in_s = delay.total_seconds()
        self._tasks.finish(attempt, " at the earliest")


def _task(instance: Any) -> tuple[str, str, dict[str, Any]]:
    """Return the id, the name and the payload: the run, and the rendered fields, which are the task's arguments."""
    mapped = f"[{instance.map_index}]" if instance.map_index >= 0 else ""
    task = getattr(instance, "task", None)
    fields = {name: getattr(task, name, None) for name in getattr(task, "template_fields", ())}
    payload = {"dag": instance.dag_id, "run": instance.run_id} | fields
    return (
        f"{instance.dag_id}:{instance.run_id}:{instance.task_id}{mapped}",
        f"{instance.dag_id}.{instance.task_id}",
        {name: value for name, value in payload.items() if value is not None},
    )
