"""The real program on a real pseudo-terminal, while another process writes; and what it leaves behind."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from failaware import Handlers, Permanent, Store, Worker
from tests import processes


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, *words, size=(30, 100), **env):
        self._master, slave = pty.openpty()
        self._resize(size)
        self.before = termios.tcgetattr(slave)
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TEXTUAL", "FAILAWARE", "COLUMNS", "LINES"))
        }
        self.process = processes.Popen(
            [sys.executable, "-m", "failaware", *words],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**clean, "TERM": "xterm-256color", "COLORTERM": "", **env},
        )  # fmt: skip
        self._slave = slave
        self.output = ""

    def _resize(self, size):
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    def resize(self, size):
        self._resize(size)
        self.process.send_signal(28)  # SIGWINCH

    def read(self, seconds=0.1):
        while select.select([self._master], [], [], seconds)[0]:
            self.output += os.read(self._master, 65536).decode("utf-8", "replace")

    def shows(self, *texts, seconds=20):
        """Wait until all of these were written since the last key."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read()
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.output)
            if all(text in plain for text in texts):
                return
        raise AssertionError(f"{texts} did not come: {plain[-3000:]!r}")

    def ends(self, seconds=20):
        """The exit status; read meanwhile, since a program waits where its terminal is full."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.output[-3000:]
            self.read(0.05)
        self.read()
        return self.process.returncode

    def press(self, keys):
        self.output = ""
        os.write(self._master, keys.encode())

    def settings(self):
        return termios.tcgetattr(self._slave)

    def hang_up(self):
        """Close the terminal, as of a window that is closed."""
        os.close(self._master)
        self._master = os.open(os.devnull, os.O_RDWR)
        self.process.send_signal(signal.SIGHUP)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def failing(path):
    handlers = Handlers()

    @handlers.on("*")
    def fails(event):
        raise Permanent("no way \x1b]2;owned\x07 through")

    with Store.open(path) as store:
        store.record_many([("shop.order", 1), ("shop.order", 2)])
        Worker(store, handlers).run(until_idle=True)
        yield store


@pytest.mark.thinned
@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1", "LANG": "C.UTF-8"}])
def test_a_tour_on_a_terminal_while_another_process_writes(failing, path, env):
    terminal = Terminal("--db", str(path), "tui", **env)
    try:
        terminal.shows("shop.order", "DEAD", "next step")
        terminal.press("\r")
        terminal.shows("Events", "attempt 1 of 1", "Traceback")
        terminal.press("\r")
        terminal.shows("› event 2", "Traceback")
        assert "\x1b]2;owned" not in terminal.output
        terminal.press("\x1b")
        terminal.shows("Events")
        terminal.press("\x1b")
        terminal.shows("Clusters")
        terminal.press("")
        processes.run(
            [sys.executable, "-c", "import sys; from failaware import Store; Store.open(sys.argv[1]).record('new', 1)",
             str(path)], check=True, timeout=60,
        )  # fmt: skip
        terminal.shows("3 events")
        terminal.resize((24, 80))
        terminal.shows("PENDING 1")
        terminal.press("q")
        assert terminal.ends() == 0
        assert terminal.settings() == terminal.before
    finally:
        terminal.close()


def test_the_mouse_is_left_to_the_terminal(failing, path):
    terminal = Terminal("--db", str(path), "tui", "--no-mouse")
    try:
        terminal.shows("shop.order")
        assert "\x1b[?1003h" not in terminal.output
        terminal.press("q")
        assert terminal.ends() == 0
    finally:
        terminal.close()


def test_without_a_terminal_it_says_so(path):
    done = processes.run(
        [sys.executable, "-m", "failaware", "--db", str(path), "tui"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr


INSPECTORS = [("tui",), ("demo", "--events", "100")]


@pytest.mark.thinned
@pytest.mark.parametrize("words", INSPECTORS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_and_the_disk_in_order(failing, path, tmp_path, words, number):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    terminal = Terminal("--db", str(path), *words, TMPDIR=str(temporary))
    try:
        terminal.shows("Clusters")
        terminal.process.send_signal(number)
        assert terminal.ends() == 128 + number
        assert terminal.settings() == terminal.before
        for on, off in (("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h"), ("\x1b[?1003h", "\x1b[?1003l")):
            assert terminal.output.rfind(off) >= terminal.output.rfind(on)
        assert not list(temporary.iterdir())
    finally:
        terminal.close()


@pytest.mark.thinned
@pytest.mark.parametrize("words", INSPECTORS)
def test_a_terminal_that_is_closed_ends_it(failing, path, tmp_path, words):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    terminal = Terminal("--db", str(path), *words, TMPDIR=str(temporary))
    try:
        terminal.shows("Clusters")
        terminal.hang_up()
        assert terminal.process.wait(timeout=20) == 128 + signal.SIGHUP
        assert not list(temporary.iterdir())
    finally:
        terminal.close()


@pytest.mark.large
@pytest.mark.sqlite("what it leaves behind is in a folder")
def test_a_signal_while_the_demo_is_made_leaves_nothing(path, tmp_path):
    terminal = Terminal("demo", "--events", "50000", TMPDIR=str(tmp_path))
    try:
        terminal.shows("working system")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.ends() == 128 + signal.SIGTERM
        assert terminal.output.rfind("\x1b[?25h") > terminal.output.rfind("\x1b[?25l")
        assert not list(tmp_path.glob("failaware-demo-*"))
    finally:
        terminal.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_watched_report_with_the_terminal_in_order(failing, path, number):
    terminal = Terminal("--db", str(path), "health", "--watch")
    try:
        terminal.shows("DEAD")
        terminal.process.send_signal(number)
        assert terminal.ends() == 128 + number
        assert terminal.output.rfind("\x1b[?1049l") > terminal.output.rfind("\x1b[?1049h")
    finally:
        terminal.close()
