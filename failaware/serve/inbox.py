"""Records what requests bring: one thread writes everything that waits in one transaction, then each is answered.

A transaction for twenty requests costs twice as much as one for a single request. So after each transaction, the next
one waits for as many requests as wrote in the last, whose clients may be sending the next ones, until none has arrived
for a millisecond. Example:

    A        is written at once; B and C arrive meanwhile
    B, C     are written together; A's client, which was answered, sends D meanwhile, then those of B and C send E and F
    D, E, F  are written together, because there were three clients: two that were answered and one that waited
"""

import asyncio
import threading
from collections import deque
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from failaware.errors import FailawareError, StoreBusy
from failaware.ingest.chunk import Collected
from failaware.model import NewReject
from failaware.serve.refusal import Refusal
from failaware.serve.timeouts import Timeouts
from failaware.session import Session

_MAX_WAITING_BYTES = 64 << 20  # of bodies that wait to be written
_WRITTEN_WITHIN_S = 25.0  # SDKs give up after 30 s
_MOST_EVENTS = 1_000  # in one transaction, unless one request has more
_GATHER_S = 0.001
_MOST_GATHERED = 64  # more requests in a transaction hardly save anything
_RETRY_AFTER_S = 5


class Written(NamedTuple):
    """What became of a request's entries: how many events are on disk, known ones included, and the rejects."""

    recorded: int
    rejects: list[NewReject]


class _Entry(NamedTuple):
    collected: Collected
    size: int
    answer: "asyncio.Future[Written]"


class Inbox:
    """Between the requests and the store. All methods run in the event loop; the thread only writes.

    Args:
        session: the store to record in.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: deque[_Entry] = deque()
        self._waiting_bytes = 0
        self._is_writing = False
        self._gathered = 1
        """How many requests the next transaction should have."""
        self._gathering: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._timeouts = Timeouts()
        self._batches: SimpleQueue[list[_Entry] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="failaware-serve")
        self._thread.start()

    async def put(self, collected: Collected, size: int) -> Written:
        """Wait until the events and rejects of a request are on disk.

        Args:
            collected: what the request has brought.
            size: bytes of its body.

        Raises:
            Refusal: too much waits already, or the store cannot be written; nothing may be lost, it was not recorded or
                the client was not told that it was.
        """
        if self._waiting_bytes + size > _MAX_WAITING_BYTES:
            raise Refusal(
                503, "too much waits for the store to be written; send it again", retry_after_s=_RETRY_AFTER_S
            )
        answer: asyncio.Future[Written] = self._loop.create_future()
        give_up = partial(_refuse, answer, "the store is locked; send it again")
        self._timeouts.add(give_up, _WRITTEN_WITHIN_S)
        self._waiting.append(_Entry(collected, size, answer))
        self._waiting_bytes += size
        self._write_soon()
        try:
            return await answer
        finally:
            self._timeouts.remove(give_up)

    async def close(self) -> None:
        """Write everything that waits, and end the thread."""
        while self._is_writing or self._waiting:
            self._write_waiting()
            await asyncio.sleep(_GATHER_S)
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)

    def _write_soon(self) -> None:
        """Write what waits if it is enough, or else in a moment."""
        if len(self._waiting) >= self._gathered:
            self._write_waiting()
        elif self._waiting and self._gathering is None and not self._is_writing:
            self._gather()

    def _gather(self) -> None:
        self._gathering = self._loop.call_later(_GATHER_S, self._end_gathering, len(self._waiting))

    def _end_gathering(self, waiting_before: int) -> None:
        """Write, unless requests are still arriving."""
        if len(self._waiting) > waiting_before:
            self._gather()
        else:
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Let the thread write what waits, unless it writes already."""
        if self._is_writing:
            return
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        batch: list[_Entry] = []
        events = 0
        while self._waiting and (not batch or events + len(self._waiting[0].collected) <= _MOST_EVENTS):
            entry = self._waiting.popleft()
            if entry.answer.done():  # the client was told to send it again, or is gone
                self._waiting_bytes -= entry.size
                continue
            batch.append(entry)
            events += len(entry.collected)
        if batch:
            self._is_writing = True
            self._batches.put(batch)

    def _write_all(self) -> None:
        while batch := self._batches.get():
            try:
                outcome: list[Written] | Exception = self._ingest(batch)
            except Exception as error:  # noqa: BLE001 - the thread must go on, and each client be answered
                outcome = error
            self._loop.call_soon_threadsafe(self._after, batch, outcome)

    def _after(self, batch: list[_Entry], outcome: list[Written] | Exception) -> None:
        """Answer the requests of a transaction; if the store was locked, let those that still wait be written again."""
        self._is_writing = False
        if isinstance(outcome, StoreBusy):
            self._waiting.extendleft(reversed(batch))
            self._write_waiting()
            return
        self._waiting_bytes -= sum(entry.size for entry in batch)
        if isinstance(outcome, Exception):
            is_ours = isinstance(outcome, FailawareError)
            reason = str(outcome) if is_ours else f"{type(outcome).__name__}: {outcome}"
            for entry in batch:
                _refuse(entry.answer, reason)
        else:
            for entry, written in zip(batch, outcome, strict=True):
                if not entry.answer.done():
                    entry.answer.set_result(written)
        self._gathered = min(len(batch) + len(self._waiting), _MOST_GATHERED)
        self._write_soon()

    def _ingest(self, batch: list[_Entry]) -> list[Written]:
        """Write a batch in one transaction."""
        events = [event for entry in batch for event in entry.collected.events]
        rejects = [reject for entry in batch for reject in entry.collected.rejects]
        owners = [(entry, index) for entry in batch for index in range(len(entry.collected.events))]
        refused: dict[int, NewReject] = {}

        def refuse(position: int, error: Exception) -> NewReject:
            entry, index = owners[position]
            refused[position] = entry.collected.refuse(index, error)
            return refused[position]

        self._session.ingest(events, rejects, refuse=refuse)
        first, written = 0, []
        for entry in batch:
            positions = range(first, first := first + len(entry.collected.events))
            bad = [refused[position] for position in positions if position in refused]
            written.append(Written(len(positions) - len(bad), [*entry.collected.rejects, *bad]))
        return written


def _refuse(answer: "asyncio.Future[Written]", reason: str) -> None:
    """Let a client send it again."""
    if not answer.done():
        answer.set_exception(Refusal(503, reason, retry_after_s=_RETRY_AFTER_S))
