"""A transport for the Sentry SDK: a program that is instrumented with it records its errors in a store instead.

Each error event is an event with one DEAD attempt. What is no failure is left out: transactions, profiles, sessions,
check-ins, metrics, logs, and messages below ERROR without an exception.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport as SdkTransport

from failaware.capture.exceptions import MAX_MESSAGE, failure
from failaware.capture.external import event_of, observed
from failaware.capture.json_values import as_json
from failaware.capture.record import Recorder, as_name, parse_time
from failaware.capture.root_cause import is_mechanism_named
from failaware.capture.secrets.masking import MASK
from failaware.errors import UsageError
from failaware.integrations.background import Background
from failaware.model import ERROR_HERE, MEMBER, Failure, NewEvent, Observed
from failaware.text import bounded, microseconds

if TYPE_CHECKING:
    from failaware.store import Store

_END_S = 2.0  # how long the end of a process waits where the SDK does not: a child of multiprocessing
_SOON_S = 0.1  # after which a flush that takes longer is said to the SDK
_FAILURES = {"error", "fatal", "critical"}
_KEPT = ("level", "logger", "transaction", "environment", "release", "dist", "server_name", "tags", "user", "request")
_LED_TO = "\nThe above exception led to the following exception:\n\n"
_JOINTS = {
    "__cause__": "\nThe above exception was the direct cause of the following exception:\n\n",
    "__context__": "\nDuring handling of the above exception, another exception occurred:\n\n",
}
_EARLIEST, _LATEST = (microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (1, 9999))
_Thrown = Mapping[str, Any]
_NOTHING: Mapping[str, Any] = {}


class Transport(SdkTransport):
    """Records the errors of a program: `sentry_sdk.init(transport=Transport(store))`; no DSN, no network.

    The type of an event is the SDK's transaction (an endpoint, a task) or else its logger; its key is the SDK's event
    id. The SDK's calls never wait for the store and never fail because of it; `flush` and the end of the program do
    wait, as long as the SDK says (`shutdown_timeout`, 2 s).

    Args:
        store: where to; it must outlast the SDK's client.
        capacity: how many events may wait to be written; more are dropped and counted in `dropped`.
    """

    def __init__(self, store: "Store", *, capacity: int = 1_000) -> None:
        super().__init__()
        self._recorder = store.session.recorder
        self._clock = store.session.clock
        self._background = Background(store, capacity, "errors", end_s=_END_S)

    @property
    def dropped(self) -> int:
        """How many events were not kept."""
        return self._background.dropped

    def capture_envelope(self, envelope: Envelope) -> None:
        """Take what the SDK would send; never raises, never waits."""
        try:
            event = envelope.get_event()
            if event is not None and _is_failure(event):
                self._background.put(_observed(event, self._recorder, self._clock()))
        except Exception as error:  # noqa: BLE001 - the program must not fail because its failure cannot be kept
            self._background.drop(f"{type(error).__name__}: {error}")

    def flush(self, timeout: float, callback: Callable[[int, float], None] | None = None) -> None:
        """Wait until what was taken is written, `timeout` seconds at most; the callback is told when that is long."""
        soon = min(_SOON_S, timeout)
        if not self._background.flush(soon):
            if callback is not None:
                callback(self._background.waiting, timeout)
            self._background.flush(timeout - soon)

    def kill(self) -> None:
        """Drop what is not written, and report on standard error what was lost.

        The SDK calls it when its client is closed; an event that comes later is kept as well.
        """
        self._background.abandon()


def _is_failure(event: Mapping[str, Any]) -> bool:
    return bool(_thrown(event)) or str(event.get("level")).lower() in _FAILURES


def _observed(event: Mapping[str, Any], recorder: Recorder, now: int) -> Observed:
    thrown = _thrown(event)
    failed = _raised(thrown, event, recorder) if thrown else _said(event, recorder)
    return observed(_event(event, failed, recorder, now), failed)


def _event(event: Mapping[str, Any], failed: Failure, recorder: Recorder, now: int) -> NewEvent:
    return event_of(
        recorder,
        as_name(_where(event), recorder),
        _payload(event, failed),
        now=now,
        key=as_name(f"sentry:{given}", recorder) if isinstance(given := event.get("event_id"), str) and given else None,
        source=as_name(_source(event), recorder),
        occurred_at=_time(event.get("timestamp")),
    )


def _where(event: Mapping[str, Any]) -> str:
    """The endpoint or task, unless that is a raw URL, of which there are any number; the logger, or the module."""
    by_url = _mapping(event, "transaction_info").get("source") == "url"
    named = None if by_url else event.get("transaction")
    modules = [frame.get("module") for exception in _thrown(event)[-1:] for frame in _frames(exception)[-1:]]
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
    thrown = _thrown(event)
    kept: dict[str, Any] = {"message": _message(event) or bounded(failed.error_message, MAX_MESSAGE)}
    kept |= {name: event.get(name) for name in (*_KEPT, "contexts", "extra")}
    kept["params"] = _mapping(event, "logentry").get("params")
    kept["user"] = _masked_user(event.get("user"))
    kept["breadcrumbs"] = _values(event.get("breadcrumbs"))
    if thrown:
        mechanism = _mapping(thrown[-1], "mechanism")
        kept["mechanism"] = {name: mechanism[name] for name in ("type", "handled") if name in mechanism}
        kept["locals"] = _locals(thrown[-1])
    return {name: as_json(value) for name, value in kept.items() if value not in (None, "", {}, [])}


def _masked_user(user: Any) -> dict[str, Any] | None:
    """Which user it was, not who: the id, unless it is an address, and that there was a name, an e-mail, an IP."""
    if not isinstance(user, Mapping):
        return None
    return {
        str(name): value if name == "id" and "@" not in str(value) else MASK for name, value in user.items() if value
    }


def _locals(exception: _Thrown) -> dict[str, Any] | None:
    """The variables of the frame that raised, or of the nearest one that has any."""
    for frame in reversed(_frames(exception)):
        variables = _mapping(frame, "vars")
        if variables and frame.get("function") != "<module>":  # there they are all that it defines
            return {"in": f"{frame.get('filename')}:{frame.get('lineno')} {frame.get('function')}", **variables}
    return None


def _said(event: Mapping[str, Any], recorder: Recorder) -> Failure:
    """A message without an exception; what is alike is told by its format."""
    entry = _mapping(event, "logentry")
    alike = entry.get("message") if entry.get("params") else None
    threads = _values(event.get("threads"))
    stack = "".join(_stack(threads[-1])) if threads else ""
    fingerprint = _fingerprint(event) or (alike if isinstance(alike, str) else None)
    return failure(
        str(event.get("level", "error")).upper(),
        _message(event) or "",
        stack + ERROR_HERE + "\n" if stack else None,
        fingerprint=fingerprint,
        masker=recorder.masker,
    )


def _raised(thrown: list[_Thrown], event: Mapping[str, Any], recorder: Recorder) -> Failure:
    last = thrown[-1]
    return failure(
        _type(last),
        str(last.get("value") or ""),
        "".join(_traceback(thrown)),
        cause=_cause(thrown),
        fingerprint=_fingerprint(event),
        masker=recorder.masker,
    )


def _traceback(thrown: list[_Thrown]) -> Iterator[str]:
    """As Python would print it; the line of type and message stands for that of the last exception."""
    *before, last = thrown
    members = _members(thrown)
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


def _stack(holder: Mapping[str, Any]) -> Iterator[str]:
    frames = _frames(holder)
    if frames:
        yield "Traceback (most recent call last):\n"
    for frame in frames:
        file = frame.get("abs_path") or frame.get("filename") or "?"
        yield f'  File "{file}", line {frame.get("lineno") or "?"}, in {frame.get("function") or "?"}\n'
        source = str(frame.get("context_line") or "").strip()
        if source:
            yield f"    {source}\n"


def _cause(thrown: list[_Thrown]) -> str | None:
    """What the chain goes back to, or the members of a group.

    The SDK tells `raise … from …` from an error while handling another only in a group; elsewhere the first one counts.
    """
    members = _members(thrown)
    if members:
        return MEMBER.join(dict.fromkeys(map(_type_and_message, members)))
    causes = [exception for exception in thrown if not is_mechanism_named(_type(exception))]
    return _type_and_message(causes[0]) if causes and causes[0] is not thrown[-1] else None


def _members(thrown: list[_Thrown]) -> list[_Thrown]:
    """The exceptions of a group, in its order."""
    sources = [str(_mapping(exception, "mechanism").get("source", "")) for exception in thrown]
    pairs = zip(thrown, sources, strict=True)
    return [exception for exception, source in pairs if source.startswith("exceptions[")][::-1]


def _fingerprint(event: Mapping[str, Any]) -> str | None:
    """What the program says that it is like; both sides write the default as `{{ default }}`."""
    parts = event.get("fingerprint")
    given = [str(part) for part in parts] if isinstance(parts, list | tuple) else []
    return " ".join(given) if given not in ([], ["{{ default }}"]) else None


def _message(event: Mapping[str, Any]) -> str | None:
    entry = _mapping(event, "logentry")
    message = entry.get("formatted") or _filled_in(entry) or event.get("message")
    return bounded(str(message), MAX_MESSAGE) if message else None


def _filled_in(entry: Mapping[str, Any]) -> Any:
    """The message with its arguments, which the SDK leaves to us up to its version 2.26."""
    message, params = entry.get("message"), entry.get("params")
    with suppress(Exception):  # they do not fit, which is no reason to lose the rest
        if isinstance(message, str) and params:
            return message % (params if isinstance(params, Mapping) else tuple(params))
    return message


def _type(exception: _Thrown) -> str:
    """Qualified as in a traceback of our own."""
    name, module = str(exception.get("type") or "Error"), exception.get("module")
    return name if module in (None, "", "builtins", "__main__") else f"{module}.{name}"


def _type_and_message(exception: _Thrown) -> str:
    return ": ".join(part for part in (_type(exception), str(exception.get("value") or "")) if part)


def _thrown(event: Mapping[str, Any]) -> list[_Thrown]:
    """The exceptions, the one that was raised last at the end."""
    return _values(event.get("exception"))


def _frames(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    frames = _mapping(holder, "stacktrace").get("frames")
    return [frame for frame in frames if isinstance(frame, Mapping)] if isinstance(frames, list | tuple) else []


def _values(interface: Any) -> list[Mapping[str, Any]]:
    """The values of one of the SDK's interfaces, given as a list or under `values`, or one of them alone."""
    if isinstance(interface, Mapping):
        interface = interface.get("values", [interface])
    return [item for item in interface if isinstance(item, Mapping)] if isinstance(interface, list | tuple) else []


def _mapping(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A member that is to be an object; an empty one where it is anything else."""
    value = holder.get(name)
    return value if isinstance(value, Mapping) else _NOTHING
