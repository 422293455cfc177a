"""Explains a severity: every rule, its numbers, and how the failures were grouped."""

from collections.abc import Iterator
from typing import NamedTuple

from textual.widget import Widget

from failaware.model import Cluster, Explanation
from failaware.read.inspector import Inspector

from .. import documents
from ..store_reader import Ask
from ..widgets.text_view import TextView
from .base import BaseScreen


class Why(NamedTuple):
    """An explanation without its facts."""

    explanation: Explanation
    cluster: Cluster | None
    now: int


class WhyScreen(BaseScreen):
    """The core's own explanation; nothing is derived here."""

    crumb = "why"

    def __init__(self, entity_type: str, entity_id: int) -> None:
        super().__init__()
        self._kind = entity_type
        self._entity = entity_id
        self._entity_name = f"{entity_type}/{entity_id}"
        self._why: Why | None = None
        self._facts: Explanation | None = None

    def body(self) -> Iterator[Widget]:
        """One text."""
        yield TextView(id="why")

    def on_mount(self) -> None:
        """Ready for the keys that scroll."""
        self.query_one(TextView).border_title = "Why this severity"
        self.query_one(TextView).focus()

    def questions(self) -> dict[str, Ask]:
        """The explanation; the facts behind it are asked for once, as that takes longer."""
        return {"why": self._explain}

    def _explain(self, inspector: Inspector) -> Why:
        with inspector.snapshot():
            explanation = inspector.explain(self._entity_name)
            cluster = inspector.cluster(self._entity) if self._kind == "cluster" else None
            return Why(explanation, cluster, inspector.now())

    def answered_why(self, why: Why) -> None:
        """Show it, with the facts once they are there, and ask for them again when its numbers are others."""
        if self._why is None or why.explanation.checks != self._why.explanation.checks:
            self._facts = None
            self.inspector_app.reader.once(
                self, "facts", lambda inspector: inspector.explain(self._entity_name, facts=True)
            )
        self._why = why
        self._show()

    def answered_facts(self, facts: Explanation) -> None:
        """The facts behind it."""
        self._facts = facts
        self._show()

    def _show(self) -> None:
        if self._why is None:
            return
        explanation, facts = self._why.explanation, self._facts
        if facts is not None:
            explanation = explanation._replace(behind=facts.behind, since=facts.since)
        self.query_one(TextView).show(documents.why(explanation, self._why.cluster, self._why.now))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """This is the explanation."""
        return False if action == "why" else super().check_action(action, parameters)

    def subject(self) -> tuple[str, int] | None:
        """What is explained."""
        return self._kind, self._entity

    def copies(self) -> dict[str, tuple[str, str]]:
        """The whole explanation."""
        return {"w": ("explanation", "\n".join(line.text for line in self.query_one(TextView).lines))}
