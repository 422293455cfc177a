"""What every screen has: a top line, a line for trouble, keys, and questions to the reader while it is in sight."""

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Footer

from failaware.text import one_line, visible

from ..messages import Answered
from ..store_reader import Ask
from ..widgets.lines import StyledText, TopLine
from ..widgets.rows import Rows
from ..widgets.text_view import TextView
from ..widgets.time_strip import TimeStrip
from .time_travel import TimeTravelMixin


class BaseScreen(TimeTravelMixin):
    """One level of the way down. A subclass says what it `asks`, and shows answers in `answered_NAME`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,h", "back", "Back"),
        Binding("y", "app.copy", "Copy", show=False),
        Binding("c", "app.copy_command('requeue')", "Copy requeue", show=False),
        Binding("C", "app.copy_command('dismiss')", "Copy dismiss", show=False),
        Binding("w", "app.why", "Why"),
        Binding("r", "app.reload", "Refresh", show=False),
        Binding("p", "app.pause", "Pause", show=False),
        Binding("ctrl+p,colon", "app.command_palette", "Palette", show=False),
    ]
    AUTO_FOCUS = "Rows, TextView"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (96, "-medium"), (140, "-wide")]  # noqa: RUF012 - Textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-short"), (28, "-normal"), (40, "-tall")]  # noqa: RUF012
    crumb: str = ""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.troubles: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """The frame; the body is the subclass's."""
        yield TopLine()
        yield StyledText(id="trouble")
        yield TimeStrip()
        yield from self.body()
        yield Footer(show_command_palette=False)

    def body(self) -> Iterator[Widget]:
        """The widgets between the top line and the footer."""
        raise NotImplementedError

    def questions(self) -> dict[str, Ask]:
        """What to ask the store, by name, now and after each change."""
        raise NotImplementedError

    def on_screen_resume(self) -> None:
        """In sight: ask."""
        self.ask()
        self.inspector_app.tell_state(self)

    def on_screen_suspend(self) -> None:
        """Out of sight: cost nothing."""
        self.inspector_app.reader.leave(self)

    def on_unmount(self) -> None:
        """Gone."""
        self.inspector_app.reader.leave(self)

    def ask(self) -> None:
        """Ask everything again."""
        for name, ask in self.questions().items():
            self.inspector_app.reader.follow(self, name, ask)

    def on_answered(self, message: Answered) -> None:
        """Hand the answer to its method."""
        if not self.is_attached:
            return
        was = dict(self.troubles)
        self.troubles.pop(message.name, None)
        if message.trouble:
            self.troubles[message.name] = message.problem
        if was != self.troubles:
            self.inspector_app.tell_state(self)
        if message.trouble:
            return
        if message.problem:
            self.troubled(message.name, message.problem)
        else:
            getattr(self, f"answered_{message.name}")(message.answer)

    def troubled(self, _name: str, problem: str) -> None:
        """An answer that is a problem: say it."""
        self.notify(Text(one_line(problem)).plain, severity="warning", markup=False)

    def tell_trouble(self, parts: list[tuple[str, str]]) -> None:
        """Say what is wrong with the store; nothing, if nothing is."""
        line = self.query_one("#trouble", StyledText)
        line.say([(visible(text), meaning) for text, meaning in parts])
        line.display = bool(parts)

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
        """One level up."""
        if len(self.app.screen_stack) > 2:  # the app's own empty screen lies below the overview
            self.app.pop_screen()

    def subject(self) -> tuple[str, int] | None:
        """What is here to explain or to decide about: 'cluster' or 'event', and its id; None if there is nothing."""
        return None

    def copies(self) -> dict[str, tuple[str, str]]:
        """What `y` offers: by key its name and its text."""
        return {}
