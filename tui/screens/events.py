"""Events: those of a cluster, or all; any number of them, of which only what is in sight is fetched."""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from textual.containers import Horizontal
from textual.widget import Widget

from failaware.model import Cluster, EventSummary
from failaware.model.patterns import MaskedEvent, Trend
from failaware.model.stores import from_here, is_newer
from failaware.read.inspector import Inspector
from failaware.text import counted

from ..change_markers import GREW
from ..columns import EVENT_COLUMNS, Context, cluster_event_columns
from ..details import FAILURE
from ..filters import value_of
from ..masked_values import MaskedColumns
from ..store_reader import Ask
from ..widgets.cluster_head import ClusterHead
from ..widgets.filter_bar import FilterBar
from ..widgets.lines import StyledText
from ..widgets.rows import Rows
from ..widgets.side import Side
from ..window import Need, Window
from .detail import DetailScreen

_COUNTED = 10_000
_FAILED = ("FAILED", "DEAD")


class Page(NamedTuple):
    """Rows of the list with totals; `fresh` is the number of new events not shown yet.

    `values` are masked values of those of the first rows for which they were not known.
    """

    need: Need
    rows: list[EventSummary]
    total: int
    fresh: int
    now: int
    cluster: Cluster | None
    trend: Trend | None
    values: tuple[list[EventSummary], list[MaskedEvent]]


