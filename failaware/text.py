"""Formats text, times and sparklines for the command line and the inspector, and escapes hostile text.

Payloads, messages and tracebacks are untrusted: no escape, control, bidi or zero-width character of them reaches a
terminal unescaped. Pure; imports nothing of failaware.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_HARMFUL = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: escape sequences begin here
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"  # zero-width, bidi, separators
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159"  # invisible letters and signs
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # formats of hieroglyphs, shorthand, music
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # lone surrogates, which cannot be encoded, and noncharacters
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tags: invisible text
)
# Joiners and variation selectors: some languages need them within words, and file names contain them.
_JOINERS = "\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0d\U000e0100-\U000e01ef"
_SYMBOL = "\u00a9\u00ae\u203c\u2049\u20e3\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_EMOJI = "\ufe0e\ufe0f"
_NOT_IN_NAMES = re.compile(f"[{_HARMFUL}]")
_BAD = re.compile(f"[{_HARMFUL}{_JOINERS}{_EMOJI}]")
_DRAWN = re.compile(f"[{_SYMBOL}][{_EMOJI}]|.[{_EMOJI}]\u20e3", re.DOTALL)  # a visible emoji
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")  # colors, titles
_NEWLINE = re.compile(r"\r\n?|\n")
_TAB = "    "
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_CYCLE_S = 146_097 * 86_400  # 400 years, after which the calendar repeats
_BLOCKS = "▁▂▃▄▅▆▇█"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_PASSWORD = re.compile(  # up to the only @; if there are several, or a # follows, up to the last one
    r"(?<=://)([^:]*:)(?:[^/?#@]*(?=@[^@#]*$)|.*(?=@))|(\b(?:ssl)?password=)[^&]*(?:&[^=&]*(?=&|$))*",
    re.DOTALL | re.IGNORECASE,
)


def visible(text: str, *, keep_newlines: bool = False) -> str:
    r"""Escape every control or invisible character, as `\x1b`.

    Args:
        text: any string.
        keep_newlines: keep line ends, and replace tabs with four blanks.
    """
    if keep_newlines:
        return "\n".join(_escape(line.replace("\t", _TAB)) for line in _NEWLINE.split(text))
    return _escape(text)


def without_escapes(text: str) -> str:
    """Return the text without terminal escape sequences."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def one_line(text: str, width: int | None = None) -> str:
    """Return the text on one line, with ⏎ for line ends, cut to `width` terminal cells with … at the end."""
    if width is not None:
        text = text[: width * 8]  # more than fits; keeps huge texts cheap
    line = _escape(_NEWLINE.sub(" ⏎ ", text).replace("\t", " "))
    return line if width is None else cut(line, width)


def cells(line: str) -> int:
    """Return how many terminal cells a line takes."""
    return len(line) if line.isascii() else sum(map(_cells, line))


def cut(line: str, width: int) -> str:
    """Return the line, cut with … at the end if it takes more than `width` cells."""
    if len(line) <= width and line.isascii():
        return line
    used = 0
    for position, character in enumerate(line):
        cells = _cells(character)
        if used + cells > width or (used + cells == width and position + 1 < len(line)):
            return line[:position] + "…" if width else ""
        used += cells
    return line


def has_words(text: str) -> bool:
    """Whether a text has a letter or a digit, of any script."""
    return any(map(str.isalnum, text))


def bounded(text: str, limit: int) -> str:
    """Return the text, or its start and end with a note of what is left out between; at most `limit` characters."""
    if len(text) <= limit:
        return text
    mark = f" … [{len(text) - limit:,} characters left out] … "
    shown = max(limit - len(mark) - 4, 0)  # the number may get a digit or two more when it counts the mark too
    head, tail = shown - shown // 2, shown // 2
    mark = f" … [{len(text) - shown:,} characters left out] … "
    return (text[:head] + mark + text[len(text) - tail :])[:limit]


def misfit(name: str) -> str | None:
    """Return the first character that a name must not have, as U+200B and its Unicode name; None if there is none.

    Invisible characters would make different names look alike. Blanks of any kind and joiners are allowed.
    """
    match = _NOT_IN_NAMES.search(name)
    if match is None:
        return None
    kind = "a control character" if unicodedata.category(match[0]) == "Cc" else "no character"
    return f"U+{ord(match[0]):04X} ({unicodedata.name(match[0], kind).lower()})"


def fitting(name: str) -> str:
    r"""Return the name with escapes such as `\x1b` for the characters that a name must not have."""
    return _NOT_IN_NAMES.sub(_code, name)


