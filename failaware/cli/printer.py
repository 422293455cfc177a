"""Prints a report: on a terminal through rich; into a pipe as it is, without color and not cut, and without rich."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from failaware.cli.line import Line, text
from failaware.text import cells

if TYPE_CHECKING:
    from rich.console import Console

_ROOM = 50  # cells that a row must have for its long text to go next to the numbers
_UNCUT = 1_000_000  # the width of a pipe
_LONGEST = 500  # cells of a long text in a list, also in a pipe; what it is about shows the whole

Cell = Line | str
"""A cell of a table; a `str` is foreign text."""


class Printer:
    """Standard output: a terminal, through rich, or a pipe (through rich where FORCE_COLOR is set).

    `now` is the time (µs) as of which a report is drawn; `width` the cells of a line.
    """

    def __init__(self, now: int = 0) -> None:
        terminal = sys.stdout.isatty()
        self._console = _terminal(None if terminal else _UNCUT) if terminal or os.environ.get("FORCE_COLOR") else None
        self.width = self._console.width if self._console else _UNCUT
        self.now = now

    def print(self, *lines: Line) -> None:
        """Print lines; a terminal folds what is too long. Without any, an empty one."""
        for line in lines or (Line(),):
            if self._console is None:
                sys.stdout.write(line.plain.rstrip() + "\n")
            else:
                self._draw(self._console, line)

    def print_cut(self, line: Line) -> None:
        """Print a line; what does not fit the terminal is left out, with … in its place."""
        self.print(line.cut(self.width))

    def write(self, value: object, style: str = "") -> None:
        """Print foreign text on one line."""
        self.print(text(value, style))

    def heading(self, title: str) -> None:
        """Print an empty line, and the title of what follows."""
        self.print(Line(), text(title, "bold"))

    def rows(
        self, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: Iterable[str] = (), last: str = ""
    ) -> None:
        """Print rows of short cells that line up.

        A row may have one cell more than there are columns: a long text, with the title `last`, which goes next to them
        where it fits, else on a line below. Short cells that do not fit a narrow terminal get a line of
        their own. The columns in `right` are aligned to the right.
        """
        table = [[cell if isinstance(cell, Line) else text(cell) for cell in row] for row in rows]
        widths = [max(cells(name), *(cells(row[n].plain) for row in table)) for n, name in enumerate(columns)]
        numbers = {columns.index(name) for name in right}
        inline = self.width - sum(widths) - 2 * len(widths) >= _ROOM
        if any(columns):
            titles = [*columns, last if inline else ""]
            self._row([Line(name, "bold") for name in titles], widths, numbers, inline=inline)
        for row in table:
            long = row[len(columns)].cut(_LONGEST) if len(row) > len(columns) else Line()
            self._row([*row[: len(columns)], long], widths, numbers, inline=inline)

    def _row(self, row: Sequence[Line], widths: Sequence[int], numbers: set[int], *, inline: bool) -> None:
        """One row, on as many lines as it takes; the last cell is the long one."""
        *_, long = row

        def aligned(some: Sequence[int], long: Line) -> Line:
            whole = Line()
            for n in some:
                space = Line(" " * (widths[n] - cells(row[n].plain)))
                whole += space + row[n] if n in numbers else row[n]
                if long.plain or n != some[-1]:
                    whole += Line("  ") if n in numbers else space + Line("  ")
            return whole + long

        first, *more = _lines(widths, self.width)
        self.print_cut(aligned(first, long if inline else Line()))
        for some in more:
            if any(row[n].plain for n in some):
                self.print_cut(Line("    ") + aligned(some, Line()))
        if long.plain and not inline:
            self.print_cut(Line("  ") + long)

    @staticmethod
    def _draw(console: "Console", line: Line) -> None:
        from rich.text import Text

        console.print(Text.assemble(*line.parts), overflow="fold")


def _terminal(width: int | None) -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=width)


def _lines(widths: Sequence[int], available: int) -> list[list[int]]:
    """The columns of each line, such that none is cut."""
    lines: list[list[int]] = [[]]
    used = 0
    for n, width in enumerate(widths):
        if lines[-1] and used + width > available:
            lines.append([])
            used = 4
        lines[-1].append(n)
        used += width + 2
    return lines
