"""Long texts for a pane that scrolls: payload, traceback, explanation. Made off the screen's thread; harmless text.

Highlighting happens line by line when a line is painted, so its cost follows the window and not the text.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from failaware.json_text import indented
from failaware.model import Behind, Cluster, Explanation
from failaware.model.stores import written
from failaware.text import bounded, counted, json_harmless, visible

from .palette import symbol

Part = tuple[str, str]
Paint = Callable[[str], list[Part]]

SHOWN = 500_000
"""Characters of one text that are put on the screen; `y` and the CLI give all of it."""
_PRETTY = 500_000  # characters of JSON that are worth indenting: parsing holds up the whole program
_PIECE = 2_000

_FRAME = re.compile(r'^(\s*)File "(?P<file>[^"]*)", line (?P<line>\d+)(?:, in (?P<name>.*))?$')
_LIBRARY = re.compile(r"(?:^|[/\\])(?:site-packages|dist-packages|lib[/\\]python3[^/\\]*)[/\\]|^<frozen ")
_MARKERS = re.compile(r"^\s*\^*[~^]+\s*$")


class Line(NamedTuple):
    """One line: its text, and what colors it without changing it; `plain` is no color at all.

    Where the text says how long ago something was, `at_time` makes it for any other time (µs). A line that names an
    'event', an 'attempt' or a 'cluster' opens it: `names` is that word and the id.
    """

    text: str
    paint: Paint
    at_time: Callable[[int], str] | None = None
    names: tuple[str, int] | None = None


def plain(text: str) -> list[Part]:
    """No colour."""
    return [(text, "")]


def dim(text: str) -> list[Part]:
    """In the background."""
    return [(text, "dim")]


def strong(text: str) -> list[Part]:
    """A heading."""
    return [(text, "strong")]


@cache
def styled(meaning: str) -> Paint:
    """All of it in one style."""
    return lambda text: [(text, meaning)]


def lines_of(text: str, paint: Paint = plain) -> list[Line]:
    """The lines of a foreign text, made harmless; what is over the limit is left out in the middle, and said so."""
    pieces = (
        raw[at : at + _PIECE] for raw in bounded(text, SHOWN).split("\n") for at in range(0, len(raw) or 1, _PIECE)
    )
    return [Line(visible(piece.rstrip("\r").replace("\t", "    ")), paint) for piece in pieces]


def timed(text_at: Callable[[int], str], now: int, paint: Paint = plain) -> list[Line]:
    """As `lines_of` of a text that depends on the time, in its first line alone."""
    first, *others = lines_of(text_at(now), paint)
    return [first._replace(at_time=lambda later: lines_of(text_at(later))[0].text), *others]


def as_json(item: NamedTuple) -> str:
    """A row as one line of JSON, by column, with escapes for what a terminal would obey."""
    return json_harmless(json.dumps(written(item._asdict()), ensure_ascii=False, default=str))


def payload(raw: str) -> list[Line]:
    """JSON indented and coloured; what is too large for that as it is."""
    if len(raw) > _PRETTY:
        note = f"{len(raw):,} characters, shown as they are"
        return [Line(note, dim), *lines_of(raw, json_paint)]
    return lines_of(indented(raw), json_paint)


_JSON = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|(-?\b\d[\d.eE+-]*\b|\btrue\b|\bfalse\b|\bnull\b)')


def json_paint(text: str) -> list[Part]:
    """Keys, strings, and the other values."""
    parts: list[Part] = []
    position = 0
    for match in _JSON.finditer(text):
        parts.append((text[position : match.start()], ""))
        kind = "number" if match[3] else "key" if match[2] else "string"
        parts.append((match[0], kind))
        position = match.end()
    return [*parts, (text[position:], "")]


def code_paint(text: str) -> list[Part]:
    """A line of Python."""
    kinds = {"Token.Keyword": "key strong", "Token.Literal.String": "string", "Token.Literal.Number": "number"}
    parts = []
    for kind, part in _lexer()(text):
        name = str(kind)
        parts.append(
            (part.rstrip("\n"), next((look for start, look in kinds.items() if name.startswith(start)), "code"))
        )
    return parts


@cache
def _lexer() -> Callable[[str], list[tuple[object, str]]]:
    from pygments.lexers.python import PythonLexer  # type: ignore[import-untyped]

    lexer = PythonLexer(stripnl=False, ensurenl=False)
    return lambda text: list(lexer.get_tokens(text))


def _frame_line(frame: re.Match[str]) -> Line:
    """A frame in fewer cells than Python takes for it."""
    parts = [(f"{frame[1]}File ", "dim"), (frame["file"], "key"), (":", "dim"), (frame["line"], "number")]
    parts += [(" in ", "dim"), (frame["name"], "strong")] if frame["name"] else []
    return Line("".join(text for text, _ in parts), lambda _: parts)


class Frames(NamedTuple):
    """A traceback: its lines, and how many frames of libraries are left out of them."""

    lines: list[Line]
    folded: int


def traceback(text: str, *, fold: bool) -> Frames:
    """The lines of a traceback; with `fold`, runs of library frames become one line each, where there are others."""
    lines: list[Line] = []
    run = folded = 0
    in_library = False
    raws = lines_of(text.rstrip("\n"))
    fold = fold and any(
        frame and not _LIBRARY.search(frame["file"]) for frame in (_FRAME.match(raw.text) for raw in raws)
    )
    for raw in raws:
        frame = _FRAME.match(raw.text)
        if frame:
            in_library = bool(_LIBRARY.search(frame["file"]))
        elif not raw.text.startswith("    "):
            in_library = False
        if fold and in_library:
            run += bool(frame)
            folded += bool(frame)
            continue
        lines += _fold_line(run)
        run = 0
        lines.append(_frame_line(frame) if frame and not in_library else _trace_line(raw.text, in_library))
    return Frames(lines + _fold_line(run), folded)


def _fold_line(run: int) -> list[Line]:
    return [Line(f"  … {counted(run, 'library frame')} folded (f unfolds)", dim)] if run else []


def _trace_line(text: str, in_library: bool) -> Line:
    if in_library or _MARKERS.match(text):
        return Line(text, dim)
    return Line(text, code_paint if text.startswith("    ") else strong if not text.startswith(" ") else plain)


def fact_paint(text: str) -> list[Part]:
    """A name of up to ten characters, and what is said of it."""
    return [(text[:11], "dim"), (text[11:], "")]


def _no_rule(cluster: Cluster | None) -> str:
    """Why no severity: of a cluster, its events may have theirs all the same."""
    if cluster is None:
        return "No rule matches: it is resolved, dismissed, or never failed."
    if cluster.unresolved:
        return "No cluster rule matches; each of its unresolved events has its own severity."
    return "No rule matches: none of its events is unresolved."


def _facts(fact: Behind) -> list[Line]:
    """A number, and a line for each of its newest facts; those that are an event or an attempt open it."""
    more = f", the newest {len(fact.ids)}" if fact.value > len(fact.ids) else ""
    opens = fact.kind in {"event", "attempt"}
    return [
        Line(f"  {fact.number:<10} {fact.value:>7,}{more}", plain),
        *(
            Line(f"{' ' * 22}{fact.kind} {number}", dim, names=(fact.kind, number) if opens else None)
            for number in fact.ids
        ),
    ]


def why(explanation: Explanation, cluster: Cluster | None) -> list[Line]:
    """Each rule in order with the numbers it looked at, and how the failures were grouped."""
    name = f"{explanation.entity_type} {explanation.entity_id}"
    lines = [Line(f"{symbol(explanation.severity)}   {name}", styled(explanation.severity or "strong"))]
    if explanation.reason:
        lines += lines_of(f"{explanation.rule}: {explanation.reason}")
    else:
        lines += lines_of(_no_rule(cluster), dim)
    if (since := explanation.since) is not None:
        names = None if since.event_id is None else ("event", since.event_id)
        lines += [line._replace(names=names) for line in lines_of(f"since  {since.sentence}", styled("mark"))]
    lines += [Line("", plain), Line("Rules, in order; the first match decides", strong)]
    for check in explanation.checks:
        won = check.held and check.rule == explanation.rule
        verdict = "matched, decides" if won else "also matches" if check.held else "not"
        lines.append(Line(f"  {check.rule} → {check.severity}: {verdict}", styled(check.severity if won else "")))
        lines.append(Line(f"      {check.condition}", styled("key")))
        numbers = ", ".join(f"{key} {value}" for key, value in check.numbers.items())
        lines.append(Line(f"      {visible(numbers)}", dim))
    if explanation.grouped:
        lines += [Line("", plain), Line(f"Grouped by {explanation.grouped.by}", strong)]
        lines += lines_of(f"message    {explanation.grouped.text}", fact_paint)
        lines += lines_of(f"template   {explanation.grouped.template}", fact_paint)
        for part in explanation.grouped.masked:
            lines += lines_of(f"  {part.placeholder or 'left out':<12} {part.text}", dim)
    if explanation.behind:
        lines += [Line("", plain), Line("The facts behind the numbers, newest first", strong)]
        for fact in explanation.behind:
            lines += _facts(fact)
    return lines
