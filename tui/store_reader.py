"""The thread that reads the store: it answers the questions of screens, and again after each commit.

A screen follows questions by name. Only a change counter and the file's identity are polled, and all questions are
asked again at each full minute, because answers also depend on the time; an idle store of any size costs almost
nothing. After `travel` questions are answered as of a past moment, except those about the present.

For example, the overview follows "numbers" and "list". A worker commits: the change token differs at the next poll,
within 0.1 s, and both questions wait to be answered again. Meanwhile the cursor moves, which asks for "page" once: it
is answered first. Each answer is posted to its screen as `Answered`. If the screen is closed during a long query, the
query is interrupted.

A second example: the user travels to yesterday. `_kept` derives the store as of then, and `_past`, which answers while
one travels, is the same object. Back in the present `_past` is None; `_kept` stays, with the facts that it has fetched,
and the next travel moves it. If a screen is left while its question is answered, `_asked` becomes None, `_left` true:
the query is interrupted, and its answer dropped.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from textual.message import Message

from failaware.clock import now_us
from failaware.derive.stored_version import outdated
from failaware.errors import FailawareError, FilterError, NotFound, StoreMissing
from failaware.federation import StorePlace, open_stores
from failaware.model.stores import InStore
from failaware.read.inspector import Inspector

from .messages import Answered, StoreIs, StoreState, Travelled

if TYPE_CHECKING:
    from failaware.read.inspector import AsOfInspector

POLL_S = 0.1
_BUSY_S = 1.0
_PATIENCE_S = 0.4  # for one of several stores to be opened; later it is shown when it is
_AGAIN_S = 0.5
_LATER_S = 1.0
_PROGRESS_S = 0.25
_MINUTE_US = 60_000_000  # leases, filters such as since:1h and charts by hour depend on the time alone
_END_S, _AGAIN_SOON_S = 2.0, 0.05

Ask = Callable[[Inspector], object]


class Listener(Protocol):
    """Receives answers: a screen."""

    def post_message(self, message: Message) -> bool:
        """Take the message; safe from any thread."""


def reporting(report: Callable[[float], object]) -> Callable[[int, int], None]:
    """Takes how much is done, and of how much, and reports the share a few times a second."""
    reported = time.monotonic()

    def take(done: int, total: int) -> None:
        nonlocal reported
        if time.monotonic() - reported >= _PROGRESS_S:
            reported = time.monotonic()
            report(min(done / total, 1.0) if total else 0.0)

    return take


class _Question(NamedTuple):
    listener: Listener
    name: str
    ask: Ask
    again: bool
    live: bool = False  # answered as of now during time travel, too


class TimeTravelRequest(NamedTuple):
    """Where to go: to a moment (µs; None is now), or to the next change (`way` 1) or the one before (-1)."""

    at: int | None = None
    way: int = 0


class StoreReader(threading.Thread):
    """Reads one store until it is stopped; opens it when it appears, and again when it was replaced."""

    def __init__(
        self, place: str, app: Listener, clock: Callable[[], int] | None, stores: Sequence[StorePlace] = ()
    ) -> None:
        super().__init__(daemon=True, name="failaware-reader")
        self._place = place
        self._stores = stores
        self._app = app
        self._clock = clock
        self._now = clock or now_us  # until a store says otherwise
        self._lock = threading.Condition()
        self._stopping = False
        self._paused = False
        self._waiting: dict[tuple[int, str], _Question] = {}
        self._followed: dict[tuple[int, str], _Question] = {}
        self._later: dict[tuple[int, str], _Question] = {}  # what could not be answered
        self._later_at = 0.0
        self._asked: _Question | None = None  # what is being answered, unless its listener has left
        self._left = False  # whether it has, and what it asked is still being answered
        self._inspector: Inspector | None = None
        self._kept: AsOfInspector | None = None  # with the facts that it has fetched, also while it is not shown
        self._past: AsOfInspector | None = None  # what is shown, if it is not now
        self._request: TimeTravelRequest | None = None  # asked for, and not begun yet
        self._seen_before = False

    def now(self) -> int:
        """The time (µs) of the store that was opened last."""
        return self._now()

    def parts_of(self, cluster_id: int) -> Sequence[InStore]:
        """The parts of a cluster of several stores; none of one store."""
        inspector = self._inspector
        return () if inspector is None else inspector.connections.parts_of(cluster_id)

    def once(self, listener: Listener, name: str, ask: Ask) -> None:
        """Answer this once, as soon as the store can be read."""
        self._put(_Question(listener, name, ask, again=False))

    def follow(self, listener: Listener, name: str, ask: Ask, *, live: bool = False) -> None:
        """Answer this now and after each change, until it is left; `live`: as of now, also while in the past."""
        question = _Question(listener, name, ask, again=True, live=live)
        with self._lock:
            self._followed[id(listener), name] = question
        self._put(question)

    def expect(self, listener: Listener, name: str, ask: Ask) -> None:
        """Put this in the place of what is followed under the name, to be asked at the next change."""
        with self._lock:
            if (id(listener), name) in self._followed:
                self._followed[id(listener), name] = _Question(listener, name, ask, again=True)

    def forget(self, listener: Listener, name: str) -> None:
        """Follow this no longer."""
        with self._lock:
            self._followed.pop((id(listener), name), None)

    def leave(self, listener: Listener) -> None:
        """Answer this listener no more; a long query for it makes way for what others ask."""
        with self._lock:
            if self._asked is not None and self._asked.listener is listener:
                self._asked, self._left = None, True
                self._interrupt()
            for questions in (self._waiting, self._followed, self._later):
                for key in [key for key in questions if key[0] == id(listener)]:
                    del questions[key]

    def pause(self, paused: bool) -> None:
        """Hold back changes, or let them through again."""
        with self._lock:
            self._paused = paused
            if not paused:
                self._waiting.update(self._followed)
            self._lock.notify()

    def travel(self, request: TimeTravelRequest) -> None:
        """Answer as of another moment; `Travelled` tells when. The last word counts, if several are waiting."""
        with self._lock:
            self._request = request
            self._lock.notify()

    def refresh(self) -> None:
        """Answer everything that is followed again."""
        with self._lock:
            self._waiting.update(self._followed)
            self._lock.notify()

    def stop(self) -> None:
        """End the thread, also out of a long query."""
        with self._lock:
            self._stopping = True
            self._lock.notify()
        until = time.monotonic() + _END_S
        while self.is_alive() and time.monotonic() < until:
            with self._lock:
                self._interrupt()  # again and again: one that falls between two queries ends neither
            self.join(timeout=_AGAIN_SOON_S)

    def run(self) -> None:
        """Read, until stopped."""
        while not self._stopping:
            try:
                with self._open() as inspector:
                    with self._lock:
                        self._inspector, self._now = inspector, inspector.now
                    self._serve(inspector)
            except FailawareError as error:
                self._say(error)
            finally:
                self._drop_kept()
                with self._lock:
                    self._inspector = None
            self._rest(_AGAIN_S)

    def _open(self) -> Inspector:
        if not self._stores:
            return Inspector.open(self._place, clock=self._clock, busy_timeout_s=_BUSY_S)
        return open_stores(self._stores, clock=self._clock, patience_s=_PATIENCE_S)

    def _serve(self, inspector: Inspector) -> None:
        """Answer until the store is gone, or replaced."""
        shown = self._tell_live(inspector, None)
        self._seen_before = True
        self.refresh()
        seen = self._poll(inspector)
        while not self._stopping:
            self._go(inspector)
            question = self._next()
            if question is not None:
                past = None if question.live else self._past
                self._answer(past or inspector, question)
                continue
            self._take_up_again()
            newest = self._poll(inspector)
            if newest != seen and not self._paused:
                seen = newest
                shown = self._tell_live(inspector, shown)
                self._ask_again(live_only=self._past is not None)

    def _poll(self, inspector: Inspector) -> tuple[object, int]:
        """What answers depend on: the store's content, and the minute."""
        return inspector.connections.change_token(), inspector.now() // _MINUTE_US

    def _tell_live(self, inspector: Inspector, before: tuple[str, str] | None) -> tuple[str, str]:
        """Say as whom the store is read, and by which version it was derived; only when that has changed."""
        connections = inspector.connections
        notes = [outdated(*connections.derivation()), *connections.notes()]
        state = connections.role(), ". ".join(filter(None, notes))
        if state != before:
            self._app.post_message(StoreState(StoreIs.LIVE, *state))
        return state

    def _go(self, inspector: Inspector) -> None:
        """Travel, if that was asked for."""
        with self._lock:
            request, self._request = self._request, None
        if request is None:
            return
        try:
            at = request.at
            if request.way and self._past is not None:
                at = self._past.neighbour(request.way) or self._past.at
            if at is None or at >= inspector.now():
                self._come_back()
            else:
                self._app.post_message(Travelled(at, busy=True))
                if self._kept is None:
                    self._kept = inspector.as_of(at, progress=self._progress_to(at))
                elif self._past is None or at != self._past.at:
                    self._kept.move(at, self._progress_to(at))
                self._past = self._kept
                self._app.post_message(Travelled(at))
        except FailawareError as error:
            self._drop_kept()  # what was derived up to here may be half of it
            self._app.post_message(Travelled(None, problem=str(error)))
        self.refresh()

    def _progress_to(self, at: int) -> Callable[[int, int], None]:
        """Reports how far it is on the way to a moment, a few times a second."""
        return reporting(lambda share: self._app.post_message(Travelled(at, busy=True, share=share)))

    def _come_back(self) -> None:
        if self._past is not None:
            self._past = None
            self._app.post_message(Travelled(None))

    def _drop_kept(self) -> None:
        """Show the store as it is now, and close what it was derived in as of another moment."""
        self._come_back()
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _interrupt(self) -> None:
        """Interrupt running queries, including those of time travel, which then raise; the caller holds the lock."""
        if self._inspector is not None:
            self._inspector.connections.interrupt()

    def _ask_again(self, *, live_only: bool) -> None:
        """Something was committed, or a minute has passed: ask what that may change the answer to."""
        with self._lock:
            self._waiting.update({key: asked for key, asked in self._followed.items() if asked.live or not live_only})

    def _next(self) -> _Question | None:
        """The question to answer now; None after a while without any."""
        with self._lock:
            if not self._waiting and not self._stopping and self._request is None:
                self._lock.wait(POLL_S)
            if not self._waiting or self._stopping:
                return None
            # What was asked once, such as the page under the cursor, goes before what is read again anyway, and the
            # present, which the past needs only at its edges, after both.
            key = min(self._waiting, key=lambda key: (self._waiting[key].again, self._waiting[key].live))
            self._asked = self._waiting.pop(key)
            return self._asked

    def _answer(self, inspector: Inspector, question: _Question) -> None:
        try:
            answer = question.ask(inspector)
        except (FilterError, NotFound) as error:
            question.listener.post_message(Answered(question.name, None, str(error)))
        except FailawareError as error:
            # The other panes go on: a damaged page, or a lock, need not concern what they read.
            self._put_off(question, str(error))
        except Exception as error:  # noqa: BLE001 - a bug of ours in one pane must not end the others
            self._put_off(question, f"a bug of failaware's, please report it: {type(error).__name__}: {error}")
        else:
            question.listener.post_message(Answered(question.name, answer))
        finally:
            with self._lock:
                self._asked, self._left = None, False

    def _put_off(self, question: _Question, why: str) -> None:
        with self._lock:
            left = self._asked is None
        if not self._stopping and not left:
            self._later[id(question.listener), question.name] = question
            self._later_at = time.monotonic() + _LATER_S
            question.listener.post_message(Answered(question.name, None, why, trouble=True))

    def _take_up_again(self) -> None:
        """Ask again, after a while, what could not be answered."""
        with self._lock:
            if self._later and time.monotonic() >= self._later_at:
                self._waiting = self._later | self._waiting
                self._later = {}

    def _put(self, question: _Question) -> None:
        with self._lock:
            if self._left:
                self._interrupt()  # once more: one that falls between two queries ends neither
            self._waiting[id(question.listener), question.name] = question
            self._lock.notify()

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            with self._lock:
                self._lock.wait(left)

    def _say(self, error: FailawareError) -> None:
        if self._stopping:
            return
        if isinstance(error, StoreMissing):
            self._tell_gone() if self._seen_before else self._tell(StoreIs.MISSING)
        else:
            self._tell(StoreIs.TROUBLED, str(error))

    def _tell_gone(self) -> None:
        from pathlib import Path

        self._tell(StoreIs.REPLACED if Path(self._place).exists() else StoreIs.DELETED)

    def _tell(self, state: StoreIs, text: str = "") -> None:
        self._app.post_message(StoreState(state, text))
