"""The app: from the overview down to one attempt, live and read-only."""

import gc
import os
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.widgets import Input

from failaware.federation import StorePlace
from failaware.text import one_line, shown_place, span

from .actions import AppActions
from .copies import full_place
from .keymap import Keymap
from .last_look import keep_look, last_look
from .messages import Answered, StoreIs, StoreState, Travelled
from .palette import THEMES
from .routes import Route
from .screens.base import BaseScreen
from .screens.overview import Overview
from .settings import keep, kept
from .signals import ended_by_signals
from .store_reader import StoreReader
from .widgets.lines import TopLine

_LOOKS_S = 60  # after the last key, or movement of the mouse
_QUIET_US = 60_000_000  # after so long without a fact it is said


class Moment:
    """As of when all is shown (µs; None is now), whether that is still replayed, how far, and whether time goes on."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.at: int | None = None
        self.busy = False
        self.share = 0.0
        self.playing = False
        self._clock = clock

    def now(self) -> int:
        """The time by which all is shown (µs)."""
        return self._clock() if self.at is None else self.at


class InspectorApp(AppActions):
    """Holds the reader, the screens, and the state of the store. It cannot write."""

    CSS_PATH = Path(__file__).with_name("app.tcss")
    TITLE = "failaware"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, priority=True),
    ]

    def __init__(
        self, place: str, *, stores: Sequence[StorePlace] = (), clock: Callable[[], int] | None = None
    ) -> None:
        """An app for the store at `place`, or for several `stores`, which it names so."""
        super().__init__()
        self.place = place
        self.places = {store.name: full_place(store.place) for store in stores} or {"": full_place(place)}
        self.animation_level = "none"
        self._state: StoreState | None = None  # until the reader has said anything
        self.is_paused = False
        self.searches: list[str] = []
        self.answers: dict[Hashable, object] = {}  # to questions that take long, by what was asked
        self.keymap = Keymap(kept("keys"))
        self._input_at = -_LOOKS_S * 1.0
        self._early_keys: list[events.Key] = []
        self._last_fact_at: int | None = None
        self.last_look = last_look(place)
        self.reader = StoreReader(place, self, clock, stores)
        self.moment = Moment(self.reader.now)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._theme_before = self._first_theme()

    @property
    def is_looked_at(self) -> bool:
        """Whether a person pressed a key, or moved the mouse, a short while ago."""
        return time.monotonic() - self._input_at < _LOOKS_S

    @property
    def _is_screen_ready(self) -> bool:
        """Whether the screen on top takes keys."""
        return getattr(next(reversed(self.screen_stack), None), "is_ready", True)

    async def on_event(self, event: events.Event) -> None:
        """Note when a person does something, and take the keys that the person has changed for those that we know."""
        if isinstance(event, events.Key | events.MouseEvent):
            self._input_at = time.monotonic()
        if isinstance(event, events.Key) and (self._early_keys or not self._is_screen_ready):
            self._early_keys.append(event)
            return
        if isinstance(event, events.Key) and not event.is_forwarded and not isinstance(self.focused, Input):
            default = self.keymap.default(event.key)
            if default != event.key:
                event = events.Key(default, None)
        await super().on_event(event)

    def release_keys(self) -> None:
        """Take the keys that were pressed while a screen was being opened."""
        self.call_later(self._take_early_keys)  # as if the terminal had sent them, and not the screen

    def _take_early_keys(self) -> None:
        early, self._early_keys = self._early_keys, []
        for event in early:
            self.post_message(events.Key(event.key, event.character))

    def get_key_display(self, binding: Binding) -> str:
        """The key that the person has chosen."""
        key = self.keymap.shown(binding.key)
        return super().get_key_display(binding if key is None else replace(binding, key=key, key_display=None))

    def _first_theme(self) -> str:
        """The theme of the environment, else the one that was chosen last, else ours; with 16 colors the terminal's."""
        if self.no_color:
            return THEMES[0].name  # the terminal's own colors would all become black
        chosen = os.environ.get("TEXTUAL_THEME") or kept("theme")
        if chosen in self.available_themes:
            return str(chosen)
        return "ansi-dark" if self.console.color_system == "standard" else THEMES[0].name

    @property
    def has_several(self) -> bool:
        """Whether several stores are asked as one."""
        return "" not in self.places

    @property
    def shown_place(self) -> str:
        """The store's path, harmless and short."""
        return one_line(shown_place(self.place), 60)

    def on_mount(self) -> None:
        """Begin to read."""
        self.push_screen(Overview())
        self.reader.follow(self, "last_fact", lambda inspector: inspector.health().last_fact_at, live=True)
        self.reader.start()
        self.set_interval(1.0, self._tick)

    def on_unmount(self) -> None:
        """Stop reading, also in the middle of a long query."""
        self.reader.stop()
        if self.theme != self._theme_before:
            keep("theme", self.theme)
        if self._is(StoreIs.LIVE):
            keep_look(self.place, self.reader.now())

    def on_answered(self, message: Answered) -> None:
        """When the newest fact was written; None while that is not known."""
        if message.name == "last_fact":  # others' answers come here too, after their screens had them
            self._last_fact_at = message.answer if isinstance(message.answer, int) else None
            self._tell_level()

    def on_travelled(self, message: Travelled) -> None:
        """All is shown as of another moment, or soon will be."""
        self.moment.at, self.moment.busy, self.moment.share = message.at, message.busy, message.share
        self.moment.playing = self.moment.playing and message.at is not None
        if message.problem:
            self.notify(one_line(message.problem), severity="warning", markup=False)
        self._tell_level()

    def on_store_state(self, message: StoreState) -> None:
        """The store came, went, or cannot be read."""
        if message.state is StoreIs.LIVE and self._is(StoreIs.REPLACED):
            self.notify("The store was replaced; this is the new one.", markup=False)
        self._state = message
        self._tell_level()

    def _tell_level(self) -> None:
        with suppress(NoMatches):  # of a screen that is just being composed, or removed
            if self._level is not None:
                self.tell_state(self._level)

    def _is(self, state: StoreIs) -> bool:
        return self._state is not None and self._state.state is state

    def tell_state(self, screen: BaseScreen) -> None:
        """Show breadcrumbs, the store's state and problems on a screen."""
        top = screen.query_one(TopLine)
        top.here([level.crumb for level in self.screen_stack if isinstance(level, BaseScreen)])
        word, meaning = "○ not live", "mark"
        if self._state is not None and self._is(StoreIs.LIVE):
            word, meaning = " ".join(("● live", self._state.text)).strip() + self._quiet(), "SYNCED"
        if self.is_paused:
            word, meaning = "‖ paused (p)", "mark"
        if self.moment.at is not None:
            word, meaning = "◂ in the past (a)", "mark"
        top.show_state(one_line(shown_place(self.place)), (word, meaning))
        screen.tell_moment()
        screen.tell_trouble(self._trouble(screen))

    def _quiet(self) -> str:
        """Since when nothing has been written, if that is a while."""
        quiet = 0 if self._last_fact_at is None else self.reader.now() - self._last_fact_at
        return f", quiet for {span(quiet)}" if quiet >= _QUIET_US else ""

    def _trouble(self, screen: BaseScreen) -> list[tuple[str, str]]:
        place, why = self.shown_place, self._state.text if self._state else ""
        sentences = {
            StoreIs.MISSING: f"There is no store at {place} yet. It is shown as soon as it appears; q quits.",
            StoreIs.DELETED: f"{place} was deleted. Its last contents are shown; a new store is shown when it appears.",
            StoreIs.REPLACED: f"{place} was replaced by another file, which is being opened.",
            StoreIs.TROUBLED: f"{why}. Retrying; the last data read stays on screen.",
        }
        text = "" if self._state is None else sentences.get(self._state.state, "")
        text = text or next((f"{problem}. Retrying." for problem in screen.troubles.values()), "")
        if not text and self._state is not None and self._state.note:
            text = f"{self._state.note}."
        text = " ".join(filter(None, (text, screen.age())))
        return [(text, "mark")] if text else []

    def _tick(self) -> None:
        if (level := self._level) is not None:
            with suppress(NoMatches):
                level.tick(self.moment.now())
                self.tell_state(level)
            if self.moment.playing and not self.moment.busy:
                level.action_step(1)

    def open(self, route: Route) -> None:
        """Open the screen that a route leads to."""
        from .screens.opened import screen_of  # not before: the first paint does not wait for other screens

        self.push_screen(screen_of(route))

    def on_top_line_crumb(self, message: TopLine.Crumb) -> None:
        """Up to a level."""
        while len([level for level in self.screen_stack if isinstance(level, BaseScreen)]) - 1 > message.depth:
            self.pop_screen()

    def action_reload(self) -> None:
        """Refresh now."""
        self.reader.refresh()

    def action_pause(self) -> None:
        """Hold the screen still, or let it follow again."""
        self.is_paused = not self.is_paused
        self.reader.pause(self.is_paused)
        self._tell_level()


def run_inspector(place: str, *, stores: Sequence[StorePlace] = (), mouse: bool = True) -> int:
    """Run the app on the terminal; returns the exit status: 0, or 128 and the number of the signal that ended it."""
    app = InspectorApp(place, stores=stores)
    gc.freeze()  # the garbage collector need not go through all modules again and again
    with ended_by_signals(app) as ended:
        app.run(mouse=mouse)
    return 128 + ended[0] if ended else 0
