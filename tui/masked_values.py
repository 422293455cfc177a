"""The masked values of a cluster's events as they become known, and which of them differ. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from failaware.model import EventSummary, MaskedPart
from failaware.model.patterns import MaskedEvent
from failaware.text import one_line

_LONGEST = 40  # cells of a placeholder


class _Known(NamedTuple):
    last_failed_at: int | None
    values: dict[str, str]


class MaskedColumns:
    """Values by event and placeholder; an event that failed again has others."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._values: dict[str, set[str]] = {}  # by placeholder, in the order of the template
        self.values: dict[int, dict[str, str]] = {}

    def missing(self, events: Iterable[EventSummary]) -> list[EventSummary]:
        """Of these events those whose values are not known."""
        return [event for event in events if self._failed_at(event.event_id) != event.last_failed_at]

    def _failed_at(self, event_id: int) -> int | None:
        known = self._known.get(event_id)
        return -1 if known is None else known.last_failed_at

    def take(self, events: Iterable[EventSummary], masked: Iterable[MaskedEvent]) -> None:
        """Take the values of these events."""
        parts = {one.event_id: one.masked for one in masked}
        for event in events:
            values = named(parts.get(event.event_id, ()))
            self._known[event.event_id] = _Known(event.last_failed_at, values)
            self.values[event.event_id] = values
            for name, value in values.items():
                self._values.setdefault(name, set()).add(value)

    def varying(self) -> list[str]:
        """The placeholders whose values differ."""
        return [name for name, values in self._values.items() if len(values) > 1]

    def constant(self) -> dict[str, str]:
        """The values that are the same in all events, if there are several."""
        return {
            name: next(iter(values)) for name, values in self._values.items() if len(values) == 1 < len(self.values)
        }


def named(parts: tuple[MaskedPart, ...]) -> dict[str, str]:
    """The parts by placeholder, harmless and on one line; the second one of the same name is `<n> 2`."""
    values: dict[str, str] = {}
    for part in parts:
        if part.placeholder:  # with text of the message, where that changed as well
            placeholder = one_line(part.placeholder, _LONGEST)
            same = sum(1 for name in values if name == placeholder or name.startswith(f"{placeholder} "))
            values[f"{placeholder} {same + 1}" if same else placeholder] = one_line(part.text)
    return values
