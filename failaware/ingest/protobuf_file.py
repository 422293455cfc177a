"""Reads OpenTelemetry's requests from a file of messages, each after its length, as file exporters write them.

The collector writes a length as four bytes, the most significant one first; OpenTelemetry's specification says a
varint. A message is protobuf, which does not say which signal it has (`otlp_protobuf.decode_any` recognizes it), or a
frame of zstd, which contains protobuf or JSON.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from failaware.capture.external import ParsedInput
from failaware.errors import StoreBusy, UsageError
from failaware.ingest.chunk import Chunk, Collected, Ingested
from failaware.ingest.formats import otlp
from failaware.ingest.stream import MAX_LINE, Input
from failaware.session import Session

_CHUNK = 1_000  # events in one transaction
_RESOURCE, _SCOPE = b"\x0a", b"\x12"  # the first byte of a resource's records in a message, and of a scope's in them
_NOT_IN_TEXT = frozenset(range(9))
_CHECKED = 256  # bytes
_PREFIX = 4  # bytes of the collector's lengths
_MAX_VARINT = 5  # bytes of a varint
_ZSTD = b"\x28\xb5\x2f\xfd"  # the first bytes of a frame
_NEEDED = ("failaware.ingest.formats.otlp_protobuf", "zstandard")  # of the extra `serve`

_ReadLength = Callable[[bytes, int], "tuple[int, int] | None"]
"""Returns the length at a place, and the place after it; None if it is not complete."""


def is_protobuf(begins: bytes) -> bool:
    """Whether an input begins with a length and a message of OpenTelemetry, or one that is compressed."""
    return not _NOT_IN_TEXT.isdisjoint(begins[:_CHECKED]) and _length_reader(begins) is not None


def ingest_protobuf(
    session: Session,
    source: Input,
    *,
    origin: str,
    progress: Callable[[int], None] = lambda _bytes: None,
    try_again: Callable[[StoreBusy], bool] = lambda _error: False,
) -> Ingested:
    """Record the failures in the messages of a file; arguments as for `ingest_file`.

    Raises:
        UsageError: the package opentelemetry-proto is not installed; nothing is recorded.
        StoreError: the store cannot be written; what was recorded before remains.
    """
    try:
        for module in _NEEDED:
            importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{origin} is OpenTelemetry as protobuf, which needs a package that is not installed ({error.name}); "
            "pip install 'failaware[serve]'"
        ) from None
    total, size = Ingested(), 0
    chunk = Chunk(session, origin, total)
    for number, message in enumerate(_messages(source), start=1):
        collected = chunk.collected
        if isinstance(message, str):
            collected.reject(number, b"", message)
        elif message is not None:
            collected.take(number, message, partial(_parsed, message, collected))
            size += len(message)
        if message is None or len(collected) >= _CHUNK:
            chunk.write_when_free(try_again)
            progress(size)
            size = 0
    chunk.write_when_free(try_again)
    return total


def _parsed(message: bytes, collected: Collected) -> ParsedInput:
    from failaware.ingest.formats.otlp_protobuf import decode_any

    if message.startswith(_ZSTD):
        message = _decompressed(message)
    request = _object(message) if message.startswith(b"{") else decode_any(message)
    return otlp.parse(request, "", collected.recorder, collected.now)


def _decompressed(message: bytes) -> bytes:
    from zstandard import ZstdError

    from failaware.ingest.zstd import decompress

    try:
        content = decompress(message, MAX_LINE)
    except (ValueError, ZstdError) as error:
        raise UsageError(f"the message is not valid zstd: {error}") from error
    if len(content) > MAX_LINE:
        raise UsageError(f"the message has more than {MAX_LINE:,} bytes after decompression")
    return content


def _object(message: bytes) -> dict[str, Any]:
    try:
        request: dict[str, Any] = json.loads(message)
    except ValueError as error:
        raise UsageError(f"the message is not valid JSON: {error}") from error
    return request


def _messages(source: Input) -> Iterator[bytes | str | None]:
    """Yield each message, None when nothing has come for a moment, and at last a text if the rest is not a message."""
    buffer, place = b"", 0
    read_length: _ReadLength | None = None
    while (data := source.read()) != b"":
        if data is None:
            yield None
            continue
        buffer, place = buffer[place:] + data, 0
        read_length = read_length or _length_reader(buffer)
        while read_length and (prefix := read_length(buffer, place)) is not None:
            length, start = prefix
            if length > MAX_LINE:
                yield f"the message has {length:,} bytes; the limit is {MAX_LINE:,}; what follows is not read"
                return
            if start + length > len(buffer):
                break
            yield buffer[start : start + length]
            place = start + length
    if place < len(buffer):
        yield "the input ends within a message"


def _length_reader(begins: bytes) -> _ReadLength | None:
    """Return what reads the lengths of an input, or None if it does not begin with a message."""
    return next((read for read in (_fixed, _varint) if _is_message(begins, read(begins, 0))), None)


def _is_message(begins: bytes, prefix: tuple[int, int] | None) -> bool:
    """Whether after a length comes zstd, or a resource, no longer than the message, that begins as one does."""
    if prefix is None:
        return False
    length, start = prefix
    if begins.startswith(_ZSTD, start):
        return True
    resource = _varint(begins, start + 1)
    if begins[start : start + 1] != _RESOURCE or resource is None:
        return False
    size, place = resource
    return place + size <= start + length and begins[place : place + 1] in (_RESOURCE, _SCOPE)


def _fixed(data: bytes, place: int) -> tuple[int, int] | None:
    end = place + _PREFIX
    return (int.from_bytes(data[place:end]), end) if end <= len(data) else None


def _varint(data: bytes, place: int) -> tuple[int, int] | None:
    value = 0
    for number, byte in enumerate(data[place : place + _MAX_VARINT]):
        value |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            return value, place + number + 1
    return None
