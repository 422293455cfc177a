"""`subprocess.run` and `subprocess.Popen` for the tests: programs of ours are forked from a parent that has imported them.

Whatever is not `python -m MODULE` or `python -c PROGRAM`, or changes how Python itself starts, is started as ever. A test
that is about the start of a process (what is imported, how long it takes) uses `subprocess`.
"""

import array
import ctypes
import inspect
import json
import os
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import psutil

_ROOT = Path(__file__).resolve().parent.parent
_PR_SET_CHILD_SUBREAPER = 36
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_")  # variables that Python or its loader reads only when it starts
_EXECUTE = inspect.signature(subprocess.Popen._execute_child)
_GRACE_S = 2.0

long_lived: set[int] = set()
"""Processes that serve more than one test."""


class Popen(subprocess.Popen):
    """A process; a program of ours begins in milliseconds."""

    def _execute_child(self, *args, **kwargs):
        given = _EXECUTE.bind(self, *args, **kwargs).arguments
        request = _request(given)
        if request is None:
            super()._execute_child(*args, **kwargs)
            return
        streams = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
        try:
            self.pid = _ask(request, [number if at == -1 else at for number, at in enumerate(streams)])
            self._child_created = True
        finally:
            self._close_pipe_fds(*(given[name] for name in _PIPES))


_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def run(command, *, input=None, capture_output=False, timeout=None, check=False, **options):  # noqa: A002
    """As subprocess.run."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **options) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def _request(given):
    """What the warm parent is to run; None where Python has to start."""
    command = [os.fsdecode(word) for word in given["args"]] if isinstance(given["args"], list | tuple) else []
    environment = {os.fsdecode(k): os.fsdecode(v) for k, v in (os.environ if given["env"] is None else given["env"]).items()}
    special = given["preexec_fn"], given["pass_fds"], given["shell"], given["executable"] not in (None, sys.executable)
    if len(command) < 3 or command[0] != sys.executable or command[1] not in ("-m", "-c"):
        return None
    if any(special) or given["uid"] is not None or given["gid"] is not None or _at_start(environment) != _at_start(os.environ):
        return None
    return {
        "command": command[1:],
        "argv": command[1:2] + command[3:] if command[1] == "-c" else command[2:],
        "cwd": os.fsdecode(given["cwd"] or os.getcwd()),
        "env": environment,
        "umask": _umask() if given["umask"] < 0 else given["umask"],
        "start_new_session": given["start_new_session"],
        "process_group": None if given["process_group"] == -1 else given["process_group"],
    }


def _at_start(environment):
    return {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}


def _umask():
    now = os.umask(0)
    os.umask(now)
    return now


def _ask(request, streams):
    """Ask for a child; returns its number."""
    connection = _server(os.getpid())
    content = json.dumps(request).encode("utf-8", "surrogateescape")
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))]
    connection.sendmsg([len(content).to_bytes(8, "big")], rights)
    connection.sendall(content)
    return int.from_bytes(connection.recv(8), "big")


@cache
def _server(_process):
    """The connection to this process's warm parent, which ends with it."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours, theirs = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.forkserver", str(theirs.fileno())],
            cwd=_ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    long_lived.add(server.pid)
    return ours


def end_those_left(already):
    """End the processes that a test has left behind; returns what they were."""
    left = [child for child in psutil.Process().children() if child.pid not in already | long_lived]
    _, alive = psutil.wait_procs(left, timeout=_GRACE_S)
    names = [f"{child.pid} {' '.join(child.cmdline())[:200]}" for child in alive if child.is_running()]
    for child in alive:
        child.kill()
    psutil.wait_procs(alive, timeout=_GRACE_S)
    return names
