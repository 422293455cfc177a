"""The screens below the overview: a cluster with its events, and an event with its attempts."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Header, Static

from failaware.errors import FailawareError
from failaware.read.inspector import Inspector
from failaware.text import one_line

from .messages import ReadFailed
from .render import EVENT_COLUMNS, cluster_title, event_row, event_text

_EVENTS = 500


class Below(Screen[None]):
    """A screen that reads once when it opens, on a thread, and again on r."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,backspace,h,left", "app.pop_screen", "Back"),
        ("r", "read", "Read again"),
    ]

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def on_mount(self) -> None:
        """Read."""
        self.action_read()

    def action_read(self) -> None:
        """Read on a thread, so that the keys stay quick."""
        self.run_worker(self._read, thread=True, exclusive=True)

    def _read(self) -> None:
        try:
            with Inspector.open(self.place) as inspector:
                self.read(inspector)
        except FailawareError as error:
            self.app.post_message(ReadFailed(str(error)))
            self.app.call_from_thread(self.notify, one_line(str(error)), severity="error", markup=False)

    def read(self, inspector: Inspector) -> None:
        """Ask the inspector, and hand the answer to the screen's thread."""
        raise NotImplementedError


class ClusterScreen(Below):
    """One cluster: why, and its events."""

    def __init__(self, place: str, cluster_id: int) -> None:
        super().__init__(place)
        self._cluster_id = cluster_id

    def compose(self) -> ComposeResult:
        """The reason above, the events below."""
        yield Header(show_clock=False)
        yield Static("", id="title", markup=False)
        yield DataTable(id="events", cursor_type="row", zebra_stripes=True)
        yield Footer()

    def read(self, inspector: Inspector) -> None:
        """The cluster and its newest events."""
        now = inspector.now()
        title = cluster_title(inspector.cluster(self._cluster_id), now)
        events = inspector.events(f"cluster:{self._cluster_id}", limit=_EVENTS)
        self.app.call_from_thread(self._show, title, [(event.event_id, event_row(event, now)) for event in events])

    def _show(self, title: object, rows: list[tuple[int, list[object]]]) -> None:
        self.query_one("#title", Static).update(title)  # type: ignore[arg-type]
        table = self.query_one("#events", DataTable)
        table.clear(columns=True)
        table.add_columns(*EVENT_COLUMNS)
        for event_id, cells in rows:
            table.add_row(*cells, key=str(event_id))
        table.focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Down into an event."""
        event.stop()
        if event.row_key.value is not None:
            self.app.push_screen(EventScreen(self.place, int(event.row_key.value)))


class EventScreen(Below):
    """One event: payload, decisions, every attempt with its error and traceback."""

    def __init__(self, place: str, event_id: int) -> None:
        super().__init__(place)
        self._event_id = event_id

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        yield Header(show_clock=False)
        with VerticalScroll(id="detail"):
            yield Static("", id="text", markup=False)
        yield Footer()

    def read(self, inspector: Inspector) -> None:
        """The event with all its attempts."""
        text = event_text(inspector.event(self._event_id), inspector.now())
        self.app.call_from_thread(self.query_one("#text", Static).update, text)
