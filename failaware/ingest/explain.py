"""Explains what would be recorded of the first lines of an input, and why; nothing is written."""

from collections.abc import Callable
from typing import NamedTuple

from failaware.capture.external import reason
from failaware.capture.record import Recorder
from failaware.capture.secrets.masking import Masker
from failaware.ingest.batches import unfolded
from failaware.ingest.chunk import Collected
from failaware.ingest.encoding import check_text
from failaware.ingest.format import Format
from failaware.ingest.mapped import Mapper, Record
from failaware.ingest.reader import LineReader, ReadingOptions
from failaware.ingest.stream import Input, pieces
from failaware.model import EventWithAttempts
from failaware.text import moment_utc

RECORDED, IGNORED, REJECTED = "recorded", "no failure", "rejected"
_FIRST = 20  # lines


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
    """Return what would become of the first lines of an input.

    Raises:
        UsageError: the input is not text in UTF-8.
    """
    check_text(source.begins(), origin)
    recorder = Recorder(Masker())
    collected = Collected(recorder, clock, origin)
    records: list[Record] = []
    reader = LineReader(options._replace(observe=records.append, keep_all=True))
    count = 0
    for line in unfolded(pieces(source)):
        if line is not None:
            reader.take(collected, line)
            count += 1
        if count >= lines:
            break
    reader.flush(collected)
    mapper = Mapper(options.expressions, options.only, is_stream=source.is_stream)
    explained = [_explained(record, mapper, recorder, collected.now) for record in records]
    ours = [number for number, _ in collected.sources if number not in {record.line_no for record in records}]
    explained += [
        Explanation(number, "failaware's own, CloudEvents, CTRF or OTLP", RECORDED, None, []) for number in ours
    ]
    observed = {record.line_no for record in records}
    explained += [
        Explanation(reject.line_no, "unknown", REJECTED, reject.error, [])
        for reject in collected.rejects
        if reject.line_no not in observed
    ]
    return sorted(explained, key=lambda each: each.line_no)


def _explained(record: Record, mapper: Mapper, recorder: Recorder, now: int) -> Explanation:
    described = mapper.of(record.format).format
    condition = described.expressions.get("failure")
    try:
        if not mapper.is_failure(record):
            return Explanation(record.line_no, described.title, IGNORED, condition, [])
        fields = _fields(mapper.event(record, recorder, now), described)
    except Exception as error:  # noqa: BLE001 - the same errors are rejects
        return Explanation(record.line_no, described.title, REJECTED, reason(error), [])
    return Explanation(record.line_no, described.title, RECORDED, condition, fields)


def _fields(observed: EventWithAttempts, described: Format) -> list[Field]:
    event, failure = observed.event, observed.attempts[0].failure
    assert failure is not None
    values = {
        "type": event.event_type,
        "error.type": failure.error_type,
        "error.message": failure.error_message,
        "error.traceback": failure.traceback and f"{len(failure.traceback.splitlines())} lines",
        "cause": failure.cause,
        "occurred_at": moment_utc(event.occurred_at),
        "source": event.source,
        "key": event.key,
    }
    return [Field(name, value, described.expressions.get(f"map.{name}")) for name, value in values.items() if value]
