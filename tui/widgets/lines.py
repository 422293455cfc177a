"""Status lines: breadcrumbs, the store's state, the events by state, health."""

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from failaware.model import Health
from failaware.text import cells, counted, cut, distance, one_line

from ..palette import shade, style, symbol

_AHEAD_US = 60_000_000
_QUIET_US = 60_000_000


class StyledText(Static):
    """Harmless text in styles by meaning, repainted when the theme changes."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__("", id=id, classes=classes, markup=False)
        self.parts: list[tuple[str, str]] = []

    def say(self, parts: Iterable[tuple[str, str]]) -> None:
        """Show these; the same again costs nothing."""
        parts = list(parts)
        if parts != self.parts:
            self.parts = parts
            self._paint()

    def show_if(self, shown: bool) -> None:
        """Show or hide it; as it is, that costs nothing."""
        if self.display != shown:
            self.display = shown

    def on_mount(self) -> None:
        """Follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._paint())

    def _paint(self) -> None:
        look = shade(self.app)
        text = Text.assemble(*((text, style(meaning, look)) for text, meaning in self.parts))
        self.update(text, layout=self.styles.auto_dimensions)  # else the whole screen is arranged again for each text


class TopLine(StyledText):
    """Breadcrumbs, the store, and whether it is live; a crumb that is clicked leads there."""

    def __init__(self) -> None:
        super().__init__(id="top")
        self.crumbs: list[str] = []
        self._is_shortened = False
        self._place = ""
        self._state: tuple[str, str] = ("", "")

    def here(self, crumbs: list[str]) -> None:
        """Set the breadcrumbs, from the overview down."""
        self.crumbs = [one_line(crumb, 60) for crumb in crumbs]
        self._arrange()

    def show_state(self, place: str, state: tuple[str, str]) -> None:
        """Set the store's place and state."""
        self._place, self._state = place, state
        self._arrange()

    def on_resize(self) -> None:
        """Arrange for the new width."""
        self._arrange()

    def _arrange(self) -> None:
        """The state always; then where one is; the store's place, by its end, in the remaining cells."""
        state = f"  {self._state[0]} "
        available = max(self.size.width - cells(state) - 1, 1)
        path = " › ".join(self.crumbs)
        self._is_shortened = cells(path) > available and len(self.crumbs) > 1
        if self._is_shortened:
            path = "‹ " + " › ".join(self.crumbs[-2:])
        path = cut(path, available)
        left = available - cells(path)
        place = f"{self._place} read-only"
        if cells(place) > left - 2:
            place = "…" + place[-(left - 3) :] if left > 24 else ""
        gap = " " * max(left - cells(place), 0)
        self.say([(f" {path}", "strong"), (gap, ""), (place, "dim"), (state, self._state[1])])

    def on_click(self, event: events.Click) -> None:
        """To the level whose crumb was clicked."""
        shown = list(enumerate(self.crumbs))
        end = 1
        if self._is_shortened:
            shown, end = shown[-2:], 3
        for depth, crumb in shown:
            end += cells(crumb)
            if event.x < end:
                self.post_message(self.Crumb(depth))
                return
            end += 3

    class Crumb(Message):
        """A crumb was clicked; `depth` is the level it leads to."""

        def __init__(self, depth: int) -> None:
            super().__init__()
            self.depth = depth


class CounterTile(StyledText, can_focus=True):
    """A number of events, which opens them: by a click, or by Enter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", key_display="⏎"),
        Binding("right,l", "app.focus_next", "Next number", show=False),
        Binding("left", "app.focus_previous", "Previous number", show=False),
    ]

    class Asked(Message):
        """List the events of this filter."""

        def __init__(self, where: str) -> None:
            super().__init__()
            self.where = where

    def __init__(self, name: str, where: str) -> None:
        super().__init__(classes=f"count of-{name}")
        self.counts = name
        self.where = where

    def tell(self, number: int) -> None:
        """The number now; a number that is rarely above 0 is shown only then."""
        if self.counts == "DISMISSED":
            self.show_if(bool(number))
        words = {"all": counted(number, "event"), "UNRESOLVED": f"{number:,} unresolved"}
        meaning = {"all": "", "UNRESOLVED": "strong"}.get(self.counts, self.counts)
        text = words.get(self.counts, f"{symbol(self.counts)} {number:,}")
        self.say([(f" {text} ", meaning if number else "dim")])

    def on_click(self) -> None:
        """List them."""
        self.action_open()

    def action_open(self) -> None:
        """List them."""
        self.post_message(self.Asked(self.where))


COUNTED_EVENTS = {
    "UNRESOLVED": "status:UNRESOLVED",
    "FAILED": "status:FAILED -status:DISMISSED",
    "DEAD": "status:DEAD -status:DISMISSED",
    "PENDING": "status:PENDING -status:DISMISSED",
    "SYNCED": "status:SYNCED -status:DISMISSED",
    "DISMISSED": "status:DISMISSED",
    "all": "",
}
"""What the header counts: events by state, each with the filter that lists them."""


def event_counts(health: Health) -> dict[str, int]:
    """The numbers of the header."""
    return {
        "UNRESOLVED": health.failed + health.dead,
        "FAILED": health.failed,
        "DEAD": health.dead,
        "PENDING": health.pending,
        "SYNCED": health.synced,
        "DISMISSED": health.dismissed,
        "all": health.total_events,
    }


class HealthLine(StyledText):
    """Whether events are worked on, the age of the oldest unresolved one, and the newest fact; as much as fits."""

    def tell(self, health: Health, now: int) -> None:
        """The health as it is now (µs)."""
        shown: list[tuple[str, str]] = [(" ", "")]
        for part in health_parts(health, now):
            more = [part] if len(shown) == 1 else [(" · ", "dim"), part]
            if sum(cells(text) for text, _ in (*shown, *more)) <= self.size.width:
                shown += more
        self.say(shown)


def health_parts(health: Health, now: int) -> list[tuple[str, str]]:
    """What the line of health says, most important first."""
    last = health.last_fact_at
    parts: list[tuple[str, str]] = []
    if health.due_now:
        quiet = not health.running and last is not None and last < now - _QUIET_US
        progress = "no worker is taking them" if quiet else f"{health.running:,} running"
        parts.append((f"{health.due_now:,} due now, {progress}", "mark" if quiet else ""))
    elif health.next_due:
        parts.append((f"next attempt {distance(health.next_due.value, now)}", ""))
    if health.oldest_unresolved:
        parts.append((f"oldest unresolved {distance(health.oldest_unresolved.value, now)}", ""))
    if health.rejects:
        parts.append((f"{counted(health.rejects, 'line')} rejected on ingest", "mark"))
    if last is not None:
        ahead = last > now + _AHEAD_US
        last_fact = f"last fact {distance(last, now)}"
        parts.append((f"{last_fact} (a clock is ahead)" if ahead else last_fact, "mark" if ahead else "dim"))
    return parts
