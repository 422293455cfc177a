"""Records taskiq's tasks through a middleware: every attempt of every task, with its error.

A task is one event, keyed by its id: SYNCED if it succeeds, FAILED while taskiq will retry it, DEAD if it will not.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from taskiq import TaskiqMiddleware
from taskiq.exceptions import NoResultError

from failaware.capture.attempting import in_thread
from failaware.integrations.task_log import TaskLog
from failaware.model import Failure

if TYPE_CHECKING:
    from failaware.store import Store

_REQUEUES = "X-Taskiq-requeue"  # taskiq's label: how often the task put itself into the queue again
_REQUEUED = Failure("Requeued", "the task put itself into the queue again", None)


@dataclass(slots=True)
class _Attempt:
    """An attempt at a task that has not ended yet; `delay_s` is set when its next attempt is sent."""

    task_id: str
    number: int
    requeues: Any
    started_at: int
    error: BaseException | Failure | None = None
    delay_s: float | None = None


_current: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)
"""The attempt of an asyncio task, in which taskiq runs one: the next attempt at a task may begin before it ends."""


class Recorder(TaskiqMiddleware):  # type: ignore[misc, unused-ignore]
    """Records the tasks that a worker runs: `broker.add_middlewares(Recorder(store))`, in any order with others.

    An attempt is written when it ends, without blocking the event loop. If it cannot be written, an error is logged to
    the logger `failaware`, and the task is not affected.

    Args:
        store: the store to record in; it must stay open for as long as the worker runs.
    """

    def __init__(self, store: "Store") -> None:
        super().__init__()
        self._log = TaskLog(store, "taskiq")

    async def pre_execute(self, message: Any) -> Any:
        """Record that an attempt begins."""
        number, now = int(message.labels.get("_retries", 0)) + 1, self._log.now()
        _current.set(_Attempt(message.task_id, number, message.labels.get(_REQUEUES), now))
        start = partial(self._log.start, message.task_id, message.task_name, _payload(message), started_at=now)
        await in_thread(start)
        return message

    def post_send(self, message: Any) -> None:
        """Note that the next attempt of a task is sent while one has not ended."""
        attempt = _current.get()
        if attempt is not None and attempt.task_id == message.task_id:
            attempt.delay_s = float(message.labels.get("delay") or 0)

    def on_error(self, message: Any, result: Any, exception: BaseException) -> None:
        """Note how an attempt failed."""
        del message, result
        if (attempt := _current.get()) is not None:
            attempt.error = exception

    async def post_execute(self, message: Any, result: Any) -> None:
        """Write the attempt."""
        attempt = _current.get()
        if attempt is None:
            return
        if isinstance(attempt.error, NoResultError):  # raised by the task
            requeued = message.labels.get(_REQUEUES) != attempt.requeues
            attempt.error, attempt.delay_s = (_REQUEUED, 0) if requeued else (None, None)
        elif isinstance(result.error, NoResultError) and attempt.delay_s is None:  # sent through a schedule
            attempt.delay_s = 0
        await in_thread(partial(self._write, message, attempt))

    def _write(self, message: Any, attempt: _Attempt) -> None:
        retry_at, reason = None, "taskiq does not try it again"
        if attempt.error is not None and attempt.delay_s is not None:
            retry_at = self._log.now() + int(attempt.delay_s * 1_000_000)
            delay = f" in {attempt.delay_s:g} s" if attempt.delay_s else ""
            reason = f"taskiq tries again{delay}: retry {attempt.number}"
        self._log.write(
            message.task_id,
            message.task_name,
            _payload(message),
            error=attempt.error,
            started_at=attempt.started_at,
            number=attempt.number,
            retry_at=retry_at,
            reason=reason,
        )


def _payload(message: Any) -> dict[str, Any]:
    return {"args": message.args, "kwargs": message.kwargs, "labels": message.labels}
