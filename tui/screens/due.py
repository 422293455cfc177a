"""The retry calendar: what is due within the hour, by event type and minute, with herds marked."""

from collections.abc import Iterator
from typing import Any

from textual.containers import Vertical
from textual.widget import Widget

from failaware.model.patterns import Calendar
from failaware.read.retry_schedule import AROUND, HERD_LEAST, HERD_TIMES
from failaware.text import counted, moment, one_line

from .. import documents
from ..columns import Context
from ..patterns import DUE_COLUMNS, DueRow, due_minutes, due_rows
from ..store_reader import Ask
from ..widgets.lines import Words
from ..widgets.rows import Rows
from ..widgets.text_view import TextView
from ..window import Window
from .base import Level
from .events import EventsScreen

_HERD = f"A herd: {HERD_LEAST} or more of one type in a minute, {HERD_TIMES} times the median of the {AROUND} nearest."


class DueScreen(Level):
    """Event types above, the minutes of the one under the cursor below."""

    crumb = "due"

    def __init__(self) -> None:
        super().__init__()
        self._window: Window[DueRow] = Window(lambda row: row.key)
        self._calendar: Calendar | None = None

    def body(self) -> Iterator[Widget]:
        """The types, the minutes, and what a herd is."""
        with Vertical(id="due"):
            yield Rows(DUE_COLUMNS, self._window, key="key", id="types")
            yield TextView(id="minutes")
        yield Words(id="note")

    def on_mount(self) -> None:
        """Ready for the keys."""
        self.query_one(Rows).focus()

    def questions(self) -> dict[str, Ask]:
        """The calendar."""
        return {"calendar": lambda inspector: inspector.patterns.calendar()}

    def answered_calendar(self, calendar: Calendar) -> None:
        """Show it."""
        self._calendar = calendar
        self._window.hold(due_rows(calendar))
        rows = self.query_one(Rows)
        rows.show(Context(calendar.now, {}))
        rows.border_title = f"Retries due  from {moment(calendar.first_minute_at)[11:16]} on, for an hour"
        rows.border_subtitle = counted(len(calendar.herds), "herd") if calendar.herds else "no herd"
        pending = f"{counted(calendar.pending, 'event')} PENDING besides, due now. " if calendar.pending else ""
        self.query_one("#note", Words).say([(f"{pending}{_HERD}", "dim")])
        self._show_minutes()

    def _show_minutes(self) -> None:
        row: Any = self.query_one(Rows).current
        view, calendar = self.query_one("#minutes", TextView), self._calendar
        if row is None or calendar is None:
            view.show([documents.Line("No retry is due.", documents.dim)])
            return
        view.border_title = f"{one_line(row.due.event_type, 60)} by minute"
        view.show(due_minutes(row, calendar.first_minute_at, calendar.now))

    def on_rows_moved(self, _message: Rows.Moved) -> None:
        """Another event type."""
        self._show_minutes()

    def on_rows_opened(self, _message: Rows.Opened) -> None:
        """Down into the events that wait for a retry."""
        row: Any = self.query_one(Rows).current
        self.app.push_screen(EventsScreen(where=row.where))
