"""A warning about store files that other users may read or write: failures contain personal data."""

import os
import stat
from pathlib import Path

from failaware.engine.sqlite.files import companion
from failaware.warn import warn

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def warn_if_exposed(path: Path) -> None:
    """Warn about a store's files that users other than the owner can access; once per process, as for any warning."""
    if os.name != "posix":
        return
    files = [path, companion(path, "-wal"), companion(path, "-shm")]
    if exposed := [str(file) for file in files if _mode(file) & _OTHERS]:
        warn(
            f"{' and '.join(exposed)} open to other users, and failures hold other people's data; "
            "close with chmod 600, unless it is meant to be shared",
            UserWarning,
        )


def _mode(file: Path) -> int:
    try:
        return file.stat().st_mode
    except OSError:
        return 0
