"""Records Airflow's tasks through a listener: every attempt of every task of every DAG, with its error.

A task instance is one event, keyed by its DAG, run, task and map index: SYNCED if it succeeds, FAILED while Airflow
will retry it, DEAD if it will not.
"""

import os
from datetime import timedelta
from functools import cached_property
from typing import Any

from pluggy import HookimplMarker

from failaware.integrations.task_log import TaskLog, logged
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
        self._running: dict[str, int] = {}  # when attempts of this process began, in µs

    @cached_property
    def _tasks(self) -> TaskLog:
        return TaskLog(Store.open(self._path), "airflow")

    @_hook
    @logged
    def on_task_instance_running(self, task_instance: Any) -> None:
        """Record that an attempt begins, or goes on after it was deferred."""
        self._running[_id(task_instance)] = now = self._tasks.now()
        self._tasks.start(_id(task_instance), _name(task_instance), _payload(task_instance), started_at=now)

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
        now, retry_at, reason = self._tasks.now(), None, "Airflow does not try it again"
        if error is not None and instance.state == "up_for_retry":
            delay = getattr(getattr(instance, "task", None), "retry_delay", timedelta(0))
            retry_at = now + delay // timedelta(microseconds=1)
            reason = f"Airflow tries again in {delay.total_seconds():g} s at the earliest"
        self._tasks.write(
            _id(instance),
            _name(instance),
            _payload(instance),
            error=error,
            started_at=self._running.pop(_id(instance), None),
            finished_at=now,
            retry_at=retry_at,
            reason=reason,
        )


def _id(instance: Any) -> str:
    mapped = f"[{instance.map_index}]" if instance.map_index >= 0 else ""
    return f"{instance.dag_id}:{instance.run_id}:{instance.task_id}{mapped}"


def _name(instance: Any) -> str:
    return f"{instance.dag_id}.{instance.task_id}"


def _payload(instance: Any) -> dict[str, Any]:
    """Return the run, and the fields of the operator that are rendered: the arguments of the task."""
    task = getattr(instance, "task", None)
    fields = {name: getattr(task, name, None) for name in getattr(task, "template_fields", ())}
    about = {"dag": instance.dag_id, "run": instance.run_id}
    return about | {name: value for name, value in fields.items() if value is not None}
