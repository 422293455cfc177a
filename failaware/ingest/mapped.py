"""Makes an event with one attempt, DEAD, of a record that a format describes; other records are no failures."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from failaware.capture.external import ParsedInput, event_of, failure_of_text, observed
from failaware.capture.record import Recorder, as_name
from failaware.capture.stack_lines import split_traceback
from failaware.errors import UsageError
from failaware.ingest.expressions import is_true
from failaware.ingest.format import FIELDS, UNWRAP, Format
from failaware.ingest.functions import text, time
from failaware.model import EventWithAttempts, Failure
from failaware.text import without_escapes

_UNTYPED = "ERROR"  # the error type of a record without a type and a level
_JOINED_WITH = {"type": ".", "key": ":", "source": "/"}
_MOST_DELAY = 60_000_000  # µs between a record and when a container's log has it
_ZONED = re.compile(r"(?:Z|[+-]\d\d:?\d\d|UTC|GMT|\d{9,})\s*$")  # or a number since 1970
_MAX_KEYS = 10_000  # of which the number of equal ones is known


class Record(NamedTuple):
    """A record of an input.

    `values` are what its format's expressions see; `raw` is what was read, of all its lines; `stream`, `time` and
    `about` (type, source) are those that the log around it gives, such as a container's.
    """

    format: Format
    values: dict[str, Any]
    raw: bytes
    line_no: int
    stream: str = ""
    time: Any = None
    about: Mapping[str, Any] = {}


class EqualKeys:
    """Numbers records of one input that have equal keys: two failures in one second are two, also when read again."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[int, int]] = {}  # of each key: the lines that have it, and their numbers

    def numbered(self, key: str, line_no: int) -> str:
        """Return the key, with the number of this line among those with this key if it is not the first one."""
        lines = self._lines.setdefault(key, {})
        number = lines.setdefault(line_no, len(lines) + 1)
        if len(self._lines) > _MAX_KEYS:
            del self._lines[next(iter(self._lines))]
        return key if number == 1 else f"{key}:{number}"


class Mapper:
    """Maps the records of one input.

    Args:
        expressions: expressions that replace those of every format, by their name in `Format`.
        only: a condition of every record that is recorded.
        is_stream: whether the input cannot be read again, so that a record without a time needs no key.
    """

    def __init__(
        self, expressions: Mapping[str, str] | None = None, only: str | None = None, *, is_stream: bool = False
    ) -> None:
        self._expressions = dict(expressions or {})
        self._only = None if only is None else Format("", "", frozenset(), (), {"only": only}).expression("only")
        self._is_stream = is_stream
        self._keys = EqualKeys()
        self._mappings: dict[int, tuple[Format, _Mapping]] = {}  # by the format's id; the format is kept alive

    def of(self, given: Format) -> "_Mapping":
        """Return the mapping of a format."""
        known = self._mappings.get(id(given))
        if known is None:
            known = (given, _Mapping(given.with_expressions(self._expressions)))
            self._mappings[id(given)] = known
        return known[1]

    def is_failure(self, record: Record) -> bool:
        """Whether a record is recorded."""
        failed = self.of(record.format).failure
        if failed is not None and not is_true(failed(record.values)):
            return False
        return self._only is None or is_true(self._only(record.values))

    def parse(self, record: Record, recorder: Recorder, now: int) -> ParsedInput:
        """Return the event of a record, or count it as ignored."""
        if not self.is_failure(record):
            return ParsedInput([], ignored=1)
        return ParsedInput([self.event(record, recorder, now)])

    def event(self, record: Record, recorder: Recorder, now: int) -> EventWithAttempts:
        """Return the event of a record that is a failure.

        Raises:
            UsageError: an expression cannot be evaluated.
        """
        mapping = self.of(record.format)
        fields = {name: evaluate(record.values) for name, evaluate in mapping.fields.items()}
        failed, message = _failure(fields, mapping.format, recorder)
        occurred_at = _time(fields.get("occurred_at"), record.time)
        if occurred_at is None and fields.get("occurred_at") and "map.occurred_at" in self._expressions:
            raise UsageError(f"'occurred_at' must be a time, not {str(fields['occurred_at'])[:40]}")
        event = event_of(
            recorder,
            as_name(_name("type", fields) or _name("type", record.about) or mapping.format.untyped, recorder),
            _payload(record, mapping.format, fields, message, has_traceback=failed.traceback is not None),
            is_json=True,
            now=now,
            key=self._key(_name("key", fields), record, recorder, is_timed=occurred_at is not None),
            source=as_name(_name("source", fields) or _name("source", record.about) or mapping.format.name, recorder),
            occurred_at=occurred_at,
            fingerprint=_name("fingerprint", fields),
        )
        return observed(event, failed)

    def _key(self, given: str | None, record: Record, recorder: Recorder, *, is_timed: bool) -> str | None:
        """Return the producer's own key, or a digest of the record; a record without a time also has its line."""
        if given is None:
            if not is_timed and self._is_stream:
                return None
            given = f"{record.format.name}:{recorder.digest(record.raw)[:32]}"
            if not is_timed:
                return f"{given}:line {record.line_no}"
        key = as_name(given, recorder)
        return key if record.format.unique else self._keys.numbered(key, record.line_no)


