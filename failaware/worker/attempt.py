"""One attempt at one event: its times, its error, and the fact it becomes. No SQL.

An attempt always ends with a `HandlerResult`, even if the handler's exception raises when it is read.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from failaware.capture.exceptions import describe
from failaware.capture.guarded import traceback_of
from failaware.capture.secrets.masking import Masker
from failaware.facts.claim import Claimed
from failaware.model import Failure, NewAttempt
from failaware.worker.handlers import Handler
from failaware.worker.retry import Outcome, decide


class HandlerResult(NamedTuple):
    """The result of an attempt: `error` is None if the handler returned; otherwise `failure` describes it.

    Times are in µs by the store's clock; `finished_at` is never before `started_at`, even if the clock goes backwards.
    `took_s` is the duration in seconds, by a monotonic clock.
    """

    claimed: Claimed
    handler: Handler
    error: BaseException | None
    failure: Failure | None
    started_at: int
    finished_at: int
    took_s: float


class Attempt:
    """An attempt that has begun."""

    def __init__(self, claimed: Claimed, handler: Handler, clock: Callable[[], int], masker: Masker) -> None:
        self._claimed, self._handler, self._clock, self._masker = claimed, handler, clock, masker
        self._started_at = clock()
        self._began = time.perf_counter()

    def ended(self, error: BaseException | None) -> HandlerResult:
        """Return the result: a failure with this error, or a success."""
        took = time.perf_counter() - self._began
        finished_at = max(self._started_at, self._clock())
        failure = None if error is None else describe(error, masker=self._masker)
        return HandlerResult(self._claimed, self._handler, error, failure, self._started_at, finished_at, took)


def failed(claimed: Claimed, handler: Handler, error: BaseException) -> HandlerResult:
    """Return a failed attempt of zero length, for when the attempt has no result of its own."""
    now = time.time_ns() // 1_000
    return HandlerResult(claimed, handler, error, describe(error), now, now, 0.0)


def from_handler(error: BaseException) -> BaseException:
    """Return the error with a traceback that begins in the handler, without our frame that called it.

    Uses BaseException's own methods: a frozen dataclass refuses assignment, and an attribute may raise.
    """
    traceback = traceback_of(error)
    return error if traceback is None else BaseException.with_traceback(error, traceback.tb_next)


def to_fact(result: HandlerResult, *, worker: str) -> NewAttempt:
    """Return the attempt to append, with the retry decision."""
    event_id = result.claimed.event.event_id
    if result.error is None:
        return NewAttempt(event_id, None, worker, result.started_at, result.finished_at, None, None)
    outcome = _outcome(result, result.claimed.attempts)
    times = result.started_at, result.finished_at
    return NewAttempt(event_id, result.failure, worker, *times, outcome.retry_at, outcome.retry_reason)


def redecided(fact: NewAttempt, result: HandlerResult, attempts: int) -> NewAttempt:
    """Return the attempt with the retry decision for another number of earlier attempts."""
    outcome = _outcome(result, attempts)
    return fact._replace(retry_at=outcome.retry_at, retry_reason=outcome.retry_reason)


def _outcome(result: HandlerResult, attempts: int) -> Outcome:
    return decide(
        result.handler.retry,
        event_id=result.claimed.event.event_id,
        attempts=attempts + 1,
        failed_at=result.finished_at,
        error=result.error,
    )
