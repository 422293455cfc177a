"""A list of clusters with a histogram, a part of which is the filter."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from failaware.text import moment_utc

from ..filters import value_of, with_value
from ..settings import keep, kept
from ..widgets.filter_bar import FilterBar
from ..widgets.histogram import DAY, WEEK, Histogram
from .listing import Listing


class PeriodListing(Listing):
    """The histogram shows the last `period` hours."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("b", "histogram", "Histogram", show=False)]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.period = DAY

    def on_mount(self) -> None:
        """Begin with the period that was chosen last."""
        self.period = WEEK if kept("period") == "7d" else DAY

    def on_histogram_selected(self, message: Histogram.Selected) -> None:
        """A part of the histogram was selected: the clusters that failed in it."""
        period = f"{_iso(message.begin)}..{'' if message.end is None else _iso(message.end)}"
        self.bar.put(with_value(self.bar.typed, "failed", period))
        self.listed.focus()

    def on_histogram_period_asked(self) -> None:
        """The last day, or the last week."""
        self.period = WEEK if self.period == DAY else DAY
        keep("period", "7d" if self.period == WEEK else "24h")
        self.ask()

    def on_histogram_left(self) -> None:
        """Back to the list."""
        self._forget_selection()
        self.listed.focus()

    def on_filter_bar_changed(self, _message: FilterBar.Changed) -> None:
        """The histogram shows the period of the filter."""
        self._forget_selection()

    def _forget_selection(self) -> None:
        if value_of(self.bar.text, "failed") is None:
            self.query_one(Histogram).clear()

    def action_histogram(self) -> None:
        """Select a part of the histogram."""
        self.query_one(Histogram).focus()


def _iso(at: int) -> str:
    """A moment as a filter takes it."""
    return moment_utc(at).replace(" ", "T").replace(":00Z", "Z")
