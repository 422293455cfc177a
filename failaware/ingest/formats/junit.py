"""JUnit XML reports: each test of a run is an event, SYNCED or DEAD; skipped tests are not recorded.

A report is parsed as a stream, with expat. A document type is refused, and with it entities that expand or refer to
other files.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.parsers import expat

from failaware.capture.external import ParsedInput, attempt, event_of
from failaware.capture.record import Recorder, as_name
from failaware.errors import StoreBusy, UsageError
from failaware.ingest.chunk import Chunk, Ingested
from failaware.ingest.formats.junit_failure import failure_of_test
from failaware.ingest.stream import Input
from failaware.model import EventWithAttempts, Failure, NewAttempt
from failaware.session import Session
from failaware.text import bounded, microseconds

_BATCH = 200  # tests in one transaction: each may have much to say
_PART = 262_144  # bytes parsed at once
_MAX_TEXT = 262_144  # characters read of one text; fewer are kept
_MAX_TAG = 8_388_608  # bytes of one tag, comment or instruction: expat reads it again with each part until it ends
_NO_ROOT = expat.ErrorString(expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS])
_DECLARATION = 65_536  # bytes kept before the root, among which that of the next document begins
_MISPLACED = expat.errors.codes[expat.errors.XML_ERROR_MISPLACED_XML_PI]
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_BETWEEN = b" \t\r\n\0\xef\xbb\xbf\xff\xfe"  # blanks and byte order marks between reports
_MAX_ATTRIBUTES = 1_000  # of one tag
_MAX_PROBLEMS, _MAX_PROPERTIES = 100, 1_000  # of one test
_MAX_OUTPUT = 16_384  # characters kept of a test's output
_FINAL = ("failure", "error")
_PROBLEMS = (*_FINAL, "flakyFailure", "flakyError", "rerunFailure", "rerunError")
_TEXTS = {*_PROBLEMS, "system-out", "system-err", "stackTrace"}


class _NoReport(Exception):
    """The input, from here on, is not a JUnit report; the message says why."""


@dataclass(slots=True)
class _Test:
    """A test case of the report, with its suite's own attributes."""

    attributes: dict[str, str]
    suite: dict[str, str]
    line_no: int
    problems: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    skipped: bool = False
    is_too_large: bool = False

    def add_problem(self, kind: str, attributes: dict[str, str], text: str) -> None:
        """Add a failure, an error or a rerun."""
        self.is_too_large = self.is_too_large or len(self.problems) >= _MAX_PROBLEMS
        if not self.is_too_large:
            self.problems.append((kind, attributes, text))

    def add_property(self, attributes: dict[str, str]) -> None:
        """Add a property of the test."""
        self.is_too_large = self.is_too_large or len(self.properties) >= _MAX_PROPERTIES
        if not self.is_too_large:
            self.properties[attributes.get("name", "")] = attributes.get("value", "")


def ingest_junit(
    session: Session,
    source: Input,
    *,
    origin: str,
    try_again: Callable[[StoreBusy], bool] = lambda _error: False,
) -> Ingested:
    """Record every test of a report.

    A test is keyed by its suite, its name and its run: the suite's time and, if that has no fractions of a second, a
    digest of the test in the report. Several reports may follow each other. Input after an XML error is rejected. While
    the store is locked, wait for it as long as `try_again` returns True.

    Raises:
        StoreError: the store cannot be written; the tests before are recorded.
    """
    total = Ingested()
    reader, reports = _Reader(), _Reports(session, origin, total, try_again)
    part = b""
    try:
        while (data := source.read()) != b"":
            for start in range(0, len(data or b""), _PART):
                part = (data or b"")[start : start + _PART]
                reader.feed(part)
                reports.take(reader.finished())
        if source.error is None and not source.stopped:
            reader.end()
    except _NoReport as error:
        reports.take(reader.finished())
        reports.reject(reader.line_no, part, f"not a JUnit report: {error}")
    reports.write()
    return total


