"""A line of input at the bottom, over a screen: what to search for, where to go, where to write."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input

from ..widgets.lines import StyledText

if TYPE_CHECKING:
    from ..app import InspectorApp


class PromptScreen(ModalScreen[str | None]):
    """Enter gives what was typed, Escape nothing; the arrows bring back what was typed before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close"),
        Binding("up", "earlier(1)", "Earlier", show=False),
        Binding("down", "earlier(-1)", "Later", show=False),
        Binding("tab", "complete", "Complete", show=False, priority=True),
    ]

    is_ready = False  # for keys: earlier ones wait

    def __init__(
        self, asks: str, *, text: str = "", before: list[str] | None = None, words: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self._asks = asks
        self._text = text
        self._before = [] if before is None else before  # the newest is last; what is typed is added
        self._back = 0
        self._words = words

    def compose(self) -> ComposeResult:
        """The question and the input."""
        yield StyledText(id="prompt-asks")
        yield Input(self._text, id="prompt", suggester=SuggestFromList(self._words), select_on_focus=False)

    def on_mount(self) -> None:
        """Ask."""
        self.query_one("#prompt-asks", StyledText).say([(f" {self._asks}", "dim")])
        self.query_one(Input).focus()
        self.is_ready = True
        cast("InspectorApp", self.app).release_keys()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """That is it."""
        text = event.value.strip()
        if text:
            self._before[:] = [*(other for other in self._before if other != text), text]
        self.dismiss(text or None)

    def action_earlier(self, by: int) -> None:
        """What was typed before that."""
        self._back = min(max(self._back + by, 0), len(self._before))
        box = self.query_one(Input)
        box.value = self._before[-self._back] if self._back else self._text
        box.action_end()

    def action_complete(self) -> None:
        """Take the word that is suggested."""
        self.query_one(Input).action_cursor_right()
