"""How many events a worker may claim: as many as there are free handlers, more where handlers have been quick."""

from failaware.facts.claim import Claimed

_QUICK_S = 0.05  # handlers of which two or more take no longer are quick
_SHOWN = 16  # attempts in a row that have shown it, before events are claimed for more than the free handlers
FLUSH_S = 0.03
"""For how long results wait for others to share their transaction, at most."""


class Pace:
    """How quick a handler has been."""

    def __init__(self) -> None:
        self._shown = 0  # quick attempts in a row
        self._mean_s = 0.0  # 0: not known

    def learn(self, attempts: int, mean_s: float) -> None:
        """Take note of what some more attempts took, on average."""
        self._mean_s = max(mean_s, 1e-6)
        self._shown = self._shown + attempts if 2 * mean_s <= _QUICK_S else 0

    def forget(self) -> None:
        """Claim as handlers become free, until they have been quick again."""
        self._shown, self._mean_s = 0, 0.0

    @property
    def is_quick(self) -> bool:
        """Whether a transaction for each attempt would take too long."""
        return self._shown >= _SHOWN

    def ahead(self, handlers: int) -> int:
        """How many events may be claimed for so many handlers, those that run included.

        For slow ones as many more as will end before the next transaction.
        """
        if self.is_quick:
            return max(handlers, min(int(handlers * _QUICK_S / self._mean_s), self._shown))
        return handlers + (int(handlers * FLUSH_S / self._mean_s) if self._mean_s > FLUSH_S else 0)


class Slots:
    """The handlers of one kind that run at the same time: plain, async, or transactional."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._begun = 0  # events in hand whose attempts are known to have begun
        self._queued = 0  # events in hand for quick handlers, running or not
        self.quick = False  # whether one of their handlers was quick when it was looked at last

    def count(self, claimed: Claimed, by: int) -> None:
        """Count an event in, or out again."""
        if claimed.begun:
            self._begun += by
        else:
            self._queued += by

    def reset(self) -> None:
        """None is in hand."""
        self._begun = self._queued = 0

    @property
    def free(self) -> int:
        """How many handlers could begin now."""
        return max(0, self._number - self._begun - self._queued)

    @property
    def queued_ahead(self) -> int:
        """How many events wait for a handler; below 0: how many handlers are free."""
        return self._begun + self._queued - self._number

    @property
    def in_use(self) -> bool:
        """Whether anything is in hand."""
        return self._begun + self._queued > 0

    @property
    def have_room(self) -> bool:
        """Whether it is worth looking for more events; for quick handlers also while the last ones run."""
        return self.free > 0 or (self.quick and self._queued > 0 and self.queued_ahead <= 0)

    def room(self, pace: Pace) -> int:
        """How many events may be claimed for a handler of this pace; those beyond the free ones wait for their turn."""
        self.quick = self.quick or pace.is_quick
        handlers = max(0, self._number - self._begun) if pace.is_quick else self._number
        in_hand = self._queued if pace.is_quick else self._begun + self._queued
        return max(0, pace.ahead(handlers) - in_hand) if self.queued_ahead <= 0 else 0
