"""Forwards a program's output byte by byte as it comes, and keeps its end."""

import os
import select
import stat
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from failaware.capture.exit_status import TAIL

_CHUNK = 65_536  # bytes per read
PIPE_DRAIN_S = 2.0  # how long to read the output of processes that the program left running
_POLL_S = 0.05


class Pump(threading.Thread):
    """Forwards one stream and keeps its end.

    Each stream has its own thread: a slow reader of one of them delays neither the other nor the time limit.
    """

    def __init__(self, target: int, warn: Callable[[str], None]) -> None:
        """Forward what is written to `sink` to the descriptor `target`.

        Raises:
            OSError, RuntimeError: no descriptor or no thread is available.
        """
        super().__init__(daemon=True)
        self.tail = bytearray()
        self.waits = False  # whether it waits for the program, not for the reader of `target`
        self._target, self._warn = target, warn
        self._source, self.sink = os.pipe()
        self._sink_open = True
        try:
            self.start()
        except BaseException:
            self.close_sink()
            os.close(self._source)
            raise

    def close_sink(self) -> None:
        """Close our copy of the end that the program writes to, after it was started or could not be."""
        if self._sink_open:
            self._sink_open = False
            os.close(self.sink)

    def run(self) -> None:
        """Forward until the last writer closes the pipe, or the reader of `target` closes its end."""
        forwarding = True
        try:
            while True:
                self.waits = True
                chunk = os.read(self._source, _CHUNK)
                self.waits = False
                if not chunk:
                    return
                self.tail = (self.tail + chunk)[-TAIL:]
                forwarding = forwarding and self._forward(chunk)
        except BrokenPipeError:
            return  # the reader closed its end: the program gets SIGPIPE
        finally:
            os.close(self._source)

    def _forward(self, chunk: bytes) -> bool:
        """Forward a chunk; return whether to continue. On a full disk the program runs on without its output."""
        try:
            while chunk:
                try:
                    chunk = chunk[os.write(self._target, chunk) :]
                except BlockingIOError:  # the descriptor is non-blocking, which the program's pipe is not
                    select.select([], [self._target], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            self._warn(f"the program's output cannot be forwarded: {error.strerror}")
            return False
        return True


class Reserve:
    """Reserves descriptors for a program's pipes, before the store opens its files."""

    _DESCRIPTORS = 6  # two pipes for the streams, and the one on which subprocess reports the start

    def __init__(self) -> None:
        self._held: list[int] = []
        with suppress(OSError):  # fewer are available
            for _ in range(self._DESCRIPTORS):
                self._held.append(os.open(os.devnull, os.O_RDONLY))

    def release(self) -> None:
        """Close them, for what is opened next."""
        while self._held:
            os.close(self._held.pop())


def drain(pumps: Sequence[Pump]) -> None:
    """Forward what is still in the pipes, for at most 2 seconds after the last output.

    Processes that the program left running may keep the pipes open forever.
    """
    deadline = time.monotonic() + PIPE_DRAIN_S
    for pump in pumps:
        while pump.is_alive() and not (pump.waits and time.monotonic() > deadline):
            pump.join(_POLL_S)


def share_one_file(first: int, second: int) -> bool:
    """Whether both descriptors write to one file, as after `> log 2>&1`; not for /dev/null, which has no order."""
    try:
        one, other = os.fstat(first), os.fstat(second)
        null = os.stat(os.devnull)
    except OSError:
        return False
    if stat.S_ISCHR(one.st_mode) and one.st_rdev == null.st_rdev:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
