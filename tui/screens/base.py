"""What every screen has: a top line, a line for trouble, and keys."""

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from failaware.text import visible

from ..output import Shown
from ..widgets.key_line import KeyLine
from ..widgets.lines import StyledText, TopLine
from ..widgets.rows import Rows
from ..widgets.text_view import TextView
from ..widgets.time_strip import TimeStrip
from .navigation import NavigationScreen


class BaseScreen(NavigationScreen):
    """One level of the way down, with its frame, and the keys that every level has."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,h", "back", "Back"),
        Binding("y", "app.copy", "Copy", show=False),
        Binding("c", "app.copy_command('requeue')", "Copy requeue", show=False),
        Binding("C", "app.copy_command('dismiss')", "Copy dismiss", show=False),
        Binding("r", "app.reload", "Refresh", show=False),
        Binding("p", "app.pause", "Pause", show=False),
        Binding("S", "app.export", "Export", show=False),
        Binding("E", "app.edit", "Open in $EDITOR", show=False),
        Binding("ctrl+p", "app.command_palette", "Palette", show=False),
    ]
    AUTO_FOCUS = "Rows, TextView"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (96, "-medium"), (140, "-wide")]  # noqa: RUF012 - Textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-short"), (28, "-normal"), (40, "-tall")]  # noqa: RUF012
    crumb: str = ""

    def compose(self) -> ComposeResult:
        """The frame; the body is the subclass's. Its styles follow the size at once: Textual would apply them twice."""
        for minima, size in (
            (self.HORIZONTAL_BREAKPOINTS, self.app.size.width),
            (self.VERTICAL_BREAKPOINTS, self.app.size.height),
        ):
            self.set_class(True, next(name for least, name in reversed(minima) if least <= size), update=False)
        yield TopLine()
        yield StyledText(id="trouble")
        yield TimeStrip()
        yield from self.body()
        yield KeyLine()

    def body(self) -> Iterator[Widget]:
        """The widgets between the top line and the footer."""
        raise NotImplementedError

    def tell_state(self) -> None:
        """Show the state of the store, and the troubles."""
        self.inspector_app.tell_state(self)

    def tell_trouble(self, parts: list[tuple[str, str]]) -> None:
        """Say what is wrong with the store; nothing, if nothing is."""
        line = self.query_one("#trouble", StyledText)
        line.say([(visible(text), meaning) for text, meaning in parts])
        line.show_if(bool(parts))

    def age(self) -> str:
        """When what is shown was read, for a screen that does not follow the store; "" while it is the newest."""
        return ""

    def tick(self, now: int) -> None:
        """A second has passed; now is the time (µs) as of which all is shown."""
        for rows in self.query(Rows):
            rows.tick(now)
        for view in self.query(TextView):
            view.tick(now)
        self.query_one(TimeStrip).tick(self.inspector_app.reader.now())
        self._pass_time(now)

    def _pass_time(self, now: int) -> None:
        """For what else a screen says about the time."""

    def action_back(self) -> None:
        """First all panes again; then one level up."""
        if self.maximized is not None:
            self.minimize()
        elif len(self.app.screen_stack) > 2:  # the app's own empty screen lies below the overview
            self.app.pop_screen()

    def subject(self) -> tuple[str, int] | None:
        """What is here to explain or to decide about: 'cluster' or 'event', and its id; None if there is nothing."""
        return None

    def shown(self, *, text_only: bool = False) -> Shown:
        """The pane with the focus: its text, or its rows; otherwise the first that has a text."""
        focused, lists = self.focused, list(self.query(Rows))
        texts = [view for view in self.query(TextView) if view.lines]
        if not text_only and lists and not isinstance(focused, TextView):
            listed = focused if isinstance(focused, Rows) else lists[0]
            return Shown(items=listed.window.items, size=listed.window.size)
        view = focused if isinstance(focused, TextView) else texts[0] if texts else None
        return Shown("" if view is None else "".join(f"{line.text}\n" for line in view.lines))

    def subjects(self) -> list[tuple[str, int]]:
        """What a copied command decides about: the subject, or several of its kind."""
        subject = self.subject()
        return [] if subject is None else [subject]

    def copies(self) -> dict[str, tuple[str, str]]:
        """What `y` offers: by key its name and its text."""
        return {}
