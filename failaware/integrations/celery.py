"""Records Celery's tasks through its signals: every attempt of every task, which the broker does not keep.

A task is one event, keyed by its id: SYNCED if it succeeds, FAILED while Celery will retry it, DEAD if Celery gives up,
the worker is lost or the task is revoked.
"""

import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from signal import Signals
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet, WeakValueDictionary

from celery import signals
from celery.utils.serialization import UnpickleableExceptionWrapper

from failaware.capture.exceptions import describe
from failaware.capture.external import failure_of
from failaware.capture.guarded import guarded, is_a, text_of, traceback_of
from failaware.identity import this_process
from failaware.integrations.task_log import Attempt, TaskLog
from failaware.model import Failure
from failaware.text import microseconds

if TYPE_CHECKING:
    from failaware.recording import ReportedAttempt
    from failaware.store import Store

_MAX_CONTEXTS = 20  # `__context__` links that are followed
_LATEST = microseconds(datetime(9999, 1, 1, tzinfo=UTC))


@dataclass(slots=True)
class _Running:
    """A task that runs in this thread; in eager mode its retries run inside it and end before it."""

    started_at: list[int] = field(default_factory=list)
    ended: list["ReportedAttempt"] = field(default_factory=list)


class TaskRecorder:
    """Records the tasks of this process: create `TaskRecorder(store)` where the Celery app is created.

    Workers and eager calls record; a process that only sends tasks records nothing. An attempt is written when it ends,
    in the process that made it. If it cannot be written, an error is logged to the logger `failaware`, and the task is
    not affected. Celery's signals are global: creating another recorder closes the one before.

    Args:
        store: the store to record in; it must stay open for as long as the worker runs. Forked pools are supported.
    """

    _current: ClassVar["TaskRecorder | None"] = None

    def __init__(self, store: "Store") -> None:
        if TaskRecorder._current is not None:  # importing a module twice must not record each task twice
            TaskRecorder._current.close()
        TaskRecorder._current = self
        self._log = TaskLog(store, "Celery")
        self._local = threading.local()
        self._deliveries: WeakValueDictionary[str, Any] = WeakValueDictionary()  # in the worker's main process
        self._ended_deliveries: WeakSet[Any] = WeakSet()
        self._receivers = {
            signals.task_received: self._received,
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
        """Stop recording."""
        if TaskRecorder._current is self:
            TaskRecorder._current = None
        for signal, receiver in self._receivers.items():
            signal.disconnect(receiver)

    def _running(self) -> dict[str, _Running]:
        if not hasattr(self._local, "tasks"):
            self._local.tasks = {}
        tasks: dict[str, _Running] = self._local.tasks
        return tasks

    def _received(self, request: Any, **_: Any) -> None:
        self._deliveries[request.id] = request

    def _began(self, task_id: str, task: Any, **_: Any) -> None:
        now, running = self._log.now(), self._running().setdefault(task_id, _Running())
        if not running.started_at:
            self._log.start(Attempt(task_id, task.name, _payload(task.request), now))
        running.started_at.append(now)

    def _succeeded(self, sender: Any, **_: Any) -> None:
        self._note(sender, sender.request, self._attempt(sender.request.id, None))

    def _will_retry(self, sender: Any, request: Any, reason: Any, **_: Any) -> None:
        failed = _failure_of(reason) if reason.exc is None else self._described(reason.exc)
        at = _moment(reason.when, self._log.now())
        most = "" if sender.max_retries is None else f" of {sender.max_retries}"
        retry_reason = f"Celery tries again: retry {request.retries + 1}{most}"
        raised_at = reason.__traceback__
        attempt = self._attempt(request.id, failed, retry_at=at, reason=retry_reason, raised_at=raised_at)
        self._note(sender, request, attempt)

    def _failed(self, sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
        request = sender.request
        if request.id != task_id:
            request = self._deliveries.get(task_id) or {"id": task_id, "args": args, "kwargs": kwargs}
        retries = _get(request, "retries") or 0
        retry_reason = f"Celery gives up after {retries} retries" if retries else "Celery does not try it again"
        self._note(sender, request, self._attempt(task_id, self._described(exception), reason=retry_reason))

    def _described(self, exception: BaseException) -> BaseException | Failure:
        """Return the exception that the task raised, or a failure if Celery could not pass it to this process."""
        original: Any = _original(exception)
        if not is_a(original, UnpickleableExceptionWrapper):
            return original  # type: ignore[no-any-return]
        name, module = text_of(original.exc_cls_name), text_of(original.exc_module)
        kind = name if module in ("builtins", "__main__") else f"{module}.{name}"
        arguments = original.exc_args
        message = text_of(arguments[0] if is_a(arguments, tuple, list) and len(arguments) == 1 else original.text)
        traceback = describe(original, masker=self._log.masker).traceback
        return Failure(kind, message, traceback)

    def _revoked(self, sender: Any, request: Any, terminated: bool, signum: Any, expired: bool, **_: Any) -> None:
        fate = "expired before it ran" if expired else f"terminated by {_signal(signum)}" if terminated else "revoked"
        failed = Failure("Expired" if expired else "Revoked", f"the task was {fate}", None)
        self._note(sender, request, self._attempt(request.id, failed, reason="Celery does not try it again"))

    def _unknown(self, name: str, id: str, message: Any, **_: Any) -> None:  # noqa: A002 - Celery's name
        failed = Failure("NotRegistered", f"the worker knows no task {name}", None)
        headers = message.headers or {}
        payload = {"args": headers.get("argsrepr"), "kwargs": headers.get("kwargsrepr")}
        self._log.write(str(id), name, payload, **self._attempt(id, failed, reason="Celery discards it"))

    def _ended(self, sender: Any, task_id: str, task: Any, state: str | None, **_: Any) -> None:
        """Write the attempts when the outermost one has ended, in the order in which they began."""
        running = self._running().get(task_id)
        if running is None:  # it began before this recorder was created
            return
        if state == "IGNORED":  # no attempt follows
            self._note(sender, task.request, self._attempt(task_id, None))
        error = sys.exc_info()[1] if state is None else None
        if isinstance(error, Exception):  # of an eager task: it propagates to the caller without a signal
            self._note(sender, task.request, self._attempt(task_id, error, reason="its caller got the error"))
        running.started_at.pop()
        if not running.started_at:
            del self._running()[task_id]
            if running.ended:
                self._write(sender, task.request, sorted(running.ended, key=lambda attempt: attempt["number"] or 0))

    def _note(self, task: Any, request: Any, attempt: "ReportedAttempt") -> None:
        """Number an attempt by Celery's count of retries: the next one may run and be recorded before this one."""
        retries = _get(request, "retries")
        attempt["number"] = None if retries is None else retries + 1
        running = self._running().get(_get(request, "id"))
        if running is not None:
            running.ended.append(attempt)
        elif self._ends_delivery(_get(request, "id")):  # the worker's main process reports it for a child that is gone
            self._write(task, request, [attempt])

    def _ends_delivery(self, task_id: Any) -> bool:
        """Whether a task's delivery ends for the first time: Celery 5.7 reports an exceeded time limit twice."""
        delivery = self._deliveries.get(task_id)
        if delivery is None:
            return True
        first = delivery not in self._ended_deliveries
        self._ended_deliveries.add(delivery)
        return first

    def _write(self, task: Any, request: Any, attempts: list["ReportedAttempt"]) -> None:
        payload = _payload(request)
        for attempt in attempts:
            self._log.write(str(_get(request, "id")), task.name, payload, **attempt)

    def _attempt(
        self,
        task_id: str,
        failed: BaseException | Failure | None,
        *,
        retry_at: int | None = None,
        reason: str | None = None,
        raised_at: TracebackType | None = None,
    ) -> "ReportedAttempt":
        """Return an attempt that ends now, described at once: it may be written after its task's next attempts."""
        running = self._running().get(task_id)
        started_at = running.started_at[-1] if running else self._delivered_at(task_id)
        return {
            "error": failure_of(failed, self._log.masker, package="celery", raised_at=raised_at),
            "started_at": started_at,
            "finished_at": self._log.now(),
            "retry_at": retry_at,
            "reason": reason,
            "worker": f"{this_process()}#celery",
        }

    def _delivered_at(self, task_id: str) -> int:
        """Return when a child began a task (µs), as known to the worker's main process."""
        now, began = self._log.now(), getattr(self._deliveries.get(task_id), "time_start", None)
        return now if began is None else now - max(0, int((time.time() - began) * 1_000_000))


def _get(request: Any, name: str) -> Any:
    """Return a property of a task's request, which is a context, a worker's own request or a dict."""
    if isinstance(request, Mapping):
        return request.get(name)
    value = guarded(lambda: getattr(request, name, None), None)  # arguments are decoded on access
    return value if value is not None else getattr(request, "request_dict", {}).get(name)


def _payload(request: Any) -> dict[str, Any]:
    route = _get(request, "delivery_info") or {}
    payload = {
        "args": _get(request, "args"),
        "kwargs": _get(request, "kwargs"),
        "queue": route.get("routing_key"),
        "hostname": _get(request, "hostname"),
        "root_id": _get(request, "root_id"),
        "parent_id": _get(request, "parent_id"),
    }
    return {name: value for name, value in payload.items() if value is not None}


def _failure_of(reason: Any) -> Failure:
    """Return the failure of a retry without an exception: its reason, or that it was requested."""
    message = reason.message or reason.excs or "the task requested a retry"
    return Failure("Retry", text_of(message), None)


def _original(exception: BaseException) -> BaseException:
    """Return the exception that was raised if Celery replaced it because it cannot be pickled."""
    raised = sys.exc_info()[1]
    for _ in range(_MAX_CONTEXTS):
        if raised is None or raised is exception:
            break
        if _replaces(exception, raised):
            return raised
        raised = BaseException.__dict__["__context__"].__get__(raised)
    return exception


def _replaces(exception: Any, raised: BaseException) -> bool:
    if is_a(exception, UnpickleableExceptionWrapper):
        names = exception.exc_module, exception.exc_cls_name
        return names == (type(raised).__module__, type(raised).__name__)
    place = traceback_of(exception)
    return (
        is_a(raised, type(exception)) and place is not None and place is traceback_of(raised)
    )  # Celery uses its nearest base class


def _signal(number: Any) -> str:
    """Return a signal's name; Celery passes its number or its name."""
    return guarded(lambda: Signals(int(number)).name, text_of(number))


def _moment(when: Any, now: int) -> int:
    """Return Celery's `when`, a datetime or seconds from now, as µs since the epoch."""
    if isinstance(when, datetime):
        return microseconds(when)
    return guarded(lambda: min(now + int(float(when or 0) * 1_000_000), _LATEST), _LATEST)
