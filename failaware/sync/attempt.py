"""One try at applying one event: calls the handler and tells what happened. No SQL, no decision."""

import inspect
from typing import Any, NamedTuple

from failaware.capture.exceptions import describe
from failaware.errors import HandlerError
from failaware.ingest.masking import Masker
from failaware.model import Claimed, NewAttempt
from failaware.sync.handlers import Handler
from failaware.sync.retry import Outcome, decide


class Tried(NamedTuple):
    """What happened: `error` is None when the handler returned.

    Times in µs; `finished_at` is never before `started_at`, even when the clock goes backwards meanwhile.
    """

    claimed: Claimed
    handler: Handler
    error: BaseException | None
    started_at: int
    finished_at: int


def must_have_run(result: Any) -> None:
    """A plain handler that returned a coroutine has done nothing: that is a failure, not SYNCED.

    Raises:
        HandlerError: it did.
    """
    if inspect.iscoroutine(result):
        result.close()
        raise HandlerError(
            f"the handler returned the coroutine {result.__qualname__}; register an async function instead"
        )


def from_handler(error: BaseException) -> BaseException:
    """The error with a traceback that begins in the handler, not in the frame of ours that called it."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
    return error


def to_fact(tried: Tried, *, worker: str, masker: Masker) -> NewAttempt:
    """The attempt as it is kept: the error in words, and what was decided after it."""
    event_id = tried.claimed.event.event_id
    if tried.error is None:
        return NewAttempt(event_id, None, worker, tried.started_at, tried.finished_at, None, None)
    outcome = _outcome(tried, tried.claimed.tries)
    failure = describe(tried.error, masker=masker)
    return NewAttempt(event_id, failure, worker, tried.started_at, tried.finished_at, outcome.retry_at, outcome.because)


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
