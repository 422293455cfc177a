"""Group commit: threads that write at the same time share one transaction and one flush to disk."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Condition, RLock, get_ident
from typing import Generic, TypeVar
from weakref import WeakSet

from failaware.engine import Writer
from failaware.errors import KeyConflict, StoreError, StoreFull
from failaware.facts import append
from failaware.model import NewEvent

T = TypeVar("T")
_FORK_WAITS_S = 30.0  # for another thread's transaction to end
_ENDS_SOON_S = 0.05  # longer than most transactions
_ENDS_WAIT_S = 1.0  # how often a wait for a server's lock is ended, which one that has just begun may survive
_LOOKS_S = 0.05  # how often a thread that waits for a fork checks whether the fork has failed


class Recording:
    """A job that only records events: on a server it excludes no other recorder."""

    def __init__(self, new: Sequence[NewEvent]) -> None:
        self.new = new

    def __call__(self, db: Writer) -> list[tuple[int, bool]]:
        """Record them; return (event_id, known) for each."""
        return append.record(db, self.new)


class _Ticket(Generic[T]):
    """A job that waits for its commit, and its result."""

    def __init__(self, job: Callable[[Writer], T]) -> None:
        self.job = job
        self.result: T
        self.error: BaseException | None = None
        self.done = False
        self.woken: SimpleQueue[None] = SimpleQueue()


class GroupCommit:
    """Runs jobs in transactions of one Writer, from any thread.

    The first thread to get the lock commits the jobs of all waiting threads, wakes them, and wakes the thread that
    commits next; a lone thread commits directly. A job that raises is rolled back alone, and only its caller gets the
    exception. A job submitted from within a job joins the open transaction. Example: four threads, each with a job.

      A   gets the lock and commits alone; meanwhile B, C and D each add a ticket and wait
      A   releases the lock and wakes B, the first that waits
      B   takes all three tickets and runs their jobs, each in a savepoint; C's raises, and is rolled back alone
      B   commits, and wakes C and D: C raises its error, B and D return their results

    A second example: A waits for the store's lock, which another host holds, when B forks.

      B   `before_fork`: `end_wait` cancels A's wait, and B waits for the threads' lock
      A   `_make_way`, called by the writer: gives the threads' lock to B until it has forked
      B   `suspend` closes the connection, forks, and goes on (`after_fork_in_parent`); the child opens its own
      A   gets the lock back, opens a connection, and begins its job again
    """

    def __init__(self, db: Writer) -> None:
        self._db = db
        self._lock = RLock()
        self._waiting: deque[_Ticket[object]] = deque()
        self._owner: int | None = None
        self.commits = 0
        self._forked = Condition(self._lock)
        self._forking = self._ready_to_fork = self._wiping = False
        db.while_waiting = self._make_way
        _ALL.add(self)

    def run(self, job: Callable[[Writer], T], *, alone: bool = False, patient: bool = True) -> T:
        """Run the job and return its result once it is committed; `alone`: in a transaction without other jobs."""
        thread = get_ident()
        if self._owner == thread:
            with self._db.savepoint():
                return job(self._db)
        if (alone and self._lock.acquire()) or (not self._waiting and self._lock.acquire(blocking=False)):
            try:
                return self._commit_alone(job, thread, patient=patient)
            finally:
                self._release()
        ticket = _Ticket(job)
        # Before trying the lock: the thread that holds it looks for tickets after releasing it, so none is overlooked.
        self._waiting.append(ticket)  # type: ignore[arg-type]
        has_turn = self._lock.acquire(blocking=False) or self._its_turn(ticket)
        while has_turn:
            try:
                if ticket in self._waiting:  # otherwise a thread has taken it, and may be letting another one fork
                    self._commit_waiting()
            finally:
                self._release()
            has_turn = not ticket.done and self._its_turn(ticket)
        if ticket.error is not None:
            raise ticket.error
        return ticket.result

    def run_wiping(self, job: Callable[[Writer], T]) -> tuple[T, bool]:
        """Run a job and overwrite what it deletes in the files; also return whether that succeeded."""
        self._lock.acquire()
        self._wiping = True
        try:
            with self._db.wiping() as wiped:
                result = self.run(job)
            return result, wiped()
        finally:
            self._wiping = False
            self._release()

    def try_run(self, job: Callable[[Writer], T]) -> None:
        """Run a job that another process may do as well later, unless others are writing."""
        with suppress(StoreError):
            self.run(job, alone=True, patient=False)

    def is_idle(self) -> bool:
        """Whether a job would run at once, and neither wait for another thread nor join its transaction."""
        if self._owner is not None or self._waiting or not self._lock.acquire(blocking=False):
            return False
        self._release()
        return True

    def _its_turn(self, ticket: _Ticket[T]) -> bool:
        """Wait until the ticket is done (false), or until this thread has to commit for all (true, with the lock)."""
        try:
            ticket.woken.get()
            return not ticket.done and self._lock.acquire()
        except BaseException:  # a signal: the next thread must not wait for this one
            with suppress(ValueError):
                self._waiting.remove(ticket)  # type: ignore[arg-type]
            if self._lock.acquire(blocking=False):
                self._release()
            raise

    def read(self, job: Callable[[Writer], T]) -> T:
        """Run a job that only reads, without a transaction of its own."""
        self._lock.acquire()
        try:
            return job(self._db)
        finally:
            self._release()

    def _release(self) -> None:
        """Release the lock and wake only the first waiting thread, which commits for all."""
        self._lock.release()
        if self._waiting and self._owner is None:
            with suppress(IndexError):  # another thread took them meanwhile
                self._waiting[0].woken.put(None)

    def _commit_alone(self, job: Callable[[Writer], T], thread: int, *, patient: bool) -> T:
        self._owner = thread
        try:
            return self._db.run(partial(job, self._db), recording=isinstance(job, Recording), patient=patient)
        finally:
            self._owner = None
            self.commits += 1

    def _commit_waiting(self) -> None:
        tickets = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._owner = get_ident()
        try:
            if not self._record_together(tickets):
                self._db.run(lambda: self._run_all(tickets))
        except BaseException as error:  # noqa: BLE001 - the commit failed, which each caller's `run` raises
            for ticket in tickets:  # a store's error is the cause of what the jobs have raised
                ticket.error = error if isinstance(error, StoreError) else ticket.error or error
        finally:
            self._owner = None
            self.commits += 1
            for ticket in tickets:
                ticket.done = True
                ticket.woken.put(None)

    def _record_together(self, tickets: list[_Ticket[object]]) -> bool:
        """Record the events of all tickets in one call if each has exactly one; return whether that was done."""
        jobs = [ticket.job for ticket in tickets if isinstance(ticket.job, Recording) and len(ticket.job.new) == 1]
        if len(jobs) < len(tickets):
            return False
        new = [job.new[0] for job in jobs]
        conflicts: dict[int, KeyConflict] = {}
        try:
            ids = self._db.run(lambda: append.record(self._db, new, conflicts=conflicts), recording=True)
        except Exception as error:  # an invalid event, or one that is too large, whose caller will get the error
            if isinstance(error, StoreError) and not isinstance(error, StoreFull):
                raise
            return False
        for position, ticket in enumerate(tickets):
            ticket.result, ticket.error = [ids[position]], conflicts.get(position)
        return True

    def _run_all(self, tickets: list[_Ticket[object]]) -> None:
        for ticket in tickets:
            self._run_apart(ticket)

    def _run_apart(self, ticket: _Ticket[object]) -> None:
        ticket.error = None  # of an earlier run, undone by a lost connection
        try:
            with self._db.savepoint():
                ticket.result = ticket.job(self._db)
        except Exception as error:  # noqa: BLE001 - raised to its own caller by run()
            ticket.error = error

    def _make_way(self) -> bool:
        """Let another thread fork while this one waits for the store's lock, which may take half a minute."""
        owner, makes_way = self._owner, self._forking and not self._wiping
        while self._forking and not self._wiping:
            self._forked.wait(_LOOKS_S)
        self._owner = owner
        return makes_way

    def before_fork(self) -> None:
        """Wait for the current transaction and close the connection; parent and child each open their own."""
        self._forking = True
        self._ready_to_fork = self._lock.acquire(timeout=_ENDS_SOON_S)
        until = time.monotonic() + _FORK_WAITS_S
        while not self._ready_to_fork and time.monotonic() < until:
            if not self._wiping:
                self._db.end_wait()
            self._ready_to_fork = self._lock.acquire(timeout=_ENDS_WAIT_S)
        if self._ready_to_fork:
            self._db.suspend()

    def after_fork_in_parent(self) -> None:
        """Let waiting threads continue."""
        self._forking = False
        if self._ready_to_fork:
            self._forked.notify_all()
            self._release()

    def after_fork_in_child(self) -> None:
        """Reset the locks: no other thread exists that could hold or wait for them."""
        self._lock = RLock()
        self._forked = Condition(self._lock)
        self._owner = None
        self._forking = self._wiping = False
        if not self._ready_to_fork:
            self._db.suspend()
        self._waiting.clear()


_ALL: WeakSet[GroupCommit] = WeakSet()


def _all(step: Callable[[GroupCommit], None]) -> Callable[[], None]:
    def run() -> None:
        for commits in list(_ALL):
            step(commits)

    return run


os.register_at_fork(
    before=_all(GroupCommit.before_fork),
    after_in_parent=_all(GroupCommit.after_fork_in_parent),
    after_in_child=_all(GroupCommit.after_fork_in_child),
)
