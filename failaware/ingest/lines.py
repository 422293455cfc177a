"""JSON Lines: one event a line, `{"type": …, "payload": …, "key": …, "source": …, "occurred_at": …}`.

A line may also have a `"fingerprint"`: what its failures are like. With `"error": {"type": …, "message": …,
"traceback": …}` it says how it failed elsewhere. The payload is kept as the raw JSON that stood in the line. What
cannot be understood becomes a reject, with the reason.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined]
from typing import Any

from failaware.engine import Writer
from failaware.errors import PayloadError, UsageError
from failaware.ingest.capture import failure
from failaware.ingest.record import Recorder, parse_time
from failaware.model import Failure, NewEvent, NewReject
from failaware.store import Store
from failaware.text import bounded, storable

CHUNK = 1_000
"""Lines in one transaction."""

_ESCAPED = re.compile(r"\\u00([2-7][0-9a-fA-F])")  # a printable character of ASCII
_BLANK = frozenset((" ", "\t", "\r", "\n"))
_MAX_RAW = 65_536  # characters of a rejected line that are kept
_FIELDS = {"type", "payload", "key", "source", "occurred_at", "fingerprint", "error"}
_decode = json.JSONDecoder(parse_constant=lambda name: _refuse(f"{name} is not JSON")).raw_decode


@dataclass(slots=True)
class Ingested:
    """What became of the lines: recorded, known before (by their key), rejected; blank lines are not counted."""

    recorded: int = 0
    known: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)


def ingest_lines(
    store: Store, lines: Iterable[bytes], *, origin: str, progress: Callable[[int], None] = lambda _bytes: None
) -> Ingested:
    """Record every line; `progress` is told how many bytes are done after each chunk.

    Raises:
        StoreError: the store cannot be written; the chunks before are recorded.
    """
    total = Ingested()
    numbered = enumerate(lines, start=1)
    while chunk := list(islice(numbered, CHUNK)):
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
    events, rejects = _prepare(store, chunk, origin)
    known = sum(store.ingest(events, rejects, along=along))
    total.known += known
    total.recorded += len(events) - known
    total.rejected += len(rejects)
    total.reasons += [f"{origin}:{bad.line_no}: {bad.error}" for bad in rejects][: 5 - len(total.reasons)]


def _prepare(
    store: Store, chunk: list[tuple[int, bytes]], origin: str
) -> tuple[list[tuple[NewEvent, Failure | None]], list[NewReject]]:
    events, rejects = [], []
    now = store.clock()
    for line_no, line in chunk:
        if not line.strip():
            continue
        try:
            events.append(_parse(line.decode("utf-8-sig"), store.recorder, now))
        except UnicodeDecodeError:
            rejects.append(reject(store.recorder, origin, line_no, line, error="not UTF-8", now=now))
        except RecursionError:
            rejects.append(reject(store.recorder, origin, line_no, line, error="nested too deeply", now=now))
        except (UsageError, ValueError) as error:
            rejects.append(reject(store.recorder, origin, line_no, line, error=str(error), now=now))
    return events, rejects


def reject(recorder: Recorder, origin: str, line_no: int, line: bytes, *, error: str, now: int) -> NewReject:
    """A line that is not recorded, as it is kept: without its secrets, and bounded."""
    raw = _legible(line.rstrip(b"\r\n").decode("utf-8", "backslashreplace"), recorder)
    return NewReject(origin, line_no, bounded(storable(raw), _MAX_RAW), storable(recorder.masked(error) or ""), now)


def _legible(raw: str, recorder: Recorder) -> str:
    """A line that was not understood, without its secrets, also those that escapes or UTF-16 would hide."""
    plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), raw).replace("\0", "")
    masked, hits = recorder.masker.mask_text(plain)
    return masked if hits else raw


def _parse(line: str, recorder: Recorder, now: int) -> tuple[NewEvent, Failure | None]:
    values: dict[str, Any] = {}
    raw_payload = "null"
    for name, value, raw in members(line):
        if name in values:
            raise UsageError(f"the field '{name}' stands twice")
        if name not in _FIELDS:
            raise UsageError(f"there is no field '{name}'; fields are {', '.join(sorted(_FIELDS))}")
        values[name] = value
        if name == "payload":
            raw_payload = raw
    if "type" not in values:
        raise UsageError("the field 'type' is missing")
    event, _ = recorder.event(
        values["type"],
        values.get("payload"),
        now=now,
        key=values.get("key"),
        source=values.get("source"),
        occurred_at=parse_time(values.get("occurred_at")),
        raw=raw_payload,
        fingerprint=values.get("fingerprint"),
    )
    return event, _failure(values.get("error"), recorder)


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
