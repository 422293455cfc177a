"""Who this is: the person at the terminal, and this process."""

import getpass
import os
import socket


def whoami() -> str:
    """The person at the terminal, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def this_process() -> str:
    """This process, as host:pid."""
    return f"{socket.gethostname()}:{os.getpid()}"
