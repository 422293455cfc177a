"""Time travel keys, for every screen."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input

from failaware.model import HOUR

from ..routes import Route, ToChanges
from ..store_reader import TimeTravelRequest
from ..widgets.histogram import Histogram
from ..widgets.time_strip import TimeStrip, look

if TYPE_CHECKING:
    from ..app import InspectorApp

_IN_THE_PAST = {"step", "change", "play"}


class TimeTravelMixin(Screen[None]):
    """A screen that can be shown as of another moment."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "as_of", "Time travel"),
        Binding("D", "what_changed", "What changed", show=False),
        Binding("left", "step(-1)", "Hour back", show=False, priority=True),
        Binding("right", "step(1)", "Hour forward", show=False, priority=True),
        Binding("shift+left", "step(-24)", "Day back", show=False, priority=True),
        Binding("shift+right", "step(24)", "Day forward", show=False, priority=True),
        Binding("less_than_sign", "change(-1)", "Previous fact", show=False),
        Binding("greater_than_sign", "change(1)", "Next fact", show=False),
        Binding("P", "play", "Play", show=False),
    ]

    @property
    def inspector_app(self) -> "InspectorApp":
        """The app, with its type."""
        return cast("InspectorApp", self.app)

    def lead_to(self, route: Route) -> None:
        """Open a screen, unless another one has been opened meanwhile."""
        if self.is_active:
            self.inspector_app.open(route)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys of the time strip are there while it is; elsewhere they keep their other meaning."""
        keys_are_others = isinstance(self.focused, Input | Histogram)
        if action in _IN_THE_PAST and (self.inspector_app.moment.at is None or keys_are_others):
            return False
        return super().check_action(action, parameters)

    def tell_moment(self) -> None:
        """Show as of when all of this is, if it is not as of now."""
        strip, now = self.query_one(TimeStrip), self.inspector_app.moment
        if now.at is None:
            self.inspector_app.reader.leave(strip)
        elif not strip.display:
            self.inspector_app.reader.follow(strip, "history", look, live=True)
        note = f"   replaying {now.share:.0%} …" if now.busy else "   playing" if now.playing else ""
        strip.show_moment(now.at, note)

    def action_as_of(self) -> None:
        """Into the past, to the last full hour; or back to now."""
        reader, moment = self.inspector_app.reader, self.inspector_app.moment
        moment.playing = False
        at = None if moment.at is not None else (moment.now() - HOUR) // HOUR * HOUR
        reader.travel(TimeTravelRequest(at))

    def action_step(self, hours: int) -> None:
        """So many hours on, to a full hour."""
        at = self.inspector_app.moment.at
        if at is not None:
            hour = (-(-at // HOUR) if hours < 0 else at // HOUR) + hours
            self.inspector_app.reader.travel(TimeTravelRequest(hour * HOUR))

    def action_change(self, way: int) -> None:
        """To the next fact, or the one before."""
        self.inspector_app.reader.travel(TimeTravelRequest(way=way))

    def action_play(self) -> None:
        """Start or stop playing, an hour per second."""
        self.inspector_app.moment.playing = not self.inspector_app.moment.playing
        self.tell_moment()

    def action_what_changed(self) -> None:
        """Since one last looked."""
        self.lead_to(ToChanges(self.inspector_app.last_look))

    def on_time_strip_chosen(self, message: TimeStrip.Chosen) -> None:
        """Where the strip was clicked."""
        self.inspector_app.reader.travel(TimeTravelRequest(message.at))
