"""What all reports share: the console, JSON, times, severities, sparklines. Whatever is shown is made harmless here."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from failaware.text import one_line, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

STYLES = {"CRITICAL": "bold reverse red", "HIGH": "bold red", "MEDIUM": "yellow", "LOW": "cyan"}
STATUS_STYLES = {"PENDING": "blue", "FAILED": "yellow", "DEAD": "bold red", "SYNCED": "green", "DISMISSED": "dim"}
WIDE = 120
"""From this many columns on, tables have room for the failure beside the numbers."""


def add_json(parser: argparse.ArgumentParser) -> None:
    """The --json that every report takes."""
    parser.add_argument("--json", action="store_true", help="one JSON document; times are µs since the epoch, UTC")


def console() -> "Console":
    """The terminal; when piped, wide enough that nothing is cut, and without colour."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False, markup=False, emoji=False)
    return Console(highlight=False, markup=False, emoji=False, width=10_000, color_system=None)


def print_json(document: Any) -> None:
    """A dataclass, a list of them, or plain values, as one JSON document. ASCII only, so it is harmless anywhere."""
    json.dump(_plain(document), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def table(*columns: str, right: Iterable[str] = ()) -> "Table":
    """A table that lines up: headings, no box, the columns in `right` aligned to the right."""
    from rich.table import Table

    numbers = set(right)
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    made.columns[-1].no_wrap = False
    made.columns[-1].overflow = "fold"
    return made


def text(value: object, style: str = "") -> "Text":
    """Foreign text on one line, harmless."""
    from rich.text import Text

    return Text(one_line(str(value)), style=style)


def block(value: str, style: str = "") -> "Text":
    """Foreign text on its own lines, harmless."""
    from rich.text import Text

    return Text(visible(value, keep_newlines=True), style=style)


def severity(level: str | None) -> "Text":
    """A severity as a word, so that it can be read without colour."""
    return text(level or "—", STYLES.get(level or "", "dim"))


def status(name: str, *, dismissed: bool = False) -> "Text":
    """A state, and whether a person dismissed the event."""
    return text(f"{name}, dismissed" if dismissed else name, "dim" if dismissed else STATUS_STYLES[name])


def short(cluster_id: int) -> str:
    """The first digits of a cluster's id: enough to name it, as with a commit."""
    return str(cluster_id)[:8]


def cluster_name(error_type: str | None, template: str) -> str:
    """A cluster's failure: the error type without its module, and the template, once when they say the same."""
    if error_type is None or error_type == template:
        return template
    return f"{error_type.rpartition('.')[2]}: {template}"


def print_rows(
    console: "Console",
    columns: Sequence[str],
    rows: "Sequence[tuple[Sequence[Text], Text]]",
    *,
    right: Iterable[str] = (),
    last: str,
) -> None:
    """Rows of short cells and one long text: beside them where there is room, else on a line of its own below."""
    from rich.text import Text

    wide = console.width >= WIDE
    numbers = {columns.index(name) for name in right}
    widths = [max(len(name), *(cells[n].cell_len for cells, _ in rows)) for n, name in enumerate(columns)]

    def line(cells: "Sequence[Text]") -> "Text":
        padded = []
        for n, cell in enumerate(cells):
            space = " " * (widths[n] - cell.cell_len)
            padded.append(Text.assemble(space, cell) if n in numbers else Text.assemble(cell, space))
        return Text("  ").join(padded)

    heading = line([Text(name, "bold") for name in columns])
    console.print(Text.assemble(heading, "  ", (last, "bold")) if wide else heading)
    for cells, long in rows:
        if wide:
            whole = Text.assemble(line(cells), "  ", long)
            whole.truncate(console.width, overflow="ellipsis")
            console.print(whole, no_wrap=True)
        else:
            console.print(line(cells), no_wrap=True, overflow="ellipsis")
            below = Text.assemble("  ", long)
            below.truncate(console.width, overflow="ellipsis")
            console.print(below, no_wrap=True)
