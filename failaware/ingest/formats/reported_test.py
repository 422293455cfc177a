"""A test of a report, in any format: an event with an attempt for each run of the test."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from failaware.capture.exceptions import failure
from failaware.capture.external import attempt
from failaware.capture.record import Recorder
from failaware.model import Failure, NewAttempt

_AGAIN = "run again at once"


class Run(NamedTuple):
    """One run of a test: how it failed, None if it passed; and how long it took, in µs."""

    failure: Failure | None
    took: int = 0


def unexplained(recorder: Recorder) -> Failure:
    """Return the failure of a run of which the report only shows that another one followed."""
    return failure("failure", "the test was run again; the report does not say why", None, masker=recorder.masker)


def attempts(runs: Iterable[Run], *, began: int, worker: str) -> Iterator[NewAttempt]:
    """Yield an attempt for each run, one after the other from `began` (µs) on; those before the last are retried."""
    several = list(runs)
    for number, run in enumerate(several, start=1):
        one = attempt(run.failure, worker=worker, started_at=began, took=run.took)
        if number < len(several) and run.failure is not None:
            one = one._replace(retry_at=one.finished_at, retry_reason=_AGAIN)
        yield one
