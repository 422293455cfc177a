"""RQ's jobs as events: every try of every job, with its error, which Redis forgets.

A job is one event, keyed by its id; SYNCED when it succeeds, FAILED while RQ will retry it, DEAD when it gives up, when
its process is killed, or when it is stopped.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from rq.worker import BaseWorker

from failaware.capture.guarded import guarded, text_of
from failaware.identity import this_process
from failaware.integrations.task_log import TaskLog
from failaware.model import Failure
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
        self._killed_pid: int | None = None
        self.push_exc_handler(self._abandoned)  # type: ignore[no-untyped-call]

    def handle_exception(self, job: "Job", *exc_info: Any) -> None:
        """RQ: a job has raised; `handle_job_failure` follows, unless RQ itself cannot show the exception."""
        self._thrown = exc_info[1]
        try:
            super().handle_exception(job, *exc_info)
        except BaseException:  # it ends the process: the job's own exception is recorded before
            self._write_failure(job, exc_info[1])
            raise

    def handle_work_horse_killed(self, job: "Job", retpid: int, *args: Any) -> None:
        """RQ: a job's process has ended too early; `handle_job_failure` follows."""
        self._killed_pid = retpid
        super().handle_work_horse_killed(job, retpid, *args)  # type: ignore[no-untyped-call]

    def handle_job_failure(self, job: "Job", *args: Any, **kwargs: Any) -> None:
        """RQ: a job has failed, or its process was killed."""
        thrown, self._thrown = self._thrown, None
        stopped = self._stopped_job_id == job.id
        if thrown is None:
            failed: BaseException | Failure = _without_exception(str(kwargs.get("exc_string") or ""), stopped=stopped)
        else:
            failed = thrown
        self._write_failure(job, failed, stopped=stopped)
        self._killed_pid = None
        super().handle_job_failure(job, *args, **kwargs)  # after which another worker may have the job

    def handle_job_retry(self, job: "Job", queue: Any, retry: Any, *args: Any, **kwargs: Any) -> None:
        """RQ: a job asks to be tried again by returning a Retry."""
        made = job.number_of_retries or 0
        wait = guarded(lambda: retry.get_interval(made, retry.intervals), 0)
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
            self._write_failure(job, thrown)

    def _write_failure(self, job: "Job", failed: BaseException | Failure, *, stopped: bool = False) -> None:
        left, wait = (0, 0) if stopped else _next(job)
        self._write(job, failed, left=left, wait=wait, why="it was stopped" if stopped else _NO_MORE)

    def _write(
        self, job: "Job", failed: BaseException | Failure | None, *, left: int, wait: int, why: str | None
    ) -> None:
        retry_at, because = None, why
        if failed is not None and left:
            retry_at = self._recorded.now() + wait * 1_000_000
            because = f"RQ tries again{f' in {wait} s' if wait else ''}: {left} of its retries left"
        began = microseconds(job.started_at) if job.started_at else self._recorded.now()
        made = self._recorded.attempt(failed, worker=_worker(), started_at=began, retry_at=retry_at, because=because)
        said_before = None if self._killed_pid is None else _worker(self._killed_pid)
        self._recorded.write(job.id, _name(job), _payload(job), [made], unless_tried_by=said_before)


def _next(job: "Job") -> tuple[int, int]:
    """How many retries are left, and in how many seconds the next one comes."""
    left = job.retries_left or 0
    return left, guarded(job.get_retry_interval, 0) if left else 0  # RQ has no interval where there is no retry


def _worker(pid: int | None = None) -> str:
    """This process as the one that tried a job, or another one on this machine."""
    host, _, here = this_process().rpartition(":")
    return f"{host}:{here if pid is None else pid}#rq"


def _without_exception(said: str, *, stopped: bool) -> Failure:
    """What RQ says of a job whose process can say nothing any more."""
    return Failure("JobStopped" if stopped else "WorkHorseKilled", said or "RQ says no more", None)


def _name(job: "Job") -> str:
    return guarded(lambda: text_of(job.func_name), "rq.unreadable")  # whatever unpickling raises


def _payload(job: "Job") -> dict[str, Any]:
    unreadable: dict[str, Any] = {"args": "not readable"}  # whatever unpickling raises
    kept = {"queue": _get(job, "origin"), "description": _get(job, "description"), "meta": _get(job, "meta") or None}
    kept |= guarded(lambda: {"args": list(job.args), "kwargs": job.kwargs}, unreadable)
    return {name: value for name, value in kept.items() if value is not None}


def _get(job: "Job", name: str) -> Any:
    return guarded(lambda: getattr(job, name), None)
