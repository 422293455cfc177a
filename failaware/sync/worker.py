"""The worker: claims due events under a lease, runs their handlers, appends what happened.

Handlers run on the pool's threads, outside any transaction; the thread that called `run` is the one that writes.
"""

import itertools
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType

from failaware.engine import Watch, Writer
from failaware.errors import HandlerError, TransactionEnded, UsageError
from failaware.facts import append, claim
from failaware.facts.seal import seal_what_is_due
from failaware.model import Claimed, NewAttempt
from failaware.store import Store, this_worker
from failaware.sync.attempt import Tried, from_handler, must_have_run, redecided, to_fact
from failaware.sync.handlers import Handler, Handlers
from failaware.sync.lost import lost_attempt
from failaware.sync.pool import Pool
from failaware.sync.transaction import Transaction

_numbers = itertools.count(1)
_FLUSH_S = 0.03  # results wait at most this long for others to share their transaction
_LOOK_S = 0.1  # how often an idle worker looks whether it is to stop, or was not told of something
_PAUSE_S, _PAUSES = 0.001, 50  # how it looks once it was told: the log is written to before its commit can be seen
_FIRST_BATCH = 50  # events, before it is known how quick the handlers are
BATCH = 200
"""The default limit of a batch: what a worker that dies takes with it."""
_LOOK_FOR_SEALS_US = 1_000_000  # how often an idle worker looks whether facts are to be sealed


