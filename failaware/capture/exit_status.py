"""Turns the end of a program into a failure: its exit status or signal, and the last of its output.

The type and message are those of the last traceback in standard error, of any language that is supported; otherwise
the message is the last line that looks like an error.
"""

import re
import signal
from itertools import takewhile
from typing import NamedTuple

from failaware.capture.exceptions import failure
from failaware.capture.raised_text import read_any_traceback
from failaware.capture.secrets.masking import Masker
from failaware.capture.stack_lines import last_traceback
from failaware.model import Failure
from failaware.text import without_escapes

TAIL = 16_384
"""Bytes kept from the end of each stream."""

_MAX_PARAGRAPH = 5  # lines
_LAST_LINES = 60  # lines of a stream's end that are searched for an error
_ERROR_WORDS = re.compile(
    r"\b(?:error|fatal|fail(?:s|ed|ure)?|panic(?:ked)?|\w*exception|abort(?:ed|ing)?|cannot|can't|could not|denied"
    r"|refused|not found|no such|invalid|unable|timed out|timeout|critical|caused by|unrecognized|unknown"
    r"|killed|segmentation fault|segfault|out of memory|core dumped|uncaught|unhandled|undefined|missing)\b"
    r"|\w+Error\b|\bERR!",
    re.IGNORECASE,
)
_NO_ERROR = re.compile(r"\b(?:0|no) (?:\w+ )?(?:errors?|failures?|failed)\b|\bprevious errors?$", re.IGNORECASE)
"""A count of none, or the closing line of tar and compilers, which only refers to the lines before it."""
_CLOSING = re.compile(
    r"Error is not recoverable: exiting now$|previous errors?$|\(see previous errors\)|^rsync error: unexplained error"
    r"|^make(?:\[\d+\])?: \*\*\* .*\bError \d+$|Could not read from remote repository\.$|^collect2: error: ld returned"
    r"|^error: (?:could not compile|aborting due to)|^For more information about this error|^\d+ errors?$"
    r"|^\s*dmesg\(1\) may have more|^Unable to load certificate$|^error Command failed with exit code"
    r"|^Some challenges have failed|^(?:\[ERROR\] )?(?:-> )?\[Help \d+\]|^\[ERROR\]\s*$"
    r"|^BEGIN failed--compilation aborted|^Execution of .* aborted due to compilation errors"
    r"|^Compilation failed in require|^Found \d+ errors?\.?$|^dpkg: error processing"
    r"|^nginx: configuration file .* test failed$|: ok=\d+ +changed=\d+ "
    r"|^\[ERROR\] (?:To see the full|Re-run Maven|For more information)"
)
"""Closing lines of tar, rsync, make, git, compilers, Maven, mount, yarn, Perl, dpkg, Ansible: they refer to others."""

_FIRST_ERROR = re.compile(
    r"^\* What went wrong:\n(?P<gradle>.+)$"
    r"|^(?P<line>\S+?:\d+(?::\d+)?: (?:fatal )?error: .*|error\[E\d+\]: .*|\S+\(\d+,\d+\): error .*|\S+\.go:\d+:\d+: .*"
    r"|.*: undefined reference to .*|\[ERROR\] \S+\.(?:java|kt):\[\d+,\d+\] .*|\s+\d+:\d+\s+error\s+\S.*"
    r"|npm (?:ERR!|error) (?!code |errno |syscall |path |command |A complete log)\S.*|CONFLICT \(.*"
    r"|(?:FAILED|ERROR) \S+::.*|\s+Detail: .*)$",
    re.MULTILINE,
)
"""What compilers, npm, Gradle, git merge, pytest and certbot write first; hints and consequences follow."""


