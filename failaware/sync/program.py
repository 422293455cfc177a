"""One run of a program: its output passed on as it comes, the end of it kept, signals passed on, its time limited."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

from failaware.ingest.program import TAIL, Ended

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""The signals that a program gets when we get them."""

_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # which it gives to all in the foreground, the program too
_CHUNK = 65_536  # bytes passed on at once
_LINGER_S = 2.0  # for output of what a program leaves running behind it
_MERCY_S = 10.0  # between SIGTERM and SIGKILL
_LOOK_S = 0.05


class Interrupts:
    """The signals that arrived: passed on to the program that runs, and remembered, so that no further one is begun."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self._seen, self._come = os.pipe()  # an Event's lock could be held by the very code that a signal interrupts
        self._starts = False
        self._program: subprocess.Popen[bytes] | None = None
        self._unsent: int | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take the signals, but for those that whoever started us wants ignored (nohup)."""
        before = {number: signal.getsignal(number) for number in PASSED_ON}
        taken = [number for number, action in before.items() if action is not signal.SIG_IGN]
        for number in taken:
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    def wait(self, seconds: float) -> bool:
        """Sleep; True at once when a signal arrives or has arrived."""
        return bool(select.select([self._seen], [], [], seconds)[0])

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Within it, a program is started: from then on it gets by itself what a terminal gives to the foreground."""
        self._starts = True
        try:
            yield
        except BaseException:
            self._starts = False
            raise

    @contextmanager
    def passed_on_to(self, program: subprocess.Popen[bytes]) -> Iterator[None]:
        """Within it, this program gets the signals, also one that came a moment before."""
        self._program = program
        unsent, self._unsent = self._unsent, None
        if unsent is not None:
            _send(program, unsent)
        try:
            yield
        finally:
            self._program, self._starts = None, False

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.first is None:
            self.first = signal.Signals(number)
            os.write(self._come, b"!")
        if self._starts and number in _FROM_TERMINAL and in_foreground():
            return  # the program has got it, too
        if self._program is None:
            self._unsent = number
        else:
            _send(self._program, number)


def run_once(
    command: Sequence[str],
    *,
    interrupts: Interrupts,
    clock: Callable[[], int],
    say: Callable[[str], None],
    limit: tuple[float, str] | None = None,
) -> Ended:
    """Run a program to its end, with our standard input, folder and environment.

    Args:
        command: the program and its arguments, taken as they are: no shell.
        interrupts: passes signals on.
        clock: µs since the epoch.
        say: tells a person that it cannot be started, or its output not passed on.
        limit: after how many seconds it is stopped, and how to say that: SIGTERM, and SIGKILL ten seconds later.
    """
    started_at = clock()
    apart = not in_foreground()  # a group of its own can be stopped whole; the terminal's must stay one
    try:
        with interrupts.starting():
            program = subprocess.Popen(  # noqa: S603 - running what its caller names is what it is for
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                close_fds=False,  # what we were given, such as a lock, the program gets; ours are not inheritable
                process_group=0 if apart else None,
            )
    except (OSError, ValueError) as error:
        status, why = _unstartable(command[0], error)
        say(why)
        return Ended(status, started_at, max(started_at, clock()), unstartable=why)
    assert program.stdout is not None
    assert program.stderr is not None
    pumps = [_Pump(program.stdout, 1, say), _Pump(program.stderr, 2, say)]
    with interrupts.passed_on_to(program), _limited(program, limit) as overdue:
        status = program.wait()
    finished_at = max(started_at, clock())  # it may have gone backwards
    _drain(pumps)
    out, err = (bytes(pump.tail) for pump in pumps)
    return Ended(status, started_at, finished_at, out, err, limit[1] if limit and overdue.is_set() else None)


def in_foreground() -> bool:
    """Whether we are what the person at a terminal has started: it gives Ctrl-C to the program as well."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _unstartable(name: str, error: Exception) -> tuple[int, str]:
    """The exit status that a shell gives, and why."""
    if isinstance(error, FileNotFoundError):
        known = "/" in name and os.path.exists(name)
        return 127, f"{name}: {'its interpreter is not there' if known else 'command not found'}"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return 126, f"{name}: cannot be run: {reason}"


class _Pump(threading.Thread):
    """Passes one stream on, byte by byte as it comes, and keeps its end.

    One thread a stream: whoever reads one of them slowly does not hold up the other, nor the time limit.
    """

    def __init__(self, source: IO[bytes], target: int, say: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self.tail = bytearray()
        self.waits = False  # for the program, not for our own reader
        self._source, self._target, self._say = source, target, say
        self.start()

    def run(self) -> None:
        passing = True
        while True:
            self.waits = True
            chunk = os.read(self._source.fileno(), _CHUNK)
            self.waits = False
            if not chunk:
                break
            self.tail = (self.tail + chunk)[-TAIL:]
            try:
                while passing and chunk:
                    chunk = chunk[os.write(self._target, chunk) :]
            except BrokenPipeError:
                break  # whoever read us has enough, and the program is to know: it gets SIGPIPE
            except OSError as error:  # the disk is full: the program runs on, as its output does not decide about it
                passing = False
                self._say(f"the program's output cannot be passed on: {error.strerror}")
        self._source.close()


def _drain(pumps: list[_Pump]) -> None:
    """Pass on what is still in the pipes.

    What the program left running behind it may hold them open for ever: when nothing comes, it is not waited for.
    """
    deadline = time.monotonic() + _LINGER_S
    for pump in pumps:
        while pump.is_alive() and not (pump.waits and time.monotonic() > deadline):
            pump.join(_LOOK_S)


@contextmanager
def _limited(program: subprocess.Popen[bytes], limit: tuple[float, str] | None) -> Iterator[threading.Event]:
    """Stop the program, and what it started, when its time is up; the event is set then."""
    overdue, ended = threading.Event(), threading.Event()

    def watch(seconds: float) -> None:
        if ended.wait(seconds):
            return
        overdue.set()
        _send(program, signal.SIGTERM)
        if not ended.wait(_MERCY_S):
            _send(program, signal.SIGKILL)

    if limit is not None:
        threading.Thread(target=watch, args=limit[:1], daemon=True).start()
    try:
        yield overdue
    finally:
        ended.set()


def _send(program: subprocess.Popen[bytes], number: int) -> None:
    """To the program and, where it has a group of its own, all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(program.pid) == program.pid:
            os.killpg(program.pid, number)
        else:
            os.kill(program.pid, number)
