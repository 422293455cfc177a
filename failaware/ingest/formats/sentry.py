"""Sentry's JSON of an error, as SDKs of every language send it: an event with one attempt, DEAD.

Not recorded are transactions, sessions, check-ins, and messages below ERROR without an exception. The type of an event
is the SDK's transaction (an endpoint, a task) or else its logger or module; its key is the SDK's event id.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from failaware.capture.exceptions import MAX_MESSAGE, failure
from failaware.capture.external import event_of, observed
from failaware.capture.json_values import as_json
from failaware.capture.record import Recorder, as_name, parse_time
from failaware.capture.root_cause import is_mechanism_named
from failaware.capture.secrets.masking import MASK
from failaware.errors import UsageError
from failaware.model import ERROR_HERE, MEMBER, EventWithAttempts, Failure, NewEvent
from failaware.text import bounded, microseconds

_FAILURES = {"error", "fatal", "critical"}
_FIELDS = ("level", "logger", "transaction", "environment", "release", "dist", "server_name", "tags", "user", "request")
_LED_TO = "\nThe above exception led to the following exception:\n\n"
_JOINTS = {
    "__cause__": "\nThe above exception was the direct cause of the following exception:\n\n",
    "__context__": "\nDuring handling of the above exception, another exception occurred:\n\n",
}
_EARLIEST, _LATEST = (microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (1, 9999))
_SdkException = Mapping[str, Any]
_EMPTY: Mapping[str, Any] = {}


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
    return observed(_event(event, failed, recorder, now), failed)


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
    )


def _event_type(event: Mapping[str, Any]) -> str:
    """Return the event type: the endpoint or task unless it is a raw URL, else the logger or the module."""
    by_url = _mapping(event, "transaction_info").get("source") == "url"
    named = None if by_url else event.get("transaction")
    modules = [frame.get("module") for exception in _exceptions(event)[-1:] for frame in _frames(exception)[-1:]]
    return str(named or event.get("logger") or next(iter(modules), None) or event.get("platform") or "sentry")


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
    payload["params"] = _mapping(event, "logentry").get("params")
    payload["user"] = _masked_user(event.get("user"))
    payload["breadcrumbs"] = _values(event.get("breadcrumbs"))
    if exceptions:
        mechanism = _mapping(exceptions[-1], "mechanism")
        payload["mechanism"] = {name: mechanism[name] for name in ("type", "handled") if name in mechanism}
        payload["locals"] = _locals(exceptions[-1])
    return {name: as_json(value) for name, value in payload.items() if value not in (None, "", {}, [])}


def _masked_user(user: Any) -> dict[str, Any] | None:
    """Return the user's id, unless it is an e-mail address; name, e-mail and IP address are masked."""
    if not isinstance(user, Mapping):
        return None
    return {
        str(name): value if name == "id" and "@" not in str(value) else MASK for name, value in user.items() if value
    }


def _locals(exception: _SdkException) -> dict[str, Any] | None:
    """Return the variables of the frame that raised, or of the nearest one that has any."""
    for frame in reversed(_frames(exception)):
        variables = _mapping(frame, "vars")
        if variables and frame.get("function") != "<module>":  # a module's variables are all its definitions
            return {"in": f"{frame.get('filename')}:{frame.get('lineno')} {frame.get('function')}", **variables}
    return None


def _message_failure(event: Mapping[str, Any], recorder: Recorder) -> Failure:
    """Return the failure of a message without an exception; its format string is the fingerprint."""
    entry = _mapping(event, "logentry")
    template = entry.get("message") if entry.get("params") else None
    threads = _values(event.get("threads"))
    stack = "".join(_stack(threads[-1])) if threads else ""
    fingerprint = _fingerprint(event) or (template if isinstance(template, str) else None)
    return failure(
        str(event.get("level", "error")).upper(),
        _message(event) or "",
        stack + ERROR_HERE + "\n" if stack else None,
        fingerprint=fingerprint,
        masker=recorder.masker,
    )


def _exception_failure(exceptions: list[_SdkException], event: Mapping[str, Any], recorder: Recorder) -> Failure:
    last = exceptions[-1]
    return failure(
        _type(last),
        str(last.get("value") or ""),
        "".join(_traceback(exceptions)),
        cause=_cause(exceptions),
        fingerprint=_fingerprint(event),
        masker=recorder.masker,
    )


