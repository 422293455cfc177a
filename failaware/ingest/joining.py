"""Joins lines of text to records, such as a log line with its traceback, for each stream of an input separately.

Joined records come in the order of their first lines: one that is complete waits for those that began before its end.
So the lines before the first open record are done with, and a follower can store the position there.
"""

import re
import time
from bisect import insort
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from failaware.capture.root_cause import TRACEBACK
from failaware.capture.stack_lines import TraceLines, continues_stack
from failaware.ingest.expressions import Evaluate
from failaware.ingest.functions import time as moment_of
from failaware.ingest.mapped import Record
from failaware.ingest.recognize import Match

MAX_LINES = 1_000
"""Lines of one record, and of the input while a record is open."""

MAX_SIZE = 262_144
"""Characters of one record."""

_BEGINS_DATED = frozenset("[0123456789")
_DATED = re.compile(r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")  # such a line begins a record
_MORE_MESSAGE = re.compile(r"[\w.\[\]-]+$|[a-z][\w-]*(?![\w:])")  # of pydantic, YAML
_MAX_PAUSE = 5_000_000  # µs between the lines of one record in a container's log
_MAX_STREAMS = 1_000
INCOMPLETE_S = 1.8
"""How much longer a traceback of Python is held whose last line has not come: a writer may flush it in parts."""

_STACK_S = 0.4  # how much longer a record is held whose last lines are frames: nothing marks their end


class About(Mapping[str, Any]):
    """What a container's log says of the program: type, source, stream. Only the first line of a record needs it."""

    def __init__(self, expressions: Mapping[str, Evaluate], values: Mapping[str, Any], stream: str) -> None:
        self._expressions, self._values, self._stream = expressions, values, stream

    @cached_property
    def _known(self) -> dict[str, Any]:
        given = {
            name: self._expressions[name](self._values) for name in ("type", "source") if name in self._expressions
        }
        return {name: value for name, value in {**given, "stream": self._stream}.items() if value}

    def __getitem__(self, name: str) -> Any:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class Origin(NamedTuple):
    """Where a line of text is: its number in the input, and the stream and the time that a container's log gives.

    `name` identifies the stream; "" is the input itself. `position` counts the lines of the input. `about` is what the
    container's log says of the program: type, source, stream.
    """

    position: int
    line_no: int
    raw: bytes
    name: str = ""
    stream: str = ""
    time: Any = None
    about: Mapping[str, Any] = {}

    @property
    def is_wrapped(self) -> bool:
        """Whether the line comes out of a record of another format."""
        return self.name != ""


class Joined:
    """Lines of one record: of a format, whose first line is `match`, or of no known format."""

    def __init__(self, line: str, origin: Origin, match: Match | None) -> None:
        self.match, self.origin = match, origin
        self.lines, self.raws, self.numbers = [line], [origin.raw], [origin.line_no]
        self.last_index = origin.position
        self.added_at = time.monotonic()
        self._written = origin.time
        self._size = len(line)
        kept = "stack" if match is None else match.format.lines
        self._takes_any = kept == "any"
        self._trace = TraceLines(line) if kept == "stack" else None
        self._is_blank = False  # the last line
        self.has_frames = False

    def takes(self, line: str, origin: Origin) -> bool:
        """Whether the next line, which begins no record of a format, belongs to this one."""
        is_full = len(self.lines) >= MAX_LINES or self._size + len(line) > MAX_SIZE
        if is_full or (line[:1] in _BEGINS_DATED and _DATED.match(line)) or _is_later(origin.time, self._written):
            return False
        if not self._takes_any:
            return self._trace is not None and self._trace.takes(line)
        return self._takes_of_any(line)

    def _takes_of_any(self, line: str) -> bool:
        """Whether a record that takes all lines goes on: after a traceback of Python, only the rest of its message."""
        if self._trace is None:
            self._trace = TraceLines(line) if line.startswith(TRACEBACK) else None
            return True
        was_blank, self._is_blank = self._is_blank, not line.strip()
        if self._trace.takes(line) or not self._trace.has_ended:
            return True
        return not was_blank and _MORE_MESSAGE.match(line) is not None

    def add(self, line: str, origin: Origin) -> None:
        """Add a line."""
        self.lines.append(line)
        self.raws.append(origin.raw)
        self.numbers.append(origin.line_no)
        self.last_index = origin.position
        self.added_at = time.monotonic()
        self._written = origin.time
        self._size += len(line)
        self.has_frames = self.has_frames or continues_stack(line)

    @property
    def hold_s(self) -> float:
        """How much longer than others it is held when nothing comes, in seconds, since more may follow."""
        if self._trace is not None and not self._trace.is_complete:
            return INCOMPLETE_S
        return _STACK_S if self.has_frames and not (self._trace and self._trace.has_ended) else 0.0

    @property
    def text(self) -> str:
        """The lines, without blank ones at the end."""
        return "\n".join(self.lines).rstrip()


def _is_later(written: Any, before: Any) -> bool:
    """Whether the time of a line in a container's log is later than that of the line before by more than a pause."""
    if written is None or before is None or (isinstance(written, str) and written[:19] == str(before)[:19]):
        return False  # usually it is the same second
    moment, earlier = moment_of(written), moment_of(before)
    return moment is not None and earlier is not None and moment - earlier > _MAX_PAUSE


class Queued(NamedTuple):
    """A record of one line that waits for records that began before it."""

    origin: Origin
    record: Record

    @property
    def last_index(self) -> int:
        """The index of its line."""
        return self.origin.position


class Joiner:
    """The records of an input that are not complete."""

    def __init__(self) -> None:
        self._open: dict[str, Joined] = {}
        self._complete: list[Joined | Queued] = []
        self._after_stack: set[str] = set()  # streams in which a record with frames was closed before more came

    def __bool__(self) -> bool:
        return bool(self._open or self._complete)

    @property
    def first_index(self) -> int | None:
        """The index of the first line that belongs to a record that was not returned yet."""
        return min((each.origin.position for each in (*self._open.values(), *self._complete)), default=None)

    def open(self, name: str) -> Joined | None:
        """Return the open record of a stream."""
        return self._open.get(name)

    def begin(self, line: str, origin: Origin, match: Match | None) -> None:
        """Begin a record; the one before in its stream is complete."""
        self.close(origin.name)
        self._open[origin.name] = Joined(line, origin, match)
        if len(self._open) > _MAX_STREAMS:
            self.close(next(iter(self._open)))

    def queue(self, record: Record, origin: Origin) -> None:
        """Add a record that is complete."""
        self._add(Queued(origin, record))

    def close(self, name: str) -> None:
        """Complete the record of a stream, if one is open."""
        joined = self._open.pop(name, None)
        if joined is not None:
            self._add(joined)

    @property
    def hold_s(self) -> float:
        """How much longer than others the open records are held when nothing comes, in seconds."""
        return max((joined.hold_s for joined in self._open.values()), default=0.0)

    def close_before(self, moment: float) -> None:
        """Complete the records to which nothing was added since a time of time.monotonic(), some a little later."""
        for name, joined in list(self._open.items()):
            if joined.added_at < moment - joined.hold_s:
                if joined.has_frames:
                    self._after_stack.add(name)
                self.close(name)

    def postpone(self, seconds: float) -> None:
        """Hold open records longer."""
        for joined in self._open.values():
            joined.added_at += seconds

    def is_late(self, line: str, name: str) -> bool:
        """Whether a line is the rest of a stack whose record was closed, since it came too late."""
        if name not in self._after_stack:
            return False
        if continues_stack(line):
            return True
        self._after_stack.discard(name)
        return False

    def is_due(self, position: int) -> bool:
        """Whether a record may be complete, or too long, at the line of this index."""
        if self._complete or not self._open:
            return bool(self._complete)
        oldest = next(iter(self._open.values()))  # the first that was begun
        return position - oldest.origin.position >= MAX_LINES

    def taken(self, position: int) -> Iterator[Joined | Queued]:
        """Yield the complete records that began before every open one; `position` is that of the current line."""
        oldest = position + 1
        for name, joined in list(self._open.items()) if self._open else ():
            if position - joined.origin.position >= MAX_LINES:
                self.close(name)
            elif joined.origin.position < oldest:
                oldest = joined.origin.position
        while self._complete and self._complete[0].last_index < oldest:
            yield self._complete.pop(0)

    def _add(self, record: Joined | Queued) -> None:
        """Add a complete record in the order of first lines; usually it is the last one."""
        if self._complete and self._complete[-1].origin.position > record.origin.position:
            insort(self._complete, record, key=lambda each: each.origin.position)
        else:
            self._complete.append(record)

    def discard(self) -> None:
        """Forget everything that is not complete; its lines will be read again."""
        self._open.clear()
        self._complete.clear()
