"""JUnit XML reports: each test of a run is an event, SYNCED or DEAD; skipped tests are not recorded.

A report is parsed as a stream, with expat. A document type is refused, and with it entities that expand or refer to
other files.
"""

from collections.abc import Callable
from typing import Any
from xml.parsers import expat

from failaware.capture.external import ParsedInput, event_of
from failaware.capture.record import Recorder, as_name
from failaware.errors import StoreBusy
from failaware.ingest.chunk import Chunk, Collected, Ingested
from failaware.ingest.formats.junit_bytes import ReportBytes
from failaware.ingest.formats.junit_case import FINAL, MAX_TEXT, PROBLEMS, Case
from failaware.ingest.formats.reported_test import attempts
from failaware.ingest.stream import Input
from failaware.model import EventWithAttempts
from failaware.session import Session
from failaware.text import bounded

_BATCH = 200  # tests in one transaction: each may have much to say
_PART = 262_144  # bytes parsed at once
_MAX_TAG = 8_388_608  # bytes of one tag, comment or instruction: expat reads it again with each part until it ends
_NO_ROOT = expat.ErrorString(expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS])
_DECLARATION = 65_536  # bytes kept before the root, among which that of the next document begins
_MISPLACED = expat.errors.codes[expat.errors.XML_ERROR_MISPLACED_XML_PI]
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_BETWEEN = b" \t\r\n\0\xef\xbb\xbf\xff\xfe"  # blanks and byte order marks between reports
_MAX_ATTRIBUTES = 1_000  # of one tag
_MAX_HELD, _MAX_HELD_SIZE = 5_000, 8_388_608  # failed tests of a suite, and their characters, that may be run again
_MAX_PASSED = 200  # tests that are held after they passed: pytest writes earlier runs like that
_RETRIES_INSIDE = {"jest tests", "Mocha Tests", "vitest tests", "nextest-run"}
"""Reports that have the retries of a test in one element: elements of one name are different tests."""
_TEXTS = {*PROBLEMS, "system-out", "system-err", "stackTrace"}


class _NoReport(Exception):
    """The input, from here on, is not a JUnit report; the message says why."""


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
    chunk = Chunk(session, origin, total)
    _read(source, _Reports(lambda: chunk.collected, lambda: chunk.write_when_free(try_again)))
    return total


def collect_junit(collected: Collected, source: Input) -> None:
    """Add the events of a report without writing them."""
    _read(source, _Reports(lambda: collected, lambda: None))


def _read(source: Input, reports: "_Reports") -> None:
    prepared = ReportBytes(source.begins())
    reader = _Reader(prepared.encoding)
    part = b""
    try:
        while (data := source.read()) != b"":
            for start in range(0, len(data or b""), _PART):
                part = prepared.converted((data or b"")[start : start + _PART])
                reader.feed(part)
                reports.take(reader.finished())
        if source.error is None and not source.stopped:
            reader.end()
    except _NoReport as error:
        reports.take(reader.finished())
        reports.release()
        reports.reject(reader.line_no, part, f"not a JUnit report: {error}")
    reports.release()
    reports.write()


class _Reader:
    """Feeds expat and collects the tests that are complete. `encoding` replaces the one that is declared."""

    def __init__(self, encoding: str | None = None) -> None:
        self._encoding = encoding
        self._documents, self._lines = 0, 0  # and lines before the present one
        self._begin()
        self._done: list[Case] = []

    def _begin(self) -> None:
        """Begin a document: there may be several in a row, as `cat *.xml` makes them."""
        self._documents += 1
        self._begins = True  # its root has not been read yet
        self._last = b""  # the last bytes read, before the root
        self._ended_at: int | None = None  # the byte at which the end of its root begins
        self._parser = expat.ParserCreate(self._encoding)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.buffer_text = True
        self._root: dict[str, str] = {}
        self._suites: list[dict[str, str]] = []
        self._tests: list[Case] = []  # that are open: in a report, tests are in none other
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self._size = self._fed = 0

    @property
    def _test(self) -> Case | None:
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

    def finished(self) -> list[Case]:
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
        attributes = {key: bounded(value, MAX_TEXT) for key, value in attributes.items()}
        self._open.append((name, attributes, []))
        self._size = 0
        if name == "testsuites":
            self._root = attributes
        elif name == "testsuite":
            inherited = self._suites[-1] if self._suites else self._root
            self._suites.append({k: v for k, v in inherited.items() if k in {"timestamp", "hostname"}} | attributes)
        elif name == "testcase":
            is_unique = self._root.get("name") in _RETRIES_INSIDE
            self._tests.append(
                Case(attributes, self._suites[-1] if self._suites else {}, self.line_no, is_unique=is_unique)
            )
        elif name == "property" and self._test is not None:
            self._test.add_property(attributes)
        elif name == "skipped" and self._test is not None:
            self._test.skipped = True

    def _text(self, text: str) -> None:
        if self._open[-1][0] in _TEXTS and self._size < MAX_TEXT:
            self._open[-1][2].append(text[: MAX_TEXT - self._size])
            self._size += len(text)

    def _end(self, name: str) -> None:
        name, attributes, parts = self._open.pop()
        test, text = self._test, "".join(parts)
        if not self._open:
            self._ended_at, self._ended_line = self._parser.CurrentByteIndex, self._parser.CurrentLineNumber
        if name == "testsuite":
            self._suites.pop()
        elif test is None and name in FINAL:  # of the suite itself
            suite = self._suites[-1] if self._suites else {}
            self._done.append(
                Case({"name": suite.get("name", "")}, suite, self.line_no, [(name, attributes, text.strip())])
            )
        elif test is None:
            return
        elif name == "testcase":
            self._done.append(self._tests.pop())
        elif name in PROBLEMS:
            test.add_problem(name, attributes, text.strip() or test.texts.pop("stackTrace", ""))
        elif name in _TEXTS and (name == "stackTrace" or self._open[-1][0] == "testcase"):
            test.texts[name] = text.strip()

    @staticmethod
    def _refuse_doctype(*_declaration: Any) -> None:
        raise _NoReport("it declares a document type, which may hide entities; remove the <!DOCTYPE …>")


