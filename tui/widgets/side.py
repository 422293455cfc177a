"""The side of a list: one frame with tabs in its border, which shows a text, or the numbers of an impact."""

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from ..details import TABS
from ..patterns import DRILL_DOWN_COLUMNS, DrillDown
from ..window import Window
from .framed import Framed
from .rows import Rows
from .text_view import TextView

_TITLE_AT = 3  # cells of the border before its title


class Side(Framed, Vertical):
    """Shows the tab that the screen says; a click on the name of another one asks for it."""

    class Chosen(Message):
        """Show this tab."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    class Opened(Message):
        """Open what a number of the impact counts."""

        def __init__(self, drill_down: DrillDown) -> None:
            super().__init__()
            self.drill_down = drill_down

    def __init__(self) -> None:
        super().__init__(id="side")
        self.window: Window[DrillDown] = Window(lambda drill_down: drill_down.place)

    def compose(self) -> ComposeResult:
        """The text, and the numbers."""
        yield TextView(id="detail")
        yield Rows(DRILL_DOWN_COLUMNS, self.window, key="place", id="drill-downs")

    @property
    def text(self) -> TextView:
        """The text."""
        return self.query_one(TextView)

    @property
    def numbers(self) -> "Rows[DrillDown]":
        """The numbers of an impact."""
        return self.query_one("#drill-downs", Rows)

    @property
    def shown(self) -> Widget:
        """Of both the one in sight."""
        return self.numbers if self.numbers.display else self.text

    def name_tabs(self, tab: str) -> None:
        """Name all tabs, this one as the one that is shown."""
        names = [(f" {word} ", "reverse" if word.endswith(tab.capitalize()) else "") for word in _words()]
        self.say_above(Content.assemble(*names))

    def show_numbers(self, *, numbers: bool) -> None:
        """Show the numbers, or the text; the focus goes along."""
        if self.numbers.display != numbers:
            focused = self.shown.has_focus
            self.numbers.display, self.text.display = numbers, not numbers
            if focused:
                self.shown.focus()

    def on_mount(self) -> None:
        """The border is that of both."""
        self.text.frame = self

    def tell(self, text: str) -> None:
        """Say in the border what is shown."""
        self.say_below(text)

    def on_click(self, event: events.Click) -> None:
        """On the name of a tab: that tab."""
        if event.widget is not self or event.y:
            return
        end = _TITLE_AT - 1
        for tab, word in zip(TABS, _words(), strict=True):
            end += len(word) + 2
            if event.x < end:
                self.post_message(self.Chosen(tab))
                return

    def on_rows_opened(self, message: Rows.Opened) -> None:
        """A number was chosen."""
        message.stop()
        self.post_message(self.Opened(message.item))

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """The cursor of the numbers concerns nobody else."""
        message.stop()

    def on_rows_title_clicked(self, message: Rows.TitleClicked) -> None:
        """The numbers have one order."""
        message.stop()

    def on_rows_lacking(self, message: Rows.Lacking) -> None:
        """All numbers are held."""
        message.stop()


def _words() -> list[str]:
    return [f"{number} {tab.capitalize()}" for number, tab in enumerate(TABS, 1)]
