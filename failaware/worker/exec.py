"""`failaware exec`: one program tried until it succeeds or may not be tried again; every attempt recorded.

The program comes first: whatever is wrong with the store is said in a sentence, and changes neither whether it runs
nor how it ends. While it runs, and between attempts, a lease tells workers to leave the event alone. What happened when
is told by this machine's clock, since the store may not be there; leases go by the store's.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex

from failaware.capture.exceptions import failure
from failaware.capture.exit_status import Ended, describe_end
from failaware.capture.secrets.masking import Masker
from failaware.engine import Writer
from failaware.facts import append, claim
from failaware.identity import this_process
from failaware.model import UNNUMBERED, NewAttempt, NewEvent
from failaware.session import Session
from failaware.store import Store
from failaware.worker.pump import Reserve
from failaware.worker.retry import Outcome, Retry, decide
from failaware.worker.subprocess_runner import Interrupts, run_once
from failaware.worker.unfinished import lost_attempt

_LEASE_US = 60_000_000
_RENEW_S = 20.0
_PATIENCE_S = 2.0  # the program waits this long at most for its event to be written


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and how often.

    `retry_on` are the exit statuses, as a shell gives them, after which to try again: None for any but 0. `limit` is
    how many seconds one attempt may take, and how to say that. `key` is the event's as it was given: what is secret in
    it is masked under the key of the store, which may not be open before the program runs.
    """

    command: Sequence[str]
    event: NewEvent
    retry: Retry
    retry_on: frozenset[int] | None = None
    limit: tuple[float, str] | None = None
    key: str | None = None


def execute(
    plan: Plan, open_store: Callable[[], Store], *, clock: Callable[[], int], say: Callable[[str], None]
) -> int:
    """Run the program until it succeeds, its attempts are used, or a signal comes; returns its last exit status.

    Args:
        plan: what to run.
        open_store: opens the store; it may fail.
        clock: µs since the epoch.
        say: tells a person what could not be started or recorded.
    """
    interrupts = Interrupts()
    record = _Record(plan, open_store, clock, say)
    reserve = Reserve()  # before the store opens its files
    with interrupts.watched():
        record.begin()
        tries = 0
        while interrupts.first is None:
            tries += 1
            reserve.release()
            end = run_once(plan.command, interrupts=interrupts, clock=clock, say=say, limit=plan.limit)
            outcome = _decide(plan, end, tries, record.event_id or UNNUMBERED, interrupts)
            record.ended(end, outcome)
            if outcome is None or outcome.retry_at is None:
                return end.exit_status
            interrupts.wait(max(0, outcome.retry_at - clock()) / 1_000_000)
        record.interrupted(interrupts.first.name)
        return 128 + interrupts.first


def _decide(plan: Plan, end: Ended, tries: int, event_id: int, interrupts: Interrupts) -> Outcome | None:
    """What follows a run; None when it succeeded."""
    if end.exit_status == 0:
        return None
    if interrupts.first is not None:
        return Outcome(None, f"{interrupts.first.name} came: it is not tried again")
    if plan.retry_on is None and end.unstartable is not None:
        return Outcome(None, "it cannot be started: trying again cannot help")
    if plan.retry_on is not None and end.exit_status not in plan.retry_on:
        return Outcome(None, f"exit status {end.exit_status} is not one to try again on")
    return decide(plan.retry, event_id=event_id, tries=tries, failed_at=end.finished_at)


class _Record:
    """The run in the store. What could not be written is kept, and tried again with what comes next."""

    def __init__(
        self, plan: Plan, open_store: Callable[[], Store], clock: Callable[[], int], say: Callable[[str], None]
    ) -> None:
        self.event_id: int | None = None
        self._event, self._key = plan.event, plan.key
        self._open_store, self._clock, self._say = open_store, clock, say
        self._worker = f"{this_process()}#{token_hex(4)}{claim.PROGRAM}"  # host and pid return in containers
        self._masker = Masker()
        self._store: Store | None = None
        self._unwritten: list[NewAttempt] = []
        self._said: str | None = None
        self._lock = threading.Lock()
        self._begun, self._over = threading.Event(), threading.Event()

    def begin(self) -> None:
        """Write the event under a lease, and keep that from now on; a store that is busy is not waited for."""
        try:
            threading.Thread(target=self._keep, daemon=True).start()
        except RuntimeError as error:  # no thread is left: its end is still recorded
            self._warn(error)
            return
        self._begun.wait(_PATIENCE_S)

    def ended(self, end: Ended, outcome: Outcome | None) -> None:
        """Write how an attempt ended, and what follows."""
        retry_at, because = (None, None) if outcome is None else (outcome.retry_at, outcome.because)
        try:
            failed = describe_end(end, masker=self._masker)
        except Exception as error:  # noqa: BLE001 - what it wrote, however odd, must not change how it ends
            failed = failure("ExitStatus", f"exit status {end.exit_status}", None, masker=None)
            self._warn(error)
        finished_at = max(end.started_at, end.finished_at)  # the clock may have gone backwards
        self._write(NewAttempt(UNNUMBERED, failed, self._worker, end.started_at, finished_at, retry_at, because))

    def interrupted(self, name: str) -> None:
        """Write that a signal came where no attempt was running, so that none follows."""
        failed = failure("Interrupted", f"{name} came while no attempt was running", None, masker=None)
        now = self._clock()
        self._write(NewAttempt(UNNUMBERED, failed, self._worker, now, now, None, f"{name} came: it is not tried again"))

    def _write(self, attempt: NewAttempt) -> None:
        if attempt.retry_at is None:
            self._over.set()
        with self._lock:
            self._unwritten.append(attempt)
            self._catch_up()
            if self._over.is_set() and self._store is not None:
                with suppress(Exception):  # what is committed stays, and the program's exit status is its own
                    self._store.close()

    def _keep(self) -> None:
        while True:
            with self._lock:
                if self._over.is_set():
                    return
                self._catch_up()
            self._begun.set()
            self._over.wait(_RENEW_S)

    def _catch_up(self) -> None:
        """Write what is not written yet, and hold or renew the lease, in one transaction."""
        try:
            self._store = self._store or self._open_store()
            self.event_id = self._store.session.write(self._job(self._store.session))
            self._unwritten.clear()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the store must not stop the program
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if str(error) != self._said:
            self._said = str(error)
            self._say(f"this run is not recorded: {error}")

    def _job(self, session: Session) -> Callable[[Writer], int]:
        def job(db: Writer) -> int:
            now = session.clock()  # that of all who hold a lease there
            event_id = self.event_id
            if event_id is None:
                lost = claim.lost(db, lambda _type: True, now, by=claim.PROGRAM)
                found = [lost_attempt(lease, Retry(), now=now, lease_us=_LEASE_US) for lease in lost]
                append.attempts(db, found, session.policy)
                key = None if self._key is None else session.recorder.masked_key(self._key)
                ((event_id, _),) = append.events(db, [self._event._replace(key=key)])
            append.attempts(db, [attempt._replace(event_id=event_id) for attempt in self._unwritten], session.policy)
            if not self._over.is_set():
                claim.hold(db, event_id, self._worker, now=now, until=now + _LEASE_US)
            return event_id

        return job
