"""RQ's jobs as events: every try of every job, with its error, which Redis forgets.

A job is one event, keyed by its id; SYNCED when it succeeds, FAILED while RQ will retry it, DEAD when it gives up, when
its process is killed, or when it is stopped.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from rq.worker import BaseWorker

from failaware.ingest.queues import TaskLog
from failaware.model import Failure
from failaware.store import this_worker
from failaware.text import microseconds

if TYPE_CHECKING:
    from rq.job import Job

    from failaware.store import Store

_NO_MORE = "RQ does not try it again"


class Recorded(BaseWorker):
    """What makes a worker class of RQ record its jobs: `class Worker(Recorded, rq.Worker): store = Store.open(...)`.

    It stands before RQ's own class; `rq worker --worker-class module.Worker` finds yours by name. A try is written when
    it ends, in the process that made it. What cannot be written is logged to `failaware`, and the worker goes on.
    """

    store: ClassVar["Store"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._recorded = TaskLog(self.store, "rq")
        self._thrown: BaseException | None = None
        self.push_exc_handler(self._abandoned)  # type: ignore[no-untyped-call]

    def handle_exception(self, job: "Job", *exc_info: Any) -> None:
        """RQ: a job has raised; `handle_job_failure` follows."""
        self._thrown = exc_info[1]
        super().handle_exception(job, *exc_info)

    def handle_job_failure(self, job: "Job", *args: Any, **kwargs: Any) -> None:
        """RQ: a job has failed, or its process was killed."""
        thrown, self._thrown = self._thrown, None
        stopped = self._stopped_job_id == job.id
        left, wait = (0, 0) if stopped else _next(job)
        said = thrown or _without_exception(str(kwargs.get("exc_string") or ""), stopped=stopped)
        self._write(job, said, left=left, wait=wait, why="it was stopped" if stopped else _NO_MORE)
        super().handle_job_failure(job, *args, **kwargs)  # after which another worker may have the job

    def handle_job_retry(self, job: "Job", queue: Any, retry: Any, *args: Any, **kwargs: Any) -> None:
        """RQ: a job asks to be tried again by returning a Retry."""
        made = job.number_of_retries or 0
        wait = retry.get_interval(made, retry.intervals)
        said = Failure("Retry", "the job asked to be tried again", None)
        self._write(job, said, left=max(0, retry.max - made), wait=wait, why=_NO_MORE)
        super().handle_job_retry(job, queue, retry, *args, **kwargs)

    def handle_job_success(self, job: "Job", *args: Any, **kwargs: Any) -> None:
        """RQ: a job has succeeded."""
        super().handle_job_success(job, *args, **kwargs)
        self._write(job, None, left=0, wait=0, why=None)

    def _abandoned(self, job: "Job", kind: type[BaseException], thrown: BaseException, *_: Any) -> None:
        """The worker that had the job is gone; another one finds out."""
        if kind.__name__ == "AbandonedJobError":
            left, wait = _next(job)
            self._write(job, thrown, left=left, wait=wait, why=_NO_MORE)

    def _write(
        self, job: "Job", failed: BaseException | Failure | None, *, left: int, wait: int, why: str | None
    ) -> None:
        retry_at, because = None, why
        if failed is not None and left:
            retry_at = self._recorded.now() + wait * 1_000_000
            because = f"RQ tries again{f' in {wait} s' if wait else ''}: {left} of its retries left"
        began = microseconds(job.started_at) if job.started_at else self._recorded.now()
        worker = f"{this_worker()}#rq"
        made = self._recorded.attempt(failed, worker=worker, started_at=began, retry_at=retry_at, because=because)
        self._recorded.write(job.id, _name(job), _payload(job), [made])


def _next(job: "Job") -> tuple[int, int]:
    """How many retries are left, and in how many seconds the next one comes."""
    left = job.retries_left or 0
    return left, job.get_retry_interval() if left else 0  # RQ has no interval where there is no retry


def _without_exception(said: str, *, stopped: bool) -> Failure:
    """What RQ says of a job whose process can say nothing any more."""
    return Failure("JobStopped" if stopped else "WorkHorseKilled", said or "RQ says no more", None)


def _name(job: "Job") -> str:
    try:
        return str(job.func_name)
    except Exception:  # noqa: BLE001 - whatever unpickling raises
        return "rq.unreadable"


def _payload(job: "Job") -> dict[str, Any]:
    kept: dict[str, Any] = {"queue": job.origin, "description": job.description, "meta": job.meta or None}
    try:
        kept |= {"args": list(job.args), "kwargs": job.kwargs}
    except Exception:  # noqa: BLE001 - whatever unpickling raises
        kept["args"] = "not readable"
    return {name: value for name, value in kept.items() if value is not None}
