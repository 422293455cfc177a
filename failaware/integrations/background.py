"""A bounded queue to a thread that writes: for programs that must neither wait for the store nor be hurt by it.

What does not fit, or cannot be written, is counted and reported on standard error at the end. A process that may end
without notice (a forked child, a child of multiprocessing, an interpreter that exits) waits a moment for each write.
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
from failaware.model import Observed
from failaware.text import one_line

if TYPE_CHECKING:
    from failaware.store import Store

_BATCH = 500  # events in one transaction
_RETRY_S = 0.5  # after the store could not be written
_AT_ONCE_S = 0.2  # how long `put` waits for the write in a process that may end without notice
_MAX_REASON = 200  # characters
_MAX_WAITING = 268_435_456  # characters of payloads and tracebacks that wait, whatever their number

_forked = False


class Background:
    """Writes events with their attempts, in batches, from any thread; `put` may also be called by signal handlers.

    The thread starts with the first event, again with the first one after `close`, and again in a forked child, which
    has a queue of its own.

    Args:
        store: where to; it must outlast this.
        capacity: how many may wait to be written; more are dropped, and counted in `dropped`.
        things: what they are, for the sentence about those that were dropped.
        end_s: how long `close` waits, in seconds.
    """

    def __init__(self, store: "Store", capacity: int, things: str, *, end_s: float) -> None:
        self._store, self._capacity, self._things, self._end_s = store, capacity, things, end_s
        self.reset()
        _ALL.add(self)

    def reset(self) -> None:
        """Begin with an empty queue and no thread: in a forked child, whose parent writes what was waiting."""
        self._lock = threading.RLock()
        self._waiting: deque[Observed] = deque()
        self._size = 0  # characters in it
        self._wake: SimpleQueue[None] = SimpleQueue()  # its put is reentrant, those of Queue and Event are not
        self._thread: threading.Thread | None = None
        self._finalizer: Any = None
        self._ending = False
        self._keeps_up = True  # since the last failure to write
        self.dropped = self._reported = 0
        self._reason = ""

    def put(self, event: Observed) -> None:
        """Take an event; never raises, and never waits but for 0.2 s in a process that may end without notice."""
        if self.writes_here():
            self.drop("it came from the thread that writes")  # and writing it would bring the next one
        elif len(self._waiting) >= self._capacity:
            self.drop(self._reason or f"more than {self._capacity:,} were waiting to be written")
        elif self._size >= _MAX_WAITING:
            self.drop(self._reason or f"more than {_MAX_WAITING:,} characters were waiting to be written")
        elif self._add(event) and self._keeps_up and _ends_without_notice():
            self._keeps_up = self.flush(_AT_ONCE_S)

    def drop(self, reason: str) -> None:
        """Count an event that is not kept."""
        self.dropped += 1
        self._reason = one_line(reason, _MAX_REASON)

    def writes_here(self) -> bool:
        """Whether this is the thread that writes."""
        return threading.current_thread() is self._thread

    @property
    def waiting(self) -> int:
        """How many are not written yet."""
        return len(self._waiting)

    def flush(self, seconds: float) -> bool:
        """Wait until what was put is written, for so long at most; whether it is."""
        deadline, pause = time.monotonic() + seconds, 0.0005
        while self._waiting and time.monotonic() < deadline and not self.writes_here():
            time.sleep(pause)
            pause = min(0.005, 2 * pause)
        return not self._waiting

    def close(self) -> None:
        """Write what waits, end the thread, and report what was lost; an event that comes later starts it again."""
        self.flush(self._end_s)
        self.abandon()

    def abandon(self) -> None:
        """Drop what waits, end the thread, and report what was lost since the last report."""
        with self._lock:
            self.dropped += len(self._waiting)
            self._waiting, self._size = deque(), 0
            thread = self._thread
            self._ending = not _is_exiting()  # then no thread can be started: it stays for what is logged even later
            self._wake.put(None)
        if thread is not None and self._ending and not self.writes_here():
            thread.join(timeout=1)
        self._report()

    def _report(self) -> None:
        lost, self._reported = self.dropped - self._reported, self.dropped
        if lost:
            with suppress(Exception):  # there may be no standard error, or one that is closed
                reason = f": {self._reason}" if self._reason else ""
                sys.stderr.write(f"failaware: {lost:,} {self._things} could not be kept{reason}\n")

    def _add(self, event: Observed) -> bool:
        """Queue an event for the thread, which is started where it does not run; false when that cannot be."""
        with self._lock:
            if self._thread is None:
                self._ending = False
                self._thread = threading.Thread(target=self._write, daemon=True, name="failaware")
                try:
                    self._thread.start()
                except RuntimeError as error:  # the interpreter exits, or there are too many threads
                    self._thread = None
                    self._write_here(event, str(error))
                    return False
            self._waiting.append(event)
            self._size += _size_of(event)
            self._wake.put(None)
        self._flush_at_the_childs_end()
        return True

    def _write_here(self, event: Observed, reason: str) -> None:
        """Write an event, or drop it, where no thread can be started: it may be the last words of the program."""
        if _is_exiting():
            try:
                self._store.session.ingest([event], [])
            except Exception as error:  # noqa: BLE001
                reason = str(error)
            else:
                return
        self.drop(reason)
        self._report()

    def _flush_at_the_childs_end(self) -> None:
        """Children of multiprocessing end in `os._exit`, without `atexit`, but run these."""
        util = sys.modules.get("multiprocessing.util")
        if util is None or not _is_multiprocessing_child():
            return
        if self._finalizer is None or not self._finalizer.still_active():  # each child empties the registry at first
            self._finalizer = util.Finalize(None, self.close, exitpriority=10)

    def _write(self) -> None:
        try:
            while not self._is_done():
                self._wake.get()
                while self._waiting:
                    self._write_batch(self._waiting, _BATCH)
        except BaseException:  # out of memory, most likely: the next event starts another one
            self._thread = None
            raise

    def _is_done(self) -> bool:
        with self._lock:
            if self._ending and not self._waiting:
                self._thread = None
                return True
        return False

    def _write_batch(self, waiting: deque[Observed], most: int) -> None:
        """Write the first events of the queue, which keeps them until they are; only this thread removes any."""
        batch = [waiting[position] for position in range(min(len(waiting), most))]
        while waiting is self._waiting:  # which it is until `abandon`
            try:
                self._store.session.ingest(batch, [])
            except StoreError as error:
                self._keeps_up = False
                self._reason = one_line(str(error), _MAX_REASON)
                time.sleep(_RETRY_S)  # the disk may be full, or another process holds the store
                continue
            except Exception as error:  # noqa: BLE001 - one that no store takes must not keep out the others
                if len(batch) > 1:
                    for _ in batch:
                        self._write_batch(waiting, 1)
                    return
                if isinstance(
                    error, KeyConflict
                ):  # its key belongs to another type's event, and must not lose this one
                    batch = [batch[0]._replace(event=batch[0].event._replace(key=None))]
                    continue
                self.drop(str(error))
            with self._lock:
                for _ in batch:
                    waiting.popleft()
                self._size = self._size - sum(map(_size_of, batch)) if self._waiting else 0
            self._keeps_up = True
            return


def _size_of(observed: Observed) -> int:
    """Characters of the parts that may be large."""
    failures = (attempt.failure for attempt in observed.attempts)
    return len(observed.event.event_payload) + sum(len(failure.traceback or "") for failure in failures if failure)


def _ends_without_notice() -> bool:
    """Whether this process may be gone before the thread has written: many forked children end in `os._exit`."""
    return _forked or _is_multiprocessing_child() or _is_exiting()


def _is_multiprocessing_child() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _is_exiting() -> bool:
    """Whether the interpreter runs its last functions (`atexit`)."""
    return not threading.main_thread().is_alive()


_ALL: WeakSet[Background] = WeakSet()


def _after_fork_in_child() -> None:
    global _forked  # noqa: PLW0603 - a fact about the process
    _forked = True
    for background in list(_ALL):
        background.reset()


def _close_all() -> None:
    """At the end of the interpreter, for handlers that `logging` forgot when it was configured again."""
    for background in list(_ALL):
        background.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)
