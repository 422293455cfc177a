"""The time strip: failures by hour and severity over the whole history, and the moment as of which all is shown."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from textual import events
from textual.message import Message

from failaware.model import HOUR
from failaware.model.patterns import HourSeverity
from failaware.read.inspector import Inspector
from failaware.text import cells, cut, distance, moment, sparkline

from ..columns import day_name
from ..messages import Answered
from .lines import StyledText

ROWS = ("CRITICAL", "HIGH", "other")
"""Clusters by their severity now; `other` are resolved, or have no severity."""

_NAME = 9  # cells of a row's name
_WEEK = 168  # hours, up to which days have names
_KEYS = "←→ hour   shift+←→ day   < > change   P play   a now"
_SHORT_KEYS = "←→ <> P a:now"


class History(NamedTuple):
    """The whole history: when it began, what now is, and its failures by hour."""

    began: int
    now: int
    hours: list[HourSeverity]


def look(inspector: Inspector) -> History:
    """The history up to now."""
    hours = inspector.patterns.hours()
    now = inspector.now()
    first = inspector.events(limit=1, order="oldest")
    began = min([now - HOUR, *(event.detected_at for event in first), *(hour.hour_at for hour in hours[:1])])
    return History(began, now, hours)


class Scale(NamedTuple):
    """Which hours a cell shows: an hour or more each, from `first` on (hours since the epoch), `hours` in all."""

    first: int
    hours: int
    width: int

    @classmethod
    def of(cls, history: History, width: int) -> "Scale":
        """All of the history, as fine as it fits; the last cell holds now."""
        last = history.now // HOUR
        hours = max(last - history.began // HOUR + 1, width, 1)
        return cls(last - hours + 1, hours, max(width, 1))

    def cell(self, at: int) -> int:
        """The cell of a moment, or the nearest one."""
        return min(max((at // HOUR - self.first) * self.width // self.hours, 0), self.width - 1)

    def moment(self, cell: int) -> int:
        """The end of a cell's time (µs)."""
        return (self.first + -(-(cell + 1) * self.hours // self.width)) * HOUR


def bars(history: History, scale: Scale, rows: Iterable[str]) -> dict[str, str]:
    """A line of bars for each row, all on one scale; under "all" the sum of all rows."""
    counts = {name: [0] * scale.width for name in (*ROWS, "all")}
    for hour in history.hours:
        if hour.hour_at // HOUR >= scale.first:
            for name in (hour.severity if hour.severity in ROWS else "other", "all"):
                counts[name][scale.cell(hour.hour_at)] += hour.failures
    shown = [name for name in rows if any(counts[name])]
    line = sparkline([count for name in shown for count in counts[name]])
    return {name: line[place * scale.width : (place + 1) * scale.width] for place, name in enumerate(shown)}


class TimeStrip(StyledText):
    """Shown during time travel; a click goes to that hour."""

    class Chosen(Message):
        """Go to this moment."""

        def __init__(self, at: int) -> None:
            super().__init__()
            self.at = at

    def __init__(self) -> None:
        super().__init__(id="time")
        self._history: History | None = None
        self._at: int | None = None
        self._note = ""

    def tick(self, now: int) -> None:
        """Time has passed (now is in µs): say how long ago the moment is."""
        if self._history is not None and self._at is not None:
            self._history = self._history._replace(now=now)
            self._arrange()

    def show_moment(self, at: int | None, note: str) -> None:
        """Set the moment and a note about it; None is now, and hides the strip."""
        self._at, self._note = at, note
        self.show_if(at is not None)
        self._arrange()

    def on_answered(self, message: Answered) -> None:
        """The history, as the reader knows it."""
        message.stop()
        if isinstance(message.answer, History):
            self._history = message.answer
            self._arrange()

    def on_resize(self) -> None:
        """Arrange for the new width."""
        self._arrange()

    def on_click(self, event: events.Click) -> None:
        """Go there."""
        if self._history is not None and event.x > _NAME:
            self.post_message(self.Chosen(self._scale(self._history).moment(event.x - _NAME - 1)))

    def _scale(self, history: History) -> Scale:
        return Scale.of(history, self.size.width - _NAME - 2)

    def _arrange(self) -> None:
        if self._at is None or self._history is None or not self.size.width:
            return
        history, scale = self._history, self._scale(self._history)
        label = f" AS OF {moment(self._at)}  {distance(self._at, history.now)}{self._note}"
        keys = next((text for text in (_KEYS, _SHORT_KEYS, "") if cells(label + text) + 3 <= self.size.width), "")
        gap = " " * (self.size.width - cells(label) - cells(keys) - 1)
        parts = [(cut(label, self.size.width), "mark"), (gap + keys, "dim")]
        short = self.screen.has_class("-short")
        for name, line in bars(history, scale, ("all",) if short else ROWS).items():
            position = scale.cell(self._at)
            meaning = name if name in ROWS[:2] else "dim"
            parts += [(f"\n{name:<{_NAME}} ", meaning), (line[: position + 1], meaning), (line[position + 1 :], "dim")]
        parts += [("\n" + _axis(scale, self._at), "dim")]
        self.say(parts)


def _axis(scale: Scale, at: int) -> str:
    """The position of the moment, the first hour and now; and between them the days, at their midnights."""
    line = [" "] * scale.width
    position = scale.cell(at)
    _put(line, position, "▲")
    _put(line, scale.width - len("now"), "now")
    _put(line, 0, moment(scale.first * HOUR)[:16])
    last_hours = [moment(scale.moment(cell) - HOUR) for cell in range(scale.width)]  # not all: they may be decades
    for cell, (before, day) in enumerate(pairwise(last_hours), start=1):
        if day[:10] != before[:10]:
            _put(line, cell, day_name(day) if scale.hours <= _WEEK else day[5:10])
    return " " * (_NAME + 1) + "".join(line).rstrip()


def _put(line: list[str], at: int, text: str) -> None:
    """Write a text into a line, if it is free there and next to it."""
    end = at + len(text)
    if at >= 0 and end <= len(line) and not "".join(line[max(at - 1, 0) : end + 1]).strip():
        line[at:end] = text
