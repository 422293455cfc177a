"""`failaware exec`: runs a program until it succeeds or its attempts are used up, and records every attempt.

A problem with the store is a warning of one sentence; it changes neither whether the program runs nor its exit status.
While the program runs, and between attempts, a lease keeps workers from claiming the event. Attempts have the times of
this machine's clock, since the store may be unavailable; leases have the store's.
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
from failaware.worker.subprocess_runner import SignalForwarder, run_once

_PATIENCE_S = 2.0  # longest wait for the event to be written before the program starts


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and how often.

    `retry_on` are the exit statuses, as a shell reports them, after which to retry; None: all except 0. `limit` is the
    time limit of one attempt, in seconds and as text. `key` is the event's key, not yet masked: masking needs the
    store, which may not be open before the program runs.
    """

    command: Sequence[str]
    event: NewEvent
    retry: Retry
    retry_on: frozenset[int] | None = None
    limit: tuple[float, str] | None = None
    key: str | None = None


def execute(
    plan: Plan, open_store: Callable[[], Store], *, clock: Callable[[], int], warn: Callable[[str], None]
) -> int:
    """Run the program until it succeeds, its attempts are used up, or a signal arrives; return its last exit status.

    Args:
        plan: what to run.
        open_store: opens the store; it may raise.
        clock: µs since the epoch.
        warn: called with a message for the user if something could not be started or recorded.
    """
    signals = SignalForwarder()
    record = _Record(plan, open_store, clock, warn)
    reserve = Reserve()  # before the store opens its files
    with signals.watched():
        record.begin()
        attempts_made = 0
        while signals.first is None:
            attempts_made += 1
            reserve.release()
            end = run_once(plan.command, signals=signals, clock=clock, warn=warn, limit=plan.limit)
            outcome = _decide(plan, end, attempts_made, record.event_id or UNNUMBERED, signals)
            record.ended(end, outcome)
            if outcome is None or outcome.retry_at is None:
                return end.exit_status
            signals.wait(max(0, outcome.retry_at - clock()) / 1_000_000)
        record.interrupted(signals.first.name)
        return 128 + signals.first


def _decide(plan: Plan, end: Ended, attempts_made: int, event_id: int, signals: SignalForwarder) -> Outcome | None:
    """Return the retry decision after a run; None if it succeeded."""
    if end.exit_status == 0:
        return None
    if signals.first is not None:
        return Outcome(None, f"{signals.first.name} received: it is not run again")
    if plan.retry_on is None and end.unstartable is not None:
        return Outcome(None, "it cannot be started: trying again cannot help")
    if plan.retry_on is not None and end.exit_status not in plan.retry_on:
        return Outcome(None, f"exit status {end.exit_status} is not one to try again on")
    return decide(plan.retry, event_id=event_id, attempts=attempts_made, failed_at=end.finished_at)


class _Record:
    """Records the run in the store. Attempts that could not be written are written with the next ones."""

    def __init__(
        self, plan: Plan, open_store: Callable[[], Store], clock: Callable[[], int], warn: Callable[[str], None]
    ) -> None:
        self.event_id: int | None = None
        self._event, self._key = plan.event, plan.key
        self._open_store, self._clock, self._warn = open_store, clock, warn
        self._worker = f"{this_process()}#{token_hex(4)}#exec"  # host and pid return in containers
        self._masker = Masker()
        self._store: Store | None = None
        self._unwritten: list[NewAttempt] = []
        self._last_warning: str | None = None
        self._lock = threading.Lock()
        self._begun, self._over = threading.Event(), threading.Event()

    def begin(self) -> None:
        """Write the event with a lease, and renew the lease from now on; do not wait for a locked store."""
        try:
            threading.Thread(target=self._renew_lease, daemon=True).start()
        except RuntimeError as error:  # no thread can be started: the end of the run is still recorded
            self._report(error)
            return
        self._begun.wait(_PATIENCE_S)

    def ended(self, end: Ended, outcome: Outcome | None) -> None:
        """Write how an attempt ended, and the retry decision."""
        retry_at, retry_reason = (None, None) if outcome is None else (outcome.retry_at, outcome.retry_reason)
        try:
            failed = describe_end(end, masker=self._masker)
        except Exception as error:  # noqa: BLE001 - the program's output must not change its exit status
            failed = failure("ExitStatus", f"exit status {end.exit_status}", None, masker=None)
            self._report(error)
        finished_at = max(end.started_at, end.finished_at)  # the clock may have gone backwards
        self._write(NewAttempt(UNNUMBERED, failed, self._worker, end.started_at, finished_at, retry_at, retry_reason))

    def interrupted(self, name: str) -> None:
        """Write that a signal arrived between attempts; no further attempt is made."""
        failed = failure("Interrupted", f"{name} came while no attempt was running", None, masker=None)
        now = self._clock()
        self._write(NewAttempt(UNNUMBERED, failed, self._worker, now, now, None, f"{name} came: it is not run again"))

    def _write(self, attempt: NewAttempt) -> None:
        if attempt.retry_at is None:
            self._over.set()
        with self._lock:
            self._unwritten.append(attempt)
            self._catch_up()
            if self._over.is_set() and self._store is not None:
                with suppress(Exception):  # an error must not change the program's exit status
                    self._store.close()

    def _renew_lease(self) -> None:
        while True:
            with self._lock:
                if self._over.is_set():
                    return
                self._catch_up()
            self._begun.set()
            self._over.wait(claim.RENEW_S)

    def _catch_up(self) -> None:
        """Write the unwritten attempts and renew the lease, in one transaction."""
        try:
            self._store = self._store or self._open_store()
            self.event_id = self._store.session.write(self._job(self._store.session))
            self._unwritten.clear()
        except Exception as error:  # noqa: BLE001 - an error of the store must not stop the program
            self._report(error)

    def _report(self, error: Exception) -> None:
        if str(error) != self._last_warning:
            self._last_warning = str(error)
            self._warn(f"this run is not recorded: {error}")

    def _job(self, session: Session) -> Callable[[Writer], int]:
        def job(db: Writer) -> int:
            now = session.clock()  # leases use the store's clock
            event_id = self.event_id
            if event_id is None:
                append.attempts(db, claim.lost_elsewhere(db, now), session.policy)
                key = None if self._key is None else session.recorder.masked_key(self._key)
                ((event_id, _),) = append.events(db, [self._event._replace(key=key)])
            append.attempts(db, [attempt._replace(event_id=event_id) for attempt in self._unwritten], session.policy)
            if not self._over.is_set():
                claim.hold(db, event_id, self._worker, now=now, until=now + claim.LEASE_US)
            return event_id

        return job
