"""Retry policies: whether and when to retry, with a reason that is kept with the attempt. Pure."""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

from failaware.capture.guarded import is_a
from failaware.errors import Permanent, RetryAfter
from failaware.worker.checks import real, whole

_LONGEST_S = 100 * 365 * 86_400.0  # longest retry delay, a century: more would not fit into a store
_MOST_ATTEMPTS, _MOST_JITTER, _FINITE = 1_000_000_000, 1_000.0, 1e300
_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy. All times are in seconds.

    The delay after the n-th failed attempt is

        delay(n) = min(cap, base · factor^(n−1)) · (1 + jitter · h)

    with h in [0, 1) a hash of (event, n): jitter only lengthens the delay, also at the cap, and is the same when it is
    computed again. With the defaults: 5, 10, 20, 40 s, each up to 10 % longer; after the fifth failure the event is
    DEAD. `RetryAfter` can only lengthen a delay; after `Permanent` there is no retry.

    Raises:
        UsageError: max_attempts is not a whole number from 1 to 1,000,000,000, factor is below 1, jitter is not from 0
            to 1,000, or base or cap is negative; or one of them is not a finite number.
    """

    max_attempts: int = 5
    base: float = 5.0
    factor: float = 2.0
    cap: float = 3600.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        """Check the numbers, and convert them to int and float."""
        numbers = {
            "max_attempts": whole("max_attempts", self.max_attempts, least=1, most=_MOST_ATTEMPTS),
            "base": real("base", self.base, least=0, most=_FINITE),
            "factor": real("factor", self.factor, least=1, most=_FINITE),
            "cap": real("cap", self.cap, least=0, most=_FINITE),
            "jitter": real("jitter", self.jitter, least=0, most=_MOST_JITTER),
        }
        for name, number in numbers.items():
            object.__setattr__(self, name, number)

    def delay(self, event_id: int, n: int) -> float:
        """Return the delay after the n-th failed attempt, in seconds."""
        if not self.base:
            return 0.0
        return min(self.cap, self.uncapped(n)) * (1 + self.jitter * _spread(event_id, n))

    def uncapped(self, n: int) -> float:
        """Return base · factor^(n−1), in seconds."""
        try:
            return self.base * self.factor ** (n - 1)
        except OverflowError:
            return math.inf if self.base else 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The decision after a failed attempt: retry at `retry_at` (µs), or never if it is None; and the reason."""

    retry_at: int | None
    retry_reason: str


def decide(
    policy: Retry, *, event_id: int, attempts: int, failed_at: int, error: BaseException | None = None
) -> Outcome:
    """Decide what follows the `attempts`-th failure, counted since the event was recorded or last requeued."""
    if is_a(error, Permanent):
        return Outcome(None, "Permanent: the handler says that trying again cannot help")
    if attempts >= policy.max_attempts:
        return Outcome(None, f"{attempts} of {policy.max_attempts} attempts used")
    delay = policy.delay(event_id, attempts)
    retry_reason = f"attempt {attempts} of {policy.max_attempts}: {_formula(policy, event_id, attempts)}"
    asked_for = _asked_for(error, failed_at)
    if asked_for > delay:
        delay = asked_for
        retry_reason = f"attempt {attempts} of {policy.max_attempts}: RetryAfter, {_seconds(delay)} asked for"
    return Outcome(failed_at + math.ceil(min(delay, _LONGEST_S) * 1_000_000), retry_reason)


def _asked_for(error: BaseException | None, failed_at: int) -> float:
    """Return the delay in seconds after `failed_at` (µs) that a RetryAfter asks for; 0.0 if it has none.

    A subclass may not call `super().__init__`, and may set the attributes to anything.
    """
    if not is_a(error, RetryAfter):
        return 0.0
    try:
        until, seconds = error.until, error.seconds  # type: ignore[union-attr]
        asked_for = seconds if until is None else until - failed_at / 1_000_000
        return 0.0 if asked_for is None or not math.isfinite(asked_for) else float(asked_for)
    except Exception:  # noqa: BLE001 - the policy's own delay applies
        return 0.0


def _formula(policy: Retry, event_id: int, n: int) -> str:
    if policy.delay(event_id, n) == 0:
        return "at once"
    if policy.uncapped(n) > policy.cap:
        delay = f"the cap of {_seconds(policy.cap)}"
    else:
        power = f" · {policy.factor:g}{str(n - 1).translate(_POWERS)}" if n > 1 else ""
        delay = f"{_seconds(policy.base)}{power}"
    return f"{delay} + {policy.jitter * _spread(event_id, n):.0%} jitter"


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s"


@lru_cache(maxsize=128)  # one decision calls it three times
def _spread(event_id: int, n: int) -> float:
    """Return a pseudorandom number in [0, 1) that is the same on every machine."""
    digest = hashlib.sha256(f"{event_id}:{n}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
