"""A list of any length of which only a part is held: pages in view are fetched, others dropped.

Pure: no widget, no query. Positions count from the top of the list.
"""

from collections.abc import Callable, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

Item = TypeVar("Item")
PAGE = 100
_HELD = 1_000


class Need(NamedTuple):
    """A page to fetch: the rows after ('down') or before ('up') this key.

    Without a key it is the page at this position, and for 'up' the last page of the list.
    """

    way: Literal["down", "up"]
    key: int | None
    position: int = 0
    limit: int = PAGE


class Window(Generic[Item]):
    """The part of a list that is held: `items`, the first at position `start`."""

    def __init__(self, key_of: Callable[[Item], int]) -> None:
        self._key_of = key_of
        self.items: list[Item] = []
        self.start = 0
        self.ended = True
        self._counted = 0

    @property
    def end(self) -> int:
        """The position after the last item that is held."""
        return self.start + len(self.items)

    @property
    def size(self) -> int:
        """How long the list is, as far as is known."""
        return self.end if self.ended else max(self.end, self._counted)

    def at(self, position: int) -> Item | None:
        """The item there, if it is held."""
        index = position - self.start
        return self.items[index] if 0 <= index < len(self.items) else None

    def position(self, key: int | None) -> int | None:
        """The position of the item with this key, if it is held."""
        return next((self.start + i for i, item in enumerate(self.items) if self._key_of(item) == key), None)

    def count(self, total: int) -> None:
        """Take note of how long the list is, or is at least."""
        self._counted = total

    def hold(self, items: Sequence[Item], *, start: int = 0, ended: bool = True) -> None:
        """Hold these, and nothing else."""
        self.items, self.start, self.ended = list(items), start, ended

    def again(self) -> Need:
        """The page that reloads what is held."""
        if not self.items or not self.start:
            return Need("down", None, 0, max(len(self.items), PAGE))
        return Need("down", self._key_of(self.items[0]) + 1, self.start, len(self.items))

    def need(self, first: int, last: int) -> Need | None:
        """The page that is missing to show these positions with some in reserve; None if there is none."""
        if not self.items:
            return None
        if last < self.start - PAGE or first > self.end + PAGE:
            if last >= self.size - 1:
                return Need("up", None)
            return Need("down", None, max(first - PAGE // 2, 0))
        if last + PAGE // 2 >= self.end and not self.ended:
            return Need("down", self._key_of(self.items[-1]), self.end)
        if first - PAGE // 2 < self.start and self.start > 0:
            return Need("up", self._key_of(self.items[0]), self.start)
        return None

    def merge(self, need: Need, rows: Sequence[Item]) -> int:
        """Take the rows of a page; returns the shift of all positions: 0 unless the list was miscounted."""
        short = len(rows) < need.limit
        if need.key is None:
            if need.way == "down":
                self.hold(rows, start=need.position, ended=short)
            else:
                self.hold(rows, start=0 if short else max(self.size - len(rows), 0))
            return 0
        known = {self._key_of(item) for item in self.items}
        new = [row for row in rows if self._key_of(row) not in known]
        if need.way == "down":
            self.items += new
            self.ended = short
            surplus = max(len(self.items) - _HELD, 0)
            del self.items[:surplus]
            self.start += surplus
            return 0
        self.items[:0] = new
        self.start -= len(new)
        if len(self.items) > _HELD:
            del self.items[_HELD:]
            self.ended = False
        shift = -self.start if short else max(1 - self.start, 0)
        self.start += shift
        return shift
