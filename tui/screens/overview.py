"""The overview: is it getting worse, and where?"""

from collections import defaultdict
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from failaware.model import HOUR, Cluster, Explanation, Health, HourCount, SeverityCounts
from failaware.read.inspector import Inspector
from failaware.text import counted

from .. import documents
from ..change_markers import MEANING, ChangeTracker
from ..columns import CLUSTER_COLUMNS, CLUSTER_SORTS, Context
from ..filters import with_value
from ..palette import LEVELS, STATES
from ..routes import ToEvents
from ..store_reader import Ask
from ..widgets.filter_bar import FilterBar
from ..widgets.lines import CounterTile, FailureBars, StyledText, brief, health_parts, severity_notes, state_counts
from ..widgets.rows import Rows
from ..widgets.text_view import TextView
from ..window import Window
from .listing import Listing

HOURS = 24
_CLUSTERS = 1_000


class Numbers(NamedTuple):
    """Health and severities of the whole store."""

    now: int
    health: Health
    severity: SeverityCounts


class Picture(NamedTuple):
    """The clusters at one moment."""

    now: int
    clusters: list[Cluster]
    hours: dict[int, list[int]]
    anything: bool


def numbers(inspector: Inspector) -> Numbers:
    """Read health and severities."""
    with inspector.snapshot():
        return Numbers(inspector.now(), inspector.health(), inspector.severity())


def look(inspector: Inspector, where: str) -> Picture:
    """The clusters now."""
    now = inspector.now()
    with inspector.snapshot():
        clusters = inspector.clusters(where, limit=_CLUSTERS)
        timeline = inspector.patterns.timeline(since=now - (HOURS - 1) * HOUR)
        anything = bool(clusters) or inspector.count_events(at_most=1) > 0
        return Picture(now, clusters, by_hour(timeline, now), anything)


def by_hour(timeline: list[HourCount], now: int) -> dict[int, list[int]]:
    """The failures of each cluster in each of the last hours; under 0 those of all."""
    first = now // HOUR - (HOURS - 1)
    hours: defaultdict[int, list[int]] = defaultdict(lambda: [0] * HOURS)
    for hour in timeline:
        position = hour.hour_at // HOUR - first
        if 0 <= position < HOURS:
            hours[hour.cluster_id][position] += hour.failures
            hours[0][position] += hour.failures
    return dict(hours)


