"""Attempts made elsewhere: an event together with the attempts that another program made at it."""

from contextlib import suppress
from json import JSONDecodeError
from types import TracebackType
from typing import Any, NamedTuple

from failaware.capture.exceptions import describe, failure
from failaware.capture.guarded import text_of, traceback_of
from failaware.capture.json_values import as_json
from failaware.capture.raised_text import read_any_traceback
from failaware.capture.record import Recorder
from failaware.capture.root_cause import TRACEBACK, root_cause
from failaware.capture.secrets.masking import Masker
from failaware.errors import FailawareError, PayloadError
from failaware.model import ERROR_HERE, UNNUMBERED, EventWithAttempts, Failure, NewAttempt, NewEvent

ELSEWHERE = "observed elsewhere; no worker retries it"


class ParsedInput(NamedTuple):
    """One parsed input: its events, how many entries are no failures, and the rejected parts, each with the reason."""

    events: list[EventWithAttempts]
    ignored: int = 0
    rejected: tuple[tuple[bytes, str], ...] = ()


def reason(error: Exception) -> str:
    """Return why a line is not recorded."""
    if isinstance(error, FailawareError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, JSONDecodeError):
        return f"not JSON: {error}"
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return "a number has too many digits"
    return f"it cannot be read, which may be a bug in failaware: {type(error).__name__}: {error}"


def failure_of_text(error_type: str, message: str, traceback: str, recorder: Recorder, *, untyped: str) -> Failure:
    """Return a failure of texts that may be empty; a missing type or message is read from the traceback.

    `untyped` is the error type if there is none.
    """
    parsed = None if error_type and message else read_any_traceback(traceback)
    if parsed is None:
        first = next((line for line in traceback.splitlines() if line.strip() and line != TRACEBACK), "")
        message, cause = message or ("" if error_type else first.strip()), root_cause(traceback)
        members = traceback.replace(f"{error_type}: {message}", ERROR_HERE, 1) if error_type and message else traceback
    else:
        error_type, message, cause = error_type or parsed.error_type, message or parsed.message, parsed.cause
        members = parsed.traceback if (error_type, message) == (parsed.error_type, parsed.message) else traceback
    return failure(error_type or untyped, message, members or None, cause=cause, masker=recorder.masker)


def failure_of(
    error: BaseException | Failure | str | None,
    masker: Masker,
    *,
    package: str | None = None,
    raised_at: TracebackType | None = None,
) -> Failure | None:
    """Return the failure that a program reports, masked; None if it reports a success.

    Args:
        error: an exception, a text (a message or a whole traceback), or a failure.
        masker: masks secrets.
        package: a package whose frames at the beginning of an exception's traceback are left out.
        raised_at: a traceback for an exception that was never raised.
    """
    if error is None:
        return None
    if isinstance(error, BaseException):
        return describe(error, masker=masker, traceback=_start_outside(traceback_of(error) or raised_at, package))
    if isinstance(error, Failure):
        kind, message, traceback, cause, fingerprint = error
        return failure(kind, message, traceback, cause=cause, fingerprint=fingerprint, masker=masker)
    text = text_of(error)
    raised = read_any_traceback(text)
    if raised is None:
        return failure("Error", text, None, masker=masker)
    return failure(raised.error_type, raised.message, raised.traceback, cause=raised.cause, masker=masker)


def _start_outside(traceback: TracebackType | None, package: str | None) -> TracebackType | None:
    """Return the first entry of a traceback that is not of the package; the last entry if all are."""
    while traceback is not None and traceback.tb_next is not None:
        module = traceback.tb_frame.f_globals.get("__name__")
        if package is None or type(module) is not str or module.partition(".")[0] != package:
            break
        traceback = traceback.tb_next
    return traceback


def observed(event: NewEvent, failure: Failure | None, *, worker: str = "observed", took: int = 0) -> EventWithAttempts:
    """Return an event with one attempt, which began when the event occurred: DEAD, or SYNCED without a failure.

    Args:
        event: what was attempted.
        failure: how it failed; None if it succeeded.
        worker: which program made the attempt.
        took: duration in µs.
    """
    began = min(event.occurred_at, event.detected_at - took)  # another machine's clock may be ahead of ours
    return EventWithAttempts(event, (attempt(failure, worker=worker, started_at=began, took=took),))


def attempt(
    failure: Failure | None, *, worker: str, started_at: int, took: int, retry_reason: str = ELSEWHERE
) -> NewAttempt:
    """Return an attempt made elsewhere, after which no other follows; times in µs."""
    why = None if failure is None else retry_reason
    return NewAttempt(UNNUMBERED, failure, worker, started_at, started_at + max(0, took), None, why)


def event_of(
    recorder: Recorder, event_type: str, payload: dict[str, Any], *, is_json: bool = False, **about: Any
) -> NewEvent:
    """Return an event with any payload: a failure must not be lost because of its payload.

    Values that are not JSON are converted by `as_json`, which takes time; with `is_json` only if it is necessary. If
    the payload is too large, its largest members are left out and listed under `left_out`. The other arguments and
    errors are those of `Recorder.event`.
    """
    if is_json:
        with suppress(PayloadError):
            return recorder.event(event_type, payload, **about)[0]
    members: dict[str, Any] = as_json(payload)
    left_out: list[str] = []
    while True:
        try:
            return recorder.event(event_type, members | ({"left_out": left_out} if left_out else {}), **about)[0]
        except PayloadError:
            if not members:
                raise
            left_out.append(max(members, key=lambda name: len(repr(members[name]))))
            del members[left_out[-1]]
