"""Wait for changes to a file: with inotify on Linux, by polling elsewhere.

Polling at this rate costs about one percent of a core; inotify costs nothing while it waits. Closing an inotify
descriptor takes 4 ms in the kernel, so it is opened only on the first wait.
"""

import os
import select
import sys
import time
from pathlib import Path

_MODIFIED = 0x2  # IN_MODIFY of <sys/inotify.h>
_POLL_S = 0.005


class SqliteWatch:
    """Watches one file. If the file is missing, or without inotify, `wait` is a short sleep."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = False
        self._inotify_fd: int | None = None

    def wait(self, timeout_s: float) -> bool:
        """Return true after a write since the last call; false on timeout, or without inotify.

        The first call starts watching and returns true at once, because earlier writes are unknown.
        """
        if not self._begun:
            self._begun, self._inotify_fd = True, _inotify(self._path)
            return True
        if self._inotify_fd is None:
            time.sleep(min(timeout_s, _POLL_S))
            return False
        if not select.select([self._inotify_fd], [], [], timeout_s)[0]:
            return False
        os.read(self._inotify_fd, 65_536)  # discard the events; only their arrival matters
        return True

    def close(self) -> None:
        """Stop watching."""
        if self._inotify_fd is not None:
            os.close(self._inotify_fd)
            self._inotify_fd = None


def _inotify(path: Path) -> int | None:
    """A file descriptor that becomes readable when the file is written to; None if inotify is not available."""
    if sys.platform != "linux":
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    if libc.inotify_add_watch(descriptor, os.fsencode(path), _MODIFIED) < 0:
        os.close(descriptor)
        return None
    return descriptor
