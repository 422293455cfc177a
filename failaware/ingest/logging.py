"""What a program logs, as failures: a handler for the standard `logging`, and so for structlog's stdlib path.

The program is never held up and never hurt: records go through a bounded queue to a thread that writes them in batches;
what does not fit is counted, and said.
"""

import logging
import sys
from typing import TYPE_CHECKING, Any

from failaware.capture.exceptions import MAX_MESSAGE, describe, failure
from failaware.capture.json_values import as_json
from failaware.ingest.background import Background
from failaware.ingest.observed import event_of, observed
from failaware.ingest.record import as_name
from failaware.model import NewEvent, Observed
from failaware.text import bounded

if TYPE_CHECKING:
    from failaware.store import Store

_END_S = 5.0  # how long the end of the program waits for what is in the queue
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_STANDARD |= {"_logger", "_name", "_from_structlog", "_record"}  # what structlog adds for its own formatter


class FailureHandler(logging.Handler):
    """Records what is logged at ERROR and above: `logging.getLogger().addHandler(FailureHandler(store))`.

    The event's type is the logger's name, its payload says where it was logged and holds the `extra`. An exception
    (`exc_info`) is the error; otherwise the message is, and what is alike is told by the format before its arguments
    are filled in. Each is DEAD: nobody here will retry it.

    Args:
        store: where to; it must outlast the handler.
        level: from which level on.
        capacity: how many records may wait to be written; more are dropped and counted in `dropped`.
    """

    def __init__(self, store: "Store", level: int | str = logging.ERROR, *, capacity: int = 10_000) -> None:
        super().__init__(level)
        self._store = store
        self._background = Background(store, capacity)
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many records were not kept."""
        return self._background.dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; never raises, never waits."""
        try:
            self._background.put(self._kept(record))
        except Exception:  # noqa: BLE001 - a log call must not fail because its record cannot be kept
            self._background.dropped += 1

    def flush(self) -> None:
        """Wait until what was logged is written, for 5 seconds at most."""
        self._background.flush(_END_S)

    def close(self) -> None:
        """Write what waits, and say on standard error what was lost; `logging` calls it when the program ends."""
        if not self._closed:
            self._closed = True
            self.flush()
            lost = self._background.stop()
            if lost:
                sys.stderr.write(f"failaware: {lost:,} log records could not be kept\n")
        super().close()

    def _kept(self, record: logging.LogRecord) -> Observed:
        masker = self._store.recorder.masker
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        message, alike = _words(record)
        if isinstance(record.msg, dict):  # structlog hands its event over as a dict
            fields |= {name: value for name, value in record.msg.items() if name not in {"event", "exc_info"}}
        error = _raised(record)
        failed = (
            failure(record.levelname, message, None, fingerprint=alike, masker=masker)
            if error is None
            else describe(error, masker=masker)
        )
        return observed(self._event(record, message, fields), failed)

    def _event(self, record: logging.LogRecord, message: str, fields: dict[str, Any]) -> NewEvent:
        payload = {
            "message": bounded(message, MAX_MESSAGE),
            "level": record.levelname,
            "where": f"{record.pathname}:{record.lineno} {record.funcName}",
            "thread": record.threadName,
            "extra": as_json(fields),
        }
        at = int(record.created * 1_000_000)
        name = as_name(record.name)  # a logger may have any
        return event_of(self._store.recorder, name, payload, now=at, source=f"logging:{record.process}")


def _raised(record: logging.LogRecord) -> BaseException | None:
    """The exception that is logged; structlog's dict may say it as an exception, a tuple, or that there is one."""
    said: Any = record.exc_info
    if isinstance(record.msg, dict) and not said:
        said = record.msg.get("exc_info")
    if isinstance(said, BaseException):
        return said
    kind, error, _ = said if isinstance(said, tuple) else sys.exc_info() if said else (None, None, None)
    return error if kind is not None else None


def _words(record: logging.LogRecord) -> tuple[str, str | None]:
    """The message, and the format that it was made of, if there was one."""
    if isinstance(record.msg, dict):
        return str(record.msg.get("event", "")), None
    try:
        return record.getMessage(), record.msg if record.args and isinstance(record.msg, str) else None
    except (TypeError, ValueError, KeyError):  # the arguments do not fit, which is no reason to lose the rest
        return f"{record.msg} % {record.args!r}", None
