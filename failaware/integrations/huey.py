"""Records huey's tasks through its signals: every attempt of every task, with its error.

A task is one event, keyed by its id: SYNCED if it succeeds, FAILED while huey will retry it, DEAD if huey gives up.
"""

import sys
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from huey import signals

from failaware.integrations.task_log import Attempt, TaskLog
from failaware.model import Failure

if TYPE_CHECKING:
    from huey.api import Huey, Task

    from failaware.store import Store

_ENDS = {
    signals.SIGNAL_TIMEOUT: ("TaskTimeout", "the task did not end within its timeout"),
    signals.SIGNAL_RATE_LIMITED: ("RateLimitExceeded", "the task exceeded its rate limit"),
    signals.SIGNAL_LOCKED: ("TaskLocked", "another run of the task holds its lock"),
    signals.SIGNAL_CANCELED: ("CancelExecution", "the task was canceled"),
    signals.SIGNAL_EXPIRED: ("Expired", "the task expired before it ran"),
    signals.SIGNAL_REVOKED: ("Revoked", "the task was revoked before it ran"),
    signals.SIGNAL_INTERRUPTED: ("Interrupted", "the consumer was stopped while the task ran"),
}
_NEVER_RETRIED = {signals.SIGNAL_EXPIRED, signals.SIGNAL_REVOKED, signals.SIGNAL_INTERRUPTED}
_ASKED = Failure("RetryTask", "the task requested a retry", None)


class TaskRecorder:
    """Records the tasks that a process runs: create `TaskRecorder(store, huey)` where the Huey object is created.

    An attempt is written when it ends, in the process that made it. If it cannot be written, an error is logged to the
    logger `failaware`, and the task is not affected.

    Args:
        store: the store to record in; it must stay open for as long as the consumer runs.
        huey: the object that the tasks belong to.
    """

    def __init__(self, store: "Store", huey: "Huey") -> None:
        self._log = TaskLog(store, "huey")
        self._attempts: dict[str, Attempt] = {}
        huey.signal()(self._signaled)

    def _signaled(self, signal: str, task: "Task", error: BaseException | None = None) -> None:
        if signal == signals.SIGNAL_EXECUTING:
            self._attempts[task.id] = self._log.begin(task.id, task.name, _payload(task))
        elif signal == signals.SIGNAL_COMPLETE:
            self._finish(task)
        elif signal == signals.SIGNAL_RETRYING:
            attempt = self._attempt(task)
            attempt.error, attempt.retry_in_s = attempt.error or _ASKED, task.retry_delay or 0
            self._finish(task, f": {task.retries} of its retries left")
        elif signal == signals.SIGNAL_ERROR or signal in _ENDS:
            self._attempt(task).error = error if error is not None else Failure(*_ENDS[signal], None)
            if not task.retries or signal in _NEVER_RETRIED or _before_it_ran():  # otherwise SIGNAL_RETRYING follows
                self._finish(task)

    def _attempt(self, task: "Task") -> Attempt:
        """Return the attempt at a task; a new one if the task did not run."""
        return self._attempts.setdefault(task.id, Attempt(task.id, task.name, _payload(task), self._log.now()))

    def _finish(self, task: "Task", retry: str = "") -> None:
        self._attempt(task)
        self._log.finish(self._attempts.pop(task.id), retry)


def _payload(task: "Task") -> dict[str, Any]:
    payload = {"args": task.args, "kwargs": task.kwargs, "priority": task.priority}
    return {name: value for name, value in payload.items() if value is not None}


def _before_it_ran() -> bool:
    """Whether a hook canceled the task before it ran; huey sends the same signal as when the task cancels itself."""
    error = sys.exc_info()[1]
    frames = walk_tb(None if error is None else error.__traceback__)
    return any(frame.f_code.co_name == "_run_pre_execute" for frame, _ in frames)