class _Reader:
    """Feeds expat and collects the tests that are complete."""

    def __init__(self) -> None:
        self._documents, self._lines = 0, 0  # and lines before the present one
        self._begin()
        self._done: list[_Test] = []

    def _begin(self) -> None:
        """Begin a document: there may be several in a row, as `cat *.xml` makes them."""
        self._documents += 1
        self._begins = True  # its root has not been read yet
        self._last = b""  # the last bytes read, before the root
        self._ended_at: int | None = None  # the byte at which the end of its root begins
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.buffer_text = True
        self._suites: list[dict[str, str]] = []
        self._tests: list[_Test] = []  # that are open: in a report, tests are in none other
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self._size = self._fed = 0

    @property
    def _test(self) -> _Test | None:
        return self._tests[-1] if self._tests else None

    @property
    def line_no(self) -> int:
        """The number of the current line."""
        return self._lines + self._parser.CurrentLineNumber

    def feed(self, part: bytes) -> None:
        """Parse the next part.

        Raises:
            _NoReport: it is not XML, or not a report.
        """
        while part:
            if self._ended_at is not None:
                rest = part.lstrip(_BETWEEN)
                self._lines += part[: len(part) - len(rest)].count(b"\n")
                if not rest:
                    return
                self._lines += self._ended_line - 1
                self._begin()
                part = rest
            part = self._feed_document(part)

    def _feed_document(self, part: bytes) -> bytes:
        """Parse the next part of one document; return what follows the document."""
        read = self._last + part
        try:
            self._parse(part)
        except _NoReport:
            if self._begins and (rest := self._after_comments(read)) is not None:
                return rest
            if self._ended_at is None:  # or it is about what follows
                raise
        if self._ended_at is not None:
            end = part.find(b">", max(0, self._ended_at - self._fed)) + 1
            return part[end + (part[end : end + 1] == b"\0") :]  # of a `>` in UTF-16
        self._fed += len(part)
        if self._fed - self._parser.CurrentByteIndex > _MAX_TAG:
            raise _NoReport(f"a tag or a comment has more than {_MAX_TAG:,} bytes")
        self._last = read[-_DECLARATION:] if self._begins else b""
        return b""

    def _after_comments(self, read: bytes) -> bytes | None:
        """Begin a document if a declaration follows on comments or blanks; return the input from there.

        A declaration must come first, and so must a byte order mark.
        """
        at = self._parser.ErrorByteIndex - self._fed + len(self._last)
        before, rest = read[: max(0, at)].rstrip(_BETWEEN), read[max(0, at) :]
        is_mark = rest.startswith(_BYTE_ORDER_MARKS) and (not before or before.endswith(b">"))
        if at <= 0 or not (is_mark or self._parser.ErrorCode == _MISPLACED):
            return None
        self._lines += self._parser.ErrorLineNumber - 1
        self._documents -= 1
        self._begin()
        return rest

    def end(self) -> None:
        """Finish parsing; raises as `feed`."""
        if self._ended_at is not None:
            return
        try:
            self._parse(b"", is_last=True)
        except _NoReport as error:
            if self._begins and (rest := self._after_comments(self._last)) is not None:  # expat may have put it off
                self.feed(rest)
                self.end()
            elif self._documents == 1 or str(error) != _NO_ROOT:  # after the last one there may be blanks and comments
                raise

    def _parse(self, part: bytes, *, is_last: bool = False) -> None:
        try:
            self._parser.Parse(part, is_last)
        except _NoReport:
            raise
        except expat.ExpatError as error:
            raise _NoReport(expat.ErrorString(error.code)) from None
        except (LookupError, ValueError) as error:  # of the encoding that it declares
            raise _NoReport(f"its encoding is not supported ({error}); convert it to UTF-8") from None

    def finished(self) -> list[_Test]:
        """Return the tests that have ended since the last call."""
        done, self._done = self._done, []
        return done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if not self._open and name not in {"testsuites", "testsuite"}:
            raise _NoReport(f"the root is <{name[:40]}>; only <testsuites> and <testsuite> are supported")
        if len(self._open) >= 100:
            raise _NoReport("it is nested too deeply")
        if len(attributes) > _MAX_ATTRIBUTES:
            raise _NoReport(f"a tag has more than {_MAX_ATTRIBUTES:,} attributes")
        self._begins = False
        attributes = {key: bounded(value, _MAX_TEXT) for key, value in attributes.items()}
        self._open.append((name, attributes, []))
        self._size = 0
        if name == "testsuite":
            inherited = self._suites[-1] if self._suites else {}
            self._suites.append({k: v for k, v in inherited.items() if k in {"timestamp", "hostname"}} | attributes)
        elif name == "testcase":
            self._tests.append(_Test(attributes, self._suites[-1] if self._suites else {}, self.line_no))
        elif name == "property" and self._test is not None:
            self._test.add_property(attributes)
        elif name == "skipped" and self._test is not None:
            self._test.skipped = True

    def _text(self, text: str) -> None:
        if self._open[-1][0] in _TEXTS and self._size < _MAX_TEXT:
            self._open[-1][2].append(text[: _MAX_TEXT - self._size])
            self._size += len(text)

    def _end(self, name: str) -> None:
        name, attributes, parts = self._open.pop()
        test, text = self._test, "".join(parts)
        if not self._open:
            self._ended_at, self._ended_line = self._parser.CurrentByteIndex, self._parser.CurrentLineNumber
        if name == "testsuite":
            self._suites.pop()
        elif test is None and name in _FINAL:  # of the suite itself
            suite = self._suites[-1] if self._suites else {}
            self._done.append(
                _Test({"name": suite.get("name", "")}, suite, self.line_no, [(name, attributes, text.strip())])
            )
        elif test is None:
            return
        elif name == "testcase":
            self._done.append(self._tests.pop())
        elif name in _PROBLEMS:
            test.add_problem(name, attributes, text.strip() or test.texts.pop("stackTrace", ""))
        elif name in _TEXTS and (name == "stackTrace" or self._open[-1][0] == "testcase"):
            test.texts[name] = text.strip()

    @staticmethod
    def _refuse_doctype(*_declaration: Any) -> None:
        raise _NoReport("it declares a document type, which may hide entities; remove the <!DOCTYPE …>")