class Overview(Listing):
    """Health, severities, and the clusters, worst first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "events", "Events"),
        Binding("M", "seen", "Mark all seen", show=False),
    ]
    statuses = ("UNRESOLVED", "DEAD", "FAILED", "RESOLVED")
    crumb = "failaware"

    def __init__(self) -> None:
        super().__init__(id="overview")
        self._window: Window[Cluster] = Window(lambda cluster: cluster.cluster_id)
        self._changes = ChangeTracker()
        self._sort = 0
        self._picture: Picture | None = None
        self._numbers: Numbers | None = None

    def body(self) -> Iterator[Widget]:
        """Numbers above, clusters below, the selected one next to them."""
        yield StyledText(id="brief")
        with Horizontal(id="summary"):
            with Vertical(id="severities", classes="pane"):
                for level in LEVELS:
                    yield CounterTile(level)
            with Vertical(id="states", classes="pane"):
                for state in STATES:
                    yield CounterTile(state)
            with Vertical(id="outstanding", classes="pane"):
                yield StyledText(id="health")
                yield FailureBars(id="bars")
        yield FilterBar(of_clusters=True)
        with Horizontal(id="main"):
            yield Rows(CLUSTER_COLUMNS, self._window, key="cluster_id", id="clusters")
            yield TextView(id="detail")
        yield StyledText(id="empty")

    def on_mount(self) -> None:
        """Names of the panes."""
        for name, title in (("#severities", "Severity"), ("#states", "Events"), ("#outstanding", "Health")):
            self.query_one(name).border_title = title
        self.query_one("#detail").border_title = "Why"
        self.listed.focus()

    def questions(self) -> dict[str, Ask]:
        """Health, the clusters, and the explanation of the selected cluster."""
        where = self.bar.text
        asks: dict[str, Ask] = {"numbers": numbers, "list": lambda inspector: look(inspector, where)}
        if (cluster := self.listed.current) is not None:
            asks["detail"] = self._why(cluster.cluster_id)  # type: ignore[attr-defined]
        return asks

    def _why(self, cluster_id: int) -> Ask:
        def ask(inspector: Inspector) -> list[documents.Line]:
            with inspector.snapshot():
                explanation: Explanation = inspector.explain(f"cluster/{cluster_id}")
                return documents.why(explanation, inspector.cluster(cluster_id), inspector.now())

        return ask

    def answered_numbers(self, numbers: Numbers) -> None:
        """The panes above."""
        self._numbers = numbers
        self.query_one("#health", StyledText).say(health_parts(numbers.health, numbers.now))
        notes, states = severity_notes(numbers.severity), state_counts(numbers.health)
        self.query_one("#brief", StyledText).say(brief(numbers.severity, numbers.health))
        for count in self.query(CounterTile):
            count.tell(*(notes[count.counts] if count.counts in notes else (states[count.counts],)))

    def _pass_time(self, now: int) -> None:
        """The panes say how long ago something was, too; once a retry falls due, the numbers are others."""
        if (known := self._numbers) is not None:
            self.query_one("#health", StyledText).say(health_parts(known.health, now))
            due = known.health.next_due
            if due is not None and known.now < due.value <= now and not self.inspector_app.is_paused:
                self.inspector_app.reader.once(self, "numbers", numbers)

    def answered_list(self, picture: Picture) -> None:
        """The clusters."""
        self._picture = picture
        self.query_one(FailureBars).tell(picture.hours.get(0, [0] * HOURS))
        self.bar.types = tuple(sorted({*self.bar.types, *(cluster.event_type for cluster in picture.clusters)}))
        if self.bar.text:
            self.bar.note(counted(len(picture.clusters), "cluster"))
        self._arrange()

    def _arrange(self) -> None:
        picture = self._picture
        if picture is None:
            return
        name, sort = CLUSTER_SORTS[self._sort]
        clusters = picture.clusters if sort is None else sorted(picture.clusters, key=sort)
        self._window.hold(clusters)
        past = self.inspector_app.moment.at is not None  # what one sees there is not what one last saw
        marks = {} if past else self._changes.marks(picture.clusters)
        rows = self.listed
        rows.show(Context(picture.now, picture.hours), marks)
        more = "the worst " if len(clusters) == _CLUSTERS else ""
        rows.border_title = f"Clusters  {more}{len(clusters):,} · by {name}"
        rows.border_subtitle = self._what_changed(marks)
        if not clusters:
            self.forget_detail()
        self.show_empty("" if clusters else self._empty(picture))

    @staticmethod
    def _what_changed(marks: dict[int, str]) -> str:
        counts: defaultdict[str, int] = defaultdict(int)
        for mark in marks.values():
            counts[mark] += 1
        return "  ".join(f"{mark} {counts[mark]} {meaning}" for mark, meaning in MEANING.items() if counts[mark])

    def _empty(self, picture: Picture) -> str:
        if self.bar.text:
            return "No cluster matches this filter. Escape clears it."
        if picture.anything:
            return "Nothing has failed. 'e' shows all events."
        return (
            "Nothing is recorded yet. New events appear here automatically:\n\n"
            "    from failaware import Store\n"
            f'    with Store.open("{self.inspector_app.shown_place}") as store:\n'
            '        store.record("invoice.create", {"id": 1})\n\n'
            "or in a shell: failaware ingest FILE, or failaware seed for sample data."
        )

    def on_rows_moved(self, message: "Rows.Moved") -> None:
        """Another cluster: explain it, and once it was looked at it is no longer new."""
        self.inspector_app.reader.follow(self, "detail", self._why(message.key))
        self.set_timer(1.0, lambda: self._has_been_seen(message.key))

    def _has_been_seen(self, key: int) -> None:
        rows = self.listed
        if self._picture is not None and rows.current_key == key and key in rows.marks and self.is_current:
            self._changes.mark_seen([cluster for cluster in self._picture.clusters if cluster.cluster_id == key])
            self._arrange()

    def on_rows_opened(self, message: "Rows.Opened") -> None:
        """Down into a cluster."""
        self._has_been_seen(message.key)
        self.inspector_app.open(ToEvents(cluster_id=message.key, event_type=message.item.event_type))

    def on_counter_tile_asked(self, message: CounterTile.Asked) -> None:
        """A number was clicked: clusters of that severity, or the events in that state."""
        if message.name in LEVELS:
            self.bar.put(with_value(self.bar.typed, "severity", message.name))
        else:
            self.inspector_app.open(ToEvents(where=f"status:{message.name}"))

    def action_events(self) -> None:
        """Down into all events."""
        self.inspector_app.open(ToEvents())

    def action_sort(self) -> None:
        """The next order."""
        self._sort = (self._sort + 1) % len(CLUSTER_SORTS)
        self._arrange()

    def action_seen(self) -> None:
        """All has been looked at."""
        if self._picture is not None:
            self._changes.mark_seen(self._picture.clusters)
            self._arrange()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing above: the key leads out of the filter alone."""
        nowhere = action == "back" and not self.is_filtered
        return False if nowhere else super().check_action(action, parameters)