class _Mapping:
    """A format with its expressions compiled."""

    def __init__(self, given: Format) -> None:
        self.format = given
        self.failure = given.expression("failure")
        self.each = given.expression("each")
        compiled = {name: given.expression(f"map.{name}") for name in FIELDS}
        self.fields = {name: evaluate for name, evaluate in compiled.items() if evaluate is not None}
        unwrapped = {name: given.expression(f"unwrap.{name}") for name in UNWRAP}
        self.unwrap = {name: evaluate for name, evaluate in unwrapped.items() if evaluate is not None}


def _failure(fields: Mapping[str, Any], of: Format, recorder: Recorder) -> tuple[Failure, str | None]:
    """Return the failure; and the message before a traceback, if they were one text."""
    message, stack = without_escapes(text(fields.get("error.message")) or ""), text(fields.get("error.traceback")) or ""
    before = None
    if not stack:
        before, stack = split_traceback(message)
        message, before = ("", before) if stack else (message, None)
    elif "\n" in message:
        message = split_traceback(message)[0] or message  # the same stack may be part of the message
    level = text(fields.get("level"))
    untyped = without_escapes(_level_name(level, of.levels)).upper() if level else _UNTYPED
    error_type = (text(fields.get("error.type")) or "").removeprefix("builtins.")
    return failure_of_text(error_type, message.strip(), stack, recorder, untyped=untyped), before


def _time(given: Any, outer: Any) -> int | None:
    """Return when a record was made. A time without a zone may be that of a container, whose log has the moment."""
    moment, written = time(given), time(outer)
    if moment is None or written is None:
        return moment or written
    is_local = isinstance(given, str) and not _ZONED.search(given) and abs(moment - written) > _MOST_DELAY
    return written if is_local else moment


def _level_name(level: str, names: Mapping[str, str]) -> str:
    """Return the name of a level; of a number without one, such as pino's own levels, that of the next lower number."""
    name = names.get(level)
    if name is None and names and level.isdigit():
        name = next(
            (names[number] for number in sorted(names, key=int, reverse=True) if int(number) <= int(level)), None
        )
    return name or level


def _name(field: str, fields: Mapping[str, Any]) -> str | None:
    """Return a name; the parts of a list are joined."""
    value = fields.get(field)
    if isinstance(value, list):
        value = _JOINED_WITH.get(field, " ").join(str(part) for part in value if part not in (None, ""))
    if isinstance(value, dict | bool):
        raise UsageError(f"'{field}' must be a text, not {str(value)[:40]}")
    return None if value in (None, "") else str(value)


def _payload(
    record: Record,
    of: Format,
    fields: Mapping[str, Any],
    message: str | None,
    *,
    has_traceback: bool,
) -> dict[str, Any]:
    """Return what is kept of a record in addition: all of it, without what is already the traceback."""
    given = fields.get("payload")
    if given is not None:
        return given if isinstance(given, dict) else {"payload": given}
    payload = dict(record.values)
    if has_traceback:
        for path in of.omit:
            _omit(payload, path.split("."))
    if message is not None and "message" in payload:
        payload["message"] = message
    if record.stream:
        payload.setdefault("stream", record.stream)
    return payload


def _omit(payload: dict[str, Any], path: list[str]) -> None:
    *parents, name = path
    for parent in parents:
        inner = payload.get(parent)
        if not isinstance(inner, dict):
            return
        payload[parent] = payload = dict(inner)
    payload.pop(name, None)
