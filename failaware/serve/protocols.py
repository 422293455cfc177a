"""The protocols: what a request brings, as events and rejects, and how it is answered."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from failaware.capture.external import ParsedInput
from failaware.capture.record import Recorder
from failaware.errors import UsageError
from failaware.ingest.chunk import Collected
from failaware.ingest.formats import cloudevents, otlp, sentry
from failaware.ingest.lines import collect_lines
from failaware.serve import envelope
from failaware.serve.inbox import Written
from failaware.serve.refusal import Refusal

Clock = Callable[[], int]

_CE_PREFIX = "ce-"
_BATCH, _STRUCTURED = "application/cloudevents-batch", "application/cloudevents"
_PROTOBUF = "application/x-protobuf"
_SHOWN = 5  # reasons in an answer
_MAX_ENTRIES = 20_000  # events and rejects of a request: they are in memory at once, and in one transaction


class Request(NamedTuple):
    """A request without its connection: the path, the headers (lower case) and the body."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Content-Type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Answer(NamedTuple):
    """Status, media type, body and further headers of an answer."""

    status: int
    media_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class _Entries(Collected):
    """The events and rejects of a request."""

    def take(self, line_no: int, raw: bytes, read: Callable[[], ParsedInput]) -> None:
        """Add what `read` returns.

        Raises:
            Refusal: that is too much.
        """
        super().take(line_no, raw, read)
        if len(self) > _MAX_ENTRIES:
            raise Refusal(413, f"the request has more than {_MAX_ENTRIES:,} events; send fewer at once")


def sentry_envelope(
    request: Request, recorder: Recorder, clock: Clock
) -> tuple[Collected, Callable[[Written], Answer]]:
    """The events of an envelope; other items are skipped."""
    collected = _Entries(recorder, clock, "serve:sentry")
    event_id = envelope.header(request.body).get("event_id")
    for number, item in enumerate(envelope.items(request.body), start=1):
        if item.kind != "event":
            collected.ignored += 1
            continue
        event_id = _collect_sentry(collected, number, item.content) or event_id
    return collected, partial(_sentry_answer, event_id)


def sentry_store(request: Request, recorder: Recorder, clock: Clock) -> tuple[Collected, Callable[[Written], Answer]]:
    """The event of a request of older SDKs: one JSON object."""
    collected = _Entries(recorder, clock, "serve:sentry")
    return collected, partial(_sentry_answer, _collect_sentry(collected, 1, request.body))


def _collect_sentry(collected: Collected, number: int, content: bytes) -> Any:
    """Add an event; returns its id."""
    event: Any = None

    def read() -> ParsedInput:
        nonlocal event
        event = json.loads(content)
        if not isinstance(event, dict):
            raise UsageError("the event must be a JSON object")
        observed = sentry.parse(event, collected.recorder, collected.now)
        return ParsedInput([], ignored=1) if observed is None else ParsedInput([observed])

    collected.take(number, content, read)
    return event.get("event_id") if isinstance(event, dict) else None


def _sentry_answer(event_id: Any, written: Written) -> Answer:
    if written.rejects and not written.recorded:
        return as_answer(400, {"detail": written.rejects[0].error})
    return as_answer(200, {"id": event_id} if isinstance(event_id, str) else {})


def otlp_request(
    signal: str, request: Request, recorder: Recorder, clock: Clock
) -> tuple[Collected, Callable[[Written], Answer]]:
    """The failures of an OTLP request; `signal` is logs or traces."""
    collected = _Entries(recorder, clock, "serve:otlp")
    is_protobuf = request.media_type == _PROTOBUF
    if is_protobuf:
        from failaware.ingest.formats import otlp_protobuf

        content = otlp_protobuf.decode(request.body, signal)
    else:
        content = _json_object(request.body)
    collected.take(1, request.body, lambda: otlp.parse(content, "", recorder, collected.now))
    return collected, partial(_otlp_answer, signal, is_protobuf=is_protobuf)


