"""One attempt at one event: calls the handler and describes what happened. No SQL, no decision.

Whatever a handler raises or returns, an attempt ends with a `Tried`: objects of others may fail in every part.
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


class Tried(NamedTuple):
    """What happened: `error` is None when the handler returned, and `failure` describes it otherwise.

    Times in µs by the store's clock; `finished_at` is never before `started_at`, even when the clock goes backwards
    meanwhile. `took_s` is how long it took, in seconds that only go forwards.
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

    def ended(self, error: BaseException | None) -> Tried:
        """How it ended: with this error, or well."""
        took = time.perf_counter() - self._began
        finished_at = max(self._started_at, self._clock())
        failure = None if error is None else describe(error, masker=self._masker)
        return Tried(self._claimed, self._handler, error, failure, self._started_at, finished_at, took)


def failed(claimed: Claimed, handler: Handler, error: BaseException) -> Tried:
    """The last resort, where the way to a result has failed itself: an attempt that failed just now."""
    now = time.time_ns() // 1_000
    return Tried(claimed, handler, error, describe(error), now, now, 0.0)


def from_handler(error: BaseException) -> BaseException:
    """The error with a traceback that begins in the handler, not in the frame of ours that called it.

    By BaseException's own means: a frozen dataclass refuses assignment, and an attribute may be a property that raises.
    """
    traceback = traceback_of(error)
    return error if traceback is None else BaseException.with_traceback(error, traceback.tb_next)


def to_fact(tried: Tried, *, worker: str) -> NewAttempt:
    """The attempt as it is kept: the error in words, and what was decided after it."""
    event_id = tried.claimed.event.event_id
    if tried.error is None:
        return NewAttempt(event_id, None, worker, tried.started_at, tried.finished_at, None, None)
    outcome = _outcome(tried, tried.claimed.tries)
    times = tried.started_at, tried.finished_at
    return NewAttempt(event_id, tried.failure, worker, *times, outcome.retry_at, outcome.because)


def redecided(fact: NewAttempt, tried: Tried, tries: int) -> NewAttempt:
    """The same attempt, decided anew with the number of tries that were before it after all."""
    outcome = _outcome(tried, tries)
    return fact._replace(retry_at=outcome.retry_at, because=outcome.because)


def _outcome(tried: Tried, tries: int) -> Outcome:
    return decide(
        tried.handler.retry,
        event_id=tried.claimed.event.event_id,
        tries=tries + 1,
        failed_at=tried.finished_at,
        error=tried.error,
    )
