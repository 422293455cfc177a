"""JSON Lines: one event a line, `{"type": …, "payload": …, "key": …, "source": …, "occurred_at": …}`.

A line may also have a `"fingerprint"`, and `"error": {"type": …, "message": …, "traceback": …}` if it failed elsewhere,
or a text: a message, or a whole traceback.
The payload is kept as its raw JSON text. A line that cannot be parsed becomes a reject, with the reason.

The format of each line is detected from its content: it may also be a CloudEvent, an OTLP/JSON request, a report in
CTRF, or an array of any of these. At the beginning of a file, arrays and objects may have many lines.
"""

import re
from typing import Any

from failaware.capture.external import ParsedInput, failure_of, failure_of_text, observed
from failaware.capture.record import Recorder
from failaware.errors import UsageError
from failaware.ingest.formats import cloudevents, ctrf, otlp
from failaware.json_text import members
from failaware.model import EventWithAttempts, Failure

FORMATS = (
    (cloudevents.matches, cloudevents.parse),
    (otlp.matches, otlp.parse),
    (ctrf.matches, ctrf.parse),
)
"""Other formats of JSON objects: what detects and what parses them. An object that none matches is our own format."""

OWN_FIELDS = frozenset(("type", "payload", "key", "source", "occurred_at", "fingerprint", "error"))
"""The fields of our own format."""

_MARKS = ("specversion", *otlp.SIGNALS, "results")  # one of which an object of FORMATS has
_EMPTY = re.compile(rb"\s*\[\s*\]\s*")  # a batch may be empty


def parse_line(line: bytes, recorder: Recorder, now: int) -> ParsedInput:
    """Return the events of a line of our own format or one of FORMATS; a blank one has none.

    Raises:
        UsageError: it is not one.
    """
    line = line.lstrip(b"\0") or line[:1]  # a file that was truncated while its writer went on begins with NULs
    if not has_content(line):
        return ParsedInput([])
    if line == b"\0":
        raise UsageError("the line has only NUL bytes")
    if _EMPTY.fullmatch(line):
        return ParsedInput([], ignored=1)
    text = line.decode("utf-8-sig")
    values: dict[str, Any] = {}
    raw_payload = "null"
    for name, value, raw in members(text):
        if name in values:
            raise UsageError(f"the field '{name}' occurs twice")
        values[name] = value
        if name == "payload":
            raw_payload = raw
    for matches, parse in FORMATS:
        if matches(values):
            return parse(values, text.strip(), recorder, now)
    return ParsedInput([_event(values, raw_payload, recorder, now)])


def is_ours(values: dict[str, Any]) -> bool:
    """Whether a JSON object has our own format, or one of FORMATS."""
    if values.keys() <= OWN_FIELDS:
        return True
    return not values.keys().isdisjoint(_MARKS) and any(matches(values) for matches, _ in FORMATS)


def has_content(line: bytes) -> bool:
    """Whether a line is not blank."""
    return bool(line.removeprefix(b"\xef\xbb\xbf").strip())


def _event(values: dict[str, Any], raw_payload: str, recorder: Recorder, now: int) -> EventWithAttempts:
    event, _ = recorder.from_mapping(values, now=now, raw=raw_payload, extra_fields=("error",))
    failed = _failure(values.get("error"), recorder)
    return EventWithAttempts(event) if failed is None else observed(event, failed)


def _failure(error: Any, recorder: Recorder) -> Failure | None:
    if error is None:
        return None
    if isinstance(error, str):
        return failure_of(error, recorder.masker)
    if not isinstance(error, dict) or not set(error) <= {"type", "message", "traceback"}:
        raise UsageError('the field \'error\' must be {"type": …, "message": …, "traceback": …} or a text')
    if not all(isinstance(part, str | None) for part in error.values()):
        raise UsageError("type, message and traceback of 'error' must be strings")
    return failure_of_text(
        error.get("type") or "", error.get("message") or "", error.get("traceback") or "", recorder, untyped="Error"
    )
