"""What a worker has in hand, and which due events it claims next.

What is claimed exactly as a handler becomes free begins at once: its lease says so, and when the worker is lost, its
attempt has failed. Events for quick handlers are claimed many at a time, since a transaction for each would take longer
than the handler. When the worker is lost, nobody knows which of them had begun: none is charged an attempt, and next
time the beginning of each is noted. That of the last attempt that an event has left always is, so that it is neither
made twice nor used up by a worker that dies before it.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from failaware.engine import Writer
from failaware.facts import claim
from failaware.facts.claim import Claimed
from failaware.worker.attempt import Tried
from failaware.worker.handlers import Handler, Handlers
from failaware.worker.pace import Pace, Slots

_SUSPECT_WAITS_US = 1_000_000  # for which others are still claimed before a suspect, and between two suspects
_OTHERS_HAVE_US = 10_000_000  # at most, between two suspects


@dataclass(slots=True)
class _Round:
    """One claim: how many handlers of each kind are still free, and what is taken so far."""

    db: Writer
    now: int
    free: dict[str, int]
    batch: list[Claimed] = field(default_factory=list)
    suspects: list[Claimed] = field(default_factory=list)


class Dispatch:
    """What a worker has claimed, and what it claims next."""

    def __init__(self, handlers: Handlers, concurrency: int, batch: int) -> None:
        self._handlers, self._batch = handlers, batch
        self._slots = {"plain": Slots(concurrency), "async": Slots(concurrency), "transactional": Slots(1)}
        self._of_type: dict[str, Slots] = {}
        self._pace: dict[str, Pace] = {}  # by the handler's pattern
        self._turn = 0
        self._suspects_from = 0
        self._suspect_type: str | None = None
        self._isolates = False  # a suspect runs, beside which nothing else may
        self._holds_back = False  # the hands are to get empty for one
        self._more = False  # the last claim left something due
        self._claimed_at: dict[int, int] = {}
        self.in_hand: dict[int, Claimed] = {}
        self.waiting: deque[Claimed] = deque()
        """Events in hand that are not given to a handler before it is noted that their attempts begin."""

    def reset(self) -> None:
        """Begin with empty hands: a run that an error ended may have left something."""
        self.in_hand.clear()
        self._claimed_at.clear()
        self.waiting.clear()
        for slots in self._slots.values():
            slots.reset()
        self._isolates = self._holds_back = self._more = False

    def handler(self, event_type: str) -> Handler:
        """The handler of a type, which has one: other types are not claimed."""
        handler = self._handlers.find(event_type)
        assert handler is not None, "only types with a handler are claimed"
        return handler

    def has_room(self, event_type: str) -> bool:
        """Whether more events of a type could be claimed: it has a handler, which is free or will be very soon."""
        handler = None if self._is_busy else self._handlers.find(event_type)
        return handler is not None and self._slots[_kind(handler)].have_room

    def wanted(self) -> int:
        """For how many results to wait before the next transaction.

        Where more is due, not for the last ones: while they run, the next ones are claimed.
        """
        if self.waiting:
            return 1
        if not self._more:
            return max(1, min(self._batch, len(self.in_hand)))
        return max(1, min((self._batch, *(slots.queued_ahead for slots in self._slots.values() if slots.in_use))))

    def claimed_at(self, event_id: int) -> int:
        """When an event in hand was claimed (µs)."""
        return self._claimed_at[event_id]

    def add(self, batch: Iterable[Claimed], now: int) -> list[Claimed]:
        """Take note of what was claimed, and when (µs); returns what can be given to handlers now."""
        started = []
        for claimed in batch:
            self.in_hand[claimed.event.event_id] = claimed
            self._claimed_at[claimed.event.event_id] = now
            self._isolates = self._isolates or claimed.suspect
            if claimed.noted and not claimed.begun:
                self.waiting.append(claimed)
            else:
                self._slots_of(claimed).count(claimed, 1)
                started.append(claimed)
        return started

    def next_waiting(self) -> list[Claimed]:
        """Those of the waiting for which a handler is free, which begin now."""
        started: list[Claimed] = []
        while self.waiting and (slots := self._slots_of(self.waiting[0])).free:
            begun = self.waiting.popleft()._replace(begun=True)
            self.in_hand[begun.event.event_id] = begun
            slots.count(begun, 1)
            started.append(begun)
        return started

    def drop_waiting(self) -> list[Claimed]:
        """Let go of what waits; returns it."""
        dropped = list(self.waiting)
        self.waiting.clear()
        for claimed in dropped:
            del self.in_hand[claimed.event.event_id], self._claimed_at[claimed.event.event_id]
        return dropped

    def remove(self, event_id: int) -> None:
        """Take note that an event is no longer in hand; that it was not is no harm: another worker may have had it."""
        claimed = self.in_hand.pop(event_id, None)
        if claimed is not None:
            del self._claimed_at[event_id]
            self._slots_of(claimed).count(claimed, -1)
            if claimed.suspect:
                self._isolates = False

    def learn(self, tried: list[Tried]) -> None:
        """Take note of how long attempts took, and that something has ended."""
        self._holds_back = self._holds_back and not tried
        by_pattern: dict[str, list[float]] = {}
        for result in tried:
            by_pattern.setdefault(result.handler.pattern, []).append(result.took_s)
            if result.claimed.suspect:  # others get as much time as it took, and a second at least
                took_us = result.finished_at - result.started_at
                self._suspects_from = result.finished_at + min(max(took_us, _SUSPECT_WAITS_US), _OTHERS_HAVE_US)
        for pattern, times in by_pattern.items():
            self._pace_of(pattern).learn(len(times), sum(times) / len(times))

    def slow_down(self, recalled: Iterable[Claimed]) -> list[int]:
        """Let go of what was recalled from handlers that are not quick after all; returns the events that run."""
        for claimed in recalled:
            self.remove(claimed.event.event_id)
        queued = {event_id: claimed for event_id, claimed in self.in_hand.items() if not claimed.begun}
        for event_id, claimed in queued.items():
            self.in_hand[event_id] = begun = claimed._replace(begun=True)
            self._slots_of(claimed).count(claimed, -1)
            self._slots_of(begun).count(begun, 1)
            self._pace_of(self.handler(claimed.event.event_type).pattern).forget()
        return list(queued)

    def claim(self, db: Writer, *, worker: str, now: int, until: int) -> list[Claimed]:
        """Lease what begins next, in turns between the types: none waits behind another's flood.

        An event whose last attempt lost its worker may be what kills workers, a suspect: it runs only while the worker
        has nothing else in hand, so that it cannot take others with it. One that has been due for a second has its turn
        when the worker's hands are empty, which get empty since nothing else is claimed until then; after it, others
        have theirs.
        """
        if self._is_busy:
            return []
        types = claim.waiting_types(db, self._handlers.handles)
        self._turn += 1
        turn = self._turn % len(types) if types else 0
        types = types[turn:] + types[:turn]
        if not self.in_hand and self._suspect_type is not None:  # the hands got empty for it
            types.sort(key=lambda event_type: event_type != self._suspect_type)
            self._suspect_type = None
        self._more = False
        for slots in self._slots.values():
            slots.quick = False
        taking = _Round(db, now, {kind: slots.free for kind, slots in self._slots.items()})
        for event_type in types:
            self._look_at(event_type, taking)
        batch = self._with_a_suspect(taking)
        claim.lease(db, batch, worker=worker, until=until)
        return sorted(batch, key=lambda claimed: not claimed.begun)

    def _look_at(self, event_type: str, taking: _Round) -> None:
        """Add what is claimed of one type to the batch, and its suspects to the others."""
        handler = self.handler(event_type)
        kind = _kind(handler)
        pace = self._pace_of(handler.pattern)
        room = self._slots[kind].room(pace) if pace.is_quick or taking.free[kind] else 0
        limit = min(room, self._batch - len(taking.batch))
        if limit <= 0:
            self._more = True
            return
        due = claim.due(taking.db, event_type, now=taking.now, limit=limit)
        self._more = self._more or len(due) == limit
        if suspects := [claimed for claimed in due if claimed.suspect]:
            taking.suspects += suspects
            due = claim.due(taking.db, event_type, now=taking.now, limit=limit, suspects=False)
        slow, last = not pace.is_quick, handler.retry.max_attempts - 1
        for claimed in due:
            if claimed.event.event_id in self.in_hand:
                continue  # it was taken from us, and our handler still runs
            noted = slow or claimed.unsure or claimed.tries >= last
            if noted:
                begun = taking.free[kind] > 0
                taking.free[kind] -= begun
                claimed = claimed._replace(noted=True, begun=begun)  # noqa: PLW2901
            taking.batch.append(claimed)

    def _with_a_suspect(self, taking: _Round) -> list[Claimed]:
        """The batch; or a suspect alone, or nothing so that the hands get empty for one."""
        if not taking.suspects:
            return taking.batch
        suspect = min(taking.suspects, key=lambda claimed: claimed.due_at)
        now, next_turn = taking.now, self._suspects_from
        in_turn = now >= next_turn or next_turn > now + _OTHERS_HAVE_US  # the clock may have gone backwards
        if not self.in_hand and (in_turn or not taking.batch):
            return [suspect._replace(noted=True, begun=True)]
        if in_turn and suspect.due_at < now - _SUSPECT_WAITS_US:
            self._holds_back = True  # until something has ended
            self._suspect_type = suspect.event.event_type
            return []
        return taking.batch

    @property
    def _is_busy(self) -> bool:
        """Whether nothing may be claimed for now."""
        return self._isolates or self._holds_back or bool(self.waiting)

    def _slots_of(self, claimed: Claimed) -> Slots:
        event_type = claimed.event.event_type
        slots = self._of_type.get(event_type)
        if slots is None:
            slots = self._of_type[event_type] = self._slots[_kind(self.handler(event_type))]
        return slots

    def _pace_of(self, pattern: str) -> Pace:
        return self._pace.setdefault(pattern, Pace())


def _kind(handler: Handler) -> str:
    return "transactional" if handler.transactional else "async" if handler.is_async else "plain"
