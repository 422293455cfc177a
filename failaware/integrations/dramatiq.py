"""Records dramatiq's messages through a middleware: every attempt of every message, with its error.

A message is one event, keyed by its id: SYNCED if it succeeds, FAILED while dramatiq will retry it, DEAD if dramatiq
gives up.
"""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dramatiq.middleware import Middleware

from failaware.integrations.task_log import TaskLog
from failaware.model import Failure

if TYPE_CHECKING:
    from failaware.store import Store

_SKIPPED = Failure("SkipMessage", "the message was skipped: it is too old, was aborted, or had failed before", None)


@dataclass(slots=True)
class _Attempt:
    """An attempt whose message is not acknowledged yet; `retry_in_ms` is set when dramatiq enqueues it again."""

    message_id: str
    number: int
    started_at: int
    error: BaseException | Failure | None = None
    retry_in_ms: int | None = None


class _Thread(threading.local):
    """The attempt of a worker thread. Another thread may begin the next one before this one is written."""

    attempt: _Attempt | None = None


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
        """Note when an attempt begins."""
        number, now = message.options.get("retries", 0) + 1, self._log.now()
        self._thread.attempt = _Attempt(message.message_id, number, now)
        self._log.start(message.message_id, message.actor_name, _payload(message), started_at=now)

    def after_process_message(
        self, _broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """Note how it ended."""
        del result, message
        if self._thread.attempt is not None:
            self._thread.attempt.error = exception

    def after_skip_message(self, _broker: Any, message: Any) -> None:
        """Note that it was skipped."""
        number = message.options.get("retries", 0) + 1
        self._thread.attempt = self._thread.attempt or _Attempt(message.message_id, number, self._log.now())
        self._thread.attempt.error = _SKIPPED

    def before_enqueue(self, _broker: Any, message: Any, delay: int | None) -> None:
        """Note that a message whose attempt has failed is retried; `delay` is in ms."""
        attempt = self._thread.attempt
        if attempt is not None and attempt.message_id == message.message_id and attempt.error is not None:
            attempt.retry_in_ms = delay or 0

    def after_ack(self, _broker: Any, message: Any) -> None:
        """Write the attempt."""
        self._write(message)

    def after_nack(self, _broker: Any, message: Any) -> None:
        """Write the attempt."""
        self._write(message)

    def _write(self, message: Any) -> None:
        attempt, self._thread.attempt = self._thread.attempt, None
        if attempt is None:
            return
        retry_at, reason = None, "dramatiq does not try it again"
        if attempt.retry_in_ms is not None:
            retry_at = self._log.now() + attempt.retry_in_ms * 1_000
            reason = f"dramatiq tries again in {attempt.retry_in_ms / 1_000:g} s: retry {attempt.number}"
        self._log.write(
            message.message_id,
            message.actor_name,
            _payload(message),
            error=attempt.error,
            started_at=attempt.started_at,
            number=attempt.number,
            retry_at=retry_at,
            reason=reason,
        )


def _payload(message: Any) -> dict[str, Any]:
    return {"args": message.args, "kwargs": message.kwargs, "queue": message.queue_name}
