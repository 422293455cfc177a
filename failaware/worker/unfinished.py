"""What is recorded of an attempt that nobody saw the end of: it counts."""

from failaware.facts import claim
from failaware.model import Failure, NewAttempt
from failaware.worker.retry import Outcome, Retry, decide

WORKER_STOPPED = "WorkerStopped"
"""The error type of an attempt whose handler had not ended in time when its worker was told to end."""


def lost_attempt(lease: claim.LostLease, retry: Retry, *, now: int, lease_us: int) -> NewAttempt:
    """The attempt that says that a lease ran out, with what follows by this policy.

    Nobody runs the program of a lost `failaware exec` again; when it is found out, it may have been dead for long.
    """
    if lease.leased_by.endswith(claim.PROGRAM):
        what = "failaware exec was lost while its program ran, or waited for its next attempt"
        outcome, ended = Outcome(None, "its caller is lost: nobody here will retry it"), lease.leased_until
    else:
        what, ended = "the worker was lost during this attempt", now
        outcome = decide(retry, event_id=lease.event_id, tries=lease.tries + 1, failed_at=now)
    failure = Failure(claim.WORKER_LOST, what, None)
    began = min(lease.leased_until - lease_us, now)
    return NewAttempt(lease.event_id, failure, lease.leased_by, began, ended, outcome.retry_at, outcome.because)


def stopped_attempt(
    event_id: int, tries: int, retry: Retry, *, worker: str, began: int, now: int, why: str
) -> NewAttempt:
    """The attempt that a worker had to leave because it was told to end."""
    outcome = decide(retry, event_id=event_id, tries=tries + 1, failed_at=now)
    failure = Failure(WORKER_STOPPED, why, None)
    return NewAttempt(event_id, failure, worker, min(began, now), now, outcome.retry_at, outcome.because)
