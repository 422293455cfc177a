"""The filter input: applied while typing, with a note on errors."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from failaware.text import visible

from ..filter_history import keep_filter, kept_filters
from ..filters import completions, is_half_a_field
from .lines import StyledText

if TYPE_CHECKING:
    from textual.timer import Timer

_REST_S = 0.15
_SHOWN = 12  # completions


class _Completion(Suggester):
    def __init__(self, bar: "FilterBar") -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._bar = bar

    async def get_suggestion(self, value: str) -> str | None:
        """The whole text with its last word completed."""
        return next(iter(self._bar.completions(value)), None)


class FilterBar(Vertical):
    """Hidden while there is no filter. Enter keeps the filter, Escape clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "Clear the filter"),
        Binding("tab", "take", "Complete", priority=True),
        Binding("up", "earlier(1)", "Earlier filter", show=False),
        Binding("down", "earlier(-1)", "Later filter", show=False),
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
        self.stores: tuple[str, ...] = ()
        """Their names, if there are several."""
        self.text = self.given = text
        self._resting: Timer | None = None
        self._note: tuple[str, str] = ("", "")
        self._choices: list[str] = []  # what the last word can be completed to; Tab goes from one to the next
        self._choice = -1
        self._back = 0  # how far back in the history of filters

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
        self._note = visible(text), "mark" if wrong else "dim"
        self._say_note()

    def completions(self, text: str) -> list[str]:
        """The filters that this may become."""
        return completions(text, clusters=self.of_clusters, types=self.types, stores=self.stores)

    def _say_note(self) -> None:
        parts = [self._note]
        if self.query_one(Input).has_focus:
            for place, choice in enumerate(self._choices[:_SHOWN]):
                last = visible(choice.rsplit(" ", 1)[-1])
                parts += [("  ", ""), (last, "selected" if place == self._choice else "key")]
        self.query_one("#filter-note", StyledText).say(parts)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter after a moment's rest."""
        event.stop()
        if self._resting is not None:
            self._resting.stop()
        if event.value not in self._choices:
            self._choices, self._choice = self.completions(event.value), -1
        self._say_note()
        is_half = is_half_a_field(event.value, clusters=self.of_clusters, several=bool(self.stores))
        if not (event.input.has_focus and is_half):
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
        if self.text:
            keep_filter(self.text)
        self._choices, self._back = [], 0
        self._say_note()
        self.post_message(self.Left())

    def action_earlier(self, by: int) -> None:
        """A filter that was used before."""
        history = kept_filters()
        self._back = min(max(self._back + by, 0), len(history))
        box = self.query_one(Input)
        box.value = history[-self._back] if self._back else ""
        box.action_end()

    def action_clear(self) -> None:
        """No filter."""
        self.put("")
        self._changed()
        self.post_message(self.Left())

    def action_take(self) -> None:
        """Take the first completion, or the next one after that; if there is none, on to the list."""
        box = self.query_one(Input)
        if len(self._choices) <= 1 and box.value in self._choices:
            self._choices, self._choice = self.completions(box.value), -1  # of the value of a field, for example
        if box.has_focus and self._choices:
            self._choice = (self._choice + 1) % len(self._choices)
            box.value = self._choices[self._choice]
            box.action_end()
        else:
            self.post_message(self.Left())
