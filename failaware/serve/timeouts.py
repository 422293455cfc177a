"""A time limit that many requests share.

A timer of its own for each request, which is nearly always cancelled, would take more time than parsing its JSON.
"""

import asyncio
from collections.abc import Callable


class Timeouts:
    """Calls a callback when its limit has passed, unless it was removed before. All limits must be equally long.

    One timer waits for the oldest. It may call a callback later than its limit, but not before.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: dict[Callable[[], object], float] = {}  # in the order of their ends
        self._timer: asyncio.TimerHandle | None = None

    def add(self, callback: Callable[[], object], seconds: float) -> None:
        """Call a callback after so many seconds; each one must be another object."""
        self._pending[callback] = end = self._loop.time() + seconds
        if self._timer is None:
            self._timer = self._loop.call_at(end, self._expire)

    def remove(self, callback: Callable[[], object]) -> None:
        """Do not call a callback any more."""
        self._pending.pop(callback, None)

    def _expire(self) -> None:
        """Call what is due; wait for the oldest of the others, if there is any."""
        now, self._timer = self._loop.time(), None
        for callback, end in list(self._pending.items()):
            if end > now:
                self._timer = self._loop.call_at(end, self._expire)
                return
            del self._pending[callback]
            callback()
