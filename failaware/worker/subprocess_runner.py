"""One run of a program: its output passed on as it comes, the end of it kept, signals passed on, its time limited."""

import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from failaware.capture.exit_status import Ended
from failaware.worker.children import awaited, ignore_again
from failaware.worker.pump import Pump, drain, share_one_file

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""The signals that a program gets when we get them, and after which no further attempt is made."""

_RELAYED = (signal.SIGUSR1, signal.SIGUSR2)  # what they mean is between their sender and the program
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # which it gives to all in the foreground, the program too
_EXHAUSTED = (errno.EMFILE, errno.ENFILE)
_MERCY_S = 10.0  # between SIGTERM and SIGKILL
_LOOK_S = 0.1


class Interrupts:
    """The signals that arrived: passed on to the program that runs, and remembered, so that no further one is begun."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.ignores_children = False
        """Whether the program is to ignore SIGCHLD, because we were started so."""
        self._starts = False
        self._program: subprocess.Popen[bytes] | None = None
        self._unsent: int | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take the signals, but for those that our caller wants ignored (nohup)."""
        actions = {**dict.fromkeys(PASSED_ON, self._on_signal), **dict.fromkeys(_RELAYED, self._relay)}
        before = {number: signal.getsignal(number) for number in actions}
        taken = [number for number, action in before.items() if action is not signal.SIG_IGN]
        for number in taken:
            signal.signal(number, actions[number])
        try:
            with awaited() as self.ignores_children:
                yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    def wait(self, seconds: float) -> bool:
        """Sleep; True at once when a signal arrives or has arrived."""
        deadline = time.monotonic() + seconds
        while self.first is None and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))  # an Event's lock could be held by the very code that a signal interrupts
        return self.first is not None

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
        if self._starts and number in _FROM_TERMINAL and in_foreground():
            return  # the program has got it, too
        if self._program is None:
            self._unsent = number
        else:
            _send(self._program, number)

    def _relay(self, number: int, _frame: FrameType | None) -> None:
        """To the program alone, as its sender meant it; between attempts there is nobody to get it."""
        if self._program is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._program.pid, number)


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
    pumps = _pumps(say)
    try:
        with interrupts.starting():
            preexec = ignore_again if interrupts.ignores_children else None
            program = _started(command, pumps, apart=apart, preexec=preexec, say=say)
    except (OSError, ValueError) as error:
        status, why = _unstartable(command[0], error)
        say(why)
        return Ended(status, started_at, max(started_at, clock()), unstartable=why)
    finally:
        for pump in pumps:
            pump.close_sink()
    with interrupts.passed_on_to(program):
        status, overdue = _wait(program, None if limit is None else limit[0])
    finished_at = max(started_at, clock())  # it may have gone backwards
    drain(pumps)
    out, err = (bytes(pump.tail) for pump in pumps) if len(pumps) == 2 else (b"", b"".join(p.tail for p in pumps))
    stopped = limit[1] if limit and overdue else None
    return Ended(status, started_at, finished_at, out, err, stopped, one_stream=len(pumps) == 1)


def _pumps(say: Callable[[str], None]) -> list[Pump]:
    """What passes the output on: one a stream, or one for both where both go to one file, which keeps their order.

    None where that cannot be had: the program then writes to our own streams, and what it writes is not kept.
    """
    pumps: list[Pump] = []
    try:
        for target in (1,) if share_one_file(1, 2) else (1, 2):
            pumps += [Pump(target, say)]
    except (OSError, RuntimeError) as error:  # no descriptor or no thread is left
        for pump in pumps:
            pump.close_sink()
        say(f"the program's output is not kept: {error}")
        return []
    return pumps


def _started(
    command: Sequence[str],
    pumps: Sequence[Pump],
    *,
    apart: bool,
    preexec: Callable[[], None] | None,
    say: Callable[[str], None],
) -> subprocess.Popen[bytes]:
    def start(out: int | None, err: int | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - running what its caller names is what it is for
            command,
            stdout=out,
            stderr=err,
            close_fds=False,  # what we were given, such as a lock, the program gets; ours are not inheritable
            process_group=0 if apart else None,
            preexec_fn=preexec,  # noqa: PLW1509 - one system call, and rarely
        )

    sinks = [pump.sink for pump in pumps]
    try:
        return start(*(sinks * 2)[:2]) if sinks else start(None, None)
    except OSError as error:
        if not sinks or error.errno not in _EXHAUSTED:
            raise
    for pump in pumps:  # their descriptors are what it lacks
        pump.close_sink()
    say("the program's output is not kept: too many files are open")
    return start(None, None)


def _wait(program: subprocess.Popen[bytes], seconds: float | None) -> tuple[int, bool]:
    """Its status, and whether its time was up: then it, and what it started, is stopped."""
    try:
        return program.wait(seconds), False
    except subprocess.TimeoutExpired:
        _send(program, signal.SIGTERM)
        _send(program, signal.SIGCONT)  # one that is stopped would not see it
    try:
        return program.wait(_MERCY_S), True
    except subprocess.TimeoutExpired:
        _send(program, signal.SIGKILL)
    return program.wait(), True


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


def _send(program: subprocess.Popen[bytes], number: int) -> None:
    """To the program and, where it has a group of its own, all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(program.pid) == program.pid:
            os.killpg(program.pid, number)
        else:
            os.kill(program.pid, number)
