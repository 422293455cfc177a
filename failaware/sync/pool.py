"""Where handlers run: plain ones on threads, async ones on one event loop. `gather` hands out what has come of them.

A handler can be killed with its process but not stopped from within, so the pool waits for what is in hand.
"""

import queue
from collections import deque
from collections.abc import Callable
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from failaware.model import Claimed
from failaware.sync.attempt import Tried, from_handler, must_have_run
from failaware.sync.handlers import Handler

if TYPE_CHECKING:
    import asyncio

Job = tuple[Claimed, Handler]


class Pool:
    """Up to `concurrency` plain handlers at once, and as many async ones."""

    def __init__(self, concurrency: int, clock: Callable[[], int]) -> None:
        self._results: deque[Tried | Claimed] = deque()
        self._wanted = 0
        self._enough = Event()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._clock = clock
        self._stopping = False
        self._concurrency = concurrency
        self._threads = [Thread(target=self._work, daemon=True, name=f"failaware-{n}") for n in range(concurrency)]
        for thread in self._threads:
            thread.start()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tries: set[asyncio.Task[None]] = set()

    def submit(self, claimed: Claimed, handler: Handler) -> None:
        """Start a try; its result comes through `gather`."""
        if handler.is_async:
            self._submit_async(claimed, handler)
        else:
            self._jobs.put((claimed, handler))

    def gather(self, wanted: int, timeout_s: float) -> list[Tried | Claimed]:
        """What has come of the handlers: once there are `wanted` results, or what there is when the time is up.

        The waiting thread is woken once, not for each result: a change of threads costs more than a quick handler.
        """
        self._enough.clear()
        self._wanted = wanted
        if len(self._results) < wanted:
            self._enough.wait(timeout_s)
        return [self._results.popleft() for _ in range(min(wanted, len(self._results)))]

    def _put(self, result: Tried | Claimed) -> None:
        self._results.append(result)
        if len(self._results) >= self._wanted:
            self._enough.set()

    def stop(self) -> None:
        """Start nothing more: what has not begun comes back through `gather` as it was claimed.

        Each thread ends once it has nothing in hand, the event loop's too, whether or not anyone waits for it.
        """
        if not self._stopping:
            self._stopping = True
            for _ in range(self._concurrency):
                self._jobs.put(None)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._no_more.set)

    def join(self) -> None:
        """Wait until the threads have ended, after `stop`."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            claimed, handler = job
            if self._stopping:
                self._put(claimed)
                continue
            started_at = self._clock()
            error: BaseException | None = None
            try:
                must_have_run(handler.function(claimed.event))
            except BaseException as raised:  # noqa: BLE001 - even SystemExit in a handler is that event's failure
                error = from_handler(raised)
            self._put(Tried(claimed, handler, error, started_at, max(started_at, self._clock())))

    def _submit_async(self, claimed: Claimed, handler: Handler) -> None:
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._slots, self._no_more = asyncio.Semaphore(self._concurrency), asyncio.Event()
            thread = Thread(target=self._run_loop, args=(self._loop,), daemon=True, name="failaware-async")
            thread.start()
            self._threads.append(thread)
        self._loop.call_soon_threadsafe(self._begin_async, self._loop, claimed, handler)

    def _run_loop(self, loop: "asyncio.AbstractEventLoop") -> None:
        import asyncio

        with asyncio.Runner(loop_factory=lambda: loop) as runner:  # it also ends what handlers have left running
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        import asyncio

        await self._no_more.wait()
        await asyncio.gather(*self._tries, return_exceptions=True)

    def _begin_async(self, loop: "asyncio.AbstractEventLoop", claimed: Claimed, handler: Handler) -> None:
        trying = loop.create_task(self._work_async(claimed, handler))
        self._tries.add(trying)
        trying.add_done_callback(self._tries.discard)

    async def _work_async(self, claimed: Claimed, handler: Handler) -> None:
        async with self._slots:
            if self._stopping:
                self._put(claimed)
                return
            started_at = self._clock()
            error: BaseException | None = None
            try:
                result: Any = handler.function(claimed.event)
                await result
            except BaseException as raised:  # noqa: BLE001 - as above
                error = from_handler(raised)
            self._put(Tried(claimed, handler, error, started_at, max(started_at, self._clock())))
