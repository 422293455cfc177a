"""Reads the lines of one input: finds the format of each record, and joins lines that are one record.

JSON objects of our own format and of `FORMATS` have a parser each; other objects and lines of text are recognized by
the data files of `formats/`. Records that contain a line of another program are unwrapped, and that line is read as if
it were in the input.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from failaware.capture.external import ParsedInput
from failaware.capture.stack_lines import split_traceback
from failaware.errors import UsageError
from failaware.ingest.batches import elements
from failaware.ingest.chunk import Collected
from failaware.ingest.encoding import TextRuns
from failaware.ingest.expressions import is_true
from failaware.ingest.folded import FoldedObjects, Lines
from failaware.ingest.format import Format, known_format, known_formats
from failaware.ingest.functions import is_error
from failaware.ingest.functions import text as as_text
from failaware.ingest.joining import About, Joined, Joiner, Origin, Queued
from failaware.ingest.json_lines import has_content, is_ours, parse_line
from failaware.ingest.mapped import Mapper, Record
from failaware.ingest.parts import Accumulated, PartialLines
from failaware.ingest.recognize import Match, Recognizer
from failaware.ingest.stream import MAX_LINE, Line
from failaware.ingest.wrong_input import WrongInput
from failaware.text import without_escapes

_TEXT = "text"  # the format of texts that no other one fits
_BLANKS = " \t\n\r\x0b\x0c"  # as bytes.strip has it; other control characters are content
_IN_STACK = re.compile(r"Traceback \(|[A-Za-z_][\w.]*(?:Error|Exception)(?:: |$)")  # begins no record of a format
_OF_A_LINE = ("text", "stream", "time", "partial")
_MAX_HEADING = 100  # lines
_MAPPED = "mapped"  # the format of JSON objects for which the user gives all expressions


class ReadingOptions(NamedTuple):
    """How an input is read.

    Args:
        first: a format that the user gives; it is tried before those that are known.
        expressions: expressions that the user gives; they replace those of every format, and apply to JSON objects of
            no known format too.
        only: a condition of every record that is recorded.
        keep_all: whether each line of a wrong input is a reject.
        is_stream: whether the input cannot be read again.
        goes_on: whether more may be added to the input; then a wrong one is read on.
        observe: called with each record, before it is mapped.
    """

    first: Format | None = None
    expressions: Mapping[str, str] = {}
    only: str | None = None
    keep_all: bool = False
    is_stream: bool = False
    goes_on: bool = False
    observe: Callable[[Record], None] | None = None


class LineReader:
    """Reads one input."""

    def __init__(self, options: ReadingOptions | None = None) -> None:
        self._options = options = options or ReadingOptions()
        self._runs = TextRuns()
        self._mapper = Mapper(options.expressions, options.only, is_stream=options.is_stream)
        self._joiner, self._partial, self._accumulated = Joiner(), PartialLines(), Accumulated()
        self._folded = FoldedObjects()
        self._wrong = WrongInput(keep_all=options.keep_all, ends=not (options.is_stream or options.goes_on))
        self._index = 0
        self._has_text_format = False  # then other lines are what a program prints next to its log
        self._heading: list[Joined] = []  # lines before the first record, which may be a banner of the program

    @cached_property
    def _recognizer(self) -> Recognizer:
        """Made when it is needed: most inputs of our own format have no other."""
        any_object = Format(_MAPPED, _MAPPED, frozenset(), (), {}) if self._options.expressions else None
        return Recognizer(known_formats(), first=self._options.first, last=any_object)

    @property
    def has_given_up(self) -> bool:
        """Whether the input is not worth reading on: nothing in it was understood."""
        return self._wrong.has_given_up

    @property
    def held(self) -> int:
        """How many of the last lines were not added yet, since they may belong to a record that goes on."""
        firsts = (self._joiner.first_index, self._partial.first_index, self._folded.first_index)
        return max((self._index + 1 - first for first in firsts if first is not None), default=0)

    @property
    def hold_s(self) -> float:
        """How much longer than others the records that are open are held when nothing comes, in seconds."""
        return self._joiner.hold_s

    @property
    def is_stream(self) -> bool:
        """Whether the input cannot be read again."""
        return self._options.is_stream

    def postpone(self, seconds: float) -> None:
        """Hold open records longer, by a time in which nothing was read."""
        self._joiner.postpone(seconds)

    def discard_held(self) -> None:
        """Forget the lines that are held; they will be read again."""
        self._index -= self.held
        self._joiner.discard()
        self._partial.discard()
        self._folded.discard()

    def take(self, collected: Collected, line: Line, *, limit: int | None = None) -> None:
        """Add the events of a line, which may be an array, and of records that it ends. `limit` is in bytes."""
        self._index += 1
        before = None if self._wrong.is_understood else self._wrong.before(collected)
        self._take(collected, line, limit or MAX_LINE)
        if self._joiner.is_due(self._index):
            self._add_joined(collected)
        if before is not None:
            self._wrong.after(collected, before)

    def flush(self, collected: Collected, *, older_than_s: float | None = None) -> None:
        """Add the records that are still open; with `older_than_s` only those that nothing was added to for so long."""
        if not self._joiner and not self._folded and not self._heading:
            return
        before = self._wrong.before(collected)
        for lines in self._folded.released():
            self._take_lines(collected, lines)
        self._joiner.close_before(float("inf") if older_than_s is None else time.monotonic() - older_than_s)
        self._add_joined(collected)
        self._release_heading(collected)
        self._wrong.after(collected, before)

    def _take(self, collected: Collected, line: Line, limit: int) -> None:
        if line.size > limit:
            collected.reject(line.line_no, line.data, f"the line has {line.size:,} bytes; the limit is {limit:,}")
            return
        problem = self._runs.problem(line.data)
        if problem:
            collected.reject(line.line_no, line.data, problem)
        elif problem is not None:
            collected.skipped += has_content(line.data)
        else:
            for part in elements(line.data) or [line.data]:
                self._take_part(collected, part, line.line_no)

    def _take_part(self, collected: Collected, part: bytes, line_no: int) -> None:
        plain = part.lstrip(b"\0").removeprefix(b"\xef\xbb\xbf")
        line = plain.decode("utf-8", "backslashreplace").rstrip("\r\n")
        self._take_line(collected, line, Origin(self._index, line_no, part))

    def _take_line(self, collected: Collected, line: str, origin: Origin) -> None:
        """Add a line, which may be a part of a JSON object."""
        line = without_escapes(line) if "\x1b" in line else line
        if not self._folded and (line[:1] != "{" or line[-1:] == "}"):  # as nearly all lines
            self._take_lines(collected, [(line, origin)])
            return
        for lines in self._folded.after(line, origin):
            self._take_lines(collected, lines)

    def _take_lines(self, collected: Collected, lines: Lines) -> None:
        """Add a line, or the lines of one JSON object; if that is not a record, it is what a record of text says."""
        line, origin = lines[0]
        if len(lines) > 1:
            origin = origin._replace(raw=b"\n".join(each.raw.rstrip(b"\r\n") for _, each in lines))
            line = "\n".join(text for text, _ in lines)
        is_object = line.lstrip()[:1] == "{"
        if is_object and self._take_record(collected, line, origin, is_folded=len(lines) > 1):
            return
        if is_object and not origin.is_wrapped and not self._joiner.open(""):
            values = _object(line)
            self._joiner.close("")
            collected.take(origin.line_no, origin.raw, lambda: self._not_known(collected, origin.raw, values))
            return
        for text, each in lines:
            self._take_text(collected, text, each)

    def _take_record(self, collected: Collected, line: str, origin: Origin, *, is_folded: bool) -> bool:
        """Add a JSON object if it is a record of its own; False: it is any text."""
        values = _object(line)
        if values is None:
            return False
        is_inner = origin.is_wrapped or (is_folded and self._joiner.open("") is not None)
        if self._take_object(collected, values, origin):
            self._joiner.close(origin.name)
            return True
        if is_inner and not ("type" in values and is_ours(values)):
            return False
        self._joiner.close(origin.name)
        raw = line.encode("utf-8", "backslashreplace") if origin.is_wrapped else origin.raw
        collected.take(origin.line_no, raw, lambda: self._not_known(collected, raw, values))
        return True

    def _take_object(self, collected: Collected, values: dict[str, Any], origin: Origin) -> bool:
        """Add a JSON object; return False if no format fits."""
        is_mapped = self._options.first is not None or (self._options.expressions and "type" not in values)
        matched = None if is_ours(values) and not is_mapped else self._recognizer.of_object(values)
        if matched is None:
            return False
        mapping = self._mapper.of(matched)
        if mapping.each is not None and self._take_each(collected, matched, mapping.each(values), values, origin):
            return True
        if "unwrap.text" in matched.expressions:
            self._unwrap(collected, matched, values, origin)
        elif "join.by" in matched.expressions:
            joined = self._accumulated.add(mapping.format, values, origin.raw)
            if joined is None:
                collected.ignored += 1
            else:
                self._add(collected, Record(matched, joined.values, joined.raw, origin.line_no))
        else:
            record = Record(matched, values, origin.raw, origin.line_no, origin.stream, origin.time, origin.about)
            if self._joiner:
                self._joiner.queue(record, origin)
            else:
                self._add(collected, record)
        return True

    def _take_each(
        self, collected: Collected, outer: Format, items: Any, values: dict[str, Any], origin: Origin
    ) -> bool:
        """Add the records in a record: those of an array, or one object; False if it has none of a known format."""
        if isinstance(items, dict):
            about = {name: evaluate(values) for name, evaluate in self._mapper.of(outer).fields.items()}
            inner = origin._replace(time=about.pop("occurred_at", None) or origin.time, about={**origin.about, **about})
            return self._take_object(collected, items, inner)
        for item in items if isinstance(items, list) else ():
            part = json.dumps(item, ensure_ascii=False).encode("utf-8", "backslashreplace")
            if not isinstance(item, dict) or not self._take_object(collected, item, origin._replace(raw=part)):
                collected.ignored += 1
        return isinstance(items, list)

    def _unwrap(self, collected: Collected, wrapper: Format, values: dict[str, Any], origin: Origin) -> None:
        """Read the line that a record of a container's log contains."""
        unwrap = self._mapper.of(wrapper).unwrap
        values["file"] = collected.origin
        line, stream, time, partial = (unwrap[name](values) if name in unwrap else None for name in _OF_A_LINE)
        line, stream = as_text(line) or "", as_text(stream) or ""
        name = f"{wrapper.name}:{stream}"
        if is_true(partial):
            self._partial.add(name, line, origin)
            return
        raw = origin.raw
        if self._partial:
            line, raw, _ = self._partial.completed(name, line, origin)
        about = About(unwrap, values, stream)
        inner = Origin(origin.position, origin.line_no, raw, name, stream, time or origin.time, about)
        for part in line.rstrip("\r\n").split("\n"):
            self._take_line(collected, part, inner)

    def _take_text(self, collected: Collected, line: str, origin: Origin) -> None:
        """Add a line of text to the record of its stream, or begin another record."""
        is_blank = not line.strip(_BLANKS)
        joined = self._joiner.open(origin.name)
        is_stack = line[:1] in " \t" or (joined is not None and _IN_STACK.match(line) and not self._options.first)
        match = None if is_blank or is_stack else self._recognizer.of_line(line, is_wrapped=origin.is_wrapped)
        if match is not None:
            self._take_match(collected, match, line, origin)
        elif joined is not None and joined.takes(line, origin):
            joined.add(line, origin)
        elif is_blank:
            self._joiner.close(origin.name)
            self._add_blank(collected, origin)
        elif self._joiner.is_late(line, origin.name):
            collected.ignored += 1
        else:
            self._joiner.begin(line, origin, None)

    def _take_match(self, collected: Collected, match: Match, line: str, origin: Origin) -> None:
        """Begin a record of text; or read the line of another program that it contains, or the JSON object."""
        self._has_text_format = self._has_text_format or not origin.is_wrapped
        if "unwrap.text" in match.format.expressions:
            self._unwrap(collected, match.format, match.values, origin)
            return
        each = self._mapper.of(match.format).each
        if each is not None and self._take_each(collected, match.format, each(match.values), match.values, origin):
            self._joiner.close(origin.name)
            return
        self._joiner.begin(line, origin, match)

    def _add_blank(self, collected: Collected, origin: Origin) -> None:
        """Report a line of NULs; other blank lines do not count."""
        if not origin.is_wrapped and b"\0" in origin.raw:
            raw = origin.raw
            collected.take(origin.line_no, raw, lambda: parse_line(raw, collected.recorder, collected.now))

    def _add_joined(self, collected: Collected) -> None:
        """Add the joined records that are complete."""
        for joined in self._joiner.taken(self._index):
            record = joined.record if isinstance(joined, Queued) else self._record(joined)
            if record is not None:
                self._release_heading(collected)
                self._add(collected, record)
                continue
            assert isinstance(joined, Joined)
            if is_error(joined.text):
                self._refuse(collected, joined)
            elif self._has_text_format:
                collected.ignored += 1
            else:
                self._heading.append(joined)
                if self._options.goes_on or len(self._heading) >= _MAX_HEADING:
                    self._release_heading(collected)

    def _release_heading(self, collected: Collected) -> None:
        """Refuse the lines before the first record, unless they are what a program prints before its log."""
        heading, self._heading = self._heading, []
        for joined in heading:
            if self._has_text_format:
                collected.ignored += 1
            else:
                self._refuse(collected, joined)

    def _refuse(self, collected: Collected, joined: Joined) -> None:
        """Add the lines of a text that is no record as rejects."""
        for number, raw, line in zip(joined.numbers, joined.raws, joined.lines, strict=True):
            if line.strip(_BLANKS) or b"\0" in raw:
                collected.take(number, raw, lambda raw=raw: self._not_known(collected, raw, None))  # type: ignore[misc]

    def _record(self, joined: Joined) -> Record | None:
        """Return the record of joined lines; None if they are any text of the input itself."""
        origin, raw = joined.origin, b"\n".join(raw.rstrip(b"\r\n") for raw in joined.raws)
        if joined.match is not None:
            values = {**origin.about, **joined.match.values}
            rest = joined.text.partition("\n")[2]
            if rest:
                values["message"] = f"{values.get('message', '')}\n{rest}"
            return Record(joined.match.format, values, raw, origin.line_no, origin.stream, origin.time, origin.about)
        if not origin.is_wrapped and not split_traceback(joined.text)[1]:
            return None
        values = {**origin.about, "message": joined.text}
        return Record(known_format(_TEXT), values, raw, origin.line_no, origin.stream, origin.time, origin.about)

    def _add(self, collected: Collected, record: Record) -> None:
        if self._options.observe is not None:
            self._options.observe(record)
        collected.take(
            record.line_no, record.raw, lambda: self._mapper.parse(record, collected.recorder, collected.now)
        )

    def _not_known(self, collected: Collected, part: bytes, values: dict[str, Any] | None) -> ParsedInput:
        """Parse a line as our own format; if it is not, say what it looks like."""
        try:
            return parse_line(part, collected.recorder, collected.now)
        except UsageError as error:
            if values is not None and is_ours(values):
                raise
            similar = self._recognizer.resembles(part.decode("utf-8", "replace"), values)
            if similar is None and not part.lstrip().startswith((b"{", b"[")):
                raise UsageError(f"{error}, or of a log of a known format") from None
            raise UsageError(f"{error}; {similar}; see --map" if similar else str(error)) from None


def _object(line: str) -> dict[str, Any] | None:
    """Return the JSON object in a text; None if it is anything else."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
