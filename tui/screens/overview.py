"""The overview: is it getting worse, and where?"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from failaware.model import HOUR, Cluster, Health
from failaware.model.patterns import EventSeverity, HourSeverity, Trend
from failaware.read.inspector import Inspector
from failaware.text import counted, one_line

from .. import preview
from ..change_markers import MEANING, ChangeTracker
from ..columns import CLUSTER_COLUMNS, CLUSTER_SORTS, CLUSTERS_OF_STORES, Context, clock_time, worst_first, worst_of
from ..documents import Line
from ..palette import LEVELS
from ..routes import ToEvents
from ..settings import keep, kept
from ..store_reader import Ask
from ..widgets.filter_bar import FilterBar
from ..widgets.histogram import Histogram
from ..widgets.lines import COUNTED_EVENTS, CounterTile, HealthLine, StyledText, event_counts
from ..widgets.rows import Rows
from ..widgets.text_view import TextView
from ..window import Window
from .period import PeriodListing

_PREVIEW_LINES = 20  # of the terminal, from which a preview has room
_CLUSTERS = 1_000


class Numbers(NamedTuple):
    """Health of the whole store."""

    now: int
    health: Health


class Picture(NamedTuple):
    """The clusters at one moment, worst first, and all failures by hour, oldest first."""

    now: int
    clusters: list[Cluster]
    trends: dict[int, Trend]
    worst: dict[int, EventSeverity]
    hours: list[int]
    anything: bool


def numbers(inspector: Inspector) -> Numbers:
    """Read the health."""
    with inspector.snapshot():
        return Numbers(inspector.now(), inspector.health())


def look(inspector: Inspector, where: str, period: int) -> Picture:
    """The clusters now, and the failures of as many hours."""
    now = inspector.now()
    with inspector.snapshot():
        clusters = inspector.clusters(where, limit=_CLUSTERS)
        trends = {trend.cluster_id: trend for trend in inspector.patterns.trends()}
        worst = worst_of(inspector.patterns.event_severities())
        first = now // HOUR - (period - 1)
        hours = by_hour(inspector.patterns.hours(since=first * HOUR), first, period)
        anything = bool(clusters) or inspector.count_events(at_most=1) > 0
        return Picture(now, worst_first(clusters, trends, worst), trends, worst, hours, anything)


def by_hour(failures: list[HourSeverity], first: int, period: int) -> list[int]:
    """The failures in each hour of a period that begins with the hour `first` (since the epoch)."""
    hours = [0] * period
    for hour in failures:
        if 0 <= (position := hour.hour_at // HOUR - first) < period:
            hours[position] += hour.failures
    return hours


class Overview(PeriodListing):
    """Health, severities, and the clusters, worst first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("equals_sign", "scale", "Common scale", show=False, key_display="="),
        Binding("M", "seen", "Mark all seen", show=False),
    ]
    statuses = ("UNRESOLVED", "DEAD", "FAILED", "RESOLVED")
    sorts = CLUSTER_SORTS
    crumb = "failaware"

    def __init__(self) -> None:
        super().__init__(id="overview")
        self._window: Window[Cluster] = Window(lambda cluster: cluster.cluster_id)
        self._changes = ChangeTracker()
        self._places: dict[int, int] = {}  # of the clusters in the list, by their ids
        self._picture: Picture | None = None
        self._numbers: Numbers | None = None
        self._common_scale = kept("common_scale") is True
        self._is_pinned = False  # whether the list is not as it would be sorted now, since a person looks at it
        self._is_sorted = True  # whether it is in the order that was chosen
        self._sorted_at = 0  # when it last was

    def body(self) -> Iterator[Widget]:
        """Numbers above, clusters below, the selected one next to them."""
        with Horizontal(id="numbers"):
            for name, where in COUNTED_EVENTS.items():
                yield CounterTile(name, where)
        yield HealthLine(id="health")
        yield Histogram()
        yield FilterBar(of_clusters=True)
        with Horizontal(id="main"):
            columns = CLUSTERS_OF_STORES if self.inspector_app.has_several else CLUSTER_COLUMNS
            yield Rows(columns, self._window, key="cluster_id", id="clusters")
            yield TextView(id="detail")
        yield StyledText(id="empty")

    def on_mount(self) -> None:
        """Ready for the keys."""
        self.listed.focus()

    def on_resize(self, event: events.Resize) -> None:
        """A terminal of few lines has no room for the preview."""
        self.set_class(event.size.height < _PREVIEW_LINES, "-low")

    def questions(self) -> dict[str, Ask]:
        """Health, the clusters, and the preview of the selected cluster."""
        where, period = self.bar.text, self.period
        asks: dict[str, Ask] = {"numbers": numbers, "list": lambda inspector: look(inspector, where, period)}
        if (cluster := self.listed.current) is not None:
            asks["detail"] = self._preview(cluster.cluster_id)  # type: ignore[attr-defined]
        return asks

    @staticmethod
    def _preview(cluster_id: int) -> Ask:
        def ask(inspector: Inspector) -> list[Line]:
            return preview.lines(preview.read(inspector, cluster_id))

        return ask

    def answered_numbers(self, numbers: Numbers) -> None:
        """The lines above."""
        self._numbers = numbers
        self.query_one(HealthLine).tell(numbers.health, numbers.now)
        counts = event_counts(numbers.health)
        for tile in self.query(CounterTile):
            tile.tell(counts[tile.counts])

    def _pass_time(self, now: int) -> None:
        """The health says how long ago something was, too; once a retry falls due, the numbers are others."""
        if (known := self._numbers) is not None:
            self.query_one(HealthLine).tell(known.health, now)
            if self._is_pinned and not self.inspector_app.is_looked_at:
                self._arrange()
            due = known.health.next_due
            if due is not None and known.now < due.value <= now and not self.inspector_app.is_paused:
                self.inspector_app.reader.once(self, "numbers", numbers)

    def answered_list(self, picture: Picture) -> None:
        """The clusters."""
        self._picture = picture
        self.query_one(Histogram).tell(picture.hours, picture.now)
        self.bar.types = tuple(sorted({*self.bar.types, *(cluster.event_type for cluster in picture.clusters)}))
        if self.bar.text:
            self.bar.note(counted(len(picture.clusters), "cluster"))
        self._arrange()

    def _arrange(self) -> None:
        picture = self._picture
        if picture is None:
            return
        past = self.inspector_app.moment.at is not None  # what one sees there is not what one last saw
        marks = {} if past else self._changes.marks(picture.clusters)
        rows = self.listed
        top = max((max(trend.hours) for trend in picture.trends.values()), default=0) if self._common_scale else 0
        context = Context(picture.now, picture.trends, picture.worst, top)
        clusters, new = self._in_their_places(self.sorted_items(picture.clusters, context), past=past)
        order = self._order(picture.now)
        self._window.hold(clusters)
        rows.show(context, marks)
        more = "the worst " if len(picture.clusters) == _CLUSTERS else ""
        rows.say_above(f"Clusters  {more}{len(clusters):,}{_severities(picture.clusters)} · {order}")
        waiting = f"{new:,} new (.)" if new else ""
        rows.note = "  ".join(part for part in (waiting, self._what_changed(marks)) if part)
        if not clusters:
            self.forget_detail()
        self._name_preview()
        self.show_empty("" if clusters else self._empty(picture))

    def _in_their_places(self, clusters: list[Cluster], *, past: bool) -> tuple[list[Cluster], int]:
        """The sorted clusters; while a person looks, as they were, and how many new ones wait until they are sorted."""
        looks = self._places and not past and self.inspector_app.is_looked_at
        held = known = [cluster for cluster in clusters if cluster.cluster_id in self._places] if looks else clusters
        if looks:
            held = sorted(known, key=lambda cluster: self._places[cluster.cluster_id])
        self._places = {cluster.cluster_id: place for place, cluster in enumerate(held)}
        self._is_pinned = held != clusters
        self._is_sorted = held == known
        return held, len(clusters) - len(held)

    def _order(self, now: int) -> str:
        """The order of the list, in words; none is marked at a title while the list is in an earlier order."""
        if self._is_sorted:
            self._sorted_at = now
            return f"by {self.order_name}"
        self.listed.sorted_by = "", ""
        return f"order of {clock_time(self._sorted_at, now)}, . sorts"

    def _name_preview(self) -> None:
        cluster: Any = self.listed.current
        name = "" if cluster is None else f"{one_line(cluster.event_type, 40)} {str(cluster.cluster_id)[:7]}"
        self.query_one("#detail", TextView).say_above(name)

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
        """Another cluster: preview it, and once it was looked at it is no longer new."""
        self._name_preview()
        self.call_after_refresh(self._follow_preview)  # the paint does not wait for it
        self.set_timer(1.0, lambda: self._has_been_seen(message.key))

    def _follow_preview(self) -> None:
        if self.is_current and (key := self.listed.current_key) is not None:
            self.inspector_app.reader.follow(self, "detail", self._preview(key))

    def _has_been_seen(self, key: int) -> None:
        rows = self.listed
        if self._picture is not None and rows.current_key == key and key in rows.marks and self.is_current:
            self._changes.mark_seen([cluster for cluster in self._picture.clusters if cluster.cluster_id == key])
            self._arrange()

    def on_rows_opened(self, message: "Rows.Opened") -> None:
        """Down into a cluster."""
        self._has_been_seen(message.key)
        self.lead_to(ToEvents(cluster_id=message.key, event_type=message.item.event_type))

    def on_counter_tile_asked(self, message: CounterTile.Asked) -> None:
        """A number was chosen: the events that it counts."""
        self.lead_to(ToEvents(where=message.where))

    def rearrange(self) -> None:
        """Sort the list now."""
        self._places = {}
        self._arrange()

    def from_top(self) -> None:
        """Another filter."""
        self._places = {}
        super().from_top()

    def action_scale(self) -> None:
        """All trends on one scale, or each on its own."""
        self._common_scale = not self._common_scale
        keep("common_scale", self._common_scale)
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


def _severities(clusters: list[Cluster]) -> str:
    """How many clusters have each severity, worst first."""
    counts = Counter(cluster.severity for cluster in clusters)
    numbers = ", ".join(f"{counts[level]:,} {level}" for level in LEVELS if counts[level])
    return f": {numbers}" if numbers else ""
