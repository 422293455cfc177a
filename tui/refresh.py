"""The one thread that watches the store: it polls a change counter and posts a picture when something was committed."""

import threading
from collections.abc import Callable

from textual.message import Message

from failaware.errors import FailawareError
from failaware.model import HOUR
from failaware.read.inspector import Inspector

from .messages import Picture, ReadFailed, Refreshed

POLL_S = 0.2
HOURS = 24
_CLUSTERS = 500


class Refresher(threading.Thread):
    """Watches one store until it is stopped; opens it when it appears, and again when it was replaced."""

    def __init__(self, place: str, post: Callable[[Message], object]) -> None:
        super().__init__(daemon=True, name="failaware-refresh")
        self._place = place
        self._post = post
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()

    def run(self) -> None:
        """Watch."""
        while not self._stopping.is_set():
            try:
                with Inspector.open(self._place) as inspector:
                    self._watch(inspector)
            except FailawareError as error:
                self._post(ReadFailed(str(error)))
                self._stopping.wait(1.0)

    def _watch(self, inspector: Inspector) -> None:
        token = None
        while not self._stopping.is_set():
            newest = inspector.change_token()
            if newest != token:
                token = newest
                self._post(Refreshed(look(inspector)))
            self._stopping.wait(POLL_S)


def look(inspector: Inspector) -> Picture:
    """How the store stands now."""
    now = inspector.now()
    return Picture(
        now,
        inspector.health(),
        inspector.severity(),
        inspector.clusters(limit=_CLUSTERS),
        inspector.timeline(since=now - (HOURS - 1) * HOUR),
    )
