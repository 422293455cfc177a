"""Answers questions by their names: what a thread for one store, or `failaware answer` on another host, does.

A question is a method of Inspector, AsOfInspector or Patterns, or one that only several stores need (`_OWN`). Handle 0
is the store as it is now; `as_of` returns the handle of another inspector, as of a moment.
"""

from collections.abc import Callable
from typing import Any

from failaware.errors import StoreError, UsageError
from failaware.model import Attempt, EventDetail, EventSummary, Explanation, Health, HourCount, Reject
from failaware.model.differences import Correction, Diff, WhatIf
from failaware.model.patterns import Impact, MaskedEvent, NewestFailures, Recovered, RetrySchedule, Run, Transitions
from failaware.model.stores import Aggregates, Overlap
from failaware.read import aggregates
from failaware.read.inspector import AsOfInspector, Inspector
from failaware.rules import Policy

Progress = Callable[[int, int], None]

_PATTERNS: dict[str, Any] = {
    "corrections": list[Correction],
    "runs": tuple[Run, ...],
    "transitions": Transitions,
    "recovered": Recovered,
    "calendar": RetrySchedule,
    "impact": Impact,
    "timeline": list[HourCount],
    "newest": NewestFailures,
    "masked": list[MaskedEvent],
}
_INSPECTOR: dict[str, Any] = {
    "health": Health,
    "events": list[EventSummary],
    "count_events": int,
    "event": EventDetail,
    "attempt": Attempt,
    "explain": Explanation,
    "rejects": list[Reject],
    "move": None,
    "neighbour": int | None,
    "diff": Diff,
    "now": int,
}
_OWN: dict[str, Any] = {
    "as_of": int,
    "leave": None,
    "token": int,
    "aggregates": tuple[int, Aggregates | None],
    "overlaps": list[Overlap],
    "boundary": int,
    "what_if_toml": WhatIf,
    "state": tuple[str, str, str, str | None],
}
ANSWERS: dict[str, Any] = {**_PATTERNS, **_INSPECTOR, **_OWN}
"""The type of the answer to each question."""

_WITH_PROGRESS = {"as_of", "move", "diff"}


class Questions:
    """One store and its moments, asked by handle and name."""

    def __init__(self, place: str, clock: Callable[[], int] | None) -> None:
        """Open it; raises StoreError as `Inspector.open` does."""
        self._inspectors: dict[int, Inspector] = {0: Inspector.open(place, clock=clock)}
        self._tokens: dict[int, tuple[object, int]] = {}
        self._handles = 0

    def ask(self, handle: int, question: str, args: list[Any], named: dict[str, Any], progress: Progress) -> Any:
        """Answer a question.

        Raises:
            FailawareError: as the method that answers it.
        """
        if question not in ANSWERS:
            raise UsageError(f"'{question[:40]}' is no question that this version of failaware answers")
        if handle not in self._inspectors:
            raise StoreError("it was opened again; travel to the moment again")
        inspector = self._inspectors[handle]
        if question in _WITH_PROGRESS:
            named = {**named, "progress": progress}
        if question in _OWN:
            return getattr(self, f"_{question}")(handle, *args, **named)
        return getattr(inspector.patterns if question in _PATTERNS else inspector, question)(*args, **named)

    def interrupt(self) -> None:
        """Cancel the query that is running, from another thread."""
        self._inspectors[0].connections.interrupt()

    def close(self) -> None:
        """Close all inspectors."""
        for inspector in reversed(list(self._inspectors.values())):
            inspector.close()

    def _as_of(self, handle: int, at: int, progress: Progress) -> int:
        self._handles += 1
        self._inspectors[self._handles] = self._inspectors[handle].as_of(at, progress=progress)
        return self._handles

    def _leave(self, handle: int) -> None:
        self._inspectors.pop(handle).close()
        self._tokens.pop(handle, None)

    def _token(self, handle: int) -> int:
        """A number that changes when the store does."""
        inspector = self._inspectors[handle]
        at = inspector.at if isinstance(inspector, AsOfInspector) else None
        token = at, inspector.connections.change_token()
        seen, number = self._tokens.get(handle, (None, 0))
        if token != seen:
            number += 1
            self._tokens[handle] = token, number
        return number

    def _aggregates(self, handle: int, known: int) -> tuple[int, Aggregates | None]:
        """The aggregates and their token; None if it is the `known` one."""
        token = self._token(handle)
        return token, None if token == known else aggregates.aggregates(self._inspectors[handle].db)

    def _overlaps(self, handle: int, groups: list[list[int]]) -> list[Overlap]:
        return aggregates.overlaps(self._inspectors[handle].db, groups)

    def _boundary(self, handle: int, table: str, at: int, inclusive: bool) -> int:
        return aggregates.boundary(self._inspectors[handle].db, table, at, inclusive=inclusive)

    def _what_if_toml(self, handle: int, policy: str, limit: int) -> WhatIf:
        return self._inspectors[handle].what_if(Policy.from_toml(policy), limit=limit)

    def _state(self, handle: int) -> tuple[str, str, str, str | None]:
        """The role, when commits are flushed, the state of the derivation, and by which version it was derived."""
        connections = self._inspectors[handle].connections
        return connections.role(), connections.flush_mode(), *connections.derivation()
