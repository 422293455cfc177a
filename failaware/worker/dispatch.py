"""Which events a worker has claimed, and which due events it claims next.

An event that is claimed for a free handler begins at once, and its lease says so: if the worker is lost, the attempt
has failed. Events for quick handlers are claimed many at a time, since a transaction for each would take longer than
the handler. If the worker is lost, it is unknown which of them had begun: none is charged an attempt, and next time the
start of each is written first. The start of an event's last possible attempt is always written first: the attempt is
neither made twice, nor used up by a worker that dies before it.

Example: concurrency 2, 40 events `mail`, and an event `report` whose last attempt lost its worker (a poison candidate).

  claim   claimed         why
  1-8     2 mail, begun   two handlers are free, and it is not known yet whether mail is quick
  9       16 mail         all 16 attempts so far took 1 ms, so mail is quick; no lease is marked as begun
  10      nothing         14 of them wait for a handler
  11      report, begun   all attempts have ended, and it has been due for a second; nothing else is claimed meanwhile
  12      32 mail         the report took 5 s, so for 5 s no other poison candidate runs

`tests/worker/test_dispatch.py` has this example.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from failaware.engine import Writer
from failaware.facts import claim
from failaware.facts.claim import Claimed
from failaware.worker.attempt import HandlerResult
from failaware.worker.handlers import Handler, Handlers
from failaware.worker.pace import Pace, Slots

_POISON_WAITS_US = (
    1_000_000  # how long a poison candidate waits while other events are claimed; also between two poison candidates
)
_MAX_PAUSE_US = 10_000_000  # longest pause between two poison candidates


@dataclass(slots=True)
class _Round:
    """One claim: how many handlers of each kind are still free, and the events claimed so far."""

    db: Writer
    now: int
    free: dict[str, int]
    batch: list[Claimed] = field(default_factory=list)
    poison_candidates: list[Claimed] = field(default_factory=list)


class Dispatch:
    """The events that a worker has claimed, and the choice of the next ones."""

    def __init__(self, handlers: Handlers, concurrency: int, batch: int) -> None:
        self._handlers, self._batch = handlers, batch
        self._slots = {"plain": Slots(concurrency), "async": Slots(concurrency), "transactional": Slots(1)}
        self._of_type: dict[str, Slots] = {}
        self._pace: dict[str, Pace] = {}  # by the handler's pattern
        self._turn = 0
        self._next_poison_turn = 0
        self._poison_type: str | None = None
        self._isolates = False  # a poison candidate runs, and nothing else may
        self._holds_back = False  # nothing is claimed until all attempts have ended, to run a poison candidate alone
        self._more = False  # after the last claim, more events were due
        self._claimed_at: dict[int, int] = {}
        self.running: dict[int, Claimed] = {}
        self.waiting: deque[Claimed] = deque()
        """Claimed events whose handlers are called only after the start of their attempts is written."""

    def reset(self) -> None:
        """Forget all claimed events: a run that ended with an error may have left some."""
        self.running.clear()
        self._claimed_at.clear()
        self.waiting.clear()
        for slots in self._slots.values():
            slots.reset()
        self._isolates = self._holds_back = self._more = False

    def handler(self, event_type: str) -> Handler:
        """Return the handler of a type; only types with a handler are claimed."""
        handler = self._handlers.find(event_type)
        assert handler is not None, "only types with a handler are claimed"
        return handler

    def can_claim(self, event_type: str) -> bool:
        """Whether events of a type can be claimed: it has a handler, which is free or will be very soon."""
        handler = None if self._is_busy else self._handlers.find(event_type)
        return handler is not None and self._slots[_kind(handler)].accept_more

    def wanted(self) -> int:
        """Return how many results to wait for before the next transaction.

        If more events are due, the last results are not waited for: the next events are claimed while those run.
        """
        if self.waiting:
            return 1
        if not self._more:
            return max(1, min(self._batch, len(self.running)))
        return max(1, min((self._batch, *(slots.queued_ahead for slots in self._slots.values() if slots.in_use))))

    def claimed_at(self, event_id: int) -> int:
        """Return when a running event was claimed (µs)."""
        return self._claimed_at[event_id]

    def add(self, batch: Iterable[Claimed], now: int) -> list[Claimed]:
        """Add claimed events with the time of the claim (µs); return those whose handlers can be called now."""
        started = []
        for claimed in batch:
            self.running[claimed.event.event_id] = claimed
            self._claimed_at[claimed.event.event_id] = now
            self._isolates = self._isolates or claimed.poison_candidate
            if claimed.noted and not claimed.begun:
                self.waiting.append(claimed)
            else:
                self._slots_of(claimed).count(claimed, 1)
                started.append(claimed)
        return started

    def next_waiting(self) -> list[Claimed]:
        """Return the waiting events for which a handler is free; they begin now."""
        started: list[Claimed] = []
        while self.waiting and (slots := self._slots_of(self.waiting[0])).free:
            begun = self.waiting.popleft()._replace(begun=True)
            self.running[begun.event.event_id] = begun
            slots.count(begun, 1)
            started.append(begun)
        return started

    def drop_waiting(self) -> list[Claimed]:
        """Drop and return the waiting events."""
        dropped = list(self.waiting)
        self.waiting.clear()
        for claimed in dropped:
            del self.running[claimed.event.event_id], self._claimed_at[claimed.event.event_id]
        return dropped

    def remove(self, event_id: int) -> None:
        """Remove an event that is no longer running; ignore one that another worker took over."""
        claimed = self.running.pop(event_id, None)
        if claimed is not None:
            del self._claimed_at[event_id]
            self._slots_of(claimed).count(claimed, -1)
            if claimed.poison_candidate:
                self._isolates = False

    def learn(self, tried: list[HandlerResult]) -> None:
        """Learn how long attempts took, and that some have ended."""
        self._holds_back = self._holds_back and not tried
        by_pattern: dict[str, list[float]] = {}
        for result in tried:
            by_pattern.setdefault(result.handler.pattern, []).append(result.took_s)
            if result.claimed.poison_candidate:  # other events then get as much time as it took, and at least a second
                took_us = result.finished_at - result.started_at
                self._next_poison_turn = result.finished_at + min(max(took_us, _POISON_WAITS_US), _MAX_PAUSE_US)
        for pattern, times in by_pattern.items():
            self._pace_of(pattern).learn(len(times), sum(times) / len(times))

    def slow_down(self, recalled: Iterable[Claimed]) -> list[int]:
        """Drop events recalled from handlers that turned out not to be quick; return the ids of those that run."""
        for claimed in recalled:
            self.remove(claimed.event.event_id)
        queued = {event_id: claimed for event_id, claimed in self.running.items() if not claimed.begun}
        for event_id, claimed in queued.items():
            self.running[event_id] = begun = claimed._replace(begun=True)
            self._slots_of(claimed).count(claimed, -1)
            self._slots_of(begun).count(begun, 1)
            self._pace_of(self.handler(claimed.event.event_type).pattern).forget()
        return list(queued)

    def claim(self, db: Writer, *, worker: str, now: int, until: int) -> list[Claimed]:
        """Lease the next events, taking turns between types: many events of one type do not delay the others.

        An event whose last attempt lost its worker may have killed it. Such a poison candidate runs only while nothing
        else does, since another crash would lose the other attempts too. When one has been due for a second, nothing
        else is claimed until all attempts have ended and it has run; then other events have their turn.
        """
        if self._is_busy:
            return []
        types = claim.waiting_types(db, self._handlers.handles)
        self._turn += 1
        turn = self._turn % len(types) if types else 0
        types = types[turn:] + types[:turn]
        if not self.running and self._poison_type is not None:  # all attempts have ended, for the poison candidate
            types.sort(key=lambda event_type: event_type != self._poison_type)
            self._poison_type = None
        self._more = False
        for slots in self._slots.values():
            slots.quick = False
        claim_round = _Round(db, now, {kind: slots.free for kind, slots in self._slots.items()})
        for event_type in types:
            self._add_due(event_type, claim_round)
        batch = self._choose(claim_round)
        claim.lease(db, batch, worker=worker, until=until)
        return sorted(batch, key=lambda claimed: not claimed.begun)

    def _add_due(self, event_type: str, claim_round: _Round) -> None:
        """Add the due events of one type to the batch, and the poison candidates among them to theirs."""
        handler = self.handler(event_type)
        kind = _kind(handler)
        pace = self._pace_of(handler.pattern)
        capacity = self._slots[kind].capacity_for(pace) if pace.is_quick or claim_round.free[kind] else 0
        limit = min(capacity, self._batch - len(claim_round.batch))
        if limit <= 0:
            self._more = True
            return
        due = claim.due(claim_round.db, event_type, now=claim_round.now, limit=limit)
        self._more = self._more or len(due) == limit
        if poison_candidates := [claimed for claimed in due if claimed.poison_candidate]:
            claim_round.poison_candidates += poison_candidates
            due = claim.due(claim_round.db, event_type, now=claim_round.now, limit=limit, poison_candidates=False)
        slow, last = not pace.is_quick, handler.retry.max_attempts - 1
        for claimed in due:
            if claimed.event.event_id in self.running:
                continue  # its lease expired, and our handler still runs
            noted = slow or claimed.unsure or claimed.attempts >= last
            if noted:
                begun = claim_round.free[kind] > 0
                claim_round.free[kind] -= begun
                claimed = claimed._replace(noted=True, begun=begun)  # noqa: PLW2901
            claim_round.batch.append(claimed)

    def _choose(self, claim_round: _Round) -> list[Claimed]:
        """Return the batch; or a poison candidate alone, or nothing until all attempts have ended for it."""
        if not claim_round.poison_candidates:
            return claim_round.batch
        poison_candidate = min(claim_round.poison_candidates, key=lambda claimed: claimed.due_at)
        now, next_turn = claim_round.now, self._next_poison_turn
        in_turn = now >= next_turn or next_turn > now + _MAX_PAUSE_US  # the clock may have gone backwards
        if not self.running and (in_turn or not claim_round.batch):
            return [poison_candidate._replace(noted=True, begun=True)]
        if in_turn and poison_candidate.due_at < now - _POISON_WAITS_US:
            self._holds_back = True  # until an attempt has ended
            self._poison_type = poison_candidate.event.event_type
            return []
        return claim_round.batch

    @property
    def _is_busy(self) -> bool:
        """Whether nothing may be claimed at the moment."""
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
