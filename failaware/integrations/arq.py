"""Records arq's jobs through the settings of its worker: every attempt of every job, with its error.

A job is one event, keyed by its id: SYNCED if it succeeds, FAILED while arq will retry it, DEAD if arq gives up.
"""

from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from arq.constants import job_key_prefix
from arq.worker import func

from failaware.capture.attempting import in_thread
from failaware.capture.external import failure_of
from failaware.integrations.task_log import TaskLog
from failaware.model import Failure

if TYPE_CHECKING:
    from failaware.store import Store

_JOB_TIMEOUT_S, _MAX_TRIES = 300, 5  # arq's defaults
_STARTED_AT, _ATTEMPT = "failaware_started_at", "failaware_attempt"  # keys of the job's context
_CANCELLED = "asyncio.exceptions.CancelledError"  # of a job that arq ends


@dataclass(slots=True)
class _Attempt:
    """An attempt at a job that arq has not finished yet; `function` has its name, time limit and number of tries."""

    function: Any
    payload: dict[str, Any]
    started_at: int
    finished_at: int = 0
    failure: Failure | None = None  # with the traceback of the job alone, before arq adds its own frames
    delay_ms: int = 0


class JobRecorder:
    """Records the jobs of a worker: `JobRecorder(store, WorkerSettings)`, after the class `WorkerSettings`.

    It wraps the functions and cron jobs of the settings, and calls their `on_job_start` and `after_job_end`. An attempt
    is written when arq has finished it, without blocking the event loop. If it cannot be written, an error is logged to
    the logger `failaware`, and the job is not affected.

    Args:
        store: the store to record in; it must stay open for as long as the worker runs.
        settings: the class that `arq` is started with.
    """

    def __init__(self, store: "Store", settings: Any) -> None:
        self._log = TaskLog(store, "arq")
        self._settings = settings
        self._on_job_start = getattr(settings, "on_job_start", None)
        self._after_job_end = getattr(settings, "after_job_end", None)
        settings.functions = [self._recorded(func(each)) for each in getattr(settings, "functions", ())]
        settings.cron_jobs = [self._recorded(each) for each in getattr(settings, "cron_jobs", None) or ()]
        settings.on_job_start, settings.after_job_end = self._starts, self._finished

    async def _starts(self, context: dict[str, Any]) -> None:
        if self._on_job_start is not None:
            await self._on_job_start(context)
        # The time limit begins before the job's function runs, so a time taken there could be within the limit.
        context[_STARTED_AT] = self._log.now()

    def _recorded(self, function: Any) -> Any:
        @wraps(function.coroutine)
        async def run(context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            attempt = _Attempt(function, {"args": args, "kwargs": kwargs}, context[_STARTED_AT])
            context[_ATTEMPT] = attempt  # arq passes the same dict to its hooks
            start = partial(self._log.start, context["job_id"], function.name, attempt.payload)
            try:
                await in_thread(partial(start, started_at=attempt.started_at))
                return await function.coroutine(context, *args, **kwargs)
            except BaseException as error:
                attempt.delay_ms = getattr(error, "defer_score", None) or 0
                attempt.failure = failure_of(error, self._log.masker, package="failaware")
                raise
            finally:
                attempt.finished_at = self._log.now()

        return replace(function, coroutine=run)

    async def _finished(self, context: dict[str, Any]) -> None:
        job_id, number = context["job_id"], context["job_try"]
        attempt = context.get(_ATTEMPT)
        if attempt is not None:
            kept = attempt.failure is not None and await context["redis"].exists(job_key_prefix + job_id)
            await in_thread(partial(self._write, attempt, job_id, number, kept=bool(kept)))
        if self._after_job_end is not None:
            await self._after_job_end(context)

    def _write(self, attempt: _Attempt, job_id: str, number: int, *, kept: bool) -> None:
        """Write an attempt; `kept`: arq has kept the job to run it again, which it refuses after the last try."""
        tries = self._limit(attempt.function.max_tries, "max_tries", _MAX_TRIES)
        retry_at, reason = None, f"arq gives up after {tries} tries" if kept else "arq does not try it again"
        if kept and number < tries:
            retry_at, reason = (
                attempt.finished_at + attempt.delay_ms * 1_000,
                f"arq tries again: try {number + 1} of {tries}",
            )
        self._log.write(
            job_id,
            attempt.function.name,
            attempt.payload,
            error=self._failure(attempt, kept=kept),
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
            number=number,
            retry_at=retry_at,
            reason=reason,
        )

    def _failure(self, attempt: _Attempt, *, kept: bool) -> Failure | None:
        if attempt.failure is None or attempt.failure.error_type != _CANCELLED:
            return attempt.failure
        limit = self._limit(attempt.function.timeout_s, "job_timeout", _JOB_TIMEOUT_S)
        if kept:
            kind, message = "WorkerStopped", "the worker was stopped while the job ran"
        elif attempt.finished_at - attempt.started_at >= limit * 1_000_000:
            kind, message = "TimeoutError", f"the job did not end within its timeout of {limit:g} s"
        else:
            kind, message = "JobAborted", "the job was aborted"
        return attempt.failure._replace(error_type=kind, error_message=message)

    def _limit(self, own: float | None, name: str, default: float) -> Any:
        return getattr(self._settings, name, default) if own is None else own
