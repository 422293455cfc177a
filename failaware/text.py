"""How things are written for people, in both faces: hostile text made harmless, times, sparklines.

No escape, control, bidi or zero-width character reaches a terminal or a database raw: payloads, messages and
tracebacks come from strangers, and what is shown is data. Pure; imports nothing of ours.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_HARMFUL = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: escape sequences begin here
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"  # zero-width, bidi, separators
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159"  # letters and signs of which nothing is to be seen
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # formats of hieroglyphs, shorthand, music
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # lone surrogates, which cannot be encoded, and no characters at all
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tags: invisible text
)
# Languages need them, and file names have them: between the letters of a word, or to choose the form of one.
_JOINERS = "\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0d\U000e0100-\U000e01ef"
_SYMBOL = "\u00a9\u00ae\u203c\u2049\u20e3\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_EMOJI = "\ufe0e\ufe0f"
_NOT_IN_NAMES = re.compile(f"[{_HARMFUL}]")
_BAD = re.compile(f"[{_HARMFUL}{_JOINERS}{_EMOJI}]")
_DRAWN = re.compile(f"[{_SYMBOL}][{_EMOJI}]|.[{_EMOJI}]\u20e3", re.DOTALL)  # of a sign an emoji: that is seen
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")  # colors, titles
_NEWLINE = re.compile(r"\r\n?|\n")
_TAB = "    "
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_CYCLE_S = 146_097 * 86_400  # of 400 years, after which the calendar begins again
_BLOCKS = "▁▂▃▄▅▆▇█"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_PASSWORD = re.compile(  # up to the only @; where there are several, or a # after it, all up to the last one
    r"(?<=://)([^:]*:)(?:[^/?#@]*(?=@[^@#]*$)|.*(?=@))|(\b(?:ssl)?password=)[^&]*(?:&[^=&]*(?=&|$))*",
    re.DOTALL | re.IGNORECASE,
)


def visible(text: str, *, keep_newlines: bool = False) -> str:
    r"""The text with every character that a terminal would obey, or not show, as an escape such as `\x1b`.

    Args:
        text: any string at all.
        keep_newlines: leave line ends as they are, and widen tabs to four blanks.
    """
    if keep_newlines:
        return "\n".join(_escape(line.replace("\t", _TAB)) for line in _NEWLINE.split(text))
    return _escape(text)


def without_escapes(text: str) -> str:
    """The text without what colors a terminal or moves its cursor."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def one_line(text: str, width: int | None = None) -> str:
    """The text on one line, line ends shown as ⏎, cut to `width` terminal cells with … at the end."""
    if width is not None:
        text = text[: width * 8]  # far more than can be shown; keeps huge texts cheap
    line = _escape(_NEWLINE.sub(" ⏎ ", text).replace("\t", " "))
    return line if width is None else cut(line, width)


def cells(line: str) -> int:
    """How many terminal cells a line takes."""
    return len(line) if line.isascii() else sum(map(_cells, line))


def cut(line: str, width: int) -> str:
    """The line, or its beginning with … at the end where it takes more than `width` cells."""
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
    """Whether there is a letter or a digit, of any script: blanks, dots and the like say nothing."""
    return any(map(str.isalnum, text))


def bounded(text: str, limit: int) -> str:
    """The text, or its two ends with a mark between them that says how much is left out; at most `limit` characters."""
    if len(text) <= limit:
        return text
    mark = f" … [{len(text) - limit:,} characters left out] … "
    room = max(limit - len(mark) - 4, 0)  # the mark may grow by a digit or two when it counts its own room
    head, tail = room - room // 2, room // 2
    mark = f" … [{len(text) - room:,} characters left out] … "
    return (text[:head] + mark + text[len(text) - tail :])[:limit]


def misfit(name: str) -> str | None:
    """The first character that a name must not have, as U+200B and what it is; None in a name that is one.

    Two names that differ in what cannot be seen would look alike. Blanks of any kind and joiners are fine.
    """
    match = _NOT_IN_NAMES.search(name)
    if match is None:
        return None
    kind = "a control character" if unicodedata.category(match[0]) == "Cc" else "no character"
    return f"U+{ord(match[0]):04X} ({unicodedata.name(match[0], kind).lower()})"


