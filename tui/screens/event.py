"""One event, what happened to it; and one attempt, where it failed."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from failaware.model import Attempt, EventDetail
from failaware.read.inspector import Inspector
from failaware.text import counted

from .. import documents
from ..columns import ATTEMPT_COLUMNS, Context
from ..copies import copies_of
from ..routes import ToAttempt
from ..store_reader import Ask
from ..widgets.rows import Rows
from ..widgets.text_view import TextView
from ..window import Window
from .base import BaseScreen


class EventReading(NamedTuple):
    """An event, and its facts as a text."""

    event: EventDetail
    facts: list[documents.Line]
    now: int


class EventScreen(BaseScreen):
    """Facts and payload of one event, and every attempt at it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "Pane", show=False),
        Binding("right_square_bracket", "sibling(1)", "Next event", key_display="]"),
        Binding("left_square_bracket", "sibling(-1)", "Previous event", key_display="[", show=False),
    ]

    def __init__(self, event_id: int) -> None:
        super().__init__()
        self.event_id = event_id
        self.crumb = f"event {event_id}"
        self._window: Window[Attempt] = Window(lambda attempt: attempt.attempt_no)
        self._event: EventDetail | None = None
        self._read_payload = False

    def body(self) -> Iterator[Widget]:
        """Facts and payload side by side, attempts below."""
        with Horizontal(id="event"):
            yield TextView(id="facts")
            yield TextView(id="payload")
        with Vertical(id="tried"):
            yield Rows(ATTEMPT_COLUMNS, self._window, key="attempt_no", id="attempts")

    def on_mount(self) -> None:
        """Titles."""
        self.query_one("#facts").border_title = "Event"
        self.query_one("#payload").border_title = "Payload"
        self.query_one(Rows).focus()

    def questions(self) -> dict[str, Ask]:
        """The event; its payload only once, since that never changes."""
        event_id = self.event_id
        asks: dict[str, Ask] = {"event": lambda inspector: _read(inspector, event_id)}
        if not self._read_payload:
            asks["payload"] = lambda inspector: documents.payload(inspector.event(event_id).event_payload)
        return asks

    def answered_event(self, reading: EventReading) -> None:
        """Facts and attempts."""
        first = self._event is None
        self._event = reading.event
        self.query_one("#facts", TextView).show(reading.facts)
        rows = self.query_one(Rows)
        self._window.hold(reading.event.attempts)
        rows.show(Context(reading.now, {}))
        if first:
            rows.action_end(1)  # the newest attempt is what one looks for
        rows.border_title = counted(len(reading.event.attempts), "attempt")

    def answered_payload(self, lines: list[documents.Line]) -> None:
        """The payload."""
        self._read_payload = True
        self.inspector_app.reader.forget(self, "payload")
        self.query_one("#payload", TextView).show(lines)

    def troubled(self, name: str, problem: str) -> None:
        """There is no such event."""
        if name == "event":
            self.query_one("#facts", TextView).show([documents.Line(problem, documents.strong)])

    def on_rows_opened(self, message: Rows.Opened) -> None:
        """Down into an attempt."""
        self.inspector_app.open(ToAttempt(self.event_id, message.key))

    def action_sibling(self, way: int) -> None:
        """The next or previous event of the list that one came from."""
        self.inspector_app.open_sibling(way)

    def subject(self) -> tuple[str, int] | None:
        """This event."""
        return "event", self.event_id

    def copies(self) -> dict[str, tuple[str, str]]:
        """Id, everything, payload; message and traceback of the attempt under the cursor."""
        attempt = {key: copy for key, copy in copies_of(self.query_one(Rows).current).items() if key != "j"}
        return copies_of(self._event) | attempt


def _read(inspector: Inspector, event_id: int) -> EventReading:
    with inspector.snapshot():
        event, runs, now = inspector.event(event_id), inspector.patterns.runs(event_id), inspector.now()
    return EventReading(event, documents.event_facts(event, runs, now), now)


class AttemptScreen(BaseScreen):
    """One attempt: how it failed, with its traceback."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("J,right_square_bracket", "another(1)", "Next attempt", key_display="J"),
        Binding("K,left_square_bracket", "another(-1)", "Previous attempt", key_display="K"),
        Binding("f", "fold", "Fold frames"),
    ]

    def __init__(self, event_id: int, attempt_no: int) -> None:
        super().__init__()
        self.event_id = event_id
        self._no = attempt_no
        self._fold = True
        self._event: EventDetail | None = None

    def body(self) -> Iterator[Widget]:
        """One text."""
        yield TextView(id="attempt")

    def on_mount(self) -> None:
        """Ready for the keys that scroll."""
        self.query_one(TextView).focus()

    def questions(self) -> dict[str, Ask]:
        """The event, for its attempts."""
        return {"event": lambda inspector: _read(inspector, self.event_id)}

    @property
    def crumb(self) -> str:  # type: ignore[override]
        """Which attempt."""
        return f"attempt {self._no}"

    def answered_event(self, reading: EventReading) -> None:
        """Show the attempt."""
        self._event = reading.event
        view = self.query_one(TextView)
        attempt = self._attempt()
        if attempt is not None:
            view.show(documents.attempt(attempt, reading.now, fold=self._fold))
            view.border_title = f"Attempt {self._no} of {len(reading.event.attempts)}"

    def _attempt(self) -> Attempt | None:
        attempts = self._event.attempts if self._event else ()
        return next((attempt for attempt in attempts if attempt.attempt_no == self._no), None)

    def action_another(self, way: int) -> None:
        """The next or the previous one."""
        numbers = [attempt.attempt_no for attempt in self._event.attempts] if self._event else []
        if self._no + way in numbers:
            self._no += way
            self.inspector_app.tell_state(self)
            self.query_one(TextView).scroll_home(animate=False)
            self.ask()

    def action_fold(self) -> None:
        """Library frames, or not."""
        self._fold = not self._fold
        self.ask()

    def subject(self) -> tuple[str, int] | None:
        """Its event."""
        return "event", self.event_id

    def copies(self) -> dict[str, tuple[str, str]]:
        """Message and traceback."""
        return copies_of(self._attempt())
