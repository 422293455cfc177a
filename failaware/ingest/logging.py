"""What a program logs, as failures: a handler for the standard `logging`, and so for structlog's stdlib path.

The program is never held up and never hurt: records go through a bounded queue to a thread that writes them in batches;
what does not fit is counted, and said.
"""

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from failaware.errors import FailawareError
from failaware.ingest.capture import MAX_MESSAGE, describe, failure
from failaware.ingest.record import as_json
from failaware.model import Failure, NewEvent
from failaware.text import bounded

if TYPE_CHECKING:
    from failaware.store import Store

_BATCH = 500  # records in one transaction
_RETRY_S = 0.5  # after the store could not be written
_END_S = 5.0  # how long the end of the program waits for what is in the queue
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_Kept = tuple[NewEvent, Failure]


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
        self.dropped = 0
        self._store = store
        self._capacity = capacity
        self._start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; never raises, never waits."""
        try:
            if self._pid != os.getpid():  # the thread has stayed in the parent
                self._start()
            self._waiting.put_nowait(self._kept(record))
        except Exception:  # noqa: BLE001 - a log call must not fail because its record cannot be kept
            self.dropped += 1

    def flush(self) -> None:
        """Wait until what was logged is written, for 5 seconds at most."""
        deadline = time.monotonic() + _END_S
        while self._pid == os.getpid() and self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)

    def close(self) -> None:
        """Write what waits, and say on standard error what was lost; `logging` calls it when the program ends."""
        if self._pid == os.getpid() and not self._ending.is_set():
            self.flush()
            self._ending.set()
            self._thread.join(timeout=1)
            lost = self.dropped + self._waiting.unfinished_tasks
            if lost:
                sys.stderr.write(f"failaware: {lost:,} log records could not be kept\n")
        super().close()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._waiting: queue.Queue[_Kept] = queue.Queue(self._capacity)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True, name="failaware-log")
        self._thread.start()

    def _write(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(queue.Empty):
                batch = [self._waiting.get(timeout=0.05)]
                while len(batch) < _BATCH and not self._waiting.empty():
                    batch.append(self._waiting.get_nowait())
                self._write_batch(batch)

    def _write_batch(self, batch: list[_Kept]) -> None:
        while not self._ending.is_set():
            try:
                self._store.ingest(batch, [])
            except FailawareError:
                self._ending.wait(_RETRY_S)  # the disk may be full, or someone holds the store: try again
                continue
            except Exception:  # noqa: BLE001 - a fault of ours must not end the thread that keeps the others
                self.dropped += len(batch)
            for _ in batch:
                self._waiting.task_done()
            return

    def _kept(self, record: logging.LogRecord) -> _Kept:
        masker = self._store.recorder.masker
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        message, alike = _words(record)
        if isinstance(record.msg, dict):  # structlog hands its event over as a dict
            fields |= {name: value for name, value in record.msg.items() if name != "event"}
        error = record.exc_info[1] if record.exc_info else None
        failed = (
            failure(record.levelname, message, None, fingerprint=alike, masker=masker)
            if error is None
            else describe(error, masker=masker)
        )
        return self._event(record, message, fields), failed

    def _event(self, record: logging.LogRecord, message: str, fields: dict[str, Any]) -> NewEvent:
        payload = {
            "message": bounded(message, MAX_MESSAGE),
            "level": record.levelname,
            "where": f"{record.pathname}:{record.lineno} {record.funcName}",
            "thread": record.threadName,
            "extra": as_json(fields),
        }
        at = int(record.created * 1_000_000)
        return self._store.recorder.event(record.name, payload, now=at, source=f"logging:{record.process}")[0]


def _words(record: logging.LogRecord) -> tuple[str, str | None]:
    """The message, and the format that it was made of, if there was one."""
    if isinstance(record.msg, dict):
        return str(record.msg.get("event", "")), None
    try:
        return record.getMessage(), record.msg if record.args and isinstance(record.msg, str) else None
    except (TypeError, ValueError, KeyError):  # the arguments do not fit, which is no reason to lose the rest
        return f"{record.msg} % {record.args!r}", None
