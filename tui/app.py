"""The app: an overview that follows the store, and from there down to a cluster, an event, its attempts."""

from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import DataTable, Footer, Header, Static

from failaware.text import one_line

from .messages import Picture, ReadFailed, Refreshed
from .refresh import Refresher
from .render import cluster_columns, cluster_rows, health_line, severity_line
from .screens import ClusterScreen


class InspectorApp(App[None]):
    """Health, severities and clusters, live; Enter goes down, Escape comes back. It cannot write."""

    CSS_PATH = "app.tcss"
    TITLE = "failaware"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place
        self._columns: tuple[str, ...] = ()
        self._picture: Picture | None = None
        self._refresher = Refresher(place, self.post_message)

    def compose(self) -> ComposeResult:
        """Two lines that say how it stands, and the clusters below."""
        yield Header(show_clock=False)
        yield Static("Opening the store …", id="health", markup=False)
        yield Static("", id="severity", markup=False)
        yield DataTable(id="clusters", cursor_type="row", zebra_stripes=True)
        yield Static("", id="notice", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to watch."""
        self.sub_title = one_line(self.place, 60)
        self.query_one("#clusters", DataTable).focus()
        self._refresher.start()

    def on_resize(self, event: Resize) -> None:
        """Other columns come first on a narrow terminal."""
        columns = cluster_columns(event.size.width)
        if columns != self._columns:
            self._columns = columns
            table = self.screen_stack[0].query_one("#clusters", DataTable)
            here = self._here(table)
            table.clear(columns=True)
            for name in columns:
                table.add_column(name, key=name)
            if self._picture is not None:
                self._fill(table, cluster_rows(self._picture), here)

    def on_unmount(self) -> None:
        """Stop watching."""
        self._refresher.stop()

    def on_refreshed(self, message: Refreshed) -> None:
        """Show the new picture; the cursor stays on its cluster."""
        self._picture = message.picture
        self._show(message.picture)

    def on_read_failed(self, message: ReadFailed) -> None:
        """Say what is wrong; the last picture stays."""
        self._notice(message.reason)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Down into a cluster."""
        if event.data_table.id == "clusters" and event.row_key.value is not None:
            self.push_screen(ClusterScreen(self.place, int(event.row_key.value)))

    def action_down(self) -> None:
        """One row down, as in vim."""
        if isinstance(self.focused, DataTable):
            self.focused.action_cursor_down()

    def action_up(self) -> None:
        """One row up."""
        if isinstance(self.focused, DataTable):
            self.focused.action_cursor_up()

    def _show(self, picture: Picture) -> None:
        base = self.screen_stack[0]
        base.query_one("#health", Static).update(health_line(picture.health, picture.now))
        base.query_one("#severity", Static).update(severity_line(picture.severity))
        table = base.query_one("#clusters", DataTable)
        rows = cluster_rows(picture)
        if [key for key, _ in rows] != [str(key.value) for key in table.rows]:
            here = self._here(table)
            table.clear()
            self._fill(table, rows, here)
        else:
            for key, cells in rows:
                for column, cell in cells.items():
                    if table.get_cell(key, column) != cell:
                        table.update_cell(key, column, cell)
        empty = "" if picture.health.total_events else "Nothing is recorded yet; 'failaware seed' makes sample data."
        self._notice(empty or ("" if rows else "Nothing has failed."))

    @staticmethod
    def _here(table: "DataTable[Text]") -> str | None:
        """The cluster under the cursor."""
        if not table.row_count:
            return None
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value

    def _fill(self, table: "DataTable[Text]", rows: list[tuple[str, dict[str, Text]]], here: str | None) -> None:
        """New rows or another order, with the cursor on the same cluster as before."""
        for key, cells in rows:
            table.add_row(*(cells[column] for column in self._columns), key=key)
        keys = [key for key, _ in rows]
        if here in keys:
            table.move_cursor(row=keys.index(here), animate=False)

    def _notice(self, text: str) -> None:
        notice = self.screen_stack[0].query_one("#notice", Static)
        notice.update(one_line(text))
        notice.display = bool(text)


def run_inspector(place: str) -> int:
    """Run the app on the terminal; returns the exit status."""
    InspectorApp(place).run()
    return 0
