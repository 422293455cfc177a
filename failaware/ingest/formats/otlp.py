"""OpenTelemetry as OTLP/JSON, one request per line, as the collector's file exporter writes it.

A log record with `exception.*` attributes or of severity ERROR and above is an event with one attempt, DEAD; so is an
exception that a span recorded, and a span with the status ERROR without an exception. Other records, spans and metrics
are ignored. Records have no id: the key is a digest of the record and its number among equal ones of its request, which
makes reading the same file again idempotent.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from failaware.capture.exceptions import MAX_MESSAGE, failure
from failaware.capture.external import ParsedInput, event_of, failure_of_text, observed, reason
from failaware.capture.record import Recorder, as_name
from failaware.capture.root_cause import root_cause
from failaware.errors import UsageError
from failaware.model import ERROR_HERE, EventWithAttempts, Failure
from failaware.text import bounded

SIGNALS = ("resourceLogs", "resourceSpans", "resourceMetrics")
"""Each request has one of these names."""

_ERROR = 17  # the lowest severityNumber of an error
_SEVERITIES = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": _ERROR, "FATAL": 21}
_SEVERITY = re.compile(
    rf"(?P<number>\d{{1,2}})|SEVERITY_NUMBER_(?P<name>{'|'.join(_SEVERITIES)})(?P<step>[234])?", re.ASCII
)
_ERROR_TEXTS = ("ERROR", "FATAL", "CRITICAL", "EMERG", "ALERT", "PANIC")
_TYPE, _MESSAGE, _STACK = "exception.type", "exception.message", "exception.stacktrace"
_WHO = ("service.namespace", "service.name")  # the resource's attributes that are the source
_STATUS = ("UNSET", "OK", "ERROR")
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_MAX_DEPTH = 100  # levels of a nested value


def matches(values: dict[str, Any]) -> bool:
    """Whether it is a request."""
    return not values.keys().isdisjoint(SIGNALS)


def parse(request: dict[str, Any], _raw: str, recorder: Recorder, now: int) -> ParsedInput:
    """Return the failures of a request; other log records, spans and metrics are counted as ignored.

    Raises:
        UsageError: the request is not valid. A single record that is not valid is rejected alone.
    """
    failures: list[EventWithAttempts] = []
    rejected: list[tuple[bytes, str]] = []
    ignored = len(_list(request, "resourceMetrics"))
    seen: Counter[str] = Counter()
    for resource, scope, record in [*_records(request), *_span_failures(request)]:
        raw = json.dumps([resource, scope, record], sort_keys=True).encode()
        try:
            attributes = _attributes(record.get("attributes"))
            if not _is_failure(record, attributes):
                ignored += 1
                continue
            digest = recorder.digest(raw.decode())[:32]
            seen[digest] += 1
            key = f"otlp:{digest}" + (f":{seen[digest]}" if seen[digest] > 1 else "")
            failures.append(_event(resource, scope, record, attributes, key=key, recorder=recorder, now=now))
        except Exception as error:  # noqa: BLE001 - foreign input: one record must not affect the others
            rejected.append((raw, reason(error)))
    return ParsedInput(failures, ignored, tuple(rejected))


def _records(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Yield each log record with its resource's attributes and its scope."""
    for of_resource in _list(request, "resourceLogs"):
        resource = _attributes(_object(of_resource.get("resource"), "resource").get("attributes"))
        for of_scope in _list(of_resource, "scopeLogs"):
            scope = _object(of_scope.get("scope"), "scope")
            for record in _list(of_scope, "logRecords"):
                yield resource, scope, record


