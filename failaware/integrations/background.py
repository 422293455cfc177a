"""A bounded queue and a thread that writes its events; the observed program never waits for the store.

Events that do not fit or cannot be written are counted and reported on standard error at the end. A process that may
end without notice (a forked child, a child of multiprocessing, an exiting interpreter) waits shortly for each write.
"""

import atexit
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from failaware.errors import KeyConflict, StoreError
from failaware.model import EventWithAttempts
from failaware.text import one_line

if TYPE_CHECKING:
    from failaware.store import Store

_BATCH = 500  # events in one transaction
_RETRY_S = 0.5  # pause after the store could not be written
_PUT_WAIT_S = 0.2  # longest wait of `put` for the write, in a process that may end without notice
_MAX_REASON = 200  # characters
_MAX_WAITING = 268_435_456  # characters of queued payloads and tracebacks

_forked = False


class Background:
    """Writes events with their attempts in batches. `put` may be called from any thread and from signal handlers.

    The thread starts with the first event, with the first one after `close`, and with the first one in a forked child,
    which has its own queue.

    Args:
        store: the store to write to; it must stay open for as long as this is used.
        capacity: the most events in the queue; further ones are dropped and counted in `dropped`.
        noun: what the events are, in the report of dropped ones: "log records".
        close_timeout_s: the longest wait of `close`, in seconds.
    """

    def __init__(self, store: "Store", capacity: int, noun: str, *, close_timeout_s: float) -> None:
        self._store, self._capacity, self._noun, self._close_timeout_s = store, capacity, noun, close_timeout_s
        self.reset()
        _ALL.add(self)

    def reset(self) -> None:
        """Start with an empty queue and no thread; in a forked child, the parent writes what was queued."""
        self._lock = threading.RLock()
        self._waiting: deque[EventWithAttempts] = deque()
        self._size = 0  # characters in it
        self._wake: SimpleQueue[None] = SimpleQueue()  # its put is reentrant, unlike that of Queue, or Event.set
        self._thread: threading.Thread | None = None
        self._finalizer: Any = None
        self._ending = False
        self._keeps_up = True  # no write failed or timed out since the last successful one
        self.dropped = self._reported = 0
        self._reason = ""

    def put(self, event: EventWithAttempts) -> None:
        """Queue an event. Never raises; waits only in a process that may end without notice, for at most 0.2 s."""
        if self.is_writer_thread():
            self.drop("it came from the thread that writes")  # writing it would cause the next one
        elif len(self._waiting) >= self._capacity:
            self.drop(self._reason or f"more than {self._capacity:,} were waiting to be written")
        elif self._size >= _MAX_WAITING:
            self.drop(self._reason or f"more than {_MAX_WAITING:,} characters were waiting to be written")
        elif sys.is_finalizing():  # a destructor's: threads have ended, and Python 3.11 waits forever for a new one
            self._write_without_thread(event, "the interpreter had ended")
        elif self._add(event) and self._keeps_up and _ends_without_notice():
            self._keeps_up = self.flush(_PUT_WAIT_S)

    def drop(self, reason: str) -> None:
        """Count an event that is lost, with the reason."""
        self.dropped += 1
        self._reason = one_line(reason, _MAX_REASON)

    def is_writer_thread(self) -> bool:
        """Whether the current thread is the one that writes."""
        return threading.current_thread() is self._thread

    @property
    def waiting(self) -> int:
        """How many events are not written yet."""
        return len(self._waiting)

    def flush(self, seconds: float) -> bool:
        """Wait until all queued events are written, for at most `seconds`; return whether they are."""
        deadline, pause = time.monotonic() + seconds, 0.0005
        while self._waiting and time.monotonic() < deadline and not self.is_writer_thread():
            time.sleep(pause)
            pause = min(0.005, 2 * pause)
        return not self._waiting

    def close(self) -> None:
        """Write the queued events, stop the thread, and report lost events. A later event starts the thread again."""
        self.flush(self._close_timeout_s)
        self.abandon()

    def abandon(self) -> None:
        """Drop the queued events, stop the thread, and report the events lost since the last report."""
        with self._lock:
            self.dropped += len(self._waiting)
            self._waiting, self._size = deque(), 0
            thread = self._thread
            self._ending = not _is_exiting()  # an exiting interpreter cannot start another: keep it for later events
            self._wake.put(None)
        if thread is not None and self._ending and not self.is_writer_thread():
            thread.join(timeout=1)
        self._report()

    def _report(self) -> None:
        lost, self._reported = self.dropped - self._reported, self.dropped
        if lost:
            with suppress(Exception):  # standard error may be missing or closed
                reason = f": {self._reason}" if self._reason else ""
                sys.stderr.write(f"failaware: {lost:,} {self._noun} could not be kept{reason}\n")

    def _add(self, event: EventWithAttempts) -> bool:
        """Queue an event and start the thread if necessary; return False if it cannot be started."""
        with self._lock:
            if self._thread is None:
                self._ending = False
                self._thread = threading.Thread(target=self._write, daemon=True, name="failaware")
                try:
                    self._thread.start()
                except RuntimeError as error:  # the interpreter exits, or there are too many threads
                    self._thread = None
                    self._write_without_thread(event, str(error))
                    return False
            self._waiting.append(event)
            self._size += _size_of(event)
            self._wake.put(None)
        self._flush_at_child_exit()
        return True

    def _write_without_thread(self, event: EventWithAttempts, reason: str) -> None:
        """Write an event without a thread if the interpreter exits; otherwise drop it.

        Threads that the end of the interpreter stopped in a transaction hold the store's lock forever.
        """
        if _is_exiting() and self._keeps_up and (not sys.is_finalizing() or self._store.session.is_idle()):
            try:
                self._store.session.ingest([event], [])
            except Exception as error:  # noqa: BLE001
                reason, self._keeps_up = str(error), False  # further ones do not wait for a locked store again
            else:
                return
        self.drop(reason)
        self._report()

    def _flush_at_child_exit(self) -> None:
        """Register `close` for children of multiprocessing, which skip `atexit` but run its finalizers."""
        util = sys.modules.get("multiprocessing.util")
        if util is None or not _is_multiprocessing_child():
            return
        if self._finalizer is None or not self._finalizer.still_active():  # each child starts with an empty registry
            self._finalizer = util.Finalize(None, self.close, exitpriority=10)

    def _write(self) -> None:
        try:
            while not self._is_done():
                self._wake.get()
                while self._waiting:
                    self._write_batch(self._waiting, _BATCH)
        except BaseException:  # most likely MemoryError: the next event starts another thread
            self._thread = None
            raise

    def _is_done(self) -> bool:
        with self._lock:
            if self._ending and not self._waiting:
                self._thread = None
                return True
        return False

    def _write_batch(self, waiting: deque[EventWithAttempts], most: int) -> None:
        """Write the first events of the queue, then remove them; only this thread removes any."""
        batch = [waiting[position] for position in range(min(len(waiting), most))]
        while waiting is self._waiting:  # until `abandon` replaces it
            try:
                self._store.session.ingest(batch, [])
            except StoreError as error:
                self._keeps_up = False
                self._reason = one_line(str(error), _MAX_REASON)
                time.sleep(_RETRY_S)  # the disk may be full, or the store locked by another process
                continue
            except Exception as error:  # noqa: BLE001 - an event that cannot be stored must not block the others
                if len(batch) > 1:
                    for _ in batch:
                        self._write_batch(waiting, 1)
                    return
                if isinstance(error, KeyConflict):  # the key belongs to an event of another type: record without it
                    batch = [batch[0]._replace(event=batch[0].event._replace(key=None))]
                    continue
                self.drop(str(error))
            with self._lock:
                for _ in batch:
                    waiting.popleft()
                self._size = self._size - sum(map(_size_of, batch)) if self._waiting else 0
            self._keeps_up = True
            return


def _size_of(observed: EventWithAttempts) -> int:
    """Return the characters of an event's payload and tracebacks."""
    failures = (attempt.failure for attempt in observed.attempts)
    return len(observed.event.event_payload) + sum(len(failure.traceback or "") for failure in failures if failure)


def _ends_without_notice() -> bool:
    """Whether this process may end before the thread has written: many forked children end with `os._exit`."""
    return _forked or _is_multiprocessing_child() or _is_exiting()


def _is_multiprocessing_child() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _is_exiting() -> bool:
    """Whether the interpreter is running its `atexit` functions."""
    return not threading.main_thread().is_alive()


_ALL: WeakSet[Background] = WeakSet()


def _after_fork_in_child() -> None:
    global _forked  # noqa: PLW0603 - it is per process
    _forked = True
    for background in list(_ALL):
        background.reset()


def _close_all() -> None:
    """Close all at exit, also handlers that `logging` dropped when it was reconfigured."""
    for background in list(_ALL):
        background.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)
