"""A server of Prefect, from the environment that its tests have."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from tests import environments
from tests.servers import looked_after

_SERVER = ["-m", "uvicorn", "--factory", "prefect.server.api.server:create_app", "--log-level", "error"]
_SETTINGS = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT__SERVER_EPHEMERAL": "1",  # without what a server does in the background
}


@contextmanager
def prefect_server():
    """Start one; yields the variables for its clients."""
    folder = tempfile.mkdtemp(prefix="fa-")
    pidfile = Path(folder, "pid")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {**_SETTINGS, "PREFECT_HOME": folder}
    with looked_after(folder, pidfile, signal.SIGKILL):
        command = [environments.interpreter("prefect"), *_SERVER, "--port", str(port)]
        with subprocess.Popen(command, env={**os.environ, **settings}) as server:
            pidfile.write_text(str(server.pid))
            try:
                url = f"http://127.0.0.1:{port}/api"
                _wait_for(f"{url}/health", server)
                yield settings | {"PREFECT_API_URL": url}
            finally:
                pidfile.unlink()
                server.kill()


def _wait_for(url, server):
    deadline = time.monotonic() + 300
    while True:
        assert server.poll() is None
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return
