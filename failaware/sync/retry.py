"""When to try again, or why not: a pure reckoning, whose words are kept with the attempt."""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

from failaware.errors import Permanent, RetryAfter, UsageError

_LONGEST_S = 100 * 365 * 86_400.0  # a wait is a century at most: more would not fit into a store
_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy. All times are in seconds.

    After the n-th failed attempt the wait is

        delay(n) = min(cap, base · factor^(n−1)) · (1 + jitter · h)

    with h in [0, 1) a hash of (event, n): never earlier than asked, spread at the cap too, and the same when computed
    again. With the defaults: 5, 10, 20, 40 s, each up to 10 % later; after the fifth failure the event is DEAD.
    `RetryAfter` can only make a wait longer, `Permanent` ends the tries at once.

    Raises:
        UsageError: max_attempts below 1, a negative number, or a factor below 1.
    """

    max_attempts: int = 5
    base: float = 5.0
    factor: float = 2.0
    cap: float = 3600.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise UsageError(f"max_attempts is 1 or more, not {self.max_attempts}")
        for name, least in (("base", 0), ("factor", 1), ("cap", 0), ("jitter", 0)):
            value = getattr(self, name)
            if not math.isfinite(value) or value < least:
                raise UsageError(f"{name} is {least} or more, not {value}")

    def delay(self, event_id: int, n: int) -> float:
        """The wait after the n-th failed attempt, in seconds."""
        return min(self.cap, self.uncapped(n)) * (1 + self.jitter * _spread(event_id, n))

    def uncapped(self, n: int) -> float:
        """Base · factor^(n−1), in seconds."""
        try:
            return self.base * self.factor ** (n - 1)
        except OverflowError:
            return math.inf if self.base else 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided after a failed attempt: try again at `retry_at` (µs), or never; and the reckoning."""

    retry_at: int | None
    because: str


def decide(policy: Retry, *, event_id: int, tries: int, failed_at: int, error: BaseException | None = None) -> Outcome:
    """Decide what follows the `tries`-th failure (counted since the event was recorded or last requeued)."""
    if isinstance(error, Permanent):
        return Outcome(None, "Permanent: the handler says that trying again cannot help")
    if tries >= policy.max_attempts:
        return Outcome(None, f"{tries} of {policy.max_attempts} attempts used")
    delay = policy.delay(event_id, tries)
    because = f"attempt {tries} of {policy.max_attempts}: {_reckoning(policy, event_id, tries)}"
    if isinstance(error, RetryAfter) and error.seconds > delay:
        delay = error.seconds
        because = f"attempt {tries} of {policy.max_attempts}: RetryAfter, {_seconds(delay)} asked for"
    return Outcome(failed_at + math.ceil(min(delay, _LONGEST_S) * 1_000_000), because)


def _reckoning(policy: Retry, event_id: int, n: int) -> str:
    if policy.delay(event_id, n) == 0:
        return "at once"
    if policy.uncapped(n) > policy.cap:
        wait = f"the cap of {_seconds(policy.cap)}"
    else:
        power = f" · {policy.factor:g}{str(n - 1).translate(_POWERS)}" if n > 1 else ""
        wait = f"{_seconds(policy.base)}{power}"
    return f"{wait} + {policy.jitter * _spread(event_id, n):.0%} jitter"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s"


@lru_cache(maxsize=128)  # one reckoning asks for it three times
def _spread(event_id: int, n: int) -> float:
    """A number in [0, 1) that looks random and is the same on every machine."""
    digest = hashlib.sha256(f"{event_id}:{n}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