def otlp_metrics(request: Request, recorder: Recorder, clock: Clock) -> tuple[Collected, Callable[[Written], Answer]]:
    """Skip metrics, which SDKs with one endpoint for every signal send here as well."""
    collected = _Entries(recorder, clock, "serve:otlp")
    collected.ignored += 1
    is_protobuf = request.media_type == _PROTOBUF
    return collected, lambda _written: Answer(200, _PROTOBUF, b"") if is_protobuf else as_answer(200, {})


def nothing(request: Request, _recorder: Recorder, _clock: Clock) -> tuple[Collected, Callable[[Written], Answer]]:
    """Refuse a request to another path.

    Raises:
        Refusal: always.
    """
    raise Refusal(
        404,
        f"there is nothing at {request.path[:100]!r}; send to /events, /v1/logs, /v1/traces or, by Sentry's SDKs, "
        "/api/1/envelope/",
    )


def _otlp_answer(signal: str, written: Written, *, is_protobuf: bool) -> Answer:
    rejected = len(written.rejects)
    reason = written.rejects[0].error if rejected else ""
    if is_protobuf:
        from failaware.ingest.formats import otlp_protobuf

        return Answer(200, _PROTOBUF, otlp_protobuf.answer(signal, rejected, reason))
    counted = {"rejectedLogRecords" if signal == "logs" else "rejectedSpans": str(rejected), "errorMessage": reason}
    return as_answer(200, {"partialSuccess": counted} if rejected else {})


def events(request: Request, recorder: Recorder, clock: Clock) -> tuple[Collected, Callable[[Written], Answer]]:
    """JSON Lines, one JSON object or array, or CloudEvents in any of their modes."""
    binary = f"{_CE_PREFIX}specversion" in request.headers
    is_cloudevent = binary or request.media_type.startswith(_STRUCTURED)
    collected = _Entries(recorder, clock, "serve:cloudevents" if is_cloudevent else "serve:lines")
    if binary:
        collected.take(1, request.body, lambda: _binary_cloudevent(request, recorder, collected.now))
    else:
        collect_lines(collected, request.body)
    return collected, partial(_events_answer, accepted=202 if is_cloudevent else 200)


def is_cloudevent(request: Request) -> bool:
    """Whether a request to /events is in a mode of CloudEvents that its headers name."""
    return f"{_CE_PREFIX}specversion" in request.headers or request.media_type.startswith(_STRUCTURED)


def _binary_cloudevent(request: Request, recorder: Recorder, now: int) -> ParsedInput:
    """The attributes are headers, the data is the body."""
    from base64 import b64encode
    from urllib.parse import unquote

    values: dict[str, Any] = {
        name.removeprefix(_CE_PREFIX): unquote(value)
        for name, value in request.headers.items()
        if name.startswith(_CE_PREFIX)
    }
    if request.media_type:
        values["datacontenttype"] = request.headers["content-type"]
    if request.body:
        if request.media_type in ("", "application/json") or request.media_type.endswith("+json"):
            values["data"] = json.loads(request.body)
        elif request.media_type.startswith("text/"):
            values["data"] = request.body.decode()
        else:
            values["data_base64"] = b64encode(request.body).decode()
    return cloudevents.parse(values, json.dumps(values, ensure_ascii=False), recorder, now)


def _events_answer(written: Written, *, accepted: int) -> Answer:
    reasons = [f"{reject.line_no}: {reject.error}" for reject in written.rejects[:_SHOWN]]
    status = accepted if written.recorded or not written.rejects else 400
    return as_answer(status, {"recorded": written.recorded, "rejected": len(written.rejects), "reasons": reasons})


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Refusal(400, "the body must be a JSON object")
    return content


def as_answer(status: int, content: dict[str, Any]) -> Answer:
    """Return an answer of JSON, which people read too."""
    text = json.dumps(content, ensure_ascii=False)
    return Answer(status, "application/json", text.encode("utf-8", "backslashreplace"))
