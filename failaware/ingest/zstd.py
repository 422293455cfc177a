"""Decompresses zstd up to a limit. Needs the package zstandard, of the extra `serve`."""

import zstandard

_WINDOW = 8 << 20  # bytes that a frame may ask us to keep
_PIECE = 512  # bytes at once: a piece may be thirty thousand times as long after decompression


def decompress(data: bytes, most: int) -> bytes:
    """Return the content of frames, up to a little more than `most` bytes.

    Raises:
        ValueError: it ends too early.
        zstandard.ZstdError: it is damaged.
    """
    content, place = bytearray(), 0
    frame = None
    while place < len(data) and len(content) <= most:
        frame = frame or zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
        piece = data[place : place + _PIECE]
        content += frame.decompress(piece)
        place += len(piece)
        if frame.eof:
            place -= len(frame.unused_data)
            frame = None
    if frame is not None and len(content) <= most:
        raise ValueError("it ends too early")
    return bytes(content)
