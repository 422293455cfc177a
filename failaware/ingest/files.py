"""What a file holds is told by its content, not by its name: an export, a JUnit report in XML, or lines."""

from collections.abc import Callable
from io import BufferedReader

from failaware.ingest.junit import ingest_junit
from failaware.ingest.lines import Ingested, ingest_lines
from failaware.ingest.restore import is_export, take_back
from failaware.store import Store

_XML = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<", b"\xfe\xff\x00<")  # of XML: UTF-8, with its mark, UTF-16


def ingest_file(
    store: Store, file: BufferedReader, *, origin: str, progress: Callable[[int], None] = lambda _bytes: None
) -> Ingested:
    """Record what is in a file or a pipe; arguments and errors as of `ingest_lines`."""
    begins = file.peek(1_024)
    if is_export(begins):
        added, known = take_back(store, file, origin=origin, progress=progress)
        return Ingested(recorded=added, known=known)
    ingest = ingest_junit if begins.lstrip(b" \t\r\n").startswith(_XML) else ingest_lines
    return ingest(store, file, origin=origin, progress=progress)
