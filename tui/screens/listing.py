"""What the list screens share: keys that act on the list, and a pane that shows the item under the cursor."""

from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from ..copies import copies_of
from ..documents import Line
from ..routes import Route, ToEvents, ToRecovered
from ..widgets.lines import StyledText
from ..widgets.text_view import TextView
from .sorted import SortedScreen


class Listing(SortedScreen):
    """A list of clusters or events with a filter; `lists` says which."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "detail", "Detail", show=False),
        Binding("right_curly_bracket", "to_mark(1)", "Next change", show=False, key_display="}"),
        Binding("left_curly_bracket", "to_mark(-1)", "Previous change", show=False, key_display="{"),
        Binding("w", "over_time('why')", "Why"),
        Binding("i", "over_time('impact')", "Impact", show=False),
        Binding("full_stop", "take_in", "Show new", show=False, key_display="."),
    ]
    lists: ClassVar[str] = "cluster"
    completed_by = "detail"
    cluster_id: int | None = None
    """The cluster that the whole list is about."""

    def action_take_in(self) -> None:
        """Sort the list now, and go to its top."""
        self.rearrange()
        self.listed.action_end(-1)

    def action_to_mark(self, way: int) -> None:
        """To what changed."""
        if not self.listed.to_mark(way):
            self.notify("Nothing else has changed since you looked.", timeout=2, markup=False)

    def action_detail(self) -> None:
        """Hide or show the pane next to the list."""
        self.toggle_class("-no-detail")

    def place(self, name: str) -> Route:
        """What recovered, in the clusters that are listed here."""
        listed_here = name == "recovered" and self.bar.of_clusters
        return ToRecovered(self.bar.text) if listed_here else super().place(name)

    def action_over_time(self, tab: str) -> None:
        """Why the cluster under the cursor has its severity, or its impact."""
        cluster: Any = self.listed.current
        if cluster is not None:
            route = ToEvents(cluster_id=cluster.cluster_id, event_type=cluster.event_type, tab=tab)
            self.lead_to(route)
        else:
            self.notify("No cluster is selected.", timeout=2, markup=False)

    def answered_detail(self, lines: list[Line]) -> None:
        """Show the item under the cursor in the pane next to the list."""
        self.query_one("#detail", TextView).show(lines if self.listed.current is not None else [])

    def forget_detail(self) -> None:
        """Empty the pane: there is no item."""
        self.inspector_app.reader.forget(self, "detail")
        self.query_one("#detail", TextView).show([])

    def show_empty(self, why: str) -> None:
        """Show why the list is empty; "" if it is not."""
        line = self.query_one("#empty", StyledText)
        line.say([(why, "")] if why else [])
        if why:
            self.complete()
        line.show_if(bool(why))

    def subjects(self) -> list[tuple[str, int]]:
        """The marked rows, or the item under the cursor."""
        return [(self.lists, key) for key in self.listed.chosen] or super().subjects()

    def subject(self) -> tuple[str, int] | None:
        """The item under the cursor."""
        return None if self.listed.current_key is None else (self.lists, self.listed.current_key)

    def copies(self) -> dict[str, tuple[str, str]]:
        """The texts of the item under the cursor, or the ids of the marked rows."""
        if chosen := self.listed.chosen:
            return {"i": (f"{len(chosen):,} ids", "\n".join(map(str, chosen)))}
        return copies_of(self.listed.current)
