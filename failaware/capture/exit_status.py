"""What a program leaves behind as a failure: its exit status or signal, and the end of what it wrote.

A Python traceback at the end of standard error gives its own type and message; else the last line that says what is
wrong does.
"""

import re
import signal
from typing import NamedTuple

from failaware.capture.exceptions import failure
from failaware.capture.root_cause import TRACEBACK, cause_before, raised
from failaware.capture.secrets.masking import Masker
from failaware.model import Failure
from failaware.text import without_escapes

TAIL = 16_384
"""Bytes of each stream that are kept, its end."""

_SEEN = 60  # lines at the end of standard error among which the one that says what is wrong is looked for
_WRONG = re.compile(
    r"\b(?:error|fatal|fail(?:s|ed|ure)?|panic(?:ked)?|\w*exception|abort(?:ed|ing)?|cannot|can't|could not|denied"
    r"|refused|not found|no such|invalid|unable|timed out|timeout|critical|caused by|unrecognized|unknown)\b"
    r"|\w+Error\b",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"\b(?:0|no) (?:\w+ )?(?:errors?|failures?|failed)\b", re.IGNORECASE)


class Ended(NamedTuple):
    """How one run of a program ended.

    `status` is the exit status, or minus the signal that killed it, as subprocess has it. `limit` says how long it was
    given, when it was stopped for taking longer. `unstartable` says why it did not even begin. `out` and `err` are the
    ends of what it wrote; with `one_stream`, where both go to one file, `err` is that of both. Times are in µs.
    """

    status: int
    started_at: int
    finished_at: int
    out: bytes = b""
    err: bytes = b""
    limit: str | None = None
    unstartable: str | None = None
    one_stream: bool = False

    @property
    def exit_status(self) -> int:
        """As a shell gives it: 128 + signal of a killed program; 124, as of timeout(1), of one that took too long."""
        if self.limit is not None:
            return 124
        return 128 - self.status if self.status < 0 else self.status


def describe_end(end: Ended, *, masker: Masker) -> Failure | None:
    """What is kept of a run; None when it succeeded.

    The type is that of a Python traceback, or ExitStatus, Killed, TimedOut or NotStarted.
    """
    if end.exit_status == 0:
        return None
    err = _legible(end.err)
    error_type, message, cause = _what(end, err)
    return failure(error_type, message, _kept(end, err), cause=cause, masker=masker)


def _what(end: Ended, err: str) -> tuple[str, str, str | None]:
    """Type, message and root cause."""
    if end.unstartable is not None:
        return "NotStarted", end.unstartable, None
    if end.limit is not None:
        return "TimedOut", f"not done within {end.limit}: {_ending(end)}", None
    if end.status < 0:
        return "Killed", _ending(end), None
    said_by_python = _raised(err)
    if said_by_python is not None:
        return said_by_python
    said = _said(err) or _said(_legible(end.out))
    return "ExitStatus", f"exit status {end.status}" + (f": {said}" if said else ""), None


def _ending(end: Ended) -> str:
    if end.status >= 0:
        return f"exit status {end.status}"
    try:
        return f"killed by {signal.Signals(-end.status).name}"
    except ValueError:
        return f"killed by signal {-end.status}"


def _kept(end: Ended, err: str) -> str | None:
    """The ends of both streams, where a traceback stands: the one that says more is last."""
    last = "output" if end.one_stream else "standard error"
    parts = [(name, text) for name, text in (("standard output", _legible(end.out)), (last, err)) if text]
    if not parts:
        return None
    return "\n".join(f"── end of {name}, {_ending(end)}\n{text}" for name, text in parts)


def _legible(tail: bytes) -> str:
    """A tail as text: whole lines, without colours, and of a line that was written over its last form."""
    if len(tail) >= TAIL:
        tail = tail.partition(b"\n")[2] or tail  # the first line is cut
    text = without_escapes(tail.decode("utf-8", "backslashreplace"))
    return "\n".join(line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")).strip("\n")


def _said(text: str) -> str | None:
    """The last line that says what is wrong, or else the last one; with the next one where it ends in a colon."""
    lines = [line for line in text.splitlines() if line.strip()][-_SEEN:]
    if not lines:
        return None
    telling = [
        place
        for place, line in enumerate(lines)
        if not line[0].isspace() and _WRONG.search(line) and not _HARMLESS.search(line)
    ]
    place = telling[-1] if telling else len(lines) - 1
    if lines[place].endswith(":") and place + 1 < len(lines):
        return f"{lines[place].strip()} {lines[place + 1].strip()}"
    return lines[place].strip()


def _raised(text: str) -> tuple[str, str, str | None] | None:
    """Type, message and root cause of the traceback that standard error ends with, if it does."""
    start = text.rfind(TRACEBACK)
    if start < 0 or (start and text[start - 1] != "\n"):
        return None
    last = raised(text[start:])
    return None if last is None else (*last, cause_before(text, start))
