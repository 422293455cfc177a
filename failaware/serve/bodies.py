"""The body of a request: bounded while it arrives and while it is decompressed."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from failaware.serve.refusal import Refusal
from failaware.serve.timeouts import Timeouts

MAX_BODY = 20 << 20
"""Bytes of a body, as it arrives and after decompression."""

_ARRIVES_WITHIN_S = 30.0
_GZIP_OR_ZLIB, _RAW_DEFLATE = 47, -15  # window bits of zlib
_MAX_MEMBERS = 100  # of gzip; all that follows is copied for each
LARGE = 1 << 16
"""Bytes of a body that is read in a thread, since other requests would have to wait for it."""


async def read_body(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], encoding: str, timeouts: Timeouts
) -> bytes:
    """Read and decompress a body.

    Args:
        receive: returns the next part of the request, as ASGI says.
        encoding: the value of Content-Encoding; empty if there is none.
        timeouts: limits how long the body may take to arrive.

    Raises:
        Refusal: it is too long, too slow, damaged, or compressed in another way.
    """
    decode = _decoder(encoding)
    limit = asyncio.timeout(None)
    stop = partial(limit.reschedule, 0)
    timeouts.add(stop, _ARRIVES_WITHIN_S)
    try:
        async with limit:
            body = await _received(receive)
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {_ARRIVES_WITHIN_S:.0f} seconds") from None
    finally:
        timeouts.remove(stop)
    if decode is None:
        return body
    try:
        content = decode(body) if len(body) < LARGE else await asyncio.to_thread(decode, body)
    except Refusal:
        raise
    except Exception as error:  # each library has exceptions of its own
        raise Refusal(400, f"the body is not valid {encoding}: {error}") from error
    if len(content) > MAX_BODY:
        raise Refusal(413, f"the body has more than {MAX_BODY:,} bytes after decompression; send less at once")
    return bytes(content)


async def _received(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> bytes:
    """Return the body as it arrives."""
    body = bytearray()
    is_complete = False
    while not is_complete:
        part = await receive()
        if part["type"] == "http.disconnect":
            raise Refusal(400, "the client went away before the body was complete")
        body += part.get("body", b"")
        is_complete = not part.get("more_body", False)
        if len(body) > MAX_BODY:
            raise Refusal(413, f"the body has more than {MAX_BODY:,} bytes; send less at once")
    return bytes(body)


def _decoder(encoding: str) -> Callable[[bytes], bytes] | None:
    """What decompresses a body up to a little more than MAX_BODY."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    decoders = {"gzip": _zlib, "x-gzip": _zlib, "deflate": _zlib, "br": _brotli, "zstd": _zstd}
    if name not in decoders:
        raise Refusal(415, f"the body is compressed with {encoding[:40]!r}; send gzip, deflate, br, zstd, or as it is")
    return decoders[name]


def _zlib(body: bytes) -> bytes:
    """Decompress gzip of one or several members, or deflate with or without zlib's header."""
    content, rest, bits, members = b"", body, _GZIP_OR_ZLIB, 0
    while rest and len(content) <= MAX_BODY:
        if members == _MAX_MEMBERS:
            raise ValueError(f"it has more than {_MAX_MEMBERS} members")
        decompressor = zlib.decompressobj(bits)
        try:
            content += decompressor.decompress(rest, MAX_BODY + 1 - len(content))
        except zlib.error:
            if content or bits == _RAW_DEFLATE or rest.startswith(b"\x1f\x8b"):
                raise
            bits = _RAW_DEFLATE
            continue
        if not decompressor.eof and len(content) <= MAX_BODY:
            raise ValueError("it ends too early")
        rest = decompressor.unused_data.lstrip(b"\0")
        members += 1
    return bytes(content)


def _brotli(body: bytes) -> bytes:
    import brotli

    decompressor: Any = brotli.Decompressor()
    content: bytes = b""
    data = body
    while len(content) <= MAX_BODY:
        content += decompressor.process(data, output_buffer_limit=MAX_BODY + 1 - len(content))
        data = b""
        if decompressor.is_finished():
            return content
        if decompressor.can_accept_more_data():
            raise ValueError("it ends too early")
    return bytes(content)


def _zstd(body: bytes) -> bytes:
    from failaware.ingest.zstd import decompress

    return decompress(body, MAX_BODY)
