"""The screens that routes lead to. Imported when the first is opened."""

from collections.abc import Callable

from ..routes import Route, ToChanges, ToDue, ToEvents, ToRecovered
from .base import BaseScreen
from .diff import DiffScreen
from .due import DueScreen
from .events import EventsScreen
from .recovered import RecoveredScreen

_SCREENS: dict[type, Callable[..., BaseScreen]] = {
    ToEvents: EventsScreen,
    ToDue: DueScreen,
    ToRecovered: RecoveredScreen,
    ToChanges: DiffScreen,
}


def screen_of(route: Route) -> BaseScreen:
    """The screen that a route leads to."""
    return _SCREENS[type(route)](**route._asdict())
