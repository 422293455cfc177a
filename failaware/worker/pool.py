"""Runs handlers: plain ones on threads, async ones on one event loop. `gather` returns their results.

Each submitted event comes back through `gather`, even if its handler ends its thread, cancels its task or stops the
event loop. A running handler cannot be stopped, except with its process.
"""

import queue
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from failaware.capture.secrets.masking import Masker
from failaware.errors import UsageError
from failaware.facts.claim import Claimed
from failaware.worker.attempt import Attempt, HandlerResult, failed, from_handler
from failaware.worker.handlers import Handler
from failaware.worker.outcome import check_has_run

if TYPE_CHECKING:
    import asyncio

Job = tuple[Claimed, Handler]


class Pool:
    """Runs up to `concurrency` plain handlers at once, and as many async ones.

    Raises:
        UsageError: that many threads cannot be started.
    """

    def __init__(self, concurrency: int, clock: Callable[[], int], masker: Masker) -> None:
        self._results: deque[HandlerResult | Claimed] = deque()
        self._wanted = 0
        self._enough = Event()
        self._jobs: deque[Job] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # a thread that finds no job waits for an item
        self._clock, self._masker, self._concurrency = clock, masker, concurrency
        self._stopping = False
        self._threads: list[Thread] = []
        self._async: _AsyncPool | None = None
        try:
            for number in range(concurrency):
                thread = Thread(target=self._work, daemon=True, name=f"failaware-{number}")
                thread.start()
                self._threads.append(thread)
        except RuntimeError as error:
            self.stop()
            raise UsageError(
                f"only {len(self._threads):,} of {concurrency:,} threads can be started here; use a lower concurrency"
            ) from error

    def submit(self, jobs: list[Job]) -> None:
        """Start attempts; `gather` returns their results.

        Threads are woken once, not for each job: a thread switch costs more than a quick handler.
        """
        plain = [job for job in jobs if not job[1].is_async]
        self._jobs.extend(plain)
        for _ in range(min(len(plain), len(self._threads))):
            self._wake.put(None)
        if len(plain) < len(jobs):
            if self._async is None:
                self._async = _AsyncPool(self._concurrency, self._clock, self._masker, self._put)
            self._async.submit([job for job in jobs if job[1].is_async])

    def gather(self, wanted: int, timeout_s: float) -> list[HandlerResult | Claimed]:
        """Return `wanted` results as soon as there are so many, or the results so far after `timeout_s` seconds.

        The caller is woken once, too.
        """
        self._enough.clear()
        self._wanted = wanted
        if len(self._results) < wanted:
            self._enough.wait(timeout_s)
        return [self._results.popleft() for _ in range(min(wanted, len(self._results)))]

    def recall(self) -> list[Claimed]:
        """Return the events whose attempts have not begun, and do not start them."""
        return _drained(self._jobs) + ([] if self._async is None else self._async.recall())

    def stop(self) -> None:
        """Start no further attempt: events whose attempts have not begun come back through `gather` as claimed.

        Each thread, also that of the event loop, ends when it runs nothing, whether or not `join` is called.
        """
        if not self._stopping:
            self._stopping = True
            for _ in self._threads:
                self._wake.put(None)
            if self._async is not None:
                self._async.stop()

    def join(self) -> None:
        """Wait until the threads have ended; call `stop` first."""
        for thread in self._threads:
            thread.join()
        if self._async is not None:
            self._async.join()

    def _put(self, result: HandlerResult | Claimed) -> None:
        self._results.append(result)
        if len(self._results) >= self._wanted:
            self._enough.set()

    def _work(self) -> None:
        while True:
            try:
                claimed, handler = self._jobs.popleft()
            except IndexError:
                if self._stopping:
                    return
                self._wake.get()
                continue
            if self._stopping:
                self._put(claimed)
                continue
            try:
                result = self._attempt(claimed, handler)
            except BaseException as broken:  # noqa: BLE001 - our own error, or one raised in this thread from outside
                result = failed(claimed, handler, broken)
            self._put(result)

    def _attempt(self, claimed: Claimed, handler: Handler) -> HandlerResult:
        attempt = Attempt(claimed, handler, self._clock, self._masker)
        try:
            check_has_run(handler.function(claimed.event))
        except BaseException as raised:  # noqa: BLE001 - even a handler's SystemExit is a failure of its event
            return attempt.ended(from_handler(raised))
        return attempt.ended(None)


class _AsyncPool:
    """Runs async handlers on an event loop in its own thread; it continues if a handler stops or cancels it."""

    def __init__(
        self, concurrency: int, clock: Callable[[], int], masker: Masker, put: Callable[[HandlerResult | Claimed], None]
    ) -> None:
        import asyncio

        self._concurrency, self._clock, self._masker, self._put = concurrency, clock, masker, put
        self._jobs: deque[Job] = deque()
        self._running: dict[asyncio.Task[HandlerResult], Job] = {}
        self._stopping = False
        self._no_more = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, daemon=True, name="failaware-async")
        self._thread.start()

    def submit(self, jobs: list[Job]) -> None:
        """Start attempts."""
        self._jobs.extend(jobs)
        self._soon(self._start_more)

    def recall(self) -> list[Claimed]:
        """Return the events whose attempts have not begun, and do not start them."""
        return _drained(self._jobs)

    def stop(self) -> None:
        """Start no further attempt; the thread ends when nothing runs."""
        self._stopping = True
        self._soon(self._start_more)
        self._soon(self._no_more.set)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _soon(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop is closed: its thread has ended or is about to
            self._give_up(RuntimeError("the event loop was closed by a handler"))

    def _run(self) -> None:
        import asyncio

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # it also ends tasks that handlers left running
            while not self._loop.is_closed():
                try:
                    runner.run(self._until_stopped())
                    break
                except BaseException:  # noqa: BLE001, S112 - a handler stopped the loop, or a task of its own left it by SystemExit
                    continue
        self._give_up(RuntimeError("the event loop has ended"))

    async def _until_stopped(self) -> None:
        import asyncio

        self._start_more()
        await self._no_more.wait()
        while self._running:
            await asyncio.wait(list(self._running))

    def _start_more(self) -> None:
        while self._jobs and (self._stopping or len(self._running) < self._concurrency):
            try:
                job = self._jobs.popleft()
            except IndexError:
                return  # recalled meanwhile
            if self._stopping:
                self._put(job[0])
                continue
            task = self._loop.create_task(self._attempt(*job))
            self._running[task] = job
            task.add_done_callback(self._hand_over)

    async def _attempt(self, claimed: Claimed, handler: Handler) -> HandlerResult:
        attempt = Attempt(claimed, handler, self._clock, self._masker)
        try:
            check_has_run(await handler.function(claimed.event))
        except BaseException as raised:  # noqa: BLE001 - as in a thread
            return attempt.ended(from_handler(raised))
        return attempt.ended(None)

    def _hand_over(self, task: "asyncio.Task[HandlerResult]") -> None:
        job = self._running.pop(task)
        try:
            result = task.result()
        except BaseException as broken:  # noqa: BLE001 - cancelled before it began, or our own error
            result = failed(*job, broken)
        self._put(result)
        self._start_more()

    def _give_up(self, error: BaseException) -> None:
        """Return what no loop will run: running attempts as failed, the others as claimed."""
        while self._running:
            self._put(failed(*self._running.popitem()[1], error))
        for claimed in self.recall():
            self._put(claimed)


def _drained(jobs: deque[Job]) -> list[Claimed]:
    """Remove the jobs that no thread has taken."""
    drained = []
    with suppress(IndexError):
        while True:
            drained.append(jobs.popleft()[0])
    return drained
