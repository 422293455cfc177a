"""Explains what would be recorded of the first lines of an input, and why; nothing is written."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from failaware.capture.external import reason
from failaware.capture.record import Recorder
from failaware.capture.secrets.masking import Masker
from failaware.errors import UsageError
from failaware.ingest.batches import unfolded
from failaware.ingest.chunk import Collected
from failaware.ingest.encoding import check_text
from failaware.ingest.files import is_xml
from failaware.ingest.formats.junit import collect_junit
from failaware.ingest.journal_export import as_json, is_export
from failaware.ingest.mapped import Mapper, Record
from failaware.ingest.reader import LineReader, ReadingOptions
from failaware.ingest.stream import Input, pieces
from failaware.model import EventWithAttempts
from failaware.text import moment_utc

RECORDED, IGNORED, REJECTED = "recorded", "no failure", "rejected"
_FIRST = 20  # lines
_OURS = "failaware's own, CloudEvents, CTRF or OTLP"  # formats without a data file


class Field(NamedTuple):
    """A field of an event, and the expression that it is the value of, if there is one."""

    name: str
    value: str | None
    expression: str | None


class Explanation(NamedTuple):
    """What becomes of a record: its first line, its format, what is done, and why or with which fields."""

    line_no: int
    format: str
    outcome: str
    why: str | None
    fields: list[Field]


def explain(
    source: Input, origin: str, options: ReadingOptions, clock: Callable[[], int], *, lines: int = _FIRST
) -> list[Explanation]:
    """Return what would become of the first lines of an input, or of the first tests of a JUnit report.

    Raises:
        UsageError: the input is not text in UTF-8.
    """
    recorder = Recorder(Masker())
    collected = Collected(recorder, clock, origin)
    if is_xml(source.begins()):
        collect_junit(collected, source)
        return _without_records(collected, "a JUnit report", set())[:lines]
    check_text(source.begins(), origin)
    records: list[Record] = []
    reader = LineReader(options._replace(observe=records.append, keep_all=True))
    count = 0
    parts = pieces(source)
    for line in unfolded(as_json(parts) if is_export(source.begins()) else parts):
        if line is not None:
            reader.take(collected, line)
            count += 1
        if count >= lines:
            break
    reader.flush(collected)
    if source.error is not None:
        raise UsageError(f"cannot read {origin}: {source.error.strerror}")
    mapper = Mapper(options.expressions, options.only, is_stream=source.is_stream)
    explained = [_explained(record, mapper, recorder, collected.now) for record in records]
    explained += _without_records(collected, _OURS, {record.line_no for record in records})
    return sorted(explained, key=lambda each: each.line_no)


def _without_records(collected: Collected, form: str, explained: set[int]) -> list[Explanation]:
    """Explain the lines of formats without a data file, and rejects."""
    recorded = [
        Explanation(line_no, form, RECORDED, None, _fields(event, {}))
        for (line_no, _), event in zip(collected.sources, collected.events, strict=True)
        if line_no not in explained
    ]
    return recorded + [
        Explanation(reject.line_no, "unknown", REJECTED, reject.error, [])
        for reject in collected.rejects
        if reject.line_no not in explained
    ]


def _explained(record: Record, mapper: Mapper, recorder: Recorder, now: int) -> Explanation:
    described = mapper.of(record.format).format
    condition = described.expressions.get("failure")
    try:
        if not mapper.is_failure(record):
            return Explanation(record.line_no, described.title, IGNORED, condition, [])
        fields = _fields(mapper.event(record, recorder, now), described.expressions)
    except Exception as error:  # noqa: BLE001 - the same errors are rejects
        return Explanation(record.line_no, described.title, REJECTED, reason(error), [])
    return Explanation(record.line_no, described.title, RECORDED, condition, fields)


def _fields(observed: EventWithAttempts, expressions: Mapping[str, str]) -> list[Field]:
    event = observed.event
    failure = observed.attempts[-1].failure if observed.attempts else None
    values = {"type": event.event_type}
    if failure is not None:
        values |= {
            "error.type": failure.error_type,
            "error.message": failure.error_message,
            "error.traceback": f"{len(failure.traceback.splitlines())} lines" if failure.traceback else "",
            "cause": failure.cause or "",
        }
    values |= {"occurred_at": moment_utc(event.occurred_at), "source": event.source or "", "key": event.key or ""}
    return [Field(name, value, expressions.get(f"map.{name}")) for name, value in values.items() if value]
