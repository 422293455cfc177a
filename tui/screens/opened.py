"""The screens that routes lead to. Imported when the first is opened."""

from collections.abc import Callable

from textual.screen import Screen

from ..routes import Route, ToAttempt, ToChanges, ToDue, ToEvent, ToEvents, ToImpact, ToRecovered, ToWhy
from .base import BaseScreen
from .diff import DiffScreen
from .due import DueScreen
from .event import AttemptScreen, EventScreen
from .events import EventsScreen
from .impact import ImpactScreen
from .recovered import RecoveredScreen
from .why import WhyScreen

_SCREENS: dict[type, Callable[..., BaseScreen]] = {
    ToEvents: EventsScreen,
    ToEvent: EventScreen,
    ToAttempt: AttemptScreen,
    ToImpact: ImpactScreen,
    ToDue: DueScreen,
    ToRecovered: RecoveredScreen,
    ToChanges: DiffScreen,
    ToWhy: WhyScreen,
}


def screen_of(route: Route) -> BaseScreen:
    """The screen that a route leads to."""
    return _SCREENS[type(route)](**route._asdict())


def sibling_of(below: Screen[object], way: int) -> BaseScreen | None:
    """The event after or before the one under the cursor of the list below; None if there is none."""
    event_id = below.sibling(way) if isinstance(below, EventsScreen) else None
    return None if event_id is None else EventScreen(event_id)