def _span_failures(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Yield each failure of a span as a log record with the span's name; for a span without any, an empty record."""
    for of_resource in _list(request, "resourceSpans"):
        resource = _attributes(_object(of_resource.get("resource"), "resource").get("attributes"))
        for of_scope in _list(of_resource, "scopeSpans"):
            scope = _object(of_scope.get("scope"), "scope")
            for span in _list(of_scope, "spans"):
                for record in _failures_of(span):
                    yield resource, scope, record


def _failures_of(span: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the exceptions of a span, or the span itself if its status is ERROR, as log records."""
    status = _object(span.get("status"), "status")
    about = {
        "eventName": span.get("name"),
        "traceId": span.get("traceId"),
        "spanId": span.get("spanId"),
        "timeUnixNano": span.get("startTimeUnixNano"),
        "span": span,
    }
    exceptions = [event for event in _list(span, "events") if event.get("name") == "exception"]
    if exceptions:
        return [{"timeUnixNano": event.get("timeUnixNano"), **event, **_given(about)} for event in exceptions]
    if _enum(status.get("code"), _STATUS) != "ERROR":
        return [{}]
    error_type = [pair for pair in _list(span, "attributes") if pair.get("key") == "error.type"]  # all are kept with it
    failed = {"attributes": error_type, "severityNumber": _ERROR, "severityText": "ERROR"}
    return [about | failed | {"body": {"stringValue": str(status.get("message") or "")}}]


def _given(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def _span(span: Any) -> dict[str, Any] | None:
    """Return what is kept of a span in addition to its failure."""
    if span is None:
        return None
    status = _object(span.get("status"), "status")
    took = _took(span)
    kept = {
        "kind": _enum(span.get("kind"), _KINDS),
        "status": _enum(status.get("code"), _STATUS),
        "status_message": status.get("message"),
        "parent_id": span.get("parentSpanId"),
        "duration_ms": None if took is None else took / 1_000,
        "attributes": _attributes(span.get("attributes")),
    }
    return {name: value for name, value in kept.items() if value not in (None, "", {}, "UNSET", "UNSPECIFIED")}


def _enum(value: Any, names: tuple[str, ...]) -> str:
    """Return the name of an enum's value, which may be its number or a name such as STATUS_CODE_ERROR."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    return next((name for name in names if isinstance(value, str) and value.endswith(f"_{name}")), names[0])


def _took(span: dict[str, Any]) -> int | None:
    """Return the duration of a span in µs; None if it has no start or no end."""
    start, end = (_nanoseconds(span, name) for name in ("startTimeUnixNano", "endTimeUnixNano"))
    return (end - start) // 1_000 if start and end and end >= start else None


def _is_failure(record: dict[str, Any], attributes: dict[str, Any]) -> bool:
    if not attributes.keys().isdisjoint((_TYPE, _MESSAGE, _STACK)):
        return True
    number = _severity_number(record.get("severityNumber"))
    if number:
        return number >= _ERROR
    return str(record.get("severityText", "")).upper().startswith(_ERROR_TEXTS)


def _severity_number(value: Any) -> float:
    """Return the severity's number; protobuf's own JSON has its name instead, such as SEVERITY_NUMBER_ERROR2."""
    name = _SEVERITY.fullmatch(value) if isinstance(value, str) else None
    if name is not None:
        return int(name["number"] or _SEVERITIES[name["name"]] + int(name["step"] or 1) - 1)
    return value if isinstance(value, int | float) else 0


def _event(
    resource: dict[str, Any],
    scope: dict[str, Any],
    record: dict[str, Any],
    attributes: dict[str, Any],
    *,
    key: str,
    recorder: Recorder,
    now: int,
) -> EventWithAttempts:
    body, span = _value(record.get("body")), record.get("span")
    failed = _failure(record, attributes, body, recorder)
    payload = {
        "message": bounded(body, MAX_MESSAGE) if isinstance(body, str) else body,
        "severity": record.get("severityText") or record.get("severityNumber"),
        "attributes": {name: value for name, value in attributes.items() if name not in {_TYPE, _MESSAGE, _STACK}},
        "trace_id": record.get("traceId"),
        "span_id": record.get("spanId"),
        "span": _span(span),
        "scope": scope,
        "resource": resource,
    }
    event = event_of(
        recorder,
        as_name(
            str(record.get("eventName") or scope.get("name") or resource.get("service.name") or "otel.log"), recorder
        ),
        {name: value for name, value in payload.items() if value not in (None, "", {})},
        now=now,
        key=key,
        source=as_name("/".join(str(resource[name]) for name in _WHO if resource.get(name)) or "otel", recorder),
        occurred_at=_time(record),
    )
    worker = as_name(str(resource.get("host.name") or "observed"), recorder)
    return observed(event, failed, worker=worker, took=(span and _took(span)) or 0)


def _failure(record: dict[str, Any], attributes: dict[str, Any], body: Any, recorder: Recorder) -> Failure:
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body, ensure_ascii=False)
    error_type, stack = str(attributes.get(_TYPE) or ""), str(attributes.get(_STACK) or "")
    untyped = str(attributes.get("error.type") or record.get("severityText") or "ERROR")
    if stack and not (error_type and _MESSAGE in attributes):
        return failure_of_text(error_type, str(attributes.get(_MESSAGE) or ""), stack, recorder, untyped=untyped)
    error_type, message = error_type or untyped, str(attributes.get(_MESSAGE, text))
    traceback = stack.replace(f"{error_type}: {message}", ERROR_HERE, 1) if message else stack
    return failure(error_type, message, traceback or None, cause=root_cause(stack), masker=recorder.masker)


def _time(record: dict[str, Any]) -> int | None:
    """Return when it happened or was observed (µs)."""
    at = _nanoseconds(record, "timeUnixNano") or _nanoseconds(record, "observedTimeUnixNano")
    return at // 1_000 if at else None


def _nanoseconds(record: dict[str, Any], name: str) -> int:
    """Return a time, 0 if there is none; 64-bit numbers are strings in OTLP/JSON."""
    value = record.get(name)
    try:
        return 0 if value is None else _whole_number(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"'{name}' of OTLP must be a number of nanoseconds") from None


def _whole_number(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError("true is no number")
    return int(value)


def _attributes(pairs: Any, depth: int = 0) -> dict[str, Any]:
    if pairs is None:
        return {}
    if not isinstance(pairs, list):
        raise UsageError("attributes of OTLP must be a list of {key, value}")
    attributes = [_one_of(pair, "attributes") for pair in pairs]
    return {str(pair.get("key")): _value(pair.get("value"), depth) for pair in attributes}


def _value(any_value: Any, depth: int = 0) -> Any:
    """Return the value of an AnyValue."""
    if any_value is None:
        return None
    if depth > _MAX_DEPTH:
        raise UsageError("a value of OTLP is nested too deeply")
    for kind, value in _object(any_value, "value").items():
        if kind == "arrayValue":
            return [_value(item, depth + 1) for item in _items(_object(value, kind), "values")]
        if kind == "kvlistValue":
            return _attributes(_object(value, kind).get("values"), depth + 1)
        if kind == "intValue":
            try:
                return _whole_number(value)
            except (TypeError, ValueError, OverflowError):
                raise UsageError("an intValue of OTLP must be a whole number") from None
        return value
    return None


def _list(parent: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [_one_of(item, name) for item in _items(parent, name)]


def _items(parent: dict[str, Any], name: str) -> list[Any]:
    items = parent.get(name) or []
    if not isinstance(items, list):
        raise UsageError(f"'{name}' of OTLP must be a list")
    return items


def _one_of(item: Any, name: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise UsageError(f"'{name}' of OTLP must be a list of objects")
    return item


def _object(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"'{name}' of OTLP must be an object")
    return value