class _Reports:
    """Turns tests into facts and writes them in batches.

    The failed tests of a suite are held until its end, since they may be run again; of a large suite, not all.

    Args:
        collected: returns what was collected and is not written.
        write: writes it.
    """

    def __init__(self, collected: Callable[[], Collected], write: Callable[[], None]) -> None:
        self._collected, self.write = collected, write
        self._keys: set[int] = set()  # hashes: a report may have very many
        self._held: dict[tuple[str | None, ...], Case] = {}
        self._passed: dict[tuple[str | None, ...], None] = {}  # which of them have passed
        self._suite: dict[str, str] = {}
        self._held_size = 0

    def take(self, cases: list[Case]) -> None:
        """Add tests, and write those that will not be run again."""
        for case in cases:
            if case.suite is not self._suite or len(self._held) >= _MAX_HELD or self._held_size >= _MAX_HELD_SIZE:
                self.release()
                self._suite = case.suite
            if case.skipped and not case.problems:
                self._collected().ignored += 1
            else:
                self._hold(case)

    def _hold(self, case: Case) -> None:
        first = self._held.get(case.identity)
        if first is not None and not first.may_be_run_again:
            self._release(case.identity)
            first = None
        self._held_size += case.size
        if first is None:
            self._held[case.identity] = case
        else:
            first.add_run(case)
        self._passed.pop(case.identity, None)
        if not case.problems:
            self._passed[case.identity] = None
            if len(self._passed) > _MAX_PASSED:
                self._release(next(iter(self._passed)))

    def release(self) -> None:
        """Turn the tests that are held into facts; write full batches."""
        for identity in list(self._held):
            self._release(identity)
        self._held_size = 0

    def _release(self, identity: tuple[str | None, ...]) -> None:
        case = self._held.pop(identity)
        self._passed.pop(identity, None)
        self._held_size -= case.size
        raw = bounded(repr(case.attributes), MAX_TEXT).encode("utf-8", "backslashreplace")
        self._collected().take(case.line_no, raw, lambda: ParsedInput([self._observed(case)]))
        if len(self._collected()) >= _BATCH:
            self.write()

    def reject(self, line_no: int, raw: bytes, error: str) -> None:
        """Add input that could not be parsed."""
        self._collected().reject(line_no, raw, error)

    def _observed(self, case: Case) -> EventWithAttempts:
        case.check_size()
        collected = self._collected()
        suite, recorder, now = case.suite, collected.recorder, collected.now
        run = suite.get("timestamp", "")
        if "." not in run:  # in one second there may be several runs
            run = f"{run} {recorder.digest(repr(case.content))[:16]}".strip()
        event = event_of(
            recorder,
            as_name(case.name, recorder),
            case.payload,
            now=now,
            key=self._own_key(f"junit:{suite.get('name', '')} {run} {case.name}", recorder),
            source=as_name(f"junit:{suite.get('name', '')}", recorder),
            occurred_at=case.time(now),
        )
        worker = as_name(suite.get("hostname") or "observed", recorder)
        return EventWithAttempts(event, tuple(attempts(case.runs(recorder), began=event.occurred_at, worker=worker)))

    def _own_key(self, key: str, recorder: Recorder) -> str:
        """Return a key that is unique in the report: a test may run with several parameters under one name."""
        own, number = as_name(key, recorder), 1
        while hash(own) in self._keys:
            number += 1
            own = as_name(f"{key} {number}", recorder)
        self._keys.add(hash(own))
        return own
