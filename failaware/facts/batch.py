"""A batch of events with attempts made elsewhere, and of rejects, recorded in one transaction.

If appending the batch fails, its events are appended one by one, so an invalid event does not prevent the others.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from failaware.engine import Writer
from failaware.errors import KeyConflict, StoreError
from failaware.facts import append
from failaware.model import EventWithAttempts, NewReject
from failaware.rules import Policy


class Appended(NamedTuple):
    """The result of a batch: the number of events with known keys, and the rejects made from its events."""

    known: int
    refused: list[NewReject]


class Batch(NamedTuple):
    """Events, rejects, `along`, which runs in the same transaction, and `refuse`, which turns an event into a reject.

    With `once`, a reject of the same line of the same origin is kept once.

    See `Store.ingest`.
    """

    observed: Sequence[EventWithAttempts]
    rejects: Sequence[NewReject]
    along: Callable[[Writer], None] | None
    refuse: Callable[[int, Exception], NewReject] | None
    once: bool = False

    def append(self, db: Writer, policy: Policy) -> Appended:
        """Append the whole batch. Only an event whose key belongs to another type becomes a reject.

        Raises:
            KeyConflict: there is such an event, and `refuse` is None.
        """
        conflicts: dict[int, KeyConflict] | None = {} if self.refuse else None
        ids = append.observed(db, self.observed, policy, conflicts=conflicts)
        known = sum(known for _, known in ids) - len(conflicts or {})
        return self._finish(db, known, dict(conflicts or {}))

    def append_one_by_one(self, db: Writer, policy: Policy) -> Appended:
        """Append each event separately, and make a reject of each that fails."""
        known = 0
        failed: dict[int, Exception] = {}
        for position, event in enumerate(self.observed):
            try:
                with db.savepoint():
                    ((_, is_known),) = append.observed(db, [event], policy)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - not even a bug may prevent the other events
                failed[position] = error
            else:
                known += is_known
        return self._finish(db, known, failed)

    def _finish(self, db: Writer, known: int, failed: dict[int, Exception]) -> Appended:
        refused = [self.refuse(position, error) for position, error in failed.items()] if self.refuse else []
        append.rejects(db, [*self.rejects, *refused], once=self.once)
        if self.along is not None:
            self.along(db)
        return Appended(known, refused)
