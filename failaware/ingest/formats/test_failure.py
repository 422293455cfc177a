"""Reads error type, message and root cause of a run of a test from what a report says of it: attributes and a text."""

import re

from failaware.capture.exceptions import failure
from failaware.capture.raised_text import read_any_traceback
from failaware.capture.record import Recorder
from failaware.capture.root_cause import root_cause
from failaware.capture.stack_lines import split_traceback
from failaware.ingest.functions import go_failure
from failaware.model import ERROR_HERE, Failure
from failaware.text import without_escapes

Problem = tuple[str, dict[str, str], str]
"""What says that a run failed: its kind, such as `failure`; its attributes `type` and `message`; its text."""

_Said = tuple[str, str, str | None]  # error type, message, root cause

_MAX_READ = 65_536  # characters of a text that are searched
_MAX_WORDS = 500  # of a message that is looked for in a text
_NO_TYPE = re.compile(r"(?:failure|failed|fail|error|ERROR|FAILURE|testCodeFailure|test failure.*|)", re.DOTALL)
_NO_MESSAGE = re.compile(
    r"\s*(?:failed|collection failure|FAILED:|Failure|undefined|thread '.*' panicked at \S+|\S+\.\w+:\d+:\d+ .*|\S+:\d+"
    r"|unknown file|---|\(in test file .*\)|\(from function .*)?\s*",
    re.IGNORECASE,
)
"""What says nothing or only a place: of gotestsum, pytest, Catch2, nextest, Playwright, googletest, TAP, bats."""

_TYPED = re.compile(
    r"((?:[A-Za-z_][\w.]*)?(?:Error|Exception|Failed|Exit|Interrupt|Timeout|Warning)) ?: ?(.*)", re.DOTALL
)
_ENDING = re.compile(r"^\S+:\d+: ([A-Za-z_][\w.]*)\Z", re.MULTILINE)  # of a failure as pytest writes it
_PHASE = re.compile(r'\Afailed on (?:setup|teardown) with "(.*)"\Z', re.DOTALL)  # as pytest puts it
_RAISED = re.compile(
    r"^E +(?P<type>(?:[A-Za-z_][\w.]*)?(?:Error|Exception|Exit|Failed|Interrupt|Warning)): (?P<message>.*)",
    re.MULTILINE,
)
_FROM = "The above exception was the direct cause of the following exception:"
_GO_TEST = re.compile(r"^--- FAIL: |^\s*[\w.-]+\.go:\d+:", re.MULTILINE)
_NODE_CAUSE = re.compile(r"^ +(?:failureType: 'testCodeFailure',\n +)?cause: (?=[A-Za-z])", re.MULTILINE)
_RUBY_CAUSE = re.compile(r"^-+\n-+ Caused by: -+\n(?P<type>[\w:]+):\n +(?P<message>.*)", re.MULTILINE)
_XUNIT_CAUSE = re.compile(r"\n-+ (?P<type>[\w.]+) : (?P<message>.*)")
_RETRY = re.compile(r"^ *Retry #\d+ ─+.*\n", re.MULTILINE)


def runs_of(problem: Problem) -> list[Problem]:
    """Return a problem for each run of the test: Playwright writes all runs into one text."""
    kind, attributes, text = problem
    return [(kind, attributes, part) for part in _RETRY.split(text)] if "Retry #" in text else [problem]


def failure_of_test(test: dict[str, str], problems: list[Problem], recorder: Recorder, output: str = "") -> Failure:
    """Return the failure of one run: a test may fail, and then fail in its teardown.

    Args:
        test: the attributes of the test: `name`, `classname`.
        problems: what says that it failed.
        recorder: masks secrets.
        output: what the test printed; its last line is the message if the problems have none.
    """
    kind, attributes, text = problems[0]
    text = without_escapes(text)[:_MAX_READ]
    error_type = "" if _NO_TYPE.fullmatch(attributes.get("type", "")) else attributes["type"]
    message = without_escapes(attributes.get("message", ""))
    message = "" if _is_hollow(message, test) else _PHASE.sub(r"\1", message.strip())
    raised = _raised(text)
    if raised is not None:
        same = "".join(message.split()) in _spellings(raised)
        message = raised[1] if not message or same else message
        error_type = error_type or raised[0]
    message = _as_in(text, _without_place(message)) or _first_line(text, test)
    message = message or (output.strip().splitlines() or [""])[-1].strip()
    error_type, message, cause = _typed(error_type, message, text)
    message = "" if message == error_type else message
    stack = "\n\n".join(part for _, _, part in problems if part)
    stack = stack.replace(f"{error_type}: {message}", ERROR_HERE, 1) if message else stack
    cause = cause or (raised[2] if raised else root_cause(text))
    return failure(error_type or kind, message, stack or None, cause=cause, masker=recorder.masker)


