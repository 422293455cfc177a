"""Group commit: threads that write at the same time share one transaction, and so one flush to the disk."""

from collections import deque
from collections.abc import Callable
from threading import RLock, get_ident
from typing import Generic, TypeVar

from failaware.engine import Writer

T = TypeVar("T")


class _Ticket(Generic[T]):
    """One job that waits for its commit, and what became of it."""

    def __init__(self, job: Callable[[Writer], T]) -> None:
        self.job = job
        self.result: T
        self.error: BaseException | None = None
        self.done = False


class GroupCommit:
    """Runs jobs in transactions of one Writer, from any thread.

    Whoever gets the lock first commits for all who wait behind it; a lone thread goes straight through. A job that
    raises is rolled back by itself and raises to its own caller only. A job submitted from within a job joins the
    transaction that is open.
    """

    def __init__(self, db: Writer) -> None:
        self._db = db
        self._lock = RLock()
        self._waiting: deque[_Ticket[object]] = deque()
        self._owner: int | None = None
        self.commits = 0

    def run(self, job: Callable[[Writer], T]) -> T:
        """Run the job and return its result once it is committed."""
        if self._owner == get_ident():
            with self._db.savepoint():
                return job(self._db)
        ticket = _Ticket(job)
        self._waiting.append(ticket)  # type: ignore[arg-type]
        with self._lock:
            if not ticket.done:
                self._commit_waiting()
        if ticket.error is not None:
            raise ticket.error
        return ticket.result

    def read(self, job: Callable[[Writer], T]) -> T:
        """Run a job that only reads, without a transaction of its own."""
        with self._lock:
            return job(self._db)

    def _commit_waiting(self) -> None:
        tickets = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._owner = get_ident()
        try:
            with self._db.transaction():
                if len(tickets) == 1:
                    tickets[0].result = tickets[0].job(self._db)
                else:
                    for ticket in tickets:
                        self._run_apart(ticket)
        except BaseException as error:  # noqa: BLE001 - the commit failed: nobody's job is done, and each caller hears so
            for ticket in tickets:
                ticket.error = ticket.error or error
        finally:
            self._owner = None
            self.commits += 1
            for ticket in tickets:
                ticket.done = True

    def _run_apart(self, ticket: _Ticket[object]) -> None:
        try:
            with self._db.savepoint():
                ticket.result = ticket.job(self._db)
        except Exception as error:  # noqa: BLE001 - raised to its own caller by run()
            ticket.error = error
