"""Records dramatiq's messages through a middleware: every attempt of every message, with its error.

A message is one event, keyed by its id: SYNCED if it succeeds, FAILED while dramatiq will retry it, DEAD if dramatiq
gives up.
"""

import threading
from typing import TYPE_CHECKING, Any

from dramatiq.middleware import Middleware

from failaware.integrations.task_log import Attempt, TaskLog
from failaware.model import Failure

if TYPE_CHECKING:
    from failaware.store import Store

_SKIPPED = Failure("SkipMessage", "the message was skipped: it is too old, was aborted, or had failed before", None)


class _Thread(threading.local):
    """The attempt of a worker thread. Another thread may begin the next one before this one is written."""

    attempt: Attempt | None = None


class Recorder(Middleware):
    """Records the messages that a worker processes: `broker.add_middleware(Recorder(store))`.

    An attempt is written when its message is acknowledged or rejected, in the process that made it. If it cannot be
    written, an error is logged to the logger `failaware`, and the message is not affected.

    Args:
        store: the store to record in; it must stay open for as long as the worker runs.
    """

    def __init__(self, store: "Store") -> None:
        self._log = TaskLog(store, "dramatiq")
        self._thread = _Thread()

    def before_process_message(self, _broker: Any, message: Any) -> None:
        """Record that an attempt begins."""
        self._thread.attempt = self._log.begin(*_task(message), number=_number(message))

    def after_process_message(
        self, _broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """Note how it ended."""
        del result, message
        if self._thread.attempt is not None:
            self._thread.attempt.error = exception

    def after_skip_message(self, _broker: Any, message: Any) -> None:
        """Note that it was skipped."""
        self._thread.attempt = self._thread.attempt or Attempt(*_task(message), self._log.now(), _number(message))
        self._thread.attempt.error = _SKIPPED

    def before_enqueue(self, _broker: Any, message: Any, delay: int | None) -> None:
        """Note that a message whose attempt has failed is retried; `delay` is in ms."""
        attempt = self._thread.attempt
        if attempt is not None and attempt.task_id == message.message_id and attempt.error is not None:
            attempt.retry_in_s = (delay or 0) / 1_000

    def after_ack(self, _broker: Any, _message: Any) -> None:
        """Write the attempt."""
        self._finish()

    def after_nack(self, _broker: Any, _message: Any) -> None:
        """Write the attempt."""
        self._finish()

    def _finish(self) -> None:
        attempt, self._thread.attempt = self._thread.attempt, None
        if attempt is not None:
            self._log.finish(attempt, f": retry {attempt.number}")


def _number(message: Any) -> int:
    return int(message.options.get("retries", 0)) + 1


def _task(message: Any) -> tuple[str, str, dict[str, Any]]:
    """Return the id, the name and the payload of a message."""
    payload = {"args": message.args, "kwargs": message.kwargs, "queue": message.queue_name}
    return message.message_id, message.actor_name, payload
