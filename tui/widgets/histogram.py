"""The histogram of failed attempts over the last 24 hours or 7 days; a part of it can be selected as a filter."""

from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from failaware.model import HOUR
from failaware.read.trends import in_last_hour
from failaware.text import cells, counted, cut, moment

from ..columns import clock_time, day_name
from .lines import StyledText

DAY, WEEK = 24, 168
_LABEL = 16  # cells at the right: the highest hour, and the last one
_WIDEST = 6  # cells of a bar
_STEPS = (1, 2, 3, 4, 6, 8, 12, 24)  # hours in a bar
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_TICK_H = 3
_KEYS = "←→ move, shift extends, ⏎ filters, b 24 h or 7 d"


class Bars(NamedTuple):
    """The bars that fit: how many failures, hours and cells each has, and when the first begins (µs)."""

    counts: tuple[int, ...]
    hours: int
    cells: int
    began: int

    @classmethod
    def of(cls, hours: list[int], now: int, width: int) -> "Bars":
        """The hours (oldest first, the last one is that of `now`) in as many bars as have room."""
        each = next((step for step in _STEPS if len(hours) // step <= width), _STEPS[-1])
        counts = tuple(sum(hours[at : at + each]) for at in range(0, len(hours), each))
        wide = max(min(width // max(len(counts), 1), _WIDEST), 1)
        return cls(counts, each, wide, (now // HOUR - len(hours) + 1) * HOUR)

    def begin(self, bar: int) -> int:
        """When a bar begins (µs)."""
        return self.began + bar * self.hours * HOUR

    def rows(self, height: int) -> list[str]:
        """The bars in so many rows, from the top; a blank cell is between bars that have room for it."""
        top, gap = max(self.counts, default=0), " " if self.cells > 1 else ""
        levels = [-(-count * 8 * height // top) if count else 0 for count in self.counts]
        rows = []
        for row in range(height - 1, -1, -1):
            blocks = [_EIGHTHS[min(max(level - 8 * row, 0), 8)] for level in levels]
            bars = [block * (self.cells - len(gap)) + gap for block in blocks]
            zero = (" " if row else "·").ljust(self.cells)
            rows.append("".join(bar if level else zero for bar, level in zip(bars, levels, strict=True)))
        return rows

    def ticks(self) -> str:
        """The times under the bars: hours, and the name of the day at midnight."""
        line, before = "", moment(self.began - HOUR)
        for bar in range(len(self.counts)):
            at = moment(self.begin(bar))
            is_midnight = at[:10] != before[:10]
            text = day_name(at) if is_midnight else at[11:16]
            wanted = is_midnight or (len(self.counts) * self.hours <= DAY and int(at[11:13]) % _TICK_H == 0)
            before, position = at, bar * self.cells
            if wanted and (not line or position > cells(line)) and position + len(text) <= self.width:
                line = line.ljust(position) + text
        return line.ljust(self.width)

    @property
    def width(self) -> int:
        """The cells of all bars."""
        return len(self.counts) * self.cells


class Histogram(StyledText, can_focus=True):
    """Always in sight. With the focus, or with the mouse, some of its bars are selected; they are the filter then."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "bar(-1)", "Earlier", show=False),
        Binding("right", "bar(1)", "Later", show=False),
        Binding("shift+left", "bar(-1, True)", "Extend to earlier", show=False),
        Binding("shift+right", "bar(1, True)", "Extend to later", show=False),
        Binding("enter", "select", "Filter by this period", key_display="⏎"),
        Binding("b", "period", "24 h or 7 d"),
        Binding("escape", "leave", "Back"),
    ]

    class Selected(Message):
        """Show what failed from `begin` to before `end` (µs); the last bar has no end."""

        def __init__(self, begin: int, end: int | None) -> None:
            super().__init__()
            self.begin = begin
            self.end = end

    class PeriodAsked(Message):
        """Show the last day instead of the last week, or the other way round."""

    class Left(Message):
        """The person goes back to the list."""

    def __init__(self) -> None:
        super().__init__(id="histogram")
        self._hours: list[int] = [0] * DAY
        self._now = 0
        self._anchor: int | None = None  # the bar where a selection began
        self._cursor = 0
        self._dragging = False

    def tell(self, hours: list[int], now: int) -> None:
        """The failures by hour, oldest first, up to the hour of now (µs)."""
        changed = len(hours) != len(self._hours)
        self._hours, self._now = hours, now
        if changed:
            self._anchor = None
            self._select_last()
        self._arrange()

    def clear(self) -> None:
        """Select nothing."""
        self._anchor = None
        self._arrange()

    def on_resize(self) -> None:
        """Arrange for the new size."""
        self._arrange()

    def watch_has_focus(self, has_focus: bool) -> None:
        """With the focus, begin with the last bar; without it, show the times again."""
        super().watch_has_focus(has_focus)
        self._select_last()
        self._arrange()

    def _select_last(self) -> None:
        if self._anchor is None and self.has_focus:
            self._anchor = self._cursor = len(self._bars().counts) - 1

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to select; next to the bars, change the period."""
        bars = self._bars()
        if event.x >= bars.width:
            self.post_message(self.PeriodAsked())
            return
        self._anchor = self._cursor = event.x // bars.cells
        self._dragging = True
        self.capture_mouse()
        self._arrange()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Extend the selection."""
        if self._dragging:
            bars = self._bars()
            self._cursor = min(max(event.x // bars.cells, 0), len(bars.counts) - 1)
            self._arrange()

    def on_mouse_up(self) -> None:
        """Filter by what is selected."""
        if self._dragging:
            self._dragging = False
            self.release_mouse()
            self.action_select()

    def action_bar(self, by: int, extend: bool = False) -> None:
        """Select the next bar, or up to it."""
        last = len(self._bars().counts) - 1
        self._cursor = min(max(self._cursor + by, 0), last)
        if not extend or self._anchor is None:
            self._anchor = self._cursor
        self._arrange()

    def action_select(self) -> None:
        """Filter by what is selected."""
        if (selected := self._selected()) is not None:
            bars = self._bars()
            first, last = selected
            self.post_message(
                self.Selected(bars.begin(first), None if last == len(bars.counts) - 1 else bars.begin(last + 1))
            )

    def action_period(self) -> None:
        """24 hours, or 7 days."""
        self.post_message(self.PeriodAsked())

    def action_leave(self) -> None:
        """Back to the list."""
        self.post_message(self.Left())

    def _bars(self) -> Bars:
        return Bars.of(self._hours, self._now, max(self.size.width - _LABEL, 1))

    def _selected(self) -> tuple[int, int] | None:
        if self._anchor is None:
            return None
        last = len(self._bars().counts) - 1
        return min(self._anchor, self._cursor, last), min(max(self._anchor, self._cursor), last)

    def _arrange(self) -> None:
        if not self.size.width:
            return
        bars, height = self._bars(), max(self.size.height - 1, 1)
        first, last = self._selected() or (1, 0)
        left, right = first * bars.cells, (last + 1) * bars.cells
        parts: list[tuple[str, str]] = []
        for row, label in zip(bars.rows(height), self._labels(height), strict=True):
            newest = len(row) - bars.cells
            parts += [(row[:left], "dim"), (row[left:right], "selected")] if right > left else []
            rest = right if right > left else 0
            parts += [(row[rest : max(newest, rest)], "dim"), (row[max(newest, rest) :], "FAILED")]
            parts.append((f" {label}\n", "dim"))
        self.say([*parts, *self._below(bars, first, last)])

    def _labels(self, height: int) -> list[str]:
        """The text next to each row of bars."""
        now = in_last_hour(self._hours, self._now)
        peak = max(now, *self._hours, 0)
        return [f"{now:,}/h, peak {peak:,}"] if height == 1 else [f"peak {peak:,}/h", f"now {now:,}/h"]

    def _below(self, bars: Bars, first: int, last: int) -> list[tuple[str, str]]:
        """Under the bars the times; of a selection, what it is and the keys."""
        total = f"{sum(self._hours):,} in {'24 h' if len(self._hours) == DAY else '7 d'}"
        if last < first or not (self.has_focus or self._dragging):
            return [(cut(bars.ticks(), bars.width), "dim"), (f" {total}", "dim")]
        end = "now" if last == len(bars.counts) - 1 else clock_time(bars.begin(last + 1), self._now)
        number = counted(sum(bars.counts[first : last + 1]), "failed attempt")
        text = f"{clock_time(bars.begin(first), self._now)} to {end}: {number}"
        return [(text, "mark"), (f"  {_KEYS}"[: max(self.size.width - cells(text), 0)], "dim")]
