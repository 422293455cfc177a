"""The part of the app that copies: texts, and commands that are never run."""

from textual.app import App

from failaware.text import counted, one_line

from .clipboard import decision_command, pasteable
from .screens.base import BaseScreen
from .screens.modal import CopyScreen


class Copying(App[None]):
    """An app with levels, of which each says what is here to copy and to decide about."""

    full_place = ""
    """The store's full path, or its URL."""

    @property
    def _level(self) -> BaseScreen | None:
        """The level that is on top, if one is; while the app ends there is no screen, and threads may still tell."""
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
        """The command that records a decision about what is here; it is not run."""
        subject = self._level.subject() if self._level is not None else None
        if subject is None:
            self.notify("Nothing to decide about.", markup=False)
            return
        command = decision_command(self.full_place, decision, subject)
        self._copy(f"the command; add the reason before you run it: {one_line(command)}", command)

    def _copy(self, name: str, text: str) -> None:
        self.copy_to_clipboard(text)
        self.notify(f"Copied {name} ({counted(len(text), 'character')})", markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy the text, with escapes for what a terminal would obey when it is pasted."""
        super().copy_to_clipboard(pasteable(text))
