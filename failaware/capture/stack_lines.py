"""Finds tracebacks among lines: where one begins in a text, and which lines that follow still belong to it."""

import re

from failaware.capture.root_cause import TRACEBACK

_MAX_UP = 20  # lines before the first frame in which the exception's own line is looked for
_MAX_HEAD = 16_384  # and characters
_MAX_READ = 1_048_576  # characters of a text
_FRAME = re.compile(r"^[ \t]+at \S", re.MULTILINE)
_ERROR_NAME = re.compile(
    r"(?:^|(?<=[\s:(]))(?:Uncaught |Unhandled exception[.:] ?)?(?P<type>(?:[\w.$]*[.$])?(?:[A-Z][\w$]*?)?"
    r"(?:Error|Exception|Throwable|Failure|Fault))(?= \[\w+\]:|:|$)",
    re.MULTILINE,
)
_QUALIFIED = re.compile(r"^[A-Za-z_]\w*(?:[.$]\w+)*[.$][A-Z]\w*: ", re.MULTILINE)  # any class of Java
_BEGINS = re.compile(
    rf"(?:^|(?<=[ \t])){re.escape(TRACEBACK)}$"
    rf"|^  \+ Exception Group {re.escape(TRACEBACK)}$"
    r"|^thread '[^'\n]*'(?: \(\d+\))? panicked at "
    r"|^[A-Z]\w*(?:::[A-Z]\w*)* \([^\n]*\):$(?=\n(?:[ \t]*\n)*[ \t]*[^\s:]+:\d+:in )"  # Rails
    r"|^(?:<internal:[^>\n]*>|[^\s:][^:\n]*):\d+:in [`'][^\n]*\([A-Z]\w*(?:::[A-Z]\w*)*\)$",
    re.MULTILINE,
)
_SYNTAX_ERROR = re.compile(  # without a heading, in the program's own file
    r'^  File "[^"\n]+", line \d+\n(?:    .*\n){0,3}(?:SyntaxError|IndentationError|TabError): .*', re.MULTILINE
)
_HINTS = (TRACEBACK, "panicked at ", ":in `", ":in '")
_GOROUTINE = re.compile(r"^goroutine \d+ .*\[", re.MULTILINE)
_PANIC = re.compile(r"^(?:panic|fatal error): ", re.MULTILINE)
_PHP_FRAME = re.compile(r"^#0 ", re.MULTILINE)
_PHP_HEAD = re.compile(r"(?:^(?:PHP )?(?:Fatal error: +)?|(?<=Fatal error:  ))Uncaught [A-Za-z_]", re.MULTILINE)
_ALWAYS = re.compile(
    r"[ \t]|Caused by: |Suppressed: |\.\.\. \d+ more|Stack trace:|#\d+ |stack backtrace:|note: run with|\[signal "
    r"|goroutine \d+ |created by |exit status \d|Node\.js v\d|[}\])]+[,;]?\s*$"
    r"|The above exception was |During handling of |Next [A-Z]|[^\s:]+:\d+:in [`']"
    r"|\(Background on this error|\[(?:SQL|parameters): |For further information visit "  # SQLAlchemy, pydantic
)
_STACK_LINE = re.compile(
    r"[ \t]+(?:at \S|from \S+:\d|File \"|\.\.\. \d+ (?:more|common))|\.\.\. \d+ more|Caused by: |\tsuppressed: |#\d+ "
)
_AFTER_BLANK = re.compile(
    r"The above exception was |During handling of |goroutine \d+ |Next [A-Z]|#0 "
    r"|Node\.js v\d|exit status \d|note: |[ \t]+(?:at |\[cause\]|Caused by)"
)
_GO_LINE = re.compile(r"goroutine \d+ |\S+\(.*\)$|created by |r\w+ +0x|[cdefgs]s +0x|\.\.\.|PASS$|FAIL\b|ok ")
_MORE_MESSAGE = re.compile(r"[-*•+|>^~({\[\"'`]|(?!ERROR|INFO|DEBUG|FATAL)[A-Z]{4,}(?: \d+)?: ")  # such as DETAIL:
_OPEN_ENDS = (":", ",", "(", "[", "{")  # of a line that another one completes
_FRAME_BEGINS = ("at ", "from ", "#0 ", "note: ", "File ")
_CHAINED = ("The above exception was ", "During handling of ")  # between the exceptions of a chain
_HEAD = re.compile(
    rf"{re.escape(TRACEBACK)}|  \+ Exception Group|(?P<block>panic: |fatal error: |goroutine \d+ \[)"
    r"|(?P<message>thread '[^']*'(?: \(\d+\))? panicked at |Exception (?:in|ignored) "
    r"|mod_wsgi [^:]*: Exception occurred |Task exception was never )"
    r"|(?P<source>(?:/|file:|node:|[A-Z]:\\)\S*:\d+$)"
)


