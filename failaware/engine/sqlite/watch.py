"""Wait until a file may have changed: told by Linux (inotify), elsewhere by looking again and again.

Polling often enough to be quick costs a percent of a core for ever; waiting to be told costs nothing. But to end
it costs 4 ms, which the kernel takes to be sure that nobody is telling; so it begins with the first wait.
"""

import os
import select
import sys
import time
from pathlib import Path

_MODIFIED = 0x2  # IN_MODIFY of <sys/inotify.h>
_POLL_S = 0.005


class SqliteWatch:
    """Looks at one file, which may also be missing: then, as where nobody tells, `wait` is a short sleep."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = False
        self._told: int | None = None

    def wait(self, timeout_s: float) -> bool:
        """True once the file has been written to since the last call; false when the time is up, or nobody tells.

        The first call begins to look, and returns true at once: what was before, nobody knows.
        """
        if not self._begun:
            self._begun, self._told = True, _inotify(self._path)
            return True
        if self._told is None:
            time.sleep(min(timeout_s, _POLL_S))
            return False
        if not select.select([self._told], [], [], timeout_s)[0]:
            return False
        os.read(self._told, 65_536)  # what happened does not matter, only that it did
        return True

    def close(self) -> None:
        """Stop looking."""
        if self._told is not None:
            os.close(self._told)
            self._told = None


def _inotify(path: Path) -> int | None:
    """A file descriptor that can be read once the file was written to; None where there is no such thing."""
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    told: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if told < 0:
        return None
    if libc.inotify_add_watch(told, os.fsencode(path), _MODIFIED) < 0:
        os.close(told)
        return None
    return told
