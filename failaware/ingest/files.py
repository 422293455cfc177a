"""What a file holds is detected from its content, not from its name: a JUnit report in XML, or lines."""

import re
from collections.abc import Callable

from failaware.errors import StoreBusy, UsageError
from failaware.ingest.chunk import Ingested
from failaware.ingest.encoding import STANDARD_INPUT, check_text
from failaware.ingest.formats.junit import ingest_junit
from failaware.ingest.lines import ingest_pieces
from failaware.ingest.stream import Input, pieces
from failaware.ledger.restore import is_export
from failaware.session import Session

_XML = re.compile(
    rb"[ \t\r\n]*(?:(?:\xef\xbb\xbf)?<(?!\d)|\xff\xfe<\0|\xfe\xff\0<)"
)  # not syslog's <34>; UTF-8, UTF-16


def ingest_file(
    session: Session,
    source: Input,
    *,
    origin: str,
    progress: Callable[[int], None] = lambda _bytes: None,
    try_again: Callable[[StoreBusy], bool] = lambda _error: False,
) -> Ingested:
    """Record what is in a file or a pipe; `progress` is told how many bytes are done.

    While the store is locked, `try_again` says whether to go on waiting for it, since what came through a pipe would be
    lost.

    Raises:
        UsageError: it is compressed, binary, in another encoding or an export; nothing of it is recorded.
        StoreError: as of `ingest_lines`.
    """
    begins = source.begins()
    refuse_export(begins, origin)
    if _XML.match(begins):
        return ingest_junit(session, source, origin=origin, try_again=try_again)
    check_text(begins, origin)
    return ingest_pieces(session, pieces(source), origin=origin, progress=progress, try_again=try_again)


def refuse_export(begins: bytes, origin: str) -> None:
    """An export is taken back only where that is asked for: its facts would come in unmasked, with ids and people.

    Raises:
        UsageError: the input begins as an export.
    """
    if is_export(begins):
        name = "-" if origin == STANDARD_INPUT else origin
        raise UsageError(
            f"{origin} is an export of failaware, and nothing of it was recorded; "
            f"'failaware --db NEW restore {name}' takes it back into a new store"
        )
