"""What opens over a screen: the keys that apply here, and what can be copied."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from ..change_markers import MEANING
from ..palette import shade, style

_TWO_COLUMNS = 76  # cells of the terminal from which two columns of keys fit


class KeysScreen(ModalScreen[None]):
    """The keys of a screen, and what the marks mean."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,question_mark,q,enter", "dismiss", "Close")]

    def __init__(self, keys: list[tuple[str, str]], about: str) -> None:
        super().__init__()
        self._keys = keys
        self._about = about

    def compose(self) -> ComposeResult:
        """A table of keys."""
        look = shade(self.app)
        text = Text()
        columns = 2 if self.app.size.width >= _TWO_COLUMNS else 1
        rows = -(-len(self._keys) // columns)
        for at in range(rows):
            for key, description in self._keys[at::rows]:
                text.append(f"{key:>14}  ", style("key", look))
                text.append(f"{description:<18}")
            text.append("\n")
        text.append("\nMarks: ", style("strong", look))
        text.append("   ".join(f"{mark} {meaning}" for mark, meaning in MEANING.items()) + "\n")
        text.append(f"\n{self._about}", style("dim", look))
        with VerticalScroll(id="keys"):
            yield Static(text, markup=False)


class CopyScreen(ModalScreen[str | None]):
    """One more key chooses what is copied."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,q", "dismiss", "Close")]

    def __init__(self, choices: dict[str, tuple[str, str]]) -> None:
        super().__init__()
        self._choices = choices

    def compose(self) -> ComposeResult:
        """The choices."""
        look = shade(self.app)
        text = Text("Copy\n\n", style("strong", look))
        for key, (name, value) in self._choices.items():
            text.append(f" {key}  ", style("key", look))
            text.append(f"{name}, {len(value):,} characters\n")
        yield Static(text, id="copy", markup=False)

    def on_key(self, event: events.Key) -> None:
        """Choose."""
        if event.key in self._choices:
            event.stop()
            self.dismiss(event.key)
