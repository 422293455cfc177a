"""Failures that recovered on retry, by cluster. Read on request, since a large store takes seconds."""

from collections.abc import Iterator

from textual.widget import Widget

from failaware.model.patterns import Recovered, RecoveredCluster
from failaware.text import counted, moment

from ..columns import Context
from ..patterns import RECOVERED_COLUMNS, RECOVERED_SORTS, recovery
from ..routes import ToEvents
from ..store_reader import Ask
from ..widgets.filter_bar import FilterBar
from ..widgets.lines import StyledText
from ..widgets.rows import Rows
from ..window import Window
from .kept import KeptScreen
from .listing import Listing


class RecoveredScreen(KeptScreen, Listing):
    """Clusters by what their recovery cost."""

    statuses = ("UNRESOLVED", "DEAD", "FAILED", "RESOLVED")
    sorts = RECOVERED_SORTS
    crumb = is_place = "recovered"
    completed_by = ""

    def __init__(self, where: str = "") -> None:
        super().__init__()
        self._where = where
        self._window: Window[RecoveredCluster] = Window(lambda row: row.cluster_id)
        self._waited = 0  # seconds

    def body(self) -> Iterator[Widget]:
        """All together above, the clusters below."""
        yield StyledText(id="head")
        yield FilterBar(of_clusters=True, text=self._where)
        yield Rows(RECOVERED_COLUMNS, self._window, key="cluster_id", id="recovered")
        yield StyledText(id="empty")

    def on_mount(self) -> None:
        """Say that it may take a while."""
        self.query_one("#head", StyledText).say([("Reading what recovered …", "dim")])
        self.listed.say_above("Recovered")
        self.listed.focus()

    @property
    def about(self) -> tuple[str, str]:
        """The filter."""
        return "recovered", self.bar.text

    def questions(self) -> dict[str, Ask]:
        """What recovered."""
        where = self.bar.text
        return {"list": lambda inspector: inspector.patterns.recovered(where)}

    def show_answer(self, answer: Recovered) -> None:
        """Show it."""
        clusters = answer.clusters
        self.bar.types = tuple(sorted({*self.bar.types, *(row.event_type for row in clusters)}))
        if self.bar.text:
            self.bar.note(counted(len(clusters), "cluster"))
        self.query_one("#head", StyledText).say(recovery(answer.total))
        self.show_empty("" if clusters else "No failed event has recovered.")
        self.rearrange()

    def rearrange(self) -> None:
        """Show the list in the order that was chosen."""
        if self.kept is None:
            return
        clusters, context = self.kept.answer.clusters, Context(self.kept.now, {})
        self._window.hold(self.sorted_items(clusters, context))
        rows = self.listed
        rows.show(context)
        rows.say_above(f"Recovered  {counted(len(clusters), 'cluster')} · by {self.order_name}")
        rows.note = f"read at {moment(self.kept.now)[11:19]} · r refreshes"

    def on_rows_opened(self, message: Rows.Opened) -> None:
        """Down into a cluster."""
        self.lead_to(ToEvents(cluster_id=message.key, event_type=message.item.event_type))

    def _pass_time(self, now: int) -> None:  # noqa: ARG002
        """Say for how long it has been read."""
        if self.kept is None:
            self._waited += 1
            self.query_one("#head", StyledText).say([(f"Reading what recovered … {self._waited} s", "dim")])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """This list has no marks and no pane."""
        return False if action in {"to_mark", "detail"} else super().check_action(action, parameters)
