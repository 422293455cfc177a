"""The worker: claims due events under a lease, runs their handlers, appends the attempts.

Handlers run on the pool's threads, outside any transaction; the thread that called `run` writes to the store. For
example, two handlers that take 50 ms each, and four events that are due:

    transaction 1                 claim events 1 and 2, which begin
    transaction 2, 1 has ended    append its attempt; claim 3, which begins, and 4, as a handler ends soon (pace.py)
    transaction 3, 2 has ended    append its attempt; mark the lease of 4 as begun, which then begins
    transaction 4, 3 has ended    append its attempt; nothing else is due

Leases are renewed by the same thread, between transactions.
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
from failaware.worker.attempt import Attempt, HandlerResult, failed, from_handler, redecided, to_fact
from failaware.worker.checks import real, whole
from failaware.worker.dispatch import Dispatch
from failaware.worker.handlers import Handler, Handlers
from failaware.worker.outcome import check_has_run
from failaware.worker.pace import FLUSH_S
from failaware.worker.pool import Pool
from failaware.worker.stopping import Stop, stopped_by_signals
from failaware.worker.transaction import Transaction
from failaware.worker.unfinished import lost_attempt, stopped_attempt

_POLL_S = 0.1  # how often an idle worker checks whether it has to stop, or missed a notification
_PAUSE_S, _PAUSES = 0.001, 50  # polling after a notification: it comes before the commit is visible
BATCH = 500
"""The default limit of a batch."""
GRACE_S = 3.0
"""The default time of handlers after SIGTERM, in seconds."""
_MOST, _LONGEST_S = 10_000, 1e9  # limits: of handlers at once and events in a batch; of lease, grace and patience
_SEAL_CHECK_US = 1_000_000  # how often an idle worker checks whether facts have to be sealed


class _NotRepeatable(Exception):
    """A handler's transaction was ended: no StoreError, after which the job and so the handler would run again."""


