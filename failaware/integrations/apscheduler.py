"""Records the jobs of APScheduler 3 through its events: every run of every job, with its error.

A run is one event, keyed by the job's id and the time for which it was scheduled: SYNCED if it succeeds, otherwise
DEAD, since APScheduler does not retry.
"""

import threading
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
        self._lock = threading.Lock()  # a run ends in another thread than its submission is announced in
        self._ended: _Recent[tuple[str, datetime], bool] = _Recent()
        scheduler.add_listener(self._seen, _SEEN)

    def _seen(self, event: Any) -> None:
        if event.code in {events.EVENT_JOB_ADDED, events.EVENT_JOB_MODIFIED}:
            if (job := self._scheduler.get_job(event.job_id, event.jobstore)) is not None:
                self._jobs[job.id] = _about(job)
        elif event.code == events.EVENT_JOB_SUBMITTED:
            for time in event.scheduled_run_times:
                self._submitted(event.job_id, time)
        elif event.code == events.EVENT_JOB_MAX_INSTANCES:
            for time in event.scheduled_run_times:
                self._write(event.job_id, time, _MANY)
        else:
            failed = _LATE if event.code == events.EVENT_JOB_MISSED else self._failure(event)
            with self._lock:
                if (event.job_id, event.scheduled_run_time) not in self._started:
                    self._ended[event.job_id, event.scheduled_run_time] = True
                self._log.end(_run_id(event.job_id, event.scheduled_run_time))
            self._write(event.job_id, event.scheduled_run_time, failed)

    def _submitted(self, job_id: str, time: datetime) -> None:
        with self._lock:
            if self._ended.pop((job_id, time), False):  # before its submission was announced
                return
            self._started[job_id, time] = now = self._log.now()
            name, payload = self._jobs.get(job_id, (job_id, {}))
            self._log.start(_run_id(job_id, time), name, _payload(payload, job_id, time), started_at=now)

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
        payload = _payload(payload, job_id, time)
        self._log.write(_run_id(job_id, time), name, payload, error=failed, started_at=began, reason=_NO_RETRY)


def _about(job: Any) -> tuple[str, dict[str, Any]]:
    """Return a job's name and its payload."""
    return job.name, {"args": job.args, "kwargs": job.kwargs, "trigger": str(job.trigger)}


def _run_id(job_id: str, time: datetime) -> str:
    return f"{job_id}:{time.isoformat()}"


def _payload(about: dict[str, Any], job_id: str, time: datetime) -> dict[str, Any]:
    return {**about, "job": job_id, "scheduled_for": time.isoformat()}
