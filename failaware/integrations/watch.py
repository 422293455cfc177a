"""Records the failures of a whole Python program: uncaught exceptions of every thread, and what is logged as an error.

What was installed before is called too, and the program ends as it would without this.
"""

import contextlib
import functools
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from failaware.capture.guarded import guarded
from failaware.errors import StoreError
from failaware.integrations.logging import FailureHandler
from failaware.text import one_line
from failaware.warn import warn

if TYPE_CHECKING:
    from failaware.store import Store

_LOGGED = "_failaware_logged"  # attribute of an exception that was logged: it is not recorded again when it is uncaught
_LOGGED_BY_ASYNCIO = "asyncio"  # the logger of exceptions that nobody has awaited


def watch(store: "Store | str | Path", *, level: int | str = logging.ERROR, capacity: int = 10_000) -> "Watch":
    """Record the failures of this program from now on: `failaware.watch("failaware.db")`.

    Recorded are exceptions that end the program or a thread, exceptions of asyncio's tasks that nobody awaits, and what
    is logged at `level` or above. Each is an event that is DEAD. The type is the logger's name, and the program's name
    for what was not logged by it. An exception that is logged and then ends the program is recorded once.

    If the store cannot be opened, a RuntimeWarning is issued, and nothing is recorded. Calling it again replaces the
    watch before.

    Args:
        store: the store to record in, which must stay open; or its path or URL.
        level: the lowest level of log records that are recorded.
        capacity: the most failures that wait to be written; further ones are dropped and counted in `dropped`.
    """
    return Watch(store, level, capacity)


class Watch:
    """The recording that `watch` has begun."""

    _current: ClassVar["Watch | None"] = None

    def __init__(self, store: "Store | str | Path", level: int | str, capacity: int) -> None:
        """Use `watch`."""
        if Watch._current is not None:
            Watch._current.close()
        self._previous = sys.excepthook
        self._previous_of_threads = threading.excepthook
        self._handler: _Handler | None = None
        try:
            self._handler = _Handler(store, level, capacity=capacity)
        except StoreError as error:
            warn(f"failaware records nothing of this program: {error}", RuntimeWarning)
            return
        Watch._current = self
        sys.excepthook = self._uncaught
        threading.excepthook = self._uncaught_in_thread
        # Not a handler of the root logger: it would keep `basicConfig` and Python's handler of last resort from
        # working, and `logging.config` would remove it.
        self._call_handlers = logging.Logger.callHandlers
        logging.Logger.callHandlers = self._logged = self._recording()  # type: ignore[assignment,method-assign]

    @property
    def dropped(self) -> int:
        """How many failures were lost in this process."""
        return 0 if self._handler is None else self._handler.dropped

    def flush(self) -> None:
        """Wait until all failures are written, for at most 5 seconds."""
        if self._handler is not None:
            self._handler.flush()

    def close(self) -> None:
        """Stop recording, and write what waits, for at most 5 seconds."""
        if self._handler is None:
            return
        handler, self._handler = self._handler, None
        if logging.Logger.callHandlers is self._logged:
            logging.Logger.callHandlers = self._call_handlers  # type: ignore[method-assign]
        if sys.excepthook == self._uncaught:  # otherwise another hook calls ours, which then only calls the one before
            sys.excepthook = self._previous
        if threading.excepthook == self._uncaught_in_thread:
            threading.excepthook = self._previous_of_threads
        if Watch._current is self:
            Watch._current = None
        handler.close()

    def _recording(self) -> Callable[[logging.Logger, logging.LogRecord], None]:
        """Return the method of loggers that passes records to their handlers, extended by this recording."""
        before = logging.Logger.callHandlers

        @functools.wraps(before)
        def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            handler = self._handler
            if handler is not None and record.levelno >= handler.level:
                guarded(lambda: handler.handle(record), default=False)
            before(logger, record)

        return call_handlers

    def _uncaught(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if self._handler is not None and not issubclass(kind, KeyboardInterrupt):
            self._handler.record_uncaught(error, traceback)
        self._previous(kind, error, traceback)

    def _uncaught_in_thread(self, arguments: threading.ExceptHookArgs, /) -> None:
        error = arguments.exc_value
        if self._handler is not None and error is not None and not isinstance(error, SystemExit):
            self._handler.record_uncaught(error, arguments.exc_traceback)
        self._previous_of_threads(arguments)


class _Handler(FailureHandler):
    """Marks the exceptions that it records."""

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record. Never raises, never waits."""
        error = guarded(lambda: record.exc_info[1], None)  # type: ignore[index]
        if record.name == _LOGGED_BY_ASYNCIO and error is not None:
            record = logging.makeLogRecord(vars(record) | {"name": program_name()})
        super().emit(record)
        if isinstance(error, BaseException):
            with contextlib.suppress(Exception):
                object.__setattr__(error, _LOGGED, True)

    def record_uncaught(self, error: BaseException, traceback: TracebackType | None) -> None:
        """Queue an exception that ends the program or a thread, unless it was logged. Never raises."""
        if guarded(lambda: object.__getattribute__(error, _LOGGED), default=False):
            return
        last = traceback
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        code = None if last is None else last.tb_frame.f_code
        place: dict[str, Any] = {
            "pathname": "" if code is None else code.co_filename,
            "lineno": 0 if last is None else last.tb_lineno,
            "funcName": "" if code is None else code.co_qualname,
        }
        self.handle(
            logging.makeLogRecord(
                place
                | {
                    "name": program_name(),
                    "levelno": logging.CRITICAL,
                    "levelname": "CRITICAL",
                    "msg": "uncaught exception",
                    "exc_info": (type(error), error, traceback),
                    "argv": sys.argv[1:],
                }
            )
        )


def program_name() -> str:
    """Return the name of this program: that of its script, or of the module that `python -m` runs."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None:
        return one_line(str(spec.name).removesuffix(".__main__"), 200)
    return one_line(Path(sys.argv[0] if sys.argv else "").name, 200).removeprefix("-") or "python"
