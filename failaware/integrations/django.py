"""Records Django's tasks and management commands: an app for INSTALLED_APPS.

A task is one event, keyed by its id: SYNCED or DEAD, since Django does not retry. A command line of `manage.py` is one
event, and each run of it an attempt: a later success resolves an earlier failure.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cached_property, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from failaware.capture.exceptions import describe
from failaware.integrations.task_log import Attempt, TaskLog, logged
from failaware.model import Failure
from failaware.store import Store
from failaware.text import microseconds

if TYPE_CHECKING:
    from types import TracebackType

_SIGNALS = ("django.tasks.signals", "django_tasks.signals")  # of Django 6, and of its backport


class Failures(AppConfig):  # type: ignore[misc, unused-ignore]
    """The app: `INSTALLED_APPS = [..., "failaware.integrations.django.Failures"]` and `FAILAWARE = "failaware.db"`.

    FAILAWARE is the path or URL of the store, which is opened with the first record. Tasks are recorded by the workers
    of their backend. Commands are recorded if they were started by `manage.py` and do not belong to Django itself. If
    something cannot be recorded, an error is logged to the logger `failaware`, and the program is not affected.
    """

    name = "failaware.integrations.django"
    label = "failaware"

    def ready(self) -> None:
        """Django: all apps are loaded."""
        for name in _SIGNALS:
            with suppress(ImportError):
                signals = import_module(name)
                signals.task_started.connect(self._task_started)
                signals.task_finished.connect(self._task_finished)
        if not hasattr(BaseCommand.execute, "__wrapped__"):
            BaseCommand.execute = self._recorded(BaseCommand.execute)

    @cached_property
    def _log(self) -> TaskLog:
        return TaskLog(Store.open(settings.FAILAWARE), "Django")

    @logged
    def _task_started(self, task_result: Any, **_: Any) -> None:
        self._log.start(self._attempt(task_result))

    @logged
    def _task_finished(self, task_result: Any, **_: Any) -> None:
        attempt, has_failed = self._attempt(task_result), task_result.status == "FAILED"
        attempt.error = self._failure(sys.exc_info()[1], task_result.task.func.__module__) if has_failed else None
        if has_failed and attempt.error is None:  # reported by another process
            last = task_result.errors[-1]
            attempt.error = Failure(last.exception_class_path, "", last.traceback)
        self._log.finish(attempt)

    def _attempt(self, result: Any) -> Attempt:
        task, began, ended = result.task, result.last_attempted_at, result.finished_at
        payload = {"args": result.args, "kwargs": result.kwargs, "queue": task.queue_name, "backend": result.backend}
        began_at = self._log.now() if began is None else _microseconds(began)
        attempt = Attempt(str(result.id), task.module_path, payload, began_at, result.attempts or None)
        attempt.finished_at = None if ended is None else _microseconds(ended)
        return attempt

    def _recorded(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(execute)
        def run(command: Any, /, *args: Any, **options: Any) -> Any:
            began = time.time_ns() // 1_000
            error: BaseException | None = None
            try:
                return execute(command, *args, **options)
            except BaseException as raised:
                error = raised
                raise
            finally:
                own = type(command).__module__.startswith("django.")
                if command._called_from_command_line and not own and not isinstance(error, KeyboardInterrupt):  # noqa: SLF001
                    self._write_command(command, began, error)

        return run

    @logged
    def _write_command(self, command: Any, began: int, error: BaseException | None) -> None:
        module = type(command).__module__
        line, name = f"manage.py {' '.join(sys.argv[1:])}", module.rpartition(".")[2]
        attempt = Attempt(line, name, {"argv": sys.argv}, began, error=self._failure(error, module))
        self._log.finish(attempt, reason="Django does not run it again")

    def _failure(self, error: BaseException | None, module: str) -> Failure | None:
        """Return how code of a module failed, with the frames from the first one of that module on."""
        if error is None or (isinstance(error, SystemExit) and not error.code):
            return None
        traceback: TracebackType | None = error.__traceback__
        while traceback is not None and traceback.tb_frame.f_globals.get("__name__") != module:
            traceback = traceback.tb_next
        return describe(error, masker=self._log.masker, traceback=traceback or error.__traceback__)


def _microseconds(moment: datetime) -> int:
    return microseconds(timezone.make_aware(moment) if timezone.is_naive(moment) else moment)
