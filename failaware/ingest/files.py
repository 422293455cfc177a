"""Records a file whose format is detected from its content: JUnit XML, OpenTelemetry's protobuf, or lines."""

import re
from collections.abc import Callable

from failaware.errors import StoreBusy, UsageError
from failaware.ingest.chunk import Chunk, Ingested
from failaware.ingest.encoding import STANDARD_INPUT, check_text
from failaware.ingest.formats.ctrf_file import Target, is_ctrf, read_reports
from failaware.ingest.formats.junit import ingest_junit
from failaware.ingest.journal_export import as_json, is_export
from failaware.ingest.lines import ingest_pieces
from failaware.ingest.protobuf_file import ingest_protobuf, is_protobuf
from failaware.ingest.reader import LineReader, ReadingOptions
from failaware.ingest.stream import Input, pieces
from failaware.ledger import restore
from failaware.session import Session

_XML = re.compile(  # in UTF-8 or UTF-16; not syslog's <34>
    rb"(?:[ \t\r\n]|\xef\xbb\xbf)*<(?!\d)|\xff\xfe(?:[ \t\r\n]\0|\xff\xfe)*<\0|\xfe\xff(?:\0[ \t\r\n]|\xfe\xff)*\0<"
)


def ingest_file(
    session: Session,
    source: Input,
    *,
    origin: str,
    options: ReadingOptions | None = None,
    progress: Callable[[int], None] = lambda _bytes: None,
    try_again: Callable[[StoreBusy], bool] = lambda _error: False,
) -> Ingested:
    """Record the content of a file or a pipe; `progress` is called with the number of bytes done.

    While the store is locked, wait for it as long as `try_again` returns True: the content of a pipe would be lost.

    Raises:
        UsageError: it is compressed, binary, in another encoding or an export; nothing is recorded.
        StoreError: as for `ingest_lines`.
    """
    begins = source.begins()
    refuse_export(begins, origin)
    if is_xml(begins):
        return ingest_junit(session, source, origin=origin, try_again=try_again)
    if is_protobuf(begins):
        return ingest_protobuf(session, source, origin=origin, progress=progress, try_again=try_again)
    check_text(begins, origin)
    parts, total = pieces(source), Ingested()
    if is_export(begins):
        parts = as_json(parts)
    if is_ctrf(begins):
        chunk = Chunk(session, origin, total)
        parts = read_reports(parts, Target(lambda: chunk.collected, lambda: chunk.write_when_free(try_again)))
        chunk.write_when_free(try_again)
    reader = LineReader((options or ReadingOptions())._replace(is_stream=source.is_stream))
    total.add(ingest_pieces(session, parts, origin=origin, reader=reader, progress=progress, try_again=try_again))
    return total


def is_xml(begins: bytes) -> bool:
    """Whether an input that begins like this is XML."""
    return _XML.match(begins) is not None


def refuse_export(begins: bytes, origin: str) -> None:
    """Refuse an export, which only `restore` accepts: its facts have ids, and are not masked again.

    Raises:
        UsageError: the input begins like an export.
    """
    if restore.is_export(begins):
        name = "-" if origin == STANDARD_INPUT else origin
        raise UsageError(
            f"{origin} is an export of failaware; nothing was recorded. "
            f"'failaware --db NEW restore {name}' restores it into a new store"
        )
