"""Why a cluster or an event stands at its severity: every rule, its numbers, and how it was gathered."""

from collections.abc import Iterator

from textual.widget import Widget

from failaware.read.inspector import Inspector

from .. import documents
from ..feed import Ask
from ..widgets.text_view import TextView
from .base import Level


class WhyScreen(Level):
    """The core's own explanation; nothing is derived here."""

    crumb = "why"

    def __init__(self, entity_type: str, entity_id: int) -> None:
        super().__init__()
        self._kind = entity_type
        self._entity = entity_id

    def body(self) -> Iterator[Widget]:
        """One text."""
        yield TextView(id="why")

    def on_mount(self) -> None:
        """Ready for the keys that scroll."""
        self.query_one(TextView).border_title = "Why this severity"
        self.query_one(TextView).focus()

    def questions(self) -> dict[str, Ask]:
        """The explanation."""
        return {"why": self._explain}

    def _explain(self, inspector: Inspector) -> list[documents.Line]:
        with inspector.snapshot():
            found = inspector.explain(f"{self._kind}/{self._entity}")
            cluster = inspector.cluster(self._entity) if self._kind == "cluster" else None
            return documents.why(found, cluster, inspector.now())

    def answered_why(self, lines: list[documents.Line]) -> None:
        """Show it."""
        self.query_one(TextView).show(lines)

    def subject(self) -> tuple[str, int] | None:
        """What is explained."""
        return self._kind, self._entity

    def copies(self) -> dict[str, tuple[str, str]]:
        """The whole explanation."""
        return {"w": ("explanation", "\n".join(line.text for line in self.query_one(TextView).lines))}
