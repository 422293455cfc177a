"""JSON Lines: one event a line, `{"type": …, "payload": …, "key": …, "source": …, "occurred_at": …}`.

A line may also have a `"fingerprint"`: what its failures are like. With `"error": {"type": …, "message": …,
"traceback": …}` it says how it failed elsewhere. The payload is kept as the raw JSON that stood in the line. What
cannot be understood becomes a reject, with the reason.

Each line is known by what stands in it: it may as well be a CloudEvent, a request of the OpenTelemetry protocol, or an
array of any of these. Arrays and objects may also take many lines, where they begin the file.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]
from typing import Any

from failaware.capture.exceptions import failure
from failaware.capture.root_cause import root_cause
from failaware.engine import Writer
from failaware.errors import PayloadError, UsageError
from failaware.ingest import cloudevents, otlp
from failaware.ingest.batches import elements, unfolded
from failaware.ingest.observed import Read, observed
from failaware.ingest.record import Recorder
from failaware.model import Failure, NewReject, Observed
from failaware.store import Store
from failaware.text import bounded, storable

CHUNK = 1_000
"""Lines in one transaction."""

CHUNK_BYTES = 1_048_576
"""Bytes of lines in one transaction, but for a line that is longer: one line may hold thousands of events."""

_EMPTY = re.compile(rb"\s*\[\s*\]\s*")  # a batch may be empty
_ESCAPED = re.compile(r"\\u00([2-7][0-9a-fA-F])")  # a printable character of ASCII
_BLANK = frozenset((" ", "\t", "\r", "\n"))
_MAX_RAW = 65_536  # characters of a rejected line that are kept
_decode = json.JSONDecoder(parse_constant=lambda name: _refuse(f"{name} is not JSON")).raw_decode


@dataclass(slots=True)
class Ingested:
    """What became of the input: events recorded, known before (by their key), rejected; blank lines are not counted.

    `ignored` is what was understood and is no failure: log records below ERROR, skipped tests.
    """

    recorded: int = 0
    known: int = 0
    rejected: int = 0
    ignored: int = 0
    reasons: list[str] = field(default_factory=list)


def ingest_lines(
    store: Store, lines: Iterable[bytes], *, origin: str, progress: Callable[[int], None] = lambda _bytes: None
) -> Ingested:
    """Record every line; `progress` is told how many bytes are done after each chunk.

    Raises:
        StoreError: the store cannot be written; the chunks before are recorded.
    """
    total = Ingested()
    for chunk in _chunks(unfolded(enumerate(lines, start=1))):
        ingest_chunk(store, chunk, origin=origin, total=total)
        progress(sum(len(line) for _, line in chunk))
    return total


def ingest_chunk(
    store: Store,
    chunk: list[tuple[int, bytes]],
    *,
    origin: str,
    total: Ingested,
    along: Callable[[Writer], None] | None = None,
) -> None:
    """Record numbered lines in one transaction, together with what `along` writes, and count them in `total`."""
    events: list[Observed] = []
    rejects: list[NewReject] = []
    now = store.clock()
    for line_no, line in chunk:
        for text in _apart(line):
            try:
                read = _read(text, store.recorder, now)
            except (UsageError, ValueError, RecursionError) as error:
                read = Read([], refused=((text, _reason(error)),))
            events += read.events
            total.ignored += read.ignored
            for raw, why in read.refused:
                rejects.append(reject(store.recorder, origin, line_no, raw, error=why, now=now))
    record(store, events, rejects, total=total, along=along)


def record(
    store: Store,
    events: list[Observed],
    rejects: list[NewReject],
    *,
    total: Ingested,
    along: Callable[[Writer], None] | None = None,
) -> None:
    """Record what was read in one transaction, together with what `along` writes, and count it in `total`."""
    known = sum(store.ingest(events, rejects, along=along))
    total.known += known
    total.recorded += len(events) - known
    total.rejected += len(rejects)
    total.reasons += [f"{bad.origin}:{bad.line_no}: {bad.error}" for bad in rejects][: 5 - len(total.reasons)]


def _chunks(numbered: Iterable[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    chunk: list[tuple[int, bytes]] = []
    size = 0
    for line in numbered:
        chunk.append(line)
        size += len(line[1])
        if len(chunk) >= CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _apart(line: bytes) -> list[bytes]:
    """The elements of an array, or the line."""
    return elements(line) or [line]


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def reject(recorder: Recorder, origin: str, line_no: int, line: bytes, *, error: str, now: int) -> NewReject:
    """A line that is not recorded, as it is kept: without its secrets, and bounded."""
    text = line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
    raw = _legible(bounded(text, 4 * _MAX_RAW), recorder)  # what is cut here is cut again below
    return NewReject(
        storable(origin), line_no, bounded(storable(raw), _MAX_RAW), storable(recorder.masked(error) or ""), now
    )


def _legible(raw: str, recorder: Recorder) -> str:
    """A line that was not understood, without its secrets, also those that escapes or UTF-16 would hide."""
    plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), raw).replace("\0", "")
    masked, hits = recorder.masker.mask_text(plain)
    return masked if hits else raw


def _read(line: bytes, recorder: Recorder, now: int) -> Read:
    """What a line says; nothing, of a blank one."""
    if not line.strip():
        return Read([])
    if _EMPTY.fullmatch(line):
        return Read([], ignored=1)
    text = line.decode("utf-8-sig")
    values: dict[str, Any] = {}
    raw_payload = "null"
    for name, value, raw in members(text):
        if name in values:
            raise UsageError(f"the field '{name}' stands twice")
        values[name] = value
        if name == "payload":
            raw_payload = raw
    if "specversion" in values:
        return Read([cloudevents.event(values, text.strip(), recorder, now)])
    if not values.keys().isdisjoint(otlp.SIGNALS):
        return otlp.events(values, recorder, now)
    return Read([_event(values, raw_payload, recorder, now)])


def _event(values: dict[str, Any], raw_payload: str, recorder: Recorder, now: int) -> Observed:
    event, _ = recorder.from_mapping(values, now=now, raw=raw_payload, besides=("error",))
    failed = _failure(values.get("error"), recorder)
    return Observed(event) if failed is None else observed(event, failed)


def _failure(error: Any, recorder: Recorder) -> Failure | None:
    if error is None:
        return None
    if not isinstance(error, dict) or not set(error) <= {"type", "message", "traceback"}:
        raise UsageError('the field \'error\' is {"type": …, "message": …, "traceback": …}')
    if not all(isinstance(part, str | None) for part in error.values()):
        raise UsageError("type, message and traceback of 'error' are strings")
    return failure(
        error.get("type") or "Error",
        error.get("message") or "",
        error.get("traceback"),
        cause=root_cause(error.get("traceback") or ""),
        masker=recorder.masker,
    )


def members(line: str) -> Iterator[tuple[str, Any, str]]:
    """The members of a JSON object: name, decoded value, and the value's raw text."""
    position = _skip(line, 0)
    if line[position : position + 1] != "{":
        raise UsageError("a line is one JSON object, {…}")
    position = _skip(line, position + 1)
    if line[position : position + 1] == "}":
        _must_end(line, position + 1)
        return
    while True:
        if line[position : position + 1] != '"':
            raise UsageError(f"not JSON: a name in quotes is missing at character {position + 1}")
        name, position = scanstring(line, position + 1, True)
        position = _skip(line, position)
        if line[position : position + 1] != ":":
            raise UsageError(f"not JSON: ':' is missing at character {position + 1}")
        start = _skip(line, position + 1)
        value, end = _value(line, start)
        yield name, value, line[start:end]
        position = _skip(line, end)
        if line[position : position + 1] == "}":
            break
        if line[position : position + 1] != ",":
            raise UsageError(f"not JSON: ',' or '}}' is missing at character {position + 1}")
        position = _skip(line, position + 1)
    _must_end(line, position + 1)


def _value(line: str, start: int) -> tuple[Any, int]:
    try:
        return _decode(line, start)
    except json.JSONDecodeError as error:
        raise UsageError(f"not JSON: {error.msg} at character {error.pos + 1}") from None


def _must_end(line: str, position: int) -> None:
    if _skip(line, position) != len(line):
        raise UsageError(f"not JSON: something stands after the object, at character {position + 1}")


def _skip(line: str, position: int) -> int:
    """Past white space; mostly there is none."""
    if line[position : position + 1] not in _BLANK:
        return position
    return int(WHITESPACE.match(line, position).end())


def _refuse(message: str) -> Any:
    raise PayloadError(message)
