"""Records Django's tasks and management commands: an app for INSTALLED_APPS.

A task is one event, keyed by its id: SYNCED or DEAD, since Django does not retry. A command line of `manage.py` is one
event, and each run of it an attempt: a later success resolves an earlier failure.
"""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from failaware.capture.exceptions import describe
from failaware.integrations.task_log import TaskLog
from failaware.model import Failure
from failaware.store import Store

if TYPE_CHECKING:
    from types import TracebackType

_SIGNALS = ("django.tasks.signals", "django_tasks.signals")  # of Django 6, and of its backport
_log = logging.getLogger("failaware")


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
        return TaskLog(Store.open(settings.FAILAWARE), "django")

    def _task_started(self, task_result: Any, **_: Any) -> None:
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        name = task_result.task.module_path
        _safely(lambda: self._log.start(str(task_result.id), name, _payload(task_result), started_at=now))

    def _task_finished(self, task_result: Any, **_: Any) -> None:
        error = sys.exc_info()[1] if task_result.status == "FAILED" else None
        _safely(lambda: self._write_task(task_result, error))

    def _write_task(self, result: Any, error: BaseException | None) -> None:
        failure = None if error is None else self._failure(error, result.task.func.__module__)
        if failure is None and result.status == "FAILED":  # reported by another process
            failure = Failure(result.errors[-1].exception_class_path, "", result.errors[-1].traceback)
        self._log.write(
            str(result.id),
            result.task.module_path,
            _payload(result),
            error=failure,
            started_at=_aware(result.last_attempted_at),
            finished_at=_aware(result.finished_at),
            number=result.attempts or None,
            reason="Django does not try it again",
        )

    def _recorded(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(execute)
        def run(command: Any, /, *args: Any, **options: Any) -> Any:
            began = datetime.now(UTC)
            error: BaseException | None = None
            try:
                return execute(command, *args, **options)
            except BaseException as raised:
                error = raised
                raise
            finally:
                own = type(command).__module__.startswith("django.")
                if command._called_from_command_line and not own and not isinstance(error, KeyboardInterrupt):  # noqa: SLF001
                    _safely(lambda: self._write_command(command, began, error))

        return run

    def _write_command(self, command: Any, began: datetime, error: BaseException | None) -> None:
        module, arguments = type(command).__module__, sys.argv[1:]
        self._log.write(
            f"manage.py {' '.join(arguments)}",
            module.rpartition(".")[2],
            {"argv": sys.argv},
            error=self._failure(error, module),
            started_at=began,
            reason="Django does not run it again",
        )

    def _failure(self, error: BaseException | None, module: str) -> Failure | None:
        """Return how code of a module failed, with the frames from the first one of that module on."""
        if error is None or (isinstance(error, SystemExit) and not error.code):
            return None
        traceback: TracebackType | None = error.__traceback__
        while traceback is not None and traceback.tb_frame.f_globals.get("__name__") != module:
            traceback = traceback.tb_next
        return describe(error, masker=self._log.masker, traceback=traceback or error.__traceback__)


def _payload(result: Any) -> dict[str, Any]:
    queue = result.task.queue_name
    return {"args": result.args, "kwargs": result.kwargs, "queue": queue, "backend": result.backend}


def _safely(write: Callable[[], None]) -> None:
    try:
        write()
    except Exception as error:  # noqa: BLE001 - the task or the command must not be affected
        _log.error("a task or a command of Django is not recorded: %s", error)


def _aware(moment: datetime | None) -> datetime | None:
    return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment
