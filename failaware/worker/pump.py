"""A program's output: passed on byte by byte as it comes, its end kept."""

import os
import select
import stat
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from failaware.capture.exit_status import TAIL

_CHUNK = 65_536  # bytes passed on at once
_LINGER_S = 2.0  # for output of what a program leaves running behind it
_LOOK_S = 0.05


class Pump(threading.Thread):
    """Passes one stream on, and keeps its end.

    One thread a stream: a slow reader of one of them does not hold up the other, nor the time limit.
    """

    def __init__(self, target: int, say: Callable[[str], None]) -> None:
        """Pass what is written to `sink` on to the descriptor `target`.

        Raises:
            OSError, RuntimeError: there is no descriptor, or no thread, left.
        """
        super().__init__(daemon=True)
        self.tail = bytearray()
        self.waits = False  # for the program, not for our own reader
        self._target, self._say = target, say
        self._source, self.sink = os.pipe()
        self._sink_open = True
        try:
            self.start()
        except BaseException:
            self.close_sink()
            os.close(self._source)
            raise

    def close_sink(self) -> None:
        """Close our own copy of the end that the program writes to: once it is started, or cannot be."""
        if self._sink_open:
            self._sink_open = False
            os.close(self.sink)

    def run(self) -> None:
        """Until the last writer has closed it, or our reader has enough."""
        passing = True
        try:
            while True:
                self.waits = True
                chunk = os.read(self._source, _CHUNK)
                self.waits = False
                if not chunk:
                    return
                self.tail = (self.tail + chunk)[-TAIL:]
                passing = passing and self._pass_on(chunk)
        except BrokenPipeError:
            return  # our reader has enough, and the program is to know: it gets SIGPIPE
        finally:
            os.close(self._source)

    def _pass_on(self, chunk: bytes) -> bool:
        """Whether to go on: on a full disk the program runs on, as its output does not decide about it."""
        try:
            while chunk:
                try:
                    chunk = chunk[os.write(self._target, chunk) :]
                except BlockingIOError:  # somebody made it non-blocking: the program's pipe is not
                    select.select([], [self._target], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            self._say(f"the program's output cannot be passed on: {error.strerror}")
            return False
        return True


class Reserve:
    """Descriptors that are kept for a program's pipes, so that the store gets no more than what is left."""

    _PIPES = 6  # one for each stream, and the one on which a program's start is reported

    def __init__(self) -> None:
        self._held: list[int] = []
        with suppress(OSError):  # there are fewer
            for _ in range(self._PIPES):
                self._held.append(os.open(os.devnull, os.O_RDONLY))

    def release(self) -> None:
        """Give them to what is opened next."""
        while self._held:
            os.close(self._held.pop())


def drain(pumps: Sequence[Pump]) -> None:
    """Pass on what is still in the pipes.

    What the program left running behind it may hold them open for ever: when nothing comes, it is not waited for.
    """
    deadline = time.monotonic() + _LINGER_S
    for pump in pumps:
        while pump.is_alive() and not (pump.waits and time.monotonic() > deadline):
            pump.join(_LOOK_S)


def share_one_file(first: int, second: int) -> bool:
    """Whether both descriptors write to one file, as after `> log 2>&1`; in /dev/null no order can be lost."""
    try:
        one, other = os.fstat(first), os.fstat(second)
        null = os.stat(os.devnull)
    except OSError:
        return False
    if stat.S_ISCHR(one.st_mode) and one.st_rdev == null.st_rdev:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
