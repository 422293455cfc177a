"""Reads reports in CTRF at the beginning of an input, however large: test by test.

What identifies a report may follow its tests, so these wait in a temporary file.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import IO, Any, NamedTuple

from failaware.capture.external import ParsedInput
from failaware.errors import UsageError
from failaware.ingest.batches import Array
from failaware.ingest.chunk import Collected
from failaware.ingest.formats.ctrf import Report, matches
from failaware.ingest.stream import MAX_LINE, SHOWN, Piece

_BEGINS = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"reportFormat"\s*:\s*"CTRF"')
_TESTS = re.compile(rb'"tests"\s*:\s*(?=\[)')
_MAX_HEAD = 1_048_576  # bytes before the tests
_BATCH = 200  # tests in one transaction: each may have much to say

Parts = Iterator[Piece | None]


def is_ctrf(begins: bytes) -> bool:
    """Whether an input begins like a report in CTRF; the first versions of CTRF are not recognized here."""
    return _BEGINS.match(begins) is not None


class Target(NamedTuple):
    """Where tests are added: `collected` returns what was collected and is not written, `write` writes it."""

    collected: Callable[[], Collected]
    write: Callable[[], None]


def read_reports(parts: Parts, target: Target) -> Parts:
    """Add the tests of the reports at the beginning of an input, and return what follows."""
    while True:
        head, first = _head(parts)
        if first is None:
            return chain([Piece(1, head, ends=True)] if head else [], parts)
        with tempfile.TemporaryFile() as tests:
            after = _read_report(head, first, parts, tests, target)
        if after is None:
            return parts
        parts = chain([after], parts)
        if not is_ctrf(after.data):
            return parts


def _head(parts: Parts) -> tuple[bytes, Piece | None]:
    """Return what is before the tests of a report, and the piece that begins with their array, if there is one."""
    head = b""
    for piece in parts:
        if piece is None:
            continue
        head += piece.data
        begins = _TESTS.search(head) if is_ctrf(head) else None
        if begins is not None:
            return head[: begins.end()], piece._replace(data=head[begins.end() :])
        if len(head) > _MAX_HEAD or (
            head.strip() and piece.ends and len(head) > len(_BEGINS.pattern) and not is_ctrf(head)
        ):
            break
    return head, None


def _read_report(head: bytes, first: Piece, parts: Parts, tests: IO[bytes], target: Target) -> Piece | None:
    """Add the tests of one report; return the piece after it."""
    array = Array()
    for piece in chain([first], parts):
        for test in () if piece is None or array.is_too_long else array.feed(piece):
            if test.size > MAX_LINE:
                target.collected().reject(test.line_no, test.data[:SHOWN], f"a test has more than {MAX_LINE:,} bytes")
            else:
                tests.write(b"%d %s\n" % (test.line_no, test.data.replace(b"\n", b" ")))
        if not array.depth:
            break
    values, after = _whole(head, array.rest, parts)
    if values is None or not matches(values) or values["results"]["tests"] != []:
        target.collected().reject(1, head, "the report in CTRF has no end, or is no JSON")
        return after
    report = Report(values, target.collected().recorder, target.collected().now)
    tests.seek(0)
    for line in tests:
        line_no, _, raw = line.partition(b" ")
        target.collected().take(int(line_no), raw, partial(_parsed, report, raw))
        if len(target.collected()) >= _BATCH:
            target.write()
    return after


def _parsed(report: Report, raw: bytes) -> ParsedInput:
    try:
        test = json.loads(raw)
    except ValueError as error:
        raise UsageError(f"a test of a CTRF report is not JSON: {error}") from None
    event = report.event(test)
    return ParsedInput([] if event is None else [event], ignored=int(event is None))


def _whole(head: bytes, rest: Piece | None, parts: Parts) -> tuple[dict[str, Any] | None, Piece | None]:
    """Return the report without its tests, and the piece after it; None for the report if it has no end."""
    tail, decode = b"", json.JSONDecoder().raw_decode
    for piece in chain([rest], parts):
        tail += b"" if piece is None else piece.data
        if piece is None or b"}" not in piece.data:
            continue
        if len(tail) > MAX_LINE:
            break
        text = (head.removeprefix(b"\xef\xbb\xbf").lstrip() + b"[]" + tail).decode("utf-8", "backslashreplace")
        try:
            values, end = decode(text)
        except (ValueError, RecursionError):
            continue
        left = text[end:].encode()
        return values, piece._replace(data=left) if left.strip() else None
    return None, None
