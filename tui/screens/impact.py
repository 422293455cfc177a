"""One cluster's impact, and what came before and after it: numbers that open their events."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.widget import Widget

from failaware.model import Cluster
from failaware.model.patterns import Impact, Transitions
from failaware.read.inspector import Inspector

from .. import documents
from ..columns import Context
from ..patterns import DRILL_DOWN_COLUMNS, DrillDown, drill_downs
from ..routes import ToEvents
from ..store_reader import Ask
from ..widgets.lines import StyledText
from ..widgets.rows import Rows
from ..window import Window
from .base import BaseScreen

_FEW = 20_000  # events; of more, before and after take too long to be read at each change


class Standing(NamedTuple):
    """A cluster now, and its five figures."""

    cluster: Cluster
    impact: Impact
    now: int

    def at(self, now: int) -> "Standing":
        """The same at another time (µs), if nothing happens until then."""
        age = self.impact.oldest_age
        if age.value is not None:
            age = age._replace(value=max(age.value + now - self.now, 0))
        return self._replace(impact=self.impact._replace(oldest_age=age), now=now)


class ImpactScreen(BaseScreen):
    """Five figures, then what came before and after."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "again", "Refresh", show=False)]
    crumb = "impact"

    def __init__(self, cluster_id: int) -> None:
        super().__init__()
        self._cluster_id = cluster_id
        self._window: Window[DrillDown] = Window(lambda drill_down: drill_down.place)
        self._standing: Standing | None = None
        self._transitions: Transitions | None = None

    def body(self) -> Iterator[Widget]:
        """The cluster above, its numbers below."""
        yield StyledText(id="head")
        yield Rows(DRILL_DOWN_COLUMNS, self._window, key="place", id="drill-downs")

    def on_mount(self) -> None:
        """Titles."""
        rows = self.query_one(Rows)
        rows.border_title = "Impact, before and after"
        rows.focus()

    def questions(self) -> dict[str, Ask]:
        """The figures."""
        return {"standing": self._stand}

    def ask(self) -> None:
        """The figures, and once what came before and after."""
        super().ask()
        self._ask_transitions()

    def _ask_transitions(self) -> None:
        cluster_id = self._cluster_id
        self.inspector_app.reader.once(self, "transitions", lambda reader: reader.patterns.transitions(cluster_id))

    def _stand(self, inspector: Inspector) -> Standing:
        with inspector.snapshot():
            cluster, impact = inspector.cluster(self._cluster_id), inspector.patterns.impact(self._cluster_id)
            return Standing(cluster, impact, inspector.now())

    def answered_standing(self, standing: Standing) -> None:
        """The figures; what came before and after is read again where that costs little."""
        grew = self._standing is not None and self._standing.cluster != standing.cluster
        self._standing = standing
        self.query_one("#head", StyledText).say(documents.cluster_head(standing.cluster, standing.now))
        self._show()
        if grew and standing.cluster.events <= _FEW:
            self._ask_transitions()

    def _pass_time(self, now: int) -> None:
        """The head says how long ago something was, and an age grows."""
        if self._standing is not None:
            self._standing = self._standing.at(now)
            self.query_one("#head", StyledText).say(documents.cluster_head(self._standing.cluster, now))
            self._show()

    def answered_transitions(self, transitions: Transitions) -> None:
        """What came before and after."""
        self._transitions = transitions
        self._show()

    def _show(self) -> None:
        if self._standing is not None:
            self._window.hold(drill_downs(self._standing.impact, self._transitions))
            self.query_one(Rows).show(Context(self._standing.now, {}))

    def on_rows_opened(self, message: Rows.Opened) -> None:
        """Exactly the events that the number counts, or the other cluster."""
        drill_down: DrillDown = message.item
        if self._standing is None:
            return
        if drill_down.cluster_id is not None:
            event_type = self._standing.cluster.event_type
            self.inspector_app.open(ToEvents(cluster_id=drill_down.cluster_id, event_type=event_type))
        elif drill_down.where:
            self.inspector_app.open(ToEvents(where=drill_down.where))
        else:
            self.notify("This number has no events to show.", timeout=2, markup=False)

    def action_again(self) -> None:
        """Read all of it again."""
        self.ask()

    def subject(self) -> tuple[str, int] | None:
        """This cluster."""
        return "cluster", self._cluster_id

    def copies(self) -> dict[str, tuple[str, str]]:
        """The cluster's id, and the filter behind the number under the cursor."""
        drill_down: DrillDown | None = self.query_one(Rows).current
        offered = {"i": ("id", str(self._cluster_id))}
        return offered | {"f": ("filter", drill_down.where)} if drill_down and drill_down.where else offered
