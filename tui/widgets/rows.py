"""A list of any length with the keys and the mouse: to move, to open, to mark rows, to sort by a title."""

from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from .painted_rows import GUTTER, AboutRow, Item, PaintedRows


class Rows(PaintedRows[Item]):
    """The list with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False),
        Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False),
        Binding("home,g", "end(-1)", "First", show=False),
        Binding("end,G", "end(1)", "Last", show=False),
        Binding("enter", "open", "Open", key_display="⏎"),
        Binding("l,right", "open", "Open", show=False),
        Binding("space", "choose", "Mark", show=False),
        Binding("left", "screen.back", "Back", show=False),
    ]

    class Opened(AboutRow):
        """Enter or a second click on a row; the list may have changed when the message arrives."""

        def __init__(self, key: int, item: Any) -> None:
            super().__init__(key)
            self.item = item

    class TitleClicked(Message):
        """Sort by this column, or the other way round."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def on_click(self, event: events.Click) -> None:
        """A click selects, on the selected row it opens, and on a title it sorts."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < 1:
            self._click_title(offset.x - GUTTER)
            return
        position = (self.scroll_offset.y + offset.y - 1) // self._lines_each
        if self.window.at(position) is None:
            return
        if position == self.cursor:
            self.action_open()
        else:
            self._go(position)

    def _click_title(self, x: int) -> None:
        for column, cells_wide in self._fitting:
            if 0 <= x < cells_wide:
                self.post_message(self.TitleClicked(column.title))
            x -= cells_wide + self._gap

    def action_move(self, by: int) -> None:
        """The cursor by one."""
        self._go(self.cursor + by)

    def action_page(self, pages: float) -> None:
        """The cursor by pages."""
        self._go(self.cursor + int((self.size.height - 1 - self._lines_each) // self._lines_each * pages))

    def action_end(self, which: int) -> None:
        """To the first or the last row."""
        self._go(self.window.size - 1 if which > 0 else 0)

    def action_open(self) -> None:
        """Go into what is under the cursor."""
        position = self.window.position(self.current_key)
        if self.current_key is not None and position is not None:
            self.post_message(self.Opened(self.current_key, self.window.at(position)))

    def action_choose(self) -> None:
        """Mark the row under the cursor, or no longer, and go on to the next."""
        if self.current_key is not None:
            if self.current_key in self.chosen:
                del self.chosen[self.current_key]
            else:
                self.chosen[self.current_key] = None
            self._tell_position()
            self._refresh_changed()
            self.action_move(1)

    def unmark(self) -> None:
        """Mark no row."""
        self.chosen.clear()
        self._tell_position()
        self._refresh_changed()

    def to_mark(self, way: int) -> bool:
        """To the next or the previous marked row that is held; False if there is none."""
        marked = sorted(p for key in self.marks if (p := self.window.position(key)) is not None)
        beyond = [p for p in marked if (p - self.cursor) * way > 0]
        if beyond:
            self._go(beyond[0] if way > 0 else beyond[-1])
        return bool(beyond)

    def _go(self, position: int) -> None:
        position = max(min(position, self.window.size - 1), 0)
        if position == self.cursor:
            return
        old, self.cursor = self.cursor, position
        self._bring_into_sight(position * self._lines_each)
        for row in (old, position):
            y = row * self._lines_each - self.scroll_offset.y + 1
            self._refresh_line(y, self._lines_each)
        self._note_here()
        self._tell_position()
        if self.current_key is not None:
            self.post_message(self.Moved(self.current_key))
        self._want()

    def _bring_into_sight(self, line: int) -> None:
        """Scroll as little as needed for the item whose first line this is."""
        top, height = self.scroll_offset.y, self.size.height - 1
        to = min(max(top, line + self._lines_each - height), line)
        if to != top:  # forced, since before the next layout there is no scrollbar
            self.scroll_to(y=to, animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        """Fewer lines: the cursor stays in sight."""
        self._bring_into_sight(self.cursor * self._lines_each)
