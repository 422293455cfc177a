"""The app's actions on the screen on top: copy, help, command palette."""

from collections.abc import Iterable, Mapping

from textual.app import App, SuspendNotSupported, SystemCommand
from textual.screen import Screen

from failaware.text import counted, moment, one_line

from .copies import decision_commands, pasteable
from .key_help import NOT_OURS, groups, name_of
from .output import Shown, edit, export
from .screens.base import BaseScreen
from .screens.modal import CopyScreen, KeysScreen
from .screens.prompt import PromptScreen
from .store_reader import StoreReader

_ABOUT = (
    "The inspector only reads: run the command that c or C copies in a shell.\n"
    "Filters: status:DEAD severity:HIGH+ type:payment.* -error:timeout since:2h\n"
    "new: first failed within 24 h. rising: at least 3 in the last hour, and twice the mean of the day.\n"
    "now/h: failures of the last 60 minutes. last/since: the last failure, and below it the first one.\n"
    "1×HIGH: one event of the cluster is HIGH; the cluster has no severity of its own.\n"
    "episode: hours in a row in which new events failed. relapse: a new one failed when all others had succeeded.\n"
    "helped: how many events succeeded after a requeue. CRITICAL: only clusters; w says why."
)
_IN_NAMES = str.maketrans(" :", "--")


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

    def action_export(self) -> None:
        """Write what is shown to a file."""
        if (level := self._level) is not None:
            shown = level.shown()
            path = f"failaware-{moment(self.reader.now())[:19].translate(_IN_NAMES)}.{'txt' if shown.text else 'csv'}"
            asks = "write this text to" if shown.text else "write these rows to (.csv or .json)"
            self.push_screen(PromptScreen(asks, text=path), lambda name: self._export(shown, name) if name else None)

    def _export(self, shown: Shown, name: str) -> None:
        try:
            where = export(shown, name)
        except (OSError, ValueError) as error:
            problem = "there is a file of this name" if isinstance(error, FileExistsError) else str(error)
            self.notify(one_line(f"Nothing was written: {problem}."), severity="warning", markup=False)
        else:
            rest = f" of {shown.size:,}; failaware events writes all" if shown.size > len(shown.items) else ""
            what = "the text" if shown.text else f"{counted(len(shown.items), 'row')}{rest}"
            self.notify(one_line(f"Wrote {what} to {where}"), markup=False)

    def action_edit(self) -> None:
        """Open the text that is shown in the editor of the environment."""
        text = self._level.shown(text_only=True).text if self._level is not None else ""
        if not text:
            self.notify("There is no text to open.", markup=False)
            return
        try:
            with self.suspend():
                problem = edit(text)
            self.refresh()
        except SuspendNotSupported:
            problem = "this terminal cannot be given to another program"
        if problem:
            self.notify(one_line(f"No editor: {problem}."), severity="warning", markup=False)

    def action_keys(self) -> None:
        """Show the keys of this screen."""
        keys = [
            (self.get_key_display(binding), binding.action, binding.description)
            for _, binding, enabled, _tip in self.screen.active_bindings.values()
            if enabled and binding.description
        ]
        self.push_screen(KeysScreen(groups(keys), _ABOUT))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every key of the screen as a command, and the theme."""
        known = {"command_palette", *NOT_OURS}
        for node, binding, enabled, _tip in screen.active_bindings.values():
            if enabled and binding.description and (name := name_of(binding.action)) not in known:
                known.add(name)
                action, of = binding.action, node
                yield SystemCommand(
                    binding.description,
                    f"key {self.get_key_display(binding)}",
                    lambda action=action, of=of: self.call_later(self.run_action, action, of),
                )
        yield SystemCommand("Theme", "light, dark, or the terminal's own colors", self.action_change_theme)
