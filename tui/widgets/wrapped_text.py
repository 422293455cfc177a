"""A long text that scrolls: it wraps at the width, and paints the lines in sight only."""

from bisect import bisect_right
from itertools import accumulate

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from failaware.text import cells

from ..documents import Line, Part
from ..palette import shade, style
from .framed import Framed


class WrappedText(Framed, ScrollView, can_focus=True):
    """Lines, each with what paints it."""

    ALLOW_SELECT = True

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.lines: list[Line] = []
        self._timed: list[int] = []  # the numbers of those that say how long ago something was
        self._ends: list[int] = []  # for each line the number of rows up to its end
        self._breaks: dict[int, tuple[int, ...]] = {}  # of each line that takes several rows, where they begin
        self._wrapped_at = 0
        self._height = 0
        self._ground = Style()  # looked up once for all rows: that is slow

    def show(self, lines: list[Line]) -> None:
        """Show this text; one that has grown or changed leaves the scroll where it is, or at the end."""
        before, self.lines = self.lines, list(lines)
        self._timed = [number for number, line in enumerate(lines) if line.at_time is not None]
        if [line[:2] for line in before] != [line[:2] for line in lines]:
            self._changed()

    def tick(self, now: int) -> None:
        """Time has passed (now is in µs): show the lines that say so as they are now."""
        before = [self.lines[number].text for number in self._timed]
        for number in self._timed:
            line = self.lines[number]
            self.lines[number] = line._replace(text=line.at_time(now) if line.at_time else line.text)
        if before != [self.lines[number].text for number in self._timed]:
            self._changed()

    def _changed(self) -> None:
        at_end = self._is_at_end()
        self._wrap()
        if at_end:
            self.action_scroll_end()

    def on_resize(self) -> None:
        """Wrap again; a view that is at the end, or scrolling there, stays there."""
        at_end = self._is_at_end()
        self._height = self.scrollable_content_region.height
        if self.scrollable_content_region.width != self._wrapped_at:
            self._wrap()
        if at_end:
            self.action_scroll_end()

    def _is_at_end(self) -> bool:
        """Whether the last row is in sight, or will be; by the height of before, or by that which it has already."""
        rows = self._ends[-1] if self._ends else 0
        return (
            0 < self._height < rows <= self.scroll_target_y + max(self._height, self.scrollable_content_region.height)
        )

    def action_scroll_end(self) -> None:
        """To the last row at once: on the way there would be thousands."""
        self.scroll_end(animate=False)

    def _wrap(self) -> None:
        width = self._wrapped_at = max(self.scrollable_content_region.width, 1)
        self._breaks = {
            number: breaks(line.text, width)
            for number, line in enumerate(self.lines)
            if len(line.text) * 2 > width and cells(line.text) > width  # a character takes two cells at most
        }
        rows = [1] * len(self.lines)
        for number, starts in self._breaks.items():
            rows[number] = len(starts)
        self._ends = list(accumulate(rows))
        self.virtual_size = Size(width, self._ends[-1] if self._ends else 0)
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """These rows of the screen."""
        self._ground = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width, ground = self.size.width, self._ground
        row = self.scroll_offset.y + y
        number = bisect_right(self._ends, row)
        if number >= len(self.lines):
            return Strip.blank(width, ground)
        look = shade(self.app)
        line = self.lines[number]
        start, end = self._span(number, row - (self._ends[number - 1] if number else 0))
        segments, at = [Segment(self._indent(number, start), ground)], 0
        for text, meaning in self._painted(number, line):
            shown = text[max(start - at, 0) : max(end - at, 0)]
            at += len(text)
            if shown:
                segments.append(Segment(shown, ground + style(meaning, look)))
        strip = Strip(segments).adjust_cell_length(width, ground)
        if (selection := self.text_selection) is not None and selection.get_span(row) is not None:
            strip = strip.apply_style(self.screen.get_component_rich_style("screen--selection"))
        return strip.apply_offsets(0, row)

    def _painted(self, number: int, line: Line) -> list[Part]:  # noqa: ARG002
        """The parts of a line, with their styles."""
        return line.paint(line.text)

    def _span(self, number: int, part: int) -> tuple[int, int]:
        """The characters of a line that this row shows."""
        starts = self._breaks.get(number, (0,))
        return starts[part], starts[part + 1] if part + 1 < len(starts) else len(self.lines[number].text)

    def _indent(self, number: int, start: int) -> str:
        """What is before the characters of a row that begins at `start` of its line."""
        return " " * indent(self.lines[number].text, self._wrapped_at) if start else ""

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text, by the rows as they are wrapped."""
        rows = []
        for number, line in enumerate(self.lines):
            for part in range(len(self._breaks.get(number, (0,)))):
                start, end = self._span(number, part)
                rows.append(self._indent(number, start) + line.text[start:end])
        return selection.extract("\n".join(rows)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Paint it."""
        self.refresh()


def indent(text: str, width: int) -> int:
    """By how many cells the further rows of a wrapped line are indented: as the line, at most by half of the width."""
    return min(len(text) - len(text.lstrip(" ")), width // 2)


def breaks(text: str, width: int) -> tuple[int, ...]:
    """Where each row of a wrapped line begins: after a blank where one is near, and never within a wide character."""
    starts = [0]
    further = width - indent(text, width)
    while True:
        start = starts[-1]
        available = further if start else width
        end = start + _fitting(text[start : start + available + 1], available)
        if end >= len(text):
            return tuple(starts)
        blank = text.rfind(" ", start + available // 2, end + 1)
        following = blank + 1 if blank > start else end
        if following >= len(text):  # only the blank is beyond the edge
            return tuple(starts)
        starts.append(following)


def _fitting(text: str, width: int) -> int:
    """How many characters of the text fit; at least one."""
    if text.isascii():
        return min(len(text), width) or 1
    used = 0
    for position, character in enumerate(text):
        used += cells(character)
        if used > width:
            return max(position, 1)
    return len(text) or 1
