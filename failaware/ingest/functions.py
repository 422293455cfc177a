"""The functions that expressions of a format may call in addition to those of JMESPath. Pure: any value is accepted."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import product
from json import dumps as encode
from json import loads as decode
from textwrap import dedent
from typing import Any

from failaware.capture.exit_status import looks_like_error
from failaware.capture.record import parse_time
from failaware.capture.root_cause import TRACEBACK
from failaware.capture.stack_lines import split_traceback
from failaware.errors import UsageError
from failaware.text import microseconds, without_escapes

_RANKS = {
    **dict.fromkeys(("trace", "finest", "finer", "verbose", "silly"), 5),
    **dict.fromkeys(("debug", "fine", "config", "d"), 10),
    **dict.fromkeys(("info", "information", "informational", "http", "log", "success", "i"), 20),
    **dict.fromkeys(("notice",), 25),
    **dict.fromkeys(("warn", "warning", "w"), 30),
    **dict.fromkeys(("error", "err", "severe", "eror", "failure", "exception", "e"), 40),
    **dict.fromkeys(("critical", "crit", "fatal", "panic", "dpanic", "alert", "emerg", "emergency", "c", "f"), 50),
}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ZONE = re.compile(r"\s+(?:([+-]\d\d):?(\d\d)|(UTC|GMT|Z))\Z", re.IGNORECASE)
_STYLES = (  # of Apache and asctime(), access logs, e-mail and HTTP; fromisoformat reads the others
    *("%a %b %d %H:%M:%S.%f %Y", "%a %b %d %H:%M:%S %Y", "%d/%b/%Y:%H:%M:%S%z", "%d/%b/%Y %H:%M:%S"),
    *("%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y, %I:%M:%S %p", "%m/%d/%Y, %H:%M:%S"),
    *("%y/%m/%d %H:%M:%S", "%d %b %Y %H:%M:%S.%f", "%b %d, %Y %I:%M:%S %p", "%b %d, %Y, %I:%M:%S %p"),
    *("%a, %d %b %Y %H:%M:%S%z", "%d-%b-%Y %H:%M:%S%z", "%a %b %d %Y %H:%M:%S GMT%z", "%d-%b-%Y %H:%M:%S"),
)
_WITHOUT_YEAR = re.compile(r"(?:[A-Z][a-z]{2} [ \d]\d|\d{4}) \d\d:\d\d:\d\d(?:\.\d+)?")
_STYLES_WITHOUT_YEAR = ("%Y %b %d %H:%M:%S", "%Y %b %d %H:%M:%S.%f", "%Y %m%d %H:%M:%S.%f", "%Y %m%d %H:%M:%S")
_CONTAINER = re.compile(r"/pods/[^/]+/([^/]+)/[^/]+$|/containers/[^/]*_([^/_]+)-[0-9a-f]{64}\.log$")
_JSON_BEGINS = frozenset(' \t\r\n{["-0123456789tfn')
_NONE: tuple[Any, ...] = (None, "", False)
_ESCAPED = re.compile(r"#(0[01]\d)")
_ESCAPED_STACK = re.compile(r"\\n(?:Stack trace:|  File \"|\\tat |    at )")
_GO_PLACE = re.compile(r"\s*[\w.-]+\.go:\d+:")
_TESTIFY = re.compile(r"Error:[ \t]+[^\n]*?(?::[ \t]*(?:\n[ \t]+(?![A-Z][\w ]*:)\S[^\n]*){1,2}|(?=\n)|\Z)")
_GO_FRAME = re.compile(r"=== |PASS$|FAIL$|exit status|coverage: |ok  |FAIL\t\S+\t[\d.]+s$|\?")
_BELOW_ERROR = re.compile(
    r"(?:[\[(]?[\d:/.,TZ+ -]{8,}[\])]?[ :|-]*)?(?:level=|[\[(<])?(?:trace|debug|info|notice|warn|warning)\b"
    r"|\(\w+:\d+\) \[?\w*Warning",
    re.IGNORECASE,
)
_PAIRS = re.compile(r"(?P<message>[^\n]*?)(?P<pairs>(?: +[\w.-]+=(?:\"(?:[^\"\\]|\\.)*\"|[^\s\"]*))+)\s*")
_PAIR = re.compile(r" ([\w.-]+)=(\"(?:[^\"\\]|\\.)*\"|[^\s\"]*)")
_LEVEL = re.compile(r"\s*[A-Z]{4,8}: ")
_TAG = re.compile(r"\[[0-9a-f-]{8,36}\] ")
_MAX_SEARCHED = 2_000  # characters of a text in which words of an error are looked for
_FIRST_WORD = re.compile(r"\s*(?:Uncaught )?([A-Za-z_$][\w.$\\]*)")


def rank(level: Any) -> Any:
    """The rank of a level's name, as in Python's logging: debug 10, info 20, warn 30, error 40, fatal 50.

    A number, also one in a string, is returned as it is; null for other values.
    """
    if isinstance(level, str):
        known = _RANKS.get(level.lower()) or _RANKS.get(without_escapes(level).strip().lower())
        return known if known is not None else _number(level)
    return level if isinstance(level, int | float) and not isinstance(level, bool) else None


def time(value: Any, style: Any = None) -> int | None:
    """A time in microseconds since 1970; null if it is not one.

    Numbers, also in strings, are in seconds, milliseconds, microseconds or nanoseconds, by their size. A text is ISO
    8601, also with `/` and `,` and without a zone, which is then the local one; or in the given style of strptime.
    """
    with suppress(UsageError, ValueError, OverflowError):
        if isinstance(value, str) and value.strip():
            text = value.strip()
            number = None if isinstance(style, str) else _number(text)
            return parse_time(number) if number is not None else _moment(text, style)
        return None if isinstance(value, str) else parse_time(value)
    return None


def _moment(text: str, style: Any) -> int:
    moment = datetime.strptime(text, style) if isinstance(style, str) else _read_moment(text)  # noqa: DTZ007
    return microseconds(moment.astimezone())  # without a zone it is the machine's


def _read_moment(text: str) -> datetime:
    text = _ZONE.sub(lambda zone: "+00:00" if zone[3] else f"{zone[1]}:{zone[2]}", text)
    with suppress(ValueError):
        return datetime.fromisoformat(text.replace("/", "-").upper())
    if _WITHOUT_YEAR.fullmatch(text):
        return _last(text)
    text = text.replace("\u202f", " ")
    for style in _STYLES:
        with suppress(ValueError):
            return datetime.strptime(text, style)  # noqa: DTZ007
    raise ValueError(text)


def _last(text: str) -> datetime:
    """Return the last moment of this date and time of day, in the local zone; tomorrow at most, as clocks differ."""
    now = datetime.now()  # noqa: DTZ005
    for year, style in product((now.year, now.year - 1), _STYLES_WITHOUT_YEAR):
        with suppress(ValueError):  # 29 February
            moment = datetime.strptime(f"{year} {text}", style)  # noqa: DTZ007
            if moment < now + timedelta(days=1):
                return moment
    raise ValueError(text)


def first_word(text: Any) -> str | None:
    """The first word of a text, such as the type at the beginning of a stack; null if it does not begin with one."""
    match = _FIRST_WORD.match(text) if isinstance(text, str) else None
    return match[1] if match else None


def traceback(text: Any) -> str | None:
    """The traceback in a text of several lines, in any of the supported languages; null if there is none."""
    return split_traceback(text)[1] or None if isinstance(text, str) else None


def json(text: Any) -> Any:
    """The value of a JSON text; null if it is not one."""
    with suppress(ValueError, RecursionError):
        return decode(text) if isinstance(text, str) and text[:1] in _JSON_BEGINS else None
    return None


def first_line(text: Any) -> str | None:
    """The first line of a text."""
    return text.partition("\n")[0] if isinstance(text, str) else None


def rest(text: Any) -> str | None:
    """The lines after the first one; null if there are none."""
    return text.partition("\n")[2] or None if isinstance(text, str) else None


def text(value: Any) -> str | None:
    """A text: of an array of bytes (journald) its characters, of another array its lines, of an object its JSON."""
    if isinstance(value, list):
        if value and all(type(byte) is int and 0 <= byte < 256 for byte in value):
            return bytes(value).decode("utf-8", "backslashreplace")
        return "\n".join(str(part) for part in value if part is not None)
    if isinstance(value, dict):
        return encode(value, ensure_ascii=False, separators=(",", ":"))
    return None if value is None else str(value)


def stack(value: Any) -> str | None:
    """A stack as a text: of an array of lines or frames (Lambda, structlog's dict_tracebacks), or of a text itself."""
    if not isinstance(value, list):
        return value if isinstance(value, str) else None
    if value and isinstance(value[0], dict):
        return _python_traceback([each for each in value if isinstance(each, dict)])
    lines = [str(line).rstrip("\n") for line in value]
    head = [TRACEBACK] if lines and lines[0].startswith("  File ") else []
    return "\n".join([*head, *lines]) or None


def _python_traceback(exceptions: list[dict[str, Any]]) -> str:
    """Write the exceptions of structlog's dict_tracebacks, of which the last one raised is first, as Python does."""
    parts: list[str] = []
    for exception in reversed(exceptions):
        given = exception.get("frames")
        frames = [frame for frame in given if isinstance(frame, dict)] if isinstance(given, list) else []
        lines = [f'  File "{one.get("filename")}", line {one.get("lineno")}, in {one.get("name")}\n' for one in frames]
        name = f"{exception.get('exc_type')}: {exception.get('exc_value')}".removesuffix(": ")
        joint = "direct cause of" if exception.get("is_cause") else None
        after = f"\nThe above exception was the {joint} the following exception:\n\n" if joint else ""
        during = "\nDuring handling of the above exception, another exception occurred:\n\n"
        parts += [TRACEBACK, "\n", *lines, name, "\n", after or (during if exception is not exceptions[0] else "")]
    return "".join(parts)


def words(*parts: Any) -> str | None:
    """The parts that are not null, false or empty, with blanks between them; null if there is none."""
    return " ".join(f"{part:.15g}" if type(part) is float else str(part) for part in parts if part not in _NONE) or None


def modulo(number: Any, divisor: Any) -> Any:
    """The remainder of a whole number, also one in a string; null of anything else."""
    number = _number(number) if isinstance(number, str) else number
    both = isinstance(number, int) and isinstance(divisor, int) and divisor
    return number % divisor if both else None


def unescaped(text: Any) -> str | None:
    """A text in which the line ends that syslog daemons (#012) and Apache escape are line ends again."""
    if not isinstance(text, str):
        return None
    plain: str = _ESCAPED.sub(lambda code: chr(int(code[1], 8)), text)
    return plain.replace("\\n", "\n").replace("\\t", "\t") if _ESCAPED_STACK.search(plain) else plain


def go_failure(output: Any) -> str | None:
    """What the output of a test of Go says about its failure: its last message with a place, or its last line."""
    lines = output.splitlines() if isinstance(output, str) else []
    places = [number for number, line in enumerate(lines) if _GO_PLACE.match(line)]
    if places:
        place = lines[places[-1]].strip()
        more = _TESTIFY.search("\n".join(lines[places[-1] + 1 :])) if place.endswith(":") else None
        return " ".join(f"{place} {more[0]}".split()) if more else place
    return next((line.strip() for line in reversed(lines) if line.strip() and not _GO_FRAME.match(line)), None)


def is_error(text: Any) -> bool:
    """Whether a text without a level has words of an error, such as failed, denied, cannot, panic."""
    return isinstance(text, str) and not _BELOW_ERROR.match(text) and looks_like_error(text[:_MAX_SEARCHED])


def with_error(message: Any, error: Any) -> Any:
    """The message, followed by an error that is a text, as loggers of Go and Node.js have it in a field of its own."""
    if not isinstance(error, str) or not error or not isinstance(message, str | None):
        return message
    return f"{message}: {error}" if message and not message.endswith(error) else message or error


def with_pairs(message: Any) -> Any:
    """The message without the pairs `key=value` that follow it, but with their error."""
    match = _PAIRS.fullmatch(message) if isinstance(message, str) else None
    pairs = {} if match is None else dict(_PAIR.findall(match["pairs"]))
    error = pairs.get("error") or pairs.get("err")
    if match is None:
        return message
    return with_error(match["message"].rstrip(" :"), error and str(json(error) or error))


def without_level(text: Any) -> str | None:
    """A text without a level's name and a colon at its beginning."""
    return _LEVEL.sub("", text, count=1) if isinstance(text, str) else None


def untagged(text: Any) -> str | None:
    """A text without the tag, such as a request's, that Rails writes before each of its lines."""
    if not isinstance(text, str):
        return None
    tag = _TAG.match(text)
    return text if tag is None else "\n".join(line.removeprefix(tag[0]) for line in text.split("\n")).strip()


def dedented(text: Any) -> str | None:
    """A text without the blanks before its lines that all of them have."""
    return dedent(text).strip() if isinstance(text, str) else None


def csv_text(text: Any) -> str | None:
    """A text in which the quotation marks that CSV doubles are single again."""
    return text.replace('""', '"') if isinstance(text, str) else None


def container(path: Any) -> str | None:
    """The container that a log of Kubernetes is of, from its path in /var/log/pods or /var/log/containers."""
    match = _CONTAINER.search(path) if isinstance(path, str) else None
    return (match[1] or match[2]) if match else None


def unquoted(text: Any) -> str | None:
    """A text in which the line ends and percent signs that GitHub Actions quotes (%0A) are plain again."""
    if not isinstance(text, str):
        return None
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def upper(text: Any) -> str | None:
    """A text in upper case; null of anything else."""
    return text.upper() if isinstance(text, str) else None


def _number(text: str) -> float | None:
    text = text.strip()
    if not _NUMBER.fullmatch(text) or len(text) > 30:
        return None
    return float(text) if "." in text else int(text)


_ALL = (
    rank,
    time,
    first_word,
    first_line,
    rest,
    json,
    traceback,
    stack,
    text,
    words,
    unescaped,
    modulo,
    go_failure,
    with_error,
    with_pairs,
    without_level,
    untagged,
    dedented,
    csv_text,
    unquoted,
    container,
    is_error,
    upper,
)
FUNCTIONS: dict[str, Callable[..., Any]] = {function.__name__: function for function in _ALL}
"""The functions by name."""
