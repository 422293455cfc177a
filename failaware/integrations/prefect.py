"""Records Prefect's tasks by wrapping their functions: every attempt of every task run, with its error.

A task run is one event, keyed by its id: SYNCED if it succeeds, FAILED while Prefect will retry it, DEAD if it will
not.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from prefect.context import FlowRunContext, TaskRunContext
from prefect.states import State

from failaware.capture.attempting import in_thread
from failaware.capture.external import failure_of
from failaware.errors import UsageError
from failaware.integrations.task_log import Attempt, TaskLog, logged
from failaware.model import Failure
from failaware.store import Store


@dataclass(slots=True)
class _Attempt(Attempt):
    """An attempt at a task run."""

    task: Any = None


class Recorder:
    """Records the tasks that it decorates: `@recorder` above `@task(…)`.

    An attempt is written when it ends, without blocking the event loop of an async task. If it cannot be written, an
    error is logged to the logger `failaware`, and the task is not affected.

    Args:
        store: the path or URL of the store, which each process opens with its first record.
    """

    def __init__(self, store: str | os.PathLike[str]) -> None:
        self._path = os.fspath(store)
        self._retries: dict[str, int] = {}  # of task runs that have not ended
        self._undecided: dict[str, _Attempt] = {}  # failed attempts of which Prefect asks whether to retry them

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a task be sent to another process."""
        return Recorder, (self._path,)

    def __call__(self, task: Any) -> Any:
        """Record the runs of a task.

        Raises:
            UsageError: the task is a generator.
        """
        if task.isgenerator:
            raise UsageError(f"the task {task.name} is a generator, and its runs cannot be recorded")
        own = task.retry_condition_fn
        task.fn = (self._async_function if task.isasync else self._function)(task.fn)
        is_async = task.isasync or iscoroutinefunction(own)
        task.retry_condition_fn = (self._async_condition if is_async else self._condition)(own)
        return task

    @cached_property
    def _tasks(self) -> TaskLog:
        return TaskLog(Store.open(self._path), "Prefect")

    def _function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            attempt = self._new_attempt()
            try:
                self._start(attempt)
                result = function(*args, **kwargs)
            except BaseException as error:
                self._write(self._ended(attempt, error))
                raise
            self._write(self._ended(attempt, result))
            return result

        return run

    def _async_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            attempt = self._new_attempt()
            try:
                await in_thread(partial(self._start, attempt))
                result = await function(*args, **kwargs)
            except BaseException as error:
                await in_thread(partial(self._write, self._ended(attempt, error)))
                raise
            await in_thread(partial(self._write, self._ended(attempt, result)))
            return result

        return run

    def _condition(self, own: Callable[..., Any] | None) -> Callable[..., Any]:
        def condition(task: Any, task_run: Any, state: Any) -> Any:
            is_retried = False
            try:
                is_retried = own is None or own(task, task_run, state)
                return is_retried
            finally:
                self._decide(str(task_run.id), is_retried=is_retried)

        return condition

    def _async_condition(self, own: Callable[..., Any] | None) -> Callable[..., Any]:
        async def condition(task: Any, task_run: Any, state: Any) -> Any:
            is_retried = False
            try:
                answer = own is None or own(task, task_run, state)
                is_retried = await answer if isawaitable(answer) else answer
                return is_retried
            finally:
                await in_thread(partial(self._decide, str(task_run.id), is_retried=is_retried))

        return condition

    @logged
    def _new_attempt(self) -> _Attempt | None:
        """Return the attempt that begins; None if the function was called without Prefect."""
        context, flow = TaskRunContext.get(), getattr(FlowRunContext.get(), "flow", None)
        if context is None:
            return None
        task, run = context.task, context.task_run
        name = task.name if flow is None else f"{flow.name}.{task.name}"
        payload = {"parameters": context.parameters, "flow_run": str(run.flow_run_id or "")}
        began = int(context.start_time.timestamp() * 1_000_000)  # the task's timeout counts from then on
        return _Attempt(str(run.id), name, payload, began, task=task)

    @logged
    def _start(self, attempt: _Attempt | None) -> None:
        """Record that an attempt begins."""
        if attempt is not None:
            self._tasks.start(attempt)

    @logged
    def _ended(self, attempt: _Attempt | None, outcome: Any) -> _Attempt | None:
        """Return an attempt that ended if it is to be written now; otherwise, Prefect asks next whether it is retried.

        For an async task this runs in the event loop: after a timeout, Prefect does not wait for a thread.
        """
        if attempt is None:
            return None
        attempt.finished_at = self._tasks.now()
        attempt.error, is_crash = self._failure(attempt, outcome)
        retries = self._retries.pop(attempt.task_id, 0)
        if attempt.error is None or is_crash or retries >= attempt.task.retries:
            return attempt
        self._retries[attempt.task_id] = retries + 1
        self._undecided[attempt.task_id] = attempt
        return None

    def _failure(self, attempt: _Attempt, outcome: Any) -> tuple[Failure | None, bool]:
        """Return how an attempt failed, and whether it crashed, which Prefect does not retry."""
        if isinstance(outcome, State) and outcome.is_failed():  # a task may return it instead of an exception
            is_exception = isinstance(outcome.data, BaseException)
            outcome = outcome.data if is_exception else Failure("Failed", outcome.message or "", None)
        if not isinstance(outcome, BaseException | Failure):
            return None, False
        failure = failure_of(outcome, self._tasks.masker, package="failaware")
        is_crash = not isinstance(outcome, Exception | Failure)
        limit, took_us = attempt.task.timeout_seconds, (attempt.finished_at or 0) - attempt.started_at
        if failure is None or not is_crash or limit is None or took_us < limit * 1_000_000:
            return failure, is_crash
        message = f"the task did not end within its timeout of {limit:g} s"
        return failure._replace(error_type="TimeoutError", error_message=message), False

    @logged
    def _decide(self, run_id: str, *, is_retried: bool) -> None:
        """Write a failed attempt when Prefect knows whether it is retried."""
        attempt = self._undecided.pop(run_id, None)
        if attempt is None:
            return
        if not is_retried:
            self._retries.pop(run_id, None)
            self._write(attempt)
            return
        number, delay = self._retries[run_id], attempt.task.retry_delay_seconds or 0
        attempt.retry_in_s = delay[min(number, len(delay)) - 1] if isinstance(delay, list) else delay
        self._write(attempt, f": retry {number} of {attempt.task.retries}")

    @logged
    def _write(self, attempt: _Attempt | None, retry: str = "") -> None:
        if attempt is not None:
            self._tasks.finish(attempt, retry)
