"""What all reports share: lines with styles, the paper they are printed on, JSON. Foreign text is made harmless here.

A report is a sequence of `Line`s. On a terminal they are drawn by rich; into a pipe they go as they are, without colour
and not cut to a width, and rich is not even loaded.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

from failaware.errors import StoreMissing, StoreNewer, StoreOlder, UsageError
from failaware.text import cells, cut, has_words, is_url, one_line, shown_place, visible

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"CRITICAL": "bold reverse red", "HIGH": "bold red", "MEDIUM": "yellow", "LOW": "cyan"}
STATUS_STYLES = {"PENDING": "blue", "FAILED": "yellow", "DEAD": "bold red", "SYNCED": "green", "DISMISSED": "dim"}

_ROOM = 50  # cells that a row must have for its long text to stand beside the numbers
_UNCUT = 1_000_000  # the width of a pipe
_LONGEST = 500  # cells of a long text in a list, also in a pipe; what it is about shows the whole


class Line:
    """A piece of text in parts, each with a rich style; it may hold line ends."""

    def __init__(self, text: str = "", style: str = "") -> None:
        self.parts: list[tuple[str, str]] = [(text, style)] if text else []

    def __add__(self, other: "Line") -> "Line":
        """Both, one after the other."""
        both = Line()
        both.parts = self.parts + other.parts
        return both

    @property
    def plain(self) -> str:
        """The text without styles."""
        return "".join(text for text, _ in self.parts)


def _cut(line: Line, room: int) -> Line:
    """The line, or its beginning with … at the end where it takes more cells than there is room."""
    kept = Line()
    for part, style in line.parts:
        kept.parts.append((cut(part, room), style))
        room -= cells(part)
        if room <= 0:
            break
    return kept


class Paper:
    """Where a report is printed: a terminal, through rich, or a pipe (through rich where FORCE_COLOR is set)."""

    def __init__(self) -> None:
        terminal = sys.stdout.isatty()
        self._console = _terminal(None if terminal else _UNCUT) if terminal or os.environ.get("FORCE_COLOR") else None
        self.width = self._console.width if self._console else _UNCUT

    def print(self, *lines: Line) -> None:
        """Print lines; a terminal folds what is too long. Without any, an empty one."""
        for line in lines or (Line(),):
            if self._console is None:
                sys.stdout.write(line.plain.rstrip() + "\n")
            else:
                self._draw(self._console, line)

    def print_cut(self, line: Line) -> None:
        """Print a line; what does not fit the terminal is left out, with … in its place."""
        self.print(_cut(line, self.width))

    @staticmethod
    def _draw(console: "Console", line: Line) -> None:
        from rich.text import Text

        console.print(Text.assemble(*line.parts), overflow="fold")


def _terminal(width: int | None) -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=width)


def add_json(parser: argparse.ArgumentParser) -> None:
    """The --json that every report takes."""
    parser.add_argument("--json", action="store_true", help="one JSON document; times are µs since the epoch, UTC")


def must_exist(place: str) -> None:
    """For commands that write, but make no store.

    Raises:
        StoreMissing: there is none.
    """
    if is_url(place):
        from failaware.read.inspector import Inspector

        with suppress(
            StoreOlder, StoreNewer
        ):  # it is there; whether it can be written is said when it is opened for that
            Inspector.open(place).close()
    elif not Path(place).exists():
        raise StoreMissing(f"there is no store at {place}; name it with --db")


def say(sentence: str) -> None:
    """What a command that goes on for a while has to say, on standard error at once."""
    sys.stderr.write(f"failaware: {one_line(sentence)}\n")
    sys.stderr.flush()


def read_file(path: str) -> str:
    """The text of a file that was named on the command line.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except (OSError, ValueError) as error:  # no such path either
        raise UsageError(f"cannot read {path}: {error}") from None


def positive(value: str) -> int:
    """For argparse: a whole number of 1 or more."""
    if not value.isascii() or not value.isdigit() or not int(value):
        raise argparse.ArgumentTypeError(f"'{value}' is not a whole number of 1 or more")
    return int(value)


def add_decision(parser: argparse.ArgumentParser) -> None:
    """--because and --by of a command that records a decision."""
    help_text = "why; it is kept with the decision"
    parser.add_argument("--because", type=_reason, required=True, metavar="TEXT", help=help_text)
    parser.add_argument("--by", metavar="WHO", help="who decides (default: you, as user@host)")


