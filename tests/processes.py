"""`subprocess.run` and `subprocess.Popen` for tests: programs of ours are forked from a parent that has imported them.

Other programs, and options that change how Python starts, are started as usual. A test
that is about the start of a process (what is imported, how long it takes) uses `subprocess`.
"""

import array
import atexit
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

_LOOKED_AFTER = ("postgres", "valkey-server")  # by cleanup.py
_STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn")

long_lived: set[int] = set()
"""Processes that serve more than one test."""

started: list[str] = []
"""How the test that runs has started processes."""


class Popen(subprocess.Popen):
    """A process; a program of ours begins in milliseconds."""

    def _execute_child(self, *args, **kwargs):
        given = _EXECUTE.bind(self, *args, **kwargs).arguments
        request = _request(given)
        if request is None:
            super()._execute_child(*args, **kwargs)
            return
        started.append("forked")
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
    variables = os.environ if given["env"] is None else given["env"]
    environment = {os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()}
    special = [given[name] for name in ("preexec_fn", "pass_fds", "shell", "executable")]
    other_user = any(given[name] is not None for name in ("uid", "gid", "gids"))
    if len(command) < 2 or command[0] != sys.executable or any(special) or other_user:
        return None
    if command[1].startswith("-") and command[1] not in ("-m", "-c"):
        return None
    if _at_start(environment) != _at_start(os.environ):
        return None
    if command[1:3] == ["-m", "pytest"]:  # it warns of what has been imported before it
        return None
    return {
        "command": command[1:],
        "argv": ["-c", *command[3:]] if command[1] == "-c" else command[2:] if command[1] == "-m" else command[1:],
        "cwd": os.path.abspath(os.fsdecode(given["cwd"] or ".")),
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
    atexit.register(ours.close)
    server.returncode = 0  # not waited for: it ends when its connection does
    long_lived.add(server.pid)
    return ours


def end_those_left(grace_s=_GRACE_S):
    """End the processes that a test has left behind; returns what they were."""
    children = [child for child in psutil.Process().children() if child.pid not in long_lived]
    left = [child for child in children if child.name() not in _LOOKED_AFTER]
    _, alive = psutil.wait_procs(left, timeout=grace_s)
    names = [f"{child.pid} {child.name()}" for child in alive]
    for child in alive:
        child.kill()
    psutil.wait_procs(alive, timeout=_GRACE_S)
    return names


def _note_start(event, _arguments, starts=_STARTS, noted=started):  # by default: names are gone when Python ends
    if event in starts:
        noted.append(event)


sys.addaudithook(_note_start)
