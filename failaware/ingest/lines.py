"""Records an input line by line, in transactions of many lines."""

import time
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO

from failaware.errors import StoreBusy
from failaware.ingest.batches import unfolded
from failaware.ingest.chunk import Chunk, Collected, Ingested
from failaware.ingest.reader import LineReader, ReadingOptions
from failaware.ingest.stream import Piece
from failaware.session import Session

CHUNK = 1_000
"""Lines in one transaction."""

CHUNK_BYTES = 1_048_576
"""Bytes of lines in one transaction, unless one line is longer: a line may have thousands of events."""

DELAY_S = 0.25
"""Longest time before a record that is complete is written; with the wait of an input, less than half a second."""


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
    reader: LineReader | None = None,
    progress: Callable[[int], None] = lambda _bytes: None,
    try_again: Callable[[StoreBusy], bool] = lambda _error: False,
) -> Ingested:
    """As `ingest_lines`, for lines that come in pieces. What was read is recorded within a second.

    None among the pieces means that nothing has come for a moment. While the store is locked, wait for it as long as
    `try_again` returns True.
    """
    total = Ingested()
    chunk, reader = Chunk(session, origin, total), reader or LineReader()
    count, size, began = 0, 0, 0.0
    for line in unfolded(parts):
        if line is None:
            reader.flush(chunk.collected, older_than_s=0)
        else:
            began = began if count else time.monotonic()
            reader.take(chunk.collected, line)
            count, size = count + 1, size + line.size
        is_due = count > 0 and (line is None or time.monotonic() - began >= DELAY_S)
        if is_due or count >= CHUNK or size >= CHUNK_BYTES or (line is None and len(chunk.collected)):
            if line is None or reader.is_stream:  # of a file, what follows is there already
                reader.flush(chunk.collected, older_than_s=0 if line is None else DELAY_S)
            writing = time.monotonic()
            chunk.write_when_free(try_again)
            reader.postpone(time.monotonic() - writing)
            progress(size)
            count, size = 0, 0
        if reader.has_given_up:
            break
    reader.flush(chunk.collected)
    chunk.write_when_free(try_again)
    progress(size)
    return total


def collect_lines(collected: Collected, body: bytes) -> None:
    """Add the events of a whole input: lines, or an array or object of many lines."""
    reader = LineReader(ReadingOptions(keep_all=True))
    ended = (Piece(line_no, line, ends=True) for line_no, line in enumerate(BytesIO(body), start=1))
    for line in unfolded(ended):
        if line is not None:
            reader.take(collected, line)
    reader.flush(collected)