class Ended(NamedTuple):
    """How one run of a program ended.

    `status` is the exit status, or minus the number of the signal that killed it, as in subprocess. `limit` is the
    time limit, as text, if the program was stopped for exceeding it. `unstartable` is the reason why it could not be
    started. `out` and `err` are the last bytes of its streams; with `one_stream` both go to one file, and `err` is the
    end of that. Times are in µs since the epoch.
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
        """The exit status as a shell reports it: 128 + signal if killed; 124, as timeout(1), if it took too long."""
        if self.limit is not None:
            return 124
        return 128 - self.status if self.status < 0 else self.status


def describe_end(end: Ended, *, masker: Masker) -> Failure | None:
    """Return the failure of a run, or None if it succeeded.

    The error type is that of a traceback in the output, or ExitStatus, Killed, TimedOut or NotStarted.
    """
    if end.exit_status == 0:
        return None
    err = _decoded(end.err)
    error_type, message, cause = _summary(end, err)
    return failure(error_type, message, _streams(end, err), cause=cause, masker=masker)


def _summary(end: Ended, err: str) -> tuple[str, str, str | None]:
    """Return error type, message and root cause."""
    if end.unstartable is not None:
        return "NotStarted", end.unstartable, None
    if end.limit is not None:
        return "TimedOut", f"not done within {end.limit}: {_status_text(end)}", None
    if end.status < 0:
        return "Killed", _status_text(end), None
    from_traceback = _last_traceback(err) or (None if err else _last_traceback(_decoded(end.out)))
    if from_traceback is not None:
        return from_traceback
    lines = [line for line in (_error_line(err), _error_line(_decoded(end.out))) if line is not None]
    line = next((line for line in lines if looks_like_error(line)), lines[0] if lines else None)
    return "ExitStatus", f"exit status {end.status}" + (f": {line}" if line else ""), None


def _status_text(end: Ended) -> str:
    if end.status >= 0:
        return f"exit status {end.status}"
    try:
        return f"killed by {signal.Signals(-end.status).name}"
    except ValueError:
        return f"killed by signal {-end.status}"


def _streams(end: Ended, err: str) -> str | None:
    """Return the ends of both streams, kept in place of a traceback; standard error, which says more, is last."""
    last = "output" if end.one_stream else "standard error"
    parts = [(name, text) for name, text in (("standard output", _decoded(end.out)), (last, err)) if text]
    if not parts:
        return None
    return "\n".join(f"── end of {name}, {_status_text(end)}\n{text}" for name, text in parts)


def _decoded(tail: bytes) -> str:
    """Decode the end of a stream: whole lines, without colors; of a line that was overwritten (CR), its last form."""
    if len(tail) >= TAIL:
        tail = tail.partition(b"\n")[2] or tail  # the first line is incomplete
    text = without_escapes(tail.decode("utf-8", "backslashreplace"))
    return "\n".join(line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")).strip("\n")


def _error_line(text: str) -> str | None:
    """Return the last line that looks like an error, or the last line; with the next one if it ends in a colon.

    Of programs that write their first error first, it is that.
    """
    first = _FIRST_ERROR.search(text)
    if first is not None:
        return (first["gradle"] or first["line"]).strip()
    lines = [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]
    if not lines:
        return None
    errors = [number for number, line in enumerate(lines) if not line[0].isspace() and looks_like_error(line)]
    others = [number for number, line in enumerate(lines) if not _CLOSING.search(line)]
    telling = [number for number in errors if number in others]
    number = (telling or others or [len(lines) - 1])[-1]
    if lines[number].endswith(":") and number + 1 < len(lines):
        return _with_paragraph(lines[number], text)
    return lines[number].strip()


def _with_paragraph(line: str, text: str) -> str:
    """Return a line with what it announces: the next line, and further ones that are indented too, as CMake writes."""
    following = text.rpartition(f"{line}\n")[2].lstrip("\n").split("\n")
    more = takewhile(lambda each: each[:1] in (" ", "\t"), following[1:_MAX_PARAGRAPH])
    return " ".join(part.strip() for part in (line, following[0], *(more if following[0][:1] in (" ", "\t") else ())))


def looks_like_error(line: str) -> bool:
    """Whether a line has a word such as failed, denied or cannot, and is not a count of no errors."""
    return bool(_ERROR_WORDS.search(line)) and not _NO_ERROR.search(line)


def _last_traceback(text: str) -> tuple[str, str, str | None] | None:
    """Return error type, message and root cause of the last traceback in a stream, if there is one."""
    traceback = last_traceback(text)
    parsed = None if traceback is None else read_any_traceback(traceback)
    return None if parsed is None else (parsed.error_type, parsed.message, parsed.cause)
