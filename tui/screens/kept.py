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
    """The answer to a question; when (µs) it was read, and the store's change token then."""

    question: Question
    answer: Any
    now: int
    token: object


class KeptScreen(BaseScreen):
    """A screen with one question, "list", that is asked when it is opened; it says how old an outdated answer is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "again", "Refresh", show=False)]
    kept: KeptAnswer | None = None
    """The answer that is shown."""
    _asked: Question | None = None
    _is_reading = False

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
        return not is_past and (kept.token != reader.change_token or reader.now() - kept.now >= _OLD_US)

    def age(self) -> str:
        """When what is shown was read, if it is outdated."""
        kept, reader = self.kept, self.inspector_app.reader
        if kept is None or (kept.question.at == self.inspector_app.moment.at and not self._is_outdated(kept)):
            return ""
        remedy = "reading again …" if self._is_reading else "r refreshes."
        return f"Read at {moment(kept.now)[11:19]} ({distance(kept.now, reader.now())}), not live: {remedy}"


def _read(about: Hashable, ask: Ask) -> Ask:
    def read(inspector: Inspector) -> KeptAnswer:
        token, now = inspector.connections.change_token(), inspector.now()
        return KeptAnswer(Question(about, getattr(inspector, "at", None)), ask(inspector), now, token)

    return read
