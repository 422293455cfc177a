"""One store of several, asked in a thread of its own, so that a store that does not answer delays no other."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol

from failaware.errors import FailawareError, StoreError, StoreMissing
from failaware.federation.places import StorePlace
from failaware.federation.questions import Progress, Questions

_REMOTE_POLL_S = 1.0
_AGAIN_S = 2.0  # after a store could not be opened, the next attempt is made


class Answering(Protocol):
    """A store on this host or on another."""

    def ask(self, handle: int, question: str, args: list[Any], named: dict[str, Any], progress: Progress) -> Any:
        """Answer a question, as `Questions.ask`."""

    def interrupt(self) -> None:
        """Cancel the query that is running, from another thread."""

    def close(self) -> None:
        """Close it."""


class Part:
    """A store with its name and number, from 1."""

    def __init__(self, number: int, place: StorePlace, clock: Callable[[], int] | None) -> None:
        self.number = number
        self.name = place.name
        self.place = place.place
        self.problem: str | None = None
        """Why it is left out; None while it answers."""
        self.alive_at = time.monotonic()
        """When it last answered or reported progress."""
        self.is_open = False
        self.generation = 0
        """How often it was opened: handles and tokens are those of one opening."""
        self.poll_s = _REMOTE_POLL_S if place.is_remote else 0.0
        """How long to wait between two questions whether it has changed."""
        self.is_remote, self._clock = place.is_remote, clock
        self._answering: Answering | None = None
        self._tried_at: float | None = None
        self._refused = ""  # why it could not be opened then
        self._pending = 0
        self._lock = threading.Lock()
        self._requests: queue.SimpleQueue[tuple[Future[Any], tuple[Any, ...]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True, name=f"failaware-{self.name}").start()

    @property
    def is_busy(self) -> bool:
        """Whether a question waits for its answer."""
        return self._pending > 0

    def submit(self, handle: int, question: str, *args: Any, **named: Any) -> Future[Any]:
        """Ask; the future has the answer or the error. `on_progress` is called from the store's thread."""
        future: Future[Any] = Future()
        with self._lock:
            self._pending += 1
        self._requests.put((future, (handle, question, list(args), named)))
        return future

    def interrupt(self) -> None:
        """Cancel the query that is running."""
        answering = self._answering
        if answering is not None:
            answering.interrupt()

    def close(self) -> None:
        """End the thread once it is idle; a store that does not answer is not waited for."""
        self._requests.put(None)

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            future, (handle, question, args, named) = request
            self.alive_at = time.monotonic()
            progress = named.pop("on_progress", None)
            try:
                future.set_result(self._opened().ask(handle, question, args, named, self._alive(progress)))
            except BaseException as error:  # noqa: BLE001 - it is raised where the question was asked
                if isinstance(error, StoreMissing):
                    self._close()
                future.set_exception(error)
            finally:
                with self._lock:
                    self._pending -= 1
        self._close()

    def _alive(self, progress: Progress | None) -> Progress:
        def report(done: int, total: int) -> None:
            self.alive_at = time.monotonic()
            if progress is not None:
                progress(done, total)

        return report

    def _opened(self) -> Answering:
        if self._answering is None:
            if self._tried_at is not None and time.monotonic() - self._tried_at < _AGAIN_S:
                raise StoreError(self._refused)
            self._tried_at = time.monotonic()
            try:
                self._answering = self._open()
            except FailawareError as error:
                self._refused = str(error)
                raise StoreError(str(error)) from error
            self.is_open = True
            self.generation += 1
        return self._answering

    def _open(self) -> Answering:
        if self.is_remote:
            from failaware.federation.ssh import RemoteStore

            return RemoteStore(self.place)
        return Questions(self.place, self._clock)

    def _close(self) -> None:
        """Close it; the next question opens it again."""
        answering, self._answering, self.is_open = self._answering, None, False
        if answering is not None:
            with suppress(FailawareError):
                answering.close()
