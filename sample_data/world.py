"""The world that the handlers work against: its clock, its hour of the day, and chance that is always the same.

Seeding runs it on simulated time; live, a day passes in two minutes, so that outages come while one watches.
"""

import hashlib
import time

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_LIVE_DAY = 120 * SECOND


class World:
    """Times in µs. `began` and `ends` bound the simulated history; live, there is no end."""

    def __init__(self) -> None:
        self._now: int | None = None
        self.began = 0
        self.ends = 0

    def simulate(self, began: int, ends: int) -> None:
        """From now on, time is what `at` says."""
        self.began, self.ends, self._now = began, ends, began

    def go_live(self) -> None:
        """From now on, time is the machine's."""
        self._now = None

    def now(self) -> int:
        """The time."""
        return time.time_ns() // 1_000 if self._now is None else self._now

    def at(self, moment: int) -> None:
        """Move simulated time forward to a moment."""
        assert self._now is not None
        self._now = max(self._now, moment)

    def spend(self, milliseconds: float) -> None:
        """Work takes time; live it passes by itself, but a little is waited so that it can be seen."""
        if self._now is None:
            time.sleep(min(milliseconds, 50) / 1_000)
        else:
            self._now += int(milliseconds * 1_000)

    def hour_of_day(self) -> float:
        """0 to 24."""
        return self.now() % self._day / self._day * 24

    def passed(self, span: int) -> int:
        """How many spans of that many µs have passed; live, a day's worth of them passes in a live day."""
        return self.now() * DAY // (span * self._day)

    def progress(self) -> float:
        """How much of the history has passed, 0 to 1; 1 when live."""
        if self._now is None or self.ends <= self.began:
            return 1.0
        return min(1.0, (self._now - self.began) / (self.ends - self.began))

    @property
    def _day(self) -> int:
        return DAY if self._now is not None else _LIVE_DAY


world = World()
"""The one that the handlers use."""


def chance(*what: object) -> float:
    """A number in [0, 1) that looks random and is always the same for the same thing."""
    digest = hashlib.sha256(repr(what).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
