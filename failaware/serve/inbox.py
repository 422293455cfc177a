"""Records what requests bring: one thread writes everything that waits in one transaction, then each is answered.

Example: requests A, B and C arrive while the thread flushes an earlier transaction. When that has ended, the thread
writes the events of A, B and C in one transaction, and after its flush all three are answered.
"""

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from failaware.errors import FailawareError, StoreBusy
from failaware.ingest.chunk import Collected
from failaware.model import NewReject
from failaware.serve.refusal import Refusal
from failaware.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_WAITING_BYTES = 64 << 20  # of bodies that wait to be written
_WRITTEN_WITHIN_S = 25.0  # SDKs give up after 30 s
_MOST_EVENTS = 1_000  # in one transaction, unless one request has more
_RETRY_AFTER_S = 5


class Written(NamedTuple):
    """What became of a request's entries: how many events are on disk, known ones included, and the rejects."""

    recorded: int
    rejects: list[NewReject]


class _Entry:
    def __init__(self, collected: Collected, size: int, answer: "asyncio.Future[Written]") -> None:
        self.collected, self.size, self.answer = collected, size, answer
        self.given_up = False


class Inbox:
    """Between the requests and the store.

    Args:
        session: the store to record in.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entries: deque[_Entry] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._loop = asyncio.get_running_loop()
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
        entry = _Entry(collected, size, self._loop.create_future())
        with self._changed:
            if self._waiting_bytes + size > _MAX_WAITING_BYTES:
                raise Refusal(
                    503, "too much waits for the store to be written; send it again", retry_after_s=_RETRY_AFTER_S
                )
            self._waiting_bytes += size
            self._entries.append(entry)
            self._changed.notify()
        try:
            return await asyncio.wait_for(entry.answer, _WRITTEN_WITHIN_S)
        except TimeoutError:
            raise Refusal(503, "the store is locked; send it again", retry_after_s=_RETRY_AFTER_S) from None
        finally:
            entry.given_up = True

    async def close(self) -> None:
        """Write everything that waits, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _write_all(self) -> None:
        while entries := self._take():
            self._write(entries)

    def _take(self) -> list[_Entry]:
        """Wait for entries; none: it is closing."""
        with self._changed:
            while True:
                entries: list[_Entry] = []
                events = 0
                while self._entries and (not entries or events + len(self._entries[0].collected) <= _MOST_EVENTS):
                    entry = self._entries.popleft()
                    if entry.given_up:
                        self._waiting_bytes -= entry.size
                        continue
                    entries.append(entry)
                    events += len(entry.collected)
                if entries or self._closing:
                    return entries
                self._changed.wait()

    def _write(self, entries: list[_Entry]) -> None:
        """Write entries in one transaction; while the store is locked, those that still wait for it."""
        try:
            written = self._ingest(entries)
        except StoreBusy:
            with self._changed:
                self._entries.extendleft(reversed(entries))
            return
        except Exception as error:  # noqa: BLE001 - the thread must go on, and each client be answered
            reason = str(error) if isinstance(error, FailawareError) else f"{type(error).__name__}: {error}"
            refusal = Refusal(503, reason, retry_after_s=_RETRY_AFTER_S)
            self._answer(entries, lambda answer, _position: answer.set_exception(refusal))
        else:
            self._answer(entries, lambda answer, position: answer.set_result(written[position]))

    def _ingest(self, entries: list[_Entry]) -> list[Written]:
        events = [event for entry in entries for event in entry.collected.events]
        rejects = [reject for entry in entries for reject in entry.collected.rejects]
        owners = [(entry, index) for entry in entries for index in range(len(entry.collected.events))]
        refused: dict[int, NewReject] = {}

        def refuse(position: int, error: Exception) -> NewReject:
            entry, index = owners[position]
            refused[position] = entry.collected.refuse(index, error)
            return refused[position]

        self._session.ingest(events, rejects, refuse=refuse)
        first, written = 0, []
        for entry in entries:
            positions = range(first, first := first + len(entry.collected.events))
            bad = [refused[position] for position in positions if position in refused]
            written.append(Written(len(positions) - len(bad), [*entry.collected.rejects, *bad]))
        return written

    def _answer(self, entries: list[_Entry], answer: "Callable[[asyncio.Future[Written], int], None]") -> None:
        with self._changed:
            self._waiting_bytes -= sum(entry.size for entry in entries)

        def set_answers() -> None:
            for position, entry in enumerate(entries):
                if not entry.answer.done():
                    answer(entry.answer, position)

        self._loop.call_soon_threadsafe(set_answers)
