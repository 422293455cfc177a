"""A screen with a filter above a list."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from ..filters import after, value_of, with_value
from ..widgets.filter_bar import FilterBar
from ..widgets.rows import Rows
from .base import BaseScreen

_SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


class FilteredScreen(BaseScreen):
    """Keys that change the filter; a subclass asks for what matches it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "cycle('severity')", "Severity"),
        Binding("t", "cycle('status')", "Status"),
        Binding("T", "this_type", "This type", show=False),
    ]
    statuses: ClassVar[tuple[str, ...]] = ()

    @property
    def bar(self) -> FilterBar:
        """The filter."""
        return self.query_one(FilterBar)

    @property
    def listed(self) -> "Rows[object]":
        """The list."""
        return self.query_one(Rows)

    @property
    def is_filtered(self) -> bool:
        """Whether the filter differs from the one with which the list was opened."""
        return any(bar.typed.strip() not in {"", bar.given} for bar in self.query(FilterBar))

    def on_filter_bar_left(self) -> None:
        """Back to the list."""
        self.listed.focus()

    def on_filter_bar_changed(self, _message: FilterBar.Changed) -> None:
        """Another filter: from its top."""
        self.bar.note("")
        self.from_top()
        self.refresh_bindings()

    def from_top(self) -> None:
        """Ask for the list's beginning."""
        self.ask()

    def troubled(self, name: str, problem: str) -> None:
        """A filter that is not understood is reported next to it; the list is unchanged."""
        if name == "list":
            self.bar.display = True
            self.bar.note(problem, wrong=True)
        else:
            super().troubled(name, problem)

    def action_filter(self) -> None:
        """Type a filter."""
        self.bar.stores = tuple(self.inspector_app.places) if self.inspector_app.has_several else ()
        self.bar.open()

    def action_cycle(self, field: str) -> None:
        """The next severity, or status; after the last one all again."""
        values = _SEVERITIES if field == "severity" else self.statuses
        typed = self.bar.typed
        self.bar.put(with_value(typed, field, after(values, value_of(typed, field))))

    def action_this_type(self) -> None:
        """Only the event type under the cursor, or all again."""
        item = self.listed.current
        if item is not None:
            wanted = None if value_of(self.bar.typed, "type") else str(getattr(item, "event_type", ""))
            self.bar.put(with_value(self.bar.typed, "type", wanted))

    def action_back(self) -> None:
        """First no row is marked; then out of the filter, back to that with which the list was opened; then up."""
        if self.maximized is not None:
            self.minimize()
        elif self.listed.chosen:
            self.listed.unmark()
        elif self.is_filtered:
            self.bar.put(self.bar.given)
            self.listed.focus()
        else:
            super().action_back()
