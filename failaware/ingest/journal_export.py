"""Turns the journal's export format (journalctl -o export) into lines of JSON, as journalctl -o json writes them.

An entry is a line for each field, and ends with a blank line. A field that is no text is its name on a line, its length
as eight bytes, its bytes, and a line end. https://systemd.io/JOURNAL_EXPORT_FORMATS/
"""

import json
from collections.abc import Iterator

from failaware.ingest.stream import MAX_LINE, Piece

_BEGINS = (b"__CURSOR=", b"__REALTIME_TIMESTAMP=")
_LENGTH = 8  # bytes
_END = b"\n"


def is_export(begins: bytes) -> bool:
    """Whether an input begins like an exported journal."""
    return begins.startswith(_BEGINS)


def as_json(parts: Iterator[Piece | None]) -> Iterator[Piece | None]:
    """Yield a line of JSON for each entry; None among the parts is yielded as it is."""
    data, entry, lines, first = b"", {}, 0, 1
    for piece in parts:
        if piece is None:
            yield None
            continue
        data += piece.data
        while (field := _field(data)) is not None:
            name, value, size = field
            lines += data.count(_END, 0, size)
            data = data[size:]
            if name:
                entry[name] = value
            elif entry:
                yield _line(entry, first)
                entry, first = {}, lines + 1
        if len(data) > MAX_LINE:
            data = b""
    if data and (field := _field(data + _END)) is not None and field[0]:
        entry[field[0]] = field[1]
    if entry:
        yield _line(entry, first)


def _field(data: bytes) -> tuple[str, str, int] | None:
    """Return name, value and length of the first field, if it is complete. An entry ends with an empty name."""
    line, end, _ = data.partition(_END)
    if not end:
        return None
    name, is_text, value = line.partition(b"=")
    start = len(line) + 1
    if is_text or not line:
        return _text(name), _text(value), start
    size = int.from_bytes(data[start : start + _LENGTH], "little")
    stop = start + _LENGTH + size
    return (
        None if len(data) <= stop and size <= MAX_LINE else (_text(name), _text(data[start + _LENGTH : stop]), stop + 1)
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _line(entry: dict[str, str], line_no: int) -> Piece:
    return Piece(line_no, json.dumps(entry, ensure_ascii=False).encode() + _END, ends=True)
