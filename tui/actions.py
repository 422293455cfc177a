"""The app's actions on the screen on top: copy, help, command palette."""

from collections.abc import Iterable, Mapping

from textual.app import App, SystemCommand
from textual.screen import Screen

from failaware.text import counted, one_line

from .copies import decision_commands, pasteable
from .screens.base import BaseScreen
from .screens.modal import CopyScreen, KeysScreen
from .store_reader import StoreReader

_ABOUT = (
    "The inspector only reads. To decide, copy the command with c or C and run it in a shell.\n"
    "Filters: status:DEAD severity:HIGH+ type:payment.* -error:timeout since:2h"
)
_NOT_OURS = {"Scroll Left", "Scroll Right", "Page Left", "Page Right", "palette"}
"""Bindings that Textual gives every widget and that have no effect here."""


class AppActions(App[None]):
    """An app whose screens say what can be copied and what a decision would be about."""

    places: Mapping[str, str]
    """The full path of each store by its name, or its URL; of a single store by an empty name."""
    reader: StoreReader

    @property
    def _level(self) -> BaseScreen | None:
        """The screen on top; None while the app ends, when other threads may still post messages."""
        top = next(reversed(self.screen_stack), None)
        return top if isinstance(top, BaseScreen) else None

    def action_copy(self) -> None:
        """Choose what to copy."""
        choices = self._level.copies() if self._level is not None else {}
        if not choices:
            self.notify("Nothing to copy.", markup=False)
            return
        self.push_screen(CopyScreen(choices), lambda key: self._copy(*choices[key]) if key else None)

    def action_copy_command(self, decision: str) -> None:
        """Copy the command that records a decision about the selection, without running it."""
        subjects = self._level.subjects() if self._level is not None else []
        if not subjects:
            self.notify("Nothing to decide about.", markup=False)
            return
        command = decision_commands(self.places, decision, subjects, self.reader.parts_of)
        self._copy(f"the command; add the reason before you run it: {one_line(command)}", command)

    def _copy(self, name: str, text: str) -> None:
        self.copy_to_clipboard(text)
        self.notify(f"Sent to the terminal's clipboard: {name} ({counted(len(text), 'character')})", markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy the text, with control characters escaped: a terminal could execute them when they are pasted."""
        super().copy_to_clipboard(pasteable(text))

    def action_keys(self) -> None:
        """Show the keys of this screen."""
        keys: dict[str, list[str]] = {}
        for _, binding, enabled, _tip in self.screen.active_bindings.values():
            if enabled and binding.description and binding.description not in _NOT_OURS:
                keys.setdefault(binding.description, []).append(self.get_key_display(binding))
        self.push_screen(KeysScreen([(" ".join(names), what) for what, names in keys.items()], _ABOUT))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every key of the screen as a command, and the theme."""
        for _, binding, enabled, _tip in screen.active_bindings.values():
            if enabled and binding.description and binding.action != "app.command_palette":
                action = binding.action
                yield SystemCommand(
                    binding.description,
                    f"key {self.get_key_display(binding)}",
                    lambda action=action: self.call_later(screen.run_action, action),
                )
        yield SystemCommand("Theme", "light, dark, or the terminal's own colors", self.action_change_theme)
