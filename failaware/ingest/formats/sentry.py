"""Sentry's JSON of an error, as SDKs of every language send it: an event with one attempt, DEAD.

Not recorded are transactions, sessions, check-ins, and messages below ERROR without an exception. The type of an event
is the SDK's transaction (an endpoint, a task) or else its logger or module; its key is the SDK's event id.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from failaware.capture.exceptions import MAX_MESSAGE, failure
from failaware.capture.external import event_of, observed
from failaware.capture.record import Recorder, as_name, parse_time
from failaware.capture.secrets.masking import MASK
from failaware.errors import UsageError
from failaware.ingest.formats.sentry_stacks import (
    SdkException,
    cause,
    frames,
    in_app,
    mapping,
    message_of,
    stack,
    traceback,
    type_of,
    values,
)
from failaware.model import ERROR_HERE, EventWithAttempts, Failure, NewEvent
from failaware.text import bounded, microseconds

_MODULE = "<module>"  # the function of a frame whose variables are all definitions of its module
_FAILURES = {"error", "fatal", "critical"}
_FIELDS = ("level", "logger", "transaction", "environment", "release", "dist", "server_name", "tags", "user", "request")
_EARLIEST, _LATEST = (microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (1, 9999))


def parse(event: Mapping[str, Any], recorder: Recorder, now: int) -> EventWithAttempts | None:
    """Return the event of an error; None if it is not a failure.

    Args:
        event: what the SDK sends, decoded.
        recorder: makes events, with the store's limits and masking.
        now: µs since the epoch.
    """
    return _observed(event, recorder, now) if _is_failure(event) else None


def _is_failure(event: Mapping[str, Any]) -> bool:
    return bool(_exceptions(event)) or str(event.get("level")).lower() in _FAILURES


def _observed(event: Mapping[str, Any], recorder: Recorder, now: int) -> EventWithAttempts:
    exceptions = _exceptions(event)
    failed = _exception_failure(exceptions, event, recorder) if exceptions else _message_failure(event, recorder)
    worker = as_name(str(event.get("server_name") or "observed"), recorder)
    return observed(_event(event, failed, recorder, now), failed, worker=worker)


def _event(event: Mapping[str, Any], failed: Failure, recorder: Recorder, now: int) -> NewEvent:
    event_id = event.get("event_id")
    return event_of(
        recorder,
        as_name(_event_type(event), recorder),
        _payload(event, failed),
        now=now,
        key=as_name(f"sentry:{event_id}", recorder) if isinstance(event_id, str) and event_id else None,
        source=as_name(_source(event), recorder),
        occurred_at=_time(event.get("timestamp")),
        is_json=True,  # as a rule; an SDK of Python may pass objects
    )


def _event_type(event: Mapping[str, Any]) -> str:
    """Return the event type: the endpoint or task unless it is a raw URL, else the logger or the module."""
    by_url = mapping(event, "transaction_info").get("source") == "url"
    named = None if by_url else event.get("transaction")
    return str(named or event.get("logger") or _module(event) or event.get("platform") or "sentry")


def _module(event: Mapping[str, Any]) -> Any:
    """Return the module of the program's frame that raised."""
    raised = values(event.get("exception"))[-1:]
    return next((frame.get("module") for exception in raised for frame in in_app(frames(exception))[-1:]), None)


def _source(event: Mapping[str, Any]) -> str:
    release = event.get("release")
    return f"sentry:{event.get('environment') or 'production'}" + (f" {release}" if release else "")


def _time(value: Any) -> int | None:
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    with suppress(UsageError, ValueError, OverflowError):
        at = parse_time(value or None)
        return at if at is None or _EARLIEST <= at <= _LATEST else None
    return None


def _payload(event: Mapping[str, Any], failed: Failure) -> dict[str, Any]:
    exceptions = _exceptions(event)
    payload: dict[str, Any] = {"message": _message(event) or bounded(failed.error_message, MAX_MESSAGE)}
    payload |= {name: event.get(name) for name in (*_FIELDS, "contexts", "extra")}
    payload["params"] = mapping(event, "logentry").get("params")
    payload["user"] = _masked_user(event.get("user"))
    payload["breadcrumbs"] = values(event.get("breadcrumbs"))
    if exceptions:
        mechanism = mapping(exceptions[-1], "mechanism")
        payload["mechanism"] = {name: mechanism[name] for name in ("type", "handled") if name in mechanism}
        payload["locals"] = _locals(exceptions[-1])
    return {name: value for name, value in payload.items() if value not in (None, "", {}, [])}


