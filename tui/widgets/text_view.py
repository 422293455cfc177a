"""A text with its keys: it is searched, and lines that name an event or a cluster open it.

Enter opens the highlighted line, and moving goes from one to the next.
"""

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from failaware.text import cut

from ..documents import Line, Part
from .scrolling import SCROLL_KEYS, Scrolling
from .wrapped_text import WrappedText

if TYPE_CHECKING:
    from .framed import Framed


class TextView(Scrolling, WrappedText):
    """The text with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL_KEYS,
        Binding("slash", "search", "Search", key_display="/"),
        Binding("enter", "open", "Open", key_display="⏎"),
        Binding("l,right", "open", "Open", show=False),
        Binding("left", "screen.back", "Back", show=False),
    ]

    class SearchAsked(Message):
        """Ask what to search for."""

        def __init__(self, view: "TextView") -> None:
            super().__init__()
            self.view = view

    class Opened(Message):
        """Open what a line names: 'event', 'attempt' or 'cluster', and its id."""

        def __init__(self, names: tuple[str, int]) -> None:
            super().__init__()
            self.names = names

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.frame: Framed = self
        """The widget whose border shows the place among the matches."""
        self._needle = ""
        self._matches: list[tuple[int, int]] = []  # the lines and positions where the text has it
        self._match = 0
        self._links: list[int] = []  # the numbers of the lines that open something
        self._link = 0

    def _changed(self) -> None:
        self._links = [number for number, line in enumerate(self.lines) if line.names is not None]
        self._link = min(self._link, max(len(self._links) - 1, 0))
        self._find()
        super()._changed()
        self.refresh_bindings()

    @property
    def is_searched(self) -> bool:
        """Whether something is searched in this text."""
        return bool(self._needle)

    def search(self, needle: str) -> bool:
        """Go to the first match from the top of what is in sight; False if there is none. Case does not matter."""
        self._needle = needle
        self._find()
        first = bisect_right(self._ends, self.scroll_offset.y)
        self._match = bisect_left(self._matches, (first, 0)) - 1
        self.action_next_match(1)
        return bool(self._matches)

    def _find(self) -> None:
        needle = re.compile(re.escape(self._needle), re.IGNORECASE) if self._needle else None
        self._matches = [
            (number, match.start())
            for number, line in enumerate(self.lines if needle else ())
            for match in (needle.finditer(line.text) if needle else ())
        ]

    def action_search(self) -> None:
        """Ask what to search for."""
        self.post_message(self.SearchAsked(self))

    def action_next_match(self, way: int) -> None:
        """To the next match, or the one before; after the last one comes the first."""
        if self._matches:
            self._match = (self._match + way) % len(self._matches)
            self._show_line(*self._matches[self._match])
        self.frame.say_below(self.match_place)
        self.refresh()

    @property
    def match_place(self) -> str:
        """What is searched, and the place of the match among all; "" if nothing is."""
        place = f"{self._match + 1}/{len(self._matches)} n N" if self._matches else "not found"
        return f"'{cut(self._needle, 20)}' {place}" if self._needle else ""

    def _show_line(self, number: int, at: int = 0) -> None:
        """Bring a character into sight."""
        row = (self._ends[number - 1] if number else 0) + bisect_right(self._breaks.get(number, (0,)), at) - 1
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if not top <= row < top + height:
            self.scroll_to(y=max(row - height // 3, 0), animate=False)

    def action_scroll_down(self) -> None:
        """To the next line that opens something, if that is near; else by one line."""
        self._to_link(1) or super().action_scroll_down()

    def action_scroll_up(self) -> None:
        """To the line before that opens something, if that is near; else by one line."""
        self._to_link(-1) or super().action_scroll_up()

    def _to_link(self, way: int) -> bool:
        """Highlight the next line that opens something, unless it is more than a page away."""
        link = self._link + way
        if not 0 <= link < len(self._links):
            return False
        row, height = self._ends[self._links[link]] - 1, self.scrollable_content_region.height
        if not self.scroll_offset.y - height <= row < self.scroll_offset.y + 2 * height:
            return False
        self._link = link
        self._show_line(self._links[link])
        self.refresh()
        return True

    def action_open(self) -> None:
        """Open what the highlighted line names."""
        if self._links and (names := self.lines[self._links[self._link]].names) is not None:
            self.post_message(self.Opened(names))

    def on_click(self, event: events.Click) -> None:
        """Open what the line names that was clicked."""
        if (offset := event.get_content_offset(self)) is not None:
            number = bisect_right(self._ends, self.scroll_offset.y + offset.y)
            if number in self._links:
                self._link = self._links.index(number)
                self.action_open()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Enter opens only where lines name something."""
        return bool(self._links) if action == "open" else True

    def _painted(self, number: int, line: Line) -> list[Part]:
        """The parts of a line, with what is searched for, and the line that Enter opens, highlighted."""
        parts = line.paint(line.text)
        if self._links and number == self._links[self._link] and self.has_focus:
            return [(text, f"{meaning} selected") for text, meaning in parts]
        first = bisect_left(self._matches, (number, 0))
        for place in range(first, bisect_left(self._matches, (number + 1, 0))):
            start = self._matches[place][1]
            parts = highlighted(parts, start, start + len(self._needle), "selected" if place == self._match else "mark")
        return parts


def highlighted(parts: list[Part], start: int, end: int, meaning: str) -> list[Part]:
    """The parts of a line, of which the characters from `start` to `end` are painted by a meaning of their own."""
    pieces, at = [], 0
    for text, before in parts:
        left, right = max(start - at, 0), max(end - at, 0)
        pieces += [(text[:left], before), (text[left:right], meaning), (text[right:], before)]
        at += len(text)
    return [(text, look) for text, look in pieces if text]
