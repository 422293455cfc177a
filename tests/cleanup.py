"""Stops a test run's server when all processes that use it have ended, even by SIGKILL.

    python -S cleanup.py LIFELINE FOLDER PIDFILE SIGNAL

Every process that uses the server holds a shared lock on the file LIFELINE, which the kernel releases when the process
ends. This program waits for the lock, sends SIGNAL to the process that PIDFILE names, and removes FOLDER. It imports
nothing of failaware, since it may outlive the checkout.
"""

import fcntl
import os
import shutil
import signal
import sys
import time

_STOP_S = 10


def main():
    lifeline, folder, pidfile, number = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(lifeline) as file:
        print(flush=True)  # from here on the server is looked after
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            with open(pidfile) as named:
                end(int(named.readline()), int(number))
        except (OSError, ValueError):
            pass  # it was never started, or has stopped
        shutil.rmtree(folder, ignore_errors=True)
        os.unlink(lifeline)


def end(process, number):
    deadline = time.monotonic() + _STOP_S
    os.kill(process, number)
    while time.monotonic() < deadline and not is_zombie(process):
        time.sleep(0.02)
        os.kill(process, 0)  # ProcessLookupError once it has ended
    os.kill(process, signal.SIGKILL)


def is_zombie(process):
    """Whether it has ended and its parent, which may be a test, has not asked how."""
    try:
        with open(f"/proc/{process}/stat") as about:
            return about.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


if __name__ == "__main__":
    main()
