"""What opens over a screen: the keys that apply here, and what can be copied."""

from itertools import zip_longest
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from .. import key_help
from ..change_markers import MEANING
from ..palette import shade, style
from ..widgets.framed import Framed
from ..widgets.scrolling import SCROLL_KEYS, Scrolling

_COLUMNS = 3  # at most
_FRAME = 4  # cells of the border and the scrollbar


class HelpPane(Framed, Scrolling, VerticalScroll):
    """Scrolls, and says so while there is more below."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCROLL_KEYS]

    def on_resize(self) -> None:
        """How much of it is in sight is another one."""
        self.call_after_refresh(self._tell_more)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """It was scrolled."""
        super().watch_scroll_y(old_value, new_value)
        self._tell_more()

    def _tell_more(self) -> None:
        self.say_below("more below (j)" if self.scroll_y < self.max_scroll_y else "")


class KeysScreen(ModalScreen[None]):
    """The keys of a screen by what one wants to do, and what signs and words mean."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,question_mark,q,enter", "dismiss", "Close")]

    def __init__(self, groups: list[key_help.Group], about: str) -> None:
        super().__init__()
        self._groups = groups
        self._about = about

    def compose(self) -> ComposeResult:
        """Columns of keys."""
        look = shade(self.app)
        text = Text()
        number = min(max((self.app.size.width - _FRAME) // key_help.COLUMN, 1), _COLUMNS)
        for line in zip_longest(*key_help.columns(self._groups, number), fillvalue=("", "")):
            for key, does in line:
                shown = key_help.cell(key, does)
                at = len(text) + len(shown) - len(shown.lstrip())
                text.append(shown, style("" if key else "strong", look))
                if key:
                    text.stylize(style("key", look), at, at + len(key))
            text.append("\n")
        text.append("Marks  ", style("strong", look))
        text.append("  ".join(f"{mark} {meaning}" for mark, meaning in MEANING.items()) + "\n")
        text.append(self._about, style("dim", look))
        with HelpPane(id="keys"):
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
