"""What the reading thread tells the screens. Immutable; a newer picture replaces an older one that waits."""

from dataclasses import dataclass

from textual.message import Message

from failaware.model import Cluster, Health, HourCount, SeverityCounts


@dataclass(frozen=True, slots=True)
class Picture:
    """The store at one moment."""

    now: int
    health: Health
    severity: SeverityCounts
    clusters: list[Cluster]
    hours: list[HourCount]


class Refreshed(Message):
    """The store has changed; here is how it stands."""

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self.picture = picture

    def can_replace(self, message: Message) -> bool:
        """A slow terminal skips pictures instead of queuing them."""
        return isinstance(message, Refreshed)


class ReadFailed(Message):
    """The store cannot be read now; `reason` is a sentence that says what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
