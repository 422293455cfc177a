"""Runs a program once: forwards its output and keeps its end, forwards signals, limits its time."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from failaware.capture.exit_status import Ended
from failaware.worker.children import awaited, ignore_again
from failaware.worker.pump import Pump, drain, share_one_file

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that are forwarded to the program, and after which no further attempt is made."""

_RELAYED = (signal.SIGUSR1, signal.SIGUSR2)  # signals that are only forwarded
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # a terminal sends them to all foreground processes
_EXHAUSTED = (errno.EMFILE, errno.ENFILE)
KILL_GRACE_S = 10.0  # between SIGTERM and SIGKILL
_POLL_S = 0.1
_LOOKED_AT = 256  # bytes at the beginning of a file, to tell a script from a binary


class SignalForwarder:
    """Forwards signals to the running program, and remembers the first: no further attempt is made after it."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.ignores_children = False
        """Whether the program has to ignore SIGCHLD, as our caller does."""
        self._starts = False
        self._program: subprocess.Popen[bytes] | None = None
        self._unsent: int | None = None
        self._unrelayed: list[int] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Handle the signals within the block, except those that our caller ignores (nohup)."""
        actions = {**dict.fromkeys(FORWARDED, self._on_signal), **dict.fromkeys(_RELAYED, self._relay)}
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
        """Sleep; return True as soon as a signal has arrived."""
        deadline = time.monotonic() + seconds
        while self.first is None and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_S))  # an Event's lock could be held by the interrupted code
        return self.first is not None

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Start a program within the block: from then on a terminal sends its signals to the program, too."""
        self._starts = True
        try:
            yield
        except BaseException:
            self._starts = False
            raise

    @contextmanager
    def forward_to(self, program: subprocess.Popen[bytes]) -> Iterator[None]:
        """Forward signals to this program within the block, also one that arrived just before."""
        self._program = program
        unsent, self._unsent = self._unsent, None
        if unsent is not None:
            _send(program, unsent)
        while self._unrelayed:
            self._relay(self._unrelayed.pop(0), None)
        try:
            yield
        finally:
            self._program, self._starts = None, False

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.first is None:
            self.first = signal.Signals(number)
        if self._starts and number in _FROM_TERMINAL and in_foreground():
            return  # the terminal has sent it to the program
        if self._program is None:
            self._unsent = number
        else:
            _send(self._program, number)

    def _relay(self, number: int, _frame: FrameType | None) -> None:
        """Forward to the program alone, once it has been started; between attempts, ignore."""
        if self._program is None:
            if self._starts:
                self._unrelayed.append(number)
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._program.pid, number)


def run_once(
    command: Sequence[str],
    *,
    signals: SignalForwarder,
    clock: Callable[[], int],
    warn: Callable[[str], None],
    limit: tuple[float, str] | None = None,
) -> Ended:
    """Run a program to its end, with our standard input, current folder and environment.

    Args:
        command: the program and its arguments; no shell.
        signals: forwards signals.
        clock: µs since the epoch.
        warn: called with a message for the user if it cannot be started, or its output not be forwarded.
        limit: the time limit in seconds, and as text: SIGTERM is sent then, and SIGKILL 10 seconds later.
    """
    started_at = clock()
    own_group = not in_foreground()  # a process group can be stopped as a whole; a terminal needs a single one
    pumps = _pumps(warn)
    try:
        with signals.starting():
            preexec = ignore_again if signals.ignores_children else None
            program = _started(command, pumps, own_group=own_group, preexec=preexec, warn=warn)
    except (OSError, ValueError) as error:
        status, why = _unstartable(command[0], error)
        warn(why)
        return Ended(status, started_at, max(started_at, clock()), unstartable=why)
    finally:
        for pump in pumps:
            pump.close_sink()
    with signals.forward_to(program):
        status, overdue = _wait(program, None if limit is None else limit[0])
    finished_at = max(started_at, clock())  # the clock may have gone backwards
    drain(pumps)
    out, err = (bytes(pump.tail) for pump in pumps) if len(pumps) == 2 else (b"", b"".join(p.tail for p in pumps))
    stopped = limit[1] if limit and overdue else None
    return Ended(status, started_at, finished_at, out, err, stopped, one_stream=len(pumps) == 1)


def _pumps(warn: Callable[[str], None]) -> list[Pump]:
    """Return a pump for each stream, or one for both if they go to one file, which keeps their order.

    Return none if they cannot be created: the program then writes to our streams, and its output is not kept.
    """
    pumps: list[Pump] = []
    try:
        for target in (1,) if share_one_file(1, 2) else (1, 2):
            pumps += [Pump(target, warn)]
    except (OSError, RuntimeError) as error:  # no descriptor or no thread is available
        for pump in pumps:
            pump.close_sink()
        warn(f"the program's output is not kept: {error}")
        return []
    return pumps


def _started(
    command: Sequence[str],
    pumps: Sequence[Pump],
    *,
    own_group: bool,
    preexec: Callable[[], None] | None,
    warn: Callable[[str], None],
) -> subprocess.Popen[bytes]:
    def start(out: int | None, err: int | None) -> subprocess.Popen[bytes]:
        return popen(
            command,
            stdout=out,
            stderr=err,
            close_fds=False,  # the program inherits our caller's descriptors, such as a lock; ours are not inheritable
            process_group=0 if own_group else None,
            preexec_fn=preexec,
        )

    sinks = [pump.sink for pump in pumps]
    try:
        return start(*(sinks * 2)[:2]) if sinks else start(None, None)
    except OSError as error:
        if not sinks or error.errno not in _EXHAUSTED:
            raise
    for pump in pumps:  # free their descriptors
        pump.close_sink()
    warn("the program's output is not kept: too many files are open")
    return start(None, None)


def popen(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program as a shell does: a script without an interpreter line (`#!`) is run by /bin/sh.

    Args:
        command: the program and its arguments.
        options: those of `subprocess.Popen`.

    Raises:
        OSError: it cannot be started.
    """
    path = shutil.which(command[0])  # Python would go on to the next program of this name if the first is such a script
    try:
        return subprocess.Popen(command, executable=path, **options)  # noqa: S603 - that is its purpose
    except OSError as error:
        if path is None or error.errno != errno.ENOEXEC or _is_binary(path):
            raise
    return subprocess.Popen(["/bin/sh", path, *command[1:]], **options)  # noqa: S603 - as above


def _is_binary(path: str) -> bool:
    with open(path, "rb") as file:
        return b"\0" in file.read(_LOOKED_AT)


def _wait(program: subprocess.Popen[bytes], seconds: float | None) -> tuple[int, bool]:
    """Return the status, and whether the time limit was exceeded; then the program and its children are stopped."""
    try:
        return program.wait(seconds), False
    except subprocess.TimeoutExpired:
        _send(program, signal.SIGTERM)
        _send(program, signal.SIGCONT)  # a stopped process would not handle SIGTERM
    try:
        return program.wait(KILL_GRACE_S), True
    except subprocess.TimeoutExpired:
        _send(program, signal.SIGKILL)
    return program.wait(), True


def in_foreground() -> bool:
    """Whether we are in the foreground of a terminal, which sends Ctrl-C to the program as well."""
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
    """Return the exit status that a shell reports, and the reason."""
    if isinstance(error, FileNotFoundError):
        known = "/" in name and os.path.exists(name)
        return 127, f"{name}: {'its interpreter does not exist' if known else 'command not found'}"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return 126, f"{name}: cannot be run: {reason}"


def _send(program: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the program, and to its process group if it has its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(program.pid) == program.pid:
            os.killpg(program.pid, number)
        else:
            os.kill(program.pid, number)
