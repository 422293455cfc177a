"""Records what a program logs: a handler for the standard `logging`, and therefore for structlog, loguru and Django.

Records go through a bounded queue to a thread that writes them in batches, so the program never waits and never fails
because of it. Records that do not fit are counted, and reported at the end.
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
from failaware.model import ERROR_HERE, EventWithAttempts, Failure, NewEvent
from failaware.text import bounded, microseconds

if TYPE_CHECKING:
    from failaware.store import Store

_CLOSE_TIMEOUT_S = 5.0  # longest wait for the queue when the program ends


class FailureHandler(logging.Handler):
    """Records what is logged at ERROR and above: `logging.getLogger().addHandler(FailureHandler(store))`.

    The event's type is the logger's name; its payload has the place of the call and the `extra`. The error is the
    exception (`exc_info`, or a traceback at the end of the message); without one it is the message, and messages with
    the same format string belong to one cluster. Each event is DEAD: no worker retries it.

    Args:
        store: the store to record in; it must stay open for as long as the handler is used. A path or URL, as in
            `logging.config`, is opened.
        level: the lowest level that is recorded.
        capacity: the most records in the queue; further ones are dropped and counted in `dropped`.

    Raises:
        StoreError: the store at that path cannot be opened.
    """

    def __init__(
        self, store: "Store | str | Path", level: int | str = logging.ERROR, *, capacity: int = 10_000
    ) -> None:
        self._store = _opened(store)  # first: logging.shutdown flushes what has called Handler.__init__
        super().__init__(level)
        self._background = Background(self._store, capacity, "log records", close_timeout_s=_CLOSE_TIMEOUT_S)

    @property
    def dropped(self) -> int:
        """How many records were lost in this process."""
        return self._background.dropped

    def handle(self, record: logging.LogRecord) -> bool:
        """Record a record that passes the filters; without the handler's lock, which could deadlock with our thread."""
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record. Never raises; waits only in a process that may end without notice, for at most 0.2 s."""
        event = guarded(lambda: self._observed(record), None) or guarded(lambda: self._observed(_bare(record)), None)
        if event is None:
            self._background.drop(f"a record of {short_name(type(record))} that cannot be read")
        else:
            self._background.put(event)

    def flush(self) -> None:
        """Wait until all queued records are written, for at most 5 seconds."""
        self._background.flush(_CLOSE_TIMEOUT_S)

    def close(self) -> None:
        """Write the queued records, for at most 5 seconds, and report lost ones on standard error.

        `logging` calls it when the program ends and when it is reconfigured. Later records are still recorded.
        """
        self._background.close()
        super().close()

    def _observed(self, record: logging.LogRecord) -> EventWithAttempts:
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
        name = as_name(text_of(record.name), self._store.session.recorder)  # a logger may have any name
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
    """Return a record with only the attributes that have their plain type: logger, level, format and place."""
    kinds = {"name": str, "levelname": str, "msg": str, "pathname": str, "funcName": str, "lineno": int, "levelno": int}
    kinds |= {"created": float, "process": int}
    values = {name: getattr(record, name, None) for name in kinds}
    plain = {name: value for name, value in values.items() if type(value) is kinds[name]}
    return logging.makeLogRecord({"msg": f"<unreadable {short_name(type(values['msg']))}>"} | plain)


def _moment(seconds: float, now: int) -> int:
    """Return when it was logged (µs), or `now` if that is not a valid time."""
    try:
        return microseconds(datetime.fromtimestamp(seconds, UTC))
    except (TypeError, ValueError, OverflowError, OSError):
        return now