def _masked_user(user: Any) -> dict[str, Any] | None:
    """Return the user's id, unless it is an e-mail address; name, e-mail and IP address are masked."""
    if not isinstance(user, dict):
        return None
    return {
        str(name): value if name == "id" and "@" not in str(value) else MASK for name, value in user.items() if value
    }


def _locals(exception: SdkException) -> dict[str, Any] | None:
    """Return the variables of the program's frame that raised, or of the nearest one that has any."""
    with_variables = [frame for frame in frames(exception) if frame.get("vars")]
    for frame in in_app([frame for frame in with_variables if frame.get("function") != _MODULE])[-1:]:
        return {
            "in": f"{frame.get('filename')}:{frame.get('lineno')} {frame.get('function')}",
            **mapping(frame, "vars"),
        }
    return None


def _message_failure(event: Mapping[str, Any], recorder: Recorder) -> Failure:
    """Return the failure of a message without an exception; its format string is the fingerprint."""
    entry = mapping(event, "logentry")
    template = entry.get("message") if entry.get("params") else None
    platform = _platform(event)
    where = [*(one for one in values(event.get("exception")) if _is_synthetic(one)), *values(event.get("threads"))]
    frames_of_it = stack(where[-1], platform) if where else ""
    fingerprint = _fingerprint(event) or (template if isinstance(template, str) else None)
    return failure(
        str(event.get("level", "error")).upper(),
        _message(event) or "",
        _with_place(frames_of_it, platform) if frames_of_it else None,
        fingerprint=fingerprint,
        masker=recorder.masker,
    )


def _exception_failure(exceptions: list[SdkException], event: Mapping[str, Any], recorder: Recorder) -> Failure:
    last, platform = exceptions[-1], _platform(event)
    return failure(
        type_of(last, platform),
        message_of(last, platform),
        traceback(exceptions, platform),
        cause=cause(exceptions, platform),
        fingerprint=_fingerprint(event),
        masker=recorder.masker,
    )


def _with_place(stack_text: str, platform: str) -> str:
    """The frames of a message with a place for its text, where the language has it."""
    return f"{stack_text}{ERROR_HERE}\n" if platform == "python" else f"{ERROR_HERE}\n{stack_text}"


def _platform(event: Mapping[str, Any]) -> str:
    return str(event.get("platform") or "python")


def _exceptions(event: Mapping[str, Any]) -> list[SdkException]:
    """Return the exceptions, the one raised last at the end."""
    return [exception for exception in values(event.get("exception")) if not _is_synthetic(exception)]


def _is_synthetic(exception: SdkException) -> bool:
    """Whether an SDK made it to tell where a message came from."""
    return not exception.get("type") and mapping(exception, "mechanism").get("synthetic") is True


def _fingerprint(event: Mapping[str, Any]) -> str | None:
    """Return the fingerprint that the program set, unless it is the SDK's default, `{{ default }}`."""
    value = event.get("fingerprint")
    parts = [str(part) for part in value] if isinstance(value, list | tuple) else []
    return " ".join(parts) if parts not in ([], ["{{ default }}"]) else None


def _message(event: Mapping[str, Any]) -> str | None:
    entry = mapping(event, "logentry")
    synthetic = (one.get("value") for one in values(event.get("exception")) if _is_synthetic(one))
    message = entry.get("formatted") or _filled_in(entry) or event.get("message") or next(synthetic, None)
    return bounded(str(message), MAX_MESSAGE) if message else None


def _filled_in(entry: Mapping[str, Any]) -> Any:
    """Return the message with its arguments; the SDK formats it only from version 2.27 on."""
    message, params = entry.get("message"), entry.get("params")
    with suppress(Exception):  # the arguments may not fit
        if isinstance(message, str) and params:
            return message % (params if isinstance(params, dict) else tuple(params))
    return message