def _reason(value: str) -> str:
    if not has_words(value):
        raise argparse.ArgumentTypeError("say why in words; readers of the decision need it")
    return value


def print_json(document: Any) -> None:
    """A value of the model, a list of them, or plain values, as one JSON document; ASCII, so harmless anywhere."""
    json.dump(_plain(document), sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_json_list(items: Iterable[Any]) -> None:
    """As `print_json` of a list, item by item."""
    empty = True
    for item in items:
        sys.stdout.write("[\n" if empty else ",\n")
        sys.stdout.write(indent(json.dumps(_plain(item), indent=2), "  "))
        empty = False
    sys.stdout.write("[]\n" if empty else "\n]\n")


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def text(value: object, style: str = "") -> Line:
    """Foreign text on one line, harmless."""
    return Line(one_line(str(value)), style)


def block(value: str, style: str = "") -> Line:
    """Foreign text on its own lines, harmless."""
    return Line(visible(value, keep_newlines=True), style)


def severity(level: str | None) -> Line:
    """A severity as a word, so that it can be read without colour."""
    return text(level or "—", STYLES.get(level or "", "dim"))


def status(name: str, *, dismissed: bool = False) -> Line:
    """A state, and whether a person dismissed the event."""
    return text(f"{name}, dismissed" if dismissed else name, "dim" if dismissed else STATUS_STYLES.get(name, ""))


def short(cluster_id: int) -> str:
    """The first digits of a cluster's id: enough to name it, as with a commit."""
    return str(cluster_id)[:8]


def failure(event_type: str, error_type: str | None, template: str) -> Line:
    """A cluster in words: event type, error type without its module, template; no word twice."""
    return text(f"{event_type}  ", "bold") + cause(error_type, template)


def cause(error_type: str | None, template: str) -> Line:
    """What a cluster's failures are like: error type without its module, template."""
    if error_type is None or error_type == template:
        return text(template)
    return text(f"{error_type.rpartition('.')[2]}: {template}")


def command(args: argparse.Namespace, words: str) -> str:
    """The command that a person would type next, for the same store."""
    default = os.environ.get("FAILAWARE_DB", "failaware.db")
    return f"failaware {words}" if args.db == default else f"failaware --db {shlex.quote(shown_place(args.db))} {words}"


def print_rows(
    paper: Paper,
    columns: Sequence[str],
    rows: Sequence[tuple[Sequence[Line], Line]],
    *,
    right: Iterable[str] = (),
    last: str = "",
) -> None:
    """Rows of short cells that line up, and one long text: beside them where there is room, else on a line below.

    Short cells for which a narrow terminal has no room are not lost either: they stand on a line of their own.
    """
    numbers = {columns.index(name) for name in right}
    widths = [max(cells(name), *(cells(row[n].plain) for row, _ in rows)) for n, name in enumerate(columns)]
    lines = _lines(widths, paper.width)
    beside = paper.width - sum(widths) - 2 * len(widths) >= _ROOM

    def aligned(row: Sequence[Line], which: Sequence[int], long: Line) -> Line:
        whole = Line()
        for n in which:
            space = Line(" " * (widths[n] - cells(row[n].plain)))
            whole += space + row[n] if n in numbers else row[n]
            if long.plain or n != which[-1]:
                whole += Line("  ") if n in numbers else space + Line("  ")
        return whole + long

    def print_row(row: Sequence[Line], long: Line) -> None:
        paper.print_cut(aligned(row, lines[0], long if beside else Line()))
        for which in lines[1:]:
            if any(row[n].plain for n in which):
                paper.print_cut(Line("    ") + aligned(row, which, Line()))
        if long.plain and not beside:
            paper.print_cut(Line("  ") + long)

    if any(columns):
        print_row([Line(name, "bold") for name in columns], Line(last if beside else "", "bold"))
    for row, long in rows:
        print_row(row, _cut(long, _LONGEST))


def _lines(widths: Sequence[int], room: int) -> list[list[int]]:
    """Which columns stand on which line, so that none is cut."""
    lines: list[list[int]] = [[]]
    used = 0
    for n, width in enumerate(widths):
        if lines[-1] and used + width > room:
            lines.append([])
            used = 4
        lines[-1].append(n)
        used += width + 2
    return lines