class _Reports:
    """Turns tests into facts and writes them in batches."""

    def __init__(self, session: Session, origin: str, total: Ingested, try_again: Callable[[StoreBusy], bool]) -> None:
        self._recorder, self._try_again = session.recorder, try_again
        self._chunk = Chunk(session, origin, total)
        self._keys: set[str] = set()

    def take(self, tests: list[_Test]) -> None:
        """Add tests; write full batches."""
        for test in tests:
            raw = bounded(repr(test.attributes), _MAX_TEXT).encode("utf-8", "backslashreplace")
            self._chunk.collected.take(test.line_no, raw, lambda test=test: self._read(test))  # type: ignore[misc]
            if len(self._chunk.collected) >= _BATCH:
                self.write()

    def reject(self, line_no: int, raw: bytes, error: str) -> None:
        """Add input that could not be parsed."""
        self._chunk.collected.reject(line_no, raw, error)

    def write(self) -> None:
        """Record the tests that are not recorded yet."""
        self._chunk.write_when_free(self._try_again)

    def _read(self, test: _Test) -> ParsedInput:
        if test.skipped and not test.problems:
            return ParsedInput([], ignored=1)
        if test.is_too_large:
            raise UsageError(f"a test can have at most {_MAX_PROBLEMS:,} failures and {_MAX_PROPERTIES:,} properties")
        return ParsedInput([self._observed(test)])

    def _observed(self, test: _Test) -> EventWithAttempts:
        attributes, suite = test.attributes, test.suite
        name = ".".join(part for part in (attributes.get("classname"), attributes.get("name")) if part)
        run = suite.get("timestamp", "")
        if "." not in run:  # in one second there may be several runs
            run = f"{run} {self._recorder.digest(repr((attributes, suite, test.problems)))[:16]}".strip()
        key = self._own_key(f"junit:{suite.get('name', '')} {run} {name}")
        payload: dict[str, Any] = {"test": attributes, "suite": suite}
        if test.properties:
            payload["properties"] = test.properties
        payload |= {kind: bounded(text, _MAX_OUTPUT) for kind, text in test.texts.items() if text}
        recorder = self._recorder
        event = event_of(
            recorder,
            as_name(name, recorder),
            payload,
            now=self._chunk.collected.now,
            key=key,
            source=as_name(f"junit:{suite.get('name', '')}", recorder),
            occurred_at=_time(suite.get("timestamp")),
        )
        return EventWithAttempts(event, tuple(_attempts(test, event.occurred_at, recorder)))

    def _own_key(self, key: str) -> str:
        """Return a key that is unique in the report: a test may run with several parameters under one name."""
        own, number = as_name(key, self._recorder), 1
        while own in self._keys:
            number += 1
            own = as_name(f"{key} {number}", self._recorder)
        self._keys.add(own)
        return own


def _attempts(test: _Test, began: int, recorder: Recorder) -> Iterator[NewAttempt]:
    """Yield the attempts of a test: more than one if it was repeated, as Surefire reports it."""
    worker = as_name(test.suite.get("hostname") or "observed", recorder)
    took = _span(test.attributes.get("time"))
    final = [problem for problem in test.problems if problem[0] in _FINAL]
    again = [problem for problem in test.problems if problem[0] not in _FINAL]
    failures = [failure_of_test(test.attributes, [problem], recorder) for problem in again]
    if final:
        failures.insert(
            0, failure_of_test(test.attributes, final, recorder)
        )  # Surefire puts the first run there, and then the reruns
    outcomes: list[Failure | None] = [*failures] if final else [*failures, None]
    for number, failed in enumerate(outcomes, start=1):
        one = attempt(failed, worker=worker, started_at=began, took=took)
        if number < len(outcomes):
            one = one._replace(retry_at=one.finished_at, retry_reason="run again at once")
        yield one


def _time(text: str | None) -> int | None:
    """Return the suite's time in µs; without a zone it is UTC, as in the schema."""
    if not text:
        return None
    try:
        return microseconds(datetime.fromisoformat(text))
    except ValueError:
        return None


def _span(seconds: str | None) -> int:
    try:
        took = float((seconds or "0").replace(",", ""))  # Surefire groups thousands
    except ValueError:
        return 0
    return int(took * 1_000_000) if 0 <= took < 1e9 else 0
