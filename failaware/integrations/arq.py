"""Records arq's jobs through the settings of its worker: every attempt of every job, with its error.

A job is one event, keyed by its id: SYNCED if it succeeds, FAILED while arq will retry it, DEAD if arq gives up.
"""

import asyncio
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from arq.constants import job_key_prefix
from arq.worker import func

from failaware.capture.attempting import in_thread
from failaware.capture.external import failure_of
from failaware.integrations.task_log import Attempt, TaskLog
from failaware.model import Failure

if TYPE_CHECKING:
    from failaware.store import Store

_JOB_TIMEOUT_S, _MAX_TRIES = 300, 5  # arq's defaults
_BEGAN_S, _TOOK_S, _FUNCTION, _ATTEMPT = (f"failaware_{name}" for name in ("began", "took", "function", "attempt"))
"""Keys of the job's context, which arq passes to its hooks."""
_CANCELLED = "asyncio.exceptions.CancelledError"  # of a job that arq ends


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
        context[_BEGAN_S] = asyncio.get_running_loop().time()

    def _recorded(self, function: Any) -> Any:
        @wraps(function.coroutine)
        async def run(context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            payload = {"args": args, "kwargs": kwargs}
            clock = asyncio.get_running_loop().time
            began = context.get(_BEGAN_S, clock())  # absent where a worker is given another on_job_start
            attempt = Attempt(context["job_id"], function.name, payload, self._log.now(), context["job_try"])
            context[_ATTEMPT], context[_FUNCTION] = attempt, function
            try:
                await in_thread(partial(self._log.start, attempt))
                return await function.coroutine(context, *args, **kwargs)
            except BaseException as error:
                # Described here, where its traceback is that of the job alone: arq adds its own frames.
                attempt.error = failure_of(error, self._log.masker, package="failaware")
                attempt.retry_in_s = (getattr(error, "defer_score", None) or 0) / 1_000
                raise
            finally:
                attempt.finished_at = self._log.now()
                context[_TOOK_S] = clock() - began

        return replace(function, coroutine=run)

    async def _finished(self, context: dict[str, Any]) -> None:
        if _ATTEMPT in context:
            attempt = context[_ATTEMPT]
            # Of a job that failed, arq keeps this key if it runs it again, which it refuses after the last try.
            job = job_key_prefix + attempt.task_id
            kept = attempt.error is not None and bool(await context["redis"].exists(job))
            await in_thread(partial(self._write, context, kept=kept))
        if self._after_job_end is not None:
            await self._after_job_end(context)

    def _write(self, context: dict[str, Any], *, kept: bool) -> None:
        attempt, function = context[_ATTEMPT], context[_FUNCTION]
        if isinstance(attempt.error, Failure) and attempt.error.error_type == _CANCELLED:
            limit = self._limit(function.timeout_s, "job_timeout", _JOB_TIMEOUT_S)
            attempt.error = _end(attempt.error, limit, took_s=context[_TOOK_S], kept=kept)
        tries = self._limit(function.max_tries, "max_tries", _MAX_TRIES)
        if not kept or attempt.number >= tries:
            attempt.retry_in_s = None
        reason = f"arq gives up after {tries} tries" if kept else None
        self._log.finish(attempt, f": try {attempt.number + 1} of {tries}", reason=reason)

    def _limit(self, own: float | None, name: str, default: float) -> Any:
        return getattr(self._settings, name, default) if own is None else own


def _end(failure: Failure, limit: float, *, took_s: float, kept: bool) -> Failure:
    """Return why arq has cancelled a job."""
    if kept:
        kind, message = "WorkerStopped", "the worker was stopped while the job ran"
    elif took_s >= limit:
        kind, message = "TimeoutError", f"the job did not end within its timeout of {limit:g} s"
    else:
        kind, message = "JobAborted", "the job was aborted"
    return failure._replace(error_type=kind, error_message=message)
