"""All parts, asked at once: who answers in time, who does not, and why."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, NamedTuple

from failaware.errors import FailawareError, StoreError
from failaware.federation.part import Part
from failaware.federation.places import StorePlace
from failaware.federation.questions import Progress
from failaware.text import shown_place

_SILENT_S = 10.0  # at least; how long an open store may take to answer, without progress
_TIMES = 12  # how much longer than for being opened
_POLL_S = 0.05  # how long one call waits for the change tokens


class Call(NamedTuple):
    """A question, with its arguments."""

    question: str
    args: tuple[Any, ...]
    named: dict[str, Any]


def call(question: str, *args: Any, **named: Any) -> Call:
    """A question, as a method is called."""
    return Call(question, args, named)


class Parts:
    """The parts of a federation, and those that did not answer the last question."""

    def __init__(
        self, places: Sequence[StorePlace], clock: Callable[[], int] | None, patience_s: float, first_s: float
    ) -> None:
        self.all = [Part(number, place, clock) for number, place in enumerate(places, 1)]
        self._patience_s, self._first_s = patience_s, max(patience_s, first_s)
        self._polls: dict[Part, Future[Any]] = {}  # of the change tokens that are not known yet
        self._poll_at: dict[Part, float] = {}
        self._tokens: dict[Part, object] = {}
        self._back: dict[Part, str | None] = {}  # the problem of each part when it answered the last time
        self._silent_s = max(_SILENT_S, _TIMES * patience_s)

    def ask(
        self,
        calls: Mapping[Part, Call],
        *,
        handles: Mapping[Part, int] | None = None,
        progress: Progress | None = None,
    ) -> dict[Part, Any]:
        """Ask each part its question at the same time; return the answers of those that answer.

        `progress` is called from their threads.

        Raises:
            FailawareError: a question is wrong (not that a store cannot be read), or no part answers.
        """
        asked: dict[Future[Any], Part] = {}
        began = time.monotonic()
        for part, (question, args, options) in calls.items():
            if not (part.problem and part.is_busy):
                handle = (handles or {}).get(part, 0)
                asked[part.submit(handle, question, *args, on_progress=progress, **options)] = part
        answers = self._collect(asked, began)
        if calls and not answers:
            part = next(iter(calls))
            raise StoreError(f"{shown_place(part.place)} {part.problem}" if len(calls) == 1 else self._none(calls))
        return answers

    def _collect(self, asked: dict[Future[Any], Part], began: float) -> dict[Part, Any]:
        waiting = set(asked)
        wrong: FailawareError | None = None
        answers: dict[Part, Any] = {}
        answered_at: float | None = None
        while waiting:
            is_opened = any(asked[future].is_open for future in waiting)
            hurry = math.inf if is_opened or answered_at is None else answered_at + self._patience_s / 2
            ends = {future: min(self._deadline(asked[future], began, answered_at), hurry) for future in waiting}
            left = min(ends.values()) - time.monotonic()
            done, _ = wait(waiting, max(left, 0.0), FIRST_COMPLETED)
            for future in done:
                part = asked[future]
                try:
                    answers[part] = future.result()
                    part.problem, answered_at = None, time.monotonic()
                except StoreError as error:
                    part.problem = f"does not answer: {error}"
                except FailawareError as error:
                    wrong = error
            late = {future for future in waiting - done if time.monotonic() >= ends[future]}
            for future in late:
                part = asked[future]
                part.problem = f"has not answered for {time.monotonic() - max(began, part.alive_at):.1f} s"
            waiting -= done | late
        if wrong is not None and not answers:
            raise wrong
        return {part: answers[part] for part in self.all if part in answers}

    def _deadline(self, part: Part, began: float, answered_at: float | None) -> float:
        """Until when to wait for a part, if the last answer of another one came at `answered_at`."""
        if part.is_open:
            return max(began, part.alive_at) + self._silent_s
        if answered_at is None:
            return began + self._first_s
        return max(began + self._patience_s, answered_at + self._patience_s / 2)

    def _none(self, parts: Iterable[Part]) -> str:
        problems = "; ".join(f"{part.name} {part.problem}" for part in parts)
        return f"none of the stores answers: {problems}"

    def tokens(self) -> tuple[object, ...]:
        """For each part a value that changes when it does, or when it is left out or back.

        A part that takes longer than the others is not waited for: its value changes in a later call.
        """
        now = time.monotonic()
        for part in self.all:
            if part not in self._polls and not part.is_busy and now >= self._poll_at.get(part, 0.0):
                self._polls[part] = part.submit(0, "token")
                self._poll_at[part] = now + part.poll_s
        wait(self._polls.values(), _POLL_S)
        for part, future in list(self._polls.items()):
            if future.done():
                del self._polls[part]
                absent = future.cancelled() or future.exception() is not None
                self._tokens[part] = None if absent else (part.generation, future.result())
                if not absent:
                    self._back[part] = part.problem  # ask it again, once for each problem
        return tuple((part.problem is None, self._tokens.get(part), self._back.get(part)) for part in self.all)

    def by_name(self, name: str) -> Part | None:
        """The part with this name."""
        return next((part for part in self.all if part.name == name), None)

    def names(self) -> str:
        """Those of all parts, for a sentence."""
        return ", ".join(part.name for part in self.all)

    def notes(self) -> list[str]:
        """A sentence for each part that is left out."""
        return [f"{part.name} {part.problem}; it is left out" for part in self.all if part.problem]

    def interrupt(self) -> None:
        """Cancel what is running."""
        for part in self.all:
            part.interrupt()

    def close(self) -> None:
        """Close all, without waiting for those that do not answer."""
        for part in self.all:
            part.close()
