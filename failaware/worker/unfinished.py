"""Attempts whose end was not observed; they count as failed."""

from failaware.facts import claim
from failaware.model import Failure, NewAttempt
from failaware.worker.retry import Retry, decide

WORKER_STOPPED = "WorkerStopped"
"""The error type of an attempt whose handler did not end in time after its worker got SIGTERM."""


def lost_attempt(lease: claim.LostLease, retry: Retry, *, now: int, lease_us: int) -> NewAttempt:
    """Return the failed attempt of an expired lease, with the retry decision of this policy if a worker made it."""
    if lease.elsewhere:
        return lease.attempt()
    outcome = decide(retry, event_id=lease.event_id, attempts=lease.attempts + 1, failed_at=now)
    failure = Failure(claim.WORKER_LOST, "the worker was lost during this attempt", None)
    began = min(lease.leased_until - lease_us, now)
    return NewAttempt(lease.event_id, failure, lease.leased_by, began, now, outcome.retry_at, outcome.retry_reason)


def stopped_attempt(
    event_id: int, attempts: int, retry: Retry, *, worker: str, began: int, now: int, why: str
) -> NewAttempt:
    """Return the failed attempt of a handler that a stopping worker had to abandon."""
    outcome = decide(retry, event_id=event_id, attempts=attempts + 1, failed_at=now)
    failure = Failure(WORKER_STOPPED, why, None)
    return NewAttempt(event_id, failure, worker, min(began, now), now, outcome.retry_at, outcome.retry_reason)
