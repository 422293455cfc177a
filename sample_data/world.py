"""The environment of the handlers: clock, hour of the day, and reproducible chance.

Seeding uses simulated time. Live, a day takes two minutes, which makes outages visible.
"""

import hashlib
import time

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_LIVE_DAY = 120 * SECOND


class World:
    """Times in µs. `began` and `ends` bound the simulated history; live, it has no end."""

    def __init__(self) -> None:
        self._now: int | None = None
        self.began = 0
        self.ends = 0

    def simulate(self, began: int, ends: int) -> None:
        """Switch to simulated time, which `at` sets."""
        self.began, self.ends, self._now = began, ends, began

    def go_live(self) -> None:
        """Switch to the machine's time."""
        self._now = None

    def now(self) -> int:
        """Return the current time."""
        return time.time_ns() // 1_000 if self._now is None else self._now

    def at(self, moment: int) -> None:
        """Move simulated time forward."""
        assert self._now is not None
        self._now = max(self._now, moment)

    def spend(self, milliseconds: float) -> None:
        """Let simulated time pass for work; live, sleep for at most 50 ms."""
        if self._now is None:
            time.sleep(min(milliseconds, 50) / 1_000)
        else:
            self._now += int(milliseconds * 1_000)

    def hour_of_day(self) -> float:
        """Return the hour of the day, 0 to 24."""
        return self.now() % self._day / self._day * 24

    def passed(self, span: int) -> int:
        """Return how many spans of `span` µs have passed; a live day has as many as a simulated one."""
        return self.now() * DAY // (span * self._day)

    def progress(self) -> float:
        """Return the elapsed share of the history, 0 to 1; live, 1."""
        if self._now is None or self.ends <= self.began:
            return 1.0
        return min(1.0, (self._now - self.began) / (self.ends - self.began))

    @property
    def _day(self) -> int:
        return DAY if self._now is not None else _LIVE_DAY


world = World()
"""The environment that the handlers use."""


def chance(*subject: object) -> float:
    """Return a pseudo-random number in [0, 1), always the same for the same subject."""
    digest = hashlib.sha256(repr(subject).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
