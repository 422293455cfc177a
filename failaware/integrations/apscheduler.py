"""Records the jobs of APScheduler 3 through its events: every run of every job, with its error.

A run is one event, keyed by the job's id and the time for which it was scheduled: SYNCED if it succeeds, otherwise
DEAD, since APScheduler does not retry.
"""

import threading
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary, WeakMethod

from apscheduler import events
from apscheduler.executors.base import BaseExecutor

from failaware.capture.exceptions import describe
from failaware.integrations.task_log import Attempt, TaskLog, logged
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
_Run = tuple[str, datetime]
_LATE = Failure("JobMissed", "the run was missed: it could not start within the job's misfire_grace_time", None)
_MANY = Failure("MaxInstances", "the run was skipped: as many runs of the job as its max_instances had not ended", None)
_when_lost: WeakKeyDictionary[Any, list[WeakMethod[Any]]] = WeakKeyDictionary()
"""What is called when a run of a scheduler is lost."""


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
        self._log = TaskLog(store, "APScheduler")
        self._scheduler = scheduler
        self._jobs: _Recent[str, tuple[str, dict[str, Any]]] = _Recent()
        for job in scheduler.get_jobs():
            self._jobs[job.id] = _about(job)
        self._lock = threading.Lock()  # a run ends in another thread than its submission is announced in
        self._running: _Recent[_Run, Attempt] = _Recent()
        self._ended: _Recent[_Run, bool] = _Recent()
        """Runs that ended before their submission was announced."""
        self._lost: _Recent[str, list[BaseException]] = _Recent()
        """Errors of runs that were lost before their submission was announced, by their job."""
        scheduler.add_listener(self._seen, _SEEN)
        _when_lost.setdefault(scheduler, []).append(WeakMethod(self._lose))

    def _seen(self, event: Any) -> None:
        if event.code in {events.EVENT_JOB_ADDED, events.EVENT_JOB_MODIFIED}:
            if (job := self._scheduler.get_job(event.job_id, event.jobstore)) is not None:
                self._jobs[job.id] = _about(job)
        elif event.code == events.EVENT_JOB_SUBMITTED:
            for time in event.scheduled_run_times:
                self._submitted((event.job_id, time))
        elif event.code == events.EVENT_JOB_MAX_INSTANCES:
            for time in event.scheduled_run_times:
                self._finish((event.job_id, time), _MANY)
        else:
            run = event.job_id, event.scheduled_run_time
            with self._lock:
                if run not in self._running:
                    self._ended[run] = True
                self._log.end(_run_id(run))
            self._finish(run, _LATE if event.code == events.EVENT_JOB_MISSED else self._failure(event))

    @logged
    def _lose(self, job_id: str, error: BaseException) -> None:
        """Record that a run of a job ended without a result, since a process of the pool was killed."""
        with self._lock:
            run = next((run for run in self._running if run[0] == job_id), None)
            if run is None:
                self._lost.setdefault(job_id, []).append(error)
                return
        self._finish(run, error)

    def _submitted(self, run: _Run) -> None:
        with self._lock:
            if self._ended.pop(run, False):
                return
            self._running[run] = attempt = self._attempt(run)
            self._log.start(attempt)
            lost = self._lost.get(run[0])
        if lost:
            self._finish(run, lost.pop())

    def _failure(self, event: Any) -> BaseException | Failure | None:
        error: BaseException | None = event.exception
        if error is None or error.__traceback__ is not None:
            return error
        described = describe(error, masker=self._log.masker)
        return described._replace(traceback=event.traceback)  # it comes from another process

    def _attempt(self, run: _Run) -> Attempt:
        job_id, time = run
        name, payload = self._jobs.get(job_id, (job_id, {}))
        payload = {**payload, "job": job_id, "scheduled_for": time.isoformat()}
        return Attempt(_run_id(run), name, payload, self._log.now())

    def _finish(self, run: _Run, failed: BaseException | Failure | None) -> None:
        attempt = self._running.pop(run, None) or self._attempt(run)
        attempt.error = failed
        self._log.finish(attempt)


def _about(job: Any) -> tuple[str, dict[str, Any]]:
    """Return a job's name and its payload."""
    return job.name, {"args": job.args, "kwargs": job.kwargs, "trigger": str(job.trigger)}


def _run_id(run: _Run) -> str:
    return f"{run[0]}:{run[1].isoformat()}"


def _watched(report: Any) -> Any:
    """Return the method that executors call for a run without a result, which APScheduler announces by no event."""

    @wraps(report)
    def run_job_error(executor: Any, job_id: str, error: BaseException, *args: Any) -> Any:
        for reference in _when_lost.get(executor._scheduler, ()):  # noqa: SLF001 - an executor does not tell it otherwise
            if (lose := reference()) is not None:
                lose(job_id, error)
        return report(executor, job_id, error, *args)

    return run_job_error


BaseExecutor._run_job_error = _watched(BaseExecutor._run_job_error)  # noqa: SLF001
