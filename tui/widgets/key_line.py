"""The last line: the keys of the screen that fit.

One widget: Textual's Footer mounts one for each key, whenever the keys change.
"""

from typing import NamedTuple

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.screen import Screen

from failaware.text import cells

from .lines import StyledText

_GAP = 2  # cells between two keys
_FIRST = ("open", "back", "filter", "search", "place('events')", "over_time('why')", "tab('why')", "as_of")
"""Actions that have room before all others, most important first."""


class _Key(NamedTuple):
    """A key, and what it does; the action is that of a widget, a screen or the app."""

    shown: str
    does: str
    action: str
    node: DOMNode

    @property
    def width(self) -> int:
        """The cells that it takes, with what separates it from the next."""
        return cells(self.shown) + 1 + cells(self.does) + _GAP


class KeyLine(StyledText):
    """The keys, most important first, then those of the whole app, which have precedence. A click presses a key."""

    def __init__(self) -> None:
        super().__init__(id="key-line")
        self._keys: list[_Key] = []

    def on_mount(self) -> None:
        """Follow what the keys are."""
        self.screen.bindings_updated_signal.subscribe(self, self._arrange)

    def on_resize(self) -> None:
        """Arrange for the new width."""
        self._arrange(self.screen)

    def _arrange(self, screen: Screen[object]) -> None:
        if not self.size.width or not screen.is_current:
            return
        of_screen: dict[str, _Key] = {}
        of_app: dict[str, _Key] = {}
        for node, binding, enabled, _tip in screen.active_bindings.values():
            if binding.show and enabled:
                key = _Key(self.app.get_key_display(binding), binding.description, binding.action, node)
                (of_app if isinstance(node, App) else of_screen).setdefault(binding.action, key)
        last = list(of_app.values())
        left = self.size.width - 1 - sum(key.width for key in last) + _GAP
        self._keys = []
        for _action, key in sorted(of_screen.items(), key=lambda item: _rank(item[0])):
            left -= key.width
            if left < 0:
                break
            self._keys.append(key)
        self._keys += last
        parts = [part for key in self._keys for part in ((f"{key.shown} ", "mark"), (key.does + " " * _GAP, ""))]
        self.say([(" ", ""), *parts])

    async def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        end = 1
        for key in self._keys:
            end += key.width
            if event.x < end:
                await self.app.run_action(key.action, key.node)
                return


def _rank(action: str) -> int:
    return _FIRST.index(action) if action in _FIRST else len(_FIRST)
