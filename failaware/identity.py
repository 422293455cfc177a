"""Names of the user and of this process."""

import getpass
import os
import socket


def whoami() -> str:
    """Return the user's name as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def this_process() -> str:
    """Return this process's name as host:pid."""
    return f"{socket.gethostname()}:{os.getpid()}"
