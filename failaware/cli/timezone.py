"""The time zone in which times are shown and read: $FAILAWARE_TZ or --utc; else the machine's, which $TZ may say."""

import os
import re
import time
import zoneinfo
from pathlib import Path

from failaware.errors import UsageError

_MAX_NAME = 200  # characters: a file system refuses longer ones with an error
_NAME = re.compile(r"[A-Za-z][\w+-]*(/[A-Za-z][\w+-]*)*")


def choose(name: str) -> None:
    """Show and read all times of this process in a zone, such as UTC or Europe/Berlin.

    Raises:
        UsageError: this machine knows no such zone.
    """
    if name != "UTC" and not _known(name):
        raise UsageError(f"this machine knows no time zone '{name}'; FAILAWARE_TZ is UTC or a name like Europe/Berlin")
    os.environ["TZ"] = "UTC0" if name == "UTC" else name  # UTC0 needs no zone file
    time.tzset()


def _known(name: str) -> bool:
    """Whether the C library will find it: an unknown zone would silently be UTC."""
    return (
        len(name) <= _MAX_NAME
        and bool(_NAME.fullmatch(name))
        and any((Path(folder) / name).is_file() for folder in zoneinfo.TZPATH)
    )
