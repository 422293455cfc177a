"""Reads error type, message and root cause from the text of a traceback.

Supported are Python, also exception groups; languages whose frames are on lines with "at": Java, Kotlin, Node.js, .NET;
and PHP, Go, Ruby and Rust.
"""

import re
from typing import NamedTuple

from failaware.capture.other_tracebacks import read_other
from failaware.capture.root_cause import TRACEBACK, cause_before, raised, root_cause
from failaware.model import ERROR_HERE, MEMBER

_MAX_READ = 1_048_576  # characters searched of a text
_MAX_HEAD = 16_384  # and of its part before the first frame
_TRACEBACK_LINE = re.compile(rf"^{re.escape(TRACEBACK)}$", re.MULTILINE)
_SYNTAX_ERROR = re.compile(r'\s*File "[^"\n]+", line \d+\n')  # in the program's own file: it has no heading
_GROUP_LINE = re.compile(rf"^  \+ Exception Group {re.escape(TRACEBACK)}$", re.MULTILINE)
_IN_GROUP = re.compile(r"^  \| (?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$", re.MULTILINE)
_MEMBER_LINE = re.compile(r"^ +\+(?P<inner>-\+)?-{16} \d+ -{16}$")
_MEMBER = re.compile(rf"^ +\| (?!{re.escape(TRACEBACK)})(?P<raised>[A-Za-z_][\w.]*(?:: .*)?)$")
_FIRST_FRAME = re.compile(r"\n[ \t]+at \S")
_BEFORE = r'(?:Exception in thread "[^"\n]{0,200}" |Uncaught (?:\(in promise\) )?|Unhandled exception[.:] )?'
_HEAD = re.compile(
    _BEFORE + r"(?P<type>[A-Za-z_$][\w$]*(?:[.+/][A-Za-z_$][\w$]*)*)(?: \[\w+\])?(?:: (?P<message>.*))?", re.DOTALL
)
_WRAPPED_BY, _NEWLINE = "\nWrapped by: ", "\n"
_NAMED = re.compile(r"Error|Exception|Throwable|Failure|Fault|Panic")
_ALONE = re.compile(
    r"(?P<type>[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning))(?:: (?P<message>.*))?", re.DOTALL
)


class RaisedText(NamedTuple):
    """An exception read from a text: error type, message, root cause, and the whole traceback.

    In the traceback, ERROR_HERE replaces type and message, which may differ between failures at one place.
    """

    error_type: str
    message: str
    cause: str | None
    traceback: str


def read_traceback(text: str) -> RaisedText | None:
    """Return the exception of the Python traceback at the end of a text; None if there is none."""
    starts = [match.start() for match in _TRACEBACK_LINE.finditer(text)]
    if not starts and _SYNTAX_ERROR.match(text):
        starts = [0]
    last = raised(text[starts[-1] :], is_alone=True) if starts else None
    if last is None:
        return None
    before, line, after = text.rpartition(": ".join(filter(None, last)))
    return RaisedText(*last, cause_before(text, starts[-1]), f"{before}{ERROR_HERE}{after}" if line else text)


def read_python_traceback(text: str) -> RaisedText | None:
    """As `read_traceback`, also for exception groups."""
    return read_traceback(text) or _read_group(text)


def read_any_traceback(text: str) -> RaisedText | None:
    """Return the exception of a traceback in any of the supported languages; None if there is none."""
    text = text[:_MAX_READ].replace("\r\n", "\n")
    return read_python_traceback(text) or _read_other(text) or _read_frames(text) or _read_alone(text)


def _read_group(text: str) -> RaisedText | None:
    start = _GROUP_LINE.search(text)
    named = None if start is None else _IN_GROUP.search(text, start.end())
    if named is None:
        return None
    return RaisedText(named["type"], named["message"] or "", _members(text[named.end() :]), text)


def _members(text: str) -> str | None:
    """Return the root causes of a group: what each numbered part names first, except inner groups."""
    members: list[str | None] = []
    for line in text.splitlines():
        if number := _MEMBER_LINE.match(line):
            if number["inner"] and members:
                members.pop()  # the group that contains it
            members.append(None)
        elif members and members[-1] is None and (named := _MEMBER.match(line)):
            members[-1] = named["raised"]
    return MEMBER.join(dict.fromkeys(filter(None, members))) or None


def _read_frames(text: str) -> RaisedText | None:
    """Read what is before the first line that begins with "at"; the message may have several lines."""
    first = _FIRST_FRAME.search("\n" + text)
    lines = [] if first is None else text[: max(first.start() - 1, 0)][-_MAX_HEAD:].split("\n")
    heads = {number: match for number, line in enumerate(lines) if (match := _HEAD.match(line))}
    with_error_name = [number for number, match in heads.items() if _NAMED.search(match["type"])]
    with_message = [number for number, match in heads.items() if match["message"]]
    candidates = [*(0 for number in heads if number == 0), *with_message[-1:], *with_error_name[-1:]]
    if not candidates:
        return None
    head = _HEAD.fullmatch("\n".join(lines[candidates[-1] :]))
    if head is None:
        return None
    message = (head["message"] or "").partition("\n ---> ")[0].strip()
    if _WRAPPED_BY in message:  # logback, with the root cause first
        outer = _HEAD.fullmatch(message.rpartition(_WRAPPED_BY)[2])
        if outer is not None:
            cause = f"{head['type']}: {message.partition(_NEWLINE)[0]}"
            return _begun_by(text, outer["type"], (outer["message"] or "").strip(), cause)
    return _begun_by(text, head["type"], message, root_cause(text))


def _read_other(text: str) -> RaisedText | None:
    raised = read_other(text)
    return None if raised is None else _begun_by(text, *raised)


def _read_alone(text: str) -> RaisedText | None:
    """Read a text that is one line or message without frames."""
    alone = _ALONE.fullmatch(text.strip())
    return None if alone is None else _begun_by(text, alone["type"], (alone["message"] or "").strip(), None)


def _begun_by(text: str, error_type: str, message: str, cause: str | None) -> RaisedText:
    before, line, after = text.partition(": ".join(filter(None, (error_type, message))))
    return RaisedText(error_type, message, cause, f"{before}{ERROR_HERE}{after}" if line else text)