def json_harmless(line: str) -> str:
    """Return a JSON text with the same value, in which control and invisible characters are escaped."""
    if line.isascii() and "\x7f" not in line:
        return line
    return _BAD.sub(_json_code, line)


def storable(text: str) -> str:
    r"""Return the text with lone surrogates and NUL, which databases refuse, as `\ud800` and `\x00`."""
    if text.isascii():
        return text.replace("\x00", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def is_url(place: object) -> bool:
    """Whether a store's place is a URL, not a path."""
    return "://" in str(place)


def shown_place(place: object) -> str:
    """Return a store's place for display: a path as it is, a URL without its password."""
    return _PASSWORD.sub(lambda match: f"{match[1] or match[2]}***", str(place))


def microseconds(moment: datetime) -> int:
    """Return a time as µs since the epoch; without a zone it is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def moment(at: int) -> str:
    """Format a time (µs) as ISO 8601 to the second: UTC, or local time with its offset. Works for any number."""
    try:
        local = datetime.fromtimestamp(at // 1_000_000, UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # a year out of Python's range, at least in this zone
        return moment_utc(at)
    return local.isoformat(" ", "seconds").removesuffix("+00:00") + ("" if local.utcoffset() else "Z")


def moment_utc(at: int) -> str:
    """Format a time (µs) in UTC as ISO 8601, such as 2026-11-20 10:03:00Z; years after 9999 have five digits."""
    cycles, seconds = divmod(at // 1_000_000, _CYCLE_S)
    equivalent = _EPOCH + timedelta(seconds=seconds)  # in a year with the same calendar
    return f"{equivalent.year + 400 * cycles:04}-{equivalent:%m-%d %H:%M:%S}Z"


def distance(at: int, now: int) -> str:
    """Format how far a time is from now: '3 h ago', 'in 40 s'."""
    seconds = abs(now - at) // 1_000_000
    for size, unit in _UNITS:
        if seconds >= size:
            span = f"{seconds // size} {unit}"
            return f"{span} ago" if at < now else f"in {span}"
    return "now"


def span(microseconds: int) -> str:
    """Format a duration (µs): '850 ms', '90 s', '47 h'; in the largest unit of which there are at least two."""
    if microseconds < 1_000_000:
        return f"{microseconds // 1_000} ms"
    seconds = microseconds // 1_000_000
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= 2 * size or size == 1)
    return f"{seconds // size:,} {unit}"


def when(at: int | None, now: int) -> str:
    """Format a time (µs), absolute and relative to now."""
    return "—" if at is None else f"{moment(at)}  ({distance(at, now)})"


def arrows(steps: Sequence[str], *, most: int = 12, width: int = 60) -> str:
    """Join steps with arrows on one line; long steps are cut, and of many steps the middle ones are left out."""
    if len(steps) > most:
        left_out = f"… {len(steps) - most:,} steps …"
        steps = [*steps[: most // 2], left_out, *steps[len(steps) - most // 2 :]]
    return " → ".join(one_line(step, width) for step in steps)


def counted(number: int, noun: str) -> str:
    """Format a count: '1 event', '2,000 events'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def sparkline(values: Sequence[int], top: int = 0) -> str:
    """Draw one character per value, scaled to the largest or to a larger `top`; a dot for zero."""
    top = max(top, *values, 0)
    return "".join("·" if not value else _BLOCKS[(value * (len(_BLOCKS) - 1) + top - 1) // top] for value in values)


def _utf16(character: str) -> Sequence[int]:
    """Return the UTF-16 code units of a character, as JSON escapes it."""
    number = ord(character) - 0x10000
    return (number + 0x10000,) if number < 0 else (0xD800 + (number >> 10), 0xDC00 + (number & 0x3FF))


def _escape(text: str) -> str:
    return _BAD.sub(_code, text) if _BAD.search(text) else text


def _is_drawn(match: re.Match[str]) -> bool:
    """Whether a variation selector makes the character before it an emoji, and is therefore visible."""
    return match[0] in _EMOJI and match.start() > 0 and bool(_DRAWN.match(match.string, match.start() - 1))


def _json_code(match: re.Match[str]) -> str:
    return match[0] if _is_drawn(match) else "".join(f"\\u{unit:04x}" for unit in _utf16(match[0]))


def _code(match: re.Match[str]) -> str:
    if _is_drawn(match):
        return match[0]
    number = ord(match[0])
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


@lru_cache(4096)
def _cells(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:  # accents and variation selectors
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