def fitting(name: str) -> str:
    r"""The name with escapes such as `\x1b` in place of what no name must have."""
    return _NOT_IN_NAMES.sub(_code, name)


def json_harmless(line: str) -> str:
    """A JSON text in which all strings mean the same, and nothing is left that a terminal would obey or not show."""
    if line.isascii() and "\x7f" not in line:
        return line
    return _BAD.sub(_json_code, line)


def storable(text: str) -> str:
    r"""The text as any database takes it: lone surrogates and NUL become escapes such as `\ud800` and `\x00`."""
    if text.isascii():
        return text.replace("\x00", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def is_url(place: object) -> bool:
    """Whether a store's place is a URL; otherwise it is a path."""
    return "://" in str(place)


def shown_place(place: object) -> str:
    """Where a store is, for people: a path as it is, a URL without its password."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", str(place))


def microseconds(moment: datetime) -> int:
    """A time as µs since the epoch, to the microsecond; without a zone it is UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def moment(at: int) -> str:
    """A time as ISO 8601 to the second: UTC, or local time with its offset. Any number can be shown."""
    try:
        local = datetime.fromtimestamp(at // 1_000_000, UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # a year that Python has not, perhaps in this zone alone
        return moment_utc(at)
    return local.isoformat(" ", "seconds").removesuffix("+00:00") + ("" if local.utcoffset() else "Z")


def moment_utc(at: int) -> str:
    """A time in UTC as ISO 8601 to the second, such as 2026-11-20 10:03:00Z; years beyond 9999 have five digits."""
    cycles, seconds = divmod(at // 1_000_000, _CYCLE_S)
    shown = _EPOCH + timedelta(seconds=seconds)  # in a year that has the same days
    return f"{shown.year + 400 * cycles:04}-{shown:%m-%d %H:%M:%S}Z"


def distance(at: int, now: int) -> str:
    """How far a time is from now: '3 h ago', 'in 40 s'."""
    seconds = abs(now - at) // 1_000_000
    for size, unit in _UNITS:
        if seconds >= size:
            span = f"{seconds // size} {unit}"
            return f"{span} ago" if at < now else f"in {span}"
    return "now"


def span(microseconds: int) -> str:
    """How long something took: '850 ms', '90 s', '47 h'; a larger unit from two of it on."""
    if microseconds < 1_000_000:
        return f"{microseconds // 1_000} ms"
    seconds = microseconds // 1_000_000
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= 2 * size or size == 1)
    return f"{seconds // size:,} {unit}"


def when(at: int | None, now: int) -> str:
    """Absolute and relative side by side."""
    return "—" if at is None else f"{moment(at)}  ({distance(at, now)})"


def arrows(steps: Sequence[str], *, most: int = 12, width: int = 60) -> str:
    """Steps on one line with arrows between them; long ones are cut, and of many the middle is left out."""
    if len(steps) > most:
        left_out = f"… {len(steps) - most:,} steps …"
        steps = [*steps[: most // 2], left_out, *steps[len(steps) - most // 2 :]]
    return " → ".join(one_line(step, width) for step in steps)


def counted(number: int, noun: str) -> str:
    """'1 event', '2,000 events'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def sparkline(values: Sequence[int]) -> str:
    """One character a value, scaled to the largest; a dot for zero."""
    top = max(values, default=0)
    return "".join("·" if not value else _BLOCKS[(value * (len(_BLOCKS) - 1) + top - 1) // top] for value in values)


def _utf16(character: str) -> Sequence[int]:
    """Its code units, as JSON's escapes have them."""
    number = ord(character) - 0x10000
    return (number + 0x10000,) if number < 0 else (0xD800 + (number >> 10), 0xDC00 + (number & 0x3FF))


def _escape(text: str) -> str:
    return _BAD.sub(_code, text) if _BAD.search(text) else text


def _is_drawn(match: re.Match[str]) -> bool:
    """Whether it makes an emoji of the sign before it, and so is seen."""
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


def _cells(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:  # accents, and what makes an emoji of the sign before it
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
