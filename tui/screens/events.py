"""Events: those of a cluster, or all; any number of them, of which only what is in sight is fetched."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from textual.containers import Horizontal
from textual.widget import Widget

from failaware.model import Cluster, EventSummary
from failaware.read.inspector import Inspector
from failaware.text import counted

from .. import documents
from ..columns import CLUSTER_EVENT_COLUMNS, EVENT_COLUMNS, Context
from ..feed import Ask
from ..widgets.filter_bar import FilterBar
from ..widgets.lines import Words
from ..widgets.rows import Rows
from ..widgets.text_view import TextView
from ..window import Need, Window
from .event import EventScreen
from .listing import Listing

_COUNTED = 10_000


class Page(NamedTuple):
    """Rows of the list, and how it stands as a whole."""

    need: Need
    rows: list[EventSummary]
    total: int
    fresh: int
    now: int
    cluster: Cluster | None


class EventsScreen(Listing):
    """A list of events, newest first, and the newest attempt at the one under the cursor."""

    statuses = ("UNRESOLVED", "DEAD", "FAILED", "PENDING", "SYNCED", "DISMISSED")

    def __init__(self, *, cluster_id: int | None = None, event_type: str | None = None, where: str = "") -> None:
        super().__init__()
        self.cluster_id = cluster_id
        self._where = where
        self._window: Window[EventSummary] = Window(lambda event: event.event_id)
        self._oldest_first = False
        self._seen: dict[int, tuple[int, str]] = {}
        self._newest_seen = 0
        self._event_type = event_type
        self.crumb = "events" if cluster_id is None else f"{event_type} #{str(cluster_id)[:7]}"

    def body(self) -> Iterator[Widget]:
        """The cluster above, its events below, the one under the cursor beside them."""
        yield Words(id="head")
        yield FilterBar(of_clusters=False, text=self._where)
        columns = EVENT_COLUMNS if self.cluster_id is None else CLUSTER_EVENT_COLUMNS
        with Horizontal(id="main"):
            yield Rows(columns, self._window, key="event_id", id="events")
            yield TextView(id="detail")
        yield Words(id="empty")

    def on_mount(self) -> None:
        """Titles."""
        self.query_one("#head").display = self.cluster_id is not None
        self.query_one("#detail").border_title = "Newest attempt"
        self.bar.types = () if self._event_type is None else (self._event_type,)
        self.listed.focus()

    @property
    def _filter(self) -> str:
        of = "" if self.cluster_id is None else f"cluster:{self.cluster_id} "
        return of + self.bar.text

    def questions(self) -> dict[str, Ask]:
        """What is in the window, again; and the newest attempt at the event under the cursor."""
        asks = {"list": self._page(self._window.again(), follow=True)}
        if self.listed.here is not None:
            asks["detail"] = self._newest_attempt(self.listed.here)
        return asks

    def _page(self, need: Need, *, follow: bool = False) -> Ask:
        where, cluster_id, oldest_first = self._filter, self.cluster_id, self._oldest_first
        all_of_it = not self.bar.text
        newest = self._newest_seen
        # Pinned: new events wait behind a counter, unless the cursor stands on the newest one.
        pinned = follow and need.key is None and self.listed.cursor > 0 and not oldest_first

        def ask(inspector: Inspector) -> Page:
            with inspector.snapshot():
                before = newest + 1 if pinned and need.key is None else need.key
                rows = _rows(inspector, where, need._replace(key=before), oldest_first)
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
                return Page(need, rows, total, fresh, inspector.now(), cluster)

        return ask

    @staticmethod
    def _newest_attempt(event_id: int) -> Ask:
        def ask(inspector: Inspector) -> list[documents.Line]:
            event = inspector.event(event_id)
            if not event.attempts:
                return [documents.Line("Not tried yet.", documents.dim)]
            return documents.attempt(event.attempts[-1], inspector.now(), fold=True)

        return ask

    def answered_list(self, page: Page) -> None:
        """The window anew."""
        short = len(page.rows) < page.need.limit
        self._window.hold(page.rows, start=page.need.position, ended=short)
        self._show(page)

    def answered_page(self, page: Page) -> None:
        """A page that was missing."""
        self.listed.moved_by(self._window.merge(page.need, page.rows))
        self._show(page)

    def _show(self, page: Page) -> None:
        rows = self.listed
        at_top = rows.cursor == 0 or not self._newest_seen
        if at_top and page.rows and page.need.position == 0 and not self._oldest_first:
            self._newest_seen = max(self._newest_seen, page.rows[0].event_id)
        hidden = 0 if at_top else page.fresh
        self._window.count(page.total - hidden)
        marks = {}
        for event in page.rows:
            state = (event.attempts, event.sync_status)
            if self._seen.setdefault(event.event_id, state) != state:
                marks[event.event_id] = "▲"
        rows.follow = not self._oldest_first
        rows.show(Context(page.now, {}), rows.marks | marks)
        self._titles(page, hidden)

    def _titles(self, page: Page, hidden: int) -> None:
        rows = self.listed
        more = "+" if page.total >= _COUNTED and self.bar.text else ""
        rows.border_title = f"Events  {page.total:,}{more} · {'oldest' if self._oldest_first else 'newest'} first"
        many = "+" if hidden >= 100 else ""
        rows.border_subtitle = f"{hidden}{many} new above (.)" if hidden else ""
        if self.bar.text:
            self.bar.note(f"{counted(page.total, 'event')}{more}")
        if page.cluster is not None:
            self.query_one("#head", Words).say(documents.cluster_head(page.cluster, page.now))
        empty = "" if self._window.items else "No event passes this filter."
        self.query_one("#empty", Words).say([(empty, "")])
        self.query_one("#empty").display = bool(empty)

    def answered_detail(self, lines: list[documents.Line]) -> None:
        """The pane beside the list."""
        self.query_one("#detail", TextView).show(lines)

    def from_top(self) -> None:
        """Forget what is held; ask for the first page."""
        self._window.hold([])
        self._newest_seen = 0
        self._seen.clear()
        self.listed.marks = {}
        self.listed.here = None
        self.listed.cursor = 0
        self.listed.scroll_home(animate=False)
        self.ask()

    def on_rows_lacking(self, message: Rows.Lacking) -> None:
        """Fetch the page, and from now on follow what is then held."""
        self.inspector_app.feed.once(self, "page", self._page(message.need))

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Another event."""
        rows = self.listed
        rows.marks = {key: mark for key, mark in rows.marks.items() if key != message.key}
        self.inspector_app.feed.follow(self, "detail", self._newest_attempt(message.key))
        # The question about the list depends on where the cursor is; it is asked so at the next change.
        self.inspector_app.feed.expect(self, "list", self._page(self._window.again(), follow=True))

    def on_rows_opened(self, message: Rows.Opened) -> None:
        """Down into an event."""
        self.app.push_screen(EventScreen(message.key))

    def sibling(self, way: int) -> int | None:
        """The event after or before the one under the cursor; the cursor goes there."""
        before = self.listed.here
        self.listed.action_move(way)
        return None if self.listed.here == before else self.listed.here

    def action_sort(self) -> None:
        """The other order."""
        self._oldest_first = not self._oldest_first
        self.from_top()

    def action_take_in(self) -> None:
        """To the newest, with those that came meanwhile."""
        super().action_take_in()
        self._newest_seen = 0
        self.ask()

    def subject(self) -> tuple[str, int] | None:
        """The event under the cursor."""
        return None if self.listed.here is None else ("event", self.listed.here)

    def copies(self) -> dict[str, tuple[str, str]]:
        """The event's id, its row, its error."""
        event: Any = self.listed.current
        if event is None:
            return {}
        found = {"i": ("id", str(event.event_id)), "j": ("row as JSON", documents.as_json(event))}
        if event.last_error_type:
            found["m"] = ("message", f"{event.last_error_type}: {event.last_error}")
        return found


def _rows(inspector: Inspector, where: str, need: Need, oldest_first: bool) -> list[EventSummary]:
    """The rows of a page, in the list's order."""
    order: Any = ("newest", "oldest")
    if (need.way == "up") != oldest_first:
        order = ("oldest", "newest")
    skip = need.position if need.key is None and need.way == "down" else 0
    rows = inspector.events(where, limit=need.limit, before=need.key, order=order[0], skip=skip)
    return rows[::-1] if need.way == "up" else rows
