"""A bounded queue to a thread that writes: for programs that must neither wait for the store nor be hurt by it.

What does not fit is counted. After a fork the child has a queue and a thread of its own.
"""

import contextlib
import os
import queue
import threading
import time
from typing import TYPE_CHECKING

from failaware.errors import StoreError
from failaware.model import Observed

if TYPE_CHECKING:
    from failaware.store import Store

_BATCH = 500  # events in one transaction
_RETRY_S = 0.5  # after the store could not be written


class Background:
    """Writes events with their attempts, in batches, from any thread.

    Args:
        store: where to; it must outlast this.
        capacity: how many may wait to be written; more are dropped, and counted in `dropped`.
    """

    def __init__(self, store: "Store", capacity: int) -> None:
        self._store = store
        self._capacity = capacity
        self._start()

    def put(self, event: Observed) -> None:
        """Take an event; never waits, never raises."""
        if self._pid != os.getpid():  # the thread has stayed in the parent
            self._start()
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    @property
    def waiting(self) -> int:
        """How many are not written yet."""
        return self._waiting.unfinished_tasks if self._pid == os.getpid() else 0

    def flush(self, seconds: float) -> bool:
        """Wait until what was put is written, for so long at most; whether it is."""
        deadline = time.monotonic() + seconds
        while self.waiting and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self.waiting

    def stop(self) -> int:
        """End the thread; from then on nothing is written. Returns how many were dropped, in this process."""
        if self._pid != os.getpid():
            return 0
        if not self._ending.is_set():
            self._ending.set()
            self._thread.join(timeout=1)
            self.dropped += self.waiting
        return self.dropped

    def _start(self) -> None:
        self._pid = os.getpid()
        self.dropped = 0
        self._waiting: queue.Queue[Observed] = queue.Queue(self._capacity)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True, name="failaware")
        self._thread.start()

    def _write(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(queue.Empty):
                batch = [self._waiting.get(timeout=0.05)]
                while len(batch) < _BATCH and not self._waiting.empty():
                    batch.append(self._waiting.get_nowait())
                self._write_batch(batch)

    def _write_batch(self, batch: list[Observed]) -> None:
        while not self._ending.is_set():
            try:
                self._store.ingest(batch, [])
            except StoreError:
                self._ending.wait(_RETRY_S)  # the disk may be full, or someone holds the store: try again
                continue
            except Exception:  # noqa: BLE001 - what no store takes, or a fault of ours, must not keep out the others
                if len(batch) > 1:
                    for event in batch:
                        self._write_batch([event])
                    return
                self.dropped += 1
            for _ in batch:
                self._waiting.task_done()
            return
