"""JSON Lines: one event a line, `{"type": …, "payload": …, "key": …, "source": …, "occurred_at": …}`.

A line may also have a `"fingerprint"`, and `"error": {"type": …, "message": …, "traceback": …}` if it failed elsewhere.
The payload is kept as its raw JSON text. A line that cannot be parsed becomes a reject, with the reason.

The format of each line is detected from its content: it may also be a CloudEvent, an OTLP/JSON request, or an array of
any of these. At the beginning of a file, arrays and objects may have many lines.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

from failaware.capture.external import ParsedInput, failure_of_text, observed
from failaware.capture.record import Recorder
from failaware.errors import StoreBusy, UsageError
from failaware.ingest.batches import elements, unfolded
from failaware.ingest.chunk import Chunk, Collected, Ingested
from failaware.ingest.encoding import TextRuns
from failaware.ingest.formats import cloudevents, otlp
from failaware.ingest.stream import MAX_LINE, Line, Piece
from failaware.json_text import members
from failaware.model import EventWithAttempts, Failure
from failaware.session import Session

FORMATS = (
    (cloudevents.matches, cloudevents.parse),
    (otlp.matches, otlp.parse),
)
"""Other formats of JSON objects: what detects and what parses them. An object that none matches is our own format."""

CHUNK = 1_000
"""Lines in one transaction."""

CHUNK_BYTES = 1_048_576
"""Bytes of lines in one transaction, unless one line is longer: a line may have thousands of events."""

DELAY_S = 0.25
"""Longest time before a line that was read is written; with the wait of an input, less than half a second."""

_EMPTY = re.compile(rb"\s*\[\s*\]\s*")  # a batch may be empty


def ingest_lines(
    session: Session, lines: Iterable[bytes], *, origin: str, progress: Callable[[int], None] = lambda _bytes: None
) -> Ingested:
    """Record every line; `progress` is called after each chunk with its number of bytes.

    Raises:
        StoreError: the store cannot be written; the chunks before are recorded.
    """
    ended = (line if line.endswith(b"\n") else line + b"\n" for line in lines)
    parts = (Piece(line_no, line, ends=True) for line_no, line in enumerate(ended, start=1))
    return ingest_pieces(session, parts, origin=origin, progress=progress)


def ingest_pieces(
    session: Session,
    parts: Iterator[Piece | None],
    *,
    origin: str,
    progress: Callable[[int], None] = lambda _bytes: None,
    try_again: Callable[[StoreBusy], bool] = lambda _error: False,
) -> Ingested:
    """As `ingest_lines`, for lines that come in pieces. What was read is recorded within half a second.

    None among the pieces means that nothing has come for a moment. While the store is locked, wait for it as long as
    `try_again` returns True.
    """
    total = Ingested()
    chunk, text = Chunk(session, origin, total), TextRuns()
    count, size, began = 0, 0, 0.0
    for line in unfolded(parts):
        if line is not None:
            began = began if count else time.monotonic()
            take(chunk.collected, line, text)
            count, size = count + 1, size + line.size
        is_full = count >= CHUNK or size >= CHUNK_BYTES
        if count and (line is None or is_full or time.monotonic() - began >= DELAY_S):
            chunk.write_when_free(try_again)
            progress(size)
            count, size = 0, 0
    chunk.write_when_free(try_again)
    progress(size)
    return total


def collect_lines(collected: Collected, body: bytes) -> None:
    """Add the events of a whole input: lines, or an array or object of many lines."""
    text = TextRuns()
    ended = (Piece(line_no, line, ends=True) for line_no, line in enumerate(BytesIO(body), start=1))
    for line in unfolded(ended):
        if line is not None:
            take(collected, line, text)


def take(collected: Collected, line: Line, text: TextRuns, *, limit: int | None = None) -> None:
    """Add the events of a line, which may be an array. `limit` is in bytes, by default MAX_LINE."""
    limit = limit or MAX_LINE
    if line.size > limit:
        collected.reject(line.line_no, line.data, f"the line has {line.size:,} bytes; the limit is {limit:,}")
        return
    problem = text.problem(line.data)
    if problem:
        collected.reject(line.line_no, line.data, problem)
        return
    if problem is not None:
        if _has_content(line.data):
            collected.skipped += 1
        return
    for part in elements(line.data) or [line.data]:
        collected.take(line.line_no, part, lambda part=part: _read(part, collected.recorder, collected.now))  # type: ignore[misc]


def _read(line: bytes, recorder: Recorder, now: int) -> ParsedInput:
    """Parse a line; a blank one has no event."""
    line = line.lstrip(b"\0") or line[:1]  # a file that was truncated while its writer went on begins with NULs
    if not _has_content(line):
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


def _has_content(line: bytes) -> bool:
    return bool(line.removeprefix(b"\xef\xbb\xbf").strip())


def _event(values: dict[str, Any], raw_payload: str, recorder: Recorder, now: int) -> EventWithAttempts:
    event, _ = recorder.from_mapping(values, now=now, raw=raw_payload, extra_fields=("error",))
    failed = _failure(values.get("error"), recorder)
    return EventWithAttempts(event) if failed is None else observed(event, failed)


def _failure(error: Any, recorder: Recorder) -> Failure | None:
    if error is None:
        return None
    if not isinstance(error, dict) or not set(error) <= {"type", "message", "traceback"}:
        raise UsageError('the field \'error\' must be {"type": …, "message": …, "traceback": …}')
    if not all(isinstance(part, str | None) for part in error.values()):
        raise UsageError("type, message and traceback of 'error' must be strings")
    return failure_of_text(
        error.get("type") or "", error.get("message") or "", error.get("traceback") or "", recorder, untyped="Error"
    )
