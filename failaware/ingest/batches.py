"""JSON arrays, on one line or on many, and objects on many lines, taken apart into lines of one object each.

Only one element at a time is kept in memory. Nothing is checked here: whether an element is JSON is found out when it
is read, so that a bad one is rejected by itself.
"""

import re
from collections.abc import Iterable, Iterator

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[][{},]', re.DOTALL)
_MAX_ELEMENT = 16_777_216  # bytes: a payload of the usual limit has far fewer, however it is escaped
_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\[\s*(?:\{|\Z)|(?P<object>\{\s*\Z))")


def elements(line: bytes) -> list[bytes] | None:
    """The objects of a whole array on one line; None when it is anything else."""
    if not line.lstrip().startswith(b"["):
        return None
    array = _Array()
    found = [element for _, element in array.feed(0, line)]
    whole = not array.depth and all(element.lstrip().startswith(b"{") for element in found)
    return found if whole else None


def unfolded(numbered: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; of an array, or of objects, that begin the file and take several lines, each object instead.

    What is left of one without an end is given line by line, as what it then is.
    """
    lines = iter(numbered)
    for line_no, line in lines:
        if not line.strip():
            continue
        begins = _BEGINS.match(line)
        if begins is not None and elements(line) is None:
            array = _Array(opened=begins["object"] is not None)
            yield from array.feed(line_no, line.removeprefix(b"\xef\xbb\xbf"))
            while array.depth and array.size <= _MAX_ELEMENT and (more := next(lines, None)) is not None:
                yield from array.feed(*more)
            if array.depth:
                yield from array.parts or ([] if array.opened else [(line_no, line)])
        else:
            yield line_no, line
        break
    yield from lines


class _Array:
    """An array that is fed line by line; `depth` is 0 before it begins and once it has ended.

    One that is `opened` has no brackets: a sequence of objects, which has no end either. `parts` are the lines of the
    element at hand, `size` their bytes.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self.opened = opened
        self.depth, self.size = int(opened), 0
        self.parts: list[tuple[int, bytes]] = []

    def feed(self, line_no: int, line: bytes) -> Iterator[tuple[int, bytes]]:
        """The elements that end on this line, each with the line it began on; also what stands after the array."""
        start = 0
        for token in _TOKEN.finditer(line):
            before, mark = self.depth, token[0]
            self.depth += (mark in b"[{") - (mark in b"]}")
            if not before:
                start = token.end()
            elif self.depth == 1 and mark == b"}":
                self._keep(line_no, line[start : token.end()])
                start = token.end()
                yield self._taken()
            elif not self.depth or (before == 1 and mark in b",{"):
                self._keep(line_no, line[start : token.start()])
                start = token.start() if mark == b"{" else token.end()
                if self.parts:
                    yield self._taken()
            if before and not self.depth:
                break
        if self.depth:
            self._keep(line_no, line[start:])
        elif line[start:].strip():
            yield line_no, line[start:]

    def _keep(self, line_no: int, part: bytes) -> None:
        if part.strip():
            self.parts.append((line_no, part))
            self.size += len(part)

    def _taken(self) -> tuple[int, bytes]:
        first, element = self.parts[0][0], b"".join(part for _, part in self.parts)
        self.parts, self.size = [], 0
        return first, element.strip()
