"""Reports on a real terminal: widths, zones, colours, the pager, --watch; and what Ctrl-C leaves behind."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from failaware import Handlers, Permanent, Retry, Store, Worker
from failaware.text import cells
from tests import processes
from tests.cli.test_commands import failaware

EVIL = "\x1b]2;owned\x07\x1b[2J 決済 🧯 失敗"


class Terminal:
    """The program on a pseudo-terminal."""

    def __init__(self, *words, db, size=(24, 80), **env):
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        names = ("FAILAWARE", "COLUMNS", "LINES", "PAGER", "LESS", "NO_COLOR", "FORCE_COLOR", "TZ")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(names)}
        self.process = processes.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "failaware", "--db", str(db), *words],
            stdin=follower, stdout=follower, stderr=follower,
            env={**clean, "TERM": "xterm-256color", "LANG": "C.UTF-8", **env},
        )  # fmt: skip
        os.close(follower)
        self.output = ""

    def read(self, seconds=0.1):
        try:
            while select.select([self.leader], [], [], seconds)[0]:
                if not (got := os.read(self.leader, 65_536)):
                    return
                self.output += got.decode("utf-8", "replace")
        except OSError:  # the other end is closed
            return

    def shows(self, *texts, seconds=30):
        deadline = time.monotonic() + seconds
        while not all(" ".join(text.split()) in " ".join(self.plain.split()) for text in texts):  # a long path wraps
            assert time.monotonic() < deadline, (texts, self.output)
            self.read()

    @property
    def plain(self):
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.output).replace("\r", "")

    def type(self, keys):
        self.output = ""
        os.write(self.leader, keys.encode())

    def ends(self):
        deadline = time.monotonic() + 30
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.output
            self.read(0.05)
        self.read()
        os.close(self.leader)
        return self.process.returncode


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "store.db"
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=2, base=0))
    def fails(event):
        raise (Permanent if event.event_id % 2 else ValueError)(f"{EVIL} of a rather long message {event.payload}")

    with Store.open(path) as store:
        store.record_many([("payment.capture.of.a.long.name", n) for n in range(30)])
        store.record_many([("支払い.確認", n) for n in range(3)])
        Worker(store, handlers).run(until_idle=True)
    return path


REPORTS = ["health", "severity", "clusters", "events", "event 1", "timeline", "recovered", "due", "diff 1h", "policy"]


@pytest.mark.thinned
@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.large
def test_reports_fit_and_lose_no_number(place, columns):
    for report in REPORTS:
        terminal = Terminal("--no-pager", *report.split(), db=place, size=(50, columns))
        assert terminal.ends() == 0
        lines = terminal.plain.splitlines()
        assert max(map(cells, lines)) <= columns, (report, columns)
        assert "\x1b]2;" not in terminal.output
        piped = failaware(*report.split(), db=place).stdout
        for word in re.findall(r"(?<![\w.])(?:\d{8}|[A-Z]{4,}|\d+ min ago)(?![\w.])", piped.partition("Payload")[0]):
            if word not in EVIL and not word.endswith("ago"):
                assert word in terminal.plain, (report, columns, word)


def test_wide_characters_line_up(place):
    lines = failaware("events", "type:支払い.確認", "--limit", "2", db=place).stdout.splitlines()
    other = failaware("events", "id:31", db=place).stdout.splitlines()[0]
    assert cells(lines[1].partition("DEAD")[0]) == cells(lines[0].partition("state")[0])
    assert other


@pytest.mark.parametrize(
    ("env", "words", "shown"),
    [
        ({"TZ": "UTC"}, [], r"\d{2}:\d{2}:\d{2}Z"),
        ({"TZ": "Asia/Tokyo"}, [], r"\d{2}:\d{2}:\d{2}\+09:00"),
        ({"TZ": "Asia/Tokyo", "FAILAWARE_TZ": "UTC"}, [], r"\d{2}:\d{2}:\d{2}Z"),
        ({"TZ": "UTC", "FAILAWARE_TZ": "Asia/Kolkata"}, [], r"\d{2}:\d{2}:\d{2}\+05:30"),
        ({"TZ": "UTC", "FAILAWARE_TZ": "Asia/Kolkata"}, ["--utc"], r"\d{2}:\d{2}:\d{2}Z"),
    ],
)
@pytest.mark.thinned
def test_zones(place, env, words, shown):
    for command in (["health"], ["event", "1"]):
        assert re.search(shown, failaware(*command, *words, db=place, **env).stdout)
    assert re.search(shown, failaware(*words, "health", db=place, **env).stdout)  # also before the command


def test_a_zone_also_reads_and_json_knows_none(place):
    first = failaware("health", "--json", db=place, FAILAWARE_TZ="Asia/Tokyo").stdout
    assert first == failaware("health", "--json", "--utc", db=place).stdout
    tomorrow = failaware("health", "--as-of", "2026-01-02T00:00", db=place, FAILAWARE_TZ="Asia/Tokyo").stdout
    assert "2026-01-02 00:00:00+09:00" in tomorrow


@pytest.mark.parametrize("name", ["Nowhere/Land", "../../etc/passwd", "/etc/passwd", "Asia"])
@pytest.mark.thinned
def test_an_unknown_zone_is_one_sentence(place, name):
    done = failaware("health", db=place, FAILAWARE_TZ=name)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "this machine knows no time zone" in done.stderr


def test_the_zone_of_a_program_that_is_run_is_its_own(place):
    done = failaware("exec", "--", "sh", "-c", "echo zone=$TZ", db=place, FAILAWARE_TZ="Asia/Tokyo", TZ="UTC")
    assert "zone=UTC" in done.stdout


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
@pytest.mark.thinned
def test_colours_on_a_terminal(place, env, coloured):
    terminal = Terminal("severity", db=place, **env)
    assert terminal.ends() == 0
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", terminal.output)) is coloured


def test_colours_into_a_pipe_only_where_they_are_asked_for(place):
    plain = failaware("clusters", db=place).stdout
    assert "\x1b" not in plain
    forced = failaware("clusters", db=place, FORCE_COLOR="1", TERM="xterm-256color").stdout
    assert "\x1b[" in forced
    assert [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", forced).splitlines()] == plain.splitlines()


@pytest.mark.skipif(not shutil.which("less"), reason="needs less")
def test_what_is_long_goes_through_less(place):
    terminal = Terminal("events", db=place)
    terminal.shows("detected", ":")
    assert terminal.process.poll() is None
    assert "\x1b[2J 決" not in terminal.output
    assert "\x1b]2;" not in terminal.output
    terminal.type("\x03")  # Ctrl-C is less's
    time.sleep(0.3)
    assert terminal.process.poll() is None
    terminal.type("G")
    terminal.shows("    1  payment")
    terminal.type("q")
    assert terminal.ends() == 0
    assert "Traceback" not in terminal.output


def test_what_fits_is_printed_as_it_is(place, tmp_path):
    terminal = Terminal("severity", db=place, FAILAWARE_PAGER="false")
    assert terminal.ends() == 0
    assert "clusters" in terminal.plain


@pytest.mark.large
def test_a_pager_of_ones_own_and_none(place, tmp_path):
    pager = tmp_path / "my pager"
    pager.write_text('#!/bin/sh\necho "paged $1"; exec cat > /dev/null\n')
    pager.chmod(0o755)
    for env in ({"FAILAWARE_PAGER": f"'{pager}' 'a b'", "PAGER": "false"}, {"PAGER": f"'{pager}' 'a b'"}):
        terminal = Terminal("events", db=place, **env)
        assert terminal.ends() == 0
        assert "paged a b" in terminal.plain
        assert "detected" not in terminal.plain
    for words, env in (
        (["--no-pager", "events"], {"PAGER": str(pager)}),
        (["events", "--no-pager"], {"PAGER": str(pager)}),
        (["events"], {"PAGER": "cat"}),
        (["events"], {"PAGER": ""}),
        (["events"], {"PAGER": "no-such-pager --at all"}),
        (["events"], {"PAGER": "less 'unbalanced"}),
        (["events"], {"TERM": "dumb"}),
    ):
        terminal = Terminal(*words, db=place, **env)
        assert terminal.ends() == 0
        assert "detected" in terminal.plain
        assert "    1  payment" in terminal.plain


def test_the_status_is_the_reports_even_through_a_pager(place):
    terminal = Terminal("events", "status:nonsense", db=place)
    assert terminal.ends() == 2
    terminal = Terminal("severity", "--exit-code", "LOW", db=place, size=(3, 80), PAGER="head -n 1")
    assert terminal.ends() == 1
    assert "Traceback" not in terminal.output


def test_watching_on_a_terminal(place):
    terminal = Terminal("events", "--watch", "type:new.*", "--limit", "3", db=place)
    terminal.shows("No event matches the filter.", "Ctrl-C ends")
    with Store.open(place) as store:
        store.record("new.one", 1)
        terminal.shows("new.one", "PENDING")
        assert "\x1b[2J" not in terminal.output.partition("new.one")[2]  # drawn over, not cleared: no flicker
        store.record("new.two", 1)
        terminal.shows("new.two")
    terminal.type("\x03")
    assert terminal.ends() == 0
    assert "Traceback" not in terminal.output
    assert "\x1b[?1049l" in terminal.output  # the screen of before is back
    assert "new.two" in terminal.plain.rpartition("\x1b[?1049l")[2]  # and the last report below it


def test_watching_outlives_the_store(place):
    terminal = Terminal("health", "--watch=0.1", db=place)
    terminal.shows("33 events")
    aside = place.with_suffix(".aside")
    for suffix in ("", "-wal", "-shm"):
        if (sidecar := place.with_name(place.name + suffix)).exists():
            sidecar.rename(str(aside) + suffix)
    terminal.shows("there is no store")
    with Store.open(place) as store:
        store.record("a", 1)
    terminal.shows("1 event")
    terminal.type("\x03")
    assert terminal.ends() == 0


def watched(place, *words):
    return processes.Popen(
        [sys.executable, "-m", "failaware", "--db", str(place), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_watching_into_a_pipe_prints_a_report_for_each_change_and_json_is_a_document_each(place):
    process = watched(place, "health", "--json", "--watch", "0.1")
    decoder, text, seen = json.JSONDecoder(), "", []
    os.set_blocking(process.stdout.fileno(), False)
    with Store.open(place) as store:
        deadline = time.monotonic() + 60
        while len(seen) < 3 and time.monotonic() < deadline:
            select.select([process.stdout], [], [], 0.1)
            text += (process.stdout.read() or b"").decode()
            while text.strip():
                try:
                    document, end = decoder.raw_decode(text.lstrip())
                except ValueError:
                    break
                text = text.lstrip()[end:]
                seen.append(document["total_events"])
                store.record("a", 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert seen == [33, 34, 35]
    assert (process.returncode, err) == (0, b"")


def test_watching_needs_a_store_and_the_present(place, tmp_path):
    missing = failaware("health", "--watch", db=tmp_path / "none.db")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    past = failaware("health", "--watch", "--as-of", "1h", db=place)
    assert (past.returncode, past.stderr) == (
        2, "failaware: --as-of shows a fixed moment; leave out --watch or --as-of\n",
    )  # fmt: skip
    assert failaware("health", "--watch", "0", db=place).returncode == 2
    wrong = failaware("events", "status:nonsense", "--watch", db=place)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_a_watch_whose_reader_goes_away_ends(place):
    process = watched(place, "events", "--watch", "0.1")
    process.stdout.read(1)
    process.stdout.close()
    with Store.open(place) as store:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            store.record("a", 1)
            time.sleep(0.1)
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(10), err) == (0, b"")
