"""Records taskiq's tasks through a middleware: every attempt of every task, with its error.

A task is one event, keyed by its id: SYNCED if it succeeds, FAILED while taskiq will retry it, DEAD if it will not.
"""

from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from taskiq import TaskiqMiddleware
from taskiq.exceptions import NoResultError

from failaware.capture.attempting import in_thread
from failaware.integrations.task_log import Attempt, TaskLog
from failaware.model import Failure

if TYPE_CHECKING:
    from failaware.store import Store

_REQUEUES = "X-Taskiq-requeue"  # taskiq's label: how often the task put itself into the queue again
_REQUEUED = Failure("Requeued", "the task put itself into the queue again", None)


_current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""The attempt of an asyncio task, in which taskiq runs one: the next attempt at a task may begin before it ends."""

_requeues: ContextVar[Any] = ContextVar("requeues")
"""How often its task had put itself into the queue again when the attempt began."""


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
        number, payload = int(message.labels.get("_retries", 0)) + 1, _payload(message)
        _requeues.set(message.labels.get(_REQUEUES))
        begin = partial(self._log.begin, message.task_id, message.task_name, payload, number=number)
        _current.set(await in_thread(begin))
        return message

    def post_send(self, message: Any) -> None:
        """Note that the next attempt of a task is sent while one has not ended."""
        attempt = _current.get()
        if attempt is not None and attempt.task_id == message.task_id:
            attempt.retry_in_s = float(message.labels.get("delay") or 0)

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
            requeued = message.labels.get(_REQUEUES) != _requeues.get()
            attempt.error, attempt.retry_in_s = (_REQUEUED, 0) if requeued else (None, None)
        elif isinstance(result.error, NoResultError) and attempt.retry_in_s is None:  # sent through a schedule
            attempt.retry_in_s = 0
        await in_thread(partial(self._log.finish, attempt, f": retry {attempt.number}"))


def _payload(message: Any) -> dict[str, Any]:
    return {"args": message.args, "kwargs": message.kwargs, "labels": message.labels}
