"""Notices an input that is of no known format: a wrong file must not become as many rejects as it has lines."""

from typing import NamedTuple

from failaware.ingest.chunk import Collected

_MOST_REFUSED = 100  # lines


class Counts(NamedTuple):
    """What was collected before a line."""

    rejects: int
    understood: int


class WrongInput:
    """Watches what becomes of the lines of one input.

    Args:
        keep_all: whether each line that is refused stays a reject.
        ends: whether a wrong input is not read on; otherwise its lines are counted until one is understood.
    """

    def __init__(self, *, keep_all: bool, ends: bool) -> None:
        self.is_understood = keep_all
        """Whether a line was understood, or each that is refused stays a reject."""
        self._refused = 0
        self._is_muted = False
        self._ends = ends

    @property
    def has_given_up(self) -> bool:
        """Whether the rest of the input is not worth reading."""
        return self._is_muted and self._ends

    def before(self, collected: Collected) -> Counts:
        """Return the counts before a line."""
        return Counts(len(collected.rejects), len(collected.events) + collected.ignored)

    def after(self, collected: Collected, before: Counts) -> None:
        """Take note of what a line has become."""
        if self.is_understood:
            return
        if len(collected.events) + collected.ignored > before.understood:
            self.is_understood, self._is_muted = True, False
            return
        refused = len(collected.rejects) - before.rejects
        self._refused += refused
        if self._is_muted:
            del collected.rejects[len(collected.rejects) - refused :]
            collected.skipped += refused
        elif self._refused >= _MOST_REFUSED:
            self._keep_one(collected)

    def _keep_one(self, collected: Collected) -> None:
        """Replace the rejects by the first one, with a reason for all."""
        self._is_muted = True
        first, *others = collected.rejects
        collected.skipped += len(others)
        error = (
            f"none of the first {self._refused} lines can be read, and no more of them are kept; the first: "
            f"{first.error}. With --map FILE any lines of JSON can be read, and --anyway keeps every line that cannot"
        )
        collected.rejects[:] = [first._replace(error=error)]
