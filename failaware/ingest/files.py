"""What a file holds is detected from its content, not from its name: an export, a JUnit report in XML, or lines."""

import re
from collections.abc import Callable

from failaware.errors import StoreBusy
from failaware.ingest.chunk import Ingested
from failaware.ingest.encoding import check_text
from failaware.ingest.junit import ingest_junit
from failaware.ingest.lines import ingest_pieces
from failaware.ingest.restore import is_export, take_back
from failaware.ingest.stream import Input, pieces
from failaware.store import Store

_XML = re.compile(
    rb"[ \t\r\n]*(?:(?:\xef\xbb\xbf)?<(?!\d)|\xff\xfe<\0|\xfe\xff\0<)"
)  # not syslog's <34>; UTF-8, UTF-16


def ingest_file(
    store: Store,
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
        UsageError: it is compressed, binary or in another encoding; nothing of it is recorded.
        StoreError: as of `ingest_lines`.
    """
    begins = source.begins()
    if is_export(begins):
        added, known = take_back(store, source, origin=origin, progress=progress)
        return Ingested(recorded=added, known=known)
    if _XML.match(begins):
        return ingest_junit(store, source, origin=origin)
    check_text(begins, origin)
    return ingest_pieces(store, pieces(source), origin=origin, progress=progress, try_again=try_again)
