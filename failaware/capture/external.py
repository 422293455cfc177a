"""What others tried: an event together with the attempts that were made at it elsewhere."""

from typing import Any, NamedTuple

from failaware.capture.exceptions import failure
from failaware.capture.json_values import as_json
from failaware.capture.raised_text import read_any_traceback
from failaware.capture.record import Recorder
from failaware.capture.root_cause import TRACEBACK, root_cause
from failaware.errors import FailawareError, PayloadError
from failaware.model import UNNUMBERED, Failure, NewAttempt, NewEvent, Observed

ELSEWHERE = "observed elsewhere: nobody here will retry it"


class Read(NamedTuple):
    """What was read at once: events, how many things are no failures, and what was refused, each with the reason."""

    events: list[Observed]
    ignored: int = 0
    refused: tuple[tuple[bytes, str], ...] = ()


def reason(error: Exception) -> str:
    """Why a line is not recorded."""
    if isinstance(error, FailawareError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return "a number has too many digits"
    return f"it cannot be read, which may be a bug in failaware: {type(error).__name__}: {error}"


def failure_of_text(error_type: str, message: str, traceback: str, recorder: Recorder, *, untyped: str) -> Failure:
    """A failure told in texts that may be empty: type and message are read out of the traceback where they are missing.

    `untyped` is the type when nothing names one.
    """
    said = None if error_type and message else read_any_traceback(traceback)
    if said is None:
        first = next((line for line in traceback.splitlines() if line.strip() and line != TRACEBACK), "")
        message, kept, cause = message or ("" if error_type else first.strip()), traceback, root_cause(traceback)
    else:
        error_type, message, cause = error_type or said.error_type, message or said.message, said.cause
        kept = said.traceback if (error_type, message) == (said.error_type, said.message) else traceback
    return failure(error_type or untyped, message, kept or None, cause=cause, masker=recorder.masker)


def observed(event: NewEvent, failure: Failure | None, *, worker: str = "observed", took: int = 0) -> Observed:
    """An event with its one attempt, which began when the event occurred: DEAD, or SYNCED without a failure.

    Args:
        event: what was tried.
        failure: how it failed; None when it succeeded.
        worker: who tried it.
        took: for how long, in µs.
    """
    began = min(event.occurred_at, event.detected_at - took)  # another machine's clock may be ahead of ours
    return Observed(event, (attempt(failure, worker=worker, started_at=began, took=took),))


def attempt(
    failure: Failure | None, *, worker: str, started_at: int, took: int, because: str = ELSEWHERE
) -> NewAttempt:
    """One attempt made elsewhere, after which nobody there will try again; times in µs."""
    why = None if failure is None else because
    return NewAttempt(UNNUMBERED, failure, worker, started_at, started_at + max(0, took), None, why)


def event_of(recorder: Recorder, event_type: str, payload: dict[str, Any], **about: Any) -> NewEvent:
    """An event that tells of a failure, which must not be lost because of what it carries.

    The payload may hold anything: what is no JSON is kept as `as_json` has it. Of one that is too large the largest
    members are left out, and named under `left_out`. The other arguments and errors are those of `Recorder.event`.
    """
    kept: dict[str, Any] = as_json(payload)
    left_out: list[str] = []
    while True:
        try:
            return recorder.event(event_type, kept | ({"left_out": left_out} if left_out else {}), **about)[0]
        except PayloadError:
            if not kept:
                raise
            left_out.append(max(kept, key=lambda name: len(repr(kept[name]))))
            del kept[left_out[-1]]
