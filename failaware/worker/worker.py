"""The worker: claims due events under a lease, runs their handlers, appends what happened.

Handlers run on the pool's threads, outside any transaction; the thread that called `run` is the one that writes.
"""

import time
from contextlib import closing, nullcontext
from secrets import token_hex

from failaware.engine import Watch, Writer
from failaware.errors import HandlerError, TransactionEnded
from failaware.facts import append, claim
from failaware.facts.claim import Claimed
from failaware.identity import this_process
from failaware.ledger.sealing import seal_what_is_due
from failaware.model import NewAttempt
from failaware.store import Store
from failaware.worker.attempt import Attempt, Tried, failed, from_handler, redecided, to_fact
from failaware.worker.checks import real, whole
from failaware.worker.dispatch import Dispatch
from failaware.worker.handlers import Handler, Handlers
from failaware.worker.outcome import check_has_run
from failaware.worker.pace import FLUSH_S
from failaware.worker.pool import Pool
from failaware.worker.stopping import Stop, stopped_by_signals
from failaware.worker.transaction import Transaction
from failaware.worker.unfinished import lost_attempt, stopped_attempt

_LOOK_S = 0.1  # how often an idle worker looks whether it is to stop, or was not told of something
_PAUSE_S, _PAUSES = 0.001, 50  # how it looks once it was told: the log is written to before its commit can be seen
BATCH = 200
"""The default limit of a batch."""
GRACE_S = 5.0
"""How long handlers have after SIGTERM, by default."""
_MOST, _LONGEST_S = 10_000, 1e9  # handlers at once, or events in a batch; a lease, a grace or a patience
_LOOK_FOR_SEALS_US = 1_000_000  # how often an idle worker looks whether facts are to be sealed


