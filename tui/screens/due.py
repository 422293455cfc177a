"""The retry calendar: what is due within the hour, by event type and minute, with retry storms marked."""

from collections.abc import Iterator
from typing import Any

from textual.containers import Vertical
from textual.widget import Widget

from failaware.model.patterns import RetrySchedule
from failaware.read.retry_schedule import AROUND, BURST_LEAST, BURST_TIMES
from failaware.text import counted, moment, one_line

from .. import documents
from ..columns import Context
from ..patterns import DUE_COLUMNS, DueRow, due_minutes, due_rows
from ..routes import ToEvents
from ..store_reader import Ask
from ..widgets.lines import StyledText
from ..widgets.rows import Rows
from ..widgets.text_view import TextView
from ..window import Window
from .base import BaseScreen

_RULE = f"{BURST_LEAST} or more of one type in a minute, {BURST_TIMES} times the median of the {AROUND} nearest."


class DueScreen(BaseScreen):
    """Event types above, the minutes of the one under the cursor below."""

    crumb = is_place = "due"

    def __init__(self) -> None:
        super().__init__()
        self._window: Window[DueRow] = Window(lambda row: row.key)
        self._calendar: RetrySchedule | None = None

    def body(self) -> Iterator[Widget]:
        """The types, the minutes, and what a retry storm is."""
        with Vertical(id="due"):
            yield Rows(DUE_COLUMNS, self._window, key="key", id="types")
            yield TextView(id="minutes")
        yield StyledText(id="note")

    def on_mount(self) -> None:
        """Ready for the keys."""
        self.query_one(Rows).focus()

    def questions(self) -> dict[str, Ask]:
        """The calendar."""
        return {"calendar": lambda inspector: inspector.patterns.calendar()}

    def answered_calendar(self, calendar: RetrySchedule) -> None:
        """Show it."""
        self._calendar = calendar
        self._window.hold(due_rows(calendar))
        rows = self.query_one(Rows)
        rows.show(Context(calendar.now, {}))
        rows.say_above(f"Retries due  from {moment(calendar.first_minute_at)[11:16]} on, for an hour")
        rows.note = counted(len(calendar.bursts), "retry storm") if calendar.bursts else "no retry storm"
        pending = f"{counted(calendar.pending, 'event')} PENDING, due now. " if calendar.pending else ""
        self.query_one("#note", StyledText).say([(f"{pending}Retry storm: {_RULE}", "dim")])
        self._show_minutes()

    def _show_minutes(self) -> None:
        row: Any = self.query_one(Rows).current
        view, calendar = self.query_one("#minutes", TextView), self._calendar
        if row is None or calendar is None:
            view.show([documents.Line("No retry is due.", documents.dim)])
            return
        view.say_above(f"{one_line(row.due.event_type, 60)} by minute")
        view.show(due_minutes(row, calendar.first_minute_at, calendar.now))

    def on_rows_moved(self, _message: Rows.Moved) -> None:
        """Another event type."""
        self._show_minutes()

    def on_rows_opened(self, message: Rows.Opened) -> None:
        """Down into the events that wait for a retry."""
        self.lead_to(ToEvents(where=message.item.where))