def _is_hollow(message: str, test: dict[str, str]) -> bool:
    """Whether a line only repeats the name of the test, or says nothing."""
    name = test.get("name", "")
    own = (name, *(f"{test.get('classname', '')}{sign}{name}" for sign in (".", "::") if name))
    line = message.strip()
    return line in own or line.startswith(f"{own[-1]} (") or _NO_MESSAGE.fullmatch(line) is not None


def _without_place(message: str) -> str:
    """Return a message without a first line that is only a place, as googletest writes it."""
    first, _, rest = message.partition("\n")
    return rest.strip() if rest and _NO_MESSAGE.fullmatch(first) else message


def _as_in(text: str, message: str) -> str:
    """Return a message with the line ends that it has in the text: in an attribute of XML they are blanks."""
    words = message.split()
    if not 2 < len(words) <= _MAX_WORDS:
        return message
    match = re.search(
        r"(?P<indent>^[ \t]+)?(?P<message>" + r"\s+".join(map(re.escape, words)) + ")", text, re.MULTILINE
    )
    return message if match is None else match["message"].replace(f"\n{match['indent'] or ''}", "\n")


def _spellings(raised: _Said) -> set[str]:
    """How a report may write what was raised, without blanks."""
    error_type, message, _ = raised
    return {"".join(text.split()) for text in (message, f"{error_type}:{message}", f"{error_type}{message}")}


def _typed(error_type: str, message: str, text: str) -> _Said:
    """Read an error type in the message, or at the end of pytest's text; and the causes of xUnit and RSpec."""
    typed, ending = _TYPED.fullmatch(message), _ENDING.search(text.rstrip())
    error_type = error_type or (typed[1] if typed else ending[1] if ending else "")
    if typed and typed[1].rpartition(".")[2] == error_type.rpartition(".")[2]:
        message = typed[2]
    inner = _XUNIT_CAUSE.search(message)
    message = message[: inner.start()] if inner else message
    inner = inner or _RUBY_CAUSE.search(text)
    return error_type, message.strip(), None if inner is None else f"{inner['type']}: {inner['message'].strip()}"


def _raised(text: str) -> _Said | None:
    """Return what a text says was raised."""
    if text.startswith("E ") or "\nE " in text:
        return _raised_in_pytest(text)
    wrapped = _NODE_CAUSE.search(text)
    inner = text[wrapped.end() :].replace("\n  ", "\n") if wrapped else text
    traceback = split_traceback(inner)[1]
    parsed = read_any_traceback(traceback) if traceback else None
    return None if parsed is None else (parsed.error_type.removesuffix(" [Error]"), parsed.message, parsed.cause)


def _raised_in_pytest(text: str) -> _Said | None:
    """Read the lines that begin with E; exceptions before "direct cause" are causes."""
    sections = text.split(_FROM)
    first = next(iter(_RAISED.finditer(sections[0])), None) if len(sections) > 1 else None
    last = _RAISED.search(sections[-1])
    if last is None:
        return None
    more = []
    for line in sections[-1][last.end() :].lstrip("\n").split("\n"):
        if not line.startswith("E "):
            break
        more.append(line[4:])
    message = "\n".join([last["message"], *more]).rstrip()
    return last["type"], message, f"{first['type']}: {first['message']}" if first else None


def _first_line(text: str, test: dict[str, str]) -> str:
    """Return the first line of a text that says something; of a test of Go, what it says last."""
    if _GO_TEST.search(text):
        return go_failure(text) or ""
    lines = (line for line in text.splitlines() if not _is_hollow(line, test))
    return next((line.strip() for line in lines if "─────" not in line), "")
