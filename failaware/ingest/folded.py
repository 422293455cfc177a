"""Finds JSON objects that are written over several lines, among other lines, for each stream of an input separately."""

import json
import re
from collections.abc import Iterator

from failaware.ingest.joining import MAX_LINES, MAX_SIZE, Origin

_BEGINS = re.compile(r'\{\s*(?:"(?:[^"\\]++|\\.)*+"\s*:.*)?', re.DOTALL)  # not what util.inspect() of Node.js writes
_GOES_ON = (" ", "\t", "}", "]", '"')

Lines = list[tuple[str, Origin]]


class FoldedObjects:
    """The lines of objects whose end has not come."""

    def __init__(self) -> None:
        self._open: dict[str, Lines] = {}
        self._sizes: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def first_index(self) -> int | None:
        """The index of the first line of an object whose end has not come."""
        return min((lines[0][1].position for lines in self._open.values()), default=None)

    def after(self, line: str, origin: Origin) -> Iterator[Lines]:
        """Yield what a line completes: itself, all lines of an object, or lines that are none after all."""
        name = origin.name
        lines = self._open.get(name)
        if lines is None:
            if line[:1] == "{" and line[-1:] != "}" and _BEGINS.fullmatch(line):
                self._open[name], self._sizes[name] = [(line, origin)], len(line)
            else:
                yield [(line, origin)]
            return
        self._sizes[name] += len(line)
        if not line.startswith(_GOES_ON) or len(lines) >= MAX_LINES or self._sizes[name] > MAX_SIZE:
            yield from self.released(name)
            yield from self.after(line, origin)
            return
        lines.append((line, origin))
        if line[0] == "}":
            is_object = _is_json("\n".join(line for line, _ in lines))
            yield from [self._open.pop(name)] if is_object else self.released(name)

    def released(self, name: str | None = None) -> Iterator[Lines]:
        """Yield the lines of objects without an end one by one: those of a stream, or of all."""
        for each in list(self._open) if name is None else [name]:
            for one in self._open.pop(each, []):
                yield [one]

    def discard(self) -> None:
        """Forget all."""
        self._open.clear()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
