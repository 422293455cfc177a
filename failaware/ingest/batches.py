"""Splits JSON arrays, on one line or many, and objects on many lines, into lines of one object each.

Only one element at a time is in memory, and only the beginning of one that is too long. Elements are not validated
here: they are parsed one by one later, and an invalid one is rejected alone.
"""

import re
from collections.abc import Generator, Iterator
from io import BytesIO
from itertools import chain

from failaware.ingest.stream import MAX_LINE, SHOWN, Line, Piece, whole_lines

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|(?P<open>\\?\Z))|[][{},]', re.DOTALL)
_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+(?:"|(?P<open>\\?\Z))', re.DOTALL)  # the rest of one
_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\[\s*(?:\{|\Z)|(?P<object>\{\s*\Z))")
_BLANK = b"\0 \t\r\n"
_END = Piece(0, b"", ends=True)
_FIRST = 1_048_576  # bytes of the first line that are read to detect the format


def elements(line: bytes) -> list[bytes] | None:
    """Return the objects of a whole array on one line; None if it is anything else."""
    if not line.lstrip().startswith(b"["):
        return None
    array = Array()
    objects = [element.data for element in array.feed(Piece(0, line, ends=True))]
    objects += [] if array.rest is None else [array.rest.data]
    whole = not array.depth and all(element.lstrip().startswith(b"{") for element in objects)
    return objects if whole else None


def unfolded(parts: Iterator[Piece | None]) -> Iterator[Line | None]:
    """Yield the lines of an input; if it begins with an array or objects on several lines, yield each object.

    An array or object without an end is yielded line by line. None among the parts is yielded as it is.
    """
    begun = yield from _begin(parts)
    for first in begun:
        begins = _BEGINS.match(first.data)
        if begins is None or (first.ends and elements(first.data) is not None):
            parts = chain([first], parts)
            break
        array = Array(opened=begins["object"] is not None)
        yield from array.feed(first._replace(data=first.data.removeprefix(b"\xef\xbb\xbf")))
        while array.depth and not array.is_too_long and (piece := next(parts, _END)) is not _END:
            if piece is None:
                yield None
            else:
                yield from array.feed(piece)
        if array.depth:
            left = list(array.lines())
            yield from left or ([] if array.opened else [Line(first.line_no, first.data, len(first.data))])
        parts = chain([] if array.rest is None else [array.rest], parts)
    yield from whole_lines(parts)


def _begin(parts: Iterator[Piece | None]) -> Generator[None, None, list[Piece]]:
    """Return the first line that is not blank, without leading NULs, or the beginning of a long one; [] if none.

    None among the parts is yielded as it is.
    """
    data, size, nuls = [], 0, False
    for piece in parts:
        if piece is None:
            yield None
            continue
        part = piece.data if size else piece.data.lstrip(_BLANK)
        nuls = nuls or b"\0" in piece.data
        data.append(part)
        size += len(part)
        if (size and (piece.ends or size >= _FIRST)) or (nuls and piece.ends):
            return [Piece(piece.line_no, b"".join(data) or b"\0", piece.ends)]
    return [Piece(1, b"".join(data) or b"\0", ends=True)] if size or nuls else []


class Array:
    """Splits an array that is fed piece by piece; `depth` is 0 before it begins and after its end.

    With `opened` it is a sequence of objects without brackets, which has no end. `rest` is what follows the end.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self.opened = opened
        self.depth = int(opened)
        self.rest: Piece | None = None
        self._line_no, self._size = 0, 0  # of the current element
        self._data = bytearray()
        self._in_string = self._escaped = False  # at the end of the piece

    @property
    def is_too_long(self) -> bool:
        """Whether the current element has too many bytes on many lines, and may not be an element at all."""
        return self._size > MAX_LINE and b"\n" in self._data

    def lines(self) -> Iterator[Line]:
        """Yield the lines of the current element."""
        if self._size > len(self._data):
            yield self._take_element()
        for number, line in enumerate(BytesIO(bytes(self._data)), start=self._line_no):
            yield Line(number, line, len(line))

    def feed(self, piece: Piece) -> Iterator[Line]:
        """Yield the elements that end in this piece, each with the number of its first line."""
        data, start = piece.data, 0
        for token in self._tokens(piece):
            before, mark = self.depth, token[0]
            self.depth += (mark in b"[{") - (mark in b"]}")
            if not before:
                start = token.end()
            elif self.depth == 1 and mark == b"}":
                self._keep(piece.line_no, data[start : token.end()])
                start = token.end()
                yield self._take_element()
            elif not self.depth or (before == 1 and mark in b",{"):
                self._keep(piece.line_no, data[start : token.start()])
                start = token.start() if mark == b"{" else token.end()
                if self._size:
                    yield self._take_element()
            if before and not self.depth:
                break
        if self.depth:
            self._keep(piece.line_no, data[start:])
        elif data[start:].strip():
            self.rest = piece._replace(data=data[start:])

    def _tokens(self, piece: Piece) -> Iterator[re.Match[bytes]]:
        """Yield the brackets, commas and strings of a piece, except the rest of a string of the piece before."""
        position, last = 0, None
        if self._in_string:
            last = _STRING.match(piece.data, int(self._escaped))
            position = len(piece.data) if last is None else last.end()
        for last in _TOKEN.finditer(piece.data, position):
            yield last
        open_at = None if last is None or piece.ends else last["open"]
        self._in_string, self._escaped = open_at is not None, open_at == b"\\"

    def _keep(self, line_no: int, part: bytes) -> None:
        if not self._size:
            if not part.strip():
                return
            self._line_no = line_no
        self._size += len(part)
        if self._size > MAX_LINE and b"\n" not in self._data:
            del self._data[SHOWN:]
        else:
            self._data += part

    def _take_element(self) -> Line:
        element = Line(self._line_no, bytes(self._data).strip(), self._size)
        self._data.clear()
        self._size = 0
        return element
