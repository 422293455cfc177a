"""Lines on the terminal: each failure that arrives, and how much was skipped, rejected or refused."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from failaware.model import EventWithAttempts
from failaware.serve.app import Arrival
from failaware.text import one_line

_WIDTH = 160
_LINES_A_SECOND = 20
_SUMMARY_S = 1.0


class Notices:
    """Writes a line for each failure, at most 20 a second, and counts what has no line of its own.

    Args:
        write: writes one line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._second, self._lines = 0.0, 0
        self._untold: Counter[tuple[str, str]] = Counter()

    def __call__(self, arrival: Arrival) -> None:
        """Tell of a request."""
        with self._lock:
            if time.monotonic() - self._second > _SUMMARY_S:
                self._summarize()
            if arrival.refusal:
                self._line(arrival.protocol, "refused: {}".format, arrival.refusal)
            if arrival.collected is None:
                return
            for observed in arrival.collected.events:
                self._line(arrival.protocol, _failure, observed)
            for reject in arrival.collected.rejects:
                self._line(arrival.protocol, "rejected: {}".format, reject.error)
            if arrival.collected.ignored:
                self._untold[arrival.protocol, "skipped: no failures"] += arrival.collected.ignored

    def tell_counts(self) -> None:
        """Tell of what has no line of its own."""
        with self._lock:
            self._summarize()

    def _line(self, protocol: str, describe: Callable[[Any], str], subject: Any) -> None:
        if self._lines >= _LINES_A_SECOND:
            self._untold[protocol, "more lines"] += 1
            return
        self._lines += 1
        line = f"{datetime.now():%H:%M:%S}  {protocol:<11}  {describe(subject)}"  # noqa: DTZ005 - the user's
        self._write(one_line(line, _WIDTH))

    def _summarize(self) -> None:
        """Begin a new second."""
        for (protocol, what), count in self._untold.items():
            self._write(f"{datetime.now():%H:%M:%S}  {protocol:<11}  {count:,} {what}")  # noqa: DTZ005
        self._untold.clear()
        self._second, self._lines = time.monotonic(), 0


def _failure(observed: EventWithAttempts) -> str:
    failed = next((attempt.failure for attempt in observed.attempts if attempt.failure), None)
    return observed.event.event_type + (f"  {failed.error_type}: {failed.error_message}" if failed else "")
