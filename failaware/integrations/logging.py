"""What a program logs, as failures: a handler for the standard `logging`, and so for structlog, loguru and Django.

The program is never held up and never hurt: records go through a bounded queue to a thread that writes them in batches;
what does not fit is counted, and reported at the end.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from failaware.capture.exceptions import MAX_MESSAGE, MAX_TRACEBACK, describe, failure
from failaware.capture.external import event_of, observed
from failaware.capture.guarded import guarded, short_name, text_of
from failaware.capture.record import as_name
from failaware.integrations.background import Background
from failaware.integrations.log_record import LogEntry, read_record
from failaware.model import ERROR_HERE, Failure, NewEvent, Observed
from failaware.text import bounded, microseconds

if TYPE_CHECKING:
    from failaware.store import Store

_END_S = 5.0  # how long the end of the program waits for what is in the queue


class FailureHandler(logging.Handler):
    """Records what is logged at ERROR and above: `logging.getLogger().addHandler(FailureHandler(store))`.

    The event's type is the logger's name, its payload says where it was logged and holds the `extra`. An exception
    (`exc_info`, or a traceback at the end of the message) is the error; otherwise the message is, and similar messages
    are grouped by the format before its arguments are filled in. Each is DEAD: nobody here will retry it.

    Args:
        store: where to; it must outlast the handler. A path or URL opens the store: for `logging.config`.
        level: from which level on.
        capacity: how many records may wait to be written; more are dropped and counted in `dropped`.

    Raises:
        StoreError: the store at that path cannot be used.
    """

    def __init__(
        self, store: "Store | str | Path", level: int | str = logging.ERROR, *, capacity: int = 10_000
    ) -> None:
        super().__init__(level)
        self._store = _opened(store)
        self._background = Background(self._store, capacity, "log records", end_s=_END_S)

    @property
    def dropped(self) -> int:
        """How many records were not kept, in this process."""
        return self._background.dropped

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record that passes the filters, without the lock of other handlers, which our thread may wait for."""
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; never raises, and waits only where the process may end without notice (0.2 s at most)."""
        event = guarded(lambda: self._observed(record), None) or guarded(lambda: self._observed(_bare(record)), None)
        if event is None:
            self._background.drop(f"a record of {short_name(type(record))} that cannot be read")
        else:
            self._background.put(event)

    def flush(self) -> None:
        """Wait until what was logged is written, for 5 seconds at most."""
        self._background.flush(_END_S)

    def close(self) -> None:
        """Write what waits, for 5 seconds at most, and report on standard error what was lost.

        `logging` calls it when the program ends, and when it is configured; a record that comes later is kept as well.
        """
        self._background.close()
        super().close()

    def _observed(self, record: logging.LogRecord) -> Observed:
        entry = read_record(record)
        return observed(self._event(record, entry), self._failure(record, entry))

    def _failure(self, record: logging.LogRecord, entry: LogEntry) -> Failure:
        masker = self._store.session.recorder.masker
        if entry.error is not None:
            return describe(entry.error, masker=masker)
        if entry.raised is not None:
            kind, message, cause, traceback = entry.raised
            return failure(kind, message, traceback, cause=cause, masker=masker)
        stack = entry.stack and f"{entry.stack}\n{ERROR_HERE}\n"
        level = text_of(record.levelname) or "ERROR"
        return failure(level, entry.message, stack, fingerprint=entry.template, masker=masker)

    def _event(self, record: logging.LogRecord, entry: LogEntry) -> NewEvent:
        payload = {
            "message": bounded(entry.message, MAX_MESSAGE),
            "level": text_of(record.levelname),
            "where": "{}:{} {}".format(*map(text_of, (record.pathname, record.lineno, record.funcName))),
            "thread": record.threadName,
            "extra": entry.fields,
        }
        if entry.stack and (entry.error or entry.raised):
            payload["stack"] = bounded(entry.stack, MAX_TRACEBACK)
        now = self._store.session.clock()
        name = as_name(text_of(record.name), self._store.session.recorder)  # a logger may have any
        source = as_name(f"logging:{text_of(record.process)}", self._store.session.recorder)
        return event_of(
            self._store.session.recorder,
            name,
            payload,
            now=now,
            source=source,
            occurred_at=_moment(record.created, now),
        )


def _opened(store: "Store | str | Path") -> "Store":
    if not isinstance(store, str | Path):
        return store
    from failaware.store import Store

    return Store.open(store)


def _bare(record: logging.LogRecord) -> logging.LogRecord:
    """A record with only what can do no harm: the logger, the level, the format and the place."""
    kinds = {"name": str, "levelname": str, "msg": str, "pathname": str, "funcName": str, "lineno": int, "levelno": int}
    kinds |= {"created": float, "process": int}
    values = {name: getattr(record, name, None) for name in kinds}
    kept = {name: value for name, value in values.items() if type(value) is kinds[name]}
    return logging.makeLogRecord({"msg": f"<unreadable {short_name(type(values['msg']))}>"} | kept)


def _moment(seconds: float, now: int) -> int:
    """When it was logged (µs), or `now` where that is no time that a calendar has."""
    try:
        return microseconds(datetime.fromtimestamp(seconds, UTC))
    except (TypeError, ValueError, OverflowError, OSError):
        return now
