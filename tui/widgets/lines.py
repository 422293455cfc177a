"""Status lines: breadcrumbs, the store's state, health, severities, failures of the day."""

from collections.abc import Iterable

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static

from failaware.model import Health, SeverityCounts
from failaware.text import cells, counted, cut, distance, one_line, sparkline

from ..palette import LEVELS, STATES, short_symbol, style, symbol

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

    def on_mount(self) -> None:
        """Follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._paint())

    def _paint(self) -> None:
        dark = self.app.current_theme.dark
        self.update(Text.assemble(*((text, style(meaning, dark)) for text, meaning in self.parts)))


class TopLine(StyledText):
    """Breadcrumbs, the store, and whether it is live; a crumb that is clicked leads there."""

    def __init__(self) -> None:
        super().__init__(id="top")
        self.crumbs: list[str] = []
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
        if cells(path) > available and len(self.crumbs) > 1:
            path = "‹ " + " › ".join(self.crumbs[-2:])
        path = cut(path, available)
        left = available - cells(path)
        place = f"{self._place} read-only"
        if cells(place) > left - 2:
            place = "…" + place[-(left - 3) :] if left > 24 else ""
        gap = " " * max(left - cells(place), 0)
        self.say([(f" {path}", "strong"), (gap, ""), (place, "dim"), (state, self._state[1])])

    def on_click(self, event: events.Click) -> None:
        """One level up, or to the overview on the first crumb."""
        first = len(self.crumbs[0]) if self.crumbs else 0
        self.post_message(self.Crumb(0 if event.x <= first else max(len(self.crumbs) - 2, 0)))

    class Crumb(Message):
        """A crumb was clicked; `depth` is the level it leads to."""

        def __init__(self, depth: int) -> None:
            super().__init__()
            self.depth = depth


class CounterTile(StyledText, can_focus=False):
    """One number with its name; a click asks for what it counts."""

    class Asked(Message):
        """Show what this counts."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, name: str) -> None:
        super().__init__(classes="count")
        self.counts = name

    def tell(self, number: int, note: str = "") -> None:
        """The number now, or in the words of the note."""
        meaning = self.counts if number else "dim"
        self.say([(f"{symbol(self.counts):<11} ", meaning), (note or f"{number:,}", f"{meaning} strong")])

    def on_click(self) -> None:
        """Ask."""
        self.post_message(self.Asked(self.counts))


def severity_notes(counts: SeverityCounts) -> dict[str, tuple[int, str]]:
    """For each severity the number of entities, and how many are clusters and events."""
    notes = {}
    for level in LEVELS:
        clusters, events_there = counts.clusters[level], counts.events[level]
        kinds = [counted(clusters, "cluster")] if clusters else []
        kinds += [counted(events_there, "event")] if events_there else []
        notes[level] = (clusters + events_there, ", ".join(kinds) or "none")
    return notes


def brief(counts: SeverityCounts, health: Health) -> list[tuple[str, str]]:
    """Severities and states in two lines, for a terminal too small for panes."""
    parts: list[tuple[str, str]] = []
    for level, (number, _) in severity_notes(counts).items():
        parts.append((f" {short_symbol(level).replace('  ', ' ')} {number:,}  ", level if number else "dim"))
    parts.append(("\n", ""))
    for state, number in state_counts(health).items():
        if number or state != "DISMISSED":
            parts.append((f" {symbol(state)} {number:,} ", state if number else "dim"))
    return parts


def state_counts(health: Health) -> dict[str, int]:
    """Events by state."""
    numbers = (health.pending, health.failed, health.dead, health.synced, health.dismissed)
    return dict(zip(STATES, numbers, strict=True))


def health_parts(health: Health, now: int) -> list[tuple[str, str]]:
    """Health figures, one per line."""
    last = health.last_fact_at
    parts = [(counted(health.total_events, "event"), "strong")]
    if last is not None:
        ahead = last > now + _AHEAD_US
        last_fact = f", last fact {distance(last, now)}"
        parts.append((f"{last_fact} (a clock is ahead)" if ahead else last_fact, "mark" if ahead else "dim"))
    if health.oldest_unresolved:
        parts.append((f"\noldest unresolved {distance(health.oldest_unresolved.value, now)}", ""))
    if health.due_now:
        quiet = not health.running and last is not None and last < now - _QUIET_US
        progress = "no worker is taking them" if quiet else f"{health.running:,} running"
        parts.append((f"\n{health.due_now:,} due now, {progress}", "mark" if quiet else ""))
    elif health.next_due:
        parts.append((f"\nnext attempt {distance(health.next_due.value, now)}", ""))
    if health.rejects:
        parts.append((f"\n{counted(health.rejects, 'line')} rejected on ingest", "mark"))
    return parts


class FailureBars(StyledText):
    """Failures by hour over the last day."""

    def tell(self, hours: list[int]) -> None:
        """The hours, oldest first."""
        peak = max(hours, default=0)
        self.say(
            [
                (f"{counted(sum(hours), 'failure')} in 24 h, peak {peak:,}/h\n", "dim"),
                (sparkline(hours), "FAILED"),
            ]
        )