class Worker:
    """Applies due events through their handlers until it is stopped.

    Args:
        store: where the events are; several workers, in any number of processes, may share one.
        handlers: which function applies which events; types without a handler stay PENDING.
        concurrency: how many plain handlers run at once (threads), and how many async ones (on one event loop).
        batch: how many events are claimed, and how many results are committed, in one transaction, at most. Events are
            claimed as handlers become free; more of them at once only while handlers are quick.
        lease: seconds after which a worker that no longer renews its leases counts as lost.
        grace: seconds that handlers have to end after SIGTERM. What still runs then is left, as a failed attempt.

    Raises:
        UsageError: a number is out of range.
        HandlerError: there is no handler.
    """

    def __init__(
        self,
        store: Store,
        handlers: Handlers,
        *,
        concurrency: int = 1,
        batch: int = BATCH,
        lease: float = 60.0,
        grace: float = GRACE_S,
    ) -> None:
        self._concurrency = whole("concurrency", concurrency, least=1, most=_MOST)
        self._batch = whole("batch", batch, least=1, most=_MOST)
        self._lease_us = int(real("lease", lease, least=0.001, most=_LONGEST_S) * 1_000_000)
        self._grace_s = real("grace", grace, least=0, most=_LONGEST_S)
        if not len(handlers):
            raise HandlerError("there is no handler; add one with @handlers.on('some.type')")
        self.name = _unique_name()
        self._name_is_used = False
        self.has_left_handlers = False
        """Whether the last run was told to end while handlers ran that did not: their threads still run."""
        self._session = store.session
        self._handlers = handlers
        self._stop = Stop()
        self._dispatch = Dispatch(handlers, self._concurrency, self._batch)
        self._inline = False
        self._renew_at = 0
        self._seal_at = 0

    def run(self, *, until_idle: bool = False, patience: float = 1.0, handle_signals: bool = True) -> None:
        """Work until `stop` is called, or SIGINT or SIGTERM arrives; what runs then is finished and recorded first.

        After SIGTERM, handlers have `grace` seconds to finish.

        Args:
            until_idle: also return once nothing is in hand and nothing falls due soon.
            patience: how soon that is, in seconds; 0 returns as soon as nothing is due.
            handle_signals: whether SIGINT and SIGTERM stop it, if this is the main thread; False leaves them to you.

        Raises:
            UsageError: patience is negative or no finite number, or so many handlers cannot run at once here.
            StoreError: the store cannot be used any longer.
        """
        patience_s = real("patience", patience, least=0, most=_LONGEST_S)
        if self._name_is_used or not self.name.startswith(f"{this_process()}#"):  # the process may be a fork
            self.name = _unique_name()  # of this run alone: what it releases and renews must be its own
        self._name_is_used = True
        self._dispatch.reset()
        self.has_left_handlers = False
        signals = stopped_by_signals(self._stop, self._grace_s) if handle_signals else nullcontext()
        with signals, closing(self._session.read(lambda db: db.watch())) as watch:
            pool = Pool(self._concurrency, self._session.clock, self._session.recorder.masker)
            try:
                while not self._stop.is_set():
                    self._start(self._turn_over(self._gather(pool)), pool)
                    if not self._in_hand and not self._wait_for_work(watch, patience_s if until_idle else None):
                        break
                self._finish(pool)
            finally:
                pool.stop()
                self._stop.clear()  # not at the beginning: a stop may come before the thread that runs gets there
                self._session.write(lambda db: claim.release(db, self.name))
            if not self.has_left_handlers:
                pool.join()

    def stop(self) -> None:
        """Finish what runs, record it, give back the rest, and return from `run`. From any thread.

        Where `run` has not begun yet, it returns as soon as it does.
        """
        self._stop.set()

    @property
    def _in_hand(self) -> dict[int, Claimed]:
        return self._dispatch.in_hand

    def _finish(self, pool: Pool) -> None:
        """Record what still runs; what has not ended when the time is up is left, as a failed attempt."""
        pool.stop()
        self._dispatch.drop_waiting()
        while self._in_hand and not self._stop.is_overdue:
            self._record(self._gather(pool))
        if not self._in_hand:
            return
        self._record(self._gather(pool, at_once=True))
        now, why = self._session.clock(), f"SIGTERM came, and the handler had not ended {self._grace_s:g} s later"
        left = [
            stopped_attempt(
                event_id,
                claimed.tries,
                self._dispatch.handler(claimed.event.event_type).retry,
                worker=self.name,
                began=self._dispatch.claimed_at(event_id),
                now=now,
                why=why,
            )
            for event_id, claimed in self._in_hand.items()
        ]
        self._session.write(lambda db: append.attempts(db, left, self._session.policy))
        self.has_left_handlers = bool(left)

    def _gather(self, pool: Pool, *, at_once: bool = False) -> list[Tried]:
        """What has come out of the handlers: up to a batch, waiting a moment for others to share its transaction."""
        tried: list[Tried] = []
        if not self._in_hand:
            return tried
        until = time.monotonic() + FLUSH_S
        while True:
            self._begin_waiting(pool)
            results = pool.gather(self._dispatch.wanted(), 0 if at_once or self._inline else FLUSH_S)
            tried += self._ended(results)
            if not (results and self._dispatch.waiting) or len(tried) >= self._batch or time.monotonic() >= until:
                break
        if not results and not self._inline and not self._stop.is_set():
            self._slow_down(pool)
        return tried

    def _begin_waiting(self, pool: Pool) -> None:
        """Note which attempts begin now, and begin them."""
        if started := self._dispatch.next_waiting():
            event_ids = [claimed.event.event_id for claimed in started]
            self._session.write(lambda db: claim.begin(db, event_ids, self.name))
            self._give_to_handlers(started, pool)

    def _ended(self, results: list[Tried | Claimed]) -> list[Tried]:
        """Take note of what is no longer in hand; returns the attempts."""
        tried = [result for result in results if isinstance(result, Tried)]
        for result in results:
            claimed = result.claimed if isinstance(result, Tried) else result  # given back: the pool is stopping
            self._dispatch.remove(claimed.event.event_id)
        self._dispatch.learn(tried)
        return tried

    def _slow_down(self, pool: Pool) -> None:
        """Handlers that were quick are so no longer: note what runs, and give back what waits for them."""
        if all(claimed.begun for claimed in self._in_hand.values()):
            return
        recalled = pool.recall()
        running = self._dispatch.slow_down(recalled)
        back = [claimed.event.event_id for claimed in (*recalled, *self._dispatch.drop_waiting())]

        def job(db: Writer) -> None:
            claim.end(db, back, self.name)
            claim.begin(db, running, self.name)

        self._session.write(job)

    def _turn_over(self, tried: list[Tried]) -> list[Claimed]:
        """Append what happened and claim what is next, in one transaction."""
        now = self._session.clock()
        self._renew(now)
        if not tried and not self._is_due(now):
            return []
        facts = self._facts(tried)

        def job(db: Writer) -> list[Claimed]:
            self._append(db, tried, facts)
            self._record_lost(db, now)
            return self._dispatch.claim(db, worker=self.name, now=now, until=now + self._lease_us)

        return self._session.write(job)

    def _record(self, tried: list[Tried]) -> None:
        facts = self._facts(tried)
        self._renew(self._session.clock())
        if facts:
            self._session.write(lambda db: self._append(db, tried, facts))

    def _facts(self, tried: list[Tried]) -> list[NewAttempt]:
        return [to_fact(result, worker=self.name) for result in tried]

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
        append.attempts(db, in_budget, self._session.policy)

    def _start(self, batch: list[Claimed], pool: Pool) -> None:
        self._inline = False
        if batch:
            self._give_to_handlers(self._dispatch.add(batch, self._session.clock()), pool)

    def _give_to_handlers(self, started: list[Claimed], pool: Pool) -> None:
        for claimed in started:
            handler = self._dispatch.handler(claimed.event.event_type)
            if not handler.transactional:
                pool.submit(claimed, handler)
            elif self._stop.is_set():
                self._dispatch.remove(claimed.event.event_id)  # not begun: given back with the leases
            else:
                self._inline = True
                self._renew(self._session.clock())
                self._try_in_transaction(claimed, handler)

    def _try_in_transaction(self, claimed: Claimed, handler: Handler) -> None:
        """Exactly once: what the handler writes and the attempt that says so are committed together, or neither is.

        Whatever goes wrong once the handler was called is a failed attempt, recorded in a transaction of its own: the
        server found the handler's idle for too long, a statement of the handler ended it, or it cannot be committed.
        """
        tried: list[Tried] = []

        def job(db: Writer) -> None:
            tried.clear()  # of a run before this one, which a server that went away has undone
            if claim.held(db, claimed.event.event_id, self.name):  # else we were taken for lost, and another has it
                self._call_in_transaction(db, claimed, handler, tried)
                self._append(db, tried, self._facts(tried))

        try:
            self._session.write(job, alone=True)
        except Exception as error:
            if not tried:
                raise
            if tried[0].error is None:
                tried[0] = failed(claimed, handler, error)
            try:
                self._record(tried)
            except Exception:  # noqa: BLE001 - the one that came first says what is wrong
                raise error from None  # the store cannot be used at all
        self._dispatch.learn(tried)
        self._dispatch.remove(claimed.event.event_id)

    def _call_in_transaction(self, db: Writer, claimed: Claimed, handler: Handler, tried: list[Tried]) -> None:
        """Call the handler, and put what came of it into `tried`.

        Raises:
            TransactionEnded: the transaction has ended meanwhile, so that nothing more must be written in it.
        """
        attempt = Attempt(claimed, handler, self._session.clock, self._session.recorder.masker)
        error: BaseException | None = None
        try:
            with db.savepoint():
                try:
                    check_has_run(handler.function(claimed.event, Transaction(db)))
                except BaseException as raised:  # even SystemExit in a handler is that event's failure
                    error = from_handler(raised)
                    tried.append(attempt.ended(error))
                    raise
        except TransactionEnded as ended:
            if error is None:
                tried.append(attempt.ended(ended))
            raise
        except BaseException as raised:  # noqa: BLE001 - to keep what it wrote, or to take it back, may go wrong, too
            if error is None:
                tried.append(attempt.ended(from_handler(raised)))
        else:
            tried.append(attempt.ended(None))

    def _record_lost(self, db: Writer, now: int) -> None:
        """Record the death of workers whose leases ran out, as attempts that count."""
        attempts = [
            lost_attempt(lease, self._dispatch.handler(lease.event_type).retry, now=now, lease_us=self._lease_us)
            for lease in claim.lost(db, self._handlers.handles, now)
        ]
        append.attempts(db, attempts, self._session.policy)

    def _renew(self, now: int) -> None:
        """Keep the leases while handlers run."""
        if self._in_hand and now >= self._renew_at:
            self._session.write(lambda db: claim.renew(db, self.name, now + self._lease_us))
        if now >= self._renew_at or self._renew_at > now + self._lease_us:  # the clock may have gone backwards
            self._renew_at = now + self._lease_us // 3

    def _is_due(self, now: int) -> bool:
        """Whether something is due that could begin."""
        due = self._session.read(lambda db: claim.next_due(db, self._dispatch.has_room))
        return due is not None and due <= now

    def _wait_for_work(self, watch: Watch, patience: float | None) -> bool:
        """Sleep until something falls due or is recorded; False when that lies beyond the patience, if any."""
        self._seal()
        token = self._session.change_token()
        due = self._session.read(lambda db: claim.next_due(db, self._handlers.handles))
        now = self._session.clock()
        if patience is not None and (due is None or due > now + int(patience * 1_000_000)):
            return False
        pauses = 0
        while not self._stop.is_set():
            wait = _LOOK_S if due is None else min(_LOOK_S, (due - self._session.clock()) / 1_000_000)
            if wait <= 0:
                return True
            if pauses:
                time.sleep(min(wait, _PAUSE_S))
                pauses -= 1
            elif watch.wait(wait):
                pauses = _PAUSES
                continue
            if self._session.change_token() != token:
                return True
        return True

    def _seal(self) -> None:
        """Seal facts while there is nothing else to do."""
        now = self._session.clock()
        if now >= self._seal_at or self._seal_at > now + _LOOK_FOR_SEALS_US:  # the clock may have gone backwards
            self._seal_at = now + _LOOK_FOR_SEALS_US
            seal_what_is_due(self._session, now)


def _unique_name() -> str:
    """This run, as host:pid#random: in containers a host and a pid come again, after a restart and in each replica."""
    return f"{this_process()}#{token_hex(4)}"
