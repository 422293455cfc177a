"""Pieces of a report: text with styles. Foreign text is made harmless here."""

from failaware.text import cells, cut, one_line, visible

STYLES = {"CRITICAL": "bold reverse red", "HIGH": "bold red", "MEDIUM": "yellow", "LOW": "cyan"}
STATUS_STYLES = {"PENDING": "blue", "FAILED": "yellow", "DEAD": "bold red", "SYNCED": "green", "DISMISSED": "dim"}


class Line:
    """A piece of text in parts, each with a rich style; it may hold line ends."""

    def __init__(self, text: str = "", style: str = "") -> None:
        self.parts: list[tuple[str, str]] = [(text, style)] if text else []

    def __add__(self, other: "Line") -> "Line":
        """Both, one after the other."""
        both = Line()
        both.parts = self.parts + other.parts
        return both

    @property
    def plain(self) -> str:
        """The text without styles."""
        return "".join(text for text, _ in self.parts)

    def cut(self, width: int) -> "Line":
        """The line, or its beginning with … at the end where it is wider."""
        shortened = Line()
        for part, style in self.parts:
            shortened.parts.append((cut(part, width), style))
            width -= cells(part)
            if width <= 0:
                break
        return shortened


def text(value: object, style: str = "") -> Line:
    """Foreign text on one line, harmless."""
    return Line(one_line(str(value)), style)


def block(value: str, style: str = "") -> Line:
    """Foreign text on its own lines, harmless."""
    return Line(visible(value, keep_newlines=True), style)


def severity(level: str | None) -> Line:
    """A severity as a word, readable without color."""
    return text(level or "—", STYLES.get(level or "", "dim"))


def change_of_severity(before: str | None, after: str | None) -> Line:
    """From one severity to another."""
    return severity(before) + text(" → ") + severity(after)


def status(name: str, *, dismissed: bool = False) -> Line:
    """A state, and whether a person dismissed the event."""
    return text(f"{name}, dismissed" if dismissed else name, "dim" if dismissed else STATUS_STYLES.get(name, ""))


def short(cluster_id: int) -> str:
    """The first digits of a cluster's id: enough to name it, as with a commit."""
    return str(cluster_id)[:8]


def entity(kind: str, entity_id: int) -> str:
    """A cluster or an event by its number: 'cluster 99297629', 'event 12'."""
    return f"{kind} {short(entity_id) if kind == 'cluster' else entity_id}"


def failure(event_type: str, error_type: str | None, template: str) -> Line:
    """A cluster in words: event type, error type without its module, template; no word twice."""
    return text(f"{event_type}  ", "bold") + cause(error_type, template)


def cause(error_type: str | None, template: str) -> Line:
    """What a cluster's failures are like: error type without its module, template."""
    if error_type is None or error_type == template:
        return text(template)
    return text(f"{error_type.rpartition('.')[2]}: {template}")
