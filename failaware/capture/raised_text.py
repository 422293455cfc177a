"""Type, message and root cause of an exception of which only the text of its traceback is there.

Read are Python's tracebacks, those of exception groups too; what has its frames on lines with "at": Java, Kotlin,
Node.js, .NET; and PHP, Go, Ruby and Rust.
"""

import re
from typing import NamedTuple

from failaware.capture.other_tracebacks import read_other
from failaware.capture.root_cause import TRACEBACK, cause_before, raised, root_cause
from failaware.model import ERROR_HERE, MEMBER

_MAX_READ = 1_048_576  # characters of a text that are looked at
_MAX_HEAD = 16_384  # and before the first frame
_TRACEBACK_LINE = re.compile(rf"^{re.escape(TRACEBACK)}$", re.MULTILINE)
_SYNTAX_ERROR = re.compile(r'\s*File "[^"\n]+", line \d+\n')  # in the program's own file: without a heading
_GROUP_LINE = re.compile(rf"^  \+ Exception Group {re.escape(TRACEBACK)}$", re.MULTILINE)
_IN_GROUP = re.compile(r"^  \| (?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$", re.MULTILINE)
_MEMBER_LINE = re.compile(r"^ +\+(?P<inner>-\+)?-{16} \d+ -{16}$")
_MEMBER = re.compile(rf"^ +\| (?!{re.escape(TRACEBACK)})(?P<raised>[A-Za-z_][\w.]*(?:: .*)?)$")
_FIRST_FRAME = re.compile(r"\n[ \t]+at \S")
_BEFORE = r'(?:Exception in thread "[^"\n]{0,200}" |Uncaught (?:\(in promise\) )?|Unhandled exception[.:] )?'
_HEAD = re.compile(
    _BEFORE + r"(?P<type>[A-Za-z_$][\w$]*(?:[.+/][A-Za-z_$][\w$]*)*)(?: \[\w+\])?(?:: (?P<message>.*))?", re.DOTALL
)
_NAMED = re.compile(r"Error|Exception|Throwable|Failure|Fault|Panic")
_ALONE = re.compile(
    r"(?P<type>[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning))(?:: (?P<message>.*))?", re.DOTALL
)


class RaisedText(NamedTuple):
    """An exception of which only the text is there: type, message and root cause, and the whole traceback.

    In the traceback a mark stands for type and message, which may differ between failures at one place.
    """

    error_type: str
    message: str
    cause: str | None
    traceback: str


def read_traceback(text: str) -> RaisedText | None:
    """The exception that Python's traceback at the end of a text tells of; None where there is none."""
    starts = [match.start() for match in _TRACEBACK_LINE.finditer(text)]
    if not starts and _SYNTAX_ERROR.match(text):
        starts = [0]
    last = raised(text[starts[-1] :], is_alone=True) if starts else None
    if last is None:
        return None
    before, line, after = text.rpartition(": ".join(filter(None, last)))
    return RaisedText(*last, cause_before(text, starts[-1]), f"{before}{ERROR_HERE}{after}" if line else text)


def read_python_traceback(text: str) -> RaisedText | None:
    """As `read_traceback`, of exception groups too."""
    return read_traceback(text) or _read_group(text)


def read_any_traceback(text: str) -> RaisedText | None:
    """The exception that a traceback tells of, in any of the languages that are understood."""
    text = text[:_MAX_READ].replace("\r\n", "\n")
    return read_python_traceback(text) or _read_other(text) or _read_frames(text) or _read_alone(text)


def _read_group(text: str) -> RaisedText | None:
    start = _GROUP_LINE.search(text)
    named = None if start is None else _IN_GROUP.search(text, start.end())
    if named is None:
        return None
    return RaisedText(named["type"], named["message"] or "", _members(text[named.end() :]), text)


def _members(text: str) -> str | None:
    """The root causes of a group, its members and theirs: what each numbered part names first, but for inner groups."""
    members: list[str | None] = []
    for line in text.splitlines():
        if number := _MEMBER_LINE.match(line):
            if number["inner"] and members:
                members.pop()  # the group that it belongs to
            members.append(None)
        elif members and members[-1] is None and (named := _MEMBER.match(line)):
            members[-1] = named["raised"]
    return MEMBER.join(dict.fromkeys(filter(None, members))) or None


def _read_frames(text: str) -> RaisedText | None:
    """What stands before the first line that begins with "at": the message may take several lines."""
    first = _FIRST_FRAME.search("\n" + text)
    lines = [] if first is None else text[: max(first.start() - 1, 0)][-_MAX_HEAD:].split("\n")
    heads = {place: match for place, line in enumerate(lines) if (match := _HEAD.match(line))}
    named = [place for place, match in heads.items() if _NAMED.search(match["type"])]
    saying = [place for place, match in heads.items() if match["message"]]
    begin = [*(place for place in heads if place == 0), *saying[-1:], *named[-1:]]  # the last one is the surest
    if not begin:
        return None
    head = _HEAD.fullmatch("\n".join(lines[begin[-1] :]))
    if head is None:
        return None
    message = (head["message"] or "").partition("\n ---> ")[0].strip()
    return _begun_by(text, head["type"], message, root_cause(text))


def _read_other(text: str) -> RaisedText | None:
    raised = read_other(text)
    return None if raised is None else _begun_by(text, *raised)


def _read_alone(text: str) -> RaisedText | None:
    """A text without frames."""
    alone = _ALONE.fullmatch(text.strip())
    return None if alone is None else _begun_by(text, alone["type"], (alone["message"] or "").strip(), None)


def _begun_by(text: str, error_type: str, message: str, cause: str | None) -> RaisedText:
    before, line, after = text.partition(": ".join(filter(None, (error_type, message))))
    return RaisedText(error_type, message, cause, f"{before}{ERROR_HERE}{after}" if line else text)
