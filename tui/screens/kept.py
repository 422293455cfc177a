"""Answers that take long: kept, shown at once when the screen is opened again, and replaced if they are outdated."""

from collections.abc import Hashable
from typing import Any, ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from failaware.read.inspector import Inspector
from failaware.text import distance, moment

from ..store_reader import Ask
from .base import BaseScreen

_OLD_US = 60_000_000  # answers also depend on the time


class Question(NamedTuple):
    """What is asked about, and the moment (µs) of time travel; None is now."""

    about: Hashable
    at: int | None


class KeptAnswer(NamedTuple):
    """The answer to a question; when (µs) it was read, and what had been counted in the store then."""

    question: Question
    answer: Any
    now: int
    counts: Hashable


class KeptScreen(BaseScreen):
    """A screen with one question, "list", that is asked when it is opened; it says how old an outdated answer is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "again", "Refresh", show=False)]
    kept: KeptAnswer | None = None
    """The answer that is shown."""
    _asked: Question | None = None
    _is_reading = False
    _counts: Hashable = None
    """What is counted in the store now; None if that is not known yet."""

    @property
    def about(self) -> Hashable:
        """What is asked about; with the moment of time travel, answers are kept by it."""
        raise NotImplementedError

    def show_answer(self, answer: Any) -> None:
        """Show the answer."""
        raise NotImplementedError

    @property
    def _question(self) -> Question:
        return Question(self.about, self.inspector_app.moment.at)

    def ask(self) -> None:
        """Show the kept answer; read it if there is none, or if it is outdated."""
        self._asked, self._is_reading = self._question, False
        self.inspector_app.reader.follow(self, "counts", _count)
        kept = self.inspector_app.answers.get(self._asked)
        if isinstance(kept, KeptAnswer):
            self.answered_list(kept)
        if not isinstance(kept, KeptAnswer) or self._is_outdated(kept):
            self.action_again()

    def action_again(self) -> None:
        """Read it; what is shown stays until the answer is there."""
        self._asked, self._is_reading = self._question, True
        self.inspector_app.reader.once(self, "list", _read(self.about, self.questions()["list"]))
        self.tell_state()

    def answered_counts(self, counts: Hashable) -> None:
        """A fact may have come; when the screen is opened, a kept answer without it is replaced."""
        is_first, self._counts = self._counts is None, counts
        if is_first and not self._is_reading and self.kept is not None and self._is_outdated(self.kept):
            self.action_again()
        self.tell_state()

    def answered_list(self, kept: KeptAnswer) -> None:
        """Keep the answer, and show it unless something else has been asked meanwhile."""
        self.inspector_app.answers[kept.question] = kept
        if kept.question == self._question:
            self.kept, self._is_reading = kept, False
            self.show_answer(kept.answer)
            self.tell_state()

    def troubled(self, name: str, problem: str) -> None:
        """The question has no answer."""
        self._is_reading = False
        super().troubled(name, problem)

    def tell_moment(self) -> None:
        """In time travel the question is another one at each moment."""
        super().tell_moment()
        if (
            self._asked is not None
            and self._asked.at != self.inspector_app.moment.at
            and not self.inspector_app.moment.busy
        ):
            self.ask()

    def _is_outdated(self, kept: KeptAnswer) -> bool:
        """Whether the store has changed since, or a minute has passed; as of a past moment, neither matters."""
        reader = self.inspector_app.reader
        is_past = self.inspector_app.moment.at is not None
        is_behind = self._counts is not None and kept.counts != self._counts
        return not is_past and (is_behind or reader.now() - kept.now >= _OLD_US)

    def age(self) -> str:
        """When what is shown was read, if it is outdated."""
        kept, reader = self.kept, self.inspector_app.reader
        is_asked = kept is not None and kept.question.at == self.inspector_app.moment.at
        is_checking = is_asked and self._counts is None and self.inspector_app.moment.at is None
        if kept is None or (is_asked and not is_checking and not self._is_outdated(kept)):
            return ""
        remedy = "reading again …" if self._is_reading else "looking for changes …" if is_checking else "r refreshes."
        return f"Read at {moment(kept.now)[11:19]} ({distance(kept.now, reader.now())}), not live: {remedy}"


def _read(about: Hashable, ask: Ask) -> Ask:
    def read(inspector: Inspector) -> KeptAnswer:
        counts, now = _count(inspector), inspector.now()
        return KeptAnswer(Question(about, getattr(inspector, "at", None)), ask(inspector), now, counts)

    return read


def _count(inspector: Inspector) -> Hashable:
    """What changes with each fact. The change token of a server also changes with what others do there."""
    health = inspector.health()
    states = (health.pending, health.failed, health.dead, health.synced, health.dismissed)
    return (health.total_events, *states, health.last_fact_at)
