"""The keys of a side: its tabs, all of the screen for it, other events and attempts, the cluster of an event."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from .. import details
from ..copies import copies_of
from ..details import FAILURE, IMPACT, WHY
from ..routes import ToEvents
from .side_listing import SideListing

_SIDE_LINES = 14  # of the terminal, from which a side has room next to the list


class DetailScreen(SideListing):
    """A list of events, and the one under the cursor in detail."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "sibling(1)", "Next event", key_display="]"),
        Binding("left_square_bracket", "sibling(-1)", "Previous event", key_display="[", show=False),
        Binding("J", "attempt(1)", "Next attempt", key_display="J", show=False),
        Binding("K", "attempt(-1)", "Previous attempt", key_display="K", show=False),
        Binding("f", "fold", "Fold frames", show=False),
        Binding("enter", "in_full", "In full", show=False),
        Binding("u", "cluster", "Its cluster", show=False),
        Binding("r", "again", "Refresh", show=False),
    ]

    def __init__(self, *, cluster_id: int | None, tab: str) -> None:
        super().__init__(cluster_id=cluster_id, tab=tab)
        self._opened_in_full = tab != FAILURE
        self.set_class(self._opened_in_full, "-zoomed")

    def on_mount(self) -> None:
        """Name the tabs, and be ready for the keys."""
        self.side.name_tabs(self.tab)
        (self.side.shown if self.is_zoomed else self.listed).focus()

    def on_resize(self, event: events.Resize) -> None:
        """A terminal of few lines has no room for the side next to the list."""
        self.set_class(event.size.height < _SIDE_LINES, "-low")

    @property
    def is_zoomed(self) -> bool:
        """Whether the side has all of the screen."""
        return self.has_class("-zoomed")

    def name_in_full(self) -> str:
        """What has all of the screen; "" if nothing has."""
        if not self.is_zoomed:
            return ""
        key = self.listed.current_key if self.is_attached else None
        return self.tab if self._opened_in_full or key is None else f"event {key}"

    def action_attempt(self, way: int) -> None:
        """The next or previous attempt at the event."""
        detail = self.detail
        if detail is None or detail.event is None or detail.attempt is None:
            return
        number = detail.attempt.attempt_no + way
        if number in {attempt.attempt_no for attempt in detail.event.attempts}:
            self.attempt_no = number
            self.ask_detail()

    def action_sibling(self, way: int) -> None:
        """The next or previous event of the list."""
        self.listed.action_move(way)

    def action_fold(self) -> None:
        """Library frames, or not."""
        self.fold = not self.fold
        self.ask_detail()

    def action_zoom(self) -> None:
        """Only the list, or only the side, which keeps its tabs."""
        if self.side.shown.has_focus:
            self.action_in_full()
        else:
            super().action_zoom()

    def action_in_full(self) -> None:
        """Give the side all of the screen, or a part of it again."""
        self._opened_in_full = False
        self.toggle_class("-zoomed")
        self.remove_class("-no-detail")
        (self.side.shown if self.is_zoomed else self.listed).focus()
        self.tell_state()

    def action_detail(self) -> None:
        """Hide or show the side."""
        if self.is_zoomed:
            self.action_in_full()
        self.toggle_class("-no-detail")
        self.listed.focus()

    def action_back(self) -> None:
        """From the side in full to the list, then out of the filter, then up."""
        if self.is_zoomed and not self._opened_in_full:
            self.action_in_full()
        elif self.side.shown.has_focus and not self.is_zoomed:
            self.listed.focus()
        else:
            super().action_back()

    def action_cluster(self) -> None:
        """The list of the cluster of this event."""
        event = self.listed.current
        cluster_id = getattr(event, "cluster_id", None)
        if cluster_id is None or cluster_id == self.cluster_id:
            self.notify("This event has no other cluster.", timeout=2, markup=False)
        else:
            self.lead_to(ToEvents(cluster_id=cluster_id, event_type=getattr(event, "event_type", "")))

    def action_again(self) -> None:
        """Read all of it again."""
        self.ask()
        if self.detail is not None and self.detail.standing is not None:
            self.ask_transitions(self.detail.standing.cluster.cluster_id)

    def subject(self) -> tuple[str, int] | None:
        """The event under the cursor; the cluster, where the screen is about it alone."""
        cluster_id = None if self.detail is None else details.cluster_of(self.detail)
        alone = (self._opened_in_full and self.is_zoomed) or (self.tab == IMPACT and self.side.numbers.has_focus)
        return ("cluster", cluster_id) if alone and cluster_id is not None else super().subject()

    def copies(self) -> dict[str, tuple[str, str]]:
        """Of the event and its attempt that is shown; the explanation; the filter behind a number."""
        if self.listed.chosen:
            return super().copies()
        detail, offered = self.detail, copies_of(self.listed.current)
        if detail is not None and detail.selection.event_id == self.listed.current_key:
            attempt = copies_of(detail.attempt)
            if "j" in attempt:
                attempt["a"] = attempt.pop("j")
            offered |= copies_of(detail.event) | attempt
        if self.tab == WHY:
            offered["w"] = ("explanation", "\n".join(line.text for line in self.side.text.lines))
        number = self.side.numbers.current if self.tab == IMPACT else None
        if number is not None and number.where:
            offered["f"] = ("filter", number.where)
        return offered