class Worker:
    """Attempts due events with their handlers until it is stopped.

    Args:
        store: the store with the events; several workers, in any number of processes, may share one.
        handlers: which function attempts which events; events of other types stay PENDING.
        concurrency: how many plain handlers run at once (on threads), and how many async ones (on one event loop).
        batch: the most events claimed, and the most attempts committed, in one transaction. Events are claimed as
            handlers become free; more of them at once only while handlers are quick.
        lease: seconds after which a worker that no longer renews its leases counts as lost.
        grace: seconds that handlers have to end after SIGTERM. Attempts that still run then are recorded as failed.

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
        """Whether the last run ended while handlers were still running, after SIGTERM: their threads still run."""
        self._session = store.session
        self._handlers = handlers
        self._stop = Stop()
        self._dispatch = Dispatch(handlers, self._concurrency, self._batch)
        self._inline = False
        self._renew_at = 0
        self._seal_at = 0

    def run(self, *, until_idle: bool = False, patience: float = 1.0, handle_signals: bool = True) -> None:
        """Work until `stop` is called, or SIGINT or SIGTERM arrives; running attempts are finished and recorded first.

        After SIGTERM, handlers have `grace` seconds to finish.

        Args:
            until_idle: also return when nothing runs and nothing is due within `patience`.
            patience: seconds; 0 returns as soon as nothing is due.
            handle_signals: whether SIGINT and SIGTERM stop the worker, in the main thread; with False they are not
                handled.

        Raises:
            UsageError: patience is negative or not a finite number, or that many threads cannot be started.
            StoreError: the store can no longer be used.
        """
        patience_s = real("patience", patience, least=0, most=_LONGEST_S)
        if self._name_is_used or not self.name.startswith(f"{this_process()}#"):  # the process may be a fork
            self.name = _unique_name()  # for this run alone: it must release and renew only its own leases
        self._name_is_used = True
        self._dispatch.reset()
        self.has_left_handlers = False
        signals = stopped_by_signals(self._stop, self._grace_s) if handle_signals else nullcontext()
        with signals, closing(self._session.read(lambda db: db.watch())) as watch:
            pool = Pool(self._concurrency, self._session.clock, self._session.recorder.masker)
            try:
                while not self._stop.is_set():
                    self._start(self._turn_over(self._gather(pool)), pool)
                    if not self._running and not self._wait_for_work(watch, patience_s if until_idle else None):
                        break
                self._finish(pool)
            finally:
                pool.stop()
                self._stop.clear()  # not at the start: `stop` may be called before `run` gets here
                self._session.write(lambda db: claim.release(db, self.name))
            if not self.has_left_handlers:
                pool.join()

    def stop(self) -> None:
        """Make `run` finish and record the running attempts, release other claimed events, and return.

        May be called from any thread. If `run` has not begun yet, it returns immediately when it does.
        """
        self._stop.set()

    @property
    def _running(self) -> dict[int, Claimed]:
        return self._dispatch.running

    def _finish(self, pool: Pool) -> None:
        """Record the attempts that still run; those that do not end in time are recorded as failed."""
        pool.stop()
        self._dispatch.drop_waiting()
        while self._running and not self._stop.is_overdue:
            self._record(self._gather(pool))
        if not self._running:
            return
        self._record(self._gather(pool, at_once=True))
        now, why = self._session.clock(), f"SIGTERM arrived, and the handler had not ended {self._grace_s:g} s later"
        left = [
            stopped_attempt(
                event_id,
                claimed.attempts,
                self._dispatch.handler(claimed.event.event_type).retry,
                worker=self.name,
                began=self._dispatch.claimed_at(event_id),
                now=now,
                why=why,
            )
            for event_id, claimed in self._running.items()
        ]
        self._session.write(lambda db: append.attempts(db, left, self._session.policy))
        self.has_left_handlers = bool(left)

    def _gather(self, pool: Pool, *, at_once: bool = False) -> list[HandlerResult]:
        """Return results of handlers, at most a batch; wait shortly for more to share their transaction."""
        finished: list[HandlerResult] = []
        if not self._running:
            return finished
        until = time.monotonic() + FLUSH_S
        while True:
            finished = self._begin_waiting(pool, finished)
            results = pool.gather(self._dispatch.wanted(), 0 if at_once or self._inline else FLUSH_S)
            finished += self._ended(results)
            if not (results and self._dispatch.waiting) or len(finished) >= self._batch or time.monotonic() >= until:
                break
        if not results and not self._inline and not self._stop.is_set():
            self._slow_down(pool)
        return finished

    def _begin_waiting(self, pool: Pool, finished: list[HandlerResult]) -> list[HandlerResult]:
        """Write which attempts begin now, and begin them; return the results that are still to be recorded.

        The results are recorded first: an attempt that has ended is not lost if the next one kills the process.
        """
        if not (started := self._dispatch.next_waiting()):
            return finished
        event_ids = [claimed.event.event_id for claimed in started]
        facts = self._facts(finished)

        def job(db: Writer) -> None:
            self._append(db, finished, facts)
            claim.begin(db, event_ids, self.name)

        self._session.write(job)
        self._give_to_handlers(started, pool)
        return []

    def _ended(self, results: list[HandlerResult | Claimed]) -> list[HandlerResult]:
        """Remove events that no longer run; return their attempts."""
        finished = [result for result in results if isinstance(result, HandlerResult)]
        for result in results:
            claimed = result.claimed if isinstance(result, HandlerResult) else result  # not begun: the pool is stopping
            self._dispatch.remove(claimed.event.event_id)
        self._dispatch.learn(finished)
        return finished

    def _slow_down(self, pool: Pool) -> None:
        """If handlers are no longer quick, write which attempts run, and release the events queued for them."""
        if all(claimed.begun for claimed in self._running.values()):
            return
        recalled = pool.recall()
        running = self._dispatch.slow_down(recalled)
        back = [claimed.event.event_id for claimed in (*recalled, *self._dispatch.drop_waiting())]

        def job(db: Writer) -> None:
            claim.end(db, back, self.name)
            claim.begin(db, running, self.name)

        self._session.write(job)

    def _turn_over(self, finished: list[HandlerResult]) -> list[Claimed]:
        """Append attempts and claim the next events, in one transaction."""
        now = self._session.clock()
        self._renew(now)
        if not finished and not self._is_due(now):
            return []
        facts = self._facts(finished)

        def job(db: Writer) -> list[Claimed]:
            self._append(db, finished, facts)
            self._record_expired_leases(db, now)
            return self._dispatch.claim(db, worker=self.name, now=now, until=now + self._lease_us)

        return self._session.write(job)

    def _record(self, finished: list[HandlerResult]) -> None:
        facts = self._facts(finished)
        self._renew(self._session.clock())
        if facts:
            self._session.write(lambda db: self._append(db, finished, facts))

    def _facts(self, finished: list[HandlerResult]) -> list[NewAttempt]:
        return [to_fact(result, worker=self.name) for result in finished]

    def _append(self, db: Writer, finished: list[HandlerResult], facts: list[NewAttempt]) -> None:
        """Append the attempts, each with the retry delay for its event's present number of attempts.

        Since the claim, an event may have been requeued, or another attempt may have been recorded.
        """
        made = claim.attempts_made(
            db, [result.claimed.event.event_id for result in finished if result.error is not None]
        )
        in_budget = [
            fact
            if made.get(fact.event_id, result.claimed.attempts) == result.claimed.attempts
            else redecided(fact, result, made[fact.event_id])
            for result, fact in zip(finished, facts, strict=True)
        ]
        append.attempts(db, in_budget, self._session.policy)

    def _start(self, batch: list[Claimed], pool: Pool) -> None:
        self._inline = False
        if batch:
            self._give_to_handlers(self._dispatch.add(batch, self._session.clock()), pool)

    def _give_to_handlers(self, started: list[Claimed], pool: Pool) -> None:
        jobs = [(claimed, self._dispatch.handler(claimed.event.event_type)) for claimed in started]
        pool.submit([job for job in jobs if not job[1].transactional])
        for claimed, handler in jobs:
            if not handler.transactional:
                continue
            if self._stop.is_set():
                self._dispatch.remove(claimed.event.event_id)  # not begun: released with the leases
            else:
                self._inline = True
                self._renew(self._session.clock())
                self._attempt_in_transaction(claimed, handler)

    def _attempt_in_transaction(self, claimed: Claimed, handler: Handler) -> None:
        """Commit what the handler writes together with its attempt, exactly once, or neither.

        An error after the handler was called is a failed attempt, recorded in its own transaction: the server ended the
        idle transaction, a statement of the handler ended it, or it cannot be committed.
        """
        finished: list[HandlerResult] = []

        def job(db: Writer) -> None:
            finished.clear()  # of an earlier run of this job, rolled back when the connection was lost
            if claim.held(db, claimed.event.event_id, self.name):  # else our lease expired, and another worker has it
                self._call_in_transaction(db, claimed, handler, finished)
                self._append(db, finished, self._facts(finished))

        try:
            self._session.write(job, alone=True)
        except Exception as error:
            if not finished:
                raise
            if finished[0].error is None:
                finished[0] = failed(claimed, handler, error)
            try:
                self._record(finished)
            except Exception:  # noqa: BLE001 - the store cannot be used at all: the first error says why
                raise (error.__cause__ if isinstance(error, _NotRepeatable) and error.__cause__ else error) from None
        self._dispatch.learn(finished)
        self._dispatch.remove(claimed.event.event_id)

    def _call_in_transaction(
        self, db: Writer, claimed: Claimed, handler: Handler, finished: list[HandlerResult]
    ) -> None:
        """Call the handler, and add its result to `finished`.

        Raises:
            _NotRepeatable: the transaction was ended meanwhile; nothing more must be written in it.
        """
        attempt = Attempt(claimed, handler, self._session.clock, self._session.recorder.masker)
        error: BaseException | None = None
        try:
            with db.savepoint():
                try:
                    check_has_run(handler.function(claimed.event, Transaction(db)))
                except BaseException as raised:  # even a handler's SystemExit is a failure of its event
                    error = from_handler(raised)
                    finished.append(attempt.ended(error))
                    raise
        except TransactionEnded as ended:
            if error is None:
                finished.append(attempt.ended(ended))
            raise _NotRepeatable from ended
        except BaseException as raised:  # noqa: BLE001 - releasing the savepoint, or rolling back to it, may fail too
            if error is None:
                finished.append(attempt.ended(from_handler(raised)))
        else:
            finished.append(attempt.ended(None))

    def _record_expired_leases(self, db: Writer, now: int) -> None:
        """Record a failed attempt for each expired lease of a lost worker."""
        attempts = [
            lost_attempt(lease, self._dispatch.handler(lease.event_type).retry, now=now, lease_us=self._lease_us)
            for lease in claim.lost(db, self._handlers.handles, now)
        ]
        append.attempts(db, attempts, self._session.policy)

    def _renew(self, now: int) -> None:
        """Renew the leases while handlers run."""
        if self._running and now >= self._renew_at:
            self._session.write(lambda db: claim.renew(db, self.name, now + self._lease_us))
        if now >= self._renew_at or self._renew_at > now + self._lease_us:  # the clock may have gone backwards
            self._renew_at = now + self._lease_us // 3

    def _is_due(self, now: int) -> bool:
        """Whether an event is due for which a handler is free."""
        due = self._session.read(lambda db: claim.next_due(db, self._dispatch.can_claim))
        return due is not None and due <= now

    def _wait_for_work(self, watch: Watch, patience: float | None) -> bool:
        """Sleep until an event is due or recorded; return False if none is due within `patience` seconds."""
        self._seal()
        token = self._session.change_token()
        due = self._session.read(lambda db: claim.next_due(db, self._handlers.handles))
        now = self._session.clock()
        if patience is not None and (due is None or due > now + int(patience * 1_000_000)):
            return False
        pauses = 0
        while not self._stop.is_set():
            wait = _POLL_S if due is None else min(_POLL_S, (due - self._session.clock()) / 1_000_000)
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
        """Seal facts while idle."""
        now = self._session.clock()
        if now >= self._seal_at or self._seal_at > now + _SEAL_CHECK_US:  # the clock may have gone backwards
            self._seal_at = now + _SEAL_CHECK_US
            seal_what_is_due(self._session, now)


def _unique_name() -> str:
    """Return a name for a run, host:pid#random: in containers, host and pid are not unique."""
    return f"{this_process()}#{token_hex(4)}"
