"""Records the jobs of APScheduler 3 through its events: every run of every job, with its error.

A run is one event, keyed by the job's id and the time for which it was scheduled: SYNCED if it succeeds, otherwise
DEAD, since APScheduler does not retry.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from apscheduler import events

from failaware.capture.exceptions import describe
from failaware.integrations.task_log import TaskLog
from failaware.model import Failure

if TYPE_CHECKING:
    from apscheduler.schedulers.base import BaseScheduler

    from failaware.store import Store

_SEEN = (
    events.EVENT_JOB_ADDED
    | events.EVENT_JOB_MODIFIED
    | events.EVENT_JOB_SUBMITTED
    | events.EVENT_JOB_EXECUTED
    | events.EVENT_JOB_ERROR
    | events.EVENT_JOB_MISSED
    | events.EVENT_JOB_MAX_INSTANCES
)
_MOST = 10_000  # jobs, and runs that have begun
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_NO_RETRY = "APScheduler does not try it again"
_LATE = Failure("JobMissed", "the run was missed: it could not start within the job's misfire_grace_time", None)
_MANY = Failure("MaxInstances", "the run was skipped: as many runs of the job as its max_instances had not ended", None)


class _Recent(dict[_Key, _Value]):
    """The newest entries: jobs that run once come and go, and a run may end before its submission is announced."""

    def __setitem__(self, key: _Key, value: _Value) -> None:
        if key not in self and len(self) >= _MOST:
            del self[next(iter(self))]
        super().__setitem__(key, value)


class JobRecorder:
    """Records the runs of a scheduler's jobs: `JobRecorder(store, scheduler)`, before or after jobs are added.

    A run is written when it ends. If it cannot be written, an error is logged to the logger `failaware`, and the
    scheduler is not affected. A run begins, as far as can be seen, when it is submitted to its executor.

    Args:
        store: the store to record in; it must stay open for as long as the scheduler runs.
        scheduler: any scheduler of APScheduler 3.
    """

    def __init__(self, store: "Store", scheduler: "BaseScheduler") -> None:
        self._log = TaskLog(store, "apscheduler")
        self._scheduler = scheduler
        self._jobs: _Recent[str, tuple[str, dict[str, Any]]] = _Recent()
        for job in scheduler.get_jobs():
            self._jobs[job.id] = _about(job)
        self._started: _Recent[tuple[str, datetime], int] = _Recent()
        scheduler.add_listener(self._seen, _SEEN)

    def _seen(self, event: Any) -> None:
        if event.code in {events.EVENT_JOB_ADDED, events.EVENT_JOB_MODIFIED}:
            if (job := self._scheduler.get_job(event.job_id, event.jobstore)) is not None:
                self._jobs[job.id] = _about(job)
        elif event.code == events.EVENT_JOB_SUBMITTED:
            for time in event.scheduled_run_times:
                self._started[event.job_id, time] = self._log.now()
        elif event.code == events.EVENT_JOB_MAX_INSTANCES:
            for time in event.scheduled_run_times:
                self._write(event.job_id, time, _MANY)
        else:
            failed = _LATE if event.code == events.EVENT_JOB_MISSED else self._failure(event)
            self._write(event.job_id, event.scheduled_run_time, failed)

    def _failure(self, event: Any) -> BaseException | Failure | None:
        error: BaseException | None = event.exception
        if error is None or error.__traceback__ is not None:
            return error
        return describe(error, masker=self._log.masker)._replace(
            traceback=event.traceback
        )  # it comes from another process

    def _write(self, job_id: str, time: datetime, failed: BaseException | Failure | None) -> None:
        name, payload = self._jobs.get(job_id, (job_id, {}))
        began = self._started.pop((job_id, time), None)
        payload = {**payload, "job": job_id, "scheduled_for": time.isoformat()}
        self._log.write(f"{job_id}:{time.isoformat()}", name, payload, error=failed, started_at=began, reason=_NO_RETRY)


def _about(job: Any) -> tuple[str, dict[str, Any]]:
    """Return a job's name and its payload."""
    return job.name, {"args": job.args, "kwargs": job.kwargs, "trigger": str(job.trigger)}