def split_traceback(text: str) -> tuple[str, str]:
    """Return the text before a traceback, and the traceback with what follows; an empty one if there is none."""
    if "\n" not in text:
        return text, ""
    read = text[:_MAX_READ]
    starts = [_start_of_python_or_ruby(read), _start_before(_GOROUTINE, _PANIC, read, "goroutine ")]
    starts.append(_start_before(_PHP_FRAME, _PHP_HEAD, read, "\n#0 "))
    start = min((start for start in starts if start is not None), default=None)
    if start is None:
        start = _start_above_frames(read)
    return (text, "") if start is None else (text[:start].rstrip(), text[start:])


def _start_of_python_or_ruby(text: str) -> int | None:
    begins = _BEGINS.search(text) if any(hint in text for hint in _HINTS) else None
    return None if begins is None else begins.start()


def _start_before(stack: re.Pattern[str], head: re.Pattern[str], text: str, hint: str) -> int | None:
    """Return where the first line that names an error begins, not far before a stack."""
    first = stack.search(text) if hint in text else None
    if first is None:
        return None
    named = head.search(text, max(0, first.start() - _MAX_HEAD), first.start())
    return None if named is None else named.start()


def last_traceback(text: str) -> str | None:
    """Return the last traceback in a text of several; lines may follow it."""
    segments: list[list[str]] = []
    lines: TraceLines | None = None
    for line in text.split("\n"):
        if lines is not None and lines.takes(line):
            segments[-1].append(line)
        else:
            lines = TraceLines(line)
            segments.append([line])
    for segment in reversed(segments):
        traceback = split_traceback("\n".join(segment).rstrip())[1] if len(segment) > 1 else ""
        if traceback:
            return traceback
    syntax_error = _SYNTAX_ERROR.search(text)
    return None if syntax_error is None else syntax_error[0]


def _start_above_frames(text: str) -> int | None:
    """Return where the exception is named above the first line that begins with "at"."""
    frame = _FRAME.search(text) if "at " in text else None
    if frame is None or not frame.start():
        return None
    above = text[max(0, frame.start() - _MAX_HEAD) : frame.start() - 1].split("\n")[-_MAX_UP:]
    start = frame.start() - 1 - len("\n".join(above))
    named = _ERROR_NAME.search(text, start, frame.start()) or _QUALIFIED.search(text, start, frame.start())
    if named is not None:
        return named.start()
    return frame.start() - 1 - len(above[-1])  # a type with another name


def continues_stack(line: str) -> bool:
    """Whether a line can only be a part of a stack: a frame, a cause, a count of frames."""
    return line.strip() != "" and _STACK_LINE.match(line) is not None


class TraceLines:
    """Decides, line by line, which lines belong to a text that may be a traceback.

    Args:
        first: the first line of the text.
    """

    def __init__(self, first: str) -> None:
        self._is_blank = False  # the line before
        self._has_frames = False
        self._named = False  # the line that names the exception has come
        self._kind = ""
        self._is_open = False  # the last line asks for another one
        self._is_chained = False  # the last line announces another exception
        self._has_goroutine = False
        self._begin(first)

    def _begin(self, line: str) -> None:
        head = _HEAD.match(line)
        self._kind = "" if head is None else head.lastgroup or "python"
        self._has_frames = self._named = False
        self._has_goroutine = line.startswith("goroutine ")

    @property
    def is_complete(self) -> bool:
        """Whether no line is missing: a traceback of Python ends with a line that names the exception."""
        return self._kind != "python" or (self._named and not self._is_chained)

    @property
    def has_frames(self) -> bool:
        """Whether frames have come: in most languages nothing marks the end of a traceback."""
        return self._has_frames

    @property
    def has_ended(self) -> bool:
        """Whether the last line ends a traceback of Python, after which only a chain goes on."""
        return self._kind == "python" and self._named

    def takes(self, line: str) -> bool:
        """Whether the next line belongs to the text too."""
        if line.startswith(TRACEBACK) and not (self._is_chained or (self._kind == "message" and not self._has_frames)):
            return False
        is_blank = not line.strip()
        taken = is_blank or self._is_chained or (_AFTER_BLANK.match(line) if self._is_blank else self._goes_on(line))
        if self._is_blank and not taken:
            taken = self._kind == "source" and not self._has_frames
        if taken and not is_blank:
            self._follow(line)
        self._is_blank = is_blank
        return bool(taken)

    def _goes_on(self, line: str) -> bool:
        if _ALWAYS.match(line):
            return True
        if self._kind == "python":
            return not self._named or self._is_open or _MORE_MESSAGE.match(line) is not None
        if self._kind == "block":
            return not self._has_goroutine or _GO_LINE.match(line) is not None
        return self._kind in ("message", "source") and not self._has_frames

    def _follow(self, line: str) -> None:
        self._is_chained = line.startswith(_CHAINED)
        if line.startswith((TRACEBACK, "goroutine ", "panic: ")):
            self._begin(line)
        elif self._kind == "python" and line[:1] not in " \t":
            self._named, self._is_open = True, line.endswith(_OPEN_ENDS)
        if line.lstrip().startswith(_FRAME_BEGINS) or self._kind == "block":
            self._has_frames = True
