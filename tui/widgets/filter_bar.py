"""The filter input: applied while typing, with a note on errors."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from failaware.text import visible

from ..filters import complete
from .lines import StyledText

if TYPE_CHECKING:
    from textual.timer import Timer

_REST_S = 0.15


class _Completion(Suggester):
    def __init__(self, bar: "FilterBar") -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._bar = bar

    async def get_suggestion(self, value: str) -> str | None:
        """The whole text with its last word completed."""
        return complete(value, clusters=self._bar.of_clusters, types=self._bar.types)


class FilterBar(Vertical):
    """Hidden while there is no filter. Enter keeps the filter, Escape clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "Clear the filter"),
        Binding("tab", "take", "Complete", priority=True),
    ]

    class Changed(Message):
        """The filter is another one."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The person goes back to the list."""

    def __init__(self, *, of_clusters: bool, text: str = "") -> None:
        super().__init__(id="filter")
        self.of_clusters = of_clusters
        self.types: tuple[str, ...] = ()
        self.text = self.given = text
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        """The input and its note."""
        with Vertical(id="filter-box"):
            yield Input(
                self.text, placeholder="status:DEAD type:payment.* since:2h timeout", suggester=_Completion(self)
            )
        yield StyledText(id="filter-note")

    def on_mount(self) -> None:
        """Out of the way, unless there is a filter."""
        self.display = bool(self.text)

    @property
    def typed(self) -> str:
        """The text in the input; `text` is the filter already applied."""
        return next((box.value for box in self.query(Input)), self.text)

    def open(self) -> None:
        """Begin to type."""
        self.display = True
        self.query_one(Input).focus()

    def put(self, text: str) -> None:
        """Another filter, by a key."""
        self.query_one(Input).value = text
        self.display = bool(text)

    def note(self, text: str, *, wrong: bool = False) -> None:
        """Show how many items match, or what is wrong."""
        self.query_one("#filter-note", StyledText).say([(visible(text), "mark" if wrong else "dim")])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter after a moment's rest."""
        event.stop()
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_REST_S, self._changed)

    def _changed(self) -> None:
        text = self.query_one(Input).value.strip()
        if text != self.text:
            self.text = text
            self.post_message(self.Changed(text))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the list, with the filter."""
        event.stop()
        self._changed()
        self.display = bool(self.text)
        self.post_message(self.Left())

    def action_clear(self) -> None:
        """No filter."""
        self.put("")
        self._changed()
        self.post_message(self.Left())

    def action_take(self) -> None:
        """Take the completion, if there is one; else on to the list."""
        box = self.query_one(Input)
        if box.has_focus and complete(box.value, clusters=self.of_clusters, types=self.types):
            box.action_cursor_right()
        else:
            self.post_message(self.Left())