class EventsScreen(DetailScreen):
    """A list of events, newest first, and the one under the cursor in detail."""

    statuses = ("UNRESOLVED", "DEAD", "FAILED", "PENDING", "SYNCED", "DISMISSED")

    def __init__(
        self, *, cluster_id: int | None = None, event_type: str | None = None, where: str = "", tab: str = FAILURE
    ) -> None:
        super().__init__(cluster_id=cluster_id, tab=tab)
        self.set_class(cluster_id is not None, "-of-cluster")
        self._where = where
        self._window: Window[EventSummary] = Window(lambda event: event.event_id)
        self._oldest_first = False
        self._attempts_seen: dict[int, int] = {}
        self._newest_seen = 0  # newer events wait above; 0 while none has been shown
        self._page: Page | None = None
        self._masked = MaskedColumns()
        self._event_type = event_type
        self.is_place = "events" if cluster_id is None and not where else ""

    @property
    def crumb(self) -> str:  # type: ignore[override]
        """The list, and the event where the list is not in sight."""
        listed = "events" if self.cluster_id is None else f"{self._event_type} #{str(self.cluster_id)[:7]}"
        return " › ".join(filter(None, (listed, self.name_in_full())))

    def body(self) -> Iterator[Widget]:
        """The cluster above, its events below, the selected one next to them."""
        yield ClusterHead(id="head")
        yield FilterBar(of_clusters=False, text=self._where)
        columns = EVENT_COLUMNS if self.cluster_id is None else cluster_event_columns(())
        with Horizontal(id="main"):
            yield Rows(columns, self._window, key="event_id", id="events")
            yield Side()
        yield StyledText(id="empty")

    def on_mount(self) -> None:
        """Complete the cluster's event type."""
        self.bar.types = () if self._event_type is None else (self._event_type,)

    @property
    def _filter(self) -> str:
        of = "" if self.cluster_id is None else f"cluster:{self.cluster_id} "
        return of + self.bar.text

    def questions(self) -> dict[str, Ask]:
        """What is in the window, again."""
        return {"list": self._page_ask(self._window.again())}

    def ask(self) -> None:
        """The list, and the side."""
        super().ask()
        self.ask_detail()

    @property
    def _in_the_past(self) -> bool:
        return self.inspector_app.moment.at is not None

    @property
    def _pinned(self) -> bool:
        """Whether new events wait above: what one looks at, and acts on, stays where it is."""
        return bool(self._newest_seen) and not self._oldest_first and not self._in_the_past

    def _page_ask(self, need: Need) -> Ask:
        where, cluster_id, oldest_first = self._filter, self.cluster_id, self._oldest_first
        all_of_it = not self.bar.text
        newest = self._newest_seen if self._pinned else 0
        in_sight = self.app.size.height

        def ask(inspector: Inspector) -> Page:
            with inspector.snapshot():
                rows = _rows(inspector, where, need, oldest_first, newest)
                cluster = None if cluster_id is None else inspector.cluster(cluster_id)
                if all_of_it and cluster is not None:
                    total = cluster.events
                elif not where:
                    total = inspector.health().total_events
                else:
                    total = inspector.count_events(where, at_most=_COUNTED)
                fresh = 0
                if newest and not oldest_first:
                    fresh = len(inspector.events(where, order="oldest", before=newest, limit=100))
                trends = [] if cluster is None else inspector.patterns.trends(cluster_id=cluster.cluster_id)
                unknown = [] if cluster_id is None else self._masked.missing(rows[:in_sight])
                values = _values(inspector, cluster_id, unknown)
                return Page(need, rows, total, fresh, inspector.now(), cluster, trends[0] if trends else None, values)

        return ask

    def answered_list(self, page: Page) -> None:
        """Replace the list."""
        short = len(page.rows) < page.need.limit
        self._window.hold(self._without_newer(page.rows), start=page.need.position, ended=short)
        self._show(page)

    def answered_page(self, page: Page) -> None:
        """A page that was missing."""
        self.listed.moved_by(self._window.merge(page.need, self._without_newer(page.rows)))
        self._show(page)

    def _without_newer(self, events: list[EventSummary]) -> list[EventSummary]:
        """Those that do not wait above: an answer may be older than the question that leaves them out."""
        return [e for e in events if not is_newer(e.event_id, self._newest_seen)] if self._pinned else events

    def _show(self, page: Page) -> None:
        hidden = page.fresh if self._pinned else 0
        self._window.count(page.total - hidden)
        self._page = page
        self._take_values(*page.values)
        self.listed.show(Context(page.now, {}, values=self._masked.values), self._marks(page.rows))
        if not self._newest_seen and self._window.items and not self._in_the_past:
            ends = self._window.items[0].event_id, self._window.items[-1].event_id
            self._newest_seen = ends[1] if is_newer(ends[1], ends[0]) else ends[0]
            self.inspector_app.reader.expect(self, "list", self._page_ask(self._window.again()))
        if self.listed.current is None:
            self.forget_detail()
        self._titles(page, hidden)
        self._ask_values()

    def _ask_values(self) -> None:
        """Ask for the masked values of the events in sight that are not known yet; they come after the list."""
        cluster_id, in_sight = self.cluster_id, cast("list[EventSummary]", self.listed.in_sight())
        missing = [] if cluster_id is None else self._masked.missing(in_sight)
        if missing:
            self.inspector_app.reader.once(self, "values", lambda inspector: _values(inspector, cluster_id, missing))

    def answered_values(self, answer: tuple[list[EventSummary], list[MaskedEvent]]) -> None:
        """Show them."""
        self._take_values(*answer)
        self.listed.show(self.listed.context._replace(values=self._masked.values))
        if self._page is not None:
            self._say_head(self._page.now)

    def _take_values(self, events: list[EventSummary], masked: list[MaskedEvent]) -> None:
        """Those that differ have columns of their own."""
        if events:
            self._masked.take(events, masked)
            self.listed.columns = cluster_event_columns(self._masked.varying())

    def _marks(self, events: list[EventSummary]) -> dict[int, str]:
        """The marks on the list, of which these events have been read again; in the past there are none."""
        if self._in_the_past:
            return {}
        marks = dict(self.listed.marks)
        for event in events:
            before = self._attempts_seen.get(event.event_id, event.attempts)
            self._attempts_seen[event.event_id] = event.attempts
            if event.sync_status not in _FAILED or event.dismissed:
                marks.pop(event.event_id, None)
            elif event.attempts > before:
                marks[event.event_id] = GREW
        return marks

    def _titles(self, page: Page, hidden: int) -> None:
        rows = self.listed
        more = "+" if page.total >= _COUNTED and self.bar.text else ""
        title = f"Events  {page.total:,}{more} · {'oldest' if self._oldest_first else 'newest'} first"
        rows.say_above(title)
        many = "+" if hidden >= 100 else ""
        rows.note = f"{hidden}{many} new above (.)" if hidden else ""
        if self.bar.text:
            self.bar.note(f"{counted(page.total, 'event')}{more}")
        self._say_head(page.now)
        empty = "" if self._window.items else "No event matches this filter."
        if empty and (value_of(self.bar.text, "severity") or "").upper().startswith("CRIT"):
            empty += " Only clusters are CRITICAL, events are HIGH at most: s on the overview lists them."
        empty += " Escape clears it." if empty and self.is_filtered else ""
        self.show_empty(empty)

    def _say_head(self, now: int) -> None:
        page = self._page
        if page is not None and page.cluster is not None:
            self.query_one(ClusterHead).tell(page.cluster, page.trend, self._masked.constant(), now)

    def _pass_time(self, now: int) -> None:
        """The head says how long ago something was, too; rows that came into sight by the mouse get their values."""
        super()._pass_time(now)
        self._say_head(now)
        self._ask_values()

    def from_top(self) -> None:
        """Drop all pages and ask for the first."""
        self._window.hold([])
        self._newest_seen = 0
        self._attempts_seen.clear()
        self.listed.marks = {}
        self.listed.to_top()
        self.ask()

    def on_rows_lacking(self, message: Rows.Lacking) -> None:
        """Fetch the page, and from now on follow what is then held."""
        self.inspector_app.reader.once(self, "page", self._page_ask(message.need))

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Another event."""
        rows = self.listed
        rows.marks = {key: mark for key, mark in rows.marks.items() if key != message.key}
        self.select()
        self._ask_values()
        # At the next change: what is held by then.
        self.inspector_app.reader.expect(self, "list", self._page_ask(self._window.again()))

    def on_rows_opened(self, _message: Rows.Opened) -> None:
        """All of the screen for the event."""
        if not self.is_zoomed:
            self.action_in_full()

    def action_sort(self, by: int = 1) -> None:  # noqa: ARG002 - there are two
        """The other order."""
        self._oldest_first = not self._oldest_first
        self.from_top()

    def action_take_in(self) -> None:
        """To the newest, with those that came meanwhile."""
        self._newest_seen = 0
        self.listed.to_top()
        self.ask()


def _rows(inspector: Inspector, where: str, need: Need, oldest_first: bool, newest: int) -> list[EventSummary]:
    """The rows of a page, in the list's order; none newer than `newest`, unless that is 0."""
    order: Any = ("newest", "oldest")
    if (need.way == "up") != oldest_first:
        order = ("oldest", "newest")
    skip = need.position if need.key is None and need.way == "down" else 0
    before = from_here(newest) if newest and need.key is None and need.way == "down" else need.key
    rows = inspector.events(where, limit=need.limit, before=before, order=order[0], skip=skip)
    return rows[::-1] if need.way == "up" else rows


def _values(
    inspector: Inspector, cluster_id: int | None, events: list[EventSummary]
) -> tuple[list[EventSummary], list[MaskedEvent]]:
    """These events, and what each has in place of the placeholders of the cluster's template."""
    if cluster_id is None or not events:
        return [], []
    return events, inspector.patterns.masked(cluster_id, [event.event_id for event in events])
