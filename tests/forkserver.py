"""A warm parent that forks: a program of ours that a test starts need not wait for Python to start and import.

`tests.processes` starts this once for each process of the test run and asks it for children. A child is a process of
its own in all that a test can see: its id, streams, folder, environment, signals and exit status; SIGKILL is real.
It becomes a child of the test process (PR_SET_CHILD_SUBREAPER): `subprocess.Popen` waits for it as for any
other, and it dies with it.
"""

import array
import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import threading
import time
import types

import failaware

_PR_SET_PDEATHSIG = 1
_LENGTH = 8  # bytes that say how long a request is
_IMPORTED = ("asyncio", "concurrent.futures", "logging", "psycopg", "rich.console", "rich.table", "sentry_sdk")
_NAMES = ("airflow", "arq", "celery", "django", "prefect", "pytest", "rq", "sentry", "taskiq")
_THEIRS = {f"failaware.integrations.{name}" for name in _NAMES}


def serve(connection: socket.socket) -> dict:
    """Fork a child for each request; returns in the child, with what it was asked to run."""
    while True:
        length, descriptors = _receive(connection)
        if not length:
            os._exit(0)  # the test process has ended
        request = json.loads(_read(connection, int.from_bytes(length, "big")))
        gc.freeze()
        known, knows = os.pipe()
        intermediate = os.fork()
        if intermediate == 0:
            connection.close()
            between = os.getpid()
            child = os.fork()
            if child == 0:
                os.close(known)
                os.close(knows)
                _become(request, descriptors, between)
                return request
            os.write(knows, child.to_bytes(_LENGTH, "big"))
            os._exit(0)
        os.close(knows)
        for descriptor in descriptors:
            os.close(descriptor)
        child = os.read(known, _LENGTH)
        os.close(known)
        os.waitpid(intermediate, 0)  # from here on the child is the test process's
        connection.sendall(child)


def _receive(connection):
    """The length of a request, and the standard streams that came with it."""
    descriptors = array.array("i")
    length, ancillary, _, _ = connection.recvmsg(_LENGTH, socket.CMSG_SPACE(3 * descriptors.itemsize))
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    return length, list(descriptors)


def _read(connection, length):
    content = b""
    while len(content) < length:
        content += connection.recv(length - len(content))
    return content


def _become(request, descriptors, parent):
    """Be the process that was asked for; until the test process has taken it over, `parent` is its parent."""
    if request["start_new_session"]:
        os.setsid()
    elif request["process_group"] is not None:
        os.setpgid(0, request["process_group"])
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
    for descriptor in {*descriptors} - {0, 1, 2}:
        os.close(descriptor)
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv = request["argv"]
    sys.orig_argv = [sys.executable, *request["command"]]
    sys.path[0] = {"-m": request["cwd"], "-c": ""}.get(request["command"][0], os.path.dirname(request["command"][0]))
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        _stream(name, mode)
    while os.getppid() == parent:
        time.sleep(0.0005)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stream(name, mode):
    """Make sys.stdin, sys.stdout or sys.stderr as Python makes it when it starts."""
    old = getattr(sys, name)
    number = ("stdin", "stdout", "stderr").index(name)
    raw = open(number, f"{mode}b", closefd=False)  # noqa: SIM115
    text = io.TextIOWrapper(raw, old.encoding, old.errors, line_buffering=mode == "w" and (number == 2 or raw.isatty()))
    text.mode = mode
    setattr(sys, name, text)
    setattr(sys, f"__{name}__", text)


def _run(command):
    """What Python does with -m, -c or a file; returns the exit status."""
    try:
        if command[0] == "-m":
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        elif command[0] != "-c":
            runpy.run_path(command[0], run_name="__main__")
        else:
            module = types.ModuleType("__main__")
            sys.modules["__main__"] = module
            exec(compile(command[1], "<string>", "exec"), module.__dict__)
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        print(left.code, file=sys.stderr)
        return 1
    except BaseException as error:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
            frames = frames.tb_next  # as if this module were not there
        sys.excepthook(type(error), error.with_traceback(frames), frames)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _end(status):
    """Exit as Python does, without freeing all objects, which takes longer than everything else."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            status = status or 120
        except ValueError:
            pass  # the program has closed it
    if status == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status & 0xFF)


def _main():
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        ours = (module.name for module in pkgutil.walk_packages(failaware.__path__, "failaware."))
        for name in (*_IMPORTED, *(name for name in ours if name not in {*_THEIRS, "failaware.__main__"})):
            importlib.import_module(name)
        request = serve(connection)
    _end(_run(request["command"]))


if __name__ == "__main__":
    _main()
