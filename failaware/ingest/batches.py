"""JSON arrays, on one line or on many, taken apart into their elements as they stand.

Only one element at a time is kept in memory. Nothing is checked here: whether an element is JSON is found out when it
is read, so that a bad one is rejected by itself.
"""

import re
from collections.abc import Iterable, Iterator

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\Z)|[][{},]', re.DOTALL)
_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*(?:\{|\Z)")


def elements(line: bytes) -> list[bytes] | None:
    """The objects of a whole array on one line; None when it is anything else."""
    if not line.lstrip().startswith(b"["):
        return None
    array = _Array()
    found = [element for _, element in array.feed(0, line)]
    whole = array.depth == 0 and all(element.lstrip().startswith(b"{") for element in found)
    return found if whole else None


def unfolded(numbered: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; of an array that begins the file and takes several lines, its elements instead."""
    lines = iter(numbered)
    for line_no, line in lines:
        if not line.strip():
            continue
        if _BEGINS.match(line) and elements(line) is None:
            array = _Array()
            yield from array.feed(line_no, line.removeprefix(b"\xef\xbb\xbf"))
            for number, more in lines:
                yield from array.feed(number, more)
                if not array.depth:
                    break
            if array.depth:  # it has no end: what is left says so when it is read
                yield array.line_no, array.rest() or b"["
        else:
            yield line_no, line
        break
    yield from lines


class _Array:
    """An array that is fed line by line; `depth` is 0 before it begins and once it has ended."""

    def __init__(self) -> None:
        self.depth = 0
        self.line_no = 0
        self._parts: list[bytes] = []

    def feed(self, line_no: int, line: bytes) -> Iterator[tuple[int, bytes]]:
        """The elements that end on this line, each with the line it began on; also what stands after the array."""
        start = 0
        for token in _TOKEN.finditer(line):
            before, mark = self.depth, token[0]
            self.depth += (mark in b"[{") - (mark in b"]}")
            if not before:
                start, self.line_no = token.end(), line_no
            elif not self.depth or (before == 1 and mark == b","):
                self._keep(line_no, line[start : token.start()])
                start = token.end()
                if element := self.rest():
                    yield self.line_no, element
                if not self.depth:
                    break
        if self.depth:
            self._keep(line_no, line[start:])
        elif line[start:].strip():
            yield line_no, line[start:]

    def rest(self) -> bytes:
        """What was fed of the element at hand; the next one begins."""
        element = b"".join(self._parts).strip()
        self._parts.clear()
        return element

    def _keep(self, line_no: int, part: bytes) -> None:
        if not self._parts and part.strip():
            self.line_no = line_no
        if self._parts or part.strip():
            self._parts.append(part)
