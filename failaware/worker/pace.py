"""How many events a worker may claim: one for each free handler, more for quick handlers."""

from failaware.facts.claim import Claimed

_QUICK_S = 0.05  # a handler is quick if two of its attempts take no longer than this
_MIN_STREAK = 16  # quick attempts in a row before more events are claimed than handlers are free
FLUSH_S = 0.03
"""Longest wait of a result for others to share its transaction."""


class Pace:
    """How quick a handler's attempts have been."""

    def __init__(self) -> None:
        self._streak = 0  # quick attempts in a row
        self._mean_s = 0.0  # 0: unknown

    def learn(self, attempts: int, mean_s: float) -> None:
        """Learn the mean duration of some more attempts."""
        self._mean_s = max(mean_s, 1e-6)
        self._streak = self._streak + attempts if 2 * mean_s <= _QUICK_S else 0

    def forget(self) -> None:
        """Claim only for free handlers, until they have been quick again."""
        self._streak, self._mean_s = 0, 0.0

    @property
    def is_quick(self) -> bool:
        """Whether the handler is quick: a transaction for each attempt would take longer than the attempt."""
        return self._streak >= _MIN_STREAK

    def ahead(self, handlers: int) -> int:
        """Return how many events may be claimed for a number of handlers, including the running ones.

        For slow handlers, these are as many more as will end before the next transaction.
        """
        if self.is_quick:
            return max(handlers, min(int(handlers * _QUICK_S / self._mean_s), self._streak))
        return handlers + (int(handlers * FLUSH_S / self._mean_s) if self._mean_s > FLUSH_S else 0)


class Slots:
    """The handlers of one kind that run at the same time: plain, async, or transactional."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._begun = 0  # claimed events whose start is written
        self._queued = 0  # claimed events for quick handlers, running or not
        self.quick = False  # whether one of the handlers was quick at the last claim

    def count(self, claimed: Claimed, by: int) -> None:
        """Add `by` (1 or -1) to the count of a claimed event's kind."""
        if claimed.begun:
            self._begun += by
        else:
            self._queued += by

    def reset(self) -> None:
        """Forget all claimed events."""
        self._begun = self._queued = 0

    @property
    def free(self) -> int:
        """How many handlers are free."""
        return max(0, self._number - self._begun - self._queued)

    @property
    def queued_ahead(self) -> int:
        """How many events wait for a handler; if negative, how many handlers are free."""
        return self._begun + self._queued - self._number

    @property
    def in_use(self) -> bool:
        """Whether any event is claimed."""
        return self._begun + self._queued > 0

    @property
    def accept_more(self) -> bool:
        """Whether more events may be claimed; for quick handlers also while the last ones run."""
        return self.free > 0 or (self.quick and self._queued > 0 and self.queued_ahead <= 0)

    def capacity_for(self, pace: Pace) -> int:
        """Return how many events may be claimed for a handler of this pace; those beyond the free handlers queue."""
        self.quick = self.quick or pace.is_quick
        handlers = max(0, self._number - self._begun) if pace.is_quick else self._number
        claimed = self._queued if pace.is_quick else self._begun + self._queued
        return max(0, pace.ahead(handlers) - claimed) if self.queued_ahead <= 0 else 0
