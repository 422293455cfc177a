"""PostgreSQL writer: transactions, repeated if the connection is lost before they have committed; see lock.py."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TypeVar

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from failaware.engine import derivation
from failaware.engine.base import Row
from failaware.engine.derivation import Projection
from failaware.engine.postgres import citus, lock, opening, recording
from failaware.engine.postgres.dialect import ddl
from failaware.engine.postgres.errors import ITS_ERRORS, UNKNOWN, raise_ours
from failaware.engine.postgres.place import parse
from failaware.engine.postgres.prepared import Prepared
from failaware.engine.postgres.statement_writer import StatementWriter
from failaware.engine.postgres.watch import PostgresWatch
from failaware.errors import StoreBusy, StoreError, UsageError
from failaware.schema.ddl import work_tables

T = TypeVar("T")

_MAX_ATTEMPTS = 5  # at one job, if the connection is lost each time
_NOTIFY_S = 0.1  # at least, between two notifications
_ALONG_INDEXES = {
    "enable_bitmapscan": "off",  # it would read and sort all due events for the next few: an index has them in order
    "enable_hashjoin": "off",  # few new rows are joined with many stored ones: use an index, even if the tables are
    "enable_mergejoin": "off",  # small when the plan is made
    "enable_seqscan": "off",
    "max_parallel_workers_per_gather": "0",  # starting another process takes longer than our statements
    "plan_cache_mode": "force_generic_plan",
}
_IMPATIENT = "SET LOCAL lock_timeout = '20ms'"
_SYNCHRONOUS = {"FULL": "on", "NORMAL": "off"}
_INHERITED: list[psycopg.Connection[Row]] = []


class _Ending(Enum):
    """How a transaction failed, which decides how the writer goes on."""

    ERROR = "the job's caller gets the error"
    WAIT_ENDED = "another thread forks: let it, then run the job again, as if it had not been run"
    DEADLOCK = "nothing was written, and the other transaction went on: run the job again"
    LOST = "the connection is gone: open another, and run the job again unless it has committed"


class PostgresWriter(StatementWriter):
    """The writing connection. Any thread may use it, but only one at a time: the caller holds a lock.

    A transaction that folds starts by taking the exclusive lock: as on SQLite, only one runs at a time across all
    hosts, and rows that the fold has read do not change until it ends. A transaction that only records events runs
    at the same time as it and others like it, since it changes no row of another writer.
    """

    def __init__(self, url: str, *, synchronous: str, projection: Projection, go_back: bool = False) -> None:
        if synchronous not in _SYNCHRONOUS:
            raise UsageError(f"synchronous is 'FULL' or 'NORMAL', not {synchronous!r}")
        self._synchronous = _SYNCHRONOUS[synchronous]
        self.while_waiting: Callable[[], bool] = lambda: False
        self._suspended = self._closed = False
        self._tickets = lock.Tickets()
        self._answer: str | None = None  # of a record that had committed before its answer was lost
        self._is_patient = True
        self._notified_at = 0.0
        self._projection = projection
        self._mark: str | None = None  # the store's mark when it was last checked; None: while it is opened
        super().__init__(url)
        opening.bring_up_to_date(self, self._schema, projection, go_back=go_back)
        self._mark = self.raw(derivation.MARK)[0][0]

    def _prepare(self) -> None:
        self._settings |= {"synchronous_commit": self._synchronous, **_ALONG_INDEXES}
        super()._prepare()
        for sql in work_tables():
            self.raw(ddl(sql))
        self._record_one = Prepared(self._db, b"record_one", recording.one(self._schema))
        self._suspended = False

    def _open(self, *, patiently: bool) -> None:
        """Connect; in a Citus cluster, to that of the URL's hosts that has the schema, if there is one."""
        self._place = parse(self.url)
        super()._open(patiently=patiently)
        if self._is_elsewhere():
            every_host = self._place
            for conninfo in citus.hosts(every_host.conninfo):
                self._db.close()
                self._place = every_host._replace(conninfo=conninfo)
                with suppress(StoreError):
                    super()._open(patiently=False)
                    if not self._is_elsewhere():
                        return
            self._place = every_host
            if self._db.closed:
                super()._open(patiently=patiently)

    def _is_elsewhere(self) -> bool:
        return self.is_distributed and bool(self.raw(citus.NODE.format(schema=self._schema))[0][0])

    def _check_version(self) -> None:
        if self.stored_version() == 0:
            opening.create(self, self._schema, self._projection.mark)

    def suspend(self) -> None:
        """Close the connection until it is needed again: before a fork, because two processes cannot share one."""
        if self._pid != os.getpid():
            self._in_transaction = False
            self._pipeline.clear()
        elif not self._suspended and not self._closed and not self._in_transaction:
            self._db.close()
            self._suspended = True

    def _use(self) -> None:
        if self._pid != os.getpid() and not self._suspended:
            _INHERITED.append(self._db)  # after a fork the parent's connection must be neither used nor closed
            self._open(patiently=False)
        elif self._db.closed and not self._closed:
            self._open(patiently=True)
        else:
            super()._use()

    def append_events(self, rows: Sequence[Row], *, refuse: bool) -> list[int]:
        """Append events; within `run(recording=True)` this is the whole transaction."""
        if self._in_transaction:
            with self._in_our_words():
                call = recording.call(self._schema, rows, (None, None), None, refuse=False)
            now, ids = recording.parsed(self.query(*call)[0][0])
            self.execute(self.dialect.count_recorded, (sum(event_id > 0 for event_id in ids),))
        else:
            answer, self._answer = self._answer or self._record(rows, refuse=refuse), None
            now, ids = recording.parsed(answer)
        self._server_time(now)
        return ids

    def run(self, job: Callable[[], T], *, recording: bool = False, patient: bool = True) -> T:
        """Run a job in a transaction under the store's lock; repeat it if the connection was lost before the commit.

        If the answer to a commit was lost, the writer's row shows whether it succeeded, so nothing is written twice.
        Example: a job that folds, and returns 5.

          ticket   what happens                                   unanswered   next
          7        waits for the lock; another thread forks       empty        closes the connection, lets it fork
          8        the server restarts before it gets the COMMIT  5            reconnects; fence(8) is null: runs again
          9        commits, but the answer is lost                5            reconnects; fence(9) is '': returns 5

        `unanswered` is noted when a commit can have been sent: for a job that folds, just before COMMIT; for one that
        only records before its one statement, which commits without a COMMIT.
        """
        self._is_patient = patient
        run = self._run_recording if recording else self._run_folding
        unanswered: list[Callable[[str], T]] = []  # filled by `run`: how to go on if it has committed unanswered
        attempts, ending = 0, _Ending.ERROR
        while attempts < _MAX_ATTEMPTS:
            try:
                if unanswered and (answer := self._fence()) is not None:
                    return unanswered[0](answer)
                unanswered.clear()
                if ending is _Ending.WAIT_ENDED:
                    self.while_waiting()
                    self._is_patient = patient  # another thread may have used this writer meanwhile
                return run(job, unanswered)
            except BaseException as error:
                ending = self._ending(error)
                self._roll_back()
                if ending is _Ending.ERROR:
                    if isinstance(error, StoreBusy):
                        raise self._busy(error) from error
                    raise
                if ending is not _Ending.WAIT_ENDED:
                    lost, attempts = error, attempts + 1
                if ending is _Ending.DEADLOCK:
                    unanswered.clear()
                    continue
                self._db.close()
            if unanswered or ending is _Ending.LOST:
                self._reopen(unanswered=bool(unanswered))
        raise StoreError(f"{lost}; {UNKNOWN}") if unanswered else lost

    def _ending(self, error: BaseException) -> "_Ending":
        """How a transaction ended that raised this error."""
        if self._waits.was_canceled and isinstance(error, Exception):
            return _Ending.WAIT_ENDED
        if not isinstance(error, StoreError):
            return _Ending.ERROR
        if getattr(error.__cause__, "sqlstate", None) == citus.ELSEWHERE and citus.hosts(parse(self.url).conninfo):
            return _Ending.LOST
        if isinstance(error.__cause__, errors.DeadlockDetected):
            return _Ending.DEADLOCK
        return _Ending.LOST if not isinstance(error, StoreBusy) and self._is_lost(error.__cause__) else _Ending.ERROR

    def _run_folding(self, job: Callable[[], T], unanswered: list[Callable[[str], T]]) -> T:
        """Under the exclusive lock."""
        self._begin()
        result = job()
        unanswered.append(lambda _answer: result)
        self._commit()
        self._notify()
        return result

    def _run_recording(self, job: Callable[[], T], unanswered: list[Callable[[str], T]]) -> T:
        """Under the shared lock, in one statement."""

        def run_with(answer: str | None) -> T:
            self._answer = answer
            return job()

        self._use()
        unanswered.append(run_with)
        result = run_with(None)
        self._notify()
        return result

    def _record(self, rows: Sequence[Row], *, refuse: bool) -> str:
        """Record events in one statement; repeat it if the mark has changed, but is still ours."""
        self._idled = None
        try:
            with self._waits:
                while (answer := self._answer_of(rows, refuse=refuse)) is None:
                    self._check_mark(self.raw(derivation.MARK)[0][0])
            self._check_wait()
        except ITS_ERRORS as error:
            if isinstance(error, psycopg.Error) and error.sqlstate == recording.OTHER_TYPE:
                raise recording.key_taken(error) from None
            raise_ours(error, self.path)
        return answer

    def _answer_of(self, rows: Sequence[Row], *, refuse: bool) -> str | None:
        """The answer of one attempt; None if the mark has changed."""
        ticket = self._tickets.next()
        if len(rows) == 1 and rows[0][-1] is None and not self._session.pooled and not self.is_distributed:
            return self._record_one.run((self._mark, *ticket, *rows[0][:-1]))
        call = recording.call(self._schema, rows, ticket, self._mark, refuse=refuse)
        if self._session.pooled:
            self.raw(lock.BEGIN)
            self._session.enter()
        answers = self._run(*call).fetchall()
        if self._session.pooled:
            self.raw("COMMIT")
        return answers[0][0] if answers else None

    def _begin(self) -> None:
        self._use()
        self._in_transaction, self._idled, self._not_begun = True, None, None
        self._began = self._pipeline.add(lock.BEGIN)
        if self._session.pooled:
            self._send()
            with self._in_our_words():
                self._session.enter()
        if not self._is_patient:
            self._pipeline.add(_IMPATIENT)
        self._began = self._pipeline.add(lock.begin_write(self._schema), self._tickets.next())

    def _commit(self) -> None:
        """Commit, and wait for the disk only after the lock is released."""
        if self._not_begun is not None:  # the job has caught this error, as those of a group commit do
            with self._in_our_words():
                raise self._not_begun
        if self._began.pgresult is None:
            self._send()  # take the lock before the answer to a commit can be lost
        now, _, mark = self._began.fetchall()[0][0].partition(" ")
        self._check_mark(mark)
        ended = self._pipeline.add("COMMIT")
        if self._synchronous == "on":
            self._pipeline.add(lock.FLUSH)
        self._send()
        if ended.statusmessage != "COMMIT":
            raise StoreError(f"{self.path}: the transaction had failed before, and nothing of it was written")
        self._in_transaction = False
        self._server_time(int(now))

    def _notify(self) -> None:
        """Notify waiting workers of a commit, at most ten times a second: as often as they poll."""
        if time.monotonic() >= self._notified_at + _NOTIFY_S:
            self._notified_at = time.monotonic()
            with suppress(psycopg.Error):
                self.raw(lock.notify(self._schema))

    def _check_mark(self, mark: str | None) -> None:
        """Refuse to write if another version of failaware has derived the store since it was opened."""
        if self._mark is not None and mark != self._mark:
            derivation.check_unchanged(self._projection.mark, [(mark,)], self.path)
            self._mark = mark

    def _reopen(self, *, unanswered: bool) -> None:
        try:
            self._open(patiently=True)
        except StoreError as error:
            if not unanswered:
                raise
            raise StoreError(f"{error}; {UNKNOWN}") from error

    def _fence(self) -> str | None:
        """The answer of the transaction that was not answered if it has committed; otherwise it never will."""
        try:
            with self._in_our_words():
                answer: str | None = self._run(lock.fence(self._schema), self._tickets.last).fetchall()[0][0]
                if self._synchronous == "on":
                    self.raw(lock.FLUSH)
                return answer
        except StoreError as error:
            if self._is_lost(error.__cause__):
                raise
            raise StoreError(f"{error}; {UNKNOWN}") from error

    def _busy(self, error: StoreBusy) -> StoreBusy:
        """The error, with a description of the lock's holder if there still is one."""
        owner = None
        if isinstance(error.__cause__, errors.LockNotAvailable):
            with suppress(psycopg.Error):
                owner = lock.owner(self.raw, self._schema)
        return StoreBusy(f"{self.path} is locked: {owner}") if owner else error

    def _roll_back(self) -> None:
        """Roll back the open transaction; if a statement was interrupted or canceled, close the connection."""
        self._in_transaction = False
        self._pipeline.clear()
        try:
            if self._waits.was_canceled or self._db.info.transaction_status == TransactionStatus.ACTIVE:
                self._db.close()
            elif not self._db.closed:
                self.raw("ROLLBACK")
        except psycopg.Error:
            self._db.close()

    def watch(self) -> PostgresWatch:
        """Listen for the notification that every commit sends."""
        return PostgresWatch(self._place.conninfo, self._schema)

    @contextmanager
    def wiping(self) -> Iterator[Callable[[], bool]]:
        """Wrap a transaction. What it removes stays in the server's files until VACUUM FULL, and in its backups."""
        yield lambda: False

    def close(self) -> None:
        """Close the connection."""
        if self._pid == os.getpid():
            if self._tickets.number and not self._db.closed and not self._in_transaction:
                with suppress(psycopg.Error):
                    self.raw(lock.forget(self._schema, self._tickets.writer))
            self._db.close()
        self._closed = True
