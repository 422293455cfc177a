"""Celery's tasks as events, through its signals: every try of every task, which the broker forgets.

A task is one event, keyed by its id; SYNCED when it succeeds, FAILED while Celery will retry it, DEAD when it gives up,
when the worker is lost or the task is revoked.
"""

import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from celery import signals

from failaware.capture.exceptions import failure
from failaware.ingest.queues import TaskLog
from failaware.model import Failure, NewAttempt
from failaware.store import this_worker
from failaware.text import microseconds

if TYPE_CHECKING:
    from failaware.store import Store


@dataclass(slots=True)
class _Running:
    """A task at work in this thread; in eager mode its retries run inside it, and end before it."""

    started_at: list[int] = field(default_factory=list)
    ended: list[NewAttempt] = field(default_factory=list)


class TaskRecorder:
    """Records the tasks of this process: `TaskRecorder(store)`, where the Celery app is made.

    Workers record, and eager calls; a process that only sends tasks has nothing to record. A try is written when it
    ends, in the process that made it. What cannot be written is logged to `failaware`, and the task goes on. Celery's
    signals are those of the process: the recorder that was made last has them.

    Args:
        store: where to; it must outlast the worker. Forked pools are fine.
    """

    _current: ClassVar["TaskRecorder | None"] = None

    def __init__(self, store: "Store") -> None:
        if TaskRecorder._current is not None:  # a module that is imported twice must not record each task twice
            TaskRecorder._current.close()
        TaskRecorder._current = self
        self._log = TaskLog(store, "celery")
        self._masker = store.recorder.masker
        self._here = threading.local()
        self._receivers = {
            signals.task_prerun: self._began,
            signals.task_success: self._succeeded,
            signals.task_retry: self._will_retry,
            signals.task_failure: self._failed,
            signals.task_revoked: self._revoked,
            signals.task_unknown: self._unknown,
            signals.task_postrun: self._ended,
        }
        for signal, receiver in self._receivers.items():
            signal.connect(receiver, weak=False)

    def close(self) -> None:
        """Record no more."""
        if TaskRecorder._current is self:
            TaskRecorder._current = None
        for signal, receiver in self._receivers.items():
            signal.disconnect(receiver)

    def _running(self) -> dict[str, _Running]:
        if not hasattr(self._here, "tasks"):
            self._here.tasks = {}
        tasks: dict[str, _Running] = self._here.tasks
        return tasks

    def _began(self, task_id: str, **_: Any) -> None:
        self._running().setdefault(task_id, _Running()).started_at.append(self._log.now())

    def _succeeded(self, sender: Any, **_: Any) -> None:
        self._note(sender, sender.request, self._attempt(sender.request.id, None))

    def _will_retry(self, sender: Any, request: Any, reason: Any, **_: Any) -> None:
        thrown = reason.exc or _failure_of(reason, self._masker)
        at = _moment(reason.when, self._log.now())
        most = "" if sender.max_retries is None else f" of {sender.max_retries}"
        because = f"Celery tries again: retry {request.retries + 1}{most}"
        place = reason.__traceback__
        self._note(sender, request, self._attempt(request.id, thrown, retry_at=at, because=because, raised_at=place))

    def _failed(self, sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
        request = sender.request if sender.request.id == task_id else {"id": task_id, "args": args, "kwargs": kwargs}
        retries = _get(request, "retries") or 0
        because = f"Celery gives up after {retries} retries" if retries else "Celery does not try it again"
        self._note(sender, request, self._attempt(task_id, exception, because=because))

    def _revoked(self, sender: Any, request: Any, terminated: bool, signum: Any, expired: bool, **_: Any) -> None:
        what = "expired before it ran" if expired else f"terminated by {signum}" if terminated else "revoked"
        failed = Failure("Expired" if expired else "Revoked", f"the task was {what}", None)
        self._note(sender, request, self._attempt(request.id, failed, because="Celery does not try it again"))

    def _unknown(self, name: str, id: str, message: Any, **_: Any) -> None:  # noqa: A002 - Celery's word
        failed = Failure("NotRegistered", f"the worker knows no task {name}", None)
        headers = message.headers or {}
        payload = {"args": headers.get("argsrepr"), "kwargs": headers.get("kwargsrepr")}
        self._log.write(str(id), name, payload, [self._attempt(id, failed, because="Celery discards it")])

    def _ended(self, sender: Any, task_id: str, task: Any, state: str | None, **_: Any) -> None:
        """The tries are written when the outermost one has ended, in the order in which they were begun."""
        running = self._running().get(task_id)
        if running is None:  # it began before this was made
            return
        thrown = sys.exc_info()[1] if state is None else None
        if isinstance(thrown, Exception):  # an eager task's, which goes to its caller without a signal
            self._note(sender, task.request, self._attempt(task_id, thrown, because="its caller got the error"))
        running.started_at.pop()
        if not running.started_at:
            del self._running()[task_id]
            if running.ended:
                self._write(sender, task.request, sorted(running.ended, key=lambda attempt: attempt.number or 0))

    def _note(self, task: Any, request: Any, attempt: NewAttempt) -> None:
        """Number a try by Celery's count of retries: a retry may be run, and recorded, before we get that far."""
        retries = _get(request, "retries")
        numbered = attempt._replace(number=None if retries is None else retries + 1)
        running = self._running().get(_get(request, "id"))
        if running is None:  # said by the worker's main process, of a child that can say nothing any more
            self._write(task, request, [numbered])
        else:
            running.ended.append(numbered)

    def _write(self, task: Any, request: Any, tries: list[NewAttempt]) -> None:
        route = _get(request, "delivery_info") or {}
        payload = {
            "args": _get(request, "args"),
            "kwargs": _get(request, "kwargs"),
            "queue": route.get("routing_key"),
            "hostname": _get(request, "hostname"),
            "root_id": _get(request, "root_id"),
            "parent_id": _get(request, "parent_id"),
        }
        kept = {name: value for name, value in payload.items() if value is not None}
        self._log.write(str(_get(request, "id")), task.name, kept, tries)

    def _attempt(self, task_id: str, failed: BaseException | Failure | None, **decided: Any) -> NewAttempt:
        running = self._running().get(task_id)
        started_at = running.started_at[-1] if running else self._log.now()
        return self._log.attempt(failed, worker=f"{this_worker()}#celery", started_at=started_at, **decided)


def _get(request: Any, name: str) -> Any:
    """An attribute of a task's request: of its context, of a worker's own request, or of a dict."""
    return request.get(name) if isinstance(request, Mapping) else getattr(request, name, None)


def _failure_of(reason: Any, masker: Any) -> Failure:
    """A retry without an exception says at least why, or that it was asked for."""
    return failure("Retry", reason.message or reason.excs or "the task asked to be tried again", None, masker=masker)


def _moment(when: Any, now: int) -> int:
    """Celery's `when`, in seconds from now or a datetime, as µs since the epoch."""
    if isinstance(when, datetime):
        return microseconds(when)
    return now + int(float(when or 0) * 1_000_000)
