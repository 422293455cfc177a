"""The painting of a list of any length: the visible lines only, missing pages asked for, the cursor kept on its item.

Textual's own DataTable measures every cell and repaints all of itself for one that changed.
"""

from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from failaware.text import cells, cut

from ..columns import Cell, Column, Context
from ..palette import shade, style
from ..window import Need, Window
from .framed import Framed

Item = TypeVar("Item")
GUTTER = 4
_NEAR = 2  # items above and below those in sight
_LEAST = 32  # cells of the column that takes the rest, below which others are dropped; in a narrow list fewer
_NARROW = 90  # cells of a list with two lines for each item, below which one blank is between columns


class AboutRow(Message):
    """A message about the row of the item with this key."""

    def __init__(self, key: int) -> None:
        super().__init__()
        self.key = key


class PaintedRows(Framed, ScrollView, Generic[Item], can_focus=True):
    """A list with titles; the cursor stays on its item when others come or go.

    An item has one line, or two where a column has a cell `above` the other.
    """

    class Moved(AboutRow, namespace="rows"):
        """The cursor is on another item."""

    class Lacking(Message, namespace="rows"):
        """A page is missing for the visible lines."""

        def __init__(self, need: Need) -> None:
            super().__init__()
            self.need = need

    def __init__(self, columns: tuple[Column, ...], window: Window[Item], *, key: str, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.columns = columns
        self.window = window
        self.cursor = 0
        self.current_key: int | None = None
        self._shown: list[int] = []  # the keys of what was held when it was last painted
        self.marks: dict[int, str] = {}
        self.chosen: dict[int, None] = {}  # the keys of the rows that the person has marked, in that order
        self.sorted_by: tuple[str, str] = ("", "")  # the title of a column, and an arrow
        self._note = ""
        self.context = Context(0, {})
        self._key_name = key
        self._lines_each = 2 if any(column.above for column in columns) else 1
        self._asked: Need | None = None
        self._painted: dict[int, Strip] = {}
        self._fits: dict[str, int] = {}  # the widths of the columns that are as wide as their content, by title
        self._fitting: list[tuple[Column, int]] = []
        self._gap = 2
        self._ground = Style()  # looked up once for all lines: that is slow

    @property
    def note(self) -> str:
        """What the border says next to the position of the cursor."""
        return self._note

    @note.setter
    def note(self, text: str) -> None:
        self._note = text
        self._tell_position()

    def _tell_position(self) -> None:
        """In the border: how many rows are marked, the note, and where the cursor is."""
        marked = f"{len(self.chosen):,} marked (c C y)" if self.chosen else ""
        position = f"{self.cursor + 1:,}/{self.window.size:,}" if self.window.size else ""
        self.say_below("  ".join(part for part in (marked, self._note, position) if part))

    @property
    def fitting(self) -> list[tuple[Column, int]]:
        """The columns that are shown, with their widths."""
        return self._fitting

    @property
    def current(self) -> Item | None:
        """The item under the cursor."""
        return self.window.at(self.cursor)

    def in_sight(self) -> list[Item]:
        """The items that are held and in sight, or nearly."""
        first = max(self.scroll_offset.y // self._lines_each - _NEAR - self.window.start, 0)
        return self.window.items[first : first + self.size.height // self._lines_each + 2 * _NEAR]

    def show(self, context: Context, marks: dict[int, str] | None = None) -> None:
        """Paint the items of the window; the cursor stays on its item, and the item on its line of the screen."""
        self.context = context
        self.marks = self.marks if marks is None else marks
        self._asked = None
        offset = self.cursor * self._lines_each - self.scroll_offset.y
        before = self.current_key
        known = self._position()
        position = self.cursor if known is None else known
        self.cursor = max(min(position, self.window.size - 1), 0)
        self._note_here()
        self._shown = [getattr(item, self._key_name) for item in self.window.items]
        self._fits = {
            column.title: max(cells(column.widest(self.window.items, context)), len(self._title(column)))
            for column in self.columns
            if column.widest is not None
        }
        self._tell_position()
        self._measure()
        line = self.cursor * self._lines_each - offset
        if known is not None and line != self.scroll_offset.y and self.scroll_offset.y:
            self.scroll_to(y=max(line, 0), animate=False)
        self._refresh_changed()
        self._want()
        if self.current_key is not None and (self.current_key != before):
            self.post_message(self.Moved(self.current_key))

    def _measure(self) -> None:
        self._arrange()
        self.virtual_size = Size(self.size.width, self.window.size * self._lines_each + 1)

    def _position(self) -> int | None:
        """The position of the row under the cursor; if it is gone, of the next one shown before, or the previous."""
        position = self.window.position(self.current_key)
        if position is not None or self.current_key not in self._shown:
            return position
        at = self._shown.index(self.current_key)
        positions = {getattr(item, self._key_name): i for i, item in enumerate(self.window.items, self.window.start)}
        nearest = (*self._shown[at + 1 :], *reversed(self._shown[:at]))
        return next((positions[key] for key in nearest if key in positions), None)

    def to_top(self) -> None:
        """Move the cursor to the first item of the next answer."""
        self.current_key, self.cursor = None, 0
        self.scroll_home(animate=False)

    def moved_by(self, by: int) -> None:
        """Shift the cursor with all positions."""
        if by:
            self.cursor += by
            self.scroll_to(y=self.scroll_offset.y + by * self._lines_each, animate=False)

    def tick(self, now: int) -> None:
        """Time has passed: repaint the lines that say so."""
        before, self.context = self.context, self.context._replace(now=now)
        for y in range(1, self.size.height):
            if self._times(y, before) != self._times(y, self.context):
                self._refresh_line(y)

    def _times(self, y: int, context: Context) -> list[Cell]:
        """The cells of a line that depend on the time."""
        position, part = divmod(self.scroll_offset.y + y - 1, self._lines_each)
        item, first = self.window.at(position), part < self._lines_each - 1
        if item is None:
            return []
        cells_of = (column.above if first else column.cell for column, _ in self._fitting if column.timed)
        return [cell(item, context) for cell in cells_of if cell is not None]

    def _refresh_changed(self) -> None:
        """Repaint the lines that are not as they were painted: over a slow connection each byte counts."""
        self._ground = self.rich_style
        for y in range(self.size.height):
            if self._painted.get(y) != self._line(y):
                self._refresh_line(y)

    def _refresh_line(self, y: int, lines: int = 1) -> None:
        self.refresh(Region(0, y, self.size.width, lines))

    def on_resize(self) -> None:
        """Other columns."""
        self._measure()
        self._want()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other lines are in sight."""
        super().watch_scroll_y(old_value, new_value)
        self._want()

    def _note_here(self) -> None:
        item = self.current
        self.current_key = None if item is None else getattr(item, self._key_name)

    def _want(self) -> None:
        top = self.scroll_offset.y // self._lines_each
        need = self.window.need(top, top + max((self.size.height - 1) // self._lines_each, 1))
        if need is not None and need != self._asked:
            self._asked = need
            self.post_message(self.Lacking(need))

    def _arrange(self) -> None:
        """Choose the columns that fit, with their widths, and the blank cells between columns."""
        width = self.size.width
        self._gap = 1 if self._lines_each > 1 and width < _NARROW else 2
        chosen = [column for column in self.columns if column.from_width <= width < column.to_width]
        while True:
            widths = [
                min(column.width, self._fits.get(column.title, len(column.title))) if column.widest else column.width
                for column in chosen
            ]
            rest = width - GUTTER - (2 - self._gap) - sum(cells_wide + self._gap for cells_wide in widths)
            droppable = max(chosen, key=lambda column: column.drop)
            if not droppable.drop or rest >= (min(_LEAST, 4 + width // 4) if 0 in widths else 0):
                break
            chosen.remove(droppable)
        self._fitting = [
            (column, cells_wide or max(rest, 8)) for column, cells_wide in zip(chosen, widths, strict=True)
        ]

    def render_lines(self, crop: Region) -> list[Strip]:
        """These lines of the screen."""
        self._ground = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        strip = self._painted[y] = self._line(y)
        return strip

    def _line(self, y: int) -> Strip:
        width, ground = self.size.width, self._ground
        if y == 0:
            title = style("dim", shade(self.app))
            parts = [(_fit(self._title(c), w, c.right) + " " * self._gap, title) for c, w in self._fitting]
            return self._strip([(" " * GUTTER, title), *parts], ground, width)
        position, part = divmod(self.scroll_offset.y + y - 1, self._lines_each)
        if position >= self.window.size:
            return Strip.blank(width, ground)
        item = self.window.at(position)
        look = shade(self.app)
        chosen = position == self.cursor
        if item is None:
            return self._strip([(" " * GUTTER + "· · ·", style("dim", look))], ground, width)
        key = getattr(item, self._key_name)
        mark = " " if part else self.marks.get(key, " ")
        parts = [(f"{'▌' if chosen else ' '}{'*' if key in self.chosen else ' '}{mark} ", style("mark", look))]
        for text, meaning in self._cells(item, first=part < self._lines_each - 1):
            parts.append((text, style(meaning, look)))
        if chosen:
            ground += self._cursor_style() if look in {"dark", "light"} else Style(reverse=True)
        return self._strip(parts, ground, width)

    def _title(self, column: Column) -> str:
        title, arrow = self.sorted_by
        return column.title + arrow if column.title == title else column.title

    def _cells(self, item: Item, *, first: bool) -> Iterator[Cell]:
        """The cells of a line of an item, with blanks between them; `first` of two lines."""
        columns = self._fitting
        at = 0
        while at < len(columns):
            column, cells_wide = columns[at]
            at += 1
            while first and at < len(columns) and columns[at][0].above is None:
                cells_wide += columns[at][1] + self._gap
                at += 1
            text, meaning = (column.above if first and column.above else column.cell)(item, self.context)
            text = _fit(text, cells_wide, column.right)
            if column.bright_end:
                yield text[:-1], meaning
                text, meaning = text[-1:], column.bright_end
            yield text + " " * self._gap, meaning

    def _cursor_style(self) -> Style:
        return Style(bgcolor=self.get_component_rich_style("rows--cursor").bgcolor)

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor"}

    @staticmethod
    def _strip(parts: list[tuple[str, Style]], ground: Style, width: int) -> Strip:
        return Strip([Segment(text, ground + look) for text, look in parts]).adjust_cell_length(width, ground)


def _fit(text: str, width: int, right: bool) -> str:
    """The text in exactly this many cells."""
    short = cut(text, width)
    blanks = " " * (width - cells(short))
    return blanks + short if right else short + blanks
