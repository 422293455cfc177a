"""What is recorded of a worker that died: an attempt that counts."""

from failaware.facts import claim
from failaware.model import Failure, NewAttempt
from failaware.sync.retry import Outcome, Retry, decide


def lost_attempt(lease: claim.LostLease, retry: Retry, *, now: int, lease_us: int) -> NewAttempt:
    """The attempt that says that a lease ran out, with what follows by this policy.

    Nobody runs the program of a lost `failaware exec` again; when it is found out, it may have been dead for long.
    """
    if lease.leased_by.endswith(claim.PROGRAM):
        what = "failaware exec was lost while its program ran, or waited for its next attempt"
        outcome, ended = Outcome(None, "its caller is lost: nobody here will retry it"), lease.leased_until
    else:
        what, ended = "the worker was lost while it had this event in hand", now
        outcome = decide(retry, event_id=lease.event_id, tries=lease.tries + 1, failed_at=now)
    failure = Failure(claim.WORKER_LOST, what, None)
    began = min(lease.leased_until - lease_us, now)
    return NewAttempt(lease.event_id, failure, lease.leased_by, began, ended, outcome.retry_at, outcome.because)