class Worker:
    """Applies due events through their handlers until it is stopped.

    Args:
        store: where the events are; several workers, in any number of processes, may share one.
        handlers: which function applies which events; types without a handler stay PENDING.
        concurrency: how many handlers run at once (threads; async handlers share one event loop).
        batch: how many events are claimed, and how many results are committed, in one transaction, at most: it begins
            with 50, and grows while handlers are quick.
        lease: seconds after which a worker that no longer renews its leases counts as lost.

    Raises:
        UsageError: a number is out of range.
        HandlerError: there is no handler.
    """

    def __init__(
        self, store: Store, handlers: Handlers, *, concurrency: int = 1, batch: int = BATCH, lease: float = 60.0
    ) -> None:
        for name, value in (("concurrency", concurrency), ("batch", batch), ("lease", lease)):
            if value <= 0:
                raise UsageError(f"{name} is more than 0, not {value}")
        if not len(handlers):
            raise HandlerError("there is no handler; add one with @handlers.on('some.type')")
        self._number = next(_numbers)
        self.name = self._name()
        self._store = store
        self._handlers = handlers
        self._concurrency = concurrency
        self._batch = batch
        self._size = min(batch, _FIRST_BATCH)
        self._lease_us = int(lease * 1_000_000)
        self._stopping = threading.Event()
        self._in_hand: dict[int, Claimed] = {}
        self._alone = False
        self._holding_back = False
        self._more = False
        self._turn = 0
        self._renew_at = 0
        self._seal_at = 0

    def run(self, *, until_idle: bool = False, patience: float = 1.0) -> None:
        """Work until `stop` is called, or SIGINT or SIGTERM arrives; what is in hand is finished and recorded first.

        Args:
            until_idle: also return once nothing is in hand and nothing falls due soon.
            patience: how soon that is, in seconds; 0 returns as soon as nothing is due.
        """
        self.name = self._name()  # anew: the process may be a fork of the one that made this worker
        self._in_hand.clear()  # a run that an error ended may have left something
        self._alone = self._holding_back = self._more = False
        with self._signals(), closing(self._store.read(lambda db: db.watch())) as watch:
            pool = Pool(self._concurrency, self._store.clock)
            try:
                while not self._stopping.is_set():
                    self._start(self._turn_over(self._gather(pool)), pool)
                    if not self._in_hand and not self._wait_for_work(watch, patience if until_idle else None):
                        break
                pool.stop()
                while self._in_hand:
                    self._record(self._gather(pool))
            finally:
                pool.stop()
                self._stopping.clear()  # not at the beginning: a stop may come before the thread that runs gets there
                self._store.write(lambda db: claim.release(db, self.name))
            pool.join()

    def stop(self) -> None:
        """Finish what is in hand, record it, give back the rest, and return from `run`. From any thread.

        Where `run` has not begun yet, it returns as soon as it does.
        """
        self._stopping.set()

    def _name(self) -> str:
        return this_worker() + (f"#{self._number}" if self._number > 1 else "")

    def _gather(self, pool: Pool) -> list[Tried]:
        """What has come out of the handlers: up to a batch, waiting a moment for others to share its transaction.

        Where more may be due, it does not wait for the last ones: while they run, the next batch is claimed.
        """
        tried: list[Tried] = []
        if not self._in_hand:
            return tried
        began, left = time.monotonic(), self._concurrency if self._more else 0
        wanted = max(1, min(self._size, len(self._in_hand) - left))
        for result in pool.gather(wanted, _FLUSH_S):
            if isinstance(result, Tried):
                tried.append(result)
                del self._in_hand[result.claimed.event.event_id]
            else:
                del self._in_hand[result.event.event_id]  # given back untried: the pool is stopping
        self._pace(time.monotonic() - began, len(tried))
        return tried

    def _pace(self, took: float, results: int) -> None:
        """Large batches for quick handlers, so that a commit is shared by many; small ones for slow handlers.

        The last few of a batch say nothing: they may have been running for long.
        """
        if took >= _FLUSH_S:
            self._size = min(self._batch, _FIRST_BATCH)
        elif took < _FLUSH_S / 2 and 2 * results > self._size:
            self._size = min(self._batch, 2 * self._size)

    def _turn_over(self, tried: list[Tried]) -> list[Claimed]:
        """Append what happened and claim what is next, in one transaction."""
        now = self._store.clock()
        self._renew(now)
        if tried:
            self._holding_back = False
        room = not self._alone and not self._holding_back and len(self._in_hand) <= self._concurrency
        if not tried and not (room and self._is_due(now)):
            return []
        facts, limit = self._facts(tried), self._size

        def job(db: Writer) -> list[Claimed] | None:
            self._append(db, tried, facts)
            return self._take(db, now, limit) if room else []

        claimed = self._store.write(job)
        self._holding_back = claimed is None  # until something comes out of the handlers
        if room:
            self._more = claimed is not None and len(claimed) >= limit
        return claimed or []

    def _record(self, tried: list[Tried]) -> None:
        facts = self._facts(tried)
        self._renew(self._store.clock())
        if facts:
            self._store.write(lambda db: self._append(db, tried, facts))

    def _facts(self, tried: list[Tried]) -> list[NewAttempt]:
        masker = self._store.recorder.masker
        return [to_fact(result, worker=self.name, masker=masker) for result in tried]

    def _append(self, db: Writer, tried: list[Tried], facts: list[NewAttempt]) -> None:
        """Append the attempts with the waits that follow from what is on record by now.

        Since the claim an event may have been requeued, or have been given another attempt.
        """
        tries = claim.tries(db, [result.claimed.event.event_id for result in tried if result.error is not None])
        in_budget = [
            fact
            if tries.get(fact.event_id, result.claimed.tries) == result.claimed.tries
            else redecided(fact, result, tries[fact.event_id])
            for result, fact in zip(tried, facts, strict=True)
        ]
        append.attempts(db, in_budget, self._store.policy)

    def _start(self, batch: list[Claimed], pool: Pool) -> None:
        self._in_hand.update((claimed.event.event_id, claimed) for claimed in batch)
        self._alone = any(claimed.suspect for claimed in batch) or (self._alone and bool(self._in_hand))
        handlers = {event_type: self._handler(event_type) for event_type in {c.event.event_type for c in batch}}
        for claimed in batch:
            handler = handlers[claimed.event.event_type]
            if not handler.transactional:
                pool.submit(claimed, handler)
            elif self._stopping.is_set():
                del self._in_hand[claimed.event.event_id]  # not begun: given back with the leases
            else:
                self._renew(self._store.clock())
                self._try_in_transaction(claimed, handler)

    def _try_in_transaction(self, claimed: Claimed, handler: Handler) -> None:
        """Exactly once: what the handler writes and the attempt that says so are committed together, or neither is."""
        tried: list[Tried] = []

        def job(db: Writer) -> None:
            tried.clear()  # of a run before this one, which a server that went away has undone
            if not claim.held(db, claimed.event.event_id, self.name):
                return  # we were taken for lost, and someone else has it
            started_at = self._store.clock()
            error, place = None, None
            try:
                with db.savepoint():
                    try:
                        must_have_run(handler.function(claimed.event, Transaction(db)))
                    except BaseException as raised:  # even SystemExit in a handler is that event's failure
                        error, place = raised, raised.__traceback__
                        raise
            except BaseException as raised:  # noqa: BLE001 - to keep what it wrote, or to take it back, may go wrong, too
                error = from_handler(raised if error is None else error.with_traceback(place))
            ended_at = max(started_at, self._store.clock())  # the clock may have gone backwards
            tried.append(Tried(claimed, handler, error, started_at, ended_at))
            self._append(db, tried, self._facts(tried))

        try:
            self._store.write(job, alone=True)
        except TransactionEnded:  # while the handler was at it: that is its failure, and needs a transaction to be told
            if not any(result.error for result in tried):
                raise
            self._record(tried)
        del self._in_hand[claimed.event.event_id]

    def _take(self, db: Writer, now: int, limit: int) -> list[Claimed] | None:
        self._bury_lost(db, now)
        types = claim.waiting_types(db, self._handlers.handles)
        self._turn += 1  # no type waits behind another's flood
        turn = self._turn % len(types) if types else 0
        return claim.take(
            db,
            types[turn:] + types[:turn],
            worker=self.name,
            now=now,
            until=now + self._lease_us,
            limit=limit,
            alone=not self._in_hand,
        )

    def _bury_lost(self, db: Writer, now: int) -> None:
        """Record the death of workers whose leases ran out, as attempts that count."""
        attempts = [
            lost_attempt(lease, self._handler(lease.event_type).retry, now=now, lease_us=self._lease_us)
            for lease in claim.lost(db, self._handlers.handles, now)
        ]
        append.attempts(db, attempts, self._store.policy)

    def _handler(self, event_type: str) -> Handler:
        handler = self._handlers.find(event_type)
        assert handler is not None, "only types with a handler are claimed"
        return handler

    def _renew(self, now: int) -> None:
        """Keep the leases while handlers run."""
        if self._in_hand and now >= self._renew_at:
            self._store.write(lambda db: claim.renew(db, self.name, now + self._lease_us))
        if now >= self._renew_at or self._renew_at > now + self._lease_us:  # the clock may have gone backwards
            self._renew_at = now + self._lease_us // 3

    def _is_due(self, now: int) -> bool:
        due = self._store.read(lambda db: claim.next_due(db, self._handlers.handles))
        return due is not None and due <= now

    def _wait_for_work(self, watch: Watch, patience: float | None) -> bool:
        """Sleep until something falls due or is recorded; False when that lies beyond the patience, if any."""
        self._seal()
        token = self._store.change_token()
        due = self._store.read(lambda db: claim.next_due(db, self._handlers.handles))
        now = self._store.clock()
        if patience is not None and (due is None or due > now + int(patience * 1_000_000)):
            return False
        pauses = 0
        while not self._stopping.is_set():
            wait = _LOOK_S if due is None else min(_LOOK_S, (due - self._store.clock()) / 1_000_000)
            if wait <= 0:
                return True
            if pauses:
                time.sleep(min(wait, _PAUSE_S))
                pauses -= 1
            elif watch.wait(wait):
                pauses = _PAUSES
                continue
            if self._store.change_token() != token:
                return True
        return True

    def _seal(self) -> None:
        """Seal facts while there is nothing else to do."""
        now = self._store.clock()
        if now >= self._seal_at or self._seal_at > now + _LOOK_FOR_SEALS_US:  # the clock may have gone backwards
            self._seal_at = now + _LOOK_FOR_SEALS_US
            seal_what_is_due(self._store, now)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first SIGINT or SIGTERM stops gracefully; a second one does what it did before."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, action in before.items():
                signal.signal(number, action)

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self._stopping.set()
            restore()

        for number in before:
            signal.signal(number, on_signal)
        try:
            yield
        finally:
            restore()