def _traceback(exceptions: list[_SdkException]) -> Iterator[str]:
    """Yield the traceback as Python prints it, with ERROR_HERE for the last exception's type and message."""
    *before, last = exceptions
    members = _members(exceptions)
    for exception in [] if members else before:
        source = _mapping(exception, "mechanism").get("source")
        yield from _stack(exception)
        yield _type_and_message(exception) + "\n" + _JOINTS.get(str(source), _LED_TO)
    yield from _stack(last)
    yield ERROR_HERE + "\n"
    for number, member in enumerate(members, start=1):
        yield f"  +---------------- {number} ----------------\n"
        for line in ("".join(_stack(member)) + _type_and_message(member)).splitlines():
            yield f"  | {line}\n"


def _stack(parent: Mapping[str, Any]) -> Iterator[str]:
    frames = _frames(parent)
    if frames:
        yield "Traceback (most recent call last):\n"
    for frame in frames:
        file = frame.get("abs_path") or frame.get("filename") or "?"
        yield f'  File "{file}", line {frame.get("lineno") or "?"}, in {frame.get("function") or "?"}\n'
        source = str(frame.get("context_line") or "").strip()
        if source:
            yield f"    {source}\n"


def _cause(exceptions: list[_SdkException]) -> str | None:
    """Return the root cause of a chain, or the members of a group.

    Only in a group does the SDK distinguish `raise … from …` from an error while handling another one; elsewhere the
    first exception is the cause.
    """
    members = _members(exceptions)
    if members:
        return MEMBER.join(dict.fromkeys(map(_type_and_message, members)))
    causes = [exception for exception in exceptions if not is_mechanism_named(_type(exception))]
    return _type_and_message(causes[0]) if causes and causes[0] is not exceptions[-1] else None


def _members(exceptions: list[_SdkException]) -> list[_SdkException]:
    """Return the exceptions of a group, in its order."""
    sources = [str(_mapping(exception, "mechanism").get("source", "")) for exception in exceptions]
    pairs = zip(exceptions, sources, strict=True)
    return [exception for exception, source in pairs if source.startswith("exceptions[")][::-1]


def _fingerprint(event: Mapping[str, Any]) -> str | None:
    """Return the fingerprint that the program set, unless it is the SDK's default, `{{ default }}`."""
    value = event.get("fingerprint")
    parts = [str(part) for part in value] if isinstance(value, list | tuple) else []
    return " ".join(parts) if parts not in ([], ["{{ default }}"]) else None


def _message(event: Mapping[str, Any]) -> str | None:
    entry = _mapping(event, "logentry")
    message = entry.get("formatted") or _filled_in(entry) or event.get("message")
    return bounded(str(message), MAX_MESSAGE) if message else None


def _filled_in(entry: Mapping[str, Any]) -> Any:
    """Return the message with its arguments; the SDK formats it only from version 2.27 on."""
    message, params = entry.get("message"), entry.get("params")
    with suppress(Exception):  # the arguments may not fit
        if isinstance(message, str) and params:
            return message % (params if isinstance(params, Mapping) else tuple(params))
    return message


def _type(exception: _SdkException) -> str:
    """Return the type's name, qualified as in our tracebacks."""
    name, module = str(exception.get("type") or "Error"), exception.get("module")
    return name if module in (None, "", "builtins", "__main__") else f"{module}.{name}"


def _type_and_message(exception: _SdkException) -> str:
    return ": ".join(part for part in (_type(exception), str(exception.get("value") or "")) if part)


def _exceptions(event: Mapping[str, Any]) -> list[_SdkException]:
    """Return the exceptions, the one raised last at the end."""
    return _values(event.get("exception"))


def _frames(parent: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    frames = _mapping(parent, "stacktrace").get("frames")
    return [frame for frame in frames if isinstance(frame, Mapping)] if isinstance(frames, list | tuple) else []


def _values(interface: Any) -> list[Mapping[str, Any]]:
    """Return the values of an SDK interface, which may be a list, a single value, or an object with `values`."""
    if isinstance(interface, Mapping):
        interface = interface.get("values", [interface])
    return [item for item in interface if isinstance(item, Mapping)] if isinstance(interface, list | tuple) else []


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a member if it is an object, else an empty one."""
    value = parent.get(name)
    return value if isinstance(value, Mapping) else _EMPTY
