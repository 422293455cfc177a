"""Records RQ's jobs: every attempt of every job, with its error, which Redis does not keep.

A job is one event, keyed by its id: SYNCED if it succeeds, FAILED while RQ will retry it, DEAD if RQ gives up, its
process is killed, or it is stopped.
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
    """Mixin for a worker class of RQ, to record its jobs: `class Worker(Recorded, rq.Worker): store = Store.open(...)`.

    List it before RQ's class, and run `rq worker --worker-class module.Worker`. An attempt is written when it ends, in
    the process that made it. If it cannot be written, an error is logged to the logger `failaware`, and the worker is
    not affected.
    """

    store: ClassVar["Store"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._task_log = TaskLog(self.store, "RQ")
        self._thrown: BaseException | None = None
        self._killed_pid: int | None = None
        self.push_exc_handler(self._abandoned)  # type: ignore[no-untyped-call]

    def handle_exception(self, job: "Job", *exc_info: Any) -> None:
        """RQ: a job has raised; `handle_job_failure` follows, unless RQ fails to format the exception."""
        self._thrown = exc_info[1]
        try:
            super().handle_exception(job, *exc_info)
        except BaseException:  # it ends the process: record the job's own exception first
            self._write_failure(job, exc_info[1])
            raise

    def handle_work_horse_killed(self, job: "Job", retpid: int, *args: Any) -> None:
        """RQ: a job's process was killed; `handle_job_failure` follows."""
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
        super().handle_job_failure(job, *args, **kwargs)  # after this, another worker may run the job

    def handle_job_retry(self, job: "Job", queue: Any, retry: Any, *args: Any, **kwargs: Any) -> None:
        """RQ: a job requests a retry by returning a Retry."""
        retries = job.number_of_retries or 0
        delay_s = guarded(lambda: retry.get_interval(retries, retry.intervals), 0)
        failed = Failure("Retry", "the job requested a retry", None)
        self._write(job, failed, left=max(0, retry.max - retries), delay_s=delay_s, retry_reason=_NO_MORE)
        super().handle_job_retry(job, queue, retry, *args, **kwargs)

    def handle_job_success(self, job: "Job", *args: Any, **kwargs: Any) -> None:
        """RQ: a job has succeeded."""
        super().handle_job_success(job, *args, **kwargs)
        self._write(job, None, left=0, delay_s=0, retry_reason=None)

    def _abandoned(self, job: "Job", kind: type[BaseException], thrown: BaseException, *_: Any) -> None:
        """RQ: another worker found that the job's worker is gone."""
        if kind.__name__ == "AbandonedJobError":
            self._write_failure(job, thrown)

    def _write_failure(self, job: "Job", failed: BaseException | Failure, *, stopped: bool = False) -> None:
        left, delay_s = (0, 0) if stopped else _next(job)
        self._write(job, failed, left=left, delay_s=delay_s, retry_reason="it was stopped" if stopped else _NO_MORE)

    def _write(
        self, job: "Job", failed: BaseException | Failure | None, *, left: int, delay_s: int, retry_reason: str | None
    ) -> None:
        retry_at = None
        if failed is not None and left:
            retry_at = self._task_log.now() + delay_s * 1_000_000
            retry_reason = f"RQ tries again{f' in {delay_s} s' if delay_s else ''}: {left} of its retries left"
        began = microseconds(job.started_at) if job.started_at else self._task_log.now()
        self._task_log.write(
            job.id,
            _name(job),
            _payload(job),
            error=failed,
            worker=_worker(),
            started_at=began,
            retry_at=retry_at,
            reason=retry_reason,
            unless_attempted_by=None if self._killed_pid is None else _worker(self._killed_pid),
        )


def _next(job: "Job") -> tuple[int, int]:
    """Return how many retries are left, and the seconds until the next one."""
    left = job.retries_left or 0
    return left, guarded(job.get_retry_interval, 0) if left else 0  # RQ raises if there is no retry


def _worker(pid: int | None = None) -> str:
    """Return the worker's name for this process, or for another process on this machine."""
    host, _, here = this_process().rpartition(":")
    return f"{host}:{here if pid is None else pid}#rq"


def _without_exception(message: str, *, stopped: bool) -> Failure:
    """Return the failure of a job whose process is gone, with RQ's message."""
    return Failure("JobStopped" if stopped else "WorkHorseKilled", message or "RQ gave no reason", None)


def _name(job: "Job") -> str:
    return guarded(lambda: text_of(job.func_name), "rq.unreadable")  # unpickling may raise anything


def _payload(job: "Job") -> dict[str, Any]:
    unreadable: dict[str, Any] = {"args": "not readable"}  # unpickling may raise anything
    payload = {"queue": _get(job, "origin"), "description": _get(job, "description"), "meta": _get(job, "meta") or None}
    payload |= guarded(lambda: {"args": list(job.args), "kwargs": job.kwargs}, unreadable)
    return {name: value for name, value in payload.items() if value is not None}


def _get(job: "Job", name: str) -> Any:
    return guarded(lambda: getattr(job, name), None)
